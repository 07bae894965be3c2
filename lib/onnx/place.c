/* From a view to a layer: the layers that bring its values into the order of a network. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "onnx/import.h"

static int one(struct ft_import *x, enum ft_layer_kind kind, int input,
               const int64_t shape[FT_AXES], int *out)
{
    return ft_onnx_layer(x, kind, &input, 1, shape, out);
}

int ft_onnx_select(struct ft_import *x, int layer, const int64_t *from, int64_t n, int *out)
{
    const bool vector = ft_onnx_is_vector(x, layer);
    const int64_t *in = x->shapes[layer], shape[FT_AXES] = { in[0], in[1], n };
    const int64_t c = in[FT_AXIS_CHANNELS];
    int rc = one(x, vector ? FT_LAYER_DENSE : FT_LAYER_CONV2D, layer, shape, out);
    if (rc)
        return rc;
    float *kernel = vector ? ft_onnx_weight(x, *out, FT_W_KERNEL, 2, (int64_t[]){ c, n })
                           : ft_onnx_weight(x, *out, FT_W_KERNEL, 4, (int64_t[]){ 1, 1, c, n });
    if (!kernel)
        return FT_ENOMEM;
    memset(kernel, 0, (size_t)c * (size_t)n * sizeof *kernel);
    for (int64_t j = 0; j < n; j++)
        kernel[from[j] * n + j] = 1;
    ft_onnx_at(x, *out)->params.filters = ft_onnx_at(x, *out)->params.units = (int)n;
    return 0;
}

/* Number of values that the atoms of an axis select. */
static int64_t extent(const struct ft_view *v, enum ft_axis axis)
{
    int64_t n = 1;
    for (int i = 0; i < v->n; i++)
        n *= v->atoms[i].axis == axis ? v->atoms[i].size : 1;
    return n;
}

/* The smallest step between positions of an axis. */
static int64_t least_stride(const struct ft_view *v, enum ft_axis axis)
{
    int64_t least = 0;
    for (int i = 0; i < v->n; i++)
        if (v->atoms[i].axis == axis && (!least || v->atoms[i].stride < least))
            least = v->atoms[i].stride;
    return least ? least : 1;
}

/* The atoms of an axis must together count 0, 1, 2, ... times `step` in some order. */
static bool is_contiguous(const struct ft_view *v, enum ft_axis axis, int64_t step)
{
    const int64_t all = extent(v, axis);
    int64_t reached = 1;
    for (bool found = true; found && reached < all;) {
        found = false;
        for (int i = 0; i < v->n; i++)
            if (v->atoms[i].axis == axis && v->atoms[i].stride == reached * step) {
                reached *= v->atoms[i].size;
                found = true;
                break;
            }
    }
    return reached == all;
}

/* Where an axis of `length` positions can be split into `length / split` rows of `split` columns,
 * so that each atom counts rows or columns; 0: nowhere. */
static int64_t find_split(const struct ft_view *v, enum ft_axis axis, int64_t length)
{
    for (int i = 0; i < v->n; i++)
        for (int64_t parts = 1; v->atoms[i].axis == axis && parts <= 8; parts++) {
            const int64_t split = v->atoms[i].stride / parts;
            int64_t last = v->from[axis] % (split ? split : 1);
            bool fits = v->atoms[i].stride % parts == 0 && split > 1 && length % split == 0;
            for (int k = 0; fits && k < v->n; k++)
                if (v->atoms[k].axis == axis && v->atoms[k].stride % split)
                    last += (v->atoms[k].size - 1) * v->atoms[k].stride;
            if (fits && last < split)
                return split;
        }
    return 0;
}

/* A layer of one row (tokens) becomes a map, if the view selects tokens as rows and columns. */
static int split_tokens(struct ft_import *x, struct ft_view *v)
{
    const int64_t *in = x->shapes[v->layer];
    if (in[0] != 1 || is_contiguous(v, FT_AXIS_COLUMNS, least_stride(v, FT_AXIS_COLUMNS)))
        return 0;
    const int64_t split = find_split(v, FT_AXIS_COLUMNS, in[1]);
    if (!split)
        return 0;
    for (int i = 0; i < v->n; i++)
        if (v->atoms[i].axis == FT_AXIS_COLUMNS && v->atoms[i].stride % split == 0) {
            v->atoms[i].axis = FT_AXIS_ROWS;
            v->atoms[i].stride /= split;
        }
    v->from[FT_AXIS_ROWS] = v->from[FT_AXIS_COLUMNS] / split;
    v->from[FT_AXIS_COLUMNS] %= split;
    return ft_onnx_reshape(x, v->layer, (int64_t[]){ in[1] / split, split, in[2] }, &v->layer);
}

