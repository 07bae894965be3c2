/* The tiles of Winograd's F(4x4, 3x3), for floats (winograd.c) and for integers (int8_winograd.c):
 * 4x4 outputs, which 6x6 inputs give. Tiles are numbered through all pictures. The grid always
 * begins at the first row of the map, so that a value does not depend on how a step is cut. */
#ifndef FT_KERNELS_WINOGRAD_TILES_H
#define FT_KERNELS_WINOGRAD_TILES_H

#include "kernels/isa.h"

enum { SIDE = 4, WINDOW = 6, POINTS = WINDOW * WINDOW };

static inline int tiles_along(int n)
{
    return (n + SIDE - 1) / SIDE;
}

static inline int tiles_of(const struct ft_map *out)
{
    return tiles_along(out->h) * tiles_along(out->w);
}

/* A 3x3 convolution that can be cut into tiles. */
static inline bool has_tiles(const struct ft_work *w)
{
    return w->groups == 1 && w->kernel[0] == 3 && w->kernel[1] == 3 && w->stride[0] == 1 &&
           w->stride[1] == 1 && w->dilation[0] == 1 && w->dilation[1] == 1;
}

/* Tiles of a block, which are transformed together. Many tiles make more use of each weight that is
 * loaded; with few, the transformed input stays in the second-level cache, or in the third. Blocks
 * are as equal as possible. */
static inline int block_tiles(const struct ft_work *w)
{
    const int all = w->pictures * tiles_of(&w->out),
              most = w->in.c <= 128   ? 28
                     : w->in.c <= 256 ? 56
                                      : 112,
              blocks = (all + most - 1) / most;
    return (all + blocks - 1) / blocks;
}

/* The tiles of this part. */
static inline int tiles_in_part(const struct ft_work *w)
{
    return w->pictures * (tiles_along(w->y1) - w->y0 / SIDE) * tiles_along(w->out.w);
}

/* The place of a tile's first output. */
struct spot {
    int top, left, picture;
};

/* Tiles are numbered from the first row of tiles of this part. */
static inline struct spot find_spot(const struct ft_work *w, int tile)
{
    const int across = tiles_along(w->out.w), first = w->y0 / SIDE,
              rows = tiles_along(w->y1) - first, row = tile / across;
    return (struct spot){ (first + row % rows) * SIDE, tile % across * SIDE, row / rows };
}

/* The addresses of a window's 36 pixels, whose values have `bytes` bytes. Beyond the pixels that
 * the geometry needs, it reads `zeros`. */
static inline void find_window(const struct ft_work *w, int tile, ptrdiff_t bytes,
                               const void *zeros, const uint8_t **from)
{
    const struct spot at = find_spot(w, tile);
    const uint8_t *in = (const uint8_t *)(const void *)w->in.data +
                        at.picture * w->apart * (ptrdiff_t)sizeof(float);
    for (int y = 0; y < WINDOW; y++)
        for (int x = 0; x < WINDOW; x++)
            from[y * WINDOW + x] = at.top + y < w->out.h + 2 && at.left + x < w->out.w + 2
                                       ? in + ((at.top + y - w->pad[0]) * w->in.row +
                                               (ptrdiff_t)(at.left + x - w->pad[1]) * w->in.pixel) *
                                                  bytes
                                       : zeros;
}

#endif
