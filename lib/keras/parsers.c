/* The settings of each layer class, as keras.layers of Keras 1.2 to 3 writes them, to
 * ft_layer_params. `out` arrives zeroed, with groups, multiplier, kernel, stride and dilation 1. */
#include "keras/parsers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "keras/fields.h"

#define NEEDS(w) (1u << (w))

/* [null, h, w, c] -> h, w, c with -1 for null. */
static int parse_shape(const cJSON *list, bool with_batch, struct ft_layer_params *p,
                       struct ft_error *err)
{
    const int n = cJSON_GetArraySize(list) - with_batch;
    if (!cJSON_IsArray(list) || n < 1 || n > 4)
        return ft_error_set(err, FT_EUNSUPPORTED, "a shape of %d axes is not supported",
                            n < 0 ? 0 : n);
    p->rank = n;
    const cJSON *item = with_batch ? list->child->next : list->child;
    for (int i = 0; i < n; i++, item = item->next) {
        const double v = cJSON_IsNull(item) ? -1 : cJSON_IsNumber(item) ? item->valuedouble : 0;
        if (v != -1 && !(v >= 1 && v <= 1 << 24 && v == (int)v))
            return ft_error_set(err, FT_EFORMAT, "a shape holds an unexpected value");
        p->shape[i] = (int)v;
    }
    return 0;
}

int ft_parse_input(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const cJSON *shape = ft_field(config, "batch_shape");
    if (!shape)
        shape = ft_field(config, "batch_input_shape");
    if (!shape)
        return ft_error_set(
            err, FT_EUNSUPPORTED,
            "the input has no shape: build the model with an input shape before saving it");
    return parse_shape(shape, true, &out->layer.params, err);
}

static int parse_constant(const cJSON *config, const char *key, float otherwise, float **at,
                          struct ft_tensor *t, struct ft_error *err)
{
    const cJSON *value = ft_field(config, key);
    const int n = cJSON_IsArray(value) ? cJSON_GetArraySize(value) : 1;
    *t = (struct ft_tensor){ 1, { n }, (size_t)n, *at };
    const cJSON *item = cJSON_IsArray(value) ? value->child : value;
    for (int i = 0; i < n; i++, item = item ? item->next : NULL) {
        if (item && !cJSON_IsNumber(item))
            return ft_error_set(err, FT_EUNSUPPORTED,
                                "%s is neither a number nor a list of numbers", key);
        *(*at)++ = item ? (float)item->valuedouble : otherwise;
    }
    return n ? 0 : ft_error_set(err, FT_EFORMAT, "%s is an empty list", key);
}

int ft_parse_rescaling(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const int n = cJSON_GetArraySize(ft_field(config, "scale")) +
                  cJSON_GetArraySize(ft_field(config, "offset")) + 2;
    float *at = out->constants = ft_alloc((size_t)n, sizeof *at);
    if (!at)
        return ft_error_nomem(err, "the scale of pixels");
    const int rc = parse_constant(config, "scale", 1, &at, &out->layer.weights[FT_W_SCALE], err);
    return rc ? rc
              : parse_constant(config, "offset", 0, &at, &out->layer.weights[FT_W_OFFSET], err);
}

static int parse_window(const cJSON *config, const char *size, struct ft_layer_params *p,
                        struct ft_error *err)
{
    int rc = ft_field_channels_last(config, err);
    if (!rc)
        rc = ft_field_pair(config, size, 1, p->kernel, err);
    if (!rc)
        rc = ft_field_pair(config, "strides", 1, p->stride, err);
    if (!rc)
        rc = ft_field_padding(config, &p->padding, err);
    return rc;
}

static int parse_bias(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    bool bias = true;
    int rc = ft_field_bool(config, "use_bias", &bias, err);
    out->needs = NEEDS(FT_W_KERNEL) | (bias ? NEEDS(FT_W_BIAS) : 0);
    return rc ? rc : ft_parse_activation(config, out, err);
}

static int parse_convolution(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    struct ft_layer_params *p = &out->layer.params;
    int rc = parse_window(config, "kernel_size", p, err);
    if (!rc)
        rc = ft_field_pair(config, "dilation_rate", 1, p->dilation, err);
    if (!rc)
        rc = ft_field_int(config, "groups", 1, &p->groups, err);
    if (!rc)
        rc = parse_bias(config, out, err);
    return rc;
}