/* Cuts the rows and columns that a view does not select. */
static int crop(struct ft_import *x, struct ft_view *v)
{
    int64_t step[2], size[2];
    bool cut = false, sparse = false;
    const int64_t *in = x->shapes[v->layer];
    int64_t shape[FT_AXES] = { in[0], in[1], in[2] };
    for (int a = 0; a < 2; a++) {
        step[a] = least_stride(v, (enum ft_axis)a);
        if (!is_contiguous(v, (enum ft_axis)a, step[a]))
            return ft_onnx_refuse(x, "this order of rows and columns is not supported");
        size[a] = (extent(v, (enum ft_axis)a) - 1) * step[a] + 1;
        cut = cut || size[a] != in[a];
        sparse = sparse || step[a] > 1;
        shape[a] = size[a];
    }
    if (!cut && !sparse)
        return 0;
    const int pad[4] = { (int)v->from[0], (int)(in[0] - v->from[0] - size[0]), (int)v->from[1],
                         (int)(in[1] - v->from[1] - size[1]) };
    int rc = cut ? one(x, FT_LAYER_CROPPING, v->layer, shape, &v->layer) : 0;
    if (rc)
        return rc;
    if (cut)
        memcpy(ft_onnx_at(x, v->layer)->params.pad, pad, sizeof pad);
    for (int a = 0; a < 2; a++)
        shape[a] = extent(v, (enum ft_axis)a);
    if (sparse) {
        rc = one(x, FT_LAYER_MAX_POOL, v->layer, shape, &v->layer);
        if (rc)
            return rc;
        for (int a = 0; a < 2; a++)
            ft_onnx_at(x, v->layer)->params.stride[a] = (int)step[a];
    }
    for (int i = 0; i < v->n; i++)
        if (v->atoms[i].axis != FT_AXIS_CHANNELS)
            v->atoms[i].stride /= step[v->atoms[i].axis];
    v->from[0] = v->from[1] = 0;
    return 0;
}

/* The channels in the order in which the atoms count them; afterwards their strides are those of
 * this order. */
static int order_channels(struct ft_import *x, struct ft_view *v)
{
    const int64_t n = extent(v, FT_AXIS_CHANNELS), c = x->shapes[v->layer][FT_AXIS_CHANNELS];
    int64_t *from = ft_alloc((size_t)n, sizeof *from), stride = 1;
    bool all = n == c;
    if (!from)
        return ft_error_nomem(x->err, "channels");
    for (int64_t j = 0; j < n; j++) {
        int64_t rest = j;
        from[j] = v->from[FT_AXIS_CHANNELS];
        for (int i = v->n - 1; i >= 0; i--)
            if (v->atoms[i].axis == FT_AXIS_CHANNELS) {
                from[j] += rest % v->atoms[i].size * v->atoms[i].stride;
                rest /= v->atoms[i].size;
            }
        all = all && from[j] == j;
    }
    for (int i = v->n - 1; i >= 0; i--)
        if (v->atoms[i].axis == FT_AXIS_CHANNELS) {
            v->atoms[i].stride = stride;
            stride *= v->atoms[i].size;
        }
    v->from[FT_AXIS_CHANNELS] = 0;
    const int rc = all ? 0 : ft_onnx_select(x, v->layer, from, n, &v->layer);
    free(from);
    return rc;
}

/* Whether the atoms, in this order, count the axes in the order `axes` and each from the largest
 * stride to the smallest. */
static bool counts_in_order(const struct ft_view *v, const int *axes)
{
    int a = 0;
    int64_t last = INT64_MAX;
    for (int i = 0; i < v->n; i++) {
        while (a < FT_AXES && (int)v->atoms[i].axis != axes[a]) {
            a++;
            last = INT64_MAX;
        }
        if (a == FT_AXES || v->atoms[i].stride >= last)
            return false;
        last = v->atoms[i].stride;
    }
    return true;
}

