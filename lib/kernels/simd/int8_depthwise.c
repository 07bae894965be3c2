/* Depthwise convolutions of int8 steps, 16 channels at a time. Products need 16 bits: they are of
 * pairs of taps (int8.h). The inputs of a run of outputs are first widened and interleaved: rows 0
 * and 1 of the kernel, rows 2 and 3, ..., and, if the last row is alone, each of its pixels with
 * the pixel of the next tap. Neighbouring outputs share these pairs. */
#include "base/numbers.h"
#include "kernels/rows.h"
#include "kernels/simd/int8.h"

enum { TAPS = 128, COLUMNS = 192 /* of pairs of rows: 12 KB */, TILE = 4 /* outputs */ };

/* Pairs of rows, one more if the number of rows is odd. */
static int row_pairs(const struct ft_work *w)
{
    return (w->kernel[0] + 1) / 2;
}

/* Columns of the input that one output needs. */
static int reach(const struct ft_work *w)
{
    return (w->kernel[1] - 1) * w->dilation[1] + 1;
}

struct pair {
    int tap[2];   /* of the kernel, row by row; -1: none */
    ptrdiff_t at; /* column among the interleaved ones, from the first of the output */
};

/* Lists the pairs of taps for runs of `columns`. Returns their number. */
static int list_pairs(const struct ft_work *w, int columns, struct pair *pairs)
{
    const int across = w->kernel[1], last = w->kernel[0] - 1;
    int n = 0;
    for (int y = 0; y <= last; y += 2)
        for (int x = 0; x < across; x += y < last ? 1 : 2)
            pairs[n++] =
                (struct pair){ .tap = { y * across + x, y < last         ? (y + 1) * across + x
                                                        : x + 1 < across ? y * across + x + 1
                                                                         : -1 },
                               .at = (ptrdiff_t)(y / 2) * columns + (ptrdiff_t)x * w->dilation[1] };
    return n;
}

static size_t packed(const struct ft_work *w)
{
    struct pair pairs[TAPS];
    return ((size_t)w->out.c + SUMS - 1) / SUMS * (size_t)list_pairs(w, 0, pairs) * SUMS;
}

/* [block of channels][pair][place] */
static void pack(const struct ft_work *w, const float *whole, float *packed_weights)
{
    struct pair pairs[TAPS];
    const int n = list_pairs(w, 0, pairs), c = w->out.c;
    int16_t *to = (int16_t *)(void *)packed_weights;
    for (int first = 0; first < c; first += SUMS)
        for (int p = 0; p < n; p++, to += 2 * SUMS)
            for (int i = 0; i < SUMS; i++)
                for (int k = 0; k < 2; k++)
                    to[ft_int8_place(i, k, 2)] =
                        first + i < c && pairs[p].tap[k] >= 0
                            ? (int16_t)whole[pairs[p].tap[k] * c + first + i]
                            : 0;
}

/* Of the first n columns that the outputs from (y, x) on need. */
static void interleave(const struct ft_work *w, int y, int x, int c, int n, int columns,
                       int32_t *to)
{
    const int left = x * w->stride[1] - w->pad[1], step = w->dilation[1];
    for (int ky = 0; ky < w->kernel[0]; ky += 2) {
        const int at = y * w->stride[0] - w->pad[0] + ky * w->dilation[0];
        const bool two = ky + 1 < w->kernel[0];
        const uint8_t *a = ft_bytes_at(&w->in, at, left) + c,
                      *b = two ? a + w->dilation[0] * w->in.row : a + (ptrdiff_t)step * w->in.pixel;
        for (int i = 0; i < n; i++, a += w->in.pixel, b += w->in.pixel)
            units_store(to + (ptrdiff_t)i * SUMS, pairs_of(a, two || i + step < n ? b : a));
        to += (ptrdiff_t)columns * SUMS;
    }
}

