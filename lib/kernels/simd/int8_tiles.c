#include "kernels/simd/int8_tiles.h"

FT_INLINE int32_t unit_at(const uint8_t *p)
{
    int32_t unit;
    memcpy(&unit, p, sizeof unit);
    return unit;
}

FT_INLINE void run_tile(const struct tile *t, const int rows, const bool as_quads)
{
    sums16 s[TILE];
    const int32_t *weights = t->weights;
    const sums16 start = sums_load(t->start);
    FT_UNROLL
    for (int r = 0; r < rows; r++)
        s[r] = start;
    const uint8_t *in = t->in;
    const size_t row = t->row, ahead = t->depth * SUMS;
    for (size_t k = 0; k < t->depth; k++, weights += SUMS, in += UNIT) {
        const sums16 p = units_load(weights);
        __builtin_prefetch(weights + ahead, 0, 2); /* the next panel, or the next point */
        FT_UNROLL
        for (int r = 0; r < rows; r++)
            (as_quads ? add_quad : add_pair)(&s[r], unit_at(in + (size_t)r * row), p);
    }
    if (t->sums) {
        FT_UNROLL
        for (int r = 0; r < rows; r++)
            units_store(t->sums + (size_t)r * t->step, s[r]);
        return;
    }
    sums16 sums[TILE]; /* in memory: the loop over them is not unrolled */
    FT_UNROLL
    for (int r = 0; r < rows; r++)
        sums[r] = s[r];
    write_pixels(t->work, &t->ends, sums, t->out, t->other, t->c, rows);
}

#define TILE_OF(rows)                                                                              \
    static __attribute__((noinline)) void pairs_##rows(const struct tile *t)                       \
    {                                                                                              \
        run_tile(t, rows, false);                                                                  \
    }                                                                                              \
    static __attribute__((noinline)) void quads_##rows(const struct tile *t)                       \
    {                                                                                              \
        run_tile(t, rows, QUADS);                                                                  \
    }
#define TILE_ROW(rows)                                                                             \
    {                                                                                              \
        rows,                                                                                      \
        {                                                                                          \
            pairs_##rows, quads_##rows                                                             \
        }                                                                                          \
    }
#if defined(SUMS_IN_ONE) && SUMS_IN_ONE
TILE_OF(24)
TILE_OF(16)
TILE_OF(12)
TILE_OF(8)
#endif
TILE_OF(6)
TILE_OF(5)
TILE_OF(4)
TILE_OF(3)
TILE_OF(2)
TILE_OF(1)

/* Tiles, the largest first. */
static const struct {
    int rows;
    void (*run[2])(const struct tile *); /* of pairs, of quads */
} tiles[] = {
#if defined(SUMS_IN_ONE) && SUMS_IN_ONE
    TILE_ROW(24), TILE_ROW(16), TILE_ROW(12), TILE_ROW(8),
#endif
    TILE_ROW(6),  TILE_ROW(5),  TILE_ROW(4),  TILE_ROW(3), TILE_ROW(2), TILE_ROW(1),
};

void FT_NAME(int8_tiles)(struct tile t, int n)
{
    for (int rows, shape = 0; n; n -= rows) {
        while (tiles[shape].rows > n)
            shape++;
        rows = tiles[shape].rows;
        tiles[shape].run[t.quads](&t);
        t.in += (size_t)rows * t.row;
        if (t.sums) {
            t.sums += (size_t)rows * t.step;
        } else {
            t.out += rows;
            t.other += rows;
        }
    }
}
