/* Selections of rows, columns and channels, and changes of shape, as layers.
 *
 * A tensor that loses its last axis by an index (x[..., 0], of shape [h, w]) is kept as [h, w, 1]
 * and marked (ft_draft_layer.squeezed); stack and expand_dims accept it as it is. */
#include "keras/operation_steps.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/numbers.h"
#include <strings.h>

#include "keras/fields.h"

enum { MOST_CHANNELS = 4096, AXES = 4 };

/* start:stop:step along one axis of n positions, as Python counts; n 0: not known. */
struct range {
    bool whole, index;
    int start, step, count;
};

static int integer_of(const cJSON *value, int otherwise)
{
    return value && cJSON_IsNumber(value) && fabs(value->valuedouble) < 1 << 20
               ? (int)value->valuedouble
               : otherwise;
}

static bool range_of(const cJSON *item, int n, struct range *out)
{
    const cJSON *slice = ft_field(item, "config");
    slice = slice ? slice : item;
    if (cJSON_IsNumber(item)) {
        const int index = integer_of(item, 0);
        *out = (struct range){ false, true, index < 0 ? index + n : index, 1, 1 };
        return n ? out->start >= 0 && out->start < n : index >= 0;
    }
    const cJSON *start = ft_field(slice, "start"), *stop = ft_field(slice, "stop");
    const int step = integer_of(ft_field(slice, "step"), 1);
    *out = (struct range){ .whole = !start && !stop && step == 1, .step = step };
    if (out->whole)
        return true;
    if (!n || !step)
        return false;
    const int low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1;
    int from = integer_of(start, step > 0 ? 0 : n - 1),
        to = integer_of(stop, step > 0 ? n : -1 - n);
    from = ft_max(ft_min(from < 0 ? from + n : from, high), low);
    to = ft_max(ft_min(to < 0 ? to + n : to, high), low);
    out->start = from;
    out->count = step > 0 ? (to - from + step - 1) / step : (from - to - step - 1) / -step;
    return out->count > 0;
}

/* Rows and columns: cut off what is before and after, then take every step-th. */
static int add_crop(struct ft_build *b, int x, const struct range rows, const struct range columns,
                    const int size[2], int *out)
{
    const struct range r[2] = { rows, columns };
    int pad[4] = { 0 }, stride[2] = { 1, 1 }, rc;
    for (int i = 0; i < 2; i++) {
        if (r[i].whole)
            continue;
        if (r[i].index || r[i].step < 1)
            return ft_step_unsupported(b, "an index or a reversal of rows or columns");
        stride[i] = r[i].step;
        pad[2 * i] = r[i].start;
        pad[2 * i + 1] = size[i] - (r[i].start + (r[i].count - 1) * r[i].step + 1);
    }
    rc = ft_step_add(b, FT_LAYER_CROPPING, &x, 1, out);
    if (rc)
        return rc;
    memcpy(ft_step_layer(b, *out)->params.pad, pad, sizeof pad);
    if (stride[0] == 1 && stride[1] == 1)
        return 0;
    rc = ft_step_add(b, FT_LAYER_MAX_POOL, out, 1, out);
    if (!rc)
        memcpy(ft_step_layer(b, *out)->params.stride, stride, sizeof stride);
    return rc;
}

static bool is_ellipsis(const cJSON *item)
{
    const char *class = cJSON_GetStringValue(ft_field(item, "class_name"));
    return class && strstr(class, "ellipsis");
}

/* The items of x[...] for the axes batch, rows, columns, channels (of a vector batch, channels):
 * an ellipsis stands for as many whole axes as are lacking. */
static bool spread_items(const cJSON *list, int rank, const cJSON *items[AXES])
{
    const int given = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 1, axes = rank + 1;
    int n = 0;
    for (const cJSON *item = cJSON_IsArray(list) ? list->child : list; item; item = item->next) {
        const int times = is_ellipsis(item) ? axes - given + 1 : 1;
        for (int i = 0; i < times; i++) {
            if (n == axes)
                return false;
            items[n++] = is_ellipsis(item) ? NULL : item;
        }
        if (!cJSON_IsArray(list))
            break;
    }
    return n <= axes;
}

