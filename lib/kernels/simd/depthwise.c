/* Depthwise convolution, one vector of channels at a time. 3x3 and 5x5 with strides 1 and 2, and
 * 7x7 with stride 1, keep a tile of DOWN x ACROSS output pixels in registers and load every input
 * vector of the tile's window once, for all taps that use it. Other geometries go pixel by pixel.
 * Weights are [c / LANES][taps][LANES], with zeros after the last channel. */
#include "kernels/simd/simd.h"

#if defined(__AVX512F__)
enum { DOWN = 2, ACROSS = 7, MOST_TAPS = 7 };
#else
enum { DOWN = 1, ACROSS = 7, MOST_TAPS = 7 };
#endif

/* What is the same for all tiles of a row of pixels and one vector of channels. */
struct strip {
    const float *weights, *bias;
    ptrdiff_t in_row, out_row, other_row;
    int in_pixel, out_pixel, other_pixel;
    float lo, hi;
    mask lanes; /* the channels that exist */
    bool whole; /* all lanes exist: masked stores are slow without AVX-512 */
};

FT_INLINE vec fetch(const struct strip *t, const float *p, const int whole)
{
    return whole ? load(p) : load_masked(p, t->lanes);
}

/* The addresses that a tile reads and writes. */
struct place {
    const float *in; /* the window's first value */
    float *out;
    const float *other; /* NULL: none */
};

FT_INLINE void finish(const struct strip *t, struct place at, vec x, int y, int column,
                      const int whole)
{
    float *out = at.out + y * t->out_row + (ptrdiff_t)column * t->out_pixel;
    if (at.other)
        x = add(x,
                fetch(t, at.other + y * t->other_row + (ptrdiff_t)column * t->other_pixel, whole));
    x = clamp(x, repeat(t->lo), repeat(t->hi));
    if (whole)
        store(out, x);
    else
        store_masked(out, t->lanes, x);
}

/* A tile of down x across pixels. Every call has constants for all arguments but the first two. */
FT_INLINE void run_tile(const struct strip *t, struct place at, const int k, const int s,
                        const int down, const int across, const int whole)
{
    vec acc[DOWN][ACROSS];
    FT_UNROLL
    for (int y = 0; y < down; y++)
        FT_UNROLL
    for (int x = 0; x < across; x++)
        acc[y][x] = load(t->bias);
    FT_UNROLL
    for (int iy = 0; iy < (down - 1) * s + k; iy++) {
        /* the kernel's row that each output row multiplies this input row with */
        vec weights[DOWN][MOST_TAPS];
        FT_UNROLL
        for (int y = 0; y < down; y++)
            FT_UNROLL
        for (int kx = 0; kx < k; kx++)
            if (iy >= y * s && iy < y * s + k)
                weights[y][kx] = in_register(load(t->weights + ((iy - y * s) * k + kx) * LANES));
        FT_UNROLL
        for (int ix = 0; ix < (across - 1) * s + k; ix++) {
            const vec in = fetch(t, at.in + iy * t->in_row + (ptrdiff_t)ix * t->in_pixel, whole);
            FT_UNROLL
            for (int y = 0; y < down; y++)
                FT_UNROLL
            for (int x = 0; x < across; x++)
                if (iy >= y * s && iy < y * s + k && ix >= x * s && ix < x * s + k)
                    acc[y][x] = multiply_add(in, weights[y][ix - x * s], acc[y][x]);
        }
    }
    FT_UNROLL
    for (int y = 0; y < down; y++)
        FT_UNROLL
    for (int x = 0; x < across; x++)
        finish(t, at, acc[y][x], y, x, whole);
}

FT_INLINE void run_strip(const struct strip *t, struct place at, int tiles, const int k,
                         const int s, const int down, const int whole)
{
    for (; tiles > 0; tiles--) {
        run_tile(t, at, k, s, down, ACROSS, whole);
        at.in += (ptrdiff_t)(ACROSS * s) * t->in_pixel;
        at.out += (ptrdiff_t)ACROSS * t->out_pixel;
        if (at.other)
            at.other += (ptrdiff_t)ACROSS * t->other_pixel;
    }
}

FT_INLINE void sum_pixel(const struct strip *t, struct place at, const struct ft_work *w,
                         const int whole)
{
    vec acc = load(t->bias);
    const float *weights = t->weights;
    for (int ky = 0; ky < w->kernel[0]; ky++)
        for (int kx = 0; kx < w->kernel[1]; kx++, weights += LANES)
            acc = multiply_add(fetch(t,
                                     at.in + ky * w->dilation[0] * t->in_row +
                                         (ptrdiff_t)kx * w->dilation[1] * t->in_pixel,
                                     whole),
                               load(weights), acc);
    finish(t, at, acc, 0, 0, whole);
}

static void run_pixel(const struct strip *t, struct place at, const struct ft_work *w)
{
    if (t->whole)
        sum_pixel(t, at, w, 1);
    else
        sum_pixel(t, at, w, 0);
}

