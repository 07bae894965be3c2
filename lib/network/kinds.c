/* The table of layer kinds, and the functions that need only this table. */
#include "network/kinds.h"

#include <limits.h>
#include <string.h>

#include "base/error.h"

#define WINDOW      (FT_PARAM_KERNEL | FT_PARAM_STRIDE | FT_PARAM_PADDING)
#define CONVOLUTION (WINDOW | FT_PARAM_DILATION | FT_PARAM_ACTIVATION)
#define ANY_NUMBER  1, INT_MAX

static const struct ft_layer_kind_info kinds[FT_LAYER_KINDS] = {
    [FT_LAYER_INPUT] = { "InputLayer", FT_PARAM_SHAPE, 0, 0, 0 },
    [FT_LAYER_RESCALING] = { "Rescaling", 0, 0, 1, 1, { { "scale" }, { "offset" } } },
    [FT_LAYER_CONV2D] = { "Conv2D",
                          CONVOLUTION | FT_PARAM_FILTERS | FT_PARAM_GROUPS,
                          0,
                          1,
                          1,
                          { { "kernel", "hw.f" }, { "bias", "f" } } },
    [FT_LAYER_DEPTHWISE_CONV2D] = { "DepthwiseConv2D",
                                    CONVOLUTION | FT_PARAM_MULTIPLIER,
                                    0,
                                    1,
                                    1,
                                    { { "kernel", "hwcm" }, { "bias", "C" } } },
    [FT_LAYER_BATCH_NORM] = { "BatchNormalization",
                              FT_PARAM_EPSILON,
                              0,
                              1,
                              1,
                              { { "gamma", "c" },
                                { "beta", "c" },
                                { "moving_mean", "c" },
                                { "moving_variance", "c" } } },
    [FT_LAYER_ACTIVATION] = { "Activation", FT_PARAM_ACTIVATION, 0, 1, 1 },
    [FT_LAYER_ZERO_PAD] = { "ZeroPadding2D", FT_PARAM_PAD, 0, 1, 1 },
    [FT_LAYER_MAX_POOL] = { "MaxPooling2D", WINDOW, 0, 1, 1 },
    [FT_LAYER_AVERAGE_POOL] = { "AveragePooling2D", WINDOW, 0, 1, 1 },
    [FT_LAYER_GLOBAL_AVERAGE_POOL] = { "GlobalAveragePooling2D", FT_PARAM_KEEP_DIMS,
                                       FT_KIND_GLOBAL_POOL, 1, 1 },
    [FT_LAYER_GLOBAL_MAX_POOL] = { "GlobalMaxPooling2D", FT_PARAM_KEEP_DIMS, FT_KIND_GLOBAL_POOL, 1,
                                   1 },
    [FT_LAYER_DENSE] = { "Dense",
                         FT_PARAM_UNITS | FT_PARAM_ACTIVATION,
                         0,
                         1,
                         1,
                         { { "kernel", ".u" }, { "bias", "u" } } },
    [FT_LAYER_ADD] = { "Add", FT_PARAM_ACTIVATION, FT_KIND_MERGES, ANY_NUMBER },
    [FT_LAYER_MULTIPLY] = { "Multiply", 0, FT_KIND_MERGES, ANY_NUMBER },
    [FT_LAYER_CONCATENATE] = { "Concatenate", 0, 0, ANY_NUMBER },
    [FT_LAYER_FLATTEN] = { "Flatten", 0, 0, 1, 1 },
    [FT_LAYER_RESHAPE] = { "Reshape", FT_PARAM_SHAPE, 0, 1, 1 },
    [FT_LAYER_IDENTITY] = { "Identity", 0, 0, 1, 1 },
    [FT_LAYER_SEPARABLE_CONV2D] = { "SeparableConv2D",
                                    CONVOLUTION | FT_PARAM_FILTERS | FT_PARAM_MULTIPLIER,
                                    0,
                                    1,
                                    1,
                                    { { "depthwise_kernel", "hwcm" },
                                      { "pointwise_kernel", "11Cf" },
                                      { "bias", "f" } } },
    [FT_LAYER_CONV2D_TRANSPOSE] = { "Conv2DTranspose",
                                    CONVOLUTION | FT_PARAM_FILTERS,
                                    FT_KIND_PER_INPUT,
                                    1,
                                    1,
                                    { { "kernel", "hwf." }, { "bias", "f" } } },
    [FT_LAYER_LAYER_NORM] = { "LayerNormalization",
                              FT_PARAM_EPSILON,
                              0,
                              1,
                              1,
                              { { "gamma" }, { "beta" } } },
    [FT_LAYER_GROUP_NORM] = { "GroupNormalization",
                              FT_PARAM_EPSILON | FT_PARAM_GROUPS,
                              0,
                              1,
                              1,
                              { { "gamma" }, { "beta" } } },
    [FT_LAYER_RMS_NORM] = { "RMSNormalization", FT_PARAM_EPSILON, 0, 1, 1, { { "scale", "c" } } },
    [FT_LAYER_UNIT_NORM] = { "UnitNormalization", 0, 0, 1, 1 },
    [FT_LAYER_PRELU] = { "PReLU", 0, 0, 1, 1, { { "alpha" } } },
    [FT_LAYER_CROPPING] = { "Cropping2D", FT_PARAM_PAD, 0, 1, 1 },
    [FT_LAYER_UPSAMPLING] = { "UpSampling2D", FT_PARAM_KERNEL | FT_PARAM_BILINEAR, 0, 1, 1 },
    [FT_LAYER_PERMUTE] = { "Permute", FT_PARAM_SHAPE, 0, 1, 1 },
    [FT_LAYER_SUBTRACT] = { "Subtract", 0, FT_KIND_MERGES, 2, 2 },
    [FT_LAYER_AVERAGE] = { "Average", 0, FT_KIND_MERGES, ANY_NUMBER },
    [FT_LAYER_MAXIMUM] = { "Maximum", 0, FT_KIND_MERGES, ANY_NUMBER },
    [FT_LAYER_MINIMUM] = { "Minimum", 0, FT_KIND_MERGES, ANY_NUMBER },
    [FT_LAYER_MAP_RESCALING] = { "MapRescaling", 0, 0, 1, 1, { { "scale" }, { "offset" } } },
    [FT_LAYER_ATTENTION] = { "MultiHeadAttention",
                             FT_PARAM_GROUPS | FT_PARAM_UNITS | FT_PARAM_FILTERS | FT_PARAM_WINDOWS,
                             0,
                             1,
                             3,
                             { { "query kernel", ".gu" },
                               { "query bias", "gu" },
                               { "key kernel", ".gu" },
                               { "key bias", "gu" },
                               { "value kernel", ".gf" },
                               { "value bias", "gf" },
                               { "output kernel", "gfc" },
                               { "output bias", "c" },
                               { "scale of the scores", "g" },
                               { "positions" } } },
    [FT_LAYER_RESIZE] = { "Resizing", FT_PARAM_SHAPE | FT_PARAM_BILINEAR | FT_PARAM_CROP, 0, 1, 1 },
};

