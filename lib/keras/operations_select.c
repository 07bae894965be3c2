/* Selections of rows, columns and channels, as layers.
 *
 * A tensor that loses its last axis by an index (x[..., 0], of shape [h, w]) is kept as [h, w, 1]
 * and marked (ft_draft_layer.squeezed); stack and expand_dims accept it as it is. */
#include "keras/axes.h"

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

static bool range_of(const cJSON *item, int n, struct range *out)
{
    const cJSON *slice = ft_field(item, "config");
    slice = slice ? slice : item;
    if (cJSON_IsNumber(item)) {
        const int index = ft_step_integer(item, 0);
        *out = (struct range){ false, true, index < 0 ? index + n : index, 1, 1 };
        return n ? out->start >= 0 && out->start < n : index >= 0;
    }
    const cJSON *start = ft_field(slice, "start"), *stop = ft_field(slice, "stop");
    const int step = ft_step_integer(ft_field(slice, "step"), 1);
    *out = (struct range){ .whole = !start && !stop && step == 1, .step = step };
    if (out->whole)
        return true;
    if (!n || !step)
        return false;
    const int low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1;
    int from = ft_step_integer(start, step > 0 ? 0 : n - 1),
        to = ft_step_integer(stop, step > 0 ? n : -1 - n);
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

/* The ranges of x[...] on the axes batch, rows, columns and channels; of a vector, batch and
 * channels. Tokens have no rows. */
static int read_ranges(struct ft_build *b, int rank, int channels, const int size[2],
                       struct range r[AXES])
{
    const bool tokens = ft_draft_tokens(b->draft, b->x);
    const cJSON *list = ft_argument_find(b->node, b->config, "slice_spec", 1), *items[AXES] = { 0 };
    list = list ? list : ft_argument_find(b->node, b->config, "key", -1);
    if (!list || rank < 0 || !spread_items(list, tokens ? 2 : rank, items))
        return ft_step_unsupported(b, "this index of a tensor");
    if (tokens) {
        items[3] = items[2];
        items[2] = items[1];
        items[1] = NULL;
    }
    for (int i = 0; i <= rank; i++) {
        const int n = i == rank ? channels : i ? size[i - 1] : 0;
        r[i] = (struct range){ .whole = true };
        if (items[i] && !range_of(items[i], n, &r[i]))
            return ft_step_unsupported(b, "this index of a tensor");
    }
    return 0;
}

/* x[:, 3] of tokens: one of them, as a vector. */
static int take_token(struct ft_build *b, struct range token, const int size[2], int *last)
{
    const struct range rows = { .whole = true };
    token.index = false;
    const int rc = add_crop(b, *last, rows, token, size, last);
    return rc ? rc : ft_step_add(b, FT_LAYER_FLATTEN, last, 1, last);
}

/* The ranges r of the batch, rows, columns and channels; of a vector, batch and channels. */
static int select_ranges(struct ft_build *b, int rank, int channels, const int size[2],
                         const struct range r[AXES], int *last)
{
    if (!r[0].whole)
        return ft_step_unsupported(b, "an index of the batch");
    *last = b->x;
    int rc = 0;
    if (rank == 3 && r[2].index && size[1] && ft_draft_tokens(b->draft, b->x))
        rc = take_token(b, r[2], size, last);
    else if (rank == 3 && (!r[1].whole || !r[2].whole))
        rc = add_crop(b, *last, r[1], r[2], size, last);
    if (rc)
        return rc;
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
    rc = ft_step_selection(b, *last, from, n, channels, last);
    if (!rc)
        b->draft->layers[*last].squeezed = c->index;
    return rc;
}

static int build_getitem(struct ft_build *b, const struct ft_keras_operation *operation, int *last)
{
    (void)operation;
    const int rank = ft_draft_rank(b->draft, b->x), channels = ft_draft_channels(b->draft, b->x);
    struct range r[AXES] = { { .whole = false } };
    int size[2] = { 0 };
    ft_draft_size(b->draft, b->x, size);
    const int rc = read_ranges(b, rank, channels, size, r);
    return rc ? rc : select_ranges(b, rank, channels, size, r, last);
}

/* keras.ops.slice: where it begins and how many values it takes, along all axes. */
static int build_slice(struct ft_build *b, const struct ft_keras_operation *operation, int *last)
{
    (void)operation;
    const cJSON *starts = ft_argument_find(b->node, b->config, "start_indices", 1),
                *shape = ft_argument_find(b->node, b->config, "shape", 2);
    const int rank = ft_draft_rank(b->draft, b->x), channels = ft_draft_channels(b->draft, b->x);
    int size[2] = { 0 }, lengths[3], axes = ft_axes_of(b, b->x, lengths);
    struct range r[AXES] = {
        { .whole = true }, { .whole = true }, { .whole = true }, { .whole = true }
    };
    if (cJSON_GetArraySize(starts) != axes + 1 || cJSON_GetArraySize(shape) != axes + 1 ||
        ft_step_integer(starts->child, -1) != 0)
        return ft_step_unsupported(b, "this slice");
    for (int i = 0; i < axes; i++) {
        const int from = ft_step_integer(cJSON_GetArrayItem(starts, i + 1), -1),
                  given = ft_step_integer(cJSON_GetArrayItem(shape, i + 1), 0),
                  n = given == -1 ? lengths[i] - from : given;
        if (from < 0 || n < 1 || from > lengths[i] - n)
            return ft_step_unsupported(b, "this slice");
        if (n < lengths[i])
            r[rank - axes + i + 1] = (struct range){ .start = from, .step = 1, .count = n };
    }
    ft_draft_size(b->draft, b->x, size);
    return select_ranges(b, rank, channels, size, r, last);
}

static int build_flip(struct ft_build *b, const struct ft_keras_operation *operation, int *last)
{
    (void)operation;
    const int channels = ft_draft_channels(b->draft, b->x);
    int from[MOST_CHANNELS];
    if (!ft_step_last_axis(b, ft_argument_find(b->node, b->config, "axis", 1)) || !channels ||
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
        const int n = ft_step_integer(sections, 0);
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
        const int value = ft_step_integer(item, -1);
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
    if (!ft_step_last_axis(b, ft_argument_find(b->node, b->config, "axis", 2)) || !channels ||
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
    if (!ft_step_last_axis(b, ft_argument_find(b->node, b->config, "axis", 2)) || part >= channels)
        return ft_step_unsupported(b, "this unstacking of a tensor");
    const int rc = ft_step_selection(b, b->x, &part, 1, channels, last);
    if (!rc)
        b->draft->layers[*last].squeezed = true;
    return rc;
}

/* Indices along an axis of n positions: a number or a list. Returns their number, -1: not valid. */
static int read_indices(const cJSON *list, int n, int from[MOST_CHANNELS])
{
    int count = 0;
    for (const cJSON *item = cJSON_IsArray(list) ? list->child : list; item; item = item->next) {
        const int index = ft_step_integer(item, -1 - n);
        if (count == MOST_CHANNELS || index < -n || index >= n)
            return -1;
        from[count++] = index < 0 ? index + n : index;
        if (!cJSON_IsArray(list))
            break;
    }
    return count ? count : -1;
}

/* Positions along one axis. A single number removes the axis. */
static int build_take(struct ft_build *b, const struct ft_keras_operation *operation, int *last)
{
    (void)operation;
    const cJSON *list = ft_argument_find(b->node, b->config, "indices", 1);
    int from[MOST_CHANNELS], lengths[3],
        axis = ft_step_integer(ft_argument_find(b->node, b->config, "axis", 2), 0);
    const int axes = ft_axes_of(b, b->x, lengths), size[2] = { 1, lengths[0] };
    axis = axis < 0 ? axis + axes + 1 : axis;
    const int n = axis < 1 || axis > axes ? -1 : read_indices(list, lengths[axis - 1], from);
    if (n < 0)
        return ft_step_unsupported(b, "this selection");
    *last = b->x;
    if (axis < axes && !cJSON_IsArray(list))
        return axes == 2 ? take_token(b, (struct range){ .start = *from, .step = 1, .count = 1 },
                                      size, last)
                         : ft_step_unsupported(b, "an index of rows or columns");
    int rc = axis < axes ? ft_axes_swap(b, b->x, axis, last) : 0;
    rc = rc ? rc : ft_step_selection(b, *last, from, n, lengths[axis - 1], last);
    if (!rc && axis < axes)
        return ft_axes_swap(b, *last, axis, last);
    b->draft->layers[*last].squeezed = !cJSON_IsArray(list);
    return rc;
}

/* Channels again and again: tf.image.grayscale_to_rgb, repeat and tile along the last axis. */
static int build_repeat(struct ft_build *b, const struct ft_keras_operation *operation, int *last)
{
    const int channels = ft_draft_channels(b->draft, b->x), rank = ft_draft_rank(b->draft, b->x);
    const cJSON *times = ft_argument_find(b->node, b->config, "repeats", 1),
                *axis = ft_argument_find(b->node, b->config, "axis", 2);
    int n = ft_step_integer(times, 0), from[MOST_CHANNELS];
    times = times ? times : ft_argument_find(b->node, b->config, "multiples", 1);
    bool fits = operation->detail || ft_step_last_axis(b, axis);
    if (cJSON_IsArray(times) && !axis) { /* tile: one number for each axis, the last ones */
        int left = cJSON_GetArraySize(times);
        fits = left <= rank + 1;
        for (const cJSON *item = times->child; item; item = item->next, left--)
            fits = fits && (left == 1 || ft_step_integer(item, 0) == 1),
            n = ft_step_integer(item, 0);
    } else if (operation->detail)
        n = operation->detail;
    if (!fits || n < 1 || !channels || n > MOST_CHANNELS / channels)
        return ft_step_unsupported(b, "this repetition");
    const bool one_by_one = axis != NULL; /* repeat: aabb; tile: abab */
    for (int j = 0; j < n * channels; j++)
        from[j] = one_by_one ? j / n : j % channels;
    return ft_step_selection(b, b->x, from, n * channels, channels, last);
}

const struct ft_keras_operation ft_selection_operations[] = {
    { "GetItem|__operators__.getitem", build_getitem, FT_SQUEEZED_REFUSED, 0 },
    { "Slice|slice", build_slice, FT_SQUEEZED_REFUSED, 0 },
    { "Flip|reverse", build_flip, FT_SQUEEZED_REFUSED, 0 },
    { "Take|compat.v1.gather|gather", build_take, FT_SQUEEZED_REFUSED, 0 },
    { "Repeat|Tile|repeat|tile", build_repeat, FT_SQUEEZED_REFUSED, 0 },
    { "image.grayscale_to_rgb", build_repeat, FT_SQUEEZED_REFUSED, 3 },
    { "Split|split", build_split, FT_SQUEEZED_REFUSED, FT_OPERATION_PARTS },
    { "Unstack|unstack", build_unstack, FT_SQUEEZED_REFUSED, FT_OPERATION_PARTS },
    { 0 },
};
