/* Direct convolution as a product of panels (panels.h), K = kh * kw * cin in Keras's order. The
 * input is read in place. There is one segment for each kernel row, or one for each tap if the
 * pixels of a kernel row are not contiguous (dilation, slices of channels).
 *
 * Pixels are divided into bands. The offsets of a band are computed once. The outer loop takes
 * panels, the inner loop tiles, so that a panel stays in the first-level cache during a band; or,
 * if a band is one tile, the tile's input stays in the cache during all panels.
 *
 * With bfloat16 the inputs of a band are rounded into the scratch, as rows [pixels][K], from which
 * all panels read: as pairs for the instructions of bfloat16 (PAIRED), with zeros after the last
 * value, else as floats.
 *
 * Each group is a convolution between slices of the channels, with its own panels. */
#include <string.h>

#include "kernels/bf16.h"
#include "kernels/simd/panels.h"
#if TILED
#define TILE_PRODUCT _tile_dpbf16ps
#include "kernels/simd/amx.h"
#endif

static bool rounds(const struct ft_work *w)
{
    return w->precision == FT_PRECISION_BF16;
}

/* Floats, or pairs of bfloat16 values, that a row of K values takes: whole steps. */
static size_t row_floats(size_t k)
{
#if TILED
    const struct depth d = depth_of((int)((k + 1) / 2));
    return (size_t)d.steps * (size_t)d.units;
#else
    return PAIRED ? (k + 2 * STEP - 1) / (2 * STEP) * STEP : k;
#endif
}

/* Segments of a kernel row. In a work of several groups no pixels of a group are contiguous. */
static int segments_across(const struct ft_work *w)
{
    const bool contiguous = w->groups == 1 && w->dilation[1] == 1 && w->in.pixel == w->in.c;
    return contiguous ? 1 : w->kernel[1];
}

static void find_segments(const struct ft_work *w, struct ft_segments *s)
{
    const int across = segments_across(w);
    s->n = w->kernel[0] * across;
    s->k = across == 1 ? w->kernel[1] * w->in.c : w->in.c;
    for (int i = 0; i < s->n; i++)
        s->at[i] = i / across * w->dilation[0] * w->in.row +
                   (ptrdiff_t)(i % across) * w->dilation[1] * w->in.pixel;
}

/* Pixels are numbered from row y0 of the first picture, through all pictures. */
static void find_offsets(const struct ft_work *w, int first, int pixels, struct ft_offsets *at)
{
    const int rows = w->y1 - w->y0;
    const ptrdiff_t in_step = (ptrdiff_t)w->stride[1] * w->in.pixel, out_step = w->out.pixel,
                    other_step = w->other.pixel;
    for (int i = 0; i < pixels;) { /* row by row */
        const int x = (first + i) % w->out.w, row = (first + i) / w->out.w, y = w->y0 + row % rows;
        const ptrdiff_t picture = row / rows * w->apart;
        const int end = i + w->out.w - x < pixels ? i + w->out.w - x : pixels;
        ptrdiff_t in = picture + (y * w->stride[0] - w->pad[0]) * w->in.row +
                       (ptrdiff_t)(x * w->stride[1] - w->pad[1]) * w->in.pixel;
        ptrdiff_t out = picture + y * w->out.row + x * out_step,
                  other = picture + y * w->other.row + x * other_step;
        for (int k = i; k < end; k++, in += in_step, out += out_step) {
            at->in[k] = in;
            at->out[k] = out;
        }
        for (int k = i; w->other.data && k < end; k++, other += other_step)
            at->other[k] = other;
        i = end;
    }
}

/* An element of a packed weight or of a rounded row. */
#if PAIRED
typedef uint16_t element;

static void round_values(const float *from, int n, element *to)
{
    round_to_bf16(from, n, to);
}

/* The weights of a panel of `width` filters, of which n exist: rows of the kernel, which are
 * `stride` floats apart, DEPTH of them side by side. Returns the end of what it has written. */
static element *pack_panel(const struct ft_work *w, const float *from, size_t stride, size_t n,
                           size_t width, element *to)
{
    const size_t k = ft_conv_k(w);
    for (size_t i = 0; i < 2 * row_floats(k); i += DEPTH)
        for (size_t f = 0; f < width; f++)
            for (size_t j = i; j < i + DEPTH; j++)
                *to++ = f < n && j < k ? ft_bf16(from[j * stride + f]) : 0;
    return to;
}
#else
typedef float element;

