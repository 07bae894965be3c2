/* Operators with a sliding window: Conv, pools; and Pad. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "onnx/import.h"

enum { MOST = 1 << 14 }; /* rows or columns of a window */

struct window {
    int64_t kernel[2], stride[2], dilation[2];
    int64_t pad[4]; /* top, left, bottom, right, as ONNX orders them */
    bool same;      /* TensorFlow's rule, whatever the size of the input */
};

static int axes2(const struct ft_import *x, const char *name, int64_t otherwise, int64_t *out)
{
    const int n = ft_onnx_ints(x, name, -1, out, 2);
    if (n == -1)
        out[0] = out[1] = otherwise;
    else if (n != 2 || out[0] < 1 || out[1] < 1 || out[0] > MOST || out[1] > MOST)
        return ft_onnx_refuse(x,
                              "its '%s' is not two positive numbers: only pictures with two "
                              "axes are supported",
                              name);
    return 0;
}

static int64_t span(const struct window *w, int a)
{
    return (w->kernel[a] - 1) * w->dilation[a] + 1;
}

/* Reads the attributes; `in` is the shape of the input. Sets w->pad from auto_pad. */
static int read_window(const struct ft_import *x, const int64_t in[FT_AXES], struct window *w)
{
    const bool upper = ft_onnx_text_is(x->node, "auto_pad", "SAME_UPPER"),
               lower = ft_onnx_text_is(x->node, "auto_pad", "SAME_LOWER");
    int rc = axes2(x, "strides", 1, w->stride);
    rc = rc ? rc : axes2(x, "dilations", 1, w->dilation);
    const int n = ft_onnx_ints(x, "pads", -1, w->pad, 4);
    if (rc)
        return rc;
    if (n == -1 || upper || lower)
        memset(w->pad, 0, sizeof w->pad);
    else if (n != 4)
        return ft_onnx_refuse(x, "its 'pads' is not four numbers");
    for (int a = 0; a < 2; a++) {
        const int64_t outputs = (in[a] + w->stride[a] - 1) / w->stride[a],
                      lacking = (outputs - 1) * w->stride[a] + span(w, a) - in[a];
        if ((upper || lower) && lacking > 0) {
            w->pad[a] = upper ? lacking / 2 : lacking - lacking / 2;
            w->pad[a + 2] = lacking - w->pad[a];
        }
        if (w->pad[a] < 0 || w->pad[a + 2] < 0 || w->pad[a] > MOST || w->pad[a + 2] > MOST)
            return ft_onnx_refuse(x, "pads that are negative or very large are not supported");
    }
    w->same = upper;
    if (upper)
        return 0;
    /* with a stride of 1 the rule does not depend on the size */
    w->same = w->stride[0] == 1 && w->stride[1] == 1;
    for (int a = 0; a < 2; a++)
        w->same = w->same && w->pad[a] == (span(w, a) - 1) / 2 &&
                  w->pad[a + 2] == span(w, a) - 1 - w->pad[a];
    return 0;
}

static bool has_pad(const struct window *w)
{
    return w->pad[0] || w->pad[1] || w->pad[2] || w->pad[3];
}

static int zero_pad(struct ft_import *x, const int64_t pad[4], int *layer)
{
    const int64_t *in = x->shapes[*layer],
                  shape[FT_AXES] = { in[0] + pad[0] + pad[2], in[1] + pad[1] + pad[3], in[2] };
    const int from = *layer, rc = ft_onnx_layer(x, FT_LAYER_ZERO_PAD, &from, 1, shape, layer);
    const int sides[4] = { (int)pad[0], (int)pad[2], (int)pad[1], (int)pad[3] };
    if (!rc)
        memcpy(ft_onnx_at(x, *layer)->params.pad, sides, sizeof sides);
    return rc;
}

/* Appends a layer with a window: pads before it if its rule is not `same`. */
static int add_window(struct ft_import *x, enum ft_layer_kind kind, const struct window *w,
                      int64_t channels, int *layer)
{
    int rc = 0;
    if (!w->same && has_pad(w))
        rc = zero_pad(x, w->pad, layer);
    if (rc)
        return rc;
    int64_t shape[FT_AXES] = { 0, 0, channels };
    for (int a = 0; a < 2; a++) {
        const int64_t n = x->shapes[*layer][a];
        shape[a] = w->same ? (n + w->stride[a] - 1) / w->stride[a]
                           : (n - span(w, a) + w->stride[a]) / w->stride[a];
        if (!w->same && span(w, a) > n)
            return ft_onnx_refuse(x, "its window is larger than its input");
    }
    const int from = *layer;
    rc = ft_onnx_layer(x, kind, &from, 1, shape, layer);
    if (rc)
        return rc;
    struct ft_layer_params *p = &ft_onnx_at(x, *layer)->params;
    const bool point = span(w, 0) == 1 && span(w, 1) == 1 && w->stride[0] == 1 && w->stride[1] == 1;
    p->padding = w->same && !point ? FT_PAD_SAME : FT_PAD_VALID;
    for (int a = 0; a < 2; a++) {
        p->kernel[a] = (int)w->kernel[a];
        p->stride[a] = (int)w->stride[a];
        p->dilation[a] = (int)w->dilation[a];
    }
    return 0;
}

