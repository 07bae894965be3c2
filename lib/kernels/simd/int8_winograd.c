/* 3x3 int8 convolutions with stride 1 by Winograd's F(4x4, 3x3) in whole numbers (A. Lavin and
 * S. Gray, Fast Algorithms for Convolutional Neural Networks, 2015): 36 products of 16 bits instead
 * of 144. The sums are exact, so that the bytes are those of the definition.
 *
 * The points are 0, +-1, +-2 and infinity. G is used without its denominators, and A' multiplies
 * with 24 instead, or 12 or 6 where all terms have a factor in common (transform_out). Inputs less
 * 128 become numbers of at most 100 * 128, weights of at most 49 * 127: both fit 16 bits. The
 * products are summed modulo 2^32, and so is the second transform. It gives 2^e * 9 times the sum
 * of direct products, with e at most 6. Multiplied by the inverse of 9 modulo 2^32, it is 2^e times
 * the sum, whose lower 32 bits give the sum if that is less than 2^25 in size. So many channels at
 * a time (CHUNK) are transformed back, and added to the others.
 *
 * Blocks of tiles are as in winograd.c. V [36][tiles][channels] has pairs of channels, the units of
 * int8_tiles.c. */
#include "kernels/rows.h"
#include "kernels/simd/int8_tiles.h"
#include "kernels/simd/winograd_tiles.h"

enum {
    CHUNK = 224, /* and one more: chunks begin at even channels */
    LEAST_TILES = 4,
    NINTH = 0x38e38e39 /* 9 * NINTH = 1 modulo 2^32 */
};

_Static_assert(9 * 127 * 128 * (CHUNK + 1) < 1 << 25, "the sum of a chunk");

static int chunks(const struct ft_work *w)
{
    return (w->in.c + CHUNK - 1) / CHUNK;
}

/* The first channel of a chunk: even, so that no pair is divided. */
static int chunk_at(const struct ft_work *w, int chunk)
{
    const int n = chunks(w);
    return chunk == n ? w->in.c : w->in.c * chunk / n / 2 * 2;
}

/* Pairs of channels. */
static size_t depth_of(int channels)
{
    return ((size_t)channels + 1) / 2;
}

/* Values from a row of V to the next: 32 bytes more than channels, because rows a power of two
 * apart would use the same cache sets. */
static size_t row_values(const struct ft_work *w)
{
    return ((size_t)w->in.c + SUMS - 1) / SUMS * SUMS + SUMS;
}

/* ---- weights --------------------------------------------------------------------------------- */

/* A panel of 16 filters: 128 times the sum of each filter's weights; then for each chunk U
 * [36][pairs][16]. */
static size_t panel_units(const struct ft_work *w)
{
    return SUMS * (1 + POINTS * depth_of(w->in.c));
}

static size_t packed(const struct ft_work *w)
{
    return ((size_t)w->out.c + SUMS - 1) / SUMS * panel_units(w);
}

/* G without its denominators. */
static const int G[WINDOW][3] = { { 1, 0, 0 }, { 1, 1, 1 },  { 1, -1, 1 },
                                  { 1, 2, 4 }, { 1, -2, 4 }, { 0, 0, 1 } };

typedef int32_t filters16[SUMS];

/* to [6] = G g for the three weights of one axis, which are `step` apart. */
static void transform_weights(filters16 *g, int step, filters16 *to, int to_step)
{
    for (int y = 0; y < WINDOW; y++)
        for (int f = 0; f < SUMS; f++)
            to[y * to_step][f] =
                G[y][0] * g[0][f] + G[y][1] * g[step][f] + G[y][2] * g[2 * step][f];
}

/* Packs a channel of n filters: whole [9][K][filters] begins at this channel and filter, `units` at
 * its pair, of which it is value `at`. */
