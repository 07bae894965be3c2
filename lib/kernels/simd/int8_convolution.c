/* Convolutions of int8 steps. A band of pixels is computed for one panel of 16 filters after the
 * other. Their inputs are rows of K values, gathered into the scratch, where K is padded to whole
 * units (int8.h); what is read beyond K is multiplied with weights of 0. A convolution of quads
 * with a kernel of 1x1 reads its map as it is. */
#include "kernels/rows.h"
#include "kernels/simd/int8_gather.h"
#include "kernels/simd/int8_tiles.h"

enum { BAND = 384, BAND_BYTES = 96 << 10, SPARE = 32 /* bytes written after a row */ };

static bool quads(const struct ft_work *w)
{
    return QUADS && !w->int8.wide;
}

/* Units in K. */
static size_t depth(const struct ft_work *w)
{
    const size_t in_unit = quads(w) ? 4 : 2;
    return (ft_conv_k(w) + in_unit - 1) / in_unit;
}

/* Units of a panel: those of K, after the sums of 128 times the weights if inputs are signed. */
static size_t panel_units(const struct ft_work *w)
{
    return (depth(w) + SIGNED_INPUTS) * SUMS;
}

static size_t packed(const struct ft_work *w)
{
    return ((size_t)w->out.c + SUMS - 1) / SUMS * panel_units(w);
}

/* The weights of filter `first` and 15 others as units, at `to`. */
static void pack_panel(const struct ft_work *w, const float *whole, size_t first, int32_t *to)
{
    const size_t k = ft_conv_k(w), c = (size_t)w->out.c;
    const int size = quads(w) ? 4 : 2;
    int32_t *units = to + SIGNED_INPUTS * SUMS;
    memset(to, 0, panel_units(w) * sizeof *to);
    for (int i = 0; i < SUMS && first + (size_t)i < c; i++)
        for (size_t j = 0; j < k; j++) {
            const float weight = whole[j * c + first + (size_t)i];
            const size_t unit = j / (size_t)size * SUMS;
            const int place = ft_int8_place(i, (int)(j % (size_t)size), size);
            if (size == 4)
                ((int8_t *)(units + unit))[place] = (int8_t)weight;
            else
                ((int16_t *)(units + unit))[place] = (int16_t)weight;
            if (SIGNED_INPUTS && size == 4)
                to[i] += 128 * (int32_t)weight;
        }
}

static void pack(const struct ft_work *w, const float *whole, float *packed_weights)
{
    int32_t *to = (int32_t *)(void *)packed_weights;
    for (size_t first = 0; first < (size_t)w->out.c; first += SUMS, to += panel_units(w))
        pack_panel(w, whole, first, to);
}

/* Pixels of the output, in the order of memory. */
struct band {
    const uint8_t *in; /* the first row of inputs */
    size_t row;        /* bytes from row to row */
    int n;
    ptrdiff_t out[BAND], other[BAND]; /* where each pixel begins */
};

/* Whether the pixels of the output are those of the input, in the order of memory. */
static bool same_pixels(const struct ft_work *w)
{
    return !w->int8.wide && w->kernel[0] * w->kernel[1] == 1 && w->stride[0] * w->stride[1] == 1 &&
           w->pad[0] + w->pad[1] == 0 && w->in.row == (ptrdiff_t)w->in.w * w->in.pixel;
}

/* Whether the map has the rows of inputs. */
static bool direct(const struct ft_work *w)
{
    return quads(w) && same_pixels(w);
}

/* Writes the rows of inputs of b->n pixels, the first at y, x. */
static void gather(const struct ft_work *w, int y, int x, const struct band *b)
{
    uint8_t *to = (uint8_t *)(void *)w->scratch;
    if (same_pixels(w) && w->in.pixel == w->in.c && w->in.c % 2 == 0) { /* no gaps: at once */
        widen_bytes(ft_bytes_at(&w->in, y, x), b->n * w->in.c, (int16_t *)(void *)to);
        return;
    }
    for (int i = 0; i < b->n; i++, to += b->row) {
        gather_pixel(w, y, x, quads(w), to);
        if (++x == w->out.w) {
            x = 0;
            y++;
        }
    }
}

/* Makes the band of n pixels that begins with pixel `first`, numbered from row y0 on. */
static void make_band(const struct ft_work *w, int first, int n, struct band *b)
{
    int y = w->y0 + first / w->out.w, x = first % w->out.w;
    b->n = n;
    if (direct(w)) {
        b->in = ft_bytes_at(&w->in, y, x);
        b->row = (size_t)w->in.pixel;
    } else {
        b->in = (const uint8_t *)(const void *)w->scratch;
        b->row = depth(w) * UNIT;
        gather(w, y, x, b);
    }
    for (int i = 0; i < n; i++) {
        b->out[i] = y * w->out.row + (ptrdiff_t)x * w->out.pixel;
        b->other[i] = y * w->other.row + (ptrdiff_t)x * w->other.pixel;
        if (++x == w->out.w) {
            x = 0;
            y++;
        }
    }
}

static void run_panel(const struct ft_work *w, const struct band *b, int c)
{
    const int32_t *weights =
        (const int32_t *)(const void *)w->weights + (size_t)(c / SUMS) * panel_units(w);
    struct tile t = { .work = w,
                      .in = b->in,
                      .row = b->row,
                      .weights = weights + SIGNED_INPUTS * SUMS,
                      .depth = depth(w),
                      .quads = quads(w),
                      .out = b->out,
                      .other = b->other,
                      .c = c,
                      .ends = ends_of(w, c) };
    memcpy(t.start, ft_int8_constants(w).bias + c, sizeof t.start);
    for (int i = 0; SIGNED_INPUTS && i < SUMS; i++)
        t.start[i] += weights[i];
    FT_NAME(int8_tiles)(t, b->n);
}

/* Pixels of a band: as many as fit the scratch. Inputs, outputs and weights of a band fit the
 * first-level cache if all weights do. */
static int band_of(const struct ft_work *w)
{
    enum { CACHE = 24 << 10 };
    const size_t row = direct(w) ? (size_t)w->in.pixel : depth(w) * UNIT,
                 room = direct(w) ? BAND_BYTES : w->scratch_floats * sizeof(float) - SPARE,
                 weights = packed(w) * sizeof(float),
                 all = weights < CACHE / 2 ? (CACHE - weights) / (row + (size_t)w->out.c) : BAND;
    size_t fits = room / row;
    fits = all < fits && all > TILE ? all : fits;
    return fits > BAND ? BAND : fits > TILE ? (int)(fits / TILE * TILE) : fits ? (int)fits : 1;
}

static void convolution(const struct ft_work *w)
{
    struct band b;
    const int pixels = (w->y1 - w->y0) * w->out.w, most = band_of(w);
    for (int i = 0; i < pixels; i += b.n) {
        make_band(w, i, pixels - i < most ? pixels - i : most, &b);
        for (int c = w->c0; c < w->c1; c += SUMS)
            run_panel(w, &b, c);
    }
    if (w->int8.floats)
        ft_activate_part(w);
}

/* Each of FT_PARTS_MAX equal shares is enough for one tile. */
static size_t scratch(const struct ft_work *w)
{
    const size_t least = FT_PARTS_MAX * (TILE * depth(w) * UNIT + SPARE),
                 whole = BAND_BYTES + SPARE;
    return (least > whole ? least : whole) / sizeof(float);
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
