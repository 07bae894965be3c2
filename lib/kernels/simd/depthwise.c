/* Depthwise convolution over one vector of channels at a time. 3x3 and 5x5 with strides 1 and 2 keep a tile of DOWN x ACROSS
 * output pixels in registers and load every input vector of the tile's window once for all the taps that use it; other
 * geometries go pixel by pixel. Weights lie as [c / LANES][taps][LANES], zeros after the last channel. */
#include "kernels/simd/simd.h"

#if defined(__AVX512F__)
enum { DOWN = 2, ACROSS = 7 };
#else
enum { DOWN = 1, ACROSS = 7 };
#endif

struct tile {
    const float *in; /* the window's first value */
    float *out;
    const float *other, *weights, *bias;
    ptrdiff_t in_row, out_row, other_row;
    int in_pixel, out_pixel, other_pixel;
    float lo, hi;
    mask lanes; /* channels there are */
    bool whole; /* all of them: masked stores are slow without AVX-512 */
};

/* Keeps gcc from loading the value again for every use: one load port a multiplication is too many. */
FT_INLINE vec in_register(vec v)
{
    __asm__("" : "+v"(v));
    return v;
}

FT_INLINE vec fetch(const struct tile *t, const float *p, const int whole)
{
    return whole ? load(p) : load_masked(p, t->lanes);
}

FT_INLINE void finish(const struct tile *t, vec x, int y, int at, const int whole)
{
    float *out = t->out + y * t->out_row + (ptrdiff_t)at * t->out_pixel;
    if (t->other)
        x = add(x, fetch(t, t->other + y * t->other_row + (ptrdiff_t)at * t->other_pixel, whole));
    x = clamp(x, repeat(t->lo), repeat(t->hi));
    if (whole)
        store(out, x);
    else
        store_masked(out, t->lanes, x);
}

