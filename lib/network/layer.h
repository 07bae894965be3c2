/* A layer: its kind, parameters, inputs and weights. The properties of each kind are in kinds.h. */
#ifndef FT_NETWORK_LAYER_H
#define FT_NETWORK_LAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ft_layer_kind {
    FT_LAYER_INPUT,     /* shape in params.shape */
    FT_LAYER_RESCALING, /* x * SCALE + OFFSET, tensors of 1 or c values */
    FT_LAYER_CONV2D,    /* KERNEL [kh, kw, cin / groups, filters], BIAS [filters] or absent */
    FT_LAYER_DEPTHWISE_CONV2D, /* KERNEL [kh, kw, c, multiplier], BIAS [c * multiplier] or absent */
    /* GAMMA, BETA (either may be absent), MEAN, VARIANCE [c]; params.epsilon */
    FT_LAYER_BATCH_NORM,
    FT_LAYER_ACTIVATION, /* params.activation */
    FT_LAYER_ZERO_PAD,   /* params.pad */
    FT_LAYER_MAX_POOL,
    FT_LAYER_AVERAGE_POOL, /* padding is not counted in the mean */
    FT_LAYER_GLOBAL_AVERAGE_POOL,
    FT_LAYER_GLOBAL_MAX_POOL,
    FT_LAYER_DENSE, /* KERNEL [d, units], BIAS [units] or absent */
    FT_LAYER_ADD,
    FT_LAYER_MULTIPLY,
    FT_LAYER_CONCATENATE,
    FT_LAYER_FLATTEN,
    FT_LAYER_RESHAPE,  /* params.shape */
    FT_LAYER_IDENTITY, /* dropout and others that do nothing at inference */
    /* KERNEL [kh, kw, c, multiplier], POINTWISE [1, 1, c * multiplier, filters], SEPARABLE_BIAS
     * [filters] */
    FT_LAYER_SEPARABLE_CONV2D,
    FT_LAYER_CONV2D_TRANSPOSE, /* KERNEL [kh, kw, filters, cin], BIAS [filters] or absent */
    FT_LAYER_LAYER_NORM, /* over channels: GAMMA, BETA [c], either may be absent; params.epsilon */
    /* over rows, columns and the channels of a group: GAMMA, BETA, params.epsilon as above;
     * params.groups, -1: one group for each channel */
    FT_LAYER_GROUP_NORM,
    FT_LAYER_RMS_NORM,   /* channels divided by the root of their mean square: GAMMA [c]; epsilon */
    FT_LAYER_UNIT_NORM,  /* channels divided by their Euclidean length */
    FT_LAYER_PRELU,      /* ALPHA [h, w, c], any of them 1 */
    FT_LAYER_CROPPING,   /* params.pad */
    FT_LAYER_UPSAMPLING, /* params.kernel times as many rows and columns; params.bilinear */
    FT_LAYER_PERMUTE,    /* params.shape: the input axis, from 1, of each output axis */
    FT_LAYER_SUBTRACT,
    FT_LAYER_AVERAGE,
    FT_LAYER_MAXIMUM,
    FT_LAYER_MINIMUM,
    /* x * SCALE + OFFSET, tensors [h, w, c], any of them 1. A kind of its own because it cannot be
     * folded into a neighbour */
    FT_LAYER_MAP_RESCALING,
    /* Multi-head attention over all pixels (tokens) of a map. Inputs: the map of the queries; if
     * another, that of the values; if another again, that of the keys. QUERY, KEY [c, heads,
     * units], VALUE [c, heads, filters], OUTPUT [heads, filters, channels], and a bias [all but the
     * first axis] of each, or none; params.groups heads, params.units and params.filters for each
     * head.
     *
     * params.windows: the pixels of a row attend only to one another, so a row is a window. Of such
     * a layer with one input, the score of query i and key j, q * k / sqrt(units), may be
     * q * k * SCORE_SCALE [heads] + POSITIONS [heads, i, j], or POSITIONS [rows, heads, i, j]: one
     * number for each pair of pixels, as relative positions and masks need it */
    FT_LAYER_ATTENTION,
    FT_LAYER_RESIZE, /* to params.shape [rows, columns]; params.bilinear, params.crop */
    FT_LAYER_KINDS
};

