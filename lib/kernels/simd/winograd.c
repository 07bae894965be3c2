/* 3x3 convolution with stride 1 by Winograd's F(4x4, 3x3): a tile of 4x4 outputs needs 36
 * multiplications instead of 144 (A. Lavin and S. Gray, Fast Algorithms for Convolutional Neural
 * Networks, 2015). The transforms interpolate at 0, +-A, +-B and infinity. A = 3/4 and B = 3/2 have
 * a rounding error four times smaller than the usual 1 and 2, and are exact in binary too.
 *
 * Tiles are divided into blocks, through all pictures. V [36][tiles][depth] is the transformed
 * input of a block. For each panel of filters, 36 products with U [36][K][panel] give M
 * [tiles][36][panel], which is transformed into the output while it is in the cache. */
#include <math.h>
#include <string.h>

#include "kernels/simd/winograd.h"

enum { LEAST_TILES = 4, LEAST_CHANNELS = 32 };

/* Floats from a row of V to the next: more than channels, because rows a power of two apart would
 * use the same cache sets. */
static size_t depth(const struct ft_work *w)
{
    return (size_t)(w->in.c + LANES - 1) / LANES * LANES + 16;
}

static size_t row_floats(const struct ft_work *w)
{
    return thin(w) ? WINDOW * THIN_CHANNELS * FT_PANEL_MOST : 0;
}

static size_t tile_floats(const struct ft_work *w)
{
    return POINTS * (depth(w) + FT_PANEL_MOST);
}

/* in = B' d along one axis. */
FT_INLINE void transform_in(const vec *d, vec *out, const int step)
{
    const vec a2b2 = repeat(A * A * B * B), sum = repeat(A * A + B * B), a = repeat(A),
              b = repeat(B), a2 = repeat(A * A), b2 = repeat(B * B);
    const vec even_a = minus_product(b2, d[2 * step], d[4 * step]),
              odd_a = minus_product(b2, d[step], d[3 * step]);
    const vec even_b = minus_product(a2, d[2 * step], d[4 * step]),
              odd_b = minus_product(a2, d[step], d[3 * step]);
    const vec first = multiply_add(a2b2, d[0], minus_product(sum, d[2 * step], d[4 * step]));
    const vec last = multiply_add(a2b2, d[step], minus_product(sum, d[3 * step], d[5 * step]));
    out[0] = first;
    out[step] = multiply_add(a, odd_a, even_a);
    out[2 * step] = minus_product(a, odd_a, even_a);
    out[3 * step] = multiply_add(b, odd_b, even_b);
    out[4 * step] = minus_product(b, odd_b, even_b);
    out[5 * step] = last;
}

/* out = A' m along one axis. */
FT_INLINE void transform_out(const vec *m, vec *out, const int step, const int out_step)
{
    const vec sum_a = add(m[step], m[2 * step]), sum_b = add(m[3 * step], m[4 * step]);
    const vec odd_a = subtract(m[step], m[2 * step]), odd_b = subtract(m[3 * step], m[4 * step]);
    out[0] = add(m[0], add(sum_a, sum_b));
    out[out_step] = multiply_add(repeat(A), odd_a, multiply(repeat(B), odd_b));
    out[2 * out_step] = multiply_add(repeat(A * A), sum_a, multiply(repeat(B * B), sum_b));
    out[3 * out_step] =
        multiply_add(repeat(A * A * A), odd_a, multiply_add(repeat(B * B * B), odd_b, m[5 * step]));
}

/* Transforms the channels of one window, from c on, into V, whose points are `apart` floats from
 * each other. */
FT_INLINE void put_in(const uint8_t *const *from, int c, float *to, size_t apart, mask lanes,
                      const int whole)
{
    vec d[POINTS];
    FT_UNROLL
    for (int x = 0; x < WINDOW; x++) {
        vec column[WINDOW];
        FT_UNROLL
        for (int y = 0; y < WINDOW; y++) {
            const float *pixel = (const float *)(const void *)from[y * WINDOW + x] + c;
            column[y] = whole ? load(pixel) : load_masked(pixel, lanes);
        }
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
            store(to + (size_t)(y * WINDOW + x) * apart, d[y * WINDOW + x]);
    }
}

/* Transforms windows first .. first + n into v. `zeros` has as many floats as there are channels.
 */
