/* The float loops of a network. An operation has a table of rows, best first and plain C last. A
 * row is a function, with the processor features that it needs, the work that it accepts and the
 * layout of its weights. Planning chooses the first row that fits; running calls it. A row computes
 * output rows y0..y1 and channels c0..c1 of one step, so that a step can be cut into parts.
 *
 * All functions may be called by several threads at once. Rows write only to `out` and `scratch`.
 */
#ifndef FT_KERNELS_KERNELS_H
#define FT_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "network/network.h"

/* [h, w, c]. Pixel (y, x) begins at data + y * row + x * pixel. Strides are in values; a stride of
 * 0 repeats a row or a pixel (broadcasting). The values of maps of int8 steps are bytes or 16-bit
 * integers (integers.h), at `data` too. */
struct ft_map {
    float *data;
    int h, w, c;
    ptrdiff_t row;
    int pixel;
};

/* c0 and c1 are cuts of ft_channels_cut, in steps of row->channels, or of this if that is 0. */
enum { FT_CHANNELS_STEP = 32 };

/* If n channels are an odd number of steps of 32, and many, their weights are laid out as two
 * halves, so that two parts can be equal. */
static inline bool ft_channels_halved(int n, int step)
{
    return step == FT_CHANNELS_STEP && n >= 5 * FT_CHANNELS_STEP &&
           n % (2 * FT_CHANNELS_STEP) == FT_CHANNELS_STEP;
}

/* The last of n channels, up to c, where a part may begin. A short rest may belong to the step
 * before it (simd/panels.h). */
static inline int ft_channels_cut(int n, int step, int c)
{
    enum { REST = 8 };
    const int half = ft_channels_halved(n, step) && c >= n / 2 ? n / 2 : 0,
              at = half + (c - half) / step * step;
    return c >= n ? n : at >= step && n - at <= REST ? at - step : at;
}

/* A step is cut into at most so many parts, whose scratch is an equal share of the whole. */
enum { FT_PARTS_MAX = 8 };

/* What a byte q of a map stands for: step * (q - zero). */
struct ft_quantum {
    float step;
    int zero;
};

/* The integers of an int8 step (integers.h). */
struct ft_int8 {
    struct ft_quantum in, other, out;
    bool wide;    /* `in` has 16-bit integers */
    bool floats;  /* `out` has floats */
    int fraction; /* bits below the output's step */
    int half;     /* added before they are shifted out: half a step, and the output's zero */
    int lo, hi;   /* limits of the output's bytes */
    int scale_in, scale_other; /* of addends, in 2^-15 */
};

/* One step. Convolutions read `pad` rows above and columns left of `in`, and below and right of it
 * what the geometry needs, without a check: the planner keeps a border of zeros there. Pools check
 * the edges. */
struct ft_work {
    struct ft_map in, out;
    /* an addend of a convolution's sum, or the second operand; data NULL: none */
    struct ft_map other;
    const float *weights; /* in the row's layout */
    const float *bias;    /* [c], zeros up to a multiple of 64; also the offsets of `affine` */
    /* the result is clamped to [lo, hi], which includes linear, relu and relu6; NaN remains NaN */
    float lo, hi;
    enum ft_activation activation; /* of convolutions, after the clamp, and of `activate` */
    float alpha, most, threshold;  /* of the activation */
    float epsilon;                 /* of normalisations */
    int permute[3];                /* input axis (row, column, channel) of each output axis */
    bool bilinear;                 /* resizing */
    bool whole;                    /* prelu: weights are [h, w, c], not [c] */
    int kernel[2], stride[2], dilation[2], pad[2]; /* rows, columns; pad: top, left */
    int groups, multiplier;
    /* of attention: the pixels of a row attend to one another only; weights are a scale for each
     * head, then a number for each head (and row, if by_row), query and key of a row */
    bool windows, positions, by_row;
    bool exact; /* only rows that round like direct summation */
    /* of FT_OP_CONVOLUTION: bf16 rounds inputs and weights to bfloat16 (bf16.h); sums are floats.
     * Rows that are not `exact` may keep floats instead. int8, of many operations: `int8` says
     * what the integers of the maps stand for */
    enum ft_precision precision;
    struct ft_int8 int8;
    int y0, y1, c0, c1;
    /* for rows with `several`: the same work for so many pictures, whose maps are `apart` floats
     * from those of the picture before */
    int pictures;
    ptrdiff_t apart;
    float *scratch; /* [scratch_floats], at least 1 / FT_PARTS_MAX of row->scratch */
    size_t scratch_floats;
};

