/* Weights in panels, and the tiles that multiply with them. A panel is [K][width] for `width`
 * filters, zeros after the last filter; panels are as wide as the widest tile but for the last one,
 * which has the width that wastes least. Filters that ft_channels_halved are two runs of panels,
 * one after the other. */
#ifndef FT_KERNELS_PANELS_H
#define FT_KERNELS_PANELS_H

#include "kernels/simd/simd.h"

enum {
    FT_TILE_SEGMENTS = 128,
    FT_TILE_ROWS = 14,
    FT_TILE_BAND = FT_TILE_ROWS * 32,
    FT_PANEL = LANES == 16 ? 32 : 24, /* filters of all panels but the last */
    FT_PANEL_MOST = 40                /* filters of the widest last panel */
};

/* The sum over K runs in n stretches of k values that are contiguous in the input. */
struct ft_segments {
    int n, k;
    ptrdiff_t at[FT_TILE_SEGMENTS]; /* from the row's first value */
};

/* Where up to a band of rows begin, from in, out and other. */
struct ft_offsets {
    ptrdiff_t in[FT_TILE_BAND], out[FT_TILE_BAND], other[FT_TILE_BAND];
};

struct ft_tile {
    const float *in, *other; /* other: an addend, or NULL */
    float *out;
    const ptrdiff_t *at_in, *at_out, *at_other; /* [rows] */
    const struct ft_segments *segments;
    const float *weights, *bias, *ahead; /* ahead: what is used next, to be prefetched, or NULL */
    size_t n_ahead;                      /* floats of it: a panel or less */
    /* of them for every four of K, during so many tiles; panel_run sets it */
    int rate, shares;
    float lo, hi;
    int filters; /* of this panel */
};

/* A shape of tiles: so many filters, and at most so many rows. */
struct ft_width {
    int filters, rows;
    void (*tiles[FT_TILE_ROWS + 1])(struct ft_tile *t, int tiles);
};

/* The panel that begins at filter c, where a panel ended: full, or the narrowest that takes all
 * that is left. */
const struct ft_width *FT_NAME(panel_at)(int c, int filters);
/* One panel over `rows` rows, at most a band; the tile's own offsets are set here. */
void FT_NAME(panel_run)(struct ft_tile t, const struct ft_width *width, const struct ft_offsets *at,
                        int rows);

#endif