static const char *const activations[FT_ACTIVATIONS] = {
    [FT_ACT_LINEAR] = "linear",
    [FT_ACT_RELU] = "relu",
    [FT_ACT_RELU6] = "relu6",
    [FT_ACT_SIGMOID] = "sigmoid",
    [FT_ACT_HARD_SIGMOID] = "hard_sigmoid",
    [FT_ACT_TANH] = "tanh",
    [FT_ACT_SWISH] = "swish",
    [FT_ACT_HARD_SWISH] = "hard_swish",
    [FT_ACT_GELU] = "gelu",
    [FT_ACT_SOFTMAX] = "softmax",
    [FT_ACT_ELU] = "elu",
    [FT_ACT_SELU] = "selu",
    [FT_ACT_SOFTPLUS] = "softplus",
    [FT_ACT_SOFTSIGN] = "softsign",
    [FT_ACT_EXPONENTIAL] = "exponential",
    [FT_ACT_MISH] = "mish",
    [FT_ACT_LEAKY_RELU] = "leaky_relu",
    [FT_ACT_RELU_SHAPED] = "ReLU",
    [FT_ACT_POWER] = "power",
};

const struct ft_layer_kind_info *ft_layer_kind_info(enum ft_layer_kind kind)
{
    return &kinds[kind];
}

const char *ft_layer_kind_name(enum ft_layer_kind kind)
{
    return kinds[kind].name;
}

const char *ft_activation_name(enum ft_activation activation)
{
    return activations[activation];
}

/* The length that a letter of a shape stands for; *channels is 0 until the first 'c' is met. */
static bool axis_fits(char letter, int64_t length, const struct ft_layer_params *p,
                      int64_t *channels)
{
    switch (letter) {
    case 'h':
        return length == p->kernel[0];
    case 'w':
        return length == p->kernel[1];
    case 'f':
        return length == p->filters;
    case 'u':
        return length == p->units;
    case 'g':
        return length == p->groups;
    case 'm':
        return length == p->multiplier;
    case '1':
        return length == 1;
    case 'C':
        return !*channels || length == *channels * p->multiplier;
    case 'c':
        *channels = *channels ? *channels : length;
        return length == *channels;
    default:
        return true;
    }
}

int ft_layer_check(const struct ft_layer *layer, struct ft_error *err)
{
    const struct ft_layer_params *p = &layer->params;
    int64_t channels = 0;
    for (int w = 0; w < FT_MAX_WEIGHTS; w++) {
        const struct ft_tensor *t = &layer->weights[w];
        const char *shape = kinds[layer->kind].weights[w].shape;
        bool fits = !t->data || !shape || (int)strlen(shape) == t->rank;
        for (int i = 0; fits && t->data && shape && i < t->rank; i++)
            fits = axis_fits(shape[i], t->shape[i], p, &channels);
        if (!fits)
            return ft_error_set(err, FT_EFORMAT,
                                "layer '%s': the shape of '%s' does not fit its settings",
                                layer->name, kinds[layer->kind].weights[w].name);
    }
    if (layer->kind == FT_LAYER_CONV2D && p->filters % p->groups)
        return ft_error_set(err, FT_EFORMAT,
                            "layer '%s': filters %d cannot be divided into groups %d", layer->name,
                            p->filters, p->groups);
    return 0;
}

int ft_layer_rank(const struct ft_layer *layer, int input_rank)
{
    if (layer->kind == FT_LAYER_INPUT || layer->kind == FT_LAYER_RESHAPE)
        return layer->params.rank;
    if (layer->kind == FT_LAYER_FLATTEN)
        return 1;
    if (kinds[layer->kind].flags & FT_KIND_GLOBAL_POOL)
        return layer->params.keep_dims ? 3 : 1;
    return input_rank;
}

/* Kernels are the weights of at least two axes. */
uint64_t ft_layer_multiply_adds(const struct ft_layer *layer, uint64_t input_pixels,
                                uint64_t output_pixels)
{
    const struct ft_layer_kind_info *kind = &kinds[layer->kind];
    uint64_t count = 0;
    for (int w = 0; w < FT_MAX_WEIGHTS; w++)
        if (kind->weights[w].shape && strlen(kind->weights[w].shape) > 1)
            count += layer->weights[w].count;
    return count * (kind->flags & FT_KIND_PER_INPUT ? input_pixels : output_pixels);
}
