/* Direct convolution as a product of panels. Weights lie in panels of 2 vectors of filters, [K][panel], K = kh * kw * cin in
 * Keras order, zeros after the last filter; the input is read in place. A tile is ROWS output pixels by one panel, its
 * accumulators in registers from the bias to the clamp. The sum over K runs in segments that are contiguous in the input: one
 * per kernel row, or one per tap where the map's pixels do not touch (dilation, slices of channels).
 *
 * Pixels go in bands: per band the offsets are worked out once, then panels outside, tiles inside, so that a panel stays in the
 * first-level cache while the band streams past, or (bands of one tile) the tile's input stays while panels stream past. */
#include "kernels/simd/simd.h"

#if defined(__AVX512F__)
enum { ROWS = 14 };
#define EACH_ROWS(M) M(1) M(2) M(3) M(4) M(5) M(6) M(7) M(8) M(9) M(10) M(11) M(12) M(13) M(14)
#else
enum { ROWS = 5 };
#define EACH_ROWS(M) M(1) M(2) M(3) M(4) M(5)
#endif
enum { PANEL = 2 * LANES, MAX_SEGMENTS = 128, BAND = ROWS * 32 };

struct segments {
    int n, k; /* n segments of k values */
    ptrdiff_t at[MAX_SEGMENTS]; /* from the first value of the window */
};

/* Offsets from in, out and other of a band's pixels. */
struct offsets {
    ptrdiff_t in[BAND], out[BAND], other[BAND];
};

struct tile {
    const float *in, *other;
    float *out;
    const ptrdiff_t *at_in, *at_out, *at_other; /* [rows] */
    const struct segments *segments;
    const float *weights, *bias, *ahead; /* ahead: the next panel, to be prefetched, or NULL */
    float lo, hi;
    int filters; /* of this panel, at most PANEL */
};

FT_INLINE void step(const float *const *p, int k, const float *w, vec acc[][2], const int rows, const int vectors)
{
    const vec w0 = load(w), w1 = vectors > 1 ? load(w + LANES) : w0;
    FT_UNROLL
    for (int r = 0; r < rows; r++) {
        const vec x = repeat(p[r][k]);
        acc[r][0] = multiply_add(x, w0, acc[r][0]);
        if (vectors > 1)
            acc[r][1] = multiply_add(x, w1, acc[r][1]);
    }
}

FT_INLINE void finish(const struct tile *t, vec acc[][2], const int rows, const int vectors)
{
    const vec lo = repeat(t->lo), hi = repeat(t->hi);
    const bool full = t->filters == vectors * LANES;
    const mask last = mask_first(t->filters - (vectors - 1) * LANES);
    FT_UNROLL
    for (int r = 0; r < rows; r++) {
        float *out = t->out + t->at_out[r];
        FT_UNROLL
        for (int v = 0; v < vectors; v++) {
            const bool whole = full || v + 1 < vectors;
            vec x = acc[r][v];
            if (t->other) {
                const float *other = t->other + t->at_other[r] + v * LANES;
                x = add(x, whole ? load(other) : load_masked(other, last));
            }
            x = clamp(x, lo, hi);
            if (whole)
                store(out + v * LANES, x);
            else
                store_masked(out + v * LANES, last, x);
        }
    }
}

FT_INLINE void run_tile(const struct tile *t, const int rows, const int vectors)
{
    vec acc[ROWS][2];
    const float *w = t->weights, *ahead = t->ahead;
    FT_UNROLL
    for (int r = 0; r < rows; r++) {
        acc[r][0] = load(t->bias);
        if (vectors > 1)
            acc[r][1] = load(t->bias + LANES);
    }
    for (int s = 0; s < t->segments->n; s++) {
        const float *p[ROWS];
        FT_UNROLL
        for (int r = 0; r < rows; r++)
            p[r] = t->in + t->at_in[r] + t->segments->at[s];
        const int n = t->segments->k;
        int k = 0;
        for (; k + 4 <= n; k += 4, w += 4 * PANEL) {
            if (ahead) { /* two lines a step and four steps: the whole panel */
                FT_UNROLL
                for (int i = 0; i < 4 * PANEL; i += 16)
                    _mm_prefetch((const char *)(ahead + i), _MM_HINT_T0);
                ahead += 4 * PANEL;
            }
            step(p, k, w, acc, rows, vectors);
            step(p, k + 1, w + PANEL, acc, rows, vectors);
            step(p, k + 2, w + 2 * PANEL, acc, rows, vectors);
            step(p, k + 3, w + 3 * PANEL, acc, rows, vectors);
        }
        for (; k < n; k++, w += PANEL)
            step(p, k, w, acc, rows, vectors);
    }
    finish(t, acc, rows, vectors);
}