/* What 16 channels need. */
struct run {
    const struct ft_work *work;
    const int32_t *weights;
    const ptrdiff_t *at; /* of each pair, in 32-bit values */
    int n_pairs, columns,
        outputs; /* interleaved columns, and the outputs that they are enough for */
    int c;
    struct ends ends;
};

/* Some outputs, the first at y, x; their inputs begin at in. */
FT_INLINE void run_tile(const struct run *r, const int32_t *in, int y, int x, const int count)
{
    const struct ft_work *w = r->work;
    const ptrdiff_t step = (ptrdiff_t)w->stride[1] * SUMS;
    sums16 s[TILE];
    const sums16 bias = sums_load(ft_int8_constants(w).bias + r->c);
    FT_UNROLL
    for (int i = 0; i < count; i++)
        s[i] = bias;
    for (int p = 0; p < r->n_pairs; p++) {
        const sums16 weights = units_load(r->weights + (ptrdiff_t)p * SUMS);
        const int32_t *from = in + r->at[p];
        FT_UNROLL
        for (int i = 0; i < count; i++)
            add_pairs(&s[i], units_load(from + i * step), weights);
    }
    sums16 sums[TILE]; /* in memory: the loop over them is not unrolled */
    ptrdiff_t out[TILE], other[TILE];
    out[0] = y * w->out.row + (ptrdiff_t)x * w->out.pixel;
    other[0] = y * w->other.row + (ptrdiff_t)x * w->other.pixel;
    FT_UNROLL
    for (int i = 0; i < count; i++) {
        sums[i] = s[i];
        out[i] = out[0] + (ptrdiff_t)i * w->out.pixel;
        other[i] = other[0] + (ptrdiff_t)i * w->other.pixel;
    }
    write_pixels(w, &r->ends, sums, out, other, r->c, count);
}

#define TILE_OF(count)                                                                             \
    static __attribute__((noinline)) void tile_##count(const struct run *r, const int32_t *in,     \
                                                       int y, int x)                               \
    {                                                                                              \
        run_tile(r, in, y, x, count);                                                              \
    }
TILE_OF(4)
TILE_OF(3)
TILE_OF(2)
TILE_OF(1)

static void run_row(const struct run *r, int y)
{
    const struct ft_work *w = r->work;
    const ptrdiff_t step = (ptrdiff_t)w->stride[1] * SUMS;
    _Alignas(64) int32_t columns[COLUMNS * SUMS];
    for (int x = 0; x < w->out.w;) {
        const int end = ft_min(x + r->outputs, w->out.w);
        const int32_t *in = columns;
        interleave(w, y, x, r->c, (end - x - 1) * w->stride[1] + reach(w), r->columns, columns);
        for (; end - x >= TILE; x += TILE, in += TILE * step)
            tile_4(r, in, y, x);
        if (x < end)
            (end - x == 1 ? tile_1 : end - x == 2 ? tile_2 : tile_3)(r, in, y, x);
        x = end;
    }
}

FT_INLINE void write_output(const struct run *r, sums16 s, int y, int x)
{
    const struct ft_work *w = r->work;
    const ptrdiff_t out = y * w->out.row + (ptrdiff_t)x * w->out.pixel,
                    other = y * w->other.row + (ptrdiff_t)x * w->other.pixel;
    write_pixels(w, &r->ends, &s, &out, &other, r->c, 1);
}

/* A row of 3x3 kernels with stride 1 or 2, in one pass over the columns of the input. The pairs of
 * a column (or of two neighbours, if the stride is 2) are added to all outputs that it reaches,
 * whose sums stay in registers. Weights are in the order of list_pairs. */