/* ---- Conv ------------------------------------------------------------------------------------ */

/* [filters, c / groups, kh, kw] to [kh, kw, c / groups, filters]; of a depthwise convolution
 * [c * m, 1, kh, kw] to [kh, kw, c, m], whose last two axes are one there. */
static void order_kernel(const struct ft_constant *from, float *to)
{
    const size_t filters = (size_t)from->dims[0], inputs = (size_t)from->dims[1],
                 pixels = (size_t)(from->dims[2] * from->dims[3]);
    for (size_t f = 0; f < filters; f++)
        for (size_t c = 0; c < inputs; c++)
            for (size_t p = 0; p < pixels; p++)
                to[(p * inputs + c) * filters + f] = from->f[(f * inputs + c) * pixels + p];
}

static int conv(struct ft_import *x, const struct ft_onnx_operator *row)
{
    (void)row;
    const struct ft_onnx_value *in = ft_onnx_input(x, 0);
    const struct ft_constant *kernel = ft_onnx_constant(x, 1, 0);
    struct window w = { 0 };
    int layer;
    if (!kernel || !kernel->f || kernel->rank != 4 || !kernel->count)
        return ft_onnx_refuse(x, "its kernel is not a constant of four axes");
    int rc = ft_onnx_map(x, &in->view, &layer);
    if (rc)
        return rc;
    const int64_t c = x->shapes[layer][FT_AXIS_CHANNELS], groups = ft_onnx_int(x->node, "group", 1),
                  filters = kernel->dims[0];
    if (groups < 1 || groups > c || kernel->dims[1] != c / groups || c % groups ||
        filters % groups || kernel->dims[2] > MOST || kernel->dims[3] > MOST)
        return ft_onnx_refuse(x, "its kernel does not fit %lld channels in %lld groups",
                              (long long)c, (long long)groups);
    w.kernel[0] = kernel->dims[2];
    w.kernel[1] = kernel->dims[3];
    rc = read_window(x, x->shapes[layer], &w);
    const bool depthwise = groups == c && c > 1;
    if (!rc)
        rc = add_window(x, depthwise ? FT_LAYER_DEPTHWISE_CONV2D : FT_LAYER_CONV2D, &w, filters,
                        &layer);
    if (rc)
        return rc;
    float *to =
        ft_onnx_weight(x, layer, FT_W_KERNEL, 4,
                       depthwise ? (int64_t[]){ w.kernel[0], w.kernel[1], c, filters / c }
                                 : (int64_t[]){ w.kernel[0], w.kernel[1], c / groups, filters });
    if (!to)
        return FT_ENOMEM;
    order_kernel(kernel, to);
    struct ft_layer *l = ft_onnx_at(x, layer);
    l->params.filters = (int)filters;
    l->params.groups = depthwise ? 1 : (int)groups;
    l->params.multiplier = depthwise ? (int)(filters / c) : 1;
    if (ft_onnx_input(x, 2)) {
        const struct ft_constant *bias = ft_onnx_constant(x, 2, (size_t)filters);
        if (!bias || !bias->f)
            return ft_onnx_refuse(x, "its bias is not a constant of %lld values",
                                  (long long)filters);
        l->weights[FT_W_BIAS] = (struct ft_tensor){ 1, { filters }, (size_t)filters, bias->f };
    }
    const struct ft_view view = ft_view_first(layer, x->shapes[layer]);
    return ft_onnx_set_view(x, 0, &view);
}

/* ---- pools ----------------------------------------------------------------------------------- */

/* Whether no value of a layer's output is negative, so that zeros do not change a maximum. */
static bool is_positive(const struct ft_import *x, int layer)
{
    for (int steps = 0; steps < 100; steps++) {
        const struct ft_layer *l = ft_onnx_at(x, layer);
        switch (l->kind) {
        case FT_LAYER_ACTIVATION:
            return l->params.activation == FT_ACT_RELU || l->params.activation == FT_ACT_RELU6 ||
                   l->params.activation == FT_ACT_SIGMOID ||
                   l->params.activation == FT_ACT_HARD_SIGMOID ||
                   l->params.activation == FT_ACT_SOFTMAX ||
                   l->params.activation == FT_ACT_SOFTPLUS ||
                   (l->params.activation == FT_ACT_RELU_SHAPED && l->params.alpha == 0);
        case FT_LAYER_CONCATENATE:
        case FT_LAYER_ADD:
            for (int i = 1; i < l->n_inputs; i++)
                if (!is_positive(x, l->inputs[i]))
                    return false;
            break;
        case FT_LAYER_MAX_POOL:
        case FT_LAYER_AVERAGE_POOL:
        case FT_LAYER_ZERO_PAD:
        case FT_LAYER_CROPPING:
        case FT_LAYER_RESHAPE:
            break;
        default:
            return false;
        }
        layer = l->inputs[0];
    }
    return false;
}