enum ft_activation {
    FT_ACT_LINEAR,
    FT_ACT_RELU,
    FT_ACT_RELU6,
    FT_ACT_SIGMOID,
    FT_ACT_HARD_SIGMOID,
    FT_ACT_TANH,
    FT_ACT_SWISH,
    FT_ACT_HARD_SWISH,
    FT_ACT_GELU,
    FT_ACT_SOFTMAX,
    FT_ACT_ELU,
    FT_ACT_SELU,
    FT_ACT_SOFTPLUS,
    FT_ACT_SOFTSIGN,
    FT_ACT_EXPONENTIAL,
    FT_ACT_MISH,
    FT_ACT_LEAKY_RELU,  /* params.alpha, the slope below 0; also ELU's */
    FT_ACT_RELU_SHAPED, /* the ReLU layer: params.alpha, most, threshold */
    FT_ACT_POWER,       /* x to the power params.alpha; keras.ops.power, which Keras 2 has not */
    FT_ACTIVATIONS,
    /* only in plans (graph/fold.c): gelu with tanh, which files have as several layers */
    FT_ACT_GELU_TANH = FT_ACTIVATIONS
};

enum ft_padding { FT_PAD_VALID, FT_PAD_SAME };

/* The part of its input that RESIZE uses. */
enum ft_crop {
    FT_CROP_NONE,   /* all */
    FT_CROP_ASPECT, /* the largest centred part with the aspect of the output */
    /* the centred part of the output's size; of a smaller input as FT_CROP_ASPECT */
    FT_CROP_CENTRE,
};

/* Indices of ft_layer.weights; each layer kind uses those that its comment above names. */
enum ft_weight {
    FT_W_KERNEL = 0,
    FT_W_BIAS = 1,
    FT_W_GAMMA = 0,
    FT_W_BETA = 1,
    FT_W_MEAN = 2,
    FT_W_VARIANCE = 3,
    FT_W_SCALE = 0,
    FT_W_OFFSET = 1,
    /* only while a Normalization layer is read; it becomes a RESCALING */
    FT_W_NORM_MEAN = 0,
    FT_W_NORM_VARIANCE = 1,
    FT_W_POINTWISE = 1,
    FT_W_SEPARABLE_BIAS = 2,
    FT_W_ALPHA = 0,
    FT_W_QUERY = 0, /* each followed by its bias */
    FT_W_KEY = 2,
    FT_W_VALUE = 4,
    FT_W_OUTPUT = 6,
    FT_W_OUTPUT_BIAS = 7,
    FT_W_SCORE_SCALE = 8, /* with POSITIONS, or absent as it is */
    FT_W_POSITIONS = 9,
    FT_MAX_WEIGHTS = 10
};

struct ft_tensor {
    int rank;
    int64_t shape[5];
    size_t count; /* product of shape */
    /* NULL: absent. Owned by the network's storage: a heap block, or a mapped file, whose pages can
     * be dropped and read again */
    const float *data;
};

struct ft_layer_params {
    int filters, units, groups, multiplier; /* groups, multiplier: at least 1 */
    int kernel[2], stride[2], dilation[2];  /* rows, columns; kernel also holds a pool's size */
    enum ft_padding padding;
    int pad[4]; /* top, bottom, left, right */
    /* also of CONV2D, DEPTHWISE_CONV2D, DENSE, ADD (fused, LINEAR when there is none) */
    enum ft_activation activation;
    float alpha, most, threshold; /* of the activation */
    float epsilon;
    bool bilinear;
    enum ft_crop crop;
    bool keep_dims;     /* global pooling: [1, 1, c] instead of [c] */
    bool windows;       /* ATTENTION */
    int rank, shape[4]; /* INPUT, RESHAPE, PERMUTE, RESIZE: without the batch axis; -1 unknown */
};

/* The initial parameters of a layer: groups, multiplier, kernel, stride and dilation are 1. */
#define FT_LAYER_PARAMS                                                                            \
    .groups = 1, .multiplier = 1, .kernel = { 1, 1 }, .stride = { 1, 1 }, .dilation = { 1, 1 }

struct ft_layer {
    char *name; /* unique, without slashes: a second layer "conv" is conv_2 */
    enum ft_layer_kind kind;
    int n_inputs;
    int *inputs; /* [n_inputs] indices of earlier layers */
    struct ft_layer_params params;
    struct ft_tensor weights[FT_MAX_WEIGHTS];
};

#endif