static int build_getitem(struct ft_build *b, const struct ft_keras_operation *operation, int *last)
{
    (void)operation;
    const int rank = ft_draft_rank(b->draft, b->x), channels = ft_draft_channels(b->draft, b->x);
    const cJSON *list = ft_argument_find(b->node, b->config, "slice_spec", 1), *items[AXES] = { 0 };
    list = list ? list : ft_argument_find(b->node, b->config, "key", -1);
    struct range r[AXES] = {
        { .whole = true }, { .whole = true }, { .whole = true }, { .whole = true }
    };
    int size[2] = { 0 };
    if (!list || rank < 0 || !spread_items(list, rank, items))
        return ft_step_unsupported(b, "this index of a tensor");
    ft_draft_size(b->draft, b->x, size);
    for (int i = 0; i <= rank; i++) {
        const int n = i == rank ? channels : i ? size[i - 1] : 0;
        if (items[i] && !range_of(items[i], n, &r[i]))
            return ft_step_unsupported(b, "this index of a tensor");
    }
    if (!r[0].whole)
        return ft_step_unsupported(b, "an index of the batch");
    *last = b->x;
    if (rank == 3 && (!r[1].whole || !r[2].whole)) {
        const int rc = add_crop(b, *last, r[1], r[2], size, last);
        if (rc)
            return rc;
    }
    const struct range *c = &r[rank];
    int from[MOST_CHANNELS];
    const int n = c->whole ? channels : c->count;
    if (c->whole && *last != b->x)
        return 0;
    if (c->whole)
        return ft_step_add(b, FT_LAYER_IDENTITY, &b->x, 1, last);
    if (!channels || channels > MOST_CHANNELS)
        return ft_step_unsupported(b, "an index of this many channels");
    for (int j = 0; j < n; j++)
        from[j] = c->start + j * c->step;
    const int rc = ft_step_selection(b, *last, from, n, channels, last);
    if (!rc)
        b->draft->layers[*last].squeezed = c->index;
    return rc;
}

/* -1, 3 of a map, 1 of a vector: the channels. */
static bool is_last_axis(const struct ft_build *b, const cJSON *axis)
{
    const cJSON *one = cJSON_IsArray(axis) && cJSON_GetArraySize(axis) == 1 ? axis->child : axis;
    return cJSON_IsNumber(one) &&
           (one->valuedouble == -1 || one->valuedouble == ft_draft_rank(b->draft, b->x));
}

static int build_flip(struct ft_build *b, const struct ft_keras_operation *operation, int *last)
{
    (void)operation;
    const int channels = ft_draft_channels(b->draft, b->x);
    int from[MOST_CHANNELS];
    if (!is_last_axis(b, ft_argument_find(b->node, b->config, "axis", 1)) || !channels ||
        channels > MOST_CHANNELS)
        return ft_step_unsupported(b, "a reversal of rows or columns");
    for (int j = 0; j < channels; j++)
        from[j] = channels - 1 - j;
    return ft_step_selection(b, b->x, from, channels, channels, last);
}

/* The channels of one part: sections of equal size, their sizes (tf.split), or the channels at
 * which they begin (keras.ops.split). */
static bool part_range(const cJSON *sections, bool sizes, int channels, int part, int *from,
                       int *to)
{
    if (cJSON_IsNumber(sections)) {
        const int n = integer_of(sections, 0);
        if (n < 1 || channels % n || part >= n)
            return false;
        *from = channels / n * part;
        *to = channels / n * (part + 1);
        return true;
    }
    if (!cJSON_IsArray(sections))
        return false;
    int at = 0, i = 0;
    *from = part ? -1 : 0;
    *to = sizes ? -1 : channels;
    for (const cJSON *item = sections->child; item; item = item->next, i++) {
        const int value = integer_of(item, -1);
        if (value < 0)
            return false;
        at = sizes ? at + value : value;
        if (i == part)
            *to = at;
        if (i + 1 == part)
            *from = at;
    }
    return *from >= 0 && *from < *to && *to <= channels;
}

