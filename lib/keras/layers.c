/* Keras's layer classes: one row each, with its parser, its writer and the names of its weights.
 * The settings are those of keras.layers in Keras 1.2 to 3. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "keras/draft.h"
#include "keras/fields.h"
#include "keras/parsers.h"

/* ---- writing: only what differs from the defaults, which is what every Keras reads ----------- */

static void add_list(cJSON *config, const char *key, const int *values, int n)
{
    cJSON_AddItemToObject(config, key, cJSON_CreateIntArray(values, n));
}

static void add_activation(cJSON *config, enum ft_activation activation)
{
    if (activation != FT_ACT_LINEAR)
        cJSON_AddStringToObject(config, "activation", ft_activation_name(activation));
}

static void add_shape(cJSON *config, const char *key, bool with_batch,
                      const struct ft_layer_params *p)
{
    cJSON *list = cJSON_AddArrayToObject(config, key);
    if (with_batch)
        cJSON_AddItemToArray(list, cJSON_CreateNull());
    for (int i = 0; i < p->rank; i++)
        cJSON_AddItemToArray(list, p->shape[i] < 0 && with_batch ? cJSON_CreateNull()
                                                                 : cJSON_CreateNumber(p->shape[i]));
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

static void write_separable(const struct ft_layer *layer, cJSON *config)
{
    const struct ft_layer_params *p = &layer->params;
    cJSON_AddNumberToObject(config, "filters", p->filters);
    if (p->multiplier != 1)
        cJSON_AddNumberToObject(config, "depth_multiplier", p->multiplier);
    write_window(p, "kernel_size", config);
    if (p->dilation[0] != 1 || p->dilation[1] != 1)
        add_list(config, "dilation_rate", p->dilation, 2);
    if (!layer->weights[FT_W_SEPARABLE_BIAS].data)
        cJSON_AddFalseToObject(config, "use_bias");
    add_activation(config, p->activation);
}

static void write_norm(const struct ft_layer *layer, cJSON *config)
{
    cJSON_AddItemToObject(config, "epsilon", ft_json_float(layer->params.epsilon));
    if (!layer->weights[FT_W_GAMMA].data)
        cJSON_AddFalseToObject(config, "scale");
    if (!layer->weights[FT_W_BETA].data)
        cJSON_AddFalseToObject(config, "center");
}

static void write_group_norm(const struct ft_layer *layer, cJSON *config)
{
    cJSON_AddNumberToObject(config, "groups", layer->params.groups);
    write_norm(layer, config);
}

/* Alpha's axes of length 1 are what Keras calls shared. */
static void write_prelu(const struct ft_layer *layer, cJSON *config)
{
    const struct ft_tensor *t = &layer->weights[FT_W_ALPHA];
    cJSON *shared = NULL;
    for (int i = 0; i < t->rank && t->rank > 1; i++)
        if (t->shape[i] == 1) {
            shared = shared ? shared : cJSON_AddArrayToObject(config, "shared_axes");
            cJSON_AddItemToArray(shared, cJSON_CreateNumber(i + 1));
        }
}

static void write_activation(const struct ft_layer *layer, cJSON *config)
{
    cJSON_AddStringToObject(config, "activation", ft_activation_name(layer->params.activation));
}

static void add_number(cJSON *config, const char *key, float value)
{
    cJSON_AddItemToObject(config, key, ft_json_float(value));
}

/* Keras 3 takes "alpha" for its "negative_slope", Keras 2 knows nothing else. */
static void write_alpha(const struct ft_layer *layer, cJSON *config)
{
    add_number(config, "alpha", layer->params.alpha);
}

static void write_relu(const struct ft_layer *layer, cJSON *config)
{
    const struct ft_layer_params *p = &layer->params;
    if (!isinf(p->most))
        add_number(config, "max_value", p->most);
    if (p->alpha != 0)
        add_number(config, "negative_slope", p->alpha);
    if (p->threshold != 0)
        add_number(config, "threshold", p->threshold);
}

static void write_relu6(const struct ft_layer *layer, cJSON *config)
{
    (void)layer;
    cJSON_AddItemToObject(config, "max_value", ft_json_float(6));
}

static void add_sides(cJSON *config, const char *key, const int *pad)
{
    cJSON *list = cJSON_AddArrayToObject(config, key);
    cJSON_AddItemToArray(list, cJSON_CreateIntArray(pad, 2));
    cJSON_AddItemToArray(list, cJSON_CreateIntArray(pad + 2, 2));
}

static void write_zero_pad(const struct ft_layer *layer, cJSON *config)
{
    add_sides(config, "padding", layer->params.pad);
}

static void write_cropping(const struct ft_layer *layer, cJSON *config)
{
    add_sides(config, "cropping", layer->params.pad);
}

static void write_upsampling(const struct ft_layer *layer, cJSON *config)
{
    add_list(config, "size", layer->params.kernel, 2);
    if (layer->params.bilinear)
        cJSON_AddStringToObject(config, "interpolation", "bilinear");
}

static void write_permute(const struct ft_layer *layer, cJSON *config)
{
    add_shape(config, "dims", false, &layer->params);
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

/* ---- the table: of several rows of one kind, the first with a writer writes, unless one is for
 * the very activation  */

static const struct ft_layer_class classes[] = {
    { "InputLayer", FT_LAYER_INPUT, ft_parse_input, .write = write_input },
    { "Rescaling", FT_LAYER_RESCALING, ft_parse_rescaling, .write = write_rescaling },
    { "Conv2D", FT_LAYER_CONV2D, ft_parse_conv2d, write_conv2d, .weights = { "kernel", "bias" } },
    { "SeparableConv2D", FT_LAYER_SEPARABLE_CONV2D, ft_parse_separable, write_separable,
      .weights = { "depthwise_kernel", "pointwise_kernel", "bias" } },
    { "Conv2DTranspose", FT_LAYER_CONV2D_TRANSPOSE, ft_parse_transpose, write_conv2d,
      .weights = { "kernel", "bias" } },
    { "DepthwiseConv2D", FT_LAYER_DEPTHWISE_CONV2D, ft_parse_depthwise, write_depthwise,
      .weights = { "depthwise_kernel|kernel", "bias" } },
    { "BatchNormalization", FT_LAYER_BATCH_NORM, ft_parse_batch_norm, write_norm,
      .weights = { "gamma", "beta", "moving_mean", "moving_variance" } },
    { "LayerNormalization", FT_LAYER_LAYER_NORM, ft_parse_layer_norm, write_norm,
      .weights = { "gamma", "beta" } },
    { "GroupNormalization", FT_LAYER_GROUP_NORM, ft_parse_group_norm, write_group_norm,
      .weights = { "gamma", "beta" } },
    { "UnitNormalization", FT_LAYER_UNIT_NORM, ft_parse_unit_norm, .write = write_nothing },
    { "Normalization", FT_LAYER_RESCALING, ft_parse_normalization, NULL,
      .weights = { "mean", "variance", "count" }, .ignored = 1u << 2,
      .finish = ft_finish_normalization },
    { "LayerScale", FT_LAYER_RESCALING, ft_parse_layer_scale, NULL,
      .weights = { "gamma|variable*|Variable*" }, .finish = ft_finish_layer_scale },
    { "PReLU", FT_LAYER_PRELU, ft_parse_prelu, write_prelu, .weights = { "alpha" } },
    { "Activation", FT_LAYER_ACTIVATION, ft_parse_activation, .write = write_activation },
    { "ReLU", FT_LAYER_ACTIVATION, ft_parse_relu, write_relu6, .activation = FT_ACT_RELU6 },
    { "ReLU", FT_LAYER_ACTIVATION, ft_parse_relu, write_relu, .activation = FT_ACT_RELU_SHAPED },
    { "LeakyReLU", FT_LAYER_ACTIVATION, ft_parse_leaky_relu, write_alpha,
      .activation = FT_ACT_LEAKY_RELU },
    { "ELU", FT_LAYER_ACTIVATION, ft_parse_elu, write_alpha, .activation = FT_ACT_ELU },
    { "Softmax", FT_LAYER_ACTIVATION, .parse = ft_parse_softmax },
    { "ZeroPadding2D", FT_LAYER_ZERO_PAD, ft_parse_zero_pad, .write = write_zero_pad },
    { "Cropping2D", FT_LAYER_CROPPING, ft_parse_cropping, .write = write_cropping },
    { "UpSampling2D", FT_LAYER_UPSAMPLING, ft_parse_upsampling, .write = write_upsampling },
    { "Permute", FT_LAYER_PERMUTE, ft_parse_permute, .write = write_permute },
    { "MaxPooling2D", FT_LAYER_MAX_POOL, ft_parse_pool, .write = write_pool },
    { "AveragePooling2D", FT_LAYER_AVERAGE_POOL, ft_parse_pool, .write = write_pool },
    { "GlobalAveragePooling2D", FT_LAYER_GLOBAL_AVERAGE_POOL, ft_parse_global_pool,
      .write = write_global_pool },
    { "GlobalMaxPooling2D", FT_LAYER_GLOBAL_MAX_POOL, ft_parse_global_pool,
      .write = write_global_pool },
    { "Dense", FT_LAYER_DENSE, ft_parse_dense, write_dense, .weights = { "kernel", "bias" } },
    { "Add", FT_LAYER_ADD, ft_parse_nothing, .write = write_nothing },
    { "Subtract", FT_LAYER_SUBTRACT, ft_parse_nothing, .write = write_nothing },
    { "Average", FT_LAYER_AVERAGE, ft_parse_nothing, .write = write_nothing },
    { "Maximum", FT_LAYER_MAXIMUM, ft_parse_nothing, .write = write_nothing },
    { "Minimum", FT_LAYER_MINIMUM, ft_parse_nothing, .write = write_nothing },
    { "CustomScaleLayer", FT_LAYER_ADD, .parse = ft_parse_custom_scale },
    { "Lambda", FT_LAYER_ADD, .parse = ft_parse_custom_scale },
    { "Multiply", FT_LAYER_MULTIPLY, ft_parse_nothing, .write = write_nothing },
    { "Concatenate", FT_LAYER_CONCATENATE, ft_parse_concatenate, .write = write_nothing },
    { "Flatten", FT_LAYER_FLATTEN, ft_parse_flatten, .write = write_nothing },
    { "Reshape", FT_LAYER_RESHAPE, ft_parse_reshape, .write = write_reshape },
    /* written as a linear activation, never found by name */
    { "Activation", FT_LAYER_IDENTITY, ft_parse_nothing, .write = write_nothing },
    { "Dropout", FT_LAYER_IDENTITY, .parse = ft_parse_nothing },
    { "StochasticDepth", FT_LAYER_IDENTITY, .parse = ft_parse_nothing },
    { "DropPath", FT_LAYER_IDENTITY, .parse = ft_parse_nothing },
    /* of the first EfficientNet files */
    { "FixedDropout", FT_LAYER_IDENTITY, .parse = ft_parse_nothing },
    { "SpatialDropout2D", FT_LAYER_IDENTITY, .parse = ft_parse_nothing },
    { "AlphaDropout", FT_LAYER_IDENTITY, .parse = ft_parse_nothing },
    { "GaussianDropout", FT_LAYER_IDENTITY, .parse = ft_parse_nothing },
    { "GaussianNoise", FT_LAYER_IDENTITY, .parse = ft_parse_nothing },
    /* augmentation happens in training only */
    { "RandomFlip", FT_LAYER_IDENTITY, .parse = ft_parse_nothing },
    { "RandomRotation", FT_LAYER_IDENTITY, .parse = ft_parse_nothing },
    { "RandomZoom", FT_LAYER_IDENTITY, .parse = ft_parse_nothing },
    { "RandomTranslation", FT_LAYER_IDENTITY, .parse = ft_parse_nothing },
    { "RandomContrast", FT_LAYER_IDENTITY, .parse = ft_parse_nothing },
    { "RandomBrightness", FT_LAYER_IDENTITY, .parse = ft_parse_nothing },
    { "RandomShear", FT_LAYER_IDENTITY, .parse = ft_parse_nothing },
    { "ActivityRegularization", FT_LAYER_IDENTITY, .parse = ft_parse_nothing },
};
#define N_CLASSES (sizeof classes / sizeof *classes)

/* A class that is registered with Keras has its package before it: "Custom>CustomScaleLayer". */
const struct ft_layer_class *ft_layer_class_find(const char *name)
{
    const char *package = strchr(name, '>');
    name = package ? package + 1 : name;
    for (size_t i = 0; i < N_CLASSES; i++)
        if (!strcmp(classes[i].name, name))
            return &classes[i];
    return NULL;
}

const struct ft_layer_class *ft_layer_class_of(const struct ft_layer *layer)
{
    const struct ft_layer_class *general = NULL;
    for (size_t i = 0; i < N_CLASSES; i++) {
        const struct ft_layer_class *class = &classes[i];
        if (class->kind != layer->kind || !class->write)
            continue;
        if (class->activation && class->activation == layer->params.activation)
            return class;
        general = general || class->activation ? general : class;
    }
    return general;
}

/* Does `name` [length] fit one of "a|b*"? */
static bool fits(const char *patterns, const char *name, size_t length)
{
    for (const char *at = patterns; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL) {
        const size_t n = strcspn(at, "|*");
        if ((n == length || (at[n] == '*' && n < length)) && !strncmp(at, name, n))
            return true;
    }
    return false;
}

int ft_layer_class_weight(const struct ft_layer_class *class, const char *name)
{
    const char *slash = strrchr(name, '/'), *last = slash ? slash + 1 : name;
    const size_t length = strcspn(last, ":");
    for (int w = 0; w < FT_MAX_WEIGHTS && class->weights[w]; w++)
        if (fits(class->weights[w], last, length))
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
