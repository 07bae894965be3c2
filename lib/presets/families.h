/* The families of vision transformers in KerasHub 0.32 (keras_hub/src/models): one row each in
 * families.c. Private to presets/.
 */
#ifndef FT_PRESETS_FAMILIES_H
#define FT_PRESETS_FAMILIES_H

#include <stdbool.h>

/* What goes to the head. */
enum ft_family_features {
    FT_CLASS_TOKEN,    /* A. Dosovitskiy et al., An Image is Worth 16x16 Words, 2021 */
    FT_CLASS_AND_MEAN, /* class token and mean of the patches: M. Oquab et al., DINOv2, 2024 */
    FT_POOLED,         /* attention pooling: X. Zhai et al., Sigmoid Loss..., 2023 */
};

/* Paths are relative to the transformer's own group. */
struct ft_family {
    const char *class; /* of the transformer alone */
    const char *joint,
        *tower; /* class of a model of pictures and text, and group of its pictures' part */
    const char *patches;
    const char *tokens[2]; /* variables [1, 1, c] or [c] in front of the patches */
    const char *positions;
    /* the variables of this group, in order: class token, mask token, registers, positions; in
     * place of `tokens` and `positions`; nullable */
    const char *variables;
    const char *norm_before, *norm_after;
    const char *norm_joint; /* in place of norm_after: a group of the joint model */
    const char *block;      /* the next ones are called block_1, block_2, ... */
    const char *norm1, *attention, *scale1, *norm2, *up, *down, *scale2; /* in a block */
    const char *gated, *gated_down; /* in place of `up` and `down`: SwiGLU in one product */
    const char *gate;               /* beside `up`, if the settings have use_gated_mlp */
    bool rotary;                    /* positions turn queries and keys */
    const char *pool;               /* FT_POOLED only */
    double epsilon;
    enum ft_family_features features;
};

/* The family of a class, alone or (joint) as the pictures' part of a model of pictures and text.
 * Returns NULL if no family has it. */
const struct ft_family *ft_family_find(const char *class, bool joint);

#endif
