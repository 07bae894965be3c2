/* Joining, reducing and changes of shape, as layers. */
#include "keras/axes.h"

#include <string.h>

#include "base/error.h"
#include "keras/fields.h"

static int build_concatenate(struct ft_build *b, const struct ft_keras_operation *operation,
                             int *last)
{
    (void)operation;
    const struct ft_layer *own = ft_step_layer(b, b->layer);
    const cJSON *axis = ft_argument_find(b->node, b->config, "axis", 1);
    int inputs[64], rc;
    if (own->n_inputs > 64)
        return ft_step_unsupported(b, "joining more than 64 tensors");
    memcpy(inputs, own->inputs, (size_t)own->n_inputs * sizeof *inputs);
    rc = ft_step_add(b, FT_LAYER_CONCATENATE, inputs, own->n_inputs, last);
    if (rc)
        return rc;
    b->draft->layers[*last].axis = b->squeezed ? -1 : ft_step_integer(axis, 0);
    return ft_axes_move(b, *last, last);
}

/* Tensors without channels become the channels of one. */
static int build_stack(struct ft_build *b, const struct ft_keras_operation *operation, int *last)
{
    return b->squeezed ? build_concatenate(b, operation, last)
                       : ft_step_unsupported(b, "stacking tensors that have channels");
}

/* The axes of a reduction as bits: rows 1, columns 2, others 4. Tokens have columns only. */
static int reduced_axes(const struct ft_build *b, const cJSON *axis)
{
    const bool tokens = ft_draft_tokens(b->draft, b->x);
    const cJSON *item = cJSON_IsArray(axis) ? axis->child : axis;
    int seen = tokens ? 1 : 0;
    for (; item; item = cJSON_IsArray(axis) ? item->next : NULL) {
        const int i = ft_step_integer(item, 0);
        if (tokens)
            seen |= i == 1 || i == -2 ? 2 : 4;
        else
            seen |= i == 1 || i == -3 ? 1 : i == 2 || i == -2 ? 2 : 4;
    }
    return seen;
}

/* Means and maxima over rows and columns. */
static int build_reduce(struct ft_build *b, const struct ft_keras_operation *operation, int *last)
{
    const cJSON *axis = ft_argument_find(b->node, b->config, "axis", 1),
                *keep = ft_argument_find(b->node, b->config, "keepdims", 2);
    const bool tokens = ft_draft_tokens(b->draft, b->x);
    if (reduced_axes(b, axis) != 3 || ft_draft_rank(b->draft, b->x) != 3)
        return ft_step_unsupported(b, "a mean or maximum over other axes than rows and columns");
    const int rc = ft_step_add(b, (enum ft_layer_kind)operation->detail, &b->x, 1, last);
    if (rc)
        return rc;
    ft_step_layer(b, *last)->params.keep_dims = cJSON_IsTrue(keep);
    b->draft->layers[*last].tokens = cJSON_IsTrue(keep) && tokens;
    return 0;
}

/* To a vector, to tokens or to a map. */
static int build_reshape(struct ft_build *b, const struct ft_keras_operation *operation, int *last)
{
    (void)operation;
    const cJSON *shape = ft_argument_find(b->node, b->config, "newshape", 1);
    shape = shape ? shape : ft_argument_find(b->node, b->config, "shape", 1);
    const int n = cJSON_GetArraySize(shape);
    if (!cJSON_IsArray(shape) || n < 2 || n > 4)
        return ft_step_unsupported(b, "a reshape to other than a map, tokens or a vector");
    const int rc = ft_step_add(b, FT_LAYER_RESHAPE, &b->x, 1, last);
    if (rc)
        return rc;
    struct ft_layer_params *p = &ft_step_layer(b, *last)->params;
    const cJSON *item = shape->child->next;
    p->rank = n == 2 ? 1 : 3;
    p->shape[0] = 1;
    for (int i = n == 3; i < p->rank; i++, item = item->next)
        p->shape[i] = ft_step_integer(item, -1);
    b->draft->layers[*last].tokens = n == 3;
    return 0;
}