#define DEFINE(rows)                                                                                                                       \
    static __attribute__((noinline)) void tile_##rows##_1(const struct tile *t) { run_tile(t, rows, 1); }                                   \
    static __attribute__((noinline)) void tile_##rows##_2(const struct tile *t) { run_tile(t, rows, 2); }
EACH_ROWS(DEFINE)
#define ENTRY(rows) { tile_##rows##_1, tile_##rows##_2 },
static void (*const tiles[ROWS + 1][2])(const struct tile *t) = { { NULL, NULL }, EACH_ROWS(ENTRY) };

/* One panel over the pixels of a band, in tiles as equal as can be: 49 pixels go as 13, 12, 12, 12. */
static void run_panel(struct tile t, const struct offsets *at, int pixels)
{
    const int n = (pixels + ROWS - 1) / ROWS;
    for (int i = 0, p = 0; i < n; i++) {
        const int rows = (pixels - p) / (n - i) + ((pixels - p) % (n - i) != 0);
        t.at_in = at->in + p;
        t.at_out = at->out + p;
        t.at_other = at->other + p;
        tiles[rows][t.filters > LANES](&t);
        t.ahead = NULL;
        p += rows;
    }
}

static void find_segments(const struct ft_work *w, struct segments *s)
{
    const bool touching = w->dilation[1] == 1 && (w->kernel[1] == 1 || w->in.pixel == w->in.c);
    const int across = touching ? 1 : w->kernel[1];
    s->n = w->kernel[0] * across;
    s->k = touching ? w->kernel[1] * w->in.c : w->in.c;
    for (int i = 0; i < s->n; i++)
        s->at[i] = i / across * w->dilation[0] * w->in.row + (ptrdiff_t)(i % across) * w->dilation[1] * w->in.pixel;
}

static void find_offsets(const struct ft_work *w, int first, int pixels, struct offsets *at)
{
    int y = first / w->out.w, x = first % w->out.w;
    for (int i = 0; i < pixels; i++) {
        at->in[i] = (y * w->stride[0] - w->pad[0]) * w->in.row + (ptrdiff_t)(x * w->stride[1] - w->pad[1]) * w->in.pixel;
        at->out[i] = y * w->out.row + (ptrdiff_t)x * w->out.pixel;
        at->other[i] = y * w->other.row + (ptrdiff_t)x * w->other.pixel;
        if (++x == w->out.w) {
            x = 0;
            y++;
        }
    }
}

/* Panels outside where the weights are many for the pixels or the input is thin; else one tile at a time. */
static int band_pixels(const struct ft_work *w, size_t k)
{
    return w->out.h * w->out.w <= 64 || k <= (size_t)w->out.c ? BAND : ROWS;
}

void FT_NAME(convolution)(const struct ft_work *w)
{
    const size_t k = ft_conv_k(w);
    const int band = band_pixels(w, k), end = w->y1 * w->out.w;
    struct segments segments;
    struct offsets at;
    find_segments(w, &segments);
    for (int p = w->y0 * w->out.w; p < end; p += band) {
        const int pixels = end - p < band ? end - p : band;
        find_offsets(w, p, pixels, &at);
        for (int c = w->c0; c < w->c1; c += PANEL) {
            const float *weights = w->weights + (size_t)c * k;
            run_panel((struct tile){ .in = w->in.data, .out = w->out.data + c, .other = w->other.data ? w->other.data + c : NULL,
                                     .segments = &segments, .weights = weights, .bias = w->bias + c,
                                     .ahead = band > ROWS && c + PANEL < w->c1 ? weights + PANEL * k : NULL, .lo = w->lo, .hi = w->hi,
                                     .filters = w->c1 - c < PANEL ? w->c1 - c : PANEL }, &at, pixels);
        }
    }
}

bool FT_NAME(convolution_accepts)(const struct ft_work *w)
{
    return w->groups == 1 && w->kernel[0] * w->kernel[1] <= MAX_SEGMENTS;
}

size_t FT_NAME(convolution_packed)(const struct ft_work *w)
{
    return ft_conv_k(w) * (size_t)((w->out.c + PANEL - 1) / PANEL * PANEL);
}

void FT_NAME(convolution_pack)(const struct ft_work *w, const float *keras, float *packed)
{
    const size_t k = ft_conv_k(w), filters = (size_t)w->out.c;
    for (size_t first = 0; first < filters; first += PANEL)
        for (size_t i = 0; i < k; i++)
            for (size_t f = first; f < first + PANEL; f++)
                *packed++ = f < filters ? keras[i * filters + f] : 0;
}