/* A permutation of the axes of the layer, if one is needed. */
static int permute(struct ft_import *x, struct ft_view *v)
{
    static const int orders[6][FT_AXES] = { { 0, 1, 2 }, { 1, 0, 2 }, { 0, 2, 1 },
                                            { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
    int k = 0;
    while (k < 6 && !counts_in_order(v, orders[k]))
        k++;
    if (k == 6)
        return ft_onnx_reorder(x, v);
    if (!k)
        return 0;
    const int64_t *in = x->shapes[v->layer],
                  shape[FT_AXES] = { in[orders[k][0]], in[orders[k][1]], in[orders[k][2]] };
    const int wanted[FT_AXES] = { orders[k][0] + 1, orders[k][1] + 1, orders[k][2] + 1 };
    return ft_onnx_shaped(x, FT_LAYER_PERMUTE, v->layer, wanted, shape, &v->layer);
}

/* A global pooling that keeps axes of one pixel is made again as one that gives a vector. */
static int to_vector(struct ft_import *x, int layer, int64_t channels, int *out)
{
    const int64_t shape[FT_AXES] = { 1, 1, channels };
    const struct ft_layer *l = ft_onnx_at(x, layer);
    if (l->kind == FT_LAYER_GLOBAL_AVERAGE_POOL || l->kind == FT_LAYER_GLOBAL_MAX_POOL)
        return one(x, l->kind, l->inputs[0], shape, out);
    return one(x, FT_LAYER_FLATTEN, layer, shape, out);
}

int ft_onnx_place(struct ft_import *x, const struct ft_view *view, const enum ft_axis *roles,
                  bool vector, int *out)
{
    struct ft_view v = *view, to = *view;
    int first[FT_ONNX_RANK + 1];
    int64_t shape[FT_AXES] = { 1, 1, 1 };
    if (!ft_view_align(&v, first))
        return ft_onnx_refuse(x, "this shape of its input is not supported");
    to.n = 0;
    for (int a = 0; a < FT_AXES; a++)
        for (int d = 0; d < v.rank; d++) {
            if ((int)roles[d] != a)
                continue;
            shape[a] *= v.dims[d];
            for (int i = first[d]; i < first[d + 1]; i++)
                ft_view_append(&to, v.atoms[i]);
        }
    int rc = split_tokens(x, &to);
    rc = rc ? rc : crop(x, &to);
    rc = rc ? rc : order_channels(x, &to);
    rc = rc ? rc : permute(x, &to);
    if (rc)
        return rc;
    *out = to.layer;
    if (!vector)
        return ft_onnx_reshape(x, to.layer, shape, out);
    return ft_onnx_is_vector(x, to.layer) ? 0 : to_vector(x, to.layer, shape[2], out);
}

int ft_onnx_map(struct ft_import *x, const struct ft_view *view, int *out)
{
    static const enum ft_axis roles[] = { FT_AXIS_CHANNELS, FT_AXIS_CHANNELS, FT_AXIS_ROWS,
                                          FT_AXIS_COLUMNS };
    if (view->rank != 4)
        return ft_onnx_refuse(x, "an input of %d axes is not supported: only maps [1, c, h, w] are",
                              view->rank);
    return ft_onnx_place(x, view, roles, false, out);
}

void ft_onnx_roles_of(const struct ft_view *v, int channels, enum ft_axis *roles)
{
    int columns = channels == v->rank - 1 ? v->rank - 2 : v->rank - 1;
    for (int d = columns; v->rank < 4 && d >= 0; d--)
        if (d != channels && v->dims[d] > 1) {
            columns = d; /* tokens [t, 1, c] are a map of one row, like [1, t, c] */
            break;
        }
    for (int d = 0; d < v->rank; d++)
        roles[d] = d == channels ? FT_AXIS_CHANNELS : d == columns ? FT_AXIS_COLUMNS : FT_AXIS_ROWS;
}

int ft_onnx_channel_axis(const struct ft_view *view)
{
    struct ft_view v = *view;
    int first[FT_ONNX_RANK + 1];
    for (int d = 0; ft_view_align(&v, first) && d < v.rank; d++)
        if (ft_view_axes(&v, first, d) & 1u << FT_AXIS_CHANNELS)
            return d;
    return -1;
}

void ft_onnx_roles(const struct ft_view *view, enum ft_axis *roles)
{
    const int channels = ft_onnx_channel_axis(view);
    const bool first = view->rank == 4 && view->dims[1] == 1; /* [1, 1, h, w] of one channel */
    ft_onnx_roles_of(view, channels >= 0 ? channels : first ? 1 : view->rank - 1, roles);
}