static void pack_channel(const struct ft_work *w, const float *whole, int n, int at, size_t point,
                         int32_t *units, int32_t *start)
{
    filters16 g[9] = { { 0 } }, rows[WINDOW * 3], u[POINTS];
    for (int t = 0; t < 9; t++)
        for (int f = 0; f < n; f++) {
            g[t][f] = (int32_t)whole[(size_t)t * (size_t)w->in.c * (size_t)w->out.c + (size_t)f];
            start[f] += 128 * g[t][f];
        }
    for (int x = 0; x < 3; x++)
        transform_weights(g + x, 3, rows + x, 3);
    for (int y = 0; y < WINDOW; y++)
        transform_weights(rows + y * 3, 1, u + y * WINDOW, 1);
    for (int q = 0; q < POINTS; q++, units += point)
        for (int f = 0; f < SUMS; f++)
            ((int16_t *)(void *)units)[ft_int8_place(f, at, 2)] = (int16_t)u[q][f];
}

static void pack_panel(const struct ft_work *w, const float *whole, int first, int32_t *to)
{
    const int left = w->out.c - first, n = left < SUMS ? left : SUMS;
    int32_t *units = to + SUMS;
    memset(to, 0, panel_units(w) * sizeof *to);
    for (int chunk = 0; chunk < chunks(w); chunk++) {
        const int from = chunk_at(w, chunk), end = chunk_at(w, chunk + 1);
        const size_t point = depth_of(end - from) * SUMS;
        for (int c = from; c < end; c++)
            pack_channel(w, whole + (size_t)c * (size_t)w->out.c + first, n, c % 2, point,
                         units + (size_t)((c - from) / 2) * SUMS, to);
        units += POINTS * point;
    }
}

static void pack(const struct ft_work *w, const float *whole, float *packed_weights)
{
    int32_t *to = (int32_t *)(void *)packed_weights;
    for (int first = 0; first < w->out.c; first += SUMS, to += panel_units(w))
        pack_panel(w, whole, first, to);
}

/* ---- inputs ---------------------------------------------------------------------------------- */

/* out = B' d along one axis. */
FT_INLINE void transform_in(const shorts16 *d, shorts16 *out, const int step)
{
    const shorts16 d4 = d[4 * step], d3 = d[3 * step], d2 = d[2 * step], d1 = d[step],
                   even_1 = shorts_minus(d4, shorts_doubled(d2, 2)),
                   odd_1 = shorts_minus(d3, shorts_doubled(d1, 2)), even_2 = shorts_minus(d4, d2),
                   odd_2 = shorts_doubled(shorts_minus(d3, d1), 1);
    const shorts16 last = shorts_minus(shorts_minus(d[5 * step], d3), shorts_doubled(odd_2, 1));
    out[0] = shorts_plus(even_2, shorts_doubled(shorts_minus(d[0], d2), 2));
    out[step] = shorts_plus(even_1, odd_1);
    out[2 * step] = shorts_minus(even_1, odd_1);
    out[3 * step] = shorts_plus(even_2, odd_2);
    out[4 * step] = shorts_minus(even_2, odd_2);
    out[5 * step] = last;
}

/* Transforms 16 channels of one window, from c on, into V, whose points are `apart` values from
 * each other. */
static void put_in(const uint8_t *const *from, int c, int16_t *to, size_t apart)
{
    shorts16 d[POINTS];
    FT_UNROLL
    for (int x = 0; x < WINDOW; x++) {
        shorts16 column[WINDOW];
        FT_UNROLL
        for (int y = 0; y < WINDOW; y++)
            column[y] = shorts_less_128(from[y * WINDOW + x] + c);
        transform_in(column, column, 1);
        FT_UNROLL
        for (int y = 0; y < WINDOW; y++)
            d[y * WINDOW + x] = column[y];
    }
    FT_UNROLL
    for (int y = 0; y < WINDOW; y++) {
        transform_in(d + y * WINDOW, d + y * WINDOW, 1);
        FT_UNROLL
        for (int x = 0; x < WINDOW; x++)
            shorts_store(to + (size_t)(y * WINDOW + x) * apart, d[y * WINDOW + x]);
    }
}

/* Transforms windows first .. first + n into v. Channels beyond the last one are multiplied with
 * weights of 0. Pixels beyond those that the geometry needs are those of `zeros`. */
static void load_block(const struct ft_work *w, int first, int n, const uint8_t *zeros, int16_t *v)
{
    const size_t row = row_values(w);
    for (int i = 0; i < n; i++) {
        const uint8_t *from[POINTS];
        find_window(w, first + i, 1, zeros, from);
        int16_t *to = v + (size_t)i * row;
        for (int c = 0; c < w->in.c; c += SUMS)
            put_in(from, c, to + c, (size_t)n * row);
    }
}

