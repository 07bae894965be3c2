#include "keras/arguments.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "keras/draft.h"
#include "keras/fields.h"

enum { RANK_LIMIT = 8 };

void ft_constant_release(struct ft_keras_constant *constant)
{
    free(constant->values);
    *constant = (struct ft_keras_constant){ 0 };
}

/* {"class_name": "__tensor__", "config": {"value": ...}}, {"class_name": "__tuple__", "items":
 * [...]}: what is inside. */
static const cJSON *unwrap(const cJSON *value)
{
    while (cJSON_IsObject(value)) {
        const cJSON *inside = ft_field(ft_field(value, "config"), "value");
        inside = inside ? inside : ft_field(value, "items");
        if (!inside)
            break;
        value = inside;
    }
    return value;
}

static bool is_tensor(const cJSON *value)
{
    if (cJSON_IsObject(value))
        return ft_field(ft_field(value, "config"), "keras_history") != NULL;
    return cJSON_IsArray(value) && cJSON_IsString(value->child) &&
           cJSON_IsNumber(value->child->next) && value->child->next->valuedouble >= 0;
}

/* ---- the two forms of a call ----------------------------------------------------------------- */

/* ["name", node, tensor, {keywords}], under as many lists as there are: the first of them. */
static const cJSON *first_reference(const cJSON *node)
{
    while (cJSON_IsArray(node) && cJSON_IsArray(node->child))
        node = node->child;
    return cJSON_IsArray(node) && cJSON_IsString(node->child) ? node : NULL;
}

static const cJSON *keywords_of(const cJSON *node)
{
    const cJSON *reference = first_reference(node);
    if (!reference)
        return ft_field(node, "kwargs");
    const cJSON *index = reference->child->next, *value = index ? index->next : NULL;
    return value ? value->next : NULL;
}

const cJSON *ft_argument_find(const cJSON *node, const cJSON *config, const char *name,
                              int position)
{
    const cJSON *value = ft_field(keywords_of(node), name);
    if (!value && position >= 0 && cJSON_IsObject(node))
        value = cJSON_GetArrayItem(ft_field(node, "args"), position);
    if (!value || cJSON_IsNull(value))
        value = ft_field(config, name);
    value = unwrap(value);
    return cJSON_IsNull(value) ? NULL : value;
}

/* ---- constants ------------------------------------------------------------------------------- */

static int bad_constant(struct ft_error *err)
{
    return ft_error_set(err, FT_EUNSUPPORTED,
                        "one of its operands is neither a layer nor an array of numbers");
}

/* Sizes along all axes, by the first element of each list. */
static int measure(const cJSON *value, int *rank, int64_t shape[RANK_LIMIT], struct ft_error *err)
{
    for (*rank = 0; cJSON_IsArray(value); value = value->child) {
        if (*rank == RANK_LIMIT)
            return ft_error_set(err, FT_ELIMIT, "a constant has more than %d axes", RANK_LIMIT);
        shape[(*rank)++] = cJSON_GetArraySize(value);
    }
    return 0;
}

static int fill(const cJSON *value, int rank, const int64_t *shape, float **at,
                struct ft_error *err)
{
    if (!rank) {
        if (!cJSON_IsNumber(value) || !isfinite((float)value->valuedouble))
            return bad_constant(err);
        *(*at)++ = (float)value->valuedouble;
        return 0;
    }
    if (!cJSON_IsArray(value) || cJSON_GetArraySize(value) != *shape)
        return bad_constant(err);
    int rc = 0;
    for (const cJSON *item = value->child; !rc && item; item = item->next)
        rc = fill(item, rank - 1, shape + 1, at, err);
    return rc;
}

/* Axes of length 1 in front mean nothing; one axis is channels, two are columns and channels. */
static int set_shape(struct ft_keras_constant *out, int rank, const int64_t *shape,
                     struct ft_error *err)
{
    while (rank && *shape == 1) {
        rank--;
        shape++;
    }
    if (rank > 3)
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "a constant that differs from picture to picture is not supported");
    out->rank = rank < 2 ? rank : 3;
    for (int i = 0; i < out->rank; i++)
        out->shape[i] = i < out->rank - rank ? 1 : shape[i - (out->rank - rank)];
    return 0;
}

