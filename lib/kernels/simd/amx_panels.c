/* Panels of weights times rows of pairs of bfloat16 values by products of tiles (amx.h). A panel is
 * one or two of amx.h's. convolution.c shapes the tiles before and releases them after. */
#include "kernels/simd/panels.h"

#define TILE_PRODUCT _tile_dpbf16ps
#include "kernels/simd/amx.h"

_Static_assert(FT_TILE_ROWS == (int)BLOCK_ROWS && FT_PANEL == 2 * (int)PANEL, "a block");
_Static_assert(LANES == (int)PANEL, "a vector");

const struct ft_width FT_NAME(widths)[] = { { .filters = PANEL, .rows = BLOCK_ROWS },
                                            { .filters = 2 * PANEL, .rows = BLOCK_ROWS },
                                            { 0 } };

/* Adds the addends, clamps and stores up to 16 filters, the first of which is number f of the
 * panel, of n rows. */
static void finish(const struct ft_tile *t, const float *sums, int f, const ptrdiff_t *at_out,
                   const ptrdiff_t *at_other, int n)
{
    const vec lo = repeat(t->lo), hi = repeat(t->hi);
    const mask filters = mask_first(t->filters - f);
    for (int i = 0; i < n; i++, sums += PANEL) {
        vec x = load(sums);
        if (t->other)
            x = add(x, load_masked(t->other + at_other[i] + f, filters));
        store_masked(t->out + at_out[i] + f, filters, clamp(x, lo, hi));
    }
}

/* The rows of a band are one after the other. */
void FT_NAME(panel_run)(struct ft_tile t, const struct ft_width *width, const struct ft_offsets *at,
                        int rows)
{
    static const ptrdiff_t whole[] = { 0 };
    const int panels = width->filters / PANEL;
    float sums[2][BLOCK_ROWS * PANEL];
    struct block b = { .row = (size_t)t.segments->k * sizeof(float),
                       .at = whole,
                       .segments = 1,
                       .depth = depth_of(t.segments->k),
                       .weights = { (const uint8_t *)(const void *)t.weights },
                       .weights_row = (size_t)width->filters * sizeof(float),
                       .start = { t.bias, t.bias + PANEL },
                       .sums = { sums[0], sums[1] } };
    if (panels == 2)
        b.weights[1] = b.weights[0] + PANEL_ROW;
    for (int i = 0; i < rows; i += BLOCK_ROWS) {
        int from[2];
        const int tiles = place_tiles(&b, (const uint8_t *)(const void *)t.in, i, rows, from);
        run_block(&b);
        for (int p = 0; p < panels; p++)
            for (int tile = 0; tile < tiles; tile++) {
                const int first = i + tile * TILE_ROWS,
                          n = rows - first < TILE_ROWS ? rows - first : TILE_ROWS;
                finish(&t, sums[p] + (tile * TILE_ROWS + first - from[tile]) * PANEL, p * PANEL,
                       at->out + first, at->other + first, n);
            }
    }
}