static void load_block(const struct ft_work *w, int first, int n, const float *zeros, float *v)
{
    const size_t row = depth(w);
    for (int i = 0; i < n; i++) {
        const uint8_t *from[POINTS];
        find_window(w, first + i, sizeof(float), zeros, from);
        float *to = v + (size_t)i * row;
        int c = 0;
        for (; c + LANES <= w->in.c; c += LANES)
            put_in(from, c, to + c, (size_t)n * row, mask_first(LANES), true);
        if (c < w->in.c)
            put_in(from, c, to + c, (size_t)n * row, mask_first(w->in.c - c), false);
    }
}

/* Transforms filters of one tile, from c on and as many as `lanes` has, from m, whose points are
 * `apart` floats from each other, into the map. */
static void put_out(const struct ft_work *w, int tile, int c, const float *m, size_t apart,
                    mask lanes, bool whole)
{
    const struct spot at = find_spot(w, tile);
    const int top = at.top, left = at.left;
    const vec lo = repeat(w->lo), hi = repeat(w->hi), bias = load(w->bias + c);
    vec d[WINDOW * SIDE], out[SIDE * SIDE]; /* d [SIDE][WINDOW] */
    FT_UNROLL
    for (int x = 0; x < WINDOW; x++) {
        vec column[WINDOW];
        FT_UNROLL
        for (int y = 0; y < WINDOW; y++)
            column[y] = load(m + (size_t)(y * WINDOW + x) * apart);
        transform_out(column, d + x, 1, WINDOW);
    }
    FT_UNROLL
    for (int y = 0; y < SIDE; y++)
        transform_out(d + y * WINDOW, out + y * SIDE, 1, 1);
    for (int y = 0; y < SIDE && top + y < w->y1; y++)
        for (int x = 0; x < SIDE && left + x < w->out.w && top + y >= w->y0; x++) {
            vec v = add(out[y * SIDE + x], bias);
            if (w->other.data) {
                const float *other =
                    ft_map_at(&w->other, top + y, left + x) + at.picture * w->apart + c;
                v = add(v, whole ? load(other) : load_masked(other, lanes));
            }
            float *to = ft_map_to(&w->out, top + y, left + x) + at.picture * w->apart + c;
            v = clamp(v, lo, hi);
            if (whole)
                store(to, v);
            else
                store_masked(to, lanes, v);
        }
}

/* Activates n filters, from c on, of the tile's pixels in the map. */
static void activate_tile(const struct ft_work *w, int tile, int c, int n)
{
    const struct spot at = find_spot(w, tile);
    ptrdiff_t pixels[SIDE * SIDE];
    int count = 0;
    for (int y = at.top > w->y0 ? at.top : w->y0; y < at.top + SIDE && y < w->y1; y++)
        for (int x = at.left; x < at.left + SIDE && x < w->out.w; x++)
            pixels[count++] = y * w->out.row + (ptrdiff_t)x * w->out.pixel;
    FT_NAME(activate_pixels)(w, w->out.data + at.picture * w->apart + c, pixels, count, n);
}

static void store_block(const struct ft_work *w, int first, int n, int c, int width, const float *m)
{
    const int end = w->out.c - c < width ? w->out.c - c : width;
    for (int i = 0; i < n; i++, m += POINTS * width) {
        for (int f = 0; f < end; f += LANES)
            put_out(w, first + i, c + f, m + f, (size_t)width, mask_first(end - f),
                    end - f >= LANES);
        if (w->activation != FT_ACT_LINEAR)
            activate_tile(w, first + i, c, end);
    }
}

/* What is the same for all products of one panel with n tiles; v_point is the distance of points in
 * V. */
struct product {
    struct ft_tile tile;
    struct ft_segments segments;
    struct ft_offsets at;
    const struct ft_width *width;
    int n;
    size_t v_point;
};

static void begin_product(struct product *p, const struct ft_work *w, int n,
                          const struct ft_width *width)
{
    static const float no_bias[FT_PANEL_MOST];
    p->tile = (struct ft_tile){ .segments = &p->segments,
                                .bias = no_bias,
                                .lo = -INFINITY,
                                .hi = INFINITY,
                                .filters = width->filters };
    p->segments.n = 1;
    p->segments.at[0] = 0;
    p->width = width;
    p->n = n;
    p->v_point = (size_t)n * depth(w);
    for (int i = 0; i < n; i++) {
        p->at.in[i] = (ptrdiff_t)((size_t)i * depth(w));
        p->at.out[i] = p->at.other[i] = (ptrdiff_t)((size_t)i * POINTS * (size_t)width->filters);
    }
}

