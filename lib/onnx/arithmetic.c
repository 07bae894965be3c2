/* Sums, products and means: of two layers, or of a layer and a constant. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "onnx/import.h"

/* ---- binary operators ------------------------------------------------------------------------ */

/* Repeating a layer over more axes than it has is not supported, nor is a constant that is larger
 * than the layer. */
static bool covers(const struct ft_view *v, const struct ft_constant *c)
{
    for (int d = 0; d < c->rank; d++) {
        const int there = v->rank - c->rank + d;
        if (c->dims[d] != 1 && (there < 0 || c->dims[d] != v->dims[there]))
            return false;
    }
    return true;
}

static int with_constant(struct ft_import *x, const struct ft_view *v, const struct ft_constant *c,
                         int kind, bool reversed, struct ft_view *out)
{
    float minus = -1;
    const struct ft_constant negative = { .count = 1, .f = &minus };
    struct ft_constant values = *c;
    if (!c->count || !covers(v, c))
        return ft_onnx_refuse(x, "its constant has another shape than its other input");
    int rc = ft_onnx_new(x, &values, false);
    if (rc)
        return rc;
    const bool divides = kind == 'D', subtracts = kind == FT_LAYER_SUBTRACT && !reversed;
    for (size_t i = 0; i < c->count; i++) {
        const double value = ft_constant_at(c, i);
        values.f[i] = (float)(divides ? 1 / value : subtracts ? -value : value);
    }
    if (kind == FT_LAYER_MULTIPLY || (divides && !reversed))
        rc = ft_onnx_rescale(x, v, &values, NULL, out);
    else if (kind == FT_LAYER_ADD || subtracts)
        rc = ft_onnx_rescale(x, v, NULL, &values, out);
    else if (kind == FT_LAYER_SUBTRACT)
        rc = ft_onnx_rescale(x, v, &negative, &values, out);
    else if (kind == FT_LAYER_MAXIMUM || kind == FT_LAYER_MINIMUM)
        rc = ft_onnx_limit(x, v, &values, kind == FT_LAYER_MINIMUM, out);
    else if (!(rc = ft_onnx_invert(x, v, out))) /* a quotient of the constant and the layer */
        rc = ft_onnx_rescale(x, out, c, NULL, out);
    return rc;
}

/* One value for each pixel is repeated over n channels. */
static int repeat_channel(struct ft_import *x, int64_t n, int *layer)
{
    int64_t *from = ft_alloc_zero((size_t)n, sizeof *from);
    const int rc =
        from ? ft_onnx_select(x, *layer, from, n, layer) : ft_error_nomem(x->err, "channels");
    free(from);
    return rc;
}

int ft_onnx_of_layers(struct ft_import *x, const struct ft_view *a, const struct ft_view *b,
                      enum ft_layer_kind kind, struct ft_view *out)
{
    const bool swap =
        b->rank > a->rank || (b->rank == a->rank && ft_view_count(b) > ft_view_count(a));
    const struct ft_view *large = swap ? b : a;
    struct ft_view small = swap ? *a : *b, v = *large;
    int64_t dims[FT_ONNX_RANK] = { 0 };
    for (int d = 0; d < v.rank; d++)
        dims[d] = d < v.rank - small.rank ? 1 : small.dims[d - (v.rank - small.rank)];
    ft_view_reshape(&small, v.rank, dims);
    for (int d = 0; d < v.rank; d++)
        if (dims[d] != 1 && dims[d] != v.dims[d])
            return ft_onnx_refuse(x, "its inputs differ in shape");
    int layers[2] = { v.layer, small.layer }, layer, rc = 0;
    const int64_t *s = x->shapes[v.layer], *t = x->shapes[small.layer];
    const bool same = ft_view_congruent(&v, &small) && s[0] == t[0] && s[1] == t[1] &&
                      s[2] == t[2] &&
                      ft_onnx_is_vector(x, v.layer) == ft_onnx_is_vector(x, small.layer);
    if (!same) {
        enum ft_axis roles[FT_ONNX_RANK];
        const bool vector = ft_view_is_vector(&v);
        ft_onnx_roles(&v, roles);
        rc = ft_onnx_place(x, &v, roles, vector, &layers[0]);
        rc = rc ? rc : ft_onnx_place(x, &small, roles, vector, &layers[1]);
        if (rc)
            return rc;
        const int64_t rank = v.rank, *shape = x->shapes[layers[0]];
        v = vector                         ? ft_view_vector(layers[0], shape[2])
            : roles[1] == FT_AXIS_CHANNELS ? ft_view_first(layers[0], shape)
                                           : ft_view_last(layers[0], shape);
        if (!ft_view_reshape(&v, (int)rank, large->dims))
            return ft_onnx_refuse(x, "this order of axes is not supported");
        if (x->shapes[layers[1]][2] == 1 && shape[2] > 1)
            rc = repeat_channel(x, shape[2], &layers[1]);
    }
    if (swap) {
        const int first = layers[0];
        layers[0] = layers[1];
        layers[1] = first;
    }
    if (!rc && kind == FT_LAYER_SUBTRACT && !same) { /* only sums repeat an input */
        rc = ft_onnx_scaled(x, layers[1], -1, 0, &layers[1]);
        kind = FT_LAYER_ADD;
    }
    rc = rc ? rc : ft_onnx_layer(x, kind, layers, 2, x->shapes[v.layer], &layer);
    if (rc)
        return rc;
    v.layer = layer;
    *out = v;
    return 0;
}

