/* Keras's layer classes: one row each, with its parser, its writer and the names of its weights. The settings are those of
 * keras.layers in Keras 1.2 to 3. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "keras/draft.h"
#include "keras/fields.h"

#define NEEDS(w) (1u << (w))

/* ---- parsing: `out` arrives zeroed, with groups, multiplier, kernel, stride and dilation 1 ---------------------------- */

/* [null, h, w, c] -> h, w, c with -1 for null. */
static int parse_shape(const cJSON *list, bool with_batch, struct ft_layer_params *p, struct ft_error *err)
{
    const int n = cJSON_GetArraySize(list) - with_batch;
    if (!cJSON_IsArray(list) || n < 1 || n > 4)
        return ft_error_set(err, FT_EUNSUPPORTED, "a shape of %d axes is not supported", n < 0 ? 0 : n);
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

static int parse_input(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const cJSON *shape = ft_field(config, "batch_shape");
    if (!shape)
        shape = ft_field(config, "batch_input_shape");
    if (!shape)
        return ft_error_set(err, FT_EUNSUPPORTED, "the input has no shape: build the model with an input shape before saving it");
    return parse_shape(shape, true, &out->layer.params, err);
}

static int parse_constant(const cJSON *config, const char *key, float otherwise, float **at, struct ft_tensor *t, struct ft_error *err)
{
    const cJSON *value = ft_field(config, key);
    const int n = cJSON_IsArray(value) ? cJSON_GetArraySize(value) : 1;
    *t = (struct ft_tensor){ 1, { n }, (size_t)n, *at };
    const cJSON *item = cJSON_IsArray(value) ? value->child : value;
    for (int i = 0; i < n; i++, item = item ? item->next : NULL) {
        if (item && !cJSON_IsNumber(item))
            return ft_error_set(err, FT_EUNSUPPORTED, "%s is neither a number nor a list of numbers", key);
        *(*at)++ = item ? (float)item->valuedouble : otherwise;
    }
    return n ? 0 : ft_error_set(err, FT_EFORMAT, "%s is an empty list", key);
}

static int parse_rescaling(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const int n = cJSON_GetArraySize(ft_field(config, "scale")) + cJSON_GetArraySize(ft_field(config, "offset")) + 2;
    float *at = out->constants = ft_alloc((size_t)n, sizeof *at);
    if (!at)
        return ft_error_nomem(err, "the scale of pixels");
    const int rc = parse_constant(config, "scale", 1, &at, &out->layer.weights[FT_W_SCALE], err);
    return rc ? rc : parse_constant(config, "offset", 0, &at, &out->layer.weights[FT_W_OFFSET], err);
}

static int parse_window(const cJSON *config, const char *size, struct ft_layer_params *p, struct ft_error *err)
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
    return rc ? rc : ft_field_activation(config, &out->layer.params.activation, err);
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

static int parse_conv2d(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const int rc = parse_convolution(config, out, err);
    return rc ? rc : ft_field_int(config, "filters", 1, &out->layer.params.filters, err);
}

static int parse_depthwise(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    struct ft_layer_params *p = &out->layer.params;
    int rc = parse_convolution(config, out, err);
    if (!rc && p->groups != 1)
        rc = ft_error_set(err, FT_EUNSUPPORTED, "groups %d in a depthwise convolution is not supported", p->groups);
    return rc ? rc : ft_field_int(config, "depth_multiplier", 1, &p->multiplier, err);
}

static int parse_batch_norm(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
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
    out->needs = NEEDS(FT_W_MEAN) | NEEDS(FT_W_VARIANCE) | (scale ? NEEDS(FT_W_GAMMA) : 0) | (centre ? NEEDS(FT_W_BETA) : 0);
    return rc;
}

static int parse_activation(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    return ft_field_activation(config, &out->layer.params.activation, err);
}

static int parse_relu(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    double most = 0;
    int rc = ft_field_zero(config, "negative_slope", err);
    if (!rc)
        rc = ft_field_zero(config, "threshold", err);
    if (!rc)
        rc = ft_field_number(config, "max_value", &most, err);
    if (!rc && ft_field(config, "max_value") && most != 6)
        rc = ft_error_set(err, FT_EUNSUPPORTED, "max_value %g is not supported: only 6 is", most);
    out->layer.params.activation = ft_field(config, "max_value") ? FT_ACT_RELU6 : FT_ACT_RELU;
    return rc;
}

static int parse_softmax(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    out->layer.params.activation = FT_ACT_SOFTMAX;
    return ft_field_axis(config, &out->axis, err);
}

/* 1, [1, 2] or [[0, 1], [0, 1]] */
static int parse_zero_pad(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    int *pad = out->layer.params.pad, rc = ft_field_channels_last(config, err);
    const cJSON *value = ft_field(config, "padding"), *rows = cJSON_IsArray(value) ? value->child : NULL;
    int sides[2] = { 1, 1 };
    if (rc)
        return rc;
    if (cJSON_IsArray(rows) && cJSON_GetArraySize(value) == 2 && cJSON_IsArray(rows->next)) {
        for (int i = 0; i < 4; i++) {
            const cJSON *side = cJSON_GetArrayItem(i < 2 ? rows : rows->next, i % 2);
            if (!cJSON_IsNumber(side) || !(side->valuedouble >= 0 && side->valuedouble <= 1 << 20))
                return ft_error_set(err, FT_EFORMAT, "setting 'padding' has an unexpected value");
            pad[i] = (int)side->valuedouble;
        }
        return 0;
    }
    rc = ft_field_pair(config, "padding", 0, sides, err);
    pad[0] = pad[1] = sides[0];
    pad[2] = pad[3] = sides[1];
    return rc;
}

static int parse_pool(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    struct ft_layer_params *p = &out->layer.params;
    p->kernel[0] = p->kernel[1] = 2;
    int rc = ft_field_pair(config, "pool_size", 1, p->kernel, err);
    memcpy(p->stride, p->kernel, sizeof p->stride);
    return rc ? rc : parse_window(config, "pool_size", p, err);
}

static int parse_global_pool(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const int rc = ft_field_channels_last(config, err);
    return rc ? rc : ft_field_bool(config, "keepdims", &out->layer.params.keep_dims, err);
}

static int parse_dense(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    int rc = ft_field_int(config, "units", 1, &out->layer.params.units, err);
    return rc ? rc : parse_bias(config, out, err);
}

static int parse_concatenate(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    return ft_field_axis(config, &out->axis, err);
}

static int parse_flatten(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    (void)out;
    return ft_field_channels_last(config, err);
}

static int parse_reshape(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const cJSON *shape = ft_field(config, "target_shape");
    if (cJSON_IsObject(shape)) /* {"class_name": "__tuple__", "items": [...]} */
        shape = ft_field(shape, "items");
    return parse_shape(shape, false, &out->layer.params, err);
}

static int parse_nothing(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    (void)config, (void)out, (void)err;
    return 0;
}

/* ---- writing: only what differs from the defaults, which is what every Keras reads ----------------------------------- */

static void add_list(cJSON *config, const char *key, const int *values, int n)
{
    cJSON_AddItemToObject(config, key, cJSON_CreateIntArray(values, n));
}

static void add_activation(cJSON *config, enum ft_activation activation)
{
    if (activation != FT_ACT_LINEAR)
        cJSON_AddStringToObject(config, "activation", ft_activation_name(activation));
}

static void add_shape(cJSON *config, const char *key, bool with_batch, const struct ft_layer_params *p)
{
    cJSON *list = cJSON_AddArrayToObject(config, key);
    if (with_batch)
        cJSON_AddItemToArray(list, cJSON_CreateNull());
    for (int i = 0; i < p->rank; i++)
        cJSON_AddItemToArray(list, p->shape[i] < 0 && with_batch ? cJSON_CreateNull() : cJSON_CreateNumber(p->shape[i]));
}

static void write_input(const struct ft_layer *layer, cJSON *config)
{
    add_shape(config, "batch_input_shape", true, &layer->params);
}

static void add_constant(cJSON *config, const char *key, const struct ft_tensor *t)
{
    if (t->count == 1) {
        cJSON_AddItemToObject(config, key, ft_json_float(t->data[0]));
        return;
    }
    cJSON *list = cJSON_AddArrayToObject(config, key);
    for (size_t i = 0; i < t->count; i++)
        cJSON_AddItemToArray(list, ft_json_float(t->data[i]));
}

static void write_rescaling(const struct ft_layer *layer, cJSON *config)
{
    add_constant(config, "scale", &layer->weights[FT_W_SCALE]);
    if (layer->weights[FT_W_OFFSET].data)
        add_constant(config, "offset", &layer->weights[FT_W_OFFSET]);
}

static void write_window(const struct ft_layer_params *p, const char *size, cJSON *config)
{
    add_list(config, size, p->kernel, 2);
    add_list(config, "strides", p->stride, 2);
    if (p->padding == FT_PAD_SAME)
        cJSON_AddStringToObject(config, "padding", "same");
}

static void write_bias(const struct ft_layer *layer, cJSON *config)
{
    if (!layer->weights[FT_W_BIAS].data)
        cJSON_AddFalseToObject(config, "use_bias");
    add_activation(config, layer->params.activation);
}

static void write_convolution(const struct ft_layer *layer, cJSON *config)
{
    const struct ft_layer_params *p = &layer->params;
    write_window(p, "kernel_size", config);
    if (p->dilation[0] != 1 || p->dilation[1] != 1)
        add_list(config, "dilation_rate", p->dilation, 2);
    write_bias(layer, config);
}

static void write_conv2d(const struct ft_layer *layer, cJSON *config)
{
    cJSON_AddNumberToObject(config, "filters", layer->params.filters);
    if (layer->params.groups != 1)
        cJSON_AddNumberToObject(config, "groups", layer->params.groups);
    write_convolution(layer, config);
}

static void write_depthwise(const struct ft_layer *layer, cJSON *config)
{
    if (layer->params.multiplier != 1)
        cJSON_AddNumberToObject(config, "depth_multiplier", layer->params.multiplier);
    write_convolution(layer, config);
}

static void write_batch_norm(const struct ft_layer *layer, cJSON *config)
{
    cJSON_AddItemToObject(config, "epsilon", ft_json_float(layer->params.epsilon));
    if (!layer->weights[FT_W_GAMMA].data)
        cJSON_AddFalseToObject(config, "scale");
    if (!layer->weights[FT_W_BETA].data)
        cJSON_AddFalseToObject(config, "center");
}

static void write_activation(const struct ft_layer *layer, cJSON *config)
{
    cJSON_AddStringToObject(config, "activation", ft_activation_name(layer->params.activation));
}

static void write_relu6(const struct ft_layer *layer, cJSON *config)
{
    (void)layer;
    cJSON_AddItemToObject(config, "max_value", ft_json_float(6));
}

static void write_zero_pad(const struct ft_layer *layer, cJSON *config)
{
    cJSON *list = cJSON_AddArrayToObject(config, "padding");
    cJSON_AddItemToArray(list, cJSON_CreateIntArray(layer->params.pad, 2));
    cJSON_AddItemToArray(list, cJSON_CreateIntArray(layer->params.pad + 2, 2));
}

static void write_pool(const struct ft_layer *layer, cJSON *config)
{
    write_window(&layer->params, "pool_size", config);
}

static void write_global_pool(const struct ft_layer *layer, cJSON *config)
{
    if (layer->params.keep_dims)
        cJSON_AddTrueToObject(config, "keepdims");
}

static void write_dense(const struct ft_layer *layer, cJSON *config)
{
    cJSON_AddNumberToObject(config, "units", layer->params.units);
    write_bias(layer, config);
}

static void write_reshape(const struct ft_layer *layer, cJSON *config)
{
    add_shape(config, "target_shape", false, &layer->params);
}

static void write_nothing(const struct ft_layer *layer, cJSON *config)
{
    (void)layer, (void)config;
}

/* ---- the table: of several rows of one kind, the first with a writer writes (ReLU writes RELU6 only) ------------------- */

static const struct ft_layer_class classes[] = {
    { "InputLayer", FT_LAYER_INPUT, parse_input, write_input, { 0 } },
    { "Rescaling", FT_LAYER_RESCALING, parse_rescaling, write_rescaling, { 0 } },
    { "Conv2D", FT_LAYER_CONV2D, parse_conv2d, write_conv2d, { "kernel", "bias" } },
    { "DepthwiseConv2D", FT_LAYER_DEPTHWISE_CONV2D, parse_depthwise, write_depthwise, { "depthwise_kernel|kernel", "bias" } },
    { "BatchNormalization", FT_LAYER_BATCH_NORM, parse_batch_norm, write_batch_norm, { "gamma", "beta", "moving_mean", "moving_variance" } },
    { "Activation", FT_LAYER_ACTIVATION, parse_activation, write_activation, { 0 } },
    { "ReLU", FT_LAYER_ACTIVATION, parse_relu, write_relu6, { 0 } },
    { "Softmax", FT_LAYER_ACTIVATION, parse_softmax, NULL, { 0 } },
    { "ZeroPadding2D", FT_LAYER_ZERO_PAD, parse_zero_pad, write_zero_pad, { 0 } },
    { "MaxPooling2D", FT_LAYER_MAX_POOL, parse_pool, write_pool, { 0 } },
    { "AveragePooling2D", FT_LAYER_AVERAGE_POOL, parse_pool, write_pool, { 0 } },
    { "GlobalAveragePooling2D", FT_LAYER_GLOBAL_AVERAGE_POOL, parse_global_pool, write_global_pool, { 0 } },
    { "GlobalMaxPooling2D", FT_LAYER_GLOBAL_MAX_POOL, parse_global_pool, write_global_pool, { 0 } },
    { "Dense", FT_LAYER_DENSE, parse_dense, write_dense, { "kernel", "bias" } },
    { "Add", FT_LAYER_ADD, parse_nothing, write_nothing, { 0 } },
    { "Multiply", FT_LAYER_MULTIPLY, parse_nothing, write_nothing, { 0 } },
    { "Concatenate", FT_LAYER_CONCATENATE, parse_concatenate, write_nothing, { 0 } },
    { "Flatten", FT_LAYER_FLATTEN, parse_flatten, write_nothing, { 0 } },
    { "Reshape", FT_LAYER_RESHAPE, parse_reshape, write_reshape, { 0 } },
    { "Activation", FT_LAYER_IDENTITY, parse_nothing, write_nothing, { 0 } }, /* written as a linear activation, never found by name */
    { "Dropout", FT_LAYER_IDENTITY, parse_nothing, NULL, { 0 } },
    { "SpatialDropout2D", FT_LAYER_IDENTITY, parse_nothing, NULL, { 0 } },
    { "AlphaDropout", FT_LAYER_IDENTITY, parse_nothing, NULL, { 0 } },
    { "GaussianDropout", FT_LAYER_IDENTITY, parse_nothing, NULL, { 0 } },
    { "GaussianNoise", FT_LAYER_IDENTITY, parse_nothing, NULL, { 0 } },
    { "ActivityRegularization", FT_LAYER_IDENTITY, parse_nothing, NULL, { 0 } },
};
#define N_CLASSES (sizeof classes / sizeof *classes)

const struct ft_layer_class *ft_layer_class_find(const char *name)
{
    for (size_t i = 0; i < N_CLASSES; i++)
        if (!strcmp(classes[i].name, name))
            return &classes[i];
    return NULL;
}

const struct ft_layer_class *ft_layer_class_of(const struct ft_layer *layer)
{
    const bool relu6 = layer->kind == FT_LAYER_ACTIVATION && layer->params.activation == FT_ACT_RELU6;
    for (size_t i = 0; i < N_CLASSES; i++)
        if (classes[i].kind == layer->kind && classes[i].write && (!relu6 || classes[i].write == write_relu6))
            return &classes[i];
    return NULL;
}

const char *ft_layer_kind_name(enum ft_layer_kind kind)
{
    for (size_t i = 0; i < N_CLASSES; i++)
        if (classes[i].kind == kind)
            return kind == FT_LAYER_IDENTITY ? "Identity" : classes[i].name;
    return "?";
}

int ft_layer_class_weight(const struct ft_layer_class *class, const char *name)
{
    const char *slash = strrchr(name, '/'), *last = slash ? slash + 1 : name;
    const size_t length = strcspn(last, ":");
    for (int w = 0; w < FT_MAX_WEIGHTS && class->weights[w]; w++)
        for (const char *at = class->weights[w]; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
            if (strcspn(at, "|") == length && !strncmp(at, last, length))
                return w;
    return -1;
}

cJSON *ft_layer_config(const struct ft_layer *layer, const char *name)
{
    cJSON *config = cJSON_CreateObject();
    if (!config)
        return NULL;
    if (name)
        cJSON_AddStringToObject(config, "name", name);
    ft_layer_class_of(layer)->write(layer, config);
    if (layer->kind == FT_LAYER_IDENTITY)
        cJSON_AddStringToObject(config, "activation", "linear");
    return config;
}
