/* Operators on each value alone, and sums of several inputs, from layers that Keras has. */
#include <math.h>

#include "base/error.h"
#include "onnx/import.h"

/* An activation as the output. */
static int activate(struct ft_import *x, const struct ft_layer_params *p)
{
    return ft_onnx_activate(x, &ft_onnx_input(x, 0)->view, p, 0);
}

/* input * scale + offset, the activation, then * scale_back + offset_back */
static int between(struct ft_import *x, double scale, double offset,
                   const struct ft_layer_params *p, double scale_back, double offset_back)
{
    struct ft_view view = ft_onnx_input(x, 0)->view;
    int layer, rc = ft_onnx_scaled(x, view.layer, scale, offset, &layer);
    rc = rc ? rc : ft_onnx_layer(x, FT_LAYER_ACTIVATION, &layer, 1, x->shapes[layer], &layer);
    if (rc)
        return rc;
    struct ft_layer_params *to = &ft_onnx_at(x, layer)->params;
    to->activation = p->activation;
    to->alpha = p->alpha;
    to->most = p->most;
    rc = ft_onnx_scaled(x, layer, scale_back, offset_back, &view.layer);
    return rc ? rc : ft_onnx_set_view(x, 0, &view);
}

/* ---- limits ---------------------------------------------------------------------------------- */

/* A limit of Clip: an attribute before opset 11, then an input. */
static int limit(const struct ft_import *x, const char *name, size_t k, double *out)
{
    const struct ft_onnx_value *v = ft_onnx_input(x, k);
    *out = ft_onnx_float(x->node, name, *out);
    if (!v)
        return 0;
    if (v->kind != FT_ONNX_CONSTANT || v->constant.count != 1)
        return ft_onnx_refuse(x, "its limits are not constants");
    *out = ft_constant_at(&v->constant, 0);
    return 0;
}

/* With an upper limit alone: high - relu(high - x); else low + clip(x - low, 0, high - low). */
static int clip_input(struct ft_import *x, double low, double high)
{
    const bool below = low > -3e38, above = high < 3e38;
    const struct ft_layer_params p = { .activation = !above || !below          ? FT_ACT_RELU
                                                     : low == 0 && high == 6.0 ? FT_ACT_RELU6
                                                                               : FT_ACT_RELU_SHAPED,
                                       .most = (float)(high - low) };
    const double sign = below ? 1 : -1, limit = below ? low : high;
    if (!below && !above)
        return ft_onnx_set_view(x, 0, &ft_onnx_input(x, 0)->view);
    if (high < low)
        return ft_onnx_refuse(x, "its limits %g and %g are not valid", low, high);
    return low == 0 ? activate(x, &p) : between(x, sign, -sign * limit, &p, sign, limit);
}

static int clip(struct ft_import *x, const struct ft_onnx_operator *row)
{
    (void)row;
    double low = -INFINITY, high = INFINITY;
    int rc = limit(x, "min", 1, &low);
    rc = rc ? rc : limit(x, "max", 2, &high);
    return rc ? rc : clip_input(x, low, high);
}

/* ---- activations that Keras has in another form ---------------------------------------------- */

/* alpha * elu(x / alpha) */
static int celu(struct ft_import *x, const struct ft_onnx_operator *row)
{
    (void)row;
    const double alpha = ft_onnx_float(x->node, "alpha", 1);
    const struct ft_layer_params p = { .activation = FT_ACT_ELU, .alpha = 1 };
    if (!(fabs(alpha) > 1e-6))
        return ft_onnx_refuse(x, "alpha %g is not supported", alpha);
    return alpha == 1 ? activate(x, &p) : between(x, 1 / alpha, 0, &p, alpha, 0);
}

/* x where it is above alpha, else 0 */
static int thresholded(struct ft_import *x, const struct ft_onnx_operator *row)
{
    (void)row;
    const double alpha = ft_onnx_float(x->node, "alpha", 1);
    const struct ft_layer_params p = { .activation = FT_ACT_RELU_SHAPED,
                                       .most = INFINITY,
                                       .threshold = (float)alpha };
    return alpha < 0 ? ft_onnx_refuse(x, "alpha %g is not supported", alpha) : activate(x, &p);
}

/* clip(alpha * x + beta, 0, 1) */
static int hard_sigmoid(struct ft_import *x, const struct ft_onnx_operator *row)
{
    (void)row;
    const double given = ft_onnx_float(x->node, "alpha", 0.2),
                 alpha = fabs(given - 1.0 / 6) < 1e-5 ? 1.0 / 6 : given,
                 beta = ft_onnx_float(x->node, "beta", 0.5);
    struct ft_view view = ft_onnx_input(x, 0)->view;
    const struct ft_layer_params clip = { .activation = FT_ACT_RELU_SHAPED, .most = 1 };
    const int rc = ft_onnx_scaled(x, view.layer, alpha, beta, &view.layer);
    return rc ? rc : ft_onnx_activate(x, &view, &clip, 0);
}

/* max(x, -x) */
static int absolute(struct ft_import *x, const struct ft_onnx_operator *row)
{
    (void)row;
    struct ft_view view = ft_onnx_input(x, 0)->view, negative = view;
    int rc = ft_onnx_scaled(x, view.layer, -1, 0, &negative.layer);
    rc = rc ? rc : ft_onnx_of_layers(x, &view, &negative, FT_LAYER_MAXIMUM, &view);
    return rc ? rc : ft_onnx_set_view(x, 0, &view);
}