int ft_parse_conv2d(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const int rc = parse_convolution(config, out, err);
    return rc ? rc : ft_field_int(config, "filters", 1, &out->layer.params.filters, err);
}

int ft_parse_depthwise(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    struct ft_layer_params *p = &out->layer.params;
    int rc = parse_convolution(config, out, err);
    if (!rc && p->groups != 1)
        rc = ft_error_set(err, FT_EUNSUPPORTED,
                          "groups %d in a depthwise convolution is not supported", p->groups);
    return rc ? rc : ft_field_int(config, "depth_multiplier", 1, &p->multiplier, err);
}

int ft_parse_separable(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const bool bias = !cJSON_IsFalse(ft_field(config, "use_bias"));
    int rc = ft_parse_depthwise(config, out, err);
    if (!rc)
        rc = ft_field_int(config, "filters", 1, &out->layer.params.filters, err);
    out->needs =
        NEEDS(FT_W_KERNEL) | NEEDS(FT_W_POINTWISE) | (bias ? NEEDS(FT_W_SEPARABLE_BIAS) : 0);
    return rc;
}

int ft_parse_transpose(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    if (ft_field(config, "output_padding"))
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "output_padding is not supported: save the layer without it");
    int rc = ft_parse_conv2d(config, out, err);
    const struct ft_layer_params *p = &out->layer.params;
    if (!rc && (p->groups != 1 || p->dilation[0] != 1 || p->dilation[1] != 1))
        rc = ft_error_set(err, FT_EUNSUPPORTED,
                          "groups or dilation_rate in a transposed convolution is not supported");
    return rc;
}

/* axis, scale, center and epsilon, which all normalisations have */
static int parse_norm(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    bool scale = true, centre = true;
    double epsilon = 1e-3;
    int rc = ft_field_axis(config, &out->axis, err);
    if (!rc)
        rc = ft_field_bool(config, "scale", &scale, err);
    if (!rc)
        rc = ft_field_bool(config, "center", &centre, err);
    if (!rc)
        rc = ft_field_number(config, "epsilon", &epsilon, err);
    out->layer.params.epsilon = (float)epsilon;
    out->needs = (scale ? NEEDS(FT_W_GAMMA) : 0) | (centre ? NEEDS(FT_W_BETA) : 0);
    return rc;
}

int ft_parse_batch_norm(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const int rc = parse_norm(config, out, err);
    out->needs |= NEEDS(FT_W_MEAN) | NEEDS(FT_W_VARIANCE);
    return rc;
}

int ft_parse_layer_norm(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    bool rms = false;
    int rc = ft_field_bool(config, "rms_scaling", &rms, err);
    if (!rc && rms)
        rc = ft_error_set(err, FT_EUNSUPPORTED, "rms_scaling is not supported");
    return rc ? rc : parse_norm(config, out, err);
}

int ft_parse_group_norm(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    out->layer.params.groups = 32;
    const int rc = ft_field_int(config, "groups", -1, &out->layer.params.groups, err);
    return rc ? rc : parse_norm(config, out, err);
}

int ft_parse_unit_norm(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    return ft_field_axis(config, &out->axis, err);
}

/* (x - mean) / sqrt(variance), the other way round with `invert`; the statistics may lie in the
 * file instead. */
int ft_parse_normalization(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const cJSON *mean = ft_field(config, "mean"), *variance = ft_field(config, "variance");
    int rc = ft_field_axis(config, &out->axis, err);
    if (rc || !mean != !variance)
        return rc ? rc
                  : ft_error_set(err, FT_EFORMAT, "mean without variance, or the other way round");
    if (!mean) {
        out->needs = NEEDS(FT_W_NORM_MEAN) | NEEDS(FT_W_NORM_VARIANCE);
        return 0;
    }
    float *at = out->constants =
        ft_alloc((size_t)(cJSON_GetArraySize(mean) + cJSON_GetArraySize(variance)) + 2, sizeof *at);
    if (!at)
        return ft_error_nomem(err, "the statistics of pixels");
    rc = parse_constant(config, "mean", 0, &at, &out->layer.weights[FT_W_NORM_MEAN], err);
    return rc ? rc
              : parse_constant(config, "variance", 1, &at, &out->layer.weights[FT_W_NORM_VARIANCE],
                               err);
}

