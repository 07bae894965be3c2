/* Panels of weights times rows of activations: the product in dense layers, pointwise, direct and
 * Winograd convolutions. A tile is a few rows by one panel. Its accumulators stay in registers from
 * the bias to the clamp. */
#include "kernels/simd/panels.h"

/* Accumulators of a tile: for each row up to 3 vectors, and half a vector. */
struct sums {
    vec v[FT_TILE_ROWS][3];
    half h[FT_TILE_ROWS];
};

#if defined(FT_BF16) && defined(__ARM_NEON)
/* Two fours of K at a time, in blocks of sums. */
FT_INLINE void step(const float *const *p, ptrdiff_t k, const float *w, struct sums *acc,
                    const int rows, const int vectors, const int halves)
{
    half x[2][FT_TILE_ROWS / 2];
    FT_UNROLL
    for (int r = 0; r < rows; r += 2) {
        const half a = half_load(p[r] + k), b = half_load(p[r + 1] + k);
        x[0][r / 2] = first_halves(a, b);
        x[1][r / 2] = second_halves(a, b);
    }
    FT_UNROLL
    for (int four = 0; four < 2; four++) {
        FT_UNROLL
        for (int v = 0; v < vectors; v++, w += 2 * LANES) {
            FT_UNROLL
            for (int high = 0; high < 2; high++) {
                const half w0 = half_load(w + 2 * high * HALF_LANES),
                           w1 = half_load(w + (2 * high + 1) * HALF_LANES);
                FT_UNROLL
                for (int r = 0; r < rows; r += 2) {
                    vec *a = &acc->v[r][v], *b = &acc->v[r + 1][v];
                    block_into(high ? &a->high : &a->low, x[four][r / 2], w0);
                    block_into(high ? &b->high : &b->low, x[four][r / 2], w1);
                }
            }
        }
    }
    (void)halves; /* no panel has half a vector */
}

/* Exchanges the sums of pairs of rows for their blocks, or blocks for rows. */
FT_INLINE void change_layout(struct sums *acc, const int rows, const int vectors)
{
    FT_UNROLL
    for (int r = 0; r < rows; r += 2)
        FT_UNROLL
    for (int v = 0; v < vectors; v++)
        exchange_blocks(&acc->v[r][v], &acc->v[r + 1][v]);
}
#else
FT_INLINE void step(const float *const *p, ptrdiff_t k, const float *w, struct sums *acc,
                    const int rows, const int vectors, const int halves)
{
    const vec w0 = load(w), w1 = vectors > 1 ? load(w + LANES) : w0,
              w2 = vectors > 2 ? load(w + 2 * LANES) : w0;
    const half wh = halves ? half_load(w + vectors * LANES) : half_of(w0);
    FT_UNROLL
    for (int r = 0; r < rows; r++) {
        const vec x = repeat(p[r][k]);
        into(&acc->v[r][0], x, w0);
        if (vectors > 1)
            into(&acc->v[r][1], x, w1);
        if (vectors > 2)
            into(&acc->v[r][2], x, w2);
        if (halves)
            half_into(&acc->h[r], half_of(x), wh);
    }
}

FT_INLINE void change_layout(struct sums *acc, const int rows, const int vectors)
{
    (void)acc; /* they are rows */
    (void)rows;
    (void)vectors;
}
#endif

/* Adds the addend, clamps and stores. What differs between tiles is decided before the loop, and
 * the fields of the tile are read once: a branch or a load for each row takes more time than the
 * sums of a tile with a small K. */
