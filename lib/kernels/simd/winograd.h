/* What the two files of Winograd's convolution share: tiles (winograd.c) and weights
 * (winograd_weights.c). */
#ifndef FT_KERNELS_WINOGRAD_H
#define FT_KERNELS_WINOGRAD_H

#include "kernels/simd/panels.h"
#include "kernels/simd/winograd_tiles.h"

enum { THIN_TILES = 4, THIN_CHANNELS = 32, THIN_POINTS = WINDOW * 3 };
#define A 0.75f
#define B 1.5f

/* With few tiles, multiplying takes less time than loading the weights from memory. Then packing
 * transforms only one axis of the weights, which halves their number, and U is computed from them
 * while it is used. */
static inline bool thin(const struct ft_work *w)
{
    return tiles_of(&w->out) <= THIN_TILES;
}

static inline size_t weights_each(const struct ft_work *w)
{
    return thin(w) ? THIN_POINTS : POINTS;
}

/* The number of channels, from c on, whose U is computed at a time. */
static inline int thin_channels(const struct ft_work *w, int c)
{
    return w->in.c - c < THIN_CHANNELS ? w->in.c - c : THIN_CHANNELS;
}

/* Computes a row of U for k channels of one panel, u [6][k][filters], from the same row of G g,
 * rows [k][3][filters]. */
void FT_NAME(winograd_expand)(const float *rows, int k, int filters, float *u);

/* The row's `packed` and `pack`. */
size_t FT_NAME(winograd_packed)(const struct ft_work *w);
void FT_NAME(winograd_pack)(const struct ft_work *w, const float *keras, float *packed);

#endif