/* One output of a split of the channels. */
static int build_split(struct ft_build *b, const struct ft_keras_operation *operation, int *last)
{
    (void)operation;
    const int channels = ft_draft_channels(b->draft, b->x);
    const cJSON *keras = ft_argument_find(b->node, b->config, "indices_or_sections", 1),
                *sections =
                    keras ? keras : ft_argument_find(b->node, b->config, "num_or_size_splits", 1);
    int from, to, list[MOST_CHANNELS];
    if (!is_last_axis(b, ft_argument_find(b->node, b->config, "axis", 2)) || !channels ||
        channels > MOST_CHANNELS ||
        !part_range(sections, !keras, channels, b->draft->layers[b->layer].part, &from, &to))
        return ft_step_unsupported(b, "this split of a tensor");
    for (int j = from; j < to; j++)
        list[j - from] = j;
    return ft_step_selection(b, b->x, list, to - from, channels, last);
}

/* One channel, without the axis. */
static int build_unstack(struct ft_build *b, const struct ft_keras_operation *operation, int *last)
{
    (void)operation;
    const int channels = ft_draft_channels(b->draft, b->x), part = b->draft->layers[b->layer].part;
    if (!is_last_axis(b, ft_argument_find(b->node, b->config, "axis", 2)) || part >= channels)
        return ft_step_unsupported(b, "this unstacking of a tensor");
    const int rc = ft_step_selection(b, b->x, &part, 1, channels, last);
    if (!rc)
        b->draft->layers[*last].squeezed = true;
    return rc;
}

/* Channels by a list of numbers. */
static int build_take(struct ft_build *b, const struct ft_keras_operation *operation, int *last)
{
    (void)operation;
    const int channels = ft_draft_channels(b->draft, b->x);
    const cJSON *list = ft_argument_find(b->node, b->config, "indices", 1);
    int from[MOST_CHANNELS], n = 0;
    if (!is_last_axis(b, ft_argument_find(b->node, b->config, "axis", 2)) || !list || !channels)
        return ft_step_unsupported(b, "this selection");
    for (const cJSON *item = cJSON_IsArray(list) ? list->child : list; item; item = item->next) {
        const int index = integer_of(item, -1 - channels);
        if (n == MOST_CHANNELS || index < -channels || index >= channels)
            return ft_step_unsupported(b, "this selection");
        from[n++] = index < 0 ? index + channels : index;
        if (!cJSON_IsArray(list))
            break;
    }
    return ft_step_selection(b, b->x, from, n, channels, last);
}

/* Channels again and again: tf.image.grayscale_to_rgb, repeat and tile along the last axis. */
static int build_repeat(struct ft_build *b, const struct ft_keras_operation *operation, int *last)
{
    const int channels = ft_draft_channels(b->draft, b->x), rank = ft_draft_rank(b->draft, b->x);
    const cJSON *times = ft_argument_find(b->node, b->config, "repeats", 1),
                *axis = ft_argument_find(b->node, b->config, "axis", 2);
    int n = integer_of(times, 0), from[MOST_CHANNELS];
    times = times ? times : ft_argument_find(b->node, b->config, "multiples", 1);
    bool fits = operation->detail || is_last_axis(b, axis);
    if (cJSON_IsArray(times) && !axis) { /* tile: one number for each axis, the last ones */
        int left = cJSON_GetArraySize(times);
        fits = left <= rank + 1;
        for (const cJSON *item = times->child; item; item = item->next, left--)
            fits = fits && (left == 1 || integer_of(item, 0) == 1), n = integer_of(item, 0);
    } else if (operation->detail)
        n = operation->detail;
    if (!fits || n < 1 || !channels || n > MOST_CHANNELS / channels)
        return ft_step_unsupported(b, "this repetition");
    const bool one_by_one = axis != NULL; /* repeat: aabb; tile: abab */
    for (int j = 0; j < n * channels; j++)
        from[j] = one_by_one ? j / n : j % channels;
    return ft_step_selection(b, b->x, from, n * channels, channels, last);
}

/* ---- shapes ---------------------------------------------------------------------------------- */

static int build_concatenate(struct ft_build *b, const struct ft_keras_operation *operation,
                             int *last)
{
    (void)operation;
    const struct ft_layer *own = ft_step_layer(b, b->layer);
    const cJSON *axis = ft_argument_find(b->node, b->config, "axis", 1);
    if (!axis || !is_last_axis(b, axis))
        return ft_step_unsupported(b, "joining tensors along another axis than the last");
    int inputs[64], rc;
    if (own->n_inputs > 64)
        return ft_step_unsupported(b, "joining more than 64 tensors");
    memcpy(inputs, own->inputs, (size_t)own->n_inputs * sizeof *inputs);
    rc = ft_step_add(b, FT_LAYER_CONCATENATE, inputs, own->n_inputs, last);
    if (!rc)
        b->draft->layers[*last].axis = -1;
    return rc;
}