FT_INLINE void finish_rows(const struct ft_tile t, struct sums *acc, const int rows,
                           const int vectors, const int halves, const bool added, const bool whole)
{
    const vec lo = repeat(t.lo), hi = repeat(t.hi);
    const mask last = mask_first(t.filters - (vectors - 1) * LANES);
    const half_mask last_half = half_mask_first(t.filters - vectors * LANES);
    FT_UNROLL
    for (int r = 0; r < rows; r++) {
        float *out = t.out + t.at_out[r];
        const float *other = added ? t.other + t.at_other[r] : NULL;
        FT_UNROLL
        for (int v = 0; v < vectors; v++) {
            const bool all = whole || halves || v + 1 < vectors;
            vec x = acc->v[r][v];
            if (added)
                x = add(x, all ? load(other + v * LANES) : load_masked(other + v * LANES, last));
            x = clamp(x, lo, hi);
            if (all)
                store(out + v * LANES, x);
            else
                store_masked(out + v * LANES, last, x);
        }
        if (halves) {
            half x = acc->h[r];
            if (added)
                x = half_add(x, half_load_masked(other + vectors * LANES, last_half));
            half_store_masked(out + vectors * LANES, last_half,
                              half_clamp(x, half_of(lo), half_of(hi)));
        }
    }
}

FT_INLINE void finish(const struct ft_tile *t, struct sums *acc, const int rows, const int vectors,
                      const int halves)
{
    if (!halves && t->filters < vectors * LANES) {
        if (t->other)
            finish_rows(*t, acc, rows, vectors, halves, true, false);
        else
            finish_rows(*t, acc, rows, vectors, halves, false, false);
    } else if (t->other) {
        finish_rows(*t, acc, rows, vectors, halves, true, true);
    } else {
        finish_rows(*t, acc, rows, vectors, halves, false, true);
    }
}

/* Sums over all of K. `ahead`: for every four of K, prefetches `rate` floats into the second-level
 * cache; in the first level they would replace the panel in use. */
FT_INLINE void sum(const struct ft_tile *t, const float *const *p, struct sums *acc, const int rows,
                   const int vectors, const int halves, const bool ahead)
{
    enum { LINE = 16 };
    const int width = vectors * LANES + halves * HALF_LANES, n = t->segments->k, rate = t->rate;
    const float *w = t->weights, *next = t->ahead;
    for (int s = 0; s < t->segments->n; s++) {
        ptrdiff_t k = t->segments->at[s];
        const ptrdiff_t end = k + n;
        for (; k + 4 <= end; k += 4, w += 4 * width) {
            if (ahead)
                for (const float *to = next + rate; next < to; next += LINE)
                    __builtin_prefetch(next, 0, 2);
            step(p, k, w, acc, rows, vectors, halves);
            if (STEP == 4)
                continue; /* that was all of it */
            step(p, k + 1, w + width, acc, rows, vectors, halves);
            step(p, k + 2, w + 2 * width, acc, rows, vectors, halves);
            step(p, k + 3, w + 3 * width, acc, rows, vectors, halves);
        }
        for (; STEP == 1 && k < end; k++, w += width)
            step(p, k, w, acc, rows, vectors, halves);
    }
}

/* If rows are multiplied together and one is missing, the last one is multiplied twice. */
FT_INLINE void run_tile(const struct ft_tile *t, const int rows, const int vectors,
                        const int halves)
{
    const int together = (rows + TOGETHER - 1) / TOGETHER * TOGETHER;
    struct sums acc;
    const float *p[FT_TILE_ROWS];
    FT_UNROLL
    for (int r = 0; r < together; r++) {
        p[r] = t->in + t->at_in[r < rows ? r : rows - 1];
        FT_UNROLL
        for (int v = 0; v < vectors; v++)
            acc.v[r][v] = load(t->bias + v * LANES);
        if (halves)
            acc.h[r] = half_load(t->bias + vectors * LANES);
    }
    change_layout(&acc, together, vectors);
    if (t->ahead)
        sum(t, p, &acc, together, vectors, halves, true);
    else
        sum(t, p, &acc, together, vectors, halves, false);
    change_layout(&acc, together, vectors);
    finish(t, &acc, rows, vectors, halves);
}