static int negate(struct ft_import *x, const struct ft_onnx_operator *row)
{
    (void)row;
    struct ft_view view = ft_onnx_input(x, 0)->view;
    const int rc = ft_onnx_scaled(x, view.layer, -1, 0, &view.layer);
    return rc ? rc : ft_onnx_set_view(x, 0, &view);
}

/* x to a power, as the output */
static int to_power(struct ft_import *x, const struct ft_view *view, double exponent)
{
    const struct ft_layer_params p = { .activation = FT_ACT_POWER, .alpha = (float)exponent };
    return ft_onnx_activate(x, view, &p, 0);
}

static int root(struct ft_import *x, const struct ft_onnx_operator *row)
{
    (void)row;
    return to_power(x, &ft_onnx_input(x, 0)->view, 0.5);
}

static int reciprocal(struct ft_import *x, const struct ft_onnx_operator *row)
{
    (void)row;
    return to_power(x, &ft_onnx_input(x, 0)->view, -1);
}

/* x / (bias + alpha / size * the sum of the squares of `size` neighbouring channels) ^ beta
 * (A. Krizhevsky et al., 2012). The sum is a convolution of one pixel. */
static int local_response(struct ft_import *x, const struct ft_onnx_operator *row)
{
    enum { MOST_CHANNELS = 4096 };
    (void)row;
    const int64_t size = ft_onnx_int(x->node, "size", 0);
    const double alpha = ft_onnx_float(x->node, "alpha", 1e-4),
                 bias = ft_onnx_float(x->node, "bias", 1),
                 beta = ft_onnx_float(x->node, "beta", 0.75);
    int map, layer, rc = ft_onnx_map(x, &ft_onnx_input(x, 0)->view, &map);
    if (rc)
        return rc;
    const int64_t *shape = x->shapes[map], c = shape[FT_AXIS_CHANNELS];
    if (size < 1 || size > MOST_CHANNELS || c > MOST_CHANNELS || ft_onnx_is_vector(x, map))
        return ft_onnx_refuse(x, "%lld of %lld channels are not supported", (long long)size,
                              (long long)c);
    rc = ft_onnx_layer(x, FT_LAYER_MULTIPLY, (int[]){ map, map }, 2, shape, &layer);
    rc = rc ? rc : ft_onnx_layer(x, FT_LAYER_CONV2D, &layer, 1, x->shapes[map], &layer);
    float *kernel = rc ? NULL : ft_onnx_weight(x, layer, FT_W_KERNEL, 4, (int64_t[]){ 1, 1, c, c }),
          *offset = kernel ? ft_onnx_weight(x, layer, FT_W_BIAS, 1, &c) : NULL;
    if (!offset)
        return rc ? rc : FT_ENOMEM;
    for (int64_t to = 0; to < c; to++) {
        for (int64_t from = 0; from < c; from++) {
            const bool near = from >= to - (size - 1) / 2 && from <= to + size / 2;
            kernel[from * c + to] = near ? (float)(alpha / (double)size) : 0;
        }
        offset[to] = (float)bias;
    }
    ft_onnx_at(x, layer)->params.filters = (int)c;
    rc = ft_onnx_layer(x, FT_LAYER_ACTIVATION, &layer, 1, x->shapes[map], &layer);
    if (rc)
        return rc;
    ft_onnx_at(x, layer)->params.activation = FT_ACT_POWER;
    ft_onnx_at(x, layer)->params.alpha = (float)-beta;
    rc = ft_onnx_layer(x, FT_LAYER_MULTIPLY, (int[]){ map, layer }, 2, x->shapes[map], &layer);
    const struct ft_view out = ft_view_first(layer, x->shapes[map]);
    return rc ? rc : ft_onnx_set_view(x, 0, &out);
}

/* x * x * ... */
static int power(struct ft_import *x, const struct ft_onnx_operator *row)
{
    enum { MOST = 8 };
    (void)row;
    const struct ft_onnx_value *a = ft_onnx_input(x, 0);
    const struct ft_constant *c = ft_onnx_constant(x, 1, 1);
    const double exponent = c ? ft_constant_at(c, 0) : 0;
    if (a->kind != FT_ONNX_VIEW || !c || !isfinite(exponent))
        return ft_onnx_refuse(x, "its exponent is not a number");
    struct ft_view view = a->view;
    int rc = 0;
    if (!(exponent >= 1 && exponent <= MOST) || exponent != floor(exponent))
        return to_power(x, &view, exponent);
    for (int k = 1; !rc && k < (int)exponent; k++)
        rc = ft_onnx_of_layers(x, &view, &a->view, FT_LAYER_MULTIPLY, &view);
    return rc ? rc : ft_onnx_set_view(x, 0, &view);
}

/* ---- what no layer of Keras computes --------------------------------------------------------- */

static int refuse(struct ft_import *x, const struct ft_onnx_operator *row)
{
    (void)row;
    return ft_onnx_refuse(x,
                          "no layer of Keras computes it, so that the trained model could not be "
                          "a Keras file: cut the network before it, or export a network without "
                          "it");
}

const struct ft_onnx_operator ft_onnx_elementwise[] = {
    { "Clip", clip, 0 },
    { "Celu", celu, 0 },
    { "HardSigmoid", hard_sigmoid, 0 },
    { "ThresholdedRelu", thresholded, 0 },
    { "Abs", absolute, 0 },
    { "Neg", negate, 0 },
    { "Pow", power, 0 },
    { "Sqrt", root, 0 },
    { "Reciprocal", reciprocal, 0 },
    { "LRN", local_response, 0 },
    { "Log", refuse, 0 },
    { "Sin", refuse, 0 },
    { "Cos", refuse, 0 },
    { 0 },
};