/* ceil_mode: rows and columns after the input that the last windows need. */
static void ceil_pad(const int64_t in[FT_AXES], struct window *w, int64_t extra[4])
{
    memset(extra, 0, 4 * sizeof *extra);
    for (int a = 0; a < 2; a++) {
        const int64_t n = in[a] + w->pad[a] + w->pad[a + 2], s = w->stride[a];
        int64_t outputs = (n - span(w, a) + s - 1) / s + 1;
        if ((outputs - 1) * s >= in[a] + w->pad[a])
            outputs--; /* the last window would begin after the input */
        const int64_t lacking = (outputs - 1) * s + span(w, a) - n;
        extra[a + 2] = lacking > 0 ? lacking : 0;
    }
}

/* With a stride of 1 and the rule `same`, pixel i of the result belongs to the window around pixel
 * i: (k - 1) / 2 before it, k / 2 after it. Finds the first of these pixels and their number, for
 * rows and columns. Returns false if a window is around a pixel outside the map. */
static bool find_centres(const struct window *w, const int64_t extra[4], const int64_t in[FT_AXES],
                         int64_t first[2], int64_t count[2])
{
    for (int a = 0; a < 2; a++) {
        const int64_t all = in[a] + w->pad[a] + w->pad[a + 2] + extra[a + 2];
        first[a] = (w->kernel[a] - 1) / 2 - w->pad[a];
        count[a] = (all - w->kernel[a]) / w->stride[a] + 1;
        if (first[a] < 0 || all < w->kernel[a] || first[a] + (count[a] - 1) * w->stride[a] >= in[a])
            return false;
    }
    return true;
}

/* The pool with a stride of 1 and the rule `same`, then the pixels in the centres of the windows.
 */
static int pool_then_skip(struct ft_import *x, enum ft_layer_kind kind, struct window w,
                          const int64_t first[2], const int64_t count[2], int *layer)
{
    struct window skip = { .kernel = { 1, 1 }, .dilation = { 1, 1 } };
    int64_t shape[FT_AXES];
    int pad[4];
    memcpy(skip.stride, w.stride, sizeof w.stride);
    memcpy(shape, x->shapes[*layer], sizeof shape);
    w.stride[0] = w.stride[1] = 1;
    w.same = true;
    bool cut = false;
    int rc = add_window(x, kind, &w, shape[2], layer);
    for (int a = 0; a < 2; a++) {
        const int64_t kept = (count[a] - 1) * skip.stride[a] + 1;
        pad[2 * a] = (int)first[a];
        pad[2 * a + 1] = (int)(shape[a] - first[a] - kept);
        shape[a] = kept;
        cut = cut || first[a] || pad[2 * a + 1] >= skip.stride[a];
    }
    if (!rc && cut) {
        const int from = *layer;
        rc = ft_onnx_layer(x, FT_LAYER_CROPPING, &from, 1, shape, layer);
        if (!rc)
            memcpy(ft_onnx_at(x, *layer)->params.pad, pad, sizeof pad);
    }
    if (rc || (skip.stride[0] == 1 && skip.stride[1] == 1))
        return rc;
    return add_window(x, FT_LAYER_MAX_POOL, &skip, shape[2], layer);
}

static int pool(struct ft_import *x, const struct ft_onnx_operator *row)
{
    const struct ft_onnx_value *in = ft_onnx_input(x, 0);
    const enum ft_layer_kind kind = (enum ft_layer_kind)row->detail;
    const bool average = kind == FT_LAYER_AVERAGE_POOL,
               counted = average && ft_onnx_int(x->node, "count_include_pad", 0);
    struct window w = { 0 };
    int64_t extra[4] = { 0 };
    int layer, rc = ft_onnx_map(x, &in->view, &layer);
    rc = rc ? rc : axes2(x, "kernel_shape", 0, w.kernel);
    rc = rc ? rc : read_window(x, x->shapes[layer], &w);
    if (rc)
        return rc;
    if (w.kernel[0] < 1 || w.dilation[0] != 1 || w.dilation[1] != 1)
        return ft_onnx_refuse(x, "a pool with gaps (dilations) is not supported");
    if (ft_onnx_int(x->node, "ceil_mode", 0))
        ceil_pad(x->shapes[layer], &w, extra);
    const bool ceiled = extra[2] || extra[3];
    int64_t first[2], count[2];
    if (counted && has_pad(&w)) {
        rc = zero_pad(x, w.pad, &layer);
        memset(w.pad, 0, sizeof w.pad);
        w.same = false;
        if (rc)
            return rc;
    }
    if ((!has_pad(&w) && !ceiled) || (w.same && !ceiled)) {
        rc = add_window(x, kind, &w, x->shapes[layer][2], &layer);
    } else if (!average && is_positive(x, layer)) {
        for (int i = 0; i < 4; i++)
            w.pad[i] += extra[i];
        w.same = false;
        rc = add_window(x, kind, &w, x->shapes[layer][2], &layer);
    } else if (find_centres(&w, extra, x->shapes[layer], first, count)) {
        rc = pool_then_skip(x, kind, w, first, count, &layer);
    } else {
        return ft_onnx_refuse(x, "a pool with a window around a pixel outside the map is not "
                                 "supported");
    }
    if (rc)
        return rc;
    const struct ft_view view = ft_view_first(layer, x->shapes[layer]);
    return ft_onnx_set_view(x, 0, &view);
}

