/* int8 convolutions by products of tiles (amx.h). Their inputs are rows of K bytes. The map has
 * these rows if the pixels of the output are at equal distances in it, and each tap of the kernel
 * is whole steps: then tiles are loaded from the map. Between the ends of two rows of the output
 * are pixels of the map's border. Sums are computed for them too, and not written. Otherwise the
 * rows of a band of pixels are gathered into the scratch. */
#define TILE_PRODUCT _tile_dpbusd /* unsigned inputs, signed weights */

#include "kernels/rows.h"
#include "kernels/simd/amx.h"
#include "kernels/simd/int8_gather.h"

enum {
    BAND = 512,             /* pixels at most */
    BAND_BYTES = 256 << 10, /* of their inputs */
    TAPS = 64,              /* of a kernel whose inputs are read from the map */
    SLACK = 15,             /* bytes after a map that may be read */
    SPARE = 32              /* bytes written after a row */
};

/* Steps without padding, an eighth more than without this condition at most; or 0 of them. */
static struct depth exact_depth(int units)
{
    const int least = depth_of(units).steps;
    for (int steps = least; steps <= least + least / 8; steps++)
        if (units % steps == 0)
            return (struct depth){ steps, units / steps };
    return (struct depth){ 0 };
}

/* A tap is whole steps if these are filled well; else K is divided as a whole. */
static struct depth depth(const struct ft_work *w)
{
    const int taps = w->kernel[0] * w->kernel[1], c = w->in.c;
    const struct depth whole = depth_of((int)((ft_conv_k(w) + 3) / 4));
    struct depth d = { 0 };
    if (c % 4 == 0)
        d = exact_depth(c / 4);
    if (taps == 1)
        return d.steps && 4 * whole.steps * whole.units - c > SLACK ? d : whole;
    d.steps *= taps;
    return d.steps && 4 * d.units >= 3 * TILE_UNITS ? d : whole;
}

/* Whether each tap is whole steps, or the only one is but for a few bytes. */
static bool steps_in_taps(const struct ft_work *w, const struct depth *d)
{
    return w->kernel[0] * w->kernel[1] == 1 ? 4 * d->steps * d->units - w->in.c <= SLACK
                                            : w->in.c % (4 * d->units) == 0;
}

static size_t row_bytes(const struct ft_work *w)
{
    const struct depth d = depth(w);
    return 4 * (size_t)d.steps * (size_t)d.units;
}

static size_t panel_bytes(const struct ft_work *w)
{
    return row_bytes(w) * PANEL;
}

static size_t packed(const struct ft_work *w)
{
    return ((size_t)w->out.c + PANEL - 1) / PANEL * panel_bytes(w) / sizeof(float);
}

static void pack(const struct ft_work *w, const float *whole, float *packed_weights)
{
    const size_t k = ft_conv_k(w), c = (size_t)w->out.c;
    int8_t *to = (int8_t *)(void *)packed_weights;
    memset(to, 0, packed(w) * sizeof(float));
    for (size_t f = 0; f < c; f++) {
        int8_t *filter = to + f / PANEL * panel_bytes(w) + f % PANEL * 4;
        for (size_t j = 0; j < k; j++)
            filter[j / 4 * PANEL_ROW + j % 4] = (int8_t)whole[j * c + f];
    }
}

/* Pixels between the beginnings of two rows of the output, if tiles are loaded from the map; else
 * 0. A gathered row takes about three instructions for every 64 bytes, a pixel that is not written
 * 1/16 of a product of 16 cycles for each panel. */
static int pitch_of(const struct ft_work *w)
{
    enum { GATHER = 3 };
    const struct depth d = depth(w);
    const int taps = w->kernel[0] * w->kernel[1];
    if (w->stride[0] * w->stride[1] != 1 || taps > TAPS || !steps_in_taps(w, &d) ||
        w->in.pixel <= 0 || w->in.row % w->in.pixel)
        return 0;
    const ptrdiff_t pitch = w->in.row / w->in.pixel;
    const bool cheap = (pitch - w->out.w) * w->out.c <= GATHER * PANEL * (ptrdiff_t)w->out.w;
    return pitch >= w->out.w && (cheap || w->out.h == 1) ? (int)pitch : 0;
}

/* Rows of inputs, one after the other. */
struct band {
    const uint8_t *in; /* the first row */
    size_t row;        /* bytes from row to row */
    int n;
    struct depth depth;
    int segments; /* of K */
    ptrdiff_t at[TAPS];
    ptrdiff_t out[BAND], other[BAND]; /* where each pixel begins; NOWHERE: it is not written */
};
#define NOWHERE PTRDIFF_MIN

static void find_taps(const struct ft_work *w, struct band *b)
{
    b->segments = w->kernel[0] * w->kernel[1];
    for (int i = 0; i < b->segments; i++)
        b->at[i] = i / w->kernel[1] * w->dilation[0] * w->in.row +
                   (ptrdiff_t)(i % w->kernel[1]) * w->dilation[1] * w->in.pixel;
}

/* Makes the band of n pixels from `first` on, which are numbered from row y0 on, `pitch` for each
 * row. */