/* ---- outputs --------------------------------------------------------------------------------- */

/* out = A' m along one axis: 24, 12, 6 and 6 times the sums of direct products. */
FT_INLINE void transform_out(const sums16 *m, sums16 *out, const int out_step)
{
    const sums16 sum_1 = sums_plus(m[1], m[2]), odd_1 = sums_minus(m[1], m[2]),
                 sum_2 = sums_plus(m[3], m[4]), odd_2 = sums_minus(m[3], m[4]);
    const sums16 first = sums_plus(sums_doubled(m[0], 2), sums_doubled(m[0], 1)),
                 last = sums_plus(sums_doubled(m[5], 2), sums_doubled(m[5], 1));
    out[0] = sums_plus(first, sums_minus(sum_2, sums_doubled(sum_1, 2)));
    out[out_step] = sums_minus(odd_2, sums_doubled(odd_1, 1));
    out[2 * out_step] = sums_minus(sum_2, sum_1);
    out[3 * out_step] = sums_plus(last, sums_minus(sums_doubled(odd_2, 1), odd_1));
}

/* Transforms a tile's m [36][16] to sums of direct products [16 pixels][16]. */
FT_INLINE void put_out(const int32_t *m, sums16 *sums)
{
    static const int twos[SIDE] = { 3, 2, 1, 1 };
    const sums16 ninth = unit_repeated(NINTH);
    sums16 d[SIDE * WINDOW];
    FT_UNROLL
    for (int x = 0; x < WINDOW; x++) {
        sums16 column[WINDOW];
        FT_UNROLL
        for (int y = 0; y < WINDOW; y++)
            column[y] = units_load(m + (size_t)(y * WINDOW + x) * SUMS);
        transform_out(column, d + x, WINDOW);
    }
    FT_UNROLL
    for (int y = 0; y < SIDE; y++) {
        transform_out(d + y * WINDOW, sums + y * SIDE, 1);
        FT_UNROLL
        for (int x = 0; x < SIDE; x++)
            sums[y * SIDE + x] =
                sums_halved(sums_times(sums[y * SIDE + x], ninth), twos[y] + twos[x]);
    }
}

