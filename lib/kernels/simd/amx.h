/* Products of tiles (AMX), the same for bytes and bfloat16. Private to kernels/simd/.
 *
 * A tile is up to 16 rows of 64 bytes. A unit is 4 bytes of K: four bytes or a pair of bfloat16
 * values. One instruction multiplies a tile of inputs, [rows][units], with a tile of weights,
 * [units][16 filters], and adds the products to 16 sums for each row. Tiles 0 to 3 are the sums of
 * a block: up to 32 rows by two panels of 16 filters. Tiles 4 and 5 have inputs, 6 and 7 weights.
 * So a step of 16 units takes 4 loads and 4 products.
 *
 * The shapes of the tiles (their configuration) belong to a thread. A row of the tables calls
 * tiles_begin() before its first block and tiles_end() after the last one: a thread whose tiles
 * are released has no state that its context switches and signal handlers must save. Tiles may be
 * anywhere in memory, without alignment. */
#ifndef FT_KERNELS_AMX_H
#define FT_KERNELS_AMX_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/isa.h"

/* FT_EMULATED: a test defines the instructions as functions in C. A source defines TILE_PRODUCT,
 * the instruction that it multiplies with. */
#if !defined(FT_EMULATED)
#include <immintrin.h>
#endif

enum {
    TILE_ROWS = 16,
    TILE_UNITS = 16,
    PANEL = 16,                 /* filters */
    BLOCK_ROWS = 2 * TILE_ROWS, /* at most */
    PANEL_ROW = 4 * PANEL       /* bytes of a unit of the weights of a panel, or of its sums */
};

/* How K is divided: into steps of so many units, padded with weights of 0. */
struct depth {
    int steps, units;
};

/* As few steps as possible, of equal size. */
static inline struct depth depth_of(int units)
{
    const int steps = (units + TILE_UNITS - 1) / TILE_UNITS;
    return (struct depth){ steps, (units + steps - 1) / steps };
}

/* A block of rows and panels. */
struct block {
    const uint8_t *in[2];      /* the first row of each tile; NULL: there is one tile */
    size_t row;                /* bytes from row to row of the inputs */
    const ptrdiff_t *at;       /* where each segment of K begins, in bytes from the row's start */
    int segments;              /* of steps / segments steps each */
    struct depth depth;        /* of all of K */
    const uint8_t *weights[2]; /* of each panel, [steps * units][16]; NULL: there is one panel */
    size_t weights_row;        /* bytes from unit to unit */
    const void *start[2];      /* the 16 numbers that the sums of each panel begin with */
    void *sums[2];             /* of each panel, [rows][16]; the second tile's from row 16 on */
};

/* Sets the inputs of a block, whose rows are `first` and up to 31 after it of n rows at `in`. Tile
 * t begins with row from[t]: the last tile may overlap the one before it, so that it does not read
 * after the last row. Returns the number of tiles. */
static inline int place_tiles(struct block *b, const uint8_t *in, int first, int n, int from[2])
{
    const int tiles = n - first > TILE_ROWS ? 2 : 1, last = n > TILE_ROWS ? n - TILE_ROWS : 0;
    for (int t = 0; t < 2; t++) {
        from[t] = first + t * TILE_ROWS < last ? first + t * TILE_ROWS : last;
        b->in[t] = t < tiles ? in + (size_t)from[t] * b->row : NULL;
    }
    return tiles;
}

/* The compiler must not move or drop what was written to memory that a tile is loaded from: some
 * versions of gcc do not know that the instructions read it. */
FT_INLINE void memory_is_read(const void *p)
{
    __asm__ volatile("" : : "r"(p) : "memory");
}

/* Shapes the tiles: for `rows` rows of inputs, 1 to 16, and steps of `units` units. */
FT_INLINE void tiles_begin(int rows, int units)
{
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t bytes[16]; /* of a row */
        uint8_t rows[16];
    } shape = { .palette = 1 };
    _Static_assert(sizeof shape == 64, "the operand of ldtilecfg");
    for (int i = 0; i < 8; i++) {
        shape.rows[i] = (uint8_t)(i < 6 ? rows : units);
        shape.bytes[i] = (uint16_t)(i == 4 || i == 5 ? 4 * units : PANEL_ROW);
    }
    memory_is_read(&shape);
    _tile_loadconfig(&shape);
}

FT_INLINE void tiles_end(void)
{
    _tile_release();
}

FT_INLINE void sum_block(const struct block *b, const bool two_tiles, const bool two_panels)
{
    const int steps = b->depth.steps / b->segments;
    const size_t row = b->row, weights_row = b->weights_row, step = 4 * (size_t)b->depth.units,
                 weights_step = weights_row * (size_t)b->depth.units;
    const uint8_t *w0 = b->weights[0], *w1 = b->weights[1];
    memory_is_read(b);
    _tile_loadd(0, b->start[0], 0); /* the same numbers in each row */
    if (two_panels)
        _tile_loadd(1, b->start[1], 0);
    if (two_tiles)
        _tile_loadd(2, b->start[0], 0);
    if (two_tiles && two_panels)
        _tile_loadd(3, b->start[1], 0);
    for (int s = 0; s < b->segments; s++) {
        const uint8_t *in0 = b->in[0] + b->at[s], *in1 = two_tiles ? b->in[1] + b->at[s] : in0;
        for (int i = 0; i < steps; i++, in0 += step, in1 += step) {
            _tile_loadd(4, in0, row);
            _tile_loadd(6, w0, weights_row);
            TILE_PRODUCT(0, 4, 6);
            if (two_panels) {
                _tile_loadd(7, w1, weights_row);
                TILE_PRODUCT(1, 4, 7);
            }
            if (two_tiles) {
                _tile_loadd(5, in1, row);
                TILE_PRODUCT(2, 5, 6);
            }
            if (two_tiles && two_panels)
                TILE_PRODUCT(3, 5, 7);
            w0 += weights_step;
            if (two_panels)
                w1 += weights_step;
        }
    }
    _tile_stored(0, b->sums[0], PANEL_ROW);
    if (two_panels)
        _tile_stored(1, b->sums[1], PANEL_ROW);
    if (two_tiles)
        _tile_stored(2, (uint8_t *)b->sums[0] + TILE_ROWS * PANEL_ROW, PANEL_ROW);
    if (two_tiles && two_panels)
        _tile_stored(3, (uint8_t *)b->sums[1] + TILE_ROWS * PANEL_ROW, PANEL_ROW);
}

static __attribute__((noinline, unused)) void run_block(const struct block *b)
{
    if (b->in[1] && b->weights[1])
        sum_block(b, true, true);
    else if (b->in[1])
        sum_block(b, true, false);
    else if (b->weights[1])
        sum_block(b, false, true);
    else
        sum_block(b, false, false);
}

#endif