static int quotient(struct ft_import *x, const struct ft_view *a, const struct ft_view *b,
                    struct ft_view *out)
{
    struct ft_view inverse;
    const int rc = ft_onnx_invert(x, b, &inverse);
    return rc ? rc : ft_onnx_of_layers(x, a, &inverse, FT_LAYER_MULTIPLY, out);
}

static int binary(struct ft_import *x, const struct ft_onnx_operator *row)
{
    struct ft_onnx_value sum = *ft_onnx_input(x, 0);
    for (size_t k = 1; k < x->node->n_input; k++) {
        const struct ft_onnx_value *b = ft_onnx_input(x, k);
        int rc;
        if (!b || (sum.kind == FT_ONNX_CONSTANT && b->kind == FT_ONNX_CONSTANT))
            return ft_onnx_refuse(x, "an input is absent, or the first two are constants");
        if (sum.kind == FT_ONNX_CONSTANT)
            rc = with_constant(x, &b->view, &sum.constant, row->detail, true, &sum.view);
        else if (b->kind == FT_ONNX_CONSTANT)
            rc = with_constant(x, &sum.view, &b->constant, row->detail, false, &sum.view);
        else if (row->detail == 'D')
            rc = quotient(x, &sum.view, &b->view, &sum.view);
        else
            rc = ft_onnx_of_layers(x, &sum.view, &b->view, (enum ft_layer_kind)row->detail,
                                   &sum.view);
        if (rc)
            return rc;
        sum.kind = FT_ONNX_VIEW;
    }
    return ft_onnx_set_view(x, 0, &sum.view);
}

/* ---- MatMul, Gemm ---------------------------------------------------------------------------- */

/* The matrix after attention is the output kernel of that layer. */
static int project(struct ft_import *x, int from, const struct ft_constant *kernel, bool transposed,
                   const struct ft_view *in, struct ft_view *out)
{
    const int64_t d = kernel->dims[transposed], units = kernel->dims[!transposed];
    int64_t dims[FT_ONNX_RANK];
    int layer;
    const int rc = ft_onnx_again(x, from, &layer);
    if (rc)
        return rc;
    const struct ft_layer_params *p = &ft_onnx_at(x, layer)->params;
    float *to =
        ft_onnx_weight(x, layer, FT_W_OUTPUT, 3, (int64_t[]){ p->groups, p->filters, units });
    if (!to)
        return FT_ENOMEM;
    for (int64_t i = 0; i < d; i++)
        for (int64_t u = 0; u < units; u++)
            to[i * units + u] = kernel->f[transposed ? u * d + i : i * units + u];
    x->shapes[layer][FT_AXIS_CHANNELS] = units;
    memcpy(dims, in->dims, sizeof dims);
    dims[in->rank - 1] = units;
    *out = ft_view_last(layer, x->shapes[layer]);
    return ft_view_reshape(out, in->rank, dims)
               ? 0
               : ft_onnx_refuse(x, "this order of axes is not supported");
}

/* Row r of a kernel [d, units] belongs to value order[r] of the placed input. If all of a map is
 * one row, the layer has the order [h, w, c]. */