typedef void ft_kernel(const struct ft_work *work);

struct ft_kernel_row {
    ft_kernel *run;
    const char *name;
    unsigned needs;                              /* FT_CPU_... */
    bool (*accepts)(const struct ft_work *work); /* NULL: any work */
    /* floats of packed weights; NULL: the row uses Keras's layout */
    size_t (*packed)(const struct ft_work *work);
    void (*pack)(const struct ft_work *work, const float *keras, float *packed);
    bool pack_parts; /* `pack` writes the weights of channels c0..c1 only if there is one group */
    size_t (*scratch)(const struct ft_work *work); /* floats; NULL: none */
    /* work should be cut at multiples of these; 0: 1 row, FT_CHANNELS_STEP channels */
    int rows, channels;
    bool several; /* work->pictures may be more than 1 */
};

enum ft_operation {
    /* out = activation(clamp(in * weights + bias + other)), any but softmax; also dense layers */
    FT_OP_CONVOLUTION,
    FT_OP_DEPTHWISE, /* out = activation(clamp(in * weights + bias + other)) */
    FT_OP_AFFINE,    /* out = clamp(in * weights[c] + bias[c]) */
    FT_OP_ADD,       /* out = clamp(in + other) */
    FT_OP_MULTIPLY,  /* out = clamp(in * other) */
    /* out = activation(in); in and out may be the same map; softmax needs all channels of a pixel
     */
    FT_OP_ACTIVATE,
    FT_OP_COPY,    /* out = in */
    FT_OP_FLATTEN, /* out = in, in order; out has any shape of as many values */
    FT_OP_MAX_POOL,
    FT_OP_AVERAGE_POOL, /* padding is not counted */
    FT_OP_GLOBAL_MAX,   /* out [1, 1, c] */
    FT_OP_GLOBAL_AVERAGE,
    FT_OP_SUBTRACT, /* out = clamp(in - other) */
    FT_OP_MAXIMUM,
    FT_OP_MINIMUM,
    /* out = (in - mean) / sqrt(variance + epsilon) * weights[c] + bias[c], over the channels of a
     * pixel */
    FT_OP_LAYER_NORM,
    FT_OP_GROUP_NORM, /* the same, over all pixels and the channels of a group */
    FT_OP_RMS_NORM,   /* out = in / sqrt(mean square + epsilon) * weights[c], as above */
    FT_OP_UNIT_NORM,  /* out = in / |in|, over the channels of a pixel */
    FT_OP_PRELU,      /* out = in < 0 ? in * weights : in */
    /* out = clamp(in * weights + bias), each value with its own: weights are all scales [h, w, c],
     * then all offsets */
    FT_OP_AFFINE_MAP,
    /* the window of kernel rows and columns at pad, resized to out; bilinear or nearest */
    FT_OP_RESIZE,
    FT_OP_PERMUTE,
    /* out = clamp(transposed convolution of in + bias), weights [kh, kw, out.c, in.c]; `pad` rows
     * and columns are cut off */
    FT_OP_TRANSPOSE,
    /* Attention. `in` has the queries of all heads, `other` the keys of all heads, then the values;
     * `groups` heads. Each output pixel is the mean of the values of all pixels of `other` (with
     * `windows`, of those in its row), weighted by softmax(alpha * query . key). With `positions`
     * alpha is a number for each head, and a number for each query and key is added. */
    FT_OP_ATTENTION,
    FT_OP_QUANTIZE,   /* out = bytes of in * weights[c], with the zero of int8.out */
    FT_OP_DEQUANTIZE, /* out = floats of the bytes in */
    FT_OPERATIONS
};

