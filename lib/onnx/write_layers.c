#include "onnx/write_layers.h"

#include <math.h>
#include <string.h>

#include "network/kinds.h"

static const int64_t to_last[] = { 0, 2, 3, 1 }, to_first[] = { 0, 3, 1, 2 };

/* A layer while it is written. */
struct writing {
    struct ft_message *m;
    const struct ft_layer *layer;
    const char *const *inputs;
    const int *ranks;
    bool map; /* its first input is one */
};

static const char *one(struct ft_message *m, const char *type, const char *x)
{
    return ft_message_node(m, type, x, NULL, NULL, NULL);
}

static const char *two(struct ft_message *m, const char *type, const char *a, const char *b)
{
    return ft_message_node(m, type, a, b, NULL, NULL);
}

static const char *transpose(struct ft_message *m, const char *x, const int64_t *order, size_t n)
{
    const char *y = one(m, "Transpose", x);
    ft_message_ints(m, "perm", order, n);
    return y;
}

static const char *reshape(struct ft_message *m, const char *x, const int64_t *shape, size_t n)
{
    return two(m, "Reshape", x, ft_message_shape(m, shape, n));
}

/* ---- weights --------------------------------------------------------------------------------- */

/* A weight [rows, columns] in the order [columns, rows]. */
static const float *turned(struct ft_message *m, const float *from, size_t rows, size_t columns)
{
    float *to = ft_message_alloc(m, rows * columns, sizeof *to);
    for (size_t r = 0; to && r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            to[c * rows + r] = from[r * columns + c];
    return to;
}

/* [pixels, inputs, filters] to [filters, inputs, pixels] */
static const char *kernel(struct ft_message *m, const struct ft_tensor *t, int64_t inputs,
                          int64_t filters)
{
    const int64_t h = t->shape[0], w = t->shape[1], pixels = h * w;
    float *to = ft_message_alloc(m, t->count, sizeof *to);
    for (int64_t p = 0; to && p < pixels; p++)
        for (int64_t i = 0; i < inputs; i++)
            for (int64_t f = 0; f < filters; f++)
                to[(f * inputs + i) * pixels + p] = t->data[(p * inputs + i) * filters + f];
    return ft_message_floats(m, to, (int64_t[]){ filters, inputs, h, w }, 4);
}

/* A constant for channels, or [h, w, c], that is repeated over a map [n, c, h, w] or a vector. */
static const char *channels(const struct writing *x, const struct ft_tensor *t)
{
    const int64_t n = (int64_t)t->count;
    if (n == 1)
        return ft_message_number(x->m, t->data[0]);
    if (t->rank < 3 || !x->map)
        return ft_message_floats(x->m, t->data, (int64_t[]){ n, 1, 1 }, x->map ? 3 : 1);
    const int64_t pixels = t->shape[0] * t->shape[1], c = t->shape[2];
    return ft_message_floats(x->m, turned(x->m, t->data, (size_t)pixels, (size_t)c),
                             (int64_t[]){ c, t->shape[0], t->shape[1] }, 3);
}

/* [c] values, all `otherwise` if the weight is absent. */
static const char *vector(const struct writing *x, const struct ft_tensor *t, size_t c,
                          float otherwise)
{
    if (t->data)
        return ft_message_floats(x->m, t->data, (int64_t[]){ (int64_t)t->count }, 1);
    float *values = ft_message_alloc(x->m, c, sizeof *values);
    for (size_t i = 0; values && i < c; i++)
        values[i] = otherwise;
    return ft_message_floats(x->m, values, (int64_t[]){ (int64_t)c }, 1);
}

/* ---- windows --------------------------------------------------------------------------------- */

static void window(const struct writing *x, bool pool)
{
    const struct ft_layer_params *p = &x->layer->params;
    const int64_t k[] = { p->kernel[0], p->kernel[1] }, s[] = { p->stride[0], p->stride[1] },
                  d[] = { p->dilation[0], p->dilation[1] };
    ft_message_ints(x->m, "kernel_shape", k, 2);
    ft_message_ints(x->m, "strides", s, 2);
    if (!pool)
        ft_message_ints(x->m, "dilations", d, 2);
    ft_message_string(x->m, "auto_pad", p->padding == FT_PAD_SAME ? "SAME_UPPER" : "VALID");
}

static const char *convolve(const struct writing *x, const char *in, const char *weights,
                            const struct ft_tensor *bias, int64_t groups)
{
    const char *b = bias && bias->data ? ft_message_floats(x->m, bias->data, bias->shape, 1) : NULL;
    const char *y = ft_message_node(x->m, "Conv", in, weights, b, NULL);
    if (groups > 1)
        ft_message_int(x->m, "group", groups);
    return y;
}

static const char *convolution(const struct writing *x)
{
    const struct ft_tensor *w = x->layer->weights, *k = &w[FT_W_KERNEL];
    const bool depthwise = x->layer->kind != FT_LAYER_CONV2D,
               separable = x->layer->kind == FT_LAYER_SEPARABLE_CONV2D;
    const int64_t c = k->shape[2], f = k->shape[3];
    const char *y = depthwise ? convolve(x, x->inputs[0], kernel(x->m, k, 1, c * f),
                                         separable ? NULL : &w[FT_W_BIAS], c)
                              : convolve(x, x->inputs[0], kernel(x->m, k, c, f), &w[FT_W_BIAS],
                                         x->layer->params.groups);
    window(x, false);
    if (separable) {
        const struct ft_tensor *p = &w[FT_W_POINTWISE];
        y = convolve(x, y, kernel(x->m, p, p->shape[2], p->shape[3]), &w[FT_W_SEPARABLE_BIAS], 1);
    }
    return ft_message_activation(x->m, &x->layer->params, y);
}

static const char *dense(const struct writing *x)
{
    const struct ft_tensor *k = &x->layer->weights[FT_W_KERNEL],
                           *bias = &x->layer->weights[FT_W_BIAS];
    const int64_t d = k->shape[0], units = k->shape[1];
    const char *b = bias->data && !x->map ? ft_message_floats(x->m, bias->data, &units, 1) : NULL,
               *y;
    if (x->map)
        y = convolve(x, x->inputs[0],
                     ft_message_floats(x->m, turned(x->m, k->data, (size_t)d, (size_t)units),
                                       (int64_t[]){ units, d, 1, 1 }, 4),
                     bias, 1);
    else
        y = ft_message_node(x->m, "Gemm", x->inputs[0],
                            ft_message_floats(x->m, k->data, k->shape, 2), b, NULL);
    return ft_message_activation(x->m, &x->layer->params, y);
}

static const char *pool(const struct writing *x)
{
    const char *y =
        one(x->m, x->layer->kind == FT_LAYER_MAX_POOL ? "MaxPool" : "AveragePool", x->inputs[0]);
    window(x, true);
    return y;
}

static const char *global_pool(const struct writing *x)
{
    const bool average = x->layer->kind == FT_LAYER_GLOBAL_AVERAGE_POOL;
    const char *y = x->map
                        ? one(x->m, average ? "GlobalAveragePool" : "GlobalMaxPool", x->inputs[0])
                        : x->inputs[0];
    return x->layer->params.keep_dims || !x->map ? y : one(x->m, "Flatten", y);
}

/* ---- normalisation, scaling ------------------------------------------------------------------ */

static const char *rescaling(const struct writing *x)
{
    const struct ft_tensor *scale = &x->layer->weights[FT_W_SCALE],
                           *offset = &x->layer->weights[FT_W_OFFSET];
    const char *y = x->inputs[0];
    if (scale->data && !(scale->count == 1 && scale->data[0] == 1))
        y = two(x->m, "Mul", y, channels(x, scale));
    if (offset->data && !(offset->count == 1 && offset->data[0] == 0))
        y = two(x->m, "Add", y, channels(x, offset));
    return y;
}

static const char *batch_norm(const struct writing *x)
{
    const struct ft_tensor *w = x->layer->weights;
    const size_t c = w[FT_W_MEAN].count;
    const char *inputs[] = { x->inputs[0], vector(x, &w[FT_W_GAMMA], c, 1),
                             vector(x, &w[FT_W_BETA], c, 0), vector(x, &w[FT_W_MEAN], c, 0),
                             vector(x, &w[FT_W_VARIANCE], c, 1) };
    const char *y = ft_message_list(x->m, "BatchNormalization", inputs, 5);
    ft_message_float(x->m, "epsilon", x->layer->params.epsilon);
    return y;
}

/* gamma and beta as a product and a sum */
static const char *affine(const struct writing *x, const char *y)
{
    const struct ft_tensor *gamma = &x->layer->weights[FT_W_GAMMA],
                           *beta = &x->layer->weights[FT_W_BETA];
    y = gamma->data ? two(x->m, "Mul", y, channels(x, gamma)) : y;
    return beta->data ? two(x->m, "Add", y, channels(x, beta)) : y;
}

static const char *layer_norm(const struct writing *x)
{
    const char *y = x->map ? transpose(x->m, x->inputs[0], to_last, 4) : x->inputs[0];
    const struct ft_tensor *gamma = &x->layer->weights[FT_W_GAMMA],
                           *beta = &x->layer->weights[FT_W_BETA];
    const size_t c = gamma->data ? gamma->count : beta->count;
    if (!c) {
        ft_message_fail(x->m, FT_EUNSUPPORTED, "a norm without weights cannot be written");
        return "";
    }
    y = ft_message_node(x->m, "LayerNormalization", y, vector(x, gamma, c, 1),
                        vector(x, beta, c, 0), NULL);
    ft_message_int(x->m, "axis", -1);
    ft_message_float(x->m, "epsilon", x->layer->params.epsilon);
    return x->map ? transpose(x->m, y, to_first, 4) : y;
}

/* InstanceNormalization of [n, groups, values of a group] */
static const char *group_norm(const struct writing *x)
{
    const int groups = x->layer->params.groups;
    const struct ft_tensor none = { 0 }, *gamma = &x->layer->weights[FT_W_GAMMA];
    const size_t n = groups > 0 ? (size_t)groups : gamma->count;
    if (!n || !x->map) {
        ft_message_fail(x->m, FT_EUNSUPPORTED, "this norm cannot be written");
        return "";
    }
    const char *y = reshape(x->m, x->inputs[0], (int64_t[]){ 0, (int64_t)n, -1 }, 3);
    y = ft_message_node(x->m, "InstanceNormalization", y, vector(x, &none, n, 1),
                        vector(x, &none, n, 0), NULL);
    ft_message_float(x->m, "epsilon", x->layer->params.epsilon);
    y = two(x->m, "Reshape", y, one(x->m, "Shape", x->inputs[0]));
    return affine(x, y);
}

/* Divided by the length of the channels, or 1e-6 if that is larger. */
static const char *unit_norm(const struct writing *x)
{
    const char *length = one(x->m, "ReduceL2", x->inputs[0]);
    ft_message_ints(x->m, "axes", (int64_t[]){ 1 }, 1);
    length = two(x->m, "Max", length, ft_message_number(x->m, 1e-6f));
    return two(x->m, "Div", x->inputs[0], length);
}

/* Divided by the root of the mean square of the channels. */
static const char *rms_norm(const struct writing *x)
{
    const char *y = two(x->m, "Mul", x->inputs[0], x->inputs[0]);
    y = one(x->m, "ReduceMean", y);
    ft_message_ints(x->m, "axes", (int64_t[]){ 1 }, 1);
    y = two(x->m, "Add", y, ft_message_number(x->m, x->layer->params.epsilon));
    return affine(x, two(x->m, "Div", x->inputs[0], one(x->m, "Sqrt", y)));
}

static const char *prelu(const struct writing *x)
{
    return two(x->m, "PRelu", x->inputs[0], channels(x, &x->layer->weights[FT_W_ALPHA]));
}

static const char *activation(const struct writing *x)
{
    return ft_message_activation(x->m, &x->layer->params, x->inputs[0]);
}

/* ---- several inputs -------------------------------------------------------------------------- */

static const char *merge(const struct writing *x)
{
    static const struct {
        enum ft_layer_kind kind;
        const char *type;
    } types[] = { { FT_LAYER_ADD, "Add" },      { FT_LAYER_MULTIPLY, "Mul" },
                  { FT_LAYER_SUBTRACT, "Sub" }, { FT_LAYER_AVERAGE, "Add" },
                  { FT_LAYER_MAXIMUM, "Max" },  { FT_LAYER_MINIMUM, "Min" } };
    const char *type = NULL, *y = NULL;
    bool map = false;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].kind == x->layer->kind)
            type = types[i].type;
    for (int i = 0; i < x->layer->n_inputs; i++)
        map = map || x->ranks[i] == 3;
    for (int i = 0; type && i < x->layer->n_inputs; i++) {
        const char *in = x->inputs[i];
        if (map && x->ranks[i] == 1)
            in = reshape(x->m, in, (int64_t[]){ 0, -1, 1, 1 }, 4);
        y = y ? two(x->m, type, y, in) : in;
    }
    if (x->layer->kind == FT_LAYER_AVERAGE)
        y = two(x->m, "Mul", y, ft_message_number(x->m, 1.0f / (float)x->layer->n_inputs));
    return x->layer->kind == FT_LAYER_ADD ? ft_message_activation(x->m, &x->layer->params, y) : y;
}