/* Writes filters c .. c + 16 of a tile's pixels that lie in this part. */
static void write_tile(const struct ft_work *w, int tile, int c, const struct ends *ends,
                       sums16 start, const sums16 *sums)
{
    const struct spot at = find_spot(w, tile);
    const ptrdiff_t picture =
        at.picture * w->apart * (w->int8.floats ? 1 : (ptrdiff_t)sizeof(float));
    ptrdiff_t out[SIDE * SIDE], other[SIDE * SIDE];
    sums16 of[SIDE * SIDE];
    int n = 0;
    for (int y = at.top > w->y0 ? at.top : w->y0; y < at.top + SIDE && y < w->y1; y++)
        for (int x = at.left; x < at.left + SIDE && x < w->out.w; x++, n++) {
            out[n] = y * w->out.row + (ptrdiff_t)x * w->out.pixel + picture;
            other[n] = y * w->other.row + (ptrdiff_t)x * w->other.pixel + picture;
            of[n] = sums_plus(start, sums[(y - at.top) * SIDE + x - at.left]);
        }
    write_pixels(w, ends, of, out, other, c, n);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* A block's memory. */
struct block {
    int first, n;  /* tiles */
    int16_t *v;    /* [36][n][row_values] */
    int32_t *m;    /* [n][36][16] */
    int32_t *sums; /* [n][16 pixels][16], of the chunks so far */
};

static size_t tile_floats(const struct ft_work *w)
{
    return POINTS * row_values(w) / 2 + (POINTS + SIDE * SIDE) * SUMS;
}

/* M = V U for one chunk and one panel, whose weights begin at u. */
static void multiply(const struct ft_work *w, const struct block *b, int chunk, const int32_t *u)
{
    const size_t row = row_values(w);
    const int from = chunk_at(w, chunk);
    struct tile t = { .row = row * sizeof *b->v,
                      .depth = depth_of(chunk_at(w, chunk + 1) - from),
                      .step = POINTS * SUMS };
    for (int q = 0; q < POINTS; q++) {
        t.in = (const uint8_t *)(const void *)(b->v + (size_t)q * (size_t)b->n * row + from);
        t.weights = u + (size_t)q * t.depth * SUMS;
        t.sums = b->m + q * SUMS;
        FT_NAME(int8_tiles)(t, b->n);
    }
}

/* Adds a chunk's sums to those of the chunks before; writes the outputs after the last one. */
static void collect(const struct ft_work *w, const struct block *b, int chunk, int c,
                    const struct ends *ends, sums16 start)
{
    for (int i = 0; i < b->n; i++) {
        int32_t *before = b->sums + (size_t)i * SIDE * SIDE * SUMS;
        sums16 sums[SIDE * SIDE];
        put_out(b->m + (size_t)i * POINTS * SUMS, sums);
        for (int p = 0; chunk && p < SIDE * SIDE; p++)
            sums[p] = sums_plus(sums[p], units_load(before + (size_t)p * SUMS));
        if (chunk + 1 == chunks(w))
            write_tile(w, b->first + i, c, ends, start, sums);
        else
            for (int p = 0; p < SIDE * SIDE; p++)
                units_store(before + (size_t)p * SUMS, sums[p]);
    }
}

static void run_panel(const struct ft_work *w, const struct block *b, int c)
{
    const int32_t *weights =
        (const int32_t *)(const void *)w->weights + (size_t)(c / SUMS) * panel_units(w);
    const struct ends ends = ends_of(w, c);
    const sums16 start = sums_plus(sums_load(ft_int8_constants(w).bias + c), sums_load(weights));
    const int32_t *u = weights + SUMS;
    for (int chunk = 0; chunk < chunks(w); chunk++) {
        multiply(w, b, chunk, u);
        collect(w, b, chunk, c, &ends, start);
        u += POINTS * depth_of(chunk_at(w, chunk + 1) - chunk_at(w, chunk)) * SUMS;
    }
}

static void winograd(const struct ft_work *w)
{
    const int end = tiles_in_part(w), wanted = block_tiles(w);
    const size_t zeros = row_values(w) / 4, room = (w->scratch_floats - zeros) / tile_floats(w);
    const int size = (size_t)wanted < room ? wanted : (int)room;
    struct block b = { .v = (int16_t *)(void *)(w->scratch + zeros) };
    b.m = (int32_t *)(void *)(w->scratch + zeros + (size_t)size * POINTS * row_values(w) / 2);
    b.sums = b.m + (size_t)size * POINTS * SUMS;
    memset(w->scratch, 0, zeros * sizeof(float));
    for (; b.first < end; b.first += b.n) {
        b.n = end - b.first < size ? end - b.first : size;
        load_block(w, b.first, b.n, (const uint8_t *)(const void *)w->scratch, b.v);
        for (int c = w->c0; c < w->c1; c += SUMS)
            run_panel(w, &b, c);
    }
    for (int i = 0; w->int8.floats && i < w->pictures; i++) {
        struct ft_work one = *w;
        one.out.data += i * w->apart;
        ft_activate_part(&one);
    }
}

/* As for floats (winograd.c), but from other numbers of channels on (int8.h). */
static bool accepts(const struct ft_work *w)
{
    return has_tiles(w) && !w->int8.wide && w->in.c >= WINOGRAD_CHANNELS &&
           w->out.c >= WINOGRAD_CHANNELS && tiles_of(&w->out) >= LEAST_TILES;
}

/* Each of FT_PARTS_MAX equal shares is enough for one tile. */
static size_t scratch(const struct ft_work *w)
{
    const int n = block_tiles(w);
    return (size_t)(n < FT_PARTS_MAX ? FT_PARTS_MAX : n) * (tile_floats(w) + row_values(w));
}

const struct ft_kernel_row FT_NAME(int8_winograd) = { .run = winograd,
                                                      .name = "int8 winograd " FT_ISA_NAME,
                                                      .needs = FT_ISA_NEEDS,
                                                      .accepts = accepts,
                                                      .packed = packed,
                                                      .pack = pack,
                                                      .scratch = scratch,
                                                      .rows = SIDE,
                                                      .channels = SUMS,
                                                      .several = true };
