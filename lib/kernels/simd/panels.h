/* Weights in panels, and the tiles that multiply with them. A panel is [K][width] for `width`
 * filters, with zeros after the last filter. All panels have FT_PANEL filters, except the last one,
 * which has the width that wastes least. If ft_channels_halved, the filters are two halves, each
 * with panels of its own. */
#ifndef FT_KERNELS_PANELS_H
#define FT_KERNELS_PANELS_H

#include "kernels/simd/simd.h"

enum {
    FT_TILE_SEGMENTS = 128,
    FT_TILE_ROWS = TILED ? 32 : 14,
    FT_TILE_BAND = TILED ? 512 : FT_TILE_ROWS * 32,
    FT_PANEL_MOST = 40 /* filters of the widest last panel */
};

/* Filters of all panels but the last. */
#if defined(__AVX512F__) || TILED
enum { FT_PANEL = 32 };
#elif defined(__ARM_NEON)
enum { FT_PANEL = 16 };
#else
enum { FT_PANEL = 24 };
#endif

/* The sum over K has n segments of k values each, which are contiguous in the input. */
struct ft_segments {
    int n, k;
    ptrdiff_t at[FT_TILE_SEGMENTS]; /* from the row's first value */
};

/* Where the rows of a band begin, relative to in, out and other. */
struct ft_offsets {
    ptrdiff_t in[FT_TILE_BAND], out[FT_TILE_BAND], other[FT_TILE_BAND];
};

struct ft_tile {
    const float *in, *other; /* other: an addend; nullable */
    float *out;
    const ptrdiff_t *at_in, *at_out, *at_other; /* [rows] */
    const struct ft_segments *segments;
    const float *weights, *bias;
    const float *ahead; /* what is used next, to be prefetched; nullable */
    size_t n_ahead;     /* its floats: a panel or less */
    int rate, shares;   /* floats to prefetch for every four of K, during so many tiles; panel_run
                         * sets them */
    float lo, hi;
    int filters; /* of this panel */
};

/* A shape of tiles: its filters, and the largest number of rows. */
struct ft_width {
    int filters, rows;
    void (*tiles[FT_TILE_ROWS + 1])(struct ft_tile *t, int tiles); /* not with AMX */
};
/* By increasing width, ended by zeros. */
extern const struct ft_width FT_NAME(widths)[];

/* The shape of the panel that begins at filter c, where the panel before ended: FT_PANEL filters,
 * or the narrowest that holds the rest. */
const struct ft_width *FT_NAME(panel_at)(int c, int filters);
/* The filters of all panels of n filters, with those that pad the last panel. */
size_t FT_NAME(panel_filters)(int n);
/* Multiplies `rows` rows, at most a band, with one panel. Sets the offsets of the tile. */
void FT_NAME(panel_run)(struct ft_tile t, const struct ft_width *width, const struct ft_offsets *at,
                        int rows);

#endif