#define DEFINE_STRIP(name, k, s, down)                                                             \
    static __attribute__((noinline)) void name(const struct strip *t, struct place at, int tiles)  \
    {                                                                                              \
        if (t->whole)                                                                              \
            run_strip(t, at, tiles, k, s, down, 1);                                                \
        else                                                                                       \
            run_strip(t, at, tiles, k, s, down, 0);                                                \
    }
#define DEFINE(k, s) DEFINE_STRIP(tall_##k##_##s, k, s, DOWN) DEFINE_STRIP(flat_##k##_##s, k, s, 1)
DEFINE(3, 1)
DEFINE(3, 2)
DEFINE(5, 1)
DEFINE(5, 2)
DEFINE(7, 1)
static const struct fast {
    int kernel, stride;
    void (*tall)(const struct strip *t, struct place at, int tiles),
        (*flat)(const struct strip *t, struct place at, int tiles);
} fasts[] = { { 3, 1, tall_3_1, flat_3_1 },
              { 3, 2, tall_3_2, flat_3_2 },
              { 5, 1, tall_5_1, flat_5_1 },
              { 5, 2, tall_5_2, flat_5_2 },
              { 7, 1, tall_7_1, flat_7_1 } };

static const struct fast *find_fast(const struct ft_work *w)
{
    for (size_t i = 0; i < sizeof fasts / sizeof *fasts; i++)
        if (w->kernel[0] == fasts[i].kernel && w->kernel[1] == fasts[i].kernel &&
            w->stride[0] == fasts[i].stride && w->stride[1] == fasts[i].stride &&
            w->dilation[0] == 1 && w->dilation[1] == 1)
            return &fasts[i];
    return NULL;
}

static struct place place_at(const struct ft_work *w, int y, int x, int c)
{
    return (struct place){
        ft_map_at(&w->in, y * w->stride[0] - w->pad[0], x * w->stride[1] - w->pad[1]) + c,
        ft_map_to(&w->out, y, x) + c, w->other.data ? ft_map_at(&w->other, y, x) + c : NULL
    };
}

/* Activates one vector of channels of a row. */
static void activate_row(const struct ft_work *w, int y, int c)
{
    enum { MOST = 64 };
    ptrdiff_t at[MOST];
    for (int x = 0, n; x < w->out.w; x += n) {
        n = w->out.w - x < MOST ? w->out.w - x : MOST;
        for (int i = 0; i < n; i++)
            at[i] = (ptrdiff_t)i * w->out.pixel;
        FT_NAME(activate_pixels)
        (w, ft_map_to(&w->out, y, x) + c, at, n, w->c1 - c < LANES ? w->c1 - c : LANES);
    }
}

static void depthwise(const struct ft_work *w)
{
    const int taps = w->kernel[0] * w->kernel[1];
    const struct fast *fast = find_fast(w);
    const int tiles = fast ? w->out.w / ACROSS : 0;
    for (int c = w->c0; c < w->c1; c += LANES) {
        const struct strip t = { .weights = w->weights + (ptrdiff_t)c * taps,
                                 .bias = w->bias + c,
                                 .in_row = w->in.row,
                                 .out_row = w->out.row,
                                 .other_row = w->other.row,
                                 .in_pixel = w->in.pixel,
                                 .out_pixel = w->out.pixel,
                                 .other_pixel = w->other.pixel,
                                 .lo = w->lo,
                                 .hi = w->hi,
                                 .lanes = mask_first(w->c1 - c),
                                 .whole = w->c1 - c >= LANES };
        for (int y = w->y0, down; y < w->y1; y += down) {
            down = fast && w->y1 - y >= DOWN ? DOWN : 1;
            if (tiles)
                (down == DOWN ? fast->tall : fast->flat)(&t, place_at(w, y, 0, c), tiles);
            for (int x = tiles * ACROSS; x < w->out.w; x++)
                for (int i = 0; i < down; i++)
                    run_pixel(&t, place_at(w, y + i, x, c), w);
            for (int i = 0; i < down && w->activation != FT_ACT_LINEAR; i++)
                activate_row(w, y + i, c);
        }
    }
}

static bool accepts(const struct ft_work *w)
{
    return w->multiplier == 1;
}

static size_t packed(const struct ft_work *w)
{
    return (size_t)(w->kernel[0] * w->kernel[1]) * (size_t)((w->out.c + LANES - 1) / LANES * LANES);
}

static void pack(const struct ft_work *w, const float *keras, float *to)
{
    const int taps = w->kernel[0] * w->kernel[1];
    for (int first = 0; first < w->out.c; first += LANES)
        for (int t = 0; t < taps; t++)
            for (int c = first; c < first + LANES; c++)
                *to++ = c < w->out.c ? keras[t * w->out.c + c] : 0;
}

FT_KERNEL_ROW(depthwise, .accepts = accepts, .packed = packed, .pack = pack);
