/* MobileNetV5: what its blocks (mobilenet_v5_blocks.c) and the network (mobilenet_v5.c) share.
 * Private to presets/. Each function appends layers to the last map. */
#ifndef FT_PRESETS_MOBILENET_V5_H
#define FT_PRESETS_MOBILENET_V5_H

#include "presets/convnet.h"
#include "presets/transformer_parts.h"

/* A map: the layer that gives it, and its size. */
struct ft_v5_map {
    int at, height, width, channels;
};

struct ft_v5 {
    struct ft_convnet *x;
    struct ft_tower tower;
    char group[FT_TOWER_PATH];        /* of the weights of a block */
    bool rms, scaled;                 /* RMS normalisation; blocks have a layer scale */
    struct ft_v5_map map;             /* the last one */
    int stride, dilation;             /* of the map; of the next convolutions */
    int residuals, edges, attentions; /* blocks that were made */
};

/* What the settings say of a block. */
struct ft_v5_block {
    const char *type; /* nullable */
    int stack, i, stride;
    enum ft_activation activation;
};

/* ConvNormAct of keras_hub without its activation; `part` is its group in the block, or "". */
void ft_v5_conv_norm(struct ft_v5 *v, const char *part, int stride);
/* epsilon: of batch normalisation. */
void ft_v5_normalise(struct ft_v5 *v, const char *name, const char *part, double epsilon);
void ft_v5_activate(struct ft_v5 *v, const char *name, enum ft_activation activation);
/* A block of a type that is supported; other types are an error. */
void ft_v5_make_block(struct ft_v5 *v, const struct ft_v5_block *k);

#endif