static const char *concatenate(const struct writing *x)
{
    const char *y = ft_message_list(x->m, "Concat", x->inputs, (size_t)x->layer->n_inputs);
    ft_message_int(x->m, "axis", 1);
    return y;
}

/* ---- shapes ---------------------------------------------------------------------------------- */

static const char *zero_pad(const struct writing *x)
{
    const int *p = x->layer->params.pad;
    const int64_t pads[] = { 0, 0, p[0], p[2], 0, 0, p[1], p[3] };
    return two(x->m, "Pad", x->inputs[0], ft_message_shape(x->m, pads, 8));
}

static const char *crop(const struct writing *x)
{
    const int *p = x->layer->params.pad;
    const int64_t starts[] = { p[0], p[2] },
                  ends[] = { p[1] ? -p[1] : INT32_MAX, p[3] ? -p[3] : INT32_MAX },
                  axes[] = { 2, 3 };
    return ft_message_node(x->m, "Slice", x->inputs[0], ft_message_shape(x->m, starts, 2),
                           ft_message_shape(x->m, ends, 2), ft_message_shape(x->m, axes, 2));
}

static const char *upsample(const struct writing *x)
{
    const int *k = x->layer->params.kernel;
    const float scales[] = { 1, 1, (float)k[0], (float)k[1] };
    float *copy = ft_message_alloc(x->m, 4, sizeof *copy);
    if (copy)
        memcpy(copy, scales, sizeof scales);
    const bool bilinear = x->layer->params.bilinear;
    const char *y = ft_message_node(x->m, "Resize", x->inputs[0], "",
                                    ft_message_floats(x->m, copy, (int64_t[]){ 4 }, 1), NULL);
    ft_message_string(x->m, "mode", bilinear ? "linear" : "nearest");
    ft_message_string(x->m, "coordinate_transformation_mode",
                      bilinear ? "half_pixel" : "asymmetric");
    if (!bilinear)
        ft_message_string(x->m, "nearest_mode", "floor");
    return y;
}

