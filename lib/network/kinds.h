/* The kinds of layers, and the properties of each kind that several rooms use. One row for each
 * kind (kinds.c). */
#ifndef FT_NETWORK_KINDS_H
#define FT_NETWORK_KINDS_H

#include "finetune-tools.h"
#include "network/layer.h"

/* Fields of struct ft_layer_params, as bits of ft_layer_kind_info.params. */
enum ft_layer_param {
    FT_PARAM_FILTERS = 1 << 0,
    FT_PARAM_UNITS = 1 << 1,
    FT_PARAM_GROUPS = 1 << 2,
    FT_PARAM_MULTIPLIER = 1 << 3,
    FT_PARAM_KERNEL = 1 << 4,
    FT_PARAM_STRIDE = 1 << 5,
    FT_PARAM_DILATION = 1 << 6,
    FT_PARAM_PADDING = 1 << 7,
    FT_PARAM_PAD = 1 << 8,
    FT_PARAM_ACTIVATION =
        1 << 9, /* with alpha, most and threshold, where the activation has them */
    FT_PARAM_EPSILON = 1 << 10,
    FT_PARAM_BILINEAR = 1 << 11,
    FT_PARAM_KEEP_DIMS = 1 << 12,
    FT_PARAM_SHAPE = 1 << 13, /* with rank */
    FT_PARAM_CROP = 1 << 14,
    FT_PARAM_WINDOWS = 1 << 15,
};

enum ft_layer_flag {
    FT_KIND_MERGES = 1 << 0,      /* combines its inputs value by value: Add, Multiply */
    FT_KIND_GLOBAL_POOL = 1 << 1, /* [h, w, c] to [c] */
    FT_KIND_PER_INPUT = 1 << 2,   /* the kernel is applied once for each input pixel, not output */
};

struct ft_weight_info {
    const char *name; /* for messages: "kernel"; NULL: the kind has no such weight */
    /* Its shape, one letter an axis: h w rows and columns of params.kernel, f filters, u units, g
     * groups, m multiplier, c channels (the same number in all weights), C channels * multiplier,
     * 1 one, . any length. NULL: it does not depend on the layer's parameters alone. */
    const char *shape;
};

struct ft_layer_kind_info {
    const char *name; /* the Keras class: "Conv2D" */
    unsigned params;  /* FT_PARAM_...: the parameters that have a meaning */
    unsigned flags;   /* FT_KIND_... */
    int least, most;  /* inputs */
    struct ft_weight_info weights[FT_MAX_WEIGHTS];
};

const struct ft_layer_kind_info *ft_layer_kind_info(enum ft_layer_kind kind);

/* "Conv2D"; "Identity" for layers that do nothing. */
const char *ft_layer_kind_name(enum ft_layer_kind kind);
/* "relu", as Keras names it. */
const char *ft_activation_name(enum ft_activation activation);

/* Whether the shapes of the weights agree with the parameters. Returns FT_EFORMAT if not; weights
 * that are absent are not an error. */
int ft_layer_check(const struct ft_layer *layer, struct ft_error *err);
/* Rank of the layer's output (3: [h, w, c], 1: [c]). Depends on the rank of its first input, except
 * for an input layer. */
int ft_layer_rank(const struct ft_layer *layer, int input_rank);
/* Multiply-adds of one pass, from the pixels (rows * columns) of its input and of its output. */
uint64_t ft_layer_multiply_adds(const struct ft_layer *layer, uint64_t input_pixels,
                                uint64_t output_pixels);

#endif
