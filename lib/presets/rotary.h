/* Attention with rotary positions. Private to presets/.
 *
 * Queries and keys of patches are turned by angles that depend on the row and column of the patch:
 * q' = q cos + turned(q) sin, where turned() swaps the halves of a head's channels and negates the
 * first. Core layers of Keras express it: `turned` is part of the weights of a second Dense, cos
 * and sin are constant maps, and the attention projects queries and keys by the identity.
 */
#ifndef FT_PRESETS_ROTARY_H
#define FT_PRESETS_ROTARY_H

#include "presets/transformer_parts.h"

struct ft_rotary {
    int heads, channels;       /* channels of all heads */
    int cos, sin;              /* layers [1, tokens, channels] */
    struct ft_tensor identity; /* [channels, heads, channels / heads], used by all blocks */
};

/* The constant maps for `front` tokens without a position, and patches [rows, columns], as
 * DINOv3 has them (O. Simeoni et al., DINOv3, 2025). `input` is the map of the tokens. */
void ft_rotary_init(struct ft_rotary *r, struct ft_tower *x, int input, int front, int rows,
                    int columns, double theta);
/* Attention of a block, with the Dense layers query_dense, key_dense, value_dense and output_dense
 * in GROUP. Returns its layer. */
int ft_rotary_attention(const struct ft_rotary *r, struct ft_tower *x, const char *name, int input,
                        const char *group);

#endif