static void round_values(const float *from, int n, element *to)
{
    for (int i = 0; i < n; i++)
        to[i] = ft_bf16_float(from[i]);
}

/* The weights of a panel of `width` filters, of which n exist: rows of the kernel, which are
 * `stride` floats apart. Returns the end of what it has written. */
static element *pack_panel(const struct ft_work *w, const float *from, size_t stride, size_t n,
                           size_t width, element *to)
{
    const size_t k = ft_conv_k(w);
    for (size_t i = 0; i < k; i++, from += stride, to += width) {
        if (rounds(w))
            round_values(from, (int)n, to);
        else
            memcpy(to, from, n * sizeof *to);
        memset(to + n, 0, (width - n) * sizeof *to);
    }
    return to;
}
#endif

/* Rounds the inputs of a band into rows, and sets the offsets to read from there. */
static void gather(const struct ft_work *w, int pixels, const struct ft_segments *s, float *rows,
                   struct ft_offsets *at)
{
    const size_t k = ft_conv_k(w), floats = row_floats(k);
    for (int i = 0; i < pixels; i++) {
        element *row = (element *)(rows + (size_t)i * floats);
        for (int n = 0; n < s->n; n++)
            round_values(w->in.data + at->in[i] + s->at[n], s->k, row + n * s->k);
        for (size_t n = k; PAIRED && n < 2 * floats; n++)
            row[n] = 0;
        at->in[i] = (ptrdiff_t)((size_t)i * floats);
    }
}

/* Large bands if there are many weights for the pixels or few input channels. Otherwise one tile at
 * a time, if the second-level cache holds all weights; if not, a band whose inputs it holds. With
 * AMX always as many blocks as it holds the rounded rows of. */
static int band_pixels(const struct ft_work *w, size_t k)
{
    enum { CACHED = 1 << 17, INPUTS = 200000 }; /* floats */
    const bool one_panel = FT_NAME(panel_at)(0, w->out.c)->filters >= w->out.c;
    const int pixels = w->out.h * w->out.w;
    if (TILED) {
        const size_t blocks = INPUTS / 2 / (row_floats(k) * FT_TILE_ROWS), most = FT_TILE_BAND;
        return FT_TILE_ROWS * (int)(blocks < 1                     ? 1
                                    : blocks > most / FT_TILE_ROWS ? most / FT_TILE_ROWS
                                                                   : blocks);
    }
    if (pixels <= 64)
        return FT_TILE_BAND;
    if (one_panel || k <= (size_t)w->out.c)
        return pixels < FT_TILE_BAND ? pixels : FT_TILE_BAND;
    const size_t tiles = k * (size_t)w->out.c <= CACHED ? 1 : INPUTS / (k * FT_TILE_ROWS);
    return tiles < 2                                     ? FT_TILE_ROWS
           : tiles * FT_TILE_ROWS < (size_t)FT_TILE_BAND ? (int)tiles * FT_TILE_ROWS
                                                         : FT_TILE_BAND;
}