/* A tile of down x across pixels; all but t are constants at every call. */
FT_INLINE void run_tile(const struct tile *t, const int k, const int s, const int down, const int across, const int whole)
{
    vec acc[DOWN][ACROSS];
    FT_UNROLL
    for (int y = 0; y < down; y++)
        FT_UNROLL
        for (int x = 0; x < across; x++)
            acc[y][x] = load(t->bias);
    FT_UNROLL
    for (int iy = 0; iy < (down - 1) * s + k; iy++) {
        vec weights[DOWN][5]; /* the kernel's row that each output row multiplies this input row with */
        FT_UNROLL
        for (int y = 0; y < down; y++)
            FT_UNROLL
            for (int kx = 0; kx < k; kx++)
                if (iy >= y * s && iy < y * s + k)
                    weights[y][kx] = in_register(load(t->weights + ((iy - y * s) * k + kx) * LANES));
        FT_UNROLL
        for (int ix = 0; ix < (across - 1) * s + k; ix++) {
            const vec in = fetch(t, t->in + iy * t->in_row + (ptrdiff_t)ix * t->in_pixel, whole);
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
            finish(t, acc[y][x], y, x, whole);
}

FT_INLINE void sum_pixel(const struct tile *t, const struct ft_work *w, const int whole)
{
    vec acc = load(t->bias);
    const float *weights = t->weights;
    for (int ky = 0; ky < w->kernel[0]; ky++)
        for (int kx = 0; kx < w->kernel[1]; kx++, weights += LANES)
            acc = multiply_add(fetch(t, t->in + ky * w->dilation[0] * t->in_row + (ptrdiff_t)kx * w->dilation[1] * t->in_pixel, whole),
                               load(weights), acc);
    finish(t, acc, 0, 0, whole);
}

static void run_pixel(const struct tile *t, const struct ft_work *w)
{
    if (t->whole)
        sum_pixel(t, w, 1);
    else
        sum_pixel(t, w, 0);
}

#define DEFINE_TILE(name, k, s, down)                                                                                                      \
    static __attribute__((noinline)) void name(const struct tile *t)                                                                       \
    {                                                                                                                                      \
        if (t->whole)                                                                                                                      \
            run_tile(t, k, s, down, ACROSS, 1);                                                                                            \
        else                                                                                                                               \
            run_tile(t, k, s, down, ACROSS, 0);                                                                                            \
    }
#define DEFINE(k, s) DEFINE_TILE(tile_##k##_##s, k, s, DOWN) DEFINE_TILE(flat_##k##_##s, k, s, 1)
DEFINE(3, 1)
DEFINE(3, 2)
DEFINE(5, 1)
DEFINE(5, 2)
static const struct fast {
    int kernel, stride;
    void (*tile)(const struct tile *t), (*flat)(const struct tile *t);
} fasts[] = { { 3, 1, tile_3_1, flat_3_1 }, { 3, 2, tile_3_2, flat_3_2 }, { 5, 1, tile_5_1, flat_5_1 }, { 5, 2, tile_5_2, flat_5_2 } };

static const struct fast *find_fast(const struct ft_work *w)
{
    for (size_t i = 0; i < sizeof fasts / sizeof *fasts; i++)
        if (w->kernel[0] == fasts[i].kernel && w->kernel[1] == fasts[i].kernel && w->stride[0] == fasts[i].stride &&
            w->stride[1] == fasts[i].stride && w->dilation[0] == 1 && w->dilation[1] == 1)
            return &fasts[i];
    return NULL;
}

/* `t` moved to output pixel (y, x). */
static struct tile tile_at(struct tile t, const struct ft_work *w, int y, int x)
{
    t.in += (y * w->stride[0] - w->pad[0]) * t.in_row + (ptrdiff_t)(x * w->stride[1] - w->pad[1]) * t.in_pixel;
    t.out += y * t.out_row + (ptrdiff_t)x * t.out_pixel;
    if (t.other)
        t.other += y * t.other_row + (ptrdiff_t)x * t.other_pixel;
    return t;
}

static void run_channels(const struct tile *t, const struct ft_work *w, const struct fast *fast)
{
    for (int y = w->y0; y < w->y1;) {
        const int down = fast && w->y1 - y >= DOWN ? DOWN : 1;
        int x = 0;
        for (; fast && x + ACROSS <= w->out.w; x += ACROSS) {
            const struct tile at = tile_at(*t, w, y, x);
            (down == DOWN ? fast->tile : fast->flat)(&at);
        }
        for (; x < w->out.w; x++)
            for (int i = 0; i < down; i++) {
                const struct tile at = tile_at(*t, w, y + i, x);
                run_pixel(&at, w);
            }
        y += down;
    }
}

void FT_NAME(depthwise)(const struct ft_work *w)
{
    const int taps = w->kernel[0] * w->kernel[1];
    const struct fast *fast = find_fast(w);
    for (int c = w->c0; c < w->c1; c += LANES) {
        const struct tile t = { .in = w->in.data + c, .out = w->out.data + c, .other = w->other.data ? w->other.data + c : NULL,
                                .weights = w->weights + (ptrdiff_t)c * taps, .bias = w->bias + c, .in_row = w->in.row,
                                .out_row = w->out.row, .other_row = w->other.row, .in_pixel = w->in.pixel, .out_pixel = w->out.pixel,
                                .other_pixel = w->other.pixel, .lo = w->lo, .hi = w->hi, .lanes = mask_first(w->c1 - c), .whole = w->c1 - c >= LANES };
        run_channels(&t, w, fast);
    }
}

bool FT_NAME(depthwise_accepts)(const struct ft_work *w)
{
    return w->multiplier == 1;
}

size_t FT_NAME(depthwise_packed)(const struct ft_work *w)
{
    return (size_t)(w->kernel[0] * w->kernel[1]) * (size_t)((w->out.c + LANES - 1) / LANES * LANES);
}

void FT_NAME(depthwise_pack)(const struct ft_work *w, const float *keras, float *packed)
{
    const int taps = w->kernel[0] * w->kernel[1];
    for (int first = 0; first < w->out.c; first += LANES)
        for (int t = 0; t < taps; t++)
            for (int c = first; c < first + LANES; c++)
                *packed++ = c < w->out.c ? keras[t * w->out.c + c] : 0;
}