/* keras.backend.epsilon() is the least deviation that Normalization divides by. */
int ft_finish_normalization(struct ft_draft_layer *layer, struct ft_error *err)
{
    struct ft_tensor *w = layer->layer.weights;
    const size_t n = w[FT_W_NORM_MEAN].count;
    const bool invert = cJSON_IsTrue(ft_field(layer->config, "invert"));
    if (!n || w[FT_W_NORM_VARIANCE].count != n)
        return ft_error_set(err, FT_EFORMAT, "its mean and variance differ in length");
    float *values = ft_alloc(2 * n, sizeof *values);
    if (!values)
        return ft_error_nomem(err, "the statistics of pixels");
    for (size_t i = 0; i < n; i++) {
        const double mean = w[FT_W_NORM_MEAN].data[i],
                     deviation = fmax(sqrt((double)w[FT_W_NORM_VARIANCE].data[i]), 1e-7);
        values[i] = (float)(invert ? deviation : 1 / deviation);
        values[n + i] = (float)(invert ? mean : -mean / deviation);
    }
    free(layer->constants);
    layer->constants = values;
    w[FT_W_SCALE] = (struct ft_tensor){ 1, { (int64_t)n }, n, values };
    w[FT_W_OFFSET] = (struct ft_tensor){ 1, { (int64_t)n }, n, values + n };
    return 0;
}

int ft_parse_layer_scale(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    (void)config, (void)err;
    out->needs = NEEDS(FT_W_SCALE);
    return 0;
}

int ft_finish_layer_scale(struct ft_draft_layer *layer, struct ft_error *err)
{
    float *zero = ft_draft_constants(layer, 1);
    if (!zero)
        return ft_error_nomem(err, "a constant");
    *zero = 0;
    layer->layer.weights[FT_W_OFFSET] = (struct ft_tensor){ 1, { 1 }, 1, zero };
    return 0;
}

/* x0 + x1 * scale: CustomScaleLayer of InceptionResNetV2, which older files have as a Lambda with
 * the argument `scale`. The sum is this layer, the product becomes one of its own (expand.c). */
int ft_parse_custom_scale(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const cJSON *arguments = ft_field(config, "arguments");
    double scale = NAN;
    const int rc = ft_field_number(arguments ? arguments : config, "scale", &scale, err);
    if (!rc && isnan(scale))
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "code inside a file is not run: replace the Lambda by layers and save "
                            "the network again");
    out->layer.params.alpha = (float)scale;
    return rc;
}

/* "relu", a function as Keras 3 writes it, or a whole layer: {"class_name": "LeakyReLU", "config":
 * {...}}. */
int ft_parse_activation(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const cJSON *value = ft_field(config, "activation"),
                *settings = cJSON_IsObject(value) ? ft_field(value, "config") : NULL;
    const char *name = settings ? cJSON_GetStringValue(ft_field(value, "class_name")) : NULL;
    const struct ft_layer_class *class =
        name && cJSON_IsObject(settings) ? ft_layer_class_find(name) : NULL;
    if (class && class->kind == FT_LAYER_ACTIVATION && class->parse != ft_parse_activation)
        return class->parse(settings, out, err);
    struct ft_layer_params *p = &out->layer.params;
    p->alpha = 1;
    const int rc = ft_field_activation(config, &p->activation, err);
    if (!rc && p->activation == FT_ACT_LEAKY_RELU)
        p->alpha = 0.2f; /* the function's default; the layer's is 0.3 */
    return rc;
}

static int parse_alpha(const cJSON *config, const char *key, double alpha,
                       struct ft_draft_layer *out, struct ft_error *err)
{
    const int rc = ft_field_number(config, key, &alpha, err);
    out->layer.params.alpha = (float)alpha;
    return rc;
}

int ft_parse_leaky_relu(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    out->layer.params.activation = FT_ACT_LEAKY_RELU;
    return parse_alpha(config, ft_field(config, "alpha") ? "alpha" : "negative_slope", 0.3, out,
                       err);
}

int ft_parse_elu(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    out->layer.params.activation = FT_ACT_ELU;
    return parse_alpha(config, "alpha", 1, out, err);
}

int ft_parse_prelu(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    (void)config, (void)err;
    out->needs = NEEDS(FT_W_ALPHA);
    return 0;
}