int ft_constant_parse(const cJSON *value, struct ft_keras_constant *out, struct ft_error *err)
{
    int64_t shape[RANK_LIMIT];
    int rank;
    size_t count = 1;
    struct ft_keras_constant c = { 0 };
    value = unwrap(value);
    int rc = measure(value, &rank, shape, err);
    if (rc)
        return rc;
    for (int i = 0; i < rank; i++)
        if (!shape[i] || !ft_size_mul(count, (size_t)shape[i], &count))
            return bad_constant(err);
    rc = set_shape(&c, rank, shape, err);
    if (rc)
        return rc;
    float *at = c.values = ft_alloc(count, sizeof *at);
    if (!at)
        return ft_error_nomem(err, "a constant");
    c.count = count;
    rc = fill(value, rank, shape, &at, err);
    if (rc)
        ft_constant_release(&c);
    else
        *out = c;
    return rc;
}

static struct ft_tensor tensor_of(const struct ft_keras_constant *c, const float *values)
{
    struct ft_tensor t = { .rank = c->rank ? c->rank : 1,
                           .shape = { 1, 1, 1 },
                           .count = c->count ? c->count : 1,
                           .data = values };
    for (int i = 0; i < c->rank; i++)
        t.shape[i] = c->shape[i];
    return t;
}

int ft_constants_apply(struct ft_draft_layer *layer, double factor,
                       const struct ft_keras_constant *scale, double sign,
                       const struct ft_keras_constant *offset, struct ft_error *err)
{
    const size_t n = scale->count ? scale->count : 1, m = offset->count ? offset->count : 1;
    float *values = ft_draft_constants(layer, n + m);
    if (!values)
        return ft_error_nomem(err, "a constant");
    for (size_t i = 0; i < n; i++) {
        const double value = scale->count ? (double)scale->values[i] : 1;
        values[i] = (float)(factor == 0 ? 1 / value : factor * value);
    }
    for (size_t i = 0; i < m; i++)
        values[n + i] = offset->count ? (float)sign * offset->values[i] : 0;
    const bool map = scale->rank == 3 || offset->rank == 3;
    layer->layer.kind = map ? FT_LAYER_MAP_RESCALING : FT_LAYER_RESCALING;
    layer->layer.weights[FT_W_SCALE] = tensor_of(scale, values);
    layer->layer.weights[FT_W_OFFSET] = tensor_of(offset, values + n);
    return 0;
}

/* ---- operands -------------------------------------------------------------------------------- */

static int operand(const cJSON *value, struct ft_argument *out, struct ft_error *err)
{
    if (!value || cJSON_IsNull(value))
        return 0;
    if (is_tensor(value)) {
        out->kind = FT_ARGUMENT_TENSOR;
        return 0;
    }
    const int rc = ft_constant_parse(value, &out->constant, err);
    out->kind = rc ? FT_ARGUMENT_NONE : FT_ARGUMENT_CONSTANT;
    return rc;
}

/* What the functions of Keras 3 and TensorFlow call their second operand. */
static const cJSON *second_of(const cJSON *keywords)
{
    static const char *const names[] = { "y", "x2", "bias", "b" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const cJSON *value = ft_field(keywords, names[i]);
        if (value)
            return value;
    }
    return NULL;
}

int ft_arguments_operands(const cJSON *node, struct ft_argument operands[2], struct ft_error *err)
{
    const cJSON *reference = first_reference(node), *keywords = keywords_of(node);
    if (!reference) {
        const cJSON *args = ft_field(node, "args"), *first = cJSON_GetArrayItem(args, 0),
                    *second = cJSON_GetArrayItem(args, 1);
        const int rc = operand(first ? first : ft_field(keywords, "x1"), &operands[0], err);
        return rc ? rc : operand(second ? second : second_of(keywords), &operands[1], err);
    }
    const cJSON *index = reference->child->next;
    int rc = 0;
    if (is_tensor(reference))
        operands[0].kind = FT_ARGUMENT_TENSOR;
    else
        rc = operand(index ? index->next : NULL, &operands[0], err);
    /* Keras 2 may list two tensors instead of naming the second. */
    const cJSON *second = second_of(keywords);
    return rc ? rc : operand(second ? second : reference->next, &operands[1], err);
}
