/* Products of two tensors. Of softmax(q k) v, attention in the code, MultiHeadAttention with one
 * head is made, whose projections are identities: on a map each row attends to itself, so that a
 * row may be a head. Other products of two tensors are not supported. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "keras/axes.h"
#include "keras/fields.h"
#include "keras/layer_classes.h"

/* Projections of more channels than this would take longer than the attention. */
enum { MOST_CHANNELS = 1024, STEPS = 16 };

static struct ft_draft_layer *at(const struct ft_build *b, int i)
{
    return &b->draft->layers[i];
}

/* factor times the identity, [n, 1, n] or, as the output, [1, n, n]. */
static struct ft_tensor identity(float *values, int n, double factor, bool output)
{
    memset(values, 0, (size_t)n * (size_t)n * sizeof *values);
    for (int i = 0; i < n; i++)
        values[(size_t)i * (size_t)n + (size_t)i] = (float)factor;
    return (struct ft_tensor){
        3, { output ? 1 : n, output ? n : 1, n }, (size_t)n * (size_t)n, values
    };
}

/* softmax(factor q k') v over the pixels of each row. */
static int add_attention(struct ft_build *b, int q, int k, int v, double factor, int *last)
{
    const int units = ft_draft_channels(b->draft, q), filters = ft_draft_channels(b->draft, v);
    const bool one = q == v && q == k;
    if (units < 1 || filters < 1 || units > MOST_CHANNELS || filters > MOST_CHANNELS ||
        ft_draft_rank(b->draft, q) != 3)
        return ft_step_unsupported(b, "attention over tensors of this shape");
    const int rc = ft_step_add(b, FT_LAYER_ATTENTION, (int[]){ q, v, k },
                               one      ? 1
                               : v == k ? 2
                                        : 3,
                               last);
    if (rc)
        return rc;
    struct ft_draft_layer *d = at(b, *last);
    const size_t square = (size_t)units * (size_t)units, other = (size_t)filters * (size_t)filters;
    float *values = ft_draft_constants(d, 2 * square + 2 * other);
    if (!values)
        return ft_error_nomem(b->err, "a constant");
    struct ft_tensor *w = d->layer.weights;
    w[FT_W_QUERY] = identity(values, units, factor * sqrt(units), false);
    w[FT_W_KEY] = identity(values + square, units, 1, false);
    w[FT_W_VALUE] = identity(values + 2 * square, filters, 1, false);
    w[FT_W_OUTPUT] = identity(values + 2 * square + other, filters, 1, true);
    d->layer.params.groups = 1;
    d->layer.params.units = units;
    d->layer.params.filters = filters;
    d->layer.params.windows = true;
    d->channels = filters;
    return 0;
}

/* ---- products of queries and keys ------------------------------------------------------------ */

/* x with its last two axes swapped: what a swap was made of, if it is one. */
static int unswap(struct ft_build *b, int x, int *out)
{
    const struct ft_layer *l = &at(b, x)->layer;
    const int *p = l->params.shape;
    if (l->kind != FT_LAYER_PERMUTE || l->params.rank != 3)
        return ft_axes_swap(b, x, ft_draft_tokens(b->draft, x) ? 1 : 2, out);
    if (p[0] == 1 && p[1] == 3 && p[2] == 2) {
        *out = l->inputs[0];
        return 0;
    }
    const int shape[3] = { p[0], p[2], p[1] }, from = l->inputs[0];
    const int rc = ft_step_add(b, FT_LAYER_PERMUTE, &from, 1, out);
    if (!rc) {
        ft_step_layer(b, *out)->params.rank = 3;
        memcpy(ft_step_layer(b, *out)->params.shape, shape, sizeof shape);
    }
    return rc;
}

/* Layer i stands for the product of queries and keys until attention is made of it. */
static int make_scores(struct ft_build *b, int q, int k)
{
    struct ft_draft_layer *d = at(b, b->layer);
    d->layer.kind = FT_LAYER_IDENTITY;
    d->layer.inputs[0] = q;
    d->layer.inputs[1] = k;
    d->scores = true;
    return 0;
}

/* Goes back from the softmax of scores to the scores; *factor is what they are multiplied by.
 * Returns -1 if x is something else. */
