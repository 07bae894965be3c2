/* Convolutions of int8 steps. The inputs of a band of pixels are gathered into the scratch as rows
 * of K 16-bit values, from which all panels of 16 filters read. */
#include <string.h>

#include "kernels/rows.h"
#include "kernels/simd/int8.h"

#if defined(__AVX512F__)
enum { TILE = 24 };
#else
enum { TILE = 6 };
#endif
enum { BAND = TILE * 64, BAND_FLOATS = 24 << 10, SPARE = 8 /* floats written after a row */ };

/* Pairs in K. */
static size_t depth(const struct ft_work *w)
{
    return (ft_conv_k(w) + 1) / 2;
}

static size_t panels(const struct ft_work *w)
{
    return ((size_t)w->out.c + SUMS - 1) / SUMS;
}

static size_t packed(const struct ft_work *w)
{
    return panels(w) * depth(w) * SUMS;
}

/* [panel][pair of K][place][2] */
static void pack(const struct ft_work *w, const float *whole, float *packed_weights)
{
    const size_t k = ft_conv_k(w), c = (size_t)w->out.c;
    int16_t *to = (int16_t *)(void *)packed_weights;
    for (size_t first = 0; first < c; first += SUMS)
        for (size_t j = 0; j < 2 * depth(w); j += 2)
            for (int i = 0; i < SUMS; i++)
                for (size_t odd = 0; odd < 2; odd++) {
                    const size_t f = first + (size_t)ft_int8_channel(i);
                    *to++ = f < c && j + odd < k ? (int16_t)whole[(j + odd) * c + f] : 0;
                }
}

/* Copies n bytes as 16-bit values. Up to 15 more are read and written. */
static void widen(const uint8_t *from, int n, int16_t *to)
{
    for (int i = 0; i < n; i += SUMS)
        _mm256_storeu_si256((__m256i *)(void *)(to + i), bytes_load(from + i));
}

static void gather_pixel(const struct ft_work *w, int y, int x, int16_t *to)
{
    const bool touching = w->dilation[1] == 1 && w->in.pixel == w->in.c;
    const int across = touching ? 1 : w->kernel[1], n = touching ? w->kernel[1] * w->in.c : w->in.c,
              top = y * w->stride[0] - w->pad[0], left = x * w->stride[1] - w->pad[1];
    for (int ky = 0; ky < w->kernel[0]; ky++)
        for (int kx = 0; kx < across; kx++, to += n) {
            const int at_y = top + ky * w->dilation[0], at_x = left + kx * w->dilation[1];
            if (w->int8.wide)
                memcpy(to, ft_wide_at(&w->in, at_y, at_x), (size_t)n * sizeof *to);
            else
                widen(ft_bytes_at(&w->in, at_y, at_x), n, to);
        }
}

/* Gathers pixels first..first + n, which are numbered from row y0 on. The last value of an odd K is
 * multiplied with 0. */
static void gather(const struct ft_work *w, int first, int n)
{
    const size_t k = ft_conv_k(w), row = 2 * depth(w);
    int16_t *to = (int16_t *)(void *)w->scratch;
    for (int i = first; i < first + n; i++, to += row) {
        gather_pixel(w, w->y0 + i / w->out.w, i % w->out.w, to);
        if (k < row)
            to[k] = 0;
    }
}

struct tile {
    const struct ft_work *work;
    const int16_t *in, *weights;
    size_t depth;
    int pixel, c; /* the first pixel, counted as above; the first filter */
    struct ends ends;
};

FT_INLINE void finish(const struct tile *t, int pixel, sums16 s)
{
    const struct ft_work *w = t->work;
    const int y = w->y0 + pixel / w->out.w, x = pixel % w->out.w, n = w->out.c - t->c;
    if (w->int8.floats)
        write_floats(w, s, t->c, ft_map_to(&w->out, y, x) + t->c, n);
    else
        write_bytes(&t->ends, s, w->other.data ? ft_bytes_at(&w->other, y, x) + t->c : NULL,
                    ft_bytes_to(&w->out, y, x) + t->c, n);
}

FT_INLINE void run_tile(const struct tile *t, const int rows)
{
    sums16 s[TILE];
    const sums16 bias = sums_load(ft_int8_constants(t->work).bias + t->c);
    FT_UNROLL
    for (int r = 0; r < rows; r++)
        s[r] = bias;
    const int32_t *in = (const int32_t *)(const void *)t->in;
    const int16_t *weights = t->weights;
    for (size_t k = 0; k < t->depth; k++, weights += 2 * SUMS) {
        const sums16 p = pairs_load(weights);
        FT_UNROLL
        for (int r = 0; r < rows; r++)
            sums_add(&s[r], in[(size_t)r * t->depth + k], p);
    }
    FT_UNROLL
    for (int r = 0; r < rows; r++)
        finish(t, t->pixel + r, s[r]);
}

#define TILE_OF(rows)                                                                              \
    static __attribute__((noinline)) void tile_##rows(const struct tile *t)                        \
    {                                                                                              \
        run_tile(t, rows);                                                                         \
    }
#if defined(__AVX512F__)
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
    void (*run)(const struct tile *);
} tiles[] = {
#if defined(__AVX512F__)
    { 24, tile_24 }, { 16, tile_16 }, { 12, tile_12 }, { 8, tile_8 },
#endif
    { 6, tile_6 },   { 5, tile_5 },   { 4, tile_4 },   { 3, tile_3 }, { 2, tile_2 }, { 1, tile_1 },
};

static void run_panel(const struct ft_work *w, int first, int n, int c)
{
    const size_t row = 2 * depth(w);
    struct tile t = { .work = w,
                      .in = (const int16_t *)(const void *)w->scratch,
                      .weights = (const int16_t *)(const void *)w->weights +
                                 (size_t)(c / SUMS) * row * SUMS,
                      .depth = depth(w),
                      .c = c,
                      .ends = ends_of(w, c) };
    for (int i = 0, rows; i < n; i += rows) {
        int shape = 0;
        while (tiles[shape].rows > n - i)
            shape++;
        rows = tiles[shape].rows;
        t.pixel = first + i;
        tiles[shape].run(&t);
        t.in += (size_t)rows * row;
    }
}

static int band_of(const struct ft_work *w, size_t floats)
{
    const size_t fits = (floats - SPARE) / depth(w);
    return fits > BAND ? BAND : (int)(fits > TILE ? fits / TILE * TILE : fits);
}

static void convolution(const struct ft_work *w)
{
    const int pixels = (w->y1 - w->y0) * w->out.w, band = band_of(w, w->scratch_floats);
    for (int i = 0; i < pixels; i += band) {
        const int n = pixels - i < band ? pixels - i : band;
        gather(w, i, n);
        for (int c = w->c0; c < w->c1; c += SUMS)
            run_panel(w, i, n, c);
    }
    if (w->int8.floats)
        ft_activate_part(w);
}

/* Each of FT_PARTS_MAX equal shares is enough for one tile. */
static size_t scratch(const struct ft_work *w)
{
    const size_t least = FT_PARTS_MAX * (TILE * depth(w) + SPARE), whole = BAND_FLOATS + SPARE;
    return least > whole ? least : whole;
}

static bool accepts(const struct ft_work *w)
{
    return w->groups == 1;
}

const struct ft_kernel_row FT_NAME(int8_convolution) = { .run = convolution,
                                                         .name = "int8 " FT_ISA_NAME,
                                                         .needs = FT_ISA_NEEDS,
                                                         .accepts = accepts,
                                                         .packed = packed,
                                                         .pack = pack,
                                                         .scratch = scratch,
                                                         .channels = SUMS };
