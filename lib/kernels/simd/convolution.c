/* Direct convolution as a product of panels. Weights lie in panels of PANEL filters, [K][panel], K = kh * kw * cin in Keras
 * order; the last panel has the width that wastes least (see `widths`), zeros after the last filter. The input is read in place.
 * A tile is some output pixels by one panel, its accumulators in registers from the bias to the clamp. The sum over K runs in
 * segments that are contiguous in the input: one per kernel row, or one per tap where the map's pixels do not touch (dilation,
 * slices of channels).
 *
 * Pixels go in bands: per band the offsets are worked out once, then panels outside, tiles inside, so that a panel stays in the
 * first-level cache while the band streams past, or (bands of one tile) the tile's input stays while panels stream past. */
#include "kernels/simd/simd.h"

enum { MAX_SEGMENTS = 128, MAX_ROWS = 14, BAND = MAX_ROWS * 32 };

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
    int filters; /* of this panel */
};

/* Accumulators of a tile: per row up to 3 vectors, and half a vector more. */
struct sums {
    vec v[MAX_ROWS][3];
    half h[MAX_ROWS];
};

FT_INLINE void step(const float *const *p, int k, const float *w, struct sums *acc, const int rows, const int vectors, const int halves)
{
    const vec w0 = load(w), w1 = vectors > 1 ? load(w + LANES) : w0, w2 = vectors > 2 ? load(w + 2 * LANES) : w0;
    const half wh = halves ? half_load(w + vectors * LANES) : half_of(w0);
    FT_UNROLL
    for (int r = 0; r < rows; r++) {
        const vec x = repeat(p[r][k]);
        acc->v[r][0] = multiply_add(x, w0, acc->v[r][0]);
        if (vectors > 1)
            acc->v[r][1] = multiply_add(x, w1, acc->v[r][1]);
        if (vectors > 2)
            acc->v[r][2] = multiply_add(x, w2, acc->v[r][2]);
        if (halves)
            acc->h[r] = half_multiply_add(half_of(x), wh, acc->h[r]);
    }
}

FT_INLINE void finish(const struct tile *t, struct sums *acc, const int rows, const int vectors, const int halves)
{
    const vec lo = repeat(t->lo), hi = repeat(t->hi);
    const bool full = halves || t->filters == vectors * LANES; /* all vectors are */
    const mask last = mask_first(t->filters - (vectors - 1) * LANES);
    const half_mask last_half = half_mask_first(t->filters - vectors * LANES);
    FT_UNROLL
    for (int r = 0; r < rows; r++) {
        float *out = t->out + t->at_out[r];
        const float *other = t->other ? t->other + t->at_other[r] : NULL;
        FT_UNROLL
        for (int v = 0; v < vectors; v++) {
            const bool whole = full || v + 1 < vectors;
            vec x = acc->v[r][v];
            if (other)
                x = add(x, whole ? load(other + v * LANES) : load_masked(other + v * LANES, last));
            x = clamp(x, lo, hi);
            if (whole)
                store(out + v * LANES, x);
            else
                store_masked(out + v * LANES, last, x);
        }
        if (halves) {
            half x = acc->h[r];
            if (other)
                x = half_add(x, half_load_masked(other + vectors * LANES, last_half));
            half_store_masked(out + vectors * LANES, last_half, half_clamp(x, half_of(lo), half_of(hi)));
        }
    }
}

FT_INLINE void run_tile(const struct tile *t, const int rows, const int vectors, const int halves)
{
    enum { LINE = 16 };
    const int width = vectors * LANES + halves * HALF_LANES;
    struct sums acc;
    const float *w = t->weights, *ahead = t->ahead;
    FT_UNROLL
    for (int r = 0; r < rows; r++) {
        FT_UNROLL
        for (int v = 0; v < vectors; v++)
            acc.v[r][v] = load(t->bias + v * LANES);
        if (halves)
            acc.h[r] = half_load(t->bias + vectors * LANES);
    }
    for (int s = 0; s < t->segments->n; s++) {
        const float *p[MAX_ROWS];
        FT_UNROLL
        for (int r = 0; r < rows; r++)
            p[r] = t->in + t->at_in[r] + t->segments->at[s];
        const int n = t->segments->k;
        int k = 0;
        for (; k + 4 <= n; k += 4, w += 4 * width) {
            if (ahead) {
                FT_UNROLL
                for (int i = 0; i < 4 * width; i += LINE)
                    _mm_prefetch((const char *)(ahead + i), _MM_HINT_T0);
                ahead += 4 * width;
            }
            step(p, k, w, &acc, rows, vectors, halves);
            step(p, k + 1, w + width, &acc, rows, vectors, halves);
            step(p, k + 2, w + 2 * width, &acc, rows, vectors, halves);
            step(p, k + 3, w + 3 * width, &acc, rows, vectors, halves);
        }
        for (; k < n; k++, w += width)
            step(p, k, w, &acc, rows, vectors, halves);
    }
    finish(t, &acc, rows, vectors, halves);
}

#define UP_TO_4(M, v, h) M(1, v, h) M(2, v, h) M(3, v, h) M(4, v, h)
#define UP_TO_5(M, v, h) UP_TO_4(M, v, h) M(5, v, h)
#define UP_TO_8(M, v, h) UP_TO_5(M, v, h) M(6, v, h) M(7, v, h) M(8, v, h)
#define UP_TO_10(M, v, h) UP_TO_8(M, v, h) M(9, v, h) M(10, v, h)
#define UP_TO_14(M, v, h) UP_TO_10(M, v, h) M(11, v, h) M(12, v, h) M(13, v, h) M(14, v, h)
#define DEFINE(rows, v, h) static __attribute__((noinline)) void tile_##rows##_##v##_##h(const struct tile *t) { run_tile(t, rows, v, h); }
#define ENTRY(rows, v, h) tile_##rows##_##v##_##h,
#define WIDTH(most, v, h) { v * LANES + h * HALF_LANES, most, { NULL, UP_TO_##most(ENTRY, v, h) } }

