/* Weights of Winograd's convolution. Packing computes U = G g G' for every filter and channel, or
 * for thin layers G g, from which U is computed while it is used. */
#include "kernels/simd/winograd.h"

#define F0 (1.0 / (A * A * B * B))
#define FA (1.0 / (2 * A * A * (A * A - B * B)))
#define FB (1.0 / (2 * B * B * (B * B - A * A)))

/* The transform of three weights into six points. */
static const double G[WINDOW][3] = { { F0 },
                                     { FA, FA *A, FA *A *A },
                                     { FA, -FA *A, FA *A *A },
                                     { FB, FB *B, FB *B *B },
                                     { FB, -FB *B, FB *B *B },
                                     { 0, 0, 1 } };

void FT_NAME(winograd_expand)(const float *rows, int k, int filters, float *u)
{
    const size_t point = (size_t)k * (size_t)filters;
    const vec f0 = repeat((float)G[0][0]), fa = repeat((float)G[1][0]), fb = repeat((float)G[3][0]);
    const vec fa1 = repeat((float)G[1][1]), fa2 = repeat((float)G[1][2]),
              fb1 = repeat((float)G[3][1]), fb2 = repeat((float)G[3][2]);
    for (int i = 0; i < k; i++, rows += 3 * filters, u += filters)
        for (int f = 0; f < filters; f += LANES) {
            const bool whole = filters - f >= LANES;
            const mask lanes = mask_first(filters - f);
            vec r[3];
            FT_UNROLL
            for (int x = 0; x < 3; x++)
                r[x] = whole ? load(rows + x * filters + f)
                             : load_masked(rows + x * filters + f, lanes);
            const vec even_a = multiply_add(fa2, r[2], multiply(fa, r[0])),
                      even_b = multiply_add(fb2, r[2], multiply(fb, r[0]));
            const vec out[WINDOW] = { multiply(f0, r[0]),
                                      multiply_add(fa1, r[1], even_a),
                                      minus_product(fa1, r[1], even_a),
                                      multiply_add(fb1, r[1], even_b),
                                      minus_product(fb1, r[1], even_b),
                                      r[2] };
            FT_UNROLL
            for (int x = 0; x < WINDOW; x++)
                if (whole)
                    store(u + (size_t)x * point + f, out[x]);
                else
                    store_masked(u + (size_t)x * point + f, lanes, out[x]);
        }
}

size_t FT_NAME(winograd_packed)(const struct ft_work *w)
{
    return weights_each(w) * (size_t)w->in.c * FT_NAME(panel_filters)(w->out.c);
}

/* The transformed weights of up to FT_PANEL_MOST filters side by side. */
typedef double ft_lanes[FT_PANEL_MOST];

/* to [6] = G g for the three weights of one axis, which are `step` apart. */
static void transform_weights(const ft_lanes *g, size_t step, ft_lanes *to, size_t to_step)
{
    for (size_t y = 0; y < WINDOW; y++)
        for (size_t i = 0; i < FT_PANEL_MOST; i++)
            to[y * to_step][i] =
                G[y][0] * g[0][i] + G[y][1] * g[step][i] + G[y][2] * g[2 * step][i];
}

/* Packs one input channel of one panel: keras [9][k][filters] begins at this channel and filter,
 * packed [points][k][width] has points `point` floats apart. It holds all of U, or with `rows_only`
 * G g, whose three values in a row are contiguous. */
static void pack_channel(const float *keras, size_t tap, size_t filters, float *packed,
                         size_t point, size_t width, bool rows_only)
{
    ft_lanes g[9] = { { 0 } }, rows[WINDOW * 3], u[POINTS];
    for (size_t t = 0; t < 9; t++)
        for (size_t f = 0; f < filters; f++)
            g[t][f] = keras[t * tap + f];
    for (size_t x = 0; x < 3; x++)
        transform_weights(g + x, 3, rows + x, 3);
    for (size_t y = 0; y < WINDOW && !rows_only; y++)
        transform_weights(rows + y * 3, 1, u + y * WINDOW, 1);
    for (size_t q = 0; q < (rows_only ? THIN_POINTS : POINTS); q++)
        for (size_t f = 0; f < width; f++)
            packed[(rows_only ? q / 3 * point + q % 3 * width : q * point) + f] =
                (float)(rows_only ? rows : u)[q][f];
}

/* [panel][POINTS][K][width]; thin: [panel][chunk of K][WINDOW][k][3][width]. */
void FT_NAME(winograd_pack)(const struct ft_work *w, const float *keras, float *packed)
{
    const size_t filters = (size_t)w->out.c;
    const bool rows_only = thin(w);
    for (size_t first = 0, width; first < filters; first += width) {
        width = (size_t)FT_NAME(panel_at)((int)first, w->out.c)->filters;
        const size_t left = filters - first < width ? filters - first : width,
                     each = rows_only ? 3 * width : width;
        for (int c = 0, k; c < w->in.c; c += k) {
            k = rows_only ? thin_channels(w, c) : w->in.c;
            for (size_t i = 0; i < (size_t)k; i++)
                pack_channel(keras + ((size_t)c + i) * filters + first, (size_t)w->in.c * filters,
                             left, packed + i * each, (size_t)k * each, width, rows_only);
            packed += (size_t)k * weights_each(w) * width;
        }
    }
}
