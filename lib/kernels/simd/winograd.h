/* What the two halves of Winograd's convolution, tiles (winograd.c) and weights
 * (winograd_weights.c), agree on. */
#ifndef FT_KERNELS_WINOGRAD_H
#define FT_KERNELS_WINOGRAD_H

#include "kernels/simd/panels.h"

enum {
    SIDE = 4,
    WINDOW = 6,
    POINTS = WINDOW * WINDOW,
    THIN_TILES = 4,
    THIN_CHANNELS = 32,
    THIN_POINTS = WINDOW * 3
};
#define A 0.75f
#define B 1.5f

static inline int tiles_along(int n)
{
    return (n + SIDE - 1) / SIDE;
}

/* Few tiles multiply faster than weights come from memory. Then only one axis of the weights is
 * transformed beforehand, which makes them half as many as U, and U is made of them while they are
 * used. */
static inline bool thin(const struct ft_work *w)
{
    return tiles_along(w->out.h) * tiles_along(w->out.w) <= THIN_TILES;
}

static inline size_t weights_each(const struct ft_work *w)
{
    return thin(w) ? THIN_POINTS : POINTS;
}

/* Channels whose U is made at a time, from channel c on. */
static inline int thin_channels(const struct ft_work *w, int c)
{
    return w->in.c - c < THIN_CHANNELS ? w->in.c - c : THIN_CHANNELS;
}

/* Row y of U for k channels of one panel, from that row of G g: rows [k][3][filters] to u
 * [6][k][filters]. */
void FT_NAME(winograd_expand)(const float *rows, int k, int filters, float *u);

/* The row's `packed` and `pack`. */
size_t FT_NAME(winograd_packed)(const struct ft_work *w);
void FT_NAME(winograd_pack)(const struct ft_work *w, const float *keras, float *packed);

#endif