static int dense(struct ft_import *x, const struct ft_view *in, const struct ft_constant *kernel,
                 bool transposed, double factor, struct ft_view *out)
{
    struct ft_view v = *in;
    int first[FT_ONNX_RANK + 1], layer, from;
    const int rank = v.rank, last = rank - 1;
    const int64_t d = kernel->dims[transposed], units = kernel->dims[!transposed];
    enum ft_axis roles[FT_ONNX_RANK];
    if (!kernel->f || kernel->rank != 2 || d != v.dims[last] || !kernel->count)
        return ft_onnx_refuse(x, "its second input is not a constant matrix that fits the first");
    if (!ft_view_align(&v, first))
        return ft_onnx_refuse(x, "this shape of its input is not supported");
    ft_onnx_roles_of(&v, last, roles);
    const int64_t *s = x->shapes[v.layer], all = s[0] * s[1] * s[2];
    const bool vector = ft_view_is_vector(&v),
               flat = vector && d == all && (s[0] > 1 || s[1] > 1) && s[2] > 1;
    int rc;
    if (flat) {
        rc = ft_onnx_layer(x, FT_LAYER_FLATTEN, &v.layer, 1, (int64_t[]){ 1, 1, all }, &from);
    } else {
        rc = ft_onnx_place(x, in, roles, vector, &from);
    }
    if (!rc && factor == 1 && !vector && ft_onnx_is_bare_attention(ft_onnx_at(x, from)))
        return project(x, from, kernel, transposed, &v, out);
    const int64_t *of = rc ? s : x->shapes[from];
    rc =
        rc ? rc
           : ft_onnx_layer(x, FT_LAYER_DENSE, &from, 1, (int64_t[]){ of[0], of[1], units }, &layer);
    if (rc)
        return rc;
    float *to = ft_onnx_weight(x, layer, FT_W_KERNEL, 2, (int64_t[]){ d, units });
    if (!to)
        return FT_ENOMEM;
    s = x->shapes[v.layer];
    for (int64_t r = 0; r < d; r++) {
        int64_t rest = r, place[FT_AXES] = { 0 };
        for (int k = first[rank] - 1; flat && k >= first[last]; k--) {
            place[v.atoms[k].axis] += rest % v.atoms[k].size * v.atoms[k].stride;
            rest /= v.atoms[k].size;
        }
        const int64_t at = flat ? (place[0] * s[1] + place[1]) * s[2] + place[2] : r;
        for (int64_t u = 0; u < units; u++)
            to[at * units + u] =
                (float)(factor * (double)kernel->f[transposed ? u * d + r : r * units + u]);
    }
    ft_onnx_at(x, layer)->params.units = (int)units;
    int64_t dims[FT_ONNX_RANK];
    memcpy(dims, v.dims, sizeof dims);
    dims[last] = units;
    *out = vector ? ft_view_vector(layer, units) : ft_view_last(layer, x->shapes[layer]);
    return ft_view_reshape(out, rank, dims)
               ? 0
               : ft_onnx_refuse(x, "this order of axes is not supported");
}

static int matmul(struct ft_import *x, const struct ft_onnx_operator *row)
{
    (void)row;
    const struct ft_onnx_value *a = ft_onnx_input(x, 0);
    const struct ft_constant *kernel = ft_onnx_constant(x, 1, 0);
    struct ft_view out;
    if (a->kind != FT_ONNX_VIEW || !kernel)
        return ft_onnx_refuse(x, "a product of two layers is not supported outside attention");
    const int rc = dense(x, &a->view, kernel, false, 1, &out);
    return rc ? rc : ft_onnx_set_view(x, 0, &out);
}

static int gemm(struct ft_import *x, const struct ft_onnx_operator *row)
{
    (void)row;
    const struct ft_onnx_value *a = ft_onnx_input(x, 0), *c = ft_onnx_input(x, 2);
    const struct ft_constant *kernel = ft_onnx_constant(x, 1, 0);
    const double beta = ft_onnx_float(x->node, "beta", 1);
    struct ft_view out = { 0 };
    if (a->kind != FT_ONNX_VIEW || !kernel || ft_onnx_int(x->node, "transA", 0) ||
        a->view.rank != 2)
        return ft_onnx_refuse(x, "its second input is not a constant, or its first is transposed");
    int rc = dense(x, &a->view, kernel, ft_onnx_int(x->node, "transB", 0),
                   ft_onnx_float(x->node, "alpha", 1), &out);
    if (rc || !c || beta == 0)
        return rc ? rc : ft_onnx_set_view(x, 0, &out);
    if (c->kind != FT_ONNX_CONSTANT || beta != 1 || !covers(&out, &c->constant))
        return ft_onnx_refuse(x, "its third input is not a constant that is added once");
    rc = ft_onnx_rescale(x, &out, NULL, &c->constant, &out);
    return rc ? rc : ft_onnx_set_view(x, 0, &out);
}

/* ---- means ----------------------------------------------------------------------------------- */

