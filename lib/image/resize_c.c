/* Plain C versions of the resizing loops, and the table of all versions. */
#include "base/cpu.h"
#include "image/resize_rows.h"

const struct ft_resize_row ft_resize_rows[] = {
#if defined(__x86_64__)
    { ft_resize_across_avx2, ft_resize_down_avx2, "avx2", FT_CPU_AVX2 },
#elif defined(__aarch64__)
    { ft_resize_across_neon, ft_resize_down_c, "neon", FT_CPU_NEON },
#endif
    { ft_resize_across_c, ft_resize_down_c, "c", 0 },
};
const int ft_resize_n_rows = sizeof ft_resize_rows / sizeof *ft_resize_rows;

static uint8_t clip(int32_t sum)
{
    sum >>= FT_RESIZE_BITS;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

static void across_one(const struct ft_resize_axis *axis, const uint8_t *from, uint8_t *to)
{
    for (int i = 0; i < axis->n; i++, to += 3) {
        const uint8_t *s = from + (size_t)axis->first[i] * 3;
        const int32_t *w = axis->weight + (size_t)i * (size_t)axis->taps;
        int32_t r = FT_RESIZE_ROUND, g = FT_RESIZE_ROUND, b = FT_RESIZE_ROUND;
        for (int j = 0; j < axis->count[i]; j++, s += 3) {
            r += w[j] * s[0];
            g += w[j] * s[1];
            b += w[j] * s[2];
        }
        to[0] = clip(r);
        to[1] = clip(g);
        to[2] = clip(b);
    }
}

void ft_resize_across_c(const struct ft_resize_axis *axis, const uint8_t *const from[2],
                        uint8_t *const to[2])
{
    across_one(axis, from[0], to[0]);
    if (from[1] != from[0])
        across_one(axis, from[1], to[1]);
}

/* Strips of columns, so that the sums stay in registers or at least in the first cache. */
void ft_resize_down_c(const struct ft_resize_axis *axis, int i, const uint8_t *rows, size_t stride,
                      int base, uint8_t *to, size_t n)
{
    enum { STRIP = 256 };
    const int32_t *w = axis->weight + (size_t)i * (size_t)axis->taps;
    rows += (size_t)(axis->first[i] - base) * stride;
    for (size_t x0 = 0; x0 < n; x0 += STRIP) {
        const size_t m = n - x0 < STRIP ? n - x0 : STRIP;
        int32_t sums[STRIP];
        for (size_t x = 0; x < m; x++)
            sums[x] = FT_RESIZE_ROUND;
        for (int j = 0; j < axis->count[i]; j++) {
            const uint8_t *s = rows + (size_t)j * stride + x0;
            for (size_t x = 0; x < m; x++)
                sums[x] += w[j] * s[x];
        }
        for (size_t x = 0; x < m; x++)
            to[x0 + x] = clip(sums[x]);
    }
}