/* Tensors without channels become the channels of one. */
static int build_stack(struct ft_build *b, const struct ft_keras_operation *operation, int *last)
{
    return b->squeezed ? build_concatenate(b, operation, last)
                       : ft_step_unsupported(b, "stacking tensors that have channels");
}

/* Means and maxima over rows and columns. */
static int build_reduce(struct ft_build *b, const struct ft_keras_operation *operation, int *last)
{
    const cJSON *axis = ft_argument_find(b->node, b->config, "axis", 1),
                *keep = ft_argument_find(b->node, b->config, "keepdims", 2);
    int seen = 0;
    for (const cJSON *item = cJSON_IsArray(axis) ? axis->child : NULL; item; item = item->next) {
        const int i = integer_of(item, 0);
        seen |= i == 1 || i == -3 ? 1 : i == 2 || i == -2 ? 2 : 4;
    }
    if (seen != 3 || ft_draft_rank(b->draft, b->x) != 3)
        return ft_step_unsupported(b, "a mean or maximum over other axes than rows and columns");
    const int rc = ft_step_add(b, (enum ft_layer_kind)operation->detail, &b->x, 1, last);
    if (!rc)
        ft_step_layer(b, *last)->params.keep_dims = cJSON_IsTrue(keep);
    return rc;
}

static int build_reshape(struct ft_build *b, const struct ft_keras_operation *operation, int *last)
{
    (void)operation;
    const cJSON *shape = ft_argument_find(b->node, b->config, "newshape", 1);
    shape = shape ? shape : ft_argument_find(b->node, b->config, "shape", 1);
    const int n = cJSON_GetArraySize(shape);
    if (!cJSON_IsArray(shape) || (n != 2 && n != 4))
        return ft_step_unsupported(b, "a reshape to other than a map or a vector");
    const int rc = ft_step_add(b, FT_LAYER_RESHAPE, &b->x, 1, last);
    if (rc)
        return rc;
    struct ft_layer_params *p = &ft_step_layer(b, *last)->params;
    p->rank = n - 1;
    const cJSON *item = shape->child->next;
    for (int i = 0; i < p->rank; i++, item = item->next)
        p->shape[i] = integer_of(item, -1);
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
    if (!b->squeezed || !is_last_axis(b, ft_argument_find(b->node, b->config, "axis", 1)))
        return ft_step_unsupported(b, "a new axis in this place");
    return ft_step_add(b, FT_LAYER_IDENTITY, &b->x, 1, last);
}

static int build_transpose(struct ft_build *b, const struct ft_keras_operation *operation,
                           int *last)
{
    (void)operation;
    const cJSON *axes = ft_argument_find(b->node, b->config, "axes", 1);
    axes = axes ? axes : ft_argument_find(b->node, b->config, "perm", 1);
    if (cJSON_GetArraySize(axes) != 4 || integer_of(axes->child, -1) != 0)
        return ft_step_unsupported(b, "this transposition");
    const int rc = ft_step_add(b, FT_LAYER_PERMUTE, &b->x, 1, last);
    if (rc)
        return rc;
    struct ft_layer_params *p = &ft_step_layer(b, *last)->params;
    const cJSON *item = axes->child->next;
    p->rank = 3;
    for (int i = 0; i < 3; i++, item = item->next)
        p->shape[i] = integer_of(item, 0);
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
            pad[n++] = integer_of(item, -1);
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
    { "GetItem|__operators__.getitem", build_getitem, FT_SQUEEZED_REFUSED, 0 },
    { "Flip|reverse", build_flip, FT_SQUEEZED_REFUSED, 0 },
    { "Take|compat.v1.gather|gather", build_take, FT_SQUEEZED_REFUSED, 0 },
    { "Repeat|Tile|repeat|tile", build_repeat, FT_SQUEEZED_REFUSED, 0 },
    { "image.grayscale_to_rgb", build_repeat, FT_SQUEEZED_REFUSED, 3 },
    { "Split|split", build_split, FT_SQUEEZED_REFUSED, FT_OPERATION_PARTS },
    { "Unstack|unstack", build_unstack, FT_SQUEEZED_REFUSED, FT_OPERATION_PARTS },
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