static int find_scores(const struct ft_build *b, int x, double *factor)
{
    bool softmax = false;
    *factor = 1;
    for (int steps = 0; steps < STEPS; steps++) {
        const struct ft_draft_layer *d = at(b, x);
        const struct ft_tensor *w = d->layer.weights;
        if (d->scores)
            return softmax ? x : -1;
        if (d->layer.n_inputs != 1)
            return -1;
        if (d->layer.kind == FT_LAYER_ACTIVATION && d->layer.params.activation == FT_ACT_SOFTMAX)
            softmax = d->axis == -1 || d->axis == (ft_draft_tokens(b->draft, x) ? 2 : 3);
        else if (d->layer.kind == FT_LAYER_RESCALING && softmax && w[FT_W_SCALE].count == 1 &&
                 (!w[FT_W_OFFSET].data ||
                  (w[FT_W_OFFSET].count == 1 && w[FT_W_OFFSET].data[0] == 0)))
            *factor *= (double)w[FT_W_SCALE].data[0];
        else if (d->layer.kind != FT_LAYER_IDENTITY)
            return -1;
        x = d->layer.inputs[0];
    }
    return -1;
}

/* The product with values; `scores` -1: of two other tensors. */
static int multiply_values(struct ft_build *b, int scores, double factor, int v, int *last)
{
    const int q = at(b, scores)->layer.inputs[0], k = at(b, scores)->layer.inputs[1];
    b->used = true; /* the call's arguments are not those of attention */
    return add_attention(b, q, k, v, factor, last);
}

/* ---- operations and layers ------------------------------------------------------------------- */

/* The product with a constant matrix is a Dense layer. */
static int multiply_constant(struct ft_build *b, const struct ft_keras_constant *c, int *last)
{
    if (c->rank != 3 || c->shape[0] != 1)
        return ft_step_unsupported(b, "a product with this constant");
    const int rc = ft_step_add(b, FT_LAYER_DENSE, &b->x, 1, last);
    if (rc)
        return rc;
    struct ft_draft_layer *d = at(b, *last);
    float *values = ft_draft_constants(d, c->count);
    if (!values)
        return ft_error_nomem(b->err, "a constant");
    memcpy(values, c->values, c->count * sizeof *values);
    d->layer.params.units = (int)c->shape[2];
    d->layer.weights[FT_W_KERNEL] =
        (struct ft_tensor){ 2, { c->shape[1], c->shape[2] }, c->count, values };
    return 0;
}

static int build_matmul(struct ft_build *b, const struct ft_keras_operation *operation, int *last)
{
    (void)operation;
    struct ft_argument v[2] = { { 0 } };
    const struct ft_layer *own = &at(b, b->layer)->layer;
    double factor;
    int rc = ft_arguments_operands(b->node, v, b->err), key;
    *last = b->layer;
    if (!rc && own->n_inputs == 1 && v[0].kind == FT_ARGUMENT_TENSOR &&
        v[1].kind == FT_ARGUMENT_CONSTANT)
        rc = multiply_constant(b, &v[1].constant, last);
    else if (!rc && own->n_inputs == 2) {
        const int first = own->inputs[0], second = own->inputs[1],
                  scores = find_scores(b, first, &factor);
        b->used = true;
        if (scores >= 0)
            rc = multiply_values(b, scores, factor, second, last);
        else
            rc = unswap(b, second, &key);
        if (!rc && scores < 0)
            rc = make_scores(b, first, key);
    } else if (!rc)
        rc = ft_step_unsupported(b, "a product of these operands");
    ft_constant_release(&v[0].constant);
    ft_constant_release(&v[1].constant);
    return rc;
}