/* The shapes of tiles, by growing width; the accumulators of each fill the registers. */
struct width {
    int filters, rows;
    void (*tiles[MAX_ROWS + 1])(const struct tile *t);
};
#if defined(__AVX512F__)
UP_TO_14(DEFINE, 1, 0)
UP_TO_14(DEFINE, 1, 1)
UP_TO_14(DEFINE, 2, 0)
UP_TO_8(DEFINE, 2, 1)
static const struct width widths[] = { WIDTH(14, 1, 0), WIDTH(14, 1, 1), WIDTH(14, 2, 0), WIDTH(8, 2, 1) };
enum { PANEL = 32 };
#else
UP_TO_10(DEFINE, 1, 0)
UP_TO_5(DEFINE, 2, 0)
UP_TO_4(DEFINE, 3, 0)
static const struct width widths[] = { WIDTH(10, 1, 0), WIDTH(5, 2, 0), WIDTH(4, 3, 0) };
enum { PANEL = 24 };
#endif
enum { WIDTHS = sizeof widths / sizeof *widths };

/* The panel that begins at filter c, a multiple of PANEL: full, or the narrowest that takes all that is left. */
static const struct width *panel_at(int c, int filters)
{
    const struct width *w = widths;
    while (w->filters < filters - c && w->filters < PANEL)
        w++;
    const struct width *widest = &widths[WIDTHS - 1];
    return filters - c > PANEL && filters - c <= widest->filters ? widest : w;
}

/* One panel over the pixels of a band, in tiles as equal as can be: 49 pixels go as 13, 12, 12, 12. */
static void run_panel(struct tile t, const struct width *width, const struct offsets *at, int pixels)
{
    const int n = (pixels + width->rows - 1) / width->rows;
    for (int i = 0, p = 0; i < n; i++) {
        const int rows = (pixels - p + n - i - 1) / (n - i);
        t.at_in = at->in + p;
        t.at_out = at->out + p;
        t.at_other = at->other + p;
        width->tiles[rows](&t);
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
    const ptrdiff_t in_step = (ptrdiff_t)w->stride[1] * w->in.pixel, out_step = w->out.pixel, other_step = w->other.pixel;
    for (int i = 0; i < pixels;) { /* row by row */
        const int y = (first + i) / w->out.w, x = (first + i) % w->out.w;
        const int end = i + w->out.w - x < pixels ? i + w->out.w - x : pixels;
        ptrdiff_t in = (y * w->stride[0] - w->pad[0]) * w->in.row + (ptrdiff_t)(x * w->stride[1] - w->pad[1]) * w->in.pixel;
        ptrdiff_t out = y * w->out.row + x * out_step, other = y * w->other.row + x * other_step;
        for (; i < end; i++, in += in_step, out += out_step, other += other_step) {
            at->in[i] = in;
            at->out[i] = out;
            at->other[i] = other;
        }
    }
}

/* Panels outside where the weights are many for the pixels or the input is thin; else one tile at a time. */
static int band_pixels(const struct ft_work *w, size_t k)
{
    const bool one_panel = panel_at(0, w->out.c)->filters >= w->out.c;
    return one_panel || w->out.h * w->out.w <= 64 || k <= (size_t)w->out.c ? BAND : MAX_ROWS;
}

/* A panel belongs to the part that has its first filter. */
void FT_NAME(convolution)(const struct ft_work *w)
{
    const size_t k = ft_conv_k(w);
    const int band = band_pixels(w, k), end = w->y1 * w->out.w;
    struct segments segments;
    struct offsets at;
    find_segments(w, &segments);
    for (int p = w->y0 * w->out.w; p < end; p += band) {
        const int pixels = end - p < band ? end - p : band;
        const struct width *width;
        find_offsets(w, p, pixels, &at);
        for (int c = 0; c < w->c1; c += width->filters) {
            width = panel_at(c, w->out.c);
            if (c < w->c0)
                continue;
            const int filters = w->out.c - c < width->filters ? w->out.c - c : width->filters;
            const float *weights = w->weights + (size_t)c * k;
            run_panel((struct tile){ .in = w->in.data, .out = w->out.data + c, .other = w->other.data ? w->other.data + c : NULL,
                                     .segments = &segments, .weights = weights, .bias = w->bias + c,
                                     .ahead = band > MAX_ROWS && c + filters < w->c1 ? weights + (size_t)width->filters * k : NULL,
                                     .lo = w->lo, .hi = w->hi, .filters = filters }, width, &at, pixels);
        }
    }
}

bool FT_NAME(convolution_accepts)(const struct ft_work *w)
{
    return w->groups == 1 && w->kernel[0] * w->kernel[1] <= MAX_SEGMENTS;
}

size_t FT_NAME(convolution_packed)(const struct ft_work *w)
{
    size_t filters = 0;
    for (int c = 0; c < w->out.c;) {
        const int width = panel_at(c, w->out.c)->filters;
        filters += (size_t)width;
        c += width;
    }
    return ft_conv_k(w) * filters;
}

void FT_NAME(convolution_pack)(const struct ft_work *w, const float *keras, float *packed)
{
    const size_t k = ft_conv_k(w), filters = (size_t)w->out.c;
    for (size_t first = 0, width; first < filters; first += width) {
        width = (size_t)panel_at((int)first, w->out.c)->filters;
        for (size_t i = 0; i < k; i++)
            for (size_t f = first; f < first + width; f++)
                *packed++ = f < filters ? keras[i * filters + f] : 0;
    }
}
