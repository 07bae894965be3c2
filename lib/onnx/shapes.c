/* Operators that move values: most of them change a view and need no layer. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "onnx/import.h"

static int set_or_refuse(struct ft_import *x, bool done, const struct ft_view *view)
{
    return done ? ft_onnx_set_view(x, 0, view)
                : ft_onnx_refuse(x, "this change of shape is not supported: export with a batch of "
                                    "one picture, or a dynamic batch");
}

static int identity(struct ft_import *x, const struct ft_onnx_operator *row)
{
    (void)row;
    return ft_onnx_set_view(x, 0, &ft_onnx_input(x, 0)->view);
}

/* A map in the order that the view counts it. */
static int make_map(struct ft_import *x, struct ft_view *v)
{
    enum ft_axis roles[FT_ONNX_RANK];
    int layer;
    ft_onnx_roles(v, roles);
    if (roles[1] != FT_AXIS_CHANNELS && roles[3] != FT_AXIS_CHANNELS)
        return ft_onnx_refuse(x, "channels between rows and columns are not supported here");
    const int rc = ft_onnx_place(x, v, roles, false, &layer);
    if (!rc)
        *v = roles[1] == FT_AXIS_CHANNELS ? ft_view_first(layer, x->shapes[layer])
                                          : ft_view_last(layer, x->shapes[layer]);
    return rc;
}

/* Gives a view the longest axes of which both its axes and those of `other` are parts. Returns
 * false if these are not the three of a map. */
static bool merge_axes(struct ft_view *v, const struct ft_view *other)
{
    int64_t dims[FT_ONNX_RANK + 1] = { 1 };
    int n = 1;
    for (int i = 0, k = 0; i < v->rank || k < other->rank;) {
        int64_t a = 1, b = 1;
        do {
            if (a <= b && i < v->rank)
                a *= v->dims[i++];
            else if (k < other->rank)
                b *= other->dims[k++];
            else
                return false;
        } while (a != b);
        if (a > 1)
            dims[n++] = a;
    }
    return n == 4 && ft_view_reshape(v, n, dims);
}

static int reshape(struct ft_import *x, const struct ft_onnx_operator *row)
{
    (void)row;
    struct ft_view v = ft_onnx_input(x, 0)->view;
    int64_t dims[FT_ONNX_RANK], known = 1;
    const bool zero = ft_onnx_int(x->node, "allowzero", 0);
    const int n = ft_onnx_ints(x, "shape", 1, dims, FT_ONNX_RANK);
    int open = -1;
    if (n < 1)
        return ft_onnx_refuse(x, "its shape is not a constant");
    for (int i = 0; i < n; i++) {
        if (!dims[i] && !zero && i < v.rank)
            dims[i] = v.dims[i];
        if (dims[i] == -1)
            open = i;
        else if (dims[i] < 1 || __builtin_mul_overflow(known, dims[i], &known))
            return ft_onnx_refuse(x, "its shape is not valid");
    }
    if (open >= 0)
        dims[open] = ft_view_count(&v) / known;
    struct ft_view map = v;
    bool done = ft_view_reshape(&v, n, dims);
    struct ft_view aligned = v;
    int first[FT_ONNX_RANK + 1];
    if (done && n > 4 && !ft_view_align(&aligned, first) && merge_axes(&map, &v)) {
        /* a map in windows becomes one in windows of another size */
        const int rc = make_map(x, &map);
        if (rc && rc != FT_EUNSUPPORTED)
            return rc;
        if (!rc) { /* else a later reshape may restore the axes */
            v = map;
            done = ft_view_reshape(&v, n, dims);
        }
    }
    return set_or_refuse(x, done, &v);
}

static int flatten(struct ft_import *x, const struct ft_onnx_operator *row)
{
    (void)row;
    struct ft_view v = ft_onnx_input(x, 0)->view;
    int64_t axis = ft_onnx_int(x->node, "axis", 1), dims[2] = { 1, 1 };
    axis += axis < 0 ? v.rank : 0;
    for (int d = 0; d < v.rank; d++)
        dims[d >= axis] *= v.dims[d];
    return set_or_refuse(x, ft_view_reshape(&v, 2, dims), &v);
}

static int transpose(struct ft_import *x, const struct ft_onnx_operator *row)
{
    (void)row;
    struct ft_view v = ft_onnx_input(x, 0)->view;
    int64_t given[FT_ONNX_RANK];
    int order[FT_ONNX_RANK], n = ft_onnx_ints(x, "perm", -1, given, FT_ONNX_RANK);
    unsigned seen = 0;
    for (int d = 0; d < v.rank; d++) {
        const int64_t from = n == -1 ? v.rank - 1 - d : d < n ? given[d] : -1;
        order[d] = (int)from;
        seen |= from >= 0 && from < v.rank ? 1u << from : 0;
    }
    if (seen != (1u << v.rank) - 1)
        return ft_onnx_refuse(x, "its permutation is not valid");
    return set_or_refuse(x, ft_view_transpose(&v, order), &v);
}