/* A panel is computed by the part that has its first filter. */
static void run_group(const struct ft_work *w)
{
    const size_t k = row_floats(ft_conv_k(w)), room = w->scratch_floats / k;
    const int wanted = band_pixels(w, ft_conv_k(w)),
              band = rounds(w) && room < (size_t)wanted ? (int)room : wanted,
              end = w->pictures * (w->y1 - w->y0) * w->out.w;
    struct ft_segments segments, row = { .n = 1, .k = (int)k };
    struct ft_offsets at;
    find_segments(w, &segments);
    for (int p = 0; p < end; p += band) {
        const int pixels = end - p < band ? end - p : band;
        const struct ft_width *width;
        find_offsets(w, p, pixels, &at);
        if (rounds(w))
            gather(w, pixels, &segments, w->scratch, &at);
        for (int c = 0; c < w->c1; c += width->filters) {
            width = FT_NAME(panel_at)(c, w->out.c);
            if (c < w->c0)
                continue;
            const int filters = w->out.c - c < width->filters ? w->out.c - c : width->filters;
            const float *weights = w->weights + (size_t)c * k;
            float bias[FT_PANEL_MOST] = { 0 };
            if (filters <
                width->filters) /* a group's last panel is wider than what is left of all biases */
                memcpy(bias, w->bias + c, (size_t)filters * sizeof *bias);
            FT_NAME(panel_run)
            ((struct ft_tile){ .in = rounds(w) ? w->scratch : w->in.data,
                               .out = w->out.data + c,
                               .other = w->other.data ? w->other.data + c : NULL,
                               .segments = rounds(w) ? &row : &segments,
                               .weights = weights,
                               .bias = filters < width->filters ? bias : w->bias + c,
                               .ahead = band > FT_TILE_ROWS && c + filters < w->c1
                                            ? weights + (size_t)width->filters * k
                                            : NULL,
                               .n_ahead = (size_t)width->filters * k,
                               .lo = w->lo,
                               .hi = w->hi,
                               .filters = filters },
             width, &at, pixels);
            if (w->activation != FT_ACT_LINEAR)
                FT_NAME(activate_pixels)(w, w->out.data + c, at.out, pixels, filters);
        }
    }
}

static size_t packed_group(const struct ft_work *w)
{
    return row_floats(ft_conv_k(w)) * FT_NAME(panel_filters)(w->out.c / w->groups);
}

static void run_groups(const struct ft_work *w)
{
    const int in = w->in.c / w->groups, out = w->out.c / w->groups;
    const size_t each = packed_group(w);
    for (int g = 0; g < w->groups; g++) {
        struct ft_work group = *w;
        group.groups = 1;
        group.in.c = in;
        group.out.c = out;
        group.in.data += g * in;
        group.out.data += g * out;
        group.other.data += w->other.data ? g * out : 0;
        group.weights += (size_t)g * each;
        group.bias += g * out;
        group.c0 = w->c0 > g * out ? w->c0 - g * out : 0;
        group.c1 = w->c1 - g * out < out ? w->c1 - g * out : out;
        if (group.c0 < group.c1)
            run_group(&group);
    }
}

static void convolution(const struct ft_work *w)
{
#if TILED
    const int pixels = w->pictures * (w->y1 - w->y0) * w->out.w;
    tiles_begin(pixels < TILE_ROWS ? pixels : TILE_ROWS,
                depth_of((int)row_floats(ft_conv_k(w))).units);
#endif
    if (w->groups == 1)
        run_group(w);
    else
        run_groups(w);
#if TILED
    tiles_end();
#endif
}

static bool accepts(const struct ft_work *w)
{
    return w->kernel[0] * segments_across(w) <= FT_TILE_SEGMENTS && (!PAIRED || rounds(w));
}

/* The rows of a band; each of FT_PARTS_MAX equal shares is enough for one tile. */
static size_t scratch(const struct ft_work *w)
{
    const int band = band_pixels(w, ft_conv_k(w)), least = FT_PARTS_MAX * FT_TILE_ROWS;
    return rounds(w) ? (size_t)(band > least ? band : least) * row_floats(ft_conv_k(w)) : 0;
}

static size_t packed(const struct ft_work *w)
{
    return (size_t)w->groups * packed_group(w);
}

static void pack(const struct ft_work *w, const float *keras, float *packed_weights)
{
    const size_t k = ft_conv_k(w), all = (size_t)w->out.c, n = all / (size_t)w->groups,
                 deep = PAIRED ? 2 : 1;
    element *to = (element *)packed_weights;
    for (size_t group = 0; group < all; group += n)
        for (size_t first = 0, width; first < n; first += width) {
            width = (size_t)FT_NAME(panel_at)((int)first, (int)n)->filters;
            if (w->groups == 1 && (first < (size_t)w->c0 || first >= (size_t)w->c1)) {
                to += deep * row_floats(k) * width;
                continue;
            }
            to = pack_panel(w, keras + group + first, all, n - first < width ? n - first : width,
                            width, to);
        }
}

FT_KERNEL_ROW(convolution, .accepts = accepts, .packed = packed, .pack = pack, .pack_parts = true,
              .scratch = scratch, .channels = FT_PANEL, .several = true);
