/* Matrix products for training the head (struct ft_product) in register tiles: 14 x 32 values for
 * AVX-512, 6 x 16 for AVX2. Nothing is packed: rows of B are read in place and values of A are
 * broadcast, so an operand that serves only a hundred columns needs no preparation. OpenBLAS packs
 * both operands in every call and reaches three quarters of this speed. */
#include "kernels/simd/simd.h"

enum { MOST = LANES == 16 ? 14 : 6, PANEL = 2 * LANES };

/* Computes rows x vectors of C. `across`: the values of A for one k are contiguous, otherwise those
 * of one row are. The last vector is masked. */
FT_INLINE void tile(const struct ft_product *p, const float *a, const float *b, float *c,
                    const int rows, const int vectors, const bool across, mask last)
{
    const ptrdiff_t stride = p->a_row, step = across ? p->a_step : 1;
    /* one pointer for three rows: adding 1 or 2 strides to an address takes no time */
    const float *base[(MOST + 2) / 3];
    vec sum[MOST][2];
    FT_UNROLL
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vectors; v++)
            sum[i][v] = repeat(0);
    FT_UNROLL
    for (int i = 0; i < rows; i += 3)
        base[i / 3] = a + i * stride;
    for (int k = 0; k < p->k; k++, b += p->b_row) {
        vec y[2];
        y[0] = vectors == 1 ? load_masked(b, last) : load(b);
        if (vectors == 2)
            y[1] = load_masked(b + LANES, last);
        FT_UNROLL
        for (int i = 0; i < rows; i++) {
            const vec x = repeat(across ? a[i] : base[i / 3][i % 3 * stride]);
            for (int v = 0; v < vectors; v++)
                sum[i][v] = multiply_add(x, y[v], sum[i][v]);
        }
        a += step;
        FT_UNROLL
        for (int i = 0; i < rows; i += 3)
            base[i / 3] += step;
    }
    FT_UNROLL
    for (int i = 0; i < rows; i++) {
        float *to = c + i * p->c_row;
        for (int v = 0; v < vectors; v++, to += LANES) {
            if (v < vectors - 1)
                store(to, p->add ? add(load(to), sum[i][v]) : sum[i][v]);
            else
                store_masked(to, last, p->add ? add(load_masked(to, last), sum[i][v]) : sum[i][v]);
        }
    }
}

typedef void run_tile(const struct ft_product *p, const float *a, const float *b, float *c,
                      mask last);

#define TILE(rows, vectors, across)                                                                \
    static void tile_##rows##_##vectors##_##across(const struct ft_product *p, const float *a,     \
                                                   const float *b, float *c, mask last)            \
    {                                                                                              \
        tile(p, a, b, c, rows, vectors, across, last);                                             \
    }
#define TILES(rows) TILE(rows, 1, 0) TILE(rows, 1, 1) TILE(rows, 2, 0) TILE(rows, 2, 1)
#define ENTRY(rows)                                                                                \
    {                                                                                              \
        { tile_##rows##_1_0, tile_##rows##_1_1 },                                                  \
        {                                                                                          \
            tile_##rows##_2_0, tile_##rows##_2_1                                                   \
        }                                                                                          \
    }

TILES(1)
TILES(2)
TILES(3)
TILES(4)
TILES(5)
TILES(6)
#if defined(__AVX512F__)
TILES(7)
TILES(8)
TILES(9)
TILES(10)
TILES(11)
TILES(12)
TILES(13)
TILES(14)
#endif

static run_tile *const tiles[MOST][2][2] = {
    ENTRY(1), ENTRY(2), ENTRY(3), ENTRY(4),  ENTRY(5),  ENTRY(6),
#if defined(__AVX512F__)
    ENTRY(7), ENTRY(8), ENTRY(9), ENTRY(10), ENTRY(11), ENTRY(12), ENTRY(13), ENTRY(14),
#endif
};

static void product(const struct ft_product *p)
{
    const int strips = (p->m + MOST - 1) / MOST;
    const bool across = p->a_row == 1;
    for (int j = 0; j < p->n; j += PANEL) {
        const int wide = p->n - j < PANEL ? p->n - j : PANEL, vectors = wide > LANES ? 2 : 1;
        const mask last = mask_first(wide - (vectors - 1) * LANES);
        for (int s = 0, i = 0; s < strips; s++) {
            const int rows = (p->m - i) / (strips - s); /* strips of nearly equal height */
            tiles[rows - 1][vectors - 1][across](p, p->a + i * p->a_row, p->b + j,
                                                 p->c + i * p->c_row + j, last);
            i += rows;
        }
    }
}

const struct ft_product_row FT_NAME(product) = { product, FT_ISA_NAME, FT_ISA_NEEDS };