static int squeeze(struct ft_import *x, const struct ft_onnx_operator *row)
{
    (void)row;
    struct ft_view v = ft_onnx_input(x, 0)->view;
    int64_t axes[FT_ONNX_RANK], dims[FT_ONNX_RANK];
    const int n = ft_onnx_ints(x, "axes", 1, axes, FT_ONNX_RANK);
    int rank = 0;
    if (n == -2)
        return ft_onnx_refuse(x, "its axes are not constants");
    for (int d = 0; d < v.rank; d++) {
        bool gone = n == -1 && v.dims[d] == 1;
        for (int i = 0; i < n; i++)
            gone = gone || axes[i] == d || axes[i] == d - v.rank;
        if (!gone)
            dims[rank++] = v.dims[d];
    }
    return set_or_refuse(x, ft_view_reshape(&v, rank, dims), &v);
}

static int unsqueeze(struct ft_import *x, const struct ft_onnx_operator *row)
{
    (void)row;
    struct ft_view v = ft_onnx_input(x, 0)->view;
    int64_t axes[FT_ONNX_RANK], dims[FT_ONNX_RANK];
    const int n = ft_onnx_ints(x, "axes", 1, axes, FT_ONNX_RANK), rank = v.rank + n;
    if (n < 1 || rank > FT_ONNX_RANK)
        return ft_onnx_refuse(x, "its axes are not constants");
    for (int d = 0, from = 0; d < rank; d++) {
        bool added = false;
        for (int i = 0; i < n; i++)
            added = added || axes[i] == d || axes[i] == d - rank;
        if (!added && from == v.rank)
            return ft_onnx_refuse(x, "its axes are not valid");
        dims[d] = added ? 1 : v.dims[from++];
    }
    return set_or_refuse(x, ft_view_reshape(&v, rank, dims), &v);
}

/* ---- parts ----------------------------------------------------------------------------------- */

/* A part of axis d. If it cannot be a view, the channels are brought into the order of the view
 * first. */
static int part(struct ft_import *x, struct ft_view *v, int d, int64_t start, int64_t size,
                int64_t step)
{
    if (ft_view_slice(v, d, start, size, step))
        return 0;
    if (v->rank != 4)
        return ft_onnx_refuse(x, "this part of its input is not supported");
    const int rc = make_map(x, v);
    if (rc)
        return rc;
    return ft_view_slice(v, d, start, size, step)
               ? 0
               : ft_onnx_refuse(x, "this part of its input is not supported");
}

static int split(struct ft_import *x, const struct ft_onnx_operator *row)
{
    enum { MOST = 64 };
    (void)row;
    const struct ft_view in = ft_onnx_input(x, 0)->view;
    int64_t sizes[MOST], axis = ft_onnx_int(x->node, "axis", 0), start = 0;
    const size_t outputs = x->node->n_output;
    axis += axis < 0 ? in.rank : 0;
    const int n = ft_onnx_ints(x, "split", 1, sizes, MOST);
    if (axis < 0 || axis >= in.rank || outputs > MOST || n == -2 ||
        (n >= 0 && (size_t)n != outputs))
        return ft_onnx_refuse(x, "its sizes or its axis are not valid");
    const int64_t all = in.dims[axis], each = (all + (int64_t)outputs - 1) / (int64_t)outputs;
    for (size_t k = 0; k < outputs; k++) {
        struct ft_view v = in;
        const int64_t size = n >= 0 ? sizes[k] : all - start < each ? all - start : each;
        if (size < 1 || size > all - start)
            return ft_onnx_refuse(x, "its sizes are not valid");
        int rc = part(x, &v, (int)axis, start, size, 1);
        rc = rc ? rc : ft_onnx_set_view(x, k, &v);
        if (rc)
            return rc;
        start += size;
    }
    return 0;
}

static int64_t limited(int64_t v, int64_t n)
{
    v += v < 0 ? n : 0;
    return v < 0 ? 0 : v > n ? n : v;
}

static int slice(struct ft_import *x, const struct ft_onnx_operator *row)
{
    (void)row;
    struct ft_view v = ft_onnx_input(x, 0)->view;
    int64_t starts[FT_ONNX_RANK], ends[FT_ONNX_RANK], axes[FT_ONNX_RANK], steps[FT_ONNX_RANK];
    const int n = ft_onnx_ints(x, "starts", 1, starts, FT_ONNX_RANK),
              m = ft_onnx_ints(x, "ends", 2, ends, FT_ONNX_RANK),
              a = ft_onnx_ints(x, "axes", 3, axes, FT_ONNX_RANK),
              s = ft_onnx_ints(x, "steps", 4, steps, FT_ONNX_RANK);
    if (n < 0 || m != n || (a != n && a != -1) || (s != n && s != -1))
        return ft_onnx_refuse(x, "its range is not a constant");
    for (int i = 0; i < n; i++) {
        int64_t d = a < 0 ? i : axes[i];
        const int64_t step = s < 0 ? 1 : steps[i];
        d += d < 0 ? v.rank : 0;
        if (d < 0 || d >= v.rank || step < 1)
            return ft_onnx_refuse(x, "its range is not valid, or runs backwards");
        const int64_t from = limited(starts[i], v.dims[d]), to = limited(ends[i], v.dims[d]);
        if (from >= to)
            return ft_onnx_refuse(x, "its range is empty");
        const int rc = part(x, &v, (int)d, from, (to - from + step - 1) / step, step);
        if (rc)
            return rc;
    }
    return ft_onnx_set_view(x, 0, &v);
}