int ft_parse_relu(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    struct ft_layer_params *p = &out->layer.params;
    double most = INFINITY, threshold = 0;
    int rc = parse_alpha(config, "negative_slope", 0, out, err);
    if (!rc)
        rc = ft_field_number(config, "threshold", &threshold, err);
    if (!rc)
        rc = ft_field_number(config, "max_value", &most, err);
    p->most = (float)most;
    p->threshold = (float)threshold;
    p->activation = FT_ACT_RELU_SHAPED;
    if (p->alpha == 0 && threshold == 0 && (most == 6 || most == INFINITY))
        p->activation = most == 6 ? FT_ACT_RELU6 : FT_ACT_RELU;
    else if (threshold == 0 && most == INFINITY)
        p->activation = FT_ACT_LEAKY_RELU;
    return rc;
}

int ft_parse_softmax(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    out->layer.params.activation = FT_ACT_SOFTMAX;
    return ft_field_axis(config, &out->axis, err);
}

/* 1, [1, 2] or [[0, 1], [0, 1]] */
static int parse_sides(const cJSON *config, const char *key, int otherwise,
                       struct ft_draft_layer *out, struct ft_error *err)
{
    int *pad = out->layer.params.pad, rc = ft_field_channels_last(config, err);
    const cJSON *value = ft_field(config, key), *rows = cJSON_IsArray(value) ? value->child : NULL;
    int sides[2] = { otherwise, otherwise };
    if (rc)
        return rc;
    if (cJSON_IsArray(rows) && cJSON_GetArraySize(value) == 2 && cJSON_IsArray(rows->next)) {
        for (int i = 0; i < 4; i++) {
            const cJSON *side = cJSON_GetArrayItem(i < 2 ? rows : rows->next, i % 2);
            if (!cJSON_IsNumber(side) || !(side->valuedouble >= 0 && side->valuedouble <= 1 << 20))
                return ft_error_set(err, FT_EFORMAT, "setting '%s' has an unexpected value", key);
            pad[i] = (int)side->valuedouble;
        }
        return 0;
    }
    rc = ft_field_pair(config, key, 0, sides, err);
    pad[0] = pad[1] = sides[0];
    pad[2] = pad[3] = sides[1];
    return rc;
}

int ft_parse_zero_pad(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    return parse_sides(config, "padding", 1, out, err);
}

int ft_parse_cropping(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    return parse_sides(config, "cropping", 0, out, err);
}

int ft_parse_pool(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    struct ft_layer_params *p = &out->layer.params;
    p->kernel[0] = p->kernel[1] = 2;
    int rc = ft_field_pair(config, "pool_size", 1, p->kernel, err);
    memcpy(p->stride, p->kernel, sizeof p->stride);
    return rc ? rc : parse_window(config, "pool_size", p, err);
}

int ft_parse_global_pool(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const int rc = ft_field_channels_last(config, err);
    return rc ? rc : ft_field_bool(config, "keepdims", &out->layer.params.keep_dims, err);
}

int ft_parse_dense(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    int rc = ft_field_int(config, "units", 1, &out->layer.params.units, err);
    return rc ? rc : parse_bias(config, out, err);
}

int ft_parse_concatenate(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    return ft_field_axis(config, &out->axis, err);
}

int ft_parse_flatten(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    (void)out;
    return ft_field_channels_last(config, err);
}

int ft_parse_reshape(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const cJSON *shape = ft_field(config, "target_shape");
    if (cJSON_IsObject(shape)) /* {"class_name": "__tuple__", "items": [...]} */
        shape = ft_field(shape, "items");
    return parse_shape(shape, false, &out->layer.params, err);
}

int ft_parse_upsampling(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const cJSON *how = ft_field(config, "interpolation");
    const char *name = how ? cJSON_GetStringValue(how) : "nearest";
    out->layer.params.kernel[0] = out->layer.params.kernel[1] = 2;
    int rc = ft_field_channels_last(config, err);
    if (!rc)
        rc = ft_field_pair(config, "size", 1, out->layer.params.kernel, err);
    if (!rc && (!name || (strcmp(name, "nearest") && strcmp(name, "bilinear"))))
        rc = ft_error_set(err, FT_EUNSUPPORTED,
                          "interpolation '%s' is not supported: only nearest and bilinear are",
                          name ? name : "?");
    out->layer.params.bilinear = !rc && !strcmp(name, "bilinear");
    return rc;
}

/* Axes count from 1, the batch being 0. */
int ft_parse_permute(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const cJSON *dims = ft_field(config, "dims");
    if (cJSON_IsObject(dims))
        dims = ft_field(dims, "items");
    return parse_shape(dims, false, &out->layer.params, err);
}

int ft_parse_nothing(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    (void)config, (void)out, (void)err;
    return 0;
}
