/* SPDX-License-Identifier: Apache-2.0
 *
 * The frozen network that turns a picture into a feature vector. */
#ifndef FINETUNE_BACKBONE_H
#define FINETUNE_BACKBONE_H

#include "finetune.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- how a picture becomes the network's input ----------------------------------------------- */

/* Writes the names of the picture formats that this build decodes, "JPEG, PNG", to text [size],
 * which is cut if it is too short. Returns the length of the whole list. */
size_t ft_picture_formats(char *text, size_t size);
/* Whether this build can convert colours by the ICC profiles of pictures. */
bool ft_picture_profiles(void);

enum ft_resize_rule {
    FT_RESIZE_CROP, /* a centred box of the target's aspect ratio, `crop` times the largest such box
                     */
    FT_RESIZE_SQUASH, /* the whole picture, stretched */
    FT_RESIZE_PAD,    /* the whole picture with black borders */
};

enum ft_resize_filter { FT_FILTER_BILINEAR, FT_FILTER_BICUBIC }; /* antialiased, as in Pillow */

struct ft_geometry {
    int width, height; /* of the network's input */
    enum ft_resize_rule rule;
    enum ft_resize_filter filter;
    /* FT_RESIZE_CROP only: side of the box over the largest possible side, in (0, 1] */
    double crop;
    bool icc; /* colours are converted from the picture's ICC profile to sRGB */
};

/* ---- precision --------------------------------------------------------------------------------
 */

/* In what numbers the products of a network are computed: those of convolutions, pointwise ones,
 * dense layers and projections of attention. All else is computed in float32. */
enum ft_precision {
    FT_PRECISION_F32,
    FT_PRECISION_BF16, /* inputs and weights are rounded to bfloat16, sums are float32 */
    /* activations are bytes, weights are 8-bit integers, sums are 32-bit integers; layers that are
     * neither convolutions, sums, pools nor clamps are float32 */
    FT_PRECISION_INT8,
    FT_PRECISIONS
};
const char *ft_precision_name(enum ft_precision precision); /* "f32", "bf16", "int8" */

/* ---- the frozen network ---------------------------------------------------------------------- */

/* Calls `each` for every network in the weights folders, with its name and file, and then for each
 * architecture that is recognised in a file of weights only, with a NULL path. Returns the first
 * nonzero result of `each`, which ends the list. Otherwise returns 0, or a negative FT_E... if
 * memory ran out or the description of an architecture could not be read: then names are missing.
 * The strings are valid during the call. */
int ft_backbone_list(const struct ft_backbone_options *options,
                     int (*each)(void *user, const char *name, const char *path), void *user);
const char *ft_backbone_name(const struct ft_backbone *backbone);
/* Features [from, from + width) of a backbone are those of one layer. */
struct ft_block {
    const char *layer; /* owned by the backbone */
    int from, width;
};
/* The blocks that the feature consists of: out [*n], owned by the backbone. The last block is that
 * of ft_backbone_options.layer. */
const struct ft_block *ft_backbone_blocks(const struct ft_backbone *backbone, int *n);
/* Their widths [*n], owned by the backbone. */
const int *ft_backbone_widths(const struct ft_backbone *backbone, int *n);
/* The same network, whose feature is the last block alone. Freed with ft_backbone_free. */
int ft_backbone_last_block(struct ft_backbone *backbone, struct ft_backbone **out,
                           struct ft_error *err);
/* Messages for the user, one on each line: what was assumed of a network, for instance its
 * preprocessing, and the option that says otherwise. NULL: none. */
const char *ft_backbone_warning(const struct ft_backbone *backbone);
/* Writes the network without a head as a Keras file, replaced atomically. `bytes` (nullable)
 * receives its size. */
int ft_backbone_save(const struct ft_backbone *backbone, const char *path, uint64_t *bytes,
                     struct ft_error *err);
const struct ft_geometry *ft_backbone_geometry(const struct ft_backbone *backbone);
enum ft_precision ft_backbone_precision(const struct ft_backbone *backbone);
/* Whether the features are the same bits on every processor: of int8, if all steps of the network
 * are integers. */
bool ft_backbone_portable(const struct ft_backbone *backbone);
/* Changes the precision to FT_PRECISION_INT8. The ranges of activations are measured in float32 on
 * up to FT_CALIBRATION_MOST of n picture files, evenly spread; those that cannot be read are left
 * out. paths NULL: on noise, which is enough to measure speed. threads 0: one per core. No other
 * thread may use the backbone. On failure the backbone is
 * unchanged. */
int ft_backbone_quantize(struct ft_backbone *backbone, char *const *paths, size_t n, int threads,
                         struct ft_error *err);
enum { FT_CALIBRATION_MOST = 256 };
/* Like ft_backbone_open. With the precision "int8" the ranges are measured as above, whatever the
 * file says, unless options->ranges_dir has those of the same pictures. */
int ft_backbone_open_for(const char *name, const struct ft_backbone_options *options,
                         char *const *paths, size_t n, int threads, struct ft_backbone **out,
                         struct ft_error *err);

enum ft_layer_place {
    FT_LAYER_STEP,   /* computed by a step of its own */
    FT_LAYER_FUSED,  /* computed by another layer's step, or nothing to compute */
    FT_LAYER_UNUSED, /* the features do not depend on it */
};

/* A layer, or a step that several layers were fused into. Strings are owned by the backbone. */
struct ft_layer_info {
    const char *name, *kind, *kernel; /* kernel: the algorithm, "" if there is none */
    int height, width, channels;      /* of the output; height 0: not known */
    enum ft_layer_place place;
    uint64_t parameters, multiply_adds;
};
/* All layers under the names that ft_backbone_options.layer takes: *out [*n] must be freed with
 * free(). */
int ft_backbone_layers(const struct ft_backbone *backbone, struct ft_layer_info **out, int *n,
                       struct ft_error *err);
/* A vision transformer: the number of its attention layers, and the shape of the first of them. */
struct ft_transformer_info {
    int blocks, heads, head_channels, tokens;
    int patch[2]; /* rows and columns; 0: there is no convolution that makes patches */
};
/* Returns 0, or FT_ENOMEM. All members are 0 if the network has no attention. */
int ft_backbone_transformer(const struct ft_backbone *backbone, struct ft_transformer_info *out,
                            struct ft_error *err);
/* The number of steps, and step i, named after its last layer. */
int ft_backbone_steps(const struct ft_backbone *backbone);
void ft_backbone_step(const struct ft_backbone *backbone, int i, struct ft_layer_info *out);

/* Milliseconds for each picture. latency_ms: one picture at a time on all threads, the median.
 * throughput_ms: one picture on each thread. */
struct ft_bench {
    int threads;
    double latency_ms, throughput_ms;
};
/* Runs the network on noise for about `seconds`. threads 0: one per core. */
int ft_backbone_bench(const struct ft_backbone *backbone, int threads, double seconds,
                      struct ft_bench *out, struct ft_error *err);
/* The mean seconds of each step on one thread, measured for about `seconds`: seconds_each
 * [ft_backbone_steps]. */
int ft_backbone_profile(const struct ft_backbone *backbone, double seconds, double *seconds_each,
                        struct ft_error *err);

#ifdef __cplusplus
}
#endif
#endif