/* Channels in any order, by a convolution of one pixel. */
static int gather_channels(struct ft_import *x, struct ft_view *v, int axis,
                           const struct ft_constant *index)
{
    enum ft_axis roles[FT_ONNX_RANK];
    int64_t *from = ft_alloc(index->count, sizeof *from);
    int layer, rc = from ? 0 : ft_error_nomem(x->err, "indices");
    ft_onnx_roles(v, roles);
    if (!rc && (roles[axis] != FT_AXIS_CHANNELS || (v->rank != 4 && v->rank != 2)))
        rc = ft_onnx_refuse(x, "indices of rows and columns that do not rise evenly are not "
                               "supported");
    for (size_t k = 0; !rc && k < index->count; k++) {
        from[k] = index->i[k] + (index->i[k] < 0 ? v->dims[axis] : 0);
        if (from[k] < 0 || from[k] >= v->dims[axis])
            rc = ft_onnx_refuse(x, "an index is not valid");
    }
    rc = rc ? rc : ft_onnx_place(x, v, roles, ft_view_is_vector(v), &layer);
    rc = rc ? rc : ft_onnx_select(x, layer, from, (int64_t)index->count, &layer);
    free(from);
    if (rc)
        return rc;
    *v = ft_view_is_vector(v) ? ft_view_vector(layer, x->shapes[layer][2])
         : axis == 1          ? ft_view_first(layer, x->shapes[layer])
                              : ft_view_last(layer, x->shapes[layer]);
    return 0;
}

/* Of one index: a slice without its axis. Indices of several axes replace the axis by those. */
static int gather(struct ft_import *x, const struct ft_onnx_operator *row)
{
    (void)row;
    struct ft_view v = ft_onnx_input(x, 0)->view;
    const struct ft_constant *index = ft_onnx_constant(x, 1, 0);
    int64_t axis = ft_onnx_int(x->node, "axis", 0), dims[FT_ONNX_RANK];
    int rank = 0;
    axis += axis < 0 ? v.rank : 0;
    if (!index || !index->i || axis < 0 || axis >= v.rank || !index->count ||
        v.rank - 1 + index->rank > FT_ONNX_RANK)
        return ft_onnx_refuse(x, "its indices are not constants");
    const int64_t first = index->i[0] + (index->i[0] < 0 ? v.dims[axis] : 0),
                  step = index->count > 1 ? index->i[1] - index->i[0] : 1,
                  size = (int64_t)index->count;
    bool even = step >= 1;
    for (int64_t k = 0; k < size; k++)
        even = even && index->i[k] == index->i[0] + k * step;
    if (even && (first < 0 || first >= v.dims[axis] || size > v.dims[axis] || step > v.dims[axis] ||
                 first + (size - 1) * step >= v.dims[axis]))
        return ft_onnx_refuse(x, "an index is not valid");
    const int rc =
        even ? part(x, &v, (int)axis, first, size, step) : gather_channels(x, &v, (int)axis, index);
    if (rc)
        return rc;
    for (int d = 0; d < v.rank; d++)
        for (int k = 0; k < (d == axis ? index->rank : 1); k++)
            dims[rank++] = d == axis ? index->dims[k] : v.dims[d];
    return set_or_refuse(x, ft_view_reshape(&v, rank, dims), &v);
}

/* Only to the shape that the input has. */
static int expand(struct ft_import *x, const struct ft_onnx_operator *row)
{
    (void)row;
    const struct ft_view *v = &ft_onnx_input(x, 0)->view;
    int64_t dims[FT_ONNX_RANK];
    const int n = ft_onnx_ints(x, "shape", 1, dims, FT_ONNX_RANK);
    bool same = n >= 0 && n <= v->rank;
    for (int d = 0; same && d < n; d++)
        same = dims[d] == 1 || dims[d] == v->dims[v->rank - n + d];
    return same ? ft_onnx_set_view(x, 0, v) : ft_onnx_refuse(x, "only constants can be repeated");
}

const struct ft_onnx_operator ft_onnx_shapes[] = {
    { "Identity", identity, 0 },
    { "Dropout", identity, 0 },
    { "Cast", identity, 0 },
    { "Reshape", reshape, 0 },
    { "Flatten", flatten, 0 },
    { "Transpose", transpose, 0 },
    { "Squeeze", squeeze, 0 },
    { "Unsqueeze", unsqueeze, 0 },
    { "Split", split, 0 },
    { "Slice", slice, 0 },
    { "Gather", gather, 0 },
    { "Expand", expand, 0 },
    { 0 },
};