/* The mean of the channels of a map [1, c, h, w] or [1, h, w, c]: a convolution of one pixel. */
static int mean_of_channels(struct ft_import *x, const struct ft_view *in, int axis, bool keep)
{
    enum ft_axis roles[FT_ONNX_RANK];
    int layer, from;
    int64_t dims[FT_ONNX_RANK];
    ft_onnx_roles_of(in, axis, roles);
    int rc = ft_onnx_place(x, in, roles, false, &from);
    if (rc)
        return rc;
    const int64_t *s = x->shapes[from], c = s[2];
    rc = ft_onnx_layer(x, FT_LAYER_CONV2D, &from, 1, (int64_t[]){ s[0], s[1], 1 }, &layer);
    if (rc)
        return rc;
    float *kernel = ft_onnx_weight(x, layer, FT_W_KERNEL, 4, (int64_t[]){ 1, 1, c, 1 });
    if (!kernel)
        return FT_ENOMEM;
    for (int64_t i = 0; i < c; i++)
        kernel[i] = 1 / (float)c;
    ft_onnx_at(x, layer)->params.filters = 1;
    int rank = 0;
    for (int d = 0; d < in->rank; d++)
        if (d != axis || keep)
            dims[rank++] = d == axis ? 1 : in->dims[d];
    struct ft_view v = ft_view_last(layer, x->shapes[layer]);
    return ft_view_reshape(&v, rank, dims)
               ? ft_onnx_set_view(x, 0, &v)
               : ft_onnx_refuse(x, "this order of axes is not supported");
}

/* Over all rows and columns of a map. */
static int reduce(struct ft_import *x, const struct ft_onnx_operator *row)
{
    struct ft_view v = ft_onnx_input(x, 0)->view;
    int64_t axes[FT_ONNX_RANK], dims[FT_ONNX_RANK];
    int first[FT_ONNX_RANK + 1], layer, from, rank = 0;
    const int n = ft_onnx_ints(x, "axes", 1, axes, FT_ONNX_RANK);
    const bool keep = ft_onnx_int(x->node, "keepdims", 1);
    enum ft_axis roles[FT_ONNX_RANK];
    if (n < 1)
        return ft_onnx_refuse(x, "its axes are not constants");
    if (!ft_view_align(&v, first))
        return ft_onnx_refuse(x, "this shape of its input is not supported");
    const int64_t only = axes[0] + (axes[0] < 0 ? v.rank : 0);
    if (n == 1 && v.rank == 4 && (only == 1 || only == 3) && only == ft_onnx_channel_axis(&v) &&
        row->detail == FT_LAYER_GLOBAL_AVERAGE_POOL)
        return mean_of_channels(x, &v, (int)only, keep);
    for (int d = 0; d < v.rank; d++) {
        bool gone = false;
        for (int i = 0; i < n; i++)
            gone = gone || axes[i] == d || axes[i] == d - v.rank;
        roles[d] = gone ? FT_AXIS_COLUMNS : FT_AXIS_CHANNELS;
        if (!gone || keep)
            dims[rank++] = gone ? 1 : v.dims[d];
    }
    int rows = -1, reduced = 0;
    for (int d = 0; d < v.rank; d++)
        if (roles[d] == FT_AXIS_COLUMNS) {
            if (ft_view_axes(&v, first, d) & 1u << FT_AXIS_CHANNELS)
                return ft_onnx_refuse(x, "only means over all rows and columns are supported");
            rows = rows < 0 ? d : rows;
            reduced++;
        } else if (ft_view_axes(&v, first, d) & ~(1u << FT_AXIS_CHANNELS)) {
            return ft_onnx_refuse(x, "only means over all rows and columns are supported");
        }
    if (reduced > 1)
        roles[rows] = FT_AXIS_ROWS;
    int rc = ft_onnx_place(x, &v, roles, false, &from);
    rc = rc ? rc
            : ft_onnx_layer(x, (enum ft_layer_kind)row->detail, &from, 1,
                            (int64_t[]){ 1, 1, x->shapes[from][2] }, &layer);
    if (rc)
        return rc;
    ft_onnx_at(x, layer)->params.keep_dims = true;
    v = ft_view_first(layer, x->shapes[layer]);
    return ft_view_reshape(&v, rank, dims)
               ? ft_onnx_set_view(x, 0, &v)
               : ft_onnx_refuse(x, "this order of axes is not supported");
}

const struct ft_onnx_operator ft_onnx_arithmetic[] = {
    { "Add", binary, FT_LAYER_ADD },
    { "Sum", binary, FT_LAYER_ADD },
    { "Sub", binary, FT_LAYER_SUBTRACT },
    { "Mul", binary, FT_LAYER_MULTIPLY },
    { "Div", binary, 'D' },
    { "Max", binary, FT_LAYER_MAXIMUM },
    { "Min", binary, FT_LAYER_MINIMUM },
    { "MatMul", matmul, 0 },
    { "Gemm", gemm, 0 },
    { "ReduceMean", reduce, FT_LAYER_GLOBAL_AVERAGE_POOL },
    { "ReduceMax", reduce, FT_LAYER_GLOBAL_MAX_POOL },
    { 0 },
};