static const char *flatten(const struct writing *x)
{
    return x->map ? one(x->m, "Flatten", transpose(x->m, x->inputs[0], to_last, 4)) : x->inputs[0];
}

static const char *to_shape(const struct writing *x)
{
    const struct ft_layer_params *p = &x->layer->params;
    const char *y = x->map ? transpose(x->m, x->inputs[0], to_last, 4) : x->inputs[0];
    int64_t shape[4] = { 0 };
    for (int a = 0; a < p->rank && a < 3; a++)
        shape[a + 1] = p->shape[a];
    y = reshape(x->m, y, shape, (size_t)p->rank + 1);
    return p->rank == 3 ? transpose(x->m, y, to_first, 4) : y;
}

static const char *permute(const struct writing *x)
{
    static const int64_t place[] = { 0, 2, 3, 1 }; /* of rows, columns and channels, from 1 */
    const int *p = x->layer->params.shape;
    if (!x->map)
        return x->inputs[0];
    return transpose(x->m, x->inputs[0], (int64_t[]){ 0, place[p[2]], place[p[0]], place[p[1]] },
                     4);
}

static const char *same(const struct writing *x)
{
    return x->inputs[0];
}

static const char *attention(const struct writing *x)
{
    return ft_message_attention(x->m, x->layer, x->inputs);
}