FT_INLINE void next_tile(struct ft_tile *t, const int rows)
{
    t->at_in += rows;
    t->at_out += rows;
    t->at_other += rows;
    t->ahead = t->shares-- > 1 && t->ahead ? t->ahead + t->n_ahead : NULL;
}

#define UP_TO_4(M, v, h)  M(1, v, h) M(2, v, h) M(3, v, h) M(4, v, h)
#define UP_TO_5(M, v, h)  UP_TO_4(M, v, h) M(5, v, h)
#define UP_TO_6(M, v, h)  UP_TO_5(M, v, h) M(6, v, h)
#define UP_TO_8(M, v, h)  UP_TO_6(M, v, h) M(7, v, h) M(8, v, h)
#define UP_TO_10(M, v, h) UP_TO_8(M, v, h) M(9, v, h) M(10, v, h)
#define UP_TO_14(M, v, h) UP_TO_10(M, v, h) M(11, v, h) M(12, v, h) M(13, v, h) M(14, v, h)
#define DEFINE(rows, v, h)                                                                         \
    static __attribute__((noinline)) void tile_##rows##_##v##_##h(struct ft_tile *t, int tiles)    \
    {                                                                                              \
        for (; tiles > 0; tiles--) {                                                               \
            run_tile(t, rows, v, h);                                                               \
            next_tile(t, rows);                                                                    \
        }                                                                                          \
    }
#define ENTRY(rows, v, h) tile_##rows##_##v##_##h,
#define WIDTH(most, v, h)                                                                          \
    {                                                                                              \
        v *LANES + h *HALF_LANES, most,                                                            \
        {                                                                                          \
            NULL, UP_TO_##most(ENTRY, v, h)                                                        \
        }                                                                                          \
    }

/* By increasing width. The accumulators of each fill the registers. */
#if defined(__AVX512F__)
UP_TO_14(DEFINE, 1, 0)
UP_TO_14(DEFINE, 1, 1)
UP_TO_14(DEFINE, 2, 0)
UP_TO_8(DEFINE, 2, 1)
const struct ft_width FT_NAME(widths)[] = {
    WIDTH(14, 1, 0), WIDTH(14, 1, 1), WIDTH(14, 2, 0), WIDTH(8, 2, 1), { 0 }
};
#elif defined(__ARM_NEON)
UP_TO_10(DEFINE, 1, 0)
UP_TO_6(DEFINE, 2, 0)
const struct ft_width FT_NAME(widths)[] = { WIDTH(10, 1, 0), WIDTH(6, 2, 0), { 0 } };
#else
UP_TO_10(DEFINE, 1, 0)
UP_TO_5(DEFINE, 2, 0)
UP_TO_4(DEFINE, 3, 0)
const struct ft_width
    FT_NAME(widths)[] = { WIDTH(10, 1, 0), WIDTH(5, 2, 0), WIDTH(4, 3, 0), { 0 } };
#endif
/* Divides the pixels into tiles as equal as possible: 49 are 13, 12, 12, 12. Each of the first
 * tiles prefetches a share of the next panel, because one tile takes less time than a panel takes
 * to come from the third-level cache. */
void FT_NAME(panel_run)(struct ft_tile t, const struct ft_width *width, const struct ft_offsets *at,
                        int pixels)
{
    enum { MOST = 4 };
    const int n = (pixels + width->rows - 1) / width->rows, rows = (pixels + n - 1) / n,
              larger = pixels - n * (rows - 1);
    t.shares = n < MOST ? n : MOST;
    t.n_ahead /= (size_t)t.shares;
    t.rate = (int)(4 * t.n_ahead / (size_t)(t.segments->n * t.segments->k));
    t.at_in = at->in;
    t.at_out = at->out;
    t.at_other = at->other;
    width->tiles[rows](&t, larger);
    if (larger < n)
        width->tiles[rows - 1](&t, n - larger);
}