/* The source of work->weights of an operation. */
enum ft_weights {
    FT_WEIGHTS_NONE,
    FT_WEIGHTS_KERNEL,   /* the layer's kernel times a scale for each channel, packed by the row */
    FT_WEIGHTS_UNSCALED, /* the layer's kernel as it is */
    FT_WEIGHTS_CHANNELS, /* the scale of each channel */
    FT_WEIGHTS_ALPHA,    /* of prelu: [c], or [h, w, c] */
    FT_WEIGHTS_MAP,      /* the scale of each value [h, w, c], then the offset of each */
    FT_WEIGHTS_STEPS,    /* of quantize: what makes steps of the floats of each channel */
    FT_WEIGHTS_SCORES,   /* SCORE_SCALE, then POSITIONS; nothing if the layer has none */
};

/* Where the work of an operation may be cut into parts. */
enum ft_cut {
    FT_CUT_ANYWHERE,
    FT_CUT_ROWS, /* not between channels: a value depends on all channels of its pixel */
    FT_CUT_NOWHERE,
};

struct ft_operation_info {
    const char *name;
    const struct ft_kernel_row *const *rows; /* best first, ended by NULL */
    /* the same for work whose precision is int8. NULL: there are none. Their `pack` takes whole
     * numbers (integers.h) */
    const struct ft_kernel_row *const *integer_rows;
    enum ft_weights weights;
    enum ft_cut cut;
    /* a value may depend on rows or channels other than its own and those that kernel, stride and
     * pad say */
    bool moves;
};
const struct ft_operation_info *ft_operation_info(enum ft_operation operation);
/* Its rows. */
const struct ft_kernel_row *const *ft_kernel_table(enum ft_operation operation);
/* The first row that accepts the work and needs only these processor `features`. */
const struct ft_kernel_row *ft_kernel_choose(enum ft_operation operation,
                                             const struct ft_work *work, unsigned features);

/* out = x * scale + offset for a row of n values. Scale and offset [FT_PIXEL_PERIOD] repeat, which
 * serves 1 and 3 channels. */
enum { FT_PIXEL_PERIOD = 48 };
typedef void ft_pixel_kernel(const uint8_t *x, const float *scale, const float *offset, int n,
                             float *out);
struct ft_pixel_row {
    ft_pixel_kernel *run;
    const char *name;
    unsigned needs;
};
const struct ft_pixel_row *const *ft_pixel_table(void); /* ended by NULL */
const struct ft_pixel_row *ft_pixel_choose(void);       /* for this processor */

/* C [m, n] = A [m, k] B [k, n]; with `add`, C += A B. Value (i, j) of A is a[i * a_row + j *
 * a_step], and one of the two strides must be 1, so A may be transposed. B and C are row-major with
 * b_row and c_row floats from row to row. */
struct ft_product {
    const float *a, *b;
    float *c;
    int m, n, k;
    ptrdiff_t a_row, a_step, b_row, c_row;
    bool add;
};
typedef void ft_product_kernel(const struct ft_product *product);
struct ft_product_row {
    ft_product_kernel *run;
    const char *name;
    unsigned needs;
};
const struct ft_product_row *const *ft_product_table(void); /* ended by NULL */
const struct ft_product_row *ft_product_choose(void);       /* for this processor */

/* K of a convolution: each output is a sum of K products of an input and a weight. */
static inline size_t ft_conv_k(const struct ft_work *w)
{
    return (size_t)w->kernel[0] * (size_t)w->kernel[1] * (size_t)(w->in.c / w->groups);
}

static inline const float *ft_map_at(const struct ft_map *m, int y, int x)
{
    return m->data + y * m->row + (ptrdiff_t)x * m->pixel;
}

static inline float *ft_map_to(const struct ft_map *m, int y, int x)
{
    return m->data + y * m->row + (ptrdiff_t)x * m->pixel;
}

#endif