/* Maps of one pixel, such as global pooling with keepdims gives, become vectors. */
static int build_squeeze(struct ft_build *b, const struct ft_keras_operation *operation, int *last)
{
    (void)operation;
    if (ft_draft_rank(b->draft, b->x) != 3)
        return ft_step_unsupported(b, "removing an axis of a vector");
    return ft_step_add(b, FT_LAYER_FLATTEN, &b->x, 1, last);
}

/* A new last axis of a tensor without channels. */
static int build_expand(struct ft_build *b, const struct ft_keras_operation *operation, int *last)
{
    (void)operation;
    if (!b->squeezed || !ft_step_last_axis(b, ft_argument_find(b->node, b->config, "axis", 1)))
        return ft_step_unsupported(b, "a new axis in this place");
    return ft_step_add(b, FT_LAYER_IDENTITY, &b->x, 1, last);
}

static int build_transpose(struct ft_build *b, const struct ft_keras_operation *operation,
                           int *last)
{
    (void)operation;
    const cJSON *axes = ft_argument_find(b->node, b->config, "axes", 1);
    axes = axes ? axes : ft_argument_find(b->node, b->config, "perm", 1);
    const bool tokens = ft_draft_tokens(b->draft, b->x);
    if (cJSON_GetArraySize(axes) != (tokens ? 3 : 4) || ft_step_integer(axes->child, -1) != 0)
        return ft_step_unsupported(b, "this transposition");
    const int rc = ft_step_add(b, FT_LAYER_PERMUTE, &b->x, 1, last);
    if (rc)
        return rc;
    struct ft_layer_params *p = &ft_step_layer(b, *last)->params;
    const cJSON *item = axes->child->next;
    p->rank = 3;
    p->shape[0] = 1;
    for (int i = tokens; i < 3; i++, item = item->next)
        p->shape[i] = ft_step_integer(item, 0) + tokens;
    return 0;
}

static int build_pad(struct ft_build *b, const struct ft_keras_operation *operation, int *last)
{
    (void)operation;
    const cJSON *width = ft_argument_find(b->node, b->config, "pad_width", 1),
                *mode = ft_argument_find(b->node, b->config, "mode", 2),
                *value = ft_argument_find(b->node, b->config, "constant_values", 3);
    width = width ? width : ft_argument_find(b->node, b->config, "paddings", 1);
    int pad[8], n = 0;
    for (const cJSON *side = cJSON_GetArraySize(width) == 4 ? width->child : NULL; side;
         side = side->next)
        for (const cJSON *item = side->child; item && n < 8; item = item->next)
            pad[n++] = ft_step_integer(item, -1);
    const bool zero = (!value || (cJSON_IsNumber(value) && value->valuedouble == 0)) &&
                      (!cJSON_IsString(mode) || !strcasecmp(mode->valuestring, "constant"));
    if (n != 8 || pad[0] || pad[1] || pad[6] || pad[7] || !zero)
        return ft_step_unsupported(b, "this padding");
    const int rc = ft_step_add(b, FT_LAYER_ZERO_PAD, &b->x, 1, last);
    if (!rc)
        memcpy(ft_step_layer(b, *last)->params.pad, pad + 2, 4 * sizeof *pad);
    return rc;
}

const struct ft_keras_operation ft_shape_operations[] = {
    { "Concatenate|concat", build_concatenate, FT_SQUEEZED_REFUSED, 0 },
    { "Stack|stack", build_stack, FT_SQUEEZED_ENDED, 0 },
    { "Mean|math.reduce_mean", build_reduce, FT_SQUEEZED_REFUSED, FT_LAYER_GLOBAL_AVERAGE_POOL },
    { "Max|math.reduce_max", build_reduce, FT_SQUEEZED_REFUSED, FT_LAYER_GLOBAL_MAX_POOL },
    { "Reshape|reshape", build_reshape, FT_SQUEEZED_ENDED, 0 },
    { "Squeeze|squeeze|compat.v1.squeeze", build_squeeze, FT_SQUEEZED_REFUSED, 0 },
    { "ExpandDims|expand_dims", build_expand, FT_SQUEEZED_ENDED, 0 },
    { "Transpose|transpose|compat.v1.transpose", build_transpose, FT_SQUEEZED_REFUSED, 0 },
    { "Pad|pad|compat.v1.pad", build_pad, FT_SQUEEZED_REFUSED, 0 },
    { 0 },
};