static void make_band(const struct ft_work *w, int first, int n, int pitch, bool direct,
                      struct band *b)
{
    uint8_t *to = (uint8_t *)(void *)w->scratch;
    const size_t k = ft_conv_k(w);
    int y = w->y0 + first / pitch, x = first % pitch;
    b->n = n;
    b->in = direct ? ft_bytes_at(&w->in, y - w->pad[0], x - w->pad[1]) : to;
    for (int i = 0; i < n; i++) {
        const bool within = x < w->out.w;
        b->out[i] = within ? y * w->out.row + (ptrdiff_t)x * w->out.pixel : NOWHERE;
        b->other[i] = within ? y * w->other.row + (ptrdiff_t)x * w->other.pixel : NOWHERE;
        if (!direct) {
            gather_pixel(w, y, x, true, to);
            memset(to + k, 0, b->row - k);
            to += b->row;
        }
        if (++x == pitch) {
            x = 0;
            y++;
        }
    }
}

/* Writes 16 channels from c on of the rows of a tile that begins with row `from` of the band. Rows
 * before `first` were written before. */
static void write_tile(const struct ft_work *w, const struct ends *e, const sums16 *sums,
                       const struct band *b, int first, int from, int c)
{
    const int end = first + TILE_ROWS < b->n ? first + TILE_ROWS : b->n;
    for (int i = first, next; i < end; i = next) {
        for (next = i; next < end && b->out[next] != NOWHERE; next++)
            ;
        if (next > i)
            write_pixels(w, e, sums + i - from, b->out + i, b->other + i, c, next - i);
        while (next < end && b->out[next] == NOWHERE)
            next++;
    }
}

/* One or two panels, from channel c on, of all rows of a band. */
static void run_panels(const struct ft_work *w, const struct band *b, int c)
{
    const int panels = c + PANEL < w->c1 ? 2 : 1;
    const uint8_t *weights =
        (const uint8_t *)(const void *)w->weights + (size_t)(c / PANEL) * panel_bytes(w);
    const int32_t *bias = ft_int8_constants(w).bias + c;
    const struct ends ends[2] = { ends_of(w, c), ends_of(w, c + (panels - 1) * PANEL) };
    sums16 sums[2][BLOCK_ROWS];
    struct block block = { .row = b->row,
                           .at = b->at,
                           .segments = b->segments,
                           .depth = b->depth,
                           .weights = { weights, panels == 2 ? weights + panel_bytes(w) : NULL },
                           .weights_row = PANEL_ROW,
                           .start = { bias, bias + PANEL },
                           .sums = { sums[0], sums[1] } };
    for (int i = 0; i < b->n; i += BLOCK_ROWS) {
        int from[2];
        const int tiles = place_tiles(&block, b->in, i, b->n, from);
        run_block(&block);
        for (int p = 0; p < panels; p++)
            for (int t = 0; t < tiles; t++)
                write_tile(w, &ends[p], sums[p] + t * TILE_ROWS, b, i + t * TILE_ROWS, from[t],
                           c + p * PANEL);
    }
}

/* Pixels of a band: whole blocks, as many as fit. */
static int band_of(const struct ft_work *w, bool direct)
{
    const size_t row = direct ? (size_t)w->in.pixel : row_bytes(w),
                 room = direct ? BAND_BYTES : w->scratch_floats * sizeof(float) - SPARE,
                 fits = room / row;
    return fits > BAND         ? BAND
           : fits > BLOCK_ROWS ? (int)fits / BLOCK_ROWS * BLOCK_ROWS
                               : BLOCK_ROWS;
}

static void convolution(const struct ft_work *w)
{
    const int pitch = pitch_of(w), columns = pitch ? pitch : w->out.w,
              pixels = (w->y1 - w->y0 - 1) * columns + w->out.w, most = band_of(w, pitch);
    struct band b = { .row = pitch ? (size_t)w->in.pixel : row_bytes(w),
                      .depth = depth(w),
                      .segments = 1 };
    int rows = 0;
    if (pitch)
        find_taps(w, &b);
    for (int i = 0; i < pixels; i += b.n) {
        make_band(w, i, pixels - i < most ? pixels - i : most, columns, pitch, &b);
        if (!rows || b.n < rows) {
            rows = b.n < TILE_ROWS ? b.n : TILE_ROWS;
            tiles_begin(rows, b.depth.units);
        }
        for (int c = w->c0; c < w->c1; c += 2 * PANEL)
            run_panels(w, &b, c);
    }
    tiles_end();
    if (w->int8.floats)
        ft_activate_part(w);
}

/* Each of FT_PARTS_MAX equal shares is enough for one block, whether rows are gathered or not. */
static size_t scratch(const struct ft_work *w)
{
    const size_t least = FT_PARTS_MAX * (BLOCK_ROWS * row_bytes(w) + SPARE),
                 whole = BAND_BYTES + SPARE;
    return (least > whole ? least : whole) / sizeof(float);
}

static bool accepts(const struct ft_work *w)
{
    return w->groups == 1 && !w->int8.wide;
}

const struct ft_kernel_row FT_NAME(int8_convolution) = { .run = convolution,
                                                         .name = "int8 " FT_ISA_NAME,
                                                         .needs = FT_ISA_NEEDS,
                                                         .accepts = accepts,
                                                         .packed = packed,
                                                         .pack = pack,
                                                         .scratch = scratch,
                                                         .channels = 2 * PANEL };
