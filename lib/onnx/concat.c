/* Concat: channels, rows or columns side by side. */
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "onnx/import.h"

/* Parts side by side as rows or columns: each is padded with zeros to the whole, and added.
 * Constant parts are added at the end. */
static int join_pixels(struct ft_import *x, int axis, const enum ft_axis *roles, int64_t *dims,
                       int rank)
{
    enum { MOST = 64 };
    int parts[MOST], n = 0;
    int64_t start = 0;
    struct ft_constant offset = { .rank = rank };
    memcpy(offset.dims, dims, (size_t)rank * sizeof *dims);
    int rc = ft_onnx_new(x, &offset, false);
    if (rc)
        return rc;
    memset(offset.f, 0, offset.count * sizeof *offset.f);
    size_t inner = 1;
    for (int d = axis + 1; d < rank; d++)
        inner *= (size_t)dims[d];
    bool constants = false;
    for (size_t k = 0; k < x->node->n_input; k++) {
        const struct ft_onnx_value *in = ft_onnx_input(x, k);
        const int64_t length =
            in->kind == FT_ONNX_CONSTANT ? in->constant.dims[axis] : in->view.dims[axis];
        if (in->kind == FT_ONNX_CONSTANT) {
            const size_t width = (size_t)length * inner, all = (size_t)dims[axis] * inner;
            for (size_t i = 0; i < in->constant.count; i++)
                offset.f[i / width * all + (size_t)start * inner + i % width] =
                    (float)ft_constant_at(&in->constant, i);
            constants = true;
            start += length;
            continue;
        }
        const int a = roles[axis] == FT_AXIS_ROWS ? 0 : 1;
        int layer;
        rc = n == MOST ? ft_onnx_refuse(x, "too many inputs")
                       : ft_onnx_place(x, &in->view, roles, false, &layer);
        if (rc)
            return rc;
        int64_t shape[FT_AXES];
        memcpy(shape, x->shapes[layer], sizeof shape);
        shape[a] = dims[axis];
        const int from = layer;
        rc = ft_onnx_layer(x, FT_LAYER_ZERO_PAD, &from, 1, shape, &parts[n]);
        if (rc)
            return rc;
        int *pad = ft_onnx_at(x, parts[n])->params.pad;
        pad[2 * a] = (int)start;
        pad[2 * a + 1] = (int)(dims[axis] - start - length);
        start += length;
        n++;
    }
    if (n == 0)
        return ft_onnx_refuse(x, "all of its inputs are constants");
    int whole = parts[0];
    if (n > 1)
        rc = ft_onnx_layer(x, FT_LAYER_ADD, parts, n, x->shapes[parts[0]], &whole);
    if (rc)
        return rc;
    struct ft_view v = roles[1] == FT_AXIS_CHANNELS ? ft_view_first(whole, x->shapes[whole])
                                                    : ft_view_last(whole, x->shapes[whole]);
    if (!ft_view_reshape(&v, rank, dims))
        return ft_onnx_refuse(x, "this order of axes is not supported");
    if (constants)
        rc = ft_onnx_rescale(x, &v, NULL, &offset, &v);
    return rc ? rc : ft_onnx_set_view(x, 0, &v);
}

static int concat(struct ft_import *x, const struct ft_onnx_operator *row)
{
    enum { MOST = 256 };
    (void)row;
    const struct ft_view *pattern = NULL;
    int layers[MOST], n = 0;
    int64_t axis = ft_onnx_int(x->node, "axis", 1), dims[FT_ONNX_RANK], channels = 0;
    enum ft_axis roles[FT_ONNX_RANK];
    bool constants = false;
    for (size_t k = 0; k < x->node->n_input; k++) {
        const struct ft_onnx_value *in = ft_onnx_input(x, k);
        const bool view = in && in->kind == FT_ONNX_VIEW;
        if (view && (!pattern ||
                     (ft_onnx_channel_axis(pattern) < 0 && ft_onnx_channel_axis(&in->view) >= 0)))
            pattern = &in->view;
        constants = constants || (in && in->kind == FT_ONNX_CONSTANT);
    }
    const int rank = pattern ? pattern->rank : 0;
    axis += axis < 0 ? rank : 0;
    if (axis < 1 || axis >= rank || x->node->n_input > MOST)
        return ft_onnx_refuse(x, "its axis is not supported");
    memcpy(dims, pattern->dims, sizeof dims);
    dims[axis] = 0;
    for (size_t k = 0; k < x->node->n_input; k++) {
        const struct ft_onnx_value *in = ft_onnx_input(x, k);
        const int64_t *of = in && in->kind == FT_ONNX_VIEW       ? in->view.dims
                            : in && in->kind == FT_ONNX_CONSTANT ? in->constant.dims
                                                                 : NULL;
        if (!of || (in->kind == FT_ONNX_VIEW ? in->view.rank : in->constant.rank) != rank)
            return ft_onnx_refuse(x, "its inputs differ in their axes");
        for (int d = 0; d < rank; d++)
            if (d != axis && of[d] != dims[d])
                return ft_onnx_refuse(x, "its inputs differ in shape");
        dims[axis] += of[axis];
    }
    const bool vector = ft_view_is_vector(pattern);
    ft_onnx_roles(pattern, roles);
    if (roles[axis] != FT_AXIS_CHANNELS || constants)
        return join_pixels(x, (int)axis, roles, dims, rank);
    for (size_t k = 0; k < x->node->n_input; k++) {
        const int rc = ft_onnx_place(x, &ft_onnx_input(x, k)->view, roles, vector, &layers[n++]);
        if (rc)
            return rc;
        channels += x->shapes[layers[n - 1]][2];
    }
    const int64_t *of = x->shapes[layers[0]], shape[FT_AXES] = { of[0], of[1], channels };
    int layer;
    const int rc = ft_onnx_layer(x, FT_LAYER_CONCATENATE, layers, n, shape, &layer);
    if (rc)
        return rc;
    struct ft_view v = vector                         ? ft_view_vector(layer, channels)
                       : roles[1] == FT_AXIS_CHANNELS ? ft_view_first(layer, x->shapes[layer])
                                                      : ft_view_last(layer, x->shapes[layer]);
    return ft_view_reshape(&v, rank, dims)
               ? ft_onnx_set_view(x, 0, &v)
               : ft_onnx_refuse(x, "this change of shape is not supported");
}

const struct ft_onnx_operator ft_onnx_joins[] = { { "Concat", concat, 0 }, { 0 } };