static int global_pool(struct ft_import *x, const struct ft_onnx_operator *row)
{
    const struct ft_onnx_value *in = ft_onnx_input(x, 0);
    int layer, from;
    int rc = ft_onnx_map(x, &in->view, &from);
    if (rc)
        return rc;
    const int64_t shape[FT_AXES] = { 1, 1, x->shapes[from][2] };
    rc = ft_onnx_layer(x, (enum ft_layer_kind)row->detail, &from, 1, shape, &layer);
    if (rc)
        return rc;
    ft_onnx_at(x, layer)->params.keep_dims = true;
    const struct ft_view view = ft_view_first(layer, x->shapes[layer]);
    return ft_onnx_set_view(x, 0, &view);
}

/* ---- Pad ------------------------------------------------------------------------------------- */

static int pad(struct ft_import *x, const struct ft_onnx_operator *row)
{
    (void)row;
    const struct ft_onnx_value *in = ft_onnx_input(x, 0), *value = ft_onnx_input(x, 2);
    int64_t pads[2 * FT_ONNX_RANK], sides[4];
    int layer;
    const int n = ft_onnx_ints(x, "pads", 1, pads, 2 * FT_ONNX_RANK), rank = in->view.rank;
    const double filled = value && value->kind == FT_ONNX_CONSTANT && value->constant.count
                              ? ft_constant_at(&value->constant, 0)
                              : ft_onnx_float(x->node, "value", 0);
    const bool zeros =
        !ft_onnx_attribute(x->node, "mode") || ft_onnx_text_is(x->node, "mode", "constant");
    enum ft_axis roles[FT_ONNX_RANK];
    if (n != 2 * rank || ft_onnx_input(x, 3) || !zeros || filled != 0)
        return ft_onnx_refuse(x, "only zeros around rows and columns are supported");
    bool none = true;
    for (int i = 0; i < n; i++)
        none = none && !pads[i];
    if (none)
        return ft_onnx_set_view(x, 0, &in->view);
    ft_onnx_roles(&in->view, roles);
    for (int d = 0; d < rank; d++)
        if ((pads[d] || pads[d + rank]) &&
            (rank != 4 || roles[d] == FT_AXIS_CHANNELS || !d || pads[d] < 0 || pads[d] > MOST ||
             pads[d + rank] < 0 || pads[d + rank] > MOST))
            return ft_onnx_refuse(x, "only zeros around rows and columns are supported");
    const bool last = roles[3] == FT_AXIS_CHANNELS;
    const int h = last ? 1 : 2;
    sides[0] = pads[h];
    sides[1] = pads[h + 1];
    sides[2] = pads[h + rank];
    sides[3] = pads[h + 1 + rank];
    if (!last && roles[1] != FT_AXIS_CHANNELS)
        return ft_onnx_refuse(x, "this order of axes is not supported");
    int rc = ft_onnx_place(x, &in->view, roles, false, &layer);
    rc = rc ? rc : zero_pad(x, sides, &layer);
    if (rc)
        return rc;
    const struct ft_view view =
        last ? ft_view_last(layer, x->shapes[layer]) : ft_view_first(layer, x->shapes[layer]);
    return ft_onnx_set_view(x, 0, &view);
}

const struct ft_onnx_operator ft_onnx_windows[] = {
    { "Conv", conv, 0 },
    { "MaxPool", pool, FT_LAYER_MAX_POOL },
    { "AveragePool", pool, FT_LAYER_AVERAGE_POOL },
    { "GlobalAveragePool", global_pool, FT_LAYER_GLOBAL_AVERAGE_POOL },
    { "GlobalMaxPool", global_pool, FT_LAYER_GLOBAL_MAX_POOL },
    { "Pad", pad, 0 },
    { 0 },
};