FT_INLINE void run_columns(const struct run *r, int y, const int stride)
{
    const struct ft_work *w = r->work;
    const ptrdiff_t row = w->in.row, pixel = w->in.pixel;
    const int newest = 2 / stride, last = w->out.w - 1 + newest;
    const int32_t *k = r->weights;
    const sums16 bias = sums_load(ft_int8_constants(w).bias + r->c);
    const uint8_t *in = ft_bytes_at(&w->in, y * stride - w->pad[0], -w->pad[1]) + r->c;
    sums16 s[3] = { bias, bias, bias }; /* of outputs x - newest to x */
    for (int x = 0; x <= last; x++, in += stride * pixel) {
        const uint8_t *below = in + 2 * row, *next = x < last ? in + pixel : in;
        const sums16 upper = pairs_of(in, in + row), lower = pairs_of(below, next + 2 * row),
                     odd = stride == 2 ? pairs_of(next, next + row) : upper;
        s[newest] = bias;
        add_pairs(&s[newest], upper, units_load(k));
        add_pairs(&s[newest - 1 / stride], odd, units_load(k + SUMS));
        add_pairs(&s[0], upper, units_load(k + (ptrdiff_t)2 * SUMS));
        add_pairs(&s[newest], lower, units_load(k + (ptrdiff_t)3 * SUMS));
        add_pairs(&s[0], lower, units_load(k + (ptrdiff_t)4 * SUMS));
        if (x >= newest)
            write_output(r, s[0], y, x - newest);
        s[0] = s[1];
        s[1] = s[2];
    }
}

static void columns_1(const struct run *r, int y)
{
    run_columns(r, y, 1);
}

static void columns_2(const struct run *r, int y)
{
    run_columns(r, y, 2);
}

/* The function for a row. With kernels of 5x5 the sums do not fit the registers of AVX2. */
static void (*way_of(const struct ft_work *w))(const struct run *, int)
{
    if (w->kernel[0] != 3 || w->kernel[1] != 3 || w->dilation[0] * w->dilation[1] != 1 ||
        w->stride[0] != w->stride[1] || w->stride[0] > 2)
        return run_row;
    return w->stride[0] == 1 ? columns_1 : columns_2;
}

/* The channels of a cache line together, so that it is read once for a row. */
static void depthwise(const struct ft_work *w)
{
    enum { LINE = 64 };
    void (*const way)(const struct run *, int) = way_of(w);
    struct pair pairs[TAPS];
    ptrdiff_t at[TAPS];
    struct run runs[LINE / SUMS];
    const int outputs = ft_min((COLUMNS / row_pairs(w) - reach(w)) / w->stride[1] + 1, w->out.w),
              columns = (outputs - 1) * w->stride[1] + reach(w), n = list_pairs(w, columns, pairs);
    for (int p = 0; p < n; p++)
        at[p] = pairs[p].at * SUMS;
    for (int first = w->c0; first < w->c1; first += LINE) {
        int n_runs = 0;
        for (int c = first; c < ft_min(first + LINE, w->c1); c += SUMS)
            runs[n_runs++] = (struct run){ .work = w,
                                           .weights = (const int32_t *)(const void *)w->weights +
                                                      (ptrdiff_t)(c / SUMS) * n * SUMS,
                                           .at = at,
                                           .n_pairs = n,
                                           .columns = columns,
                                           .outputs = outputs,
                                           .c = c,
                                           .ends = ends_of(w, c) };
        for (int y = w->y0; y < w->y1; y++)
            for (int i = 0; i < n_runs; i++)
                way(&runs[i], y);
    }
    if (w->int8.floats)
        ft_activate_part(w);
}

static bool accepts(const struct ft_work *w)
{
    return w->multiplier == 1 && w->kernel[0] * w->kernel[1] <= TAPS &&
           row_pairs(w) * reach(w) <= COLUMNS;
}

const struct ft_kernel_row FT_NAME(int8_depthwise) = { .run = depthwise,
                                                       .name = "int8 " FT_ISA_NAME,
                                                       .needs = FT_ISA_NEEDS,
                                                       .accepts = accepts,
                                                       .packed = packed,
                                                       .pack = pack,
                                                       .channels = SUMS };
