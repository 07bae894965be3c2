/* A network as layers and weights, whatever file it came from. keras/ makes it from Keras files and
 * writes it to them; graph/ plans it. Layers stand in topological order, models inside models are
 * flattened, a shared layer stands once for each call, every layer has one output. Layout is
 * channels last: feature maps [h, w, c], vectors [c].
 */
#ifndef FT_KERAS_NETWORK_H
#define FT_KERAS_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "finetune.h"

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
    FT_LAYER_IDENTITY, /* dropout and the like: nothing at inference */
    /* KERNEL [kh, kw, c, multiplier], POINTWISE [1, 1, c * multiplier, filters], SEPARABLE_BIAS
     * [filters] */
    FT_LAYER_SEPARABLE_CONV2D,
    FT_LAYER_CONV2D_TRANSPOSE, /* KERNEL [kh, kw, filters, cin], BIAS [filters] or absent */
    FT_LAYER_LAYER_NORM, /* over channels: GAMMA, BETA [c], either may be absent; params.epsilon */
    /* over rows, columns and the channels of a group: the same; params.groups, -1 for one a channel
     */
    FT_LAYER_GROUP_NORM,
    FT_LAYER_UNIT_NORM,  /* channels divided by their Euclidean length */
    FT_LAYER_PRELU,      /* ALPHA [h, w, c], any of them 1 */
    FT_LAYER_CROPPING,   /* params.pad */
    FT_LAYER_UPSAMPLING, /* params.kernel times as many rows and columns; params.bilinear */
    FT_LAYER_PERMUTE,    /* params.shape: the input axis, from 1, of each output axis */
    FT_LAYER_SUBTRACT,
    FT_LAYER_AVERAGE,
    FT_LAYER_MAXIMUM,
    FT_LAYER_MINIMUM,
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
    FT_ACTIVATIONS
};

enum ft_padding { FT_PAD_VALID, FT_PAD_SAME };

/* Places for weights in ft_layer.weights; a layer kind uses those named beside it above. */
enum ft_weight {
    FT_W_KERNEL = 0,
    FT_W_BIAS = 1,
    FT_W_GAMMA = 0,
    FT_W_BETA = 1,
    FT_W_MEAN = 2,
    FT_W_VARIANCE = 3,
    FT_W_SCALE = 0,
    FT_W_OFFSET = 1,
    /* while a Normalization is read: it becomes a RESCALING */
    FT_W_NORM_MEAN = 0,
    FT_W_NORM_VARIANCE = 1,
    FT_W_POINTWISE = 1,
    FT_W_SEPARABLE_BIAS = 2,
    FT_W_ALPHA = 0,
    FT_MAX_WEIGHTS = 4
};

struct ft_tensor {
    int rank;
    int64_t shape[5];
    size_t count; /* product of shape */
    /* NULL: absent. Lent by the network: heap, or the mapped file (then the pages can be dropped
     * and come back) */
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
    bool keep_dims;     /* global pooling: [1, 1, c] instead of [c] */
    int rank, shape[4]; /* INPUT, RESHAPE, PERMUTE: without the batch axis; -1 unknown */
};

struct ft_layer {
    char *name; /* unique, without slashes: a second layer "conv" is conv_2 */
    enum ft_layer_kind kind;
    int n_inputs;
    int *inputs; /* [n_inputs] indices of earlier layers */
    struct ft_layer_params params;
    struct ft_tensor weights[FT_MAX_WEIGHTS];
};

struct ft_network {
    char *name;
    int n_layers;
    struct ft_layer *layers; /* [n_layers], layers[0] is the input */
    int output;              /* index */
    /* how pixels enter, where the description of a weights-only file says so: "caffe"; NULL */
    char *preprocess;
    char *attribute; /* the root attribute `finetune` (JSON), or NULL */
    void *storage;   /* owns all tensors; private to keras/ */
};

struct ft_network_options {
    /* folder of descriptions for files without a configuration; NULL: none */
    const char *architectures;
    const char *architecture; /* the description to use, without ".txt"; NULL: the one that fits */
};

/* Reads a Keras file of any supported layout: full-model .h5, .keras, legacy weights-only .h5,
 * .weights.h5. `options` may be NULL. Messages begin with the path in quotes. */
int ft_network_open(const char *path, const struct ft_network_options *options,
                    struct ft_network **out, struct ft_error *err);
void ft_network_free(struct ft_network *network);
/* Lets the operating system drop mapped pages (resident memory) until they are read again. */
void ft_network_unload(const struct ft_network *network);

/* Names of the networks that the descriptions in a folder know. */
void ft_architecture_names(const char *folder, void (*each)(void *user, const char *name),
                           void *user);

/* A copy of `network` up to layer `last` (and what it needs), then a Dense layer with a softmax:
 * the file `ft_model_save` writes. The copy lends the tensors of `network`, and w [d, k] and b [k]:
 * both must outlive it. */
int ft_network_with_head(const struct ft_network *network, int last, const char *name, int d, int k,
                         const float *w, const float *b, struct ft_network **out,
                         struct ft_error *err);

/* The copy without a head: what a backbone needs, for ft_network_write. */
int ft_network_cut(const struct ft_network *network, int last, struct ft_network **out,
                   struct ft_error *err);

/* Changes in place; indices of layers move. A Rescaling layer behind the input: scale, offset
 * [channels]. `reversed`: the network was made for blue, green, red, and its first convolution is
 * turned around. The input must be layer 0. */
int ft_network_scale(struct ft_network *network, int channels, const float *scale,
                     const float *offset, bool reversed, struct ft_error *err);
/* Averages the map that `layer` gives: *out is the new last layer. The network's output stays. */
int ft_network_pool(struct ft_network *network, int layer, int *out, struct ft_error *err);

/* 3 for maps [h, w, c], 1 for vectors. */
int ft_network_rank(const struct ft_network *network, int layer);
/* Index of a layer by name, -1 when there is none. */
int ft_network_find(const struct ft_network *network, const char *name);

/* Writes full-model legacy Keras HDF5 in the minimal dialect that Keras 2 and 3 both open, with
 * `attribute` (may be NULL) as root attribute `finetune`. Byte-identical for equal input. Writes
 * straight to `path`: the caller replaces atomically. */
int ft_network_write(const struct ft_network *network, const char *attribute, const char *path,
                     struct ft_error *err);

/* Hash of structure and weights up to layer `last`: equal for equal networks, whatever file they
 * came from. */
void ft_network_hash(const struct ft_network *network, int last, uint64_t out[2]);

const char *ft_layer_kind_name(enum ft_layer_kind kind); /* the Keras class: "Conv2D" */
const char *ft_activation_name(enum ft_activation activation);

#endif