/* M = V U, or M += V U with `add`, for point q and k channels of V, which begin at v. */
static void run_product(struct product *p, int q, const float *v, int k, const float *u, bool add,
                        float *m)
{
    p->segments.k = k;
    p->tile.in = v + (size_t)q * p->v_point;
    p->tile.out = m + q * p->width->filters;
    p->tile.other = add ? p->tile.out : NULL;
    p->tile.weights = u;
    FT_NAME(panel_run)(p->tile, p->width, &p->at, p->n);
}

/* M = V U for one panel, whose weights begin at u. Prefetches the next panel if there are `more`.
 */
static void multiply_block(const struct ft_work *w, int n, const float *v, const float *u,
                           const struct ft_width *width, bool more, float *m)
{
    struct product p;
    begin_product(&p, w, n, width);
    p.tile.n_ahead = (size_t)w->in.c * (size_t)width->filters;
    for (int q = 0; q < POINTS; q++, u += p.tile.n_ahead) {
        p.tile.ahead = more || q + 1 < POINTS ? u + p.tile.n_ahead : NULL;
        run_product(&p, q, v, w->in.c, u, false, m);
    }
}

/* The same for thin weights: U of a few channels is computed in `u`, one row of points at a time,
 * and stays in the first-level cache. */
static void multiply_thin(const struct ft_work *w, int n, const float *v, const float *rows,
                          const struct ft_width *width, bool more, float *u, float *m)
{
    struct product p;
    begin_product(&p, w, n, width);
    for (int c = 0, k; c < w->in.c; c += k) {
        k = thin_channels(w, c);
        const size_t point = (size_t)k * (size_t)width->filters;
        const bool last = !more && c + k == w->in.c;
        p.tile.n_ahead = point / 2;
        for (int y = 0; y < WINDOW; y++) {
            FT_NAME(winograd_expand)(rows, k, width->filters, u);
            rows += 3 * point;
            for (int x = 0; x < WINDOW; x++) {
                p.tile.ahead = last && y + 1 == WINDOW ? NULL : rows + (size_t)x * p.tile.n_ahead;
                run_product(&p, y * WINDOW + x, v + c, k, u + (size_t)x * point, c > 0, m);
            }
        }
    }
}

static void winograd(const struct ft_work *w)
{
    const int end = tiles_in_part(w), wanted = block_tiles(w);
    const size_t k = (size_t)w->in.c, zeros = depth(w), row = row_floats(w),
                 room = (w->scratch_floats - zeros - row) / tile_floats(w),
                 points = weights_each(w);
    const int block = (size_t)wanted < room ? wanted : (int)room;
    float *u = w->scratch + zeros, *v = u + row, *m = v + (size_t)block * POINTS * depth(w);
    memset(w->scratch, 0, zeros * sizeof *v);
    for (int t = 0; t < end; t += block) {
        const int n = end - t < block ? end - t : block;
        const struct ft_width *width;
        load_block(w, t, n, w->scratch, v);
        for (int c = 0; c < w->c1; c += width->filters) {
            width = FT_NAME(panel_at)(c, w->out.c);
            if (c < w->c0)
                continue;
            const float *weights = w->weights + (size_t)c * k * points;
            const bool more = c + width->filters < w->c1;
            if (thin(w))
                multiply_thin(w, n, v, weights, width, more, u, m);
            else
                multiply_block(w, n, v, weights, width, more, m);
            store_block(w, t, n, c, width->filters, m);
        }
    }
}

/* With few channels the transforms take more time than they save; with few tiles, loading four
 * times as many weights does. */
static bool accepts(const struct ft_work *w)
{
    return !w->exact && has_tiles(w) && w->in.c >= LEAST_CHANNELS && w->out.c >= LEAST_CHANNELS &&
           tiles_of(&w->out) >= LEAST_TILES;
}

/* Each of FT_PARTS_MAX equal shares is enough for one tile. */
static size_t scratch(const struct ft_work *w)
{
    const int n = block_tiles(w);
    return (size_t)(n < FT_PARTS_MAX ? FT_PARTS_MAX : n) * (tile_floats(w) + depth(w)) +
           FT_PARTS_MAX * row_floats(w);
}

const struct ft_kernel_row FT_NAME(winograd) = { .run = winograd,
                                                 .name = "winograd " FT_ISA_NAME,
                                                 .needs = FT_ISA_NEEDS,
                                                 .accepts = accepts,
                                                 .packed = FT_NAME(winograd_packed),
                                                 .pack = FT_NAME(winograd_pack),
                                                 .scratch = scratch,
                                                 .rows = SIDE,
                                                 .channels = FT_PANEL,
                                                 .several = true };