/* [b, t, heads, c]: each head by itself, so heads become rows. */
static int build_attention_product(struct ft_build *b, const struct ft_keras_operation *operation,
                                   int *last)
{
    (void)operation;
    const struct ft_layer *own = &at(b, b->layer)->layer;
    int map[3], rc = 0;
    if (own->n_inputs != 3 || cJSON_IsTrue(ft_argument_find(b->node, b->config, "is_causal", 6)) ||
        ft_draft_rank(b->draft, b->x) != 3 || ft_draft_tokens(b->draft, b->x))
        return ft_step_unsupported(b, "attention on these operands");
    memcpy(map, own->inputs, sizeof map);
    b->used = true;
    for (int i = 0; !rc && i < 3; i++) {
        const int x = map[i];
        rc = ft_step_add(b, FT_LAYER_PERMUTE, &x, 1, &map[i]);
        if (!rc)
            ft_step_layer(b, map[i])->params =
                (struct ft_layer_params){ FT_LAYER_PARAMS, .rank = 3, .shape = { 2, 1, 3 } };
    }
    const cJSON *scale = ft_argument_find(b->node, b->config, "scale", 5);
    const double factor = scale ? (cJSON_IsNumber(scale) ? scale->valuedouble : NAN)
                                : 1 / sqrt(rc ? 1 : (double)ft_draft_channels(b->draft, map[0]));
    if (!rc && !(factor > 0))
        return ft_step_unsupported(b, "this scale of attention");
    rc = rc ? rc : add_attention(b, map[0], map[1], map[2], factor, last);
    rc = rc ? rc : ft_step_add(b, FT_LAYER_PERMUTE, last, 1, last);
    if (!rc)
        ft_step_layer(b, *last)->params =
            (struct ft_layer_params){ FT_LAYER_PARAMS, .rank = 3, .shape = { 2, 1, 3 } };
    return rc;
}

static int parse_attention(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const char *mode = cJSON_GetStringValue(ft_field(config, "score_mode"));
    bool scaled = false;
    const int rc = ft_field_bool(config, "use_scale", &scaled, err);
    out->layer.kind = FT_LAYER_IDENTITY;
    if (!rc && (scaled || (mode && strcmp(mode, "dot") != 0)))
        return ft_error_set(err, FT_EUNSUPPORTED, "attention with %s is not supported",
                            scaled ? "use_scale" : "this score_mode");
    return rc;
}

/* Called on [query, value] or [query, value, key]. */
static int build_attention(struct ft_build *b, int *last)
{
    const struct ft_layer *own = &at(b, b->layer)->layer;
    const int n = own->n_inputs;
    if (n < 2 || n > 3 || cJSON_IsTrue(ft_argument_find(b->node, NULL, "use_causal_mask", -1)))
        return ft_step_unsupported(b, "attention with a mask");
    return add_attention(b, own->inputs[0], own->inputs[n - 1], own->inputs[1], 1, last);
}

static int parse_dot(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    bool normalize = false;
    const int rc = ft_field_bool(config, "normalize", &normalize, err);
    out->layer.kind = FT_LAYER_IDENTITY;
    return !rc && normalize ? ft_error_set(err, FT_EUNSUPPORTED, "normalize is not supported") : rc;
}

/* Axis i of the setting `axes`, as it is counted from the end of a tensor of `rank` axes: -1 or
 * -2; 0: another. */
static int axis_of(const cJSON *config, int i)
{
    const cJSON *axes = ft_field(config, "axes");
    if (cJSON_IsObject(axes))
        axes = ft_field(axes, "items");
    const int axis = ft_step_integer(cJSON_IsArray(axes) ? cJSON_GetArrayItem(axes, i) : axes, 0);
    return axis > 0 ? axis - 3 : axis;
}

/* Of tokens: queries by keys over the channels, or scores by values over the tokens of these. */
static int build_dot(struct ft_build *b, int *last)
{
    const struct ft_layer *own = &at(b, b->layer)->layer;
    const int left = axis_of(b->config, 0), right = axis_of(b->config, 1);
    double factor;
    *last = b->layer;
    if (own->n_inputs != 2 || !ft_draft_tokens(b->draft, own->inputs[0]) ||
        !ft_draft_tokens(b->draft, own->inputs[1]) || left != -1)
        return ft_step_unsupported(b, "a product along these axes");
    const int second = own->inputs[1], scores = find_scores(b, own->inputs[0], &factor);
    if (right == -2 && scores >= 0)
        return multiply_values(b, scores, factor, second, last);
    return right == -1 ? make_scores(b, own->inputs[0], second)
                       : ft_step_unsupported(b, "a product along these axes");
}

const struct ft_keras_operation ft_product_operations[] = {
    { "Matmul|linalg.matmul", build_matmul, FT_SQUEEZED_REFUSED, 0 },
    { "DotProductAttention", build_attention_product, FT_SQUEEZED_REFUSED, 0 },
    { 0 },
};

const struct ft_layer_class ft_product_classes[] = {
    { "Attention", FT_LAYER_ATTENTION, .parse = parse_attention, .build = build_attention },
    { "Dot", FT_LAYER_MULTIPLY, .parse = parse_dot, .build = build_dot },
    { 0 },
};