typedef const char *layer_writer(const struct writing *x);
static layer_writer *const writers[FT_LAYER_KINDS] = {
    [FT_LAYER_RESCALING] = rescaling,
    [FT_LAYER_MAP_RESCALING] = rescaling,
    [FT_LAYER_CONV2D] = convolution,
    [FT_LAYER_DEPTHWISE_CONV2D] = convolution,
    [FT_LAYER_SEPARABLE_CONV2D] = convolution,
    [FT_LAYER_DENSE] = dense,
    [FT_LAYER_BATCH_NORM] = batch_norm,
    [FT_LAYER_ACTIVATION] = activation,
    [FT_LAYER_ZERO_PAD] = zero_pad,
    [FT_LAYER_CROPPING] = crop,
    [FT_LAYER_MAX_POOL] = pool,
    [FT_LAYER_AVERAGE_POOL] = pool,
    [FT_LAYER_GLOBAL_AVERAGE_POOL] = global_pool,
    [FT_LAYER_GLOBAL_MAX_POOL] = global_pool,
    [FT_LAYER_ADD] = merge,
    [FT_LAYER_MULTIPLY] = merge,
    [FT_LAYER_SUBTRACT] = merge,
    [FT_LAYER_AVERAGE] = merge,
    [FT_LAYER_MAXIMUM] = merge,
    [FT_LAYER_MINIMUM] = merge,
    [FT_LAYER_CONCATENATE] = concatenate,
    [FT_LAYER_FLATTEN] = flatten,
    [FT_LAYER_RESHAPE] = to_shape,
    [FT_LAYER_PERMUTE] = permute,
    [FT_LAYER_IDENTITY] = same,
    [FT_LAYER_LAYER_NORM] = layer_norm,
    [FT_LAYER_GROUP_NORM] = group_norm,
    [FT_LAYER_UNIT_NORM] = unit_norm,
    [FT_LAYER_RMS_NORM] = rms_norm,
    [FT_LAYER_PRELU] = prelu,
    [FT_LAYER_UPSAMPLING] = upsample,
    [FT_LAYER_ATTENTION] = attention,
};

const char *ft_message_layer(struct ft_message *m, const struct ft_layer *layer,
                             const char *const *inputs, const int *ranks)
{
    const struct writing x = { m, layer, inputs, ranks, ranks[0] == 3 };
    m->base = layer->name;
    if (m->rc)
        return "";
    if (!writers[layer->kind]) {
        ft_message_fail(m, FT_EUNSUPPORTED, "%s cannot be written as ONNX",
                        ft_layer_kind_name(layer->kind));
        return "";
    }
    return writers[layer->kind](&x);
}
