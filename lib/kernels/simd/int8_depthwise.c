/* Depthwise convolutions of int8 steps: 16 channels at a time, the taps in pairs. */
#include "kernels/rows.h"
#include "kernels/simd/int8.h"

enum { TAPS = 128 }; /* at most */

static int pairs(const struct ft_work *w)
{
    return (w->kernel[0] * w->kernel[1] + 1) / 2;
}

static size_t packed(const struct ft_work *w)
{
    return ((size_t)w->out.c + SUMS - 1) / SUMS * (size_t)pairs(w) * SUMS;
}

/* [block of channels][pair of taps][place][2] */
static void pack(const struct ft_work *w, const float *whole, float *packed_weights)
{
    const int taps = w->kernel[0] * w->kernel[1], c = w->out.c;
    int16_t *to = (int16_t *)(void *)packed_weights;
    for (int first = 0; first < c; first += SUMS)
        for (int t = 0; t < 2 * pairs(w); t += 2)
            for (int i = 0; i < SUMS; i++)
                for (int odd = 0; odd < 2; odd++) {
                    const int f = first + ft_int8_channel(i);
                    *to++ = f < c && t + odd < taps ? (int16_t)whole[(t + odd) * c + f] : 0;
                }
}

/* Adds the products of two taps. */
FT_INLINE void add_taps(sums16 *s, __m256i a, __m256i b, sums16 w)
{
    const __m256i lo = _mm256_unpacklo_epi16(a, b), hi = _mm256_unpackhi_epi16(a, b);
#if defined(__AVX512F__) /* the order of the channels, as in ft_int8_channel */
    const __m512i v =
        _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_permute2x128_si256(lo, hi, 0x20)),
                           _mm256_permute2x128_si256(lo, hi, 0x31), 1);
    s->v = _mm512_add_epi32(s->v, _mm512_madd_epi16(v, w.v));
#else
    s->lo = _mm256_add_epi32(s->lo, _mm256_madd_epi16(lo, w.lo));
    s->hi = _mm256_add_epi32(s->hi, _mm256_madd_epi16(hi, w.hi));
#endif
}

/* All pixels of a row, for 16 channels from c on. at [taps] are offsets from the first tap. */
static void run_row(const struct ft_work *w, int y, int c, const ptrdiff_t *at)
{
    const int taps = w->kernel[0] * w->kernel[1], n = w->out.c - c;
    const int16_t *weights =
        (const int16_t *)(const void *)w->weights + (ptrdiff_t)(c / SUMS) * pairs(w) * 2 * SUMS;
    const sums16 bias = sums_load(ft_int8_constants(w).bias + c);
    const struct ends ends = ends_of(w, c);
    for (int x = 0; x < w->out.w; x++) {
        const uint8_t *in =
            ft_bytes_at(&w->in, y * w->stride[0] - w->pad[0], x * w->stride[1] - w->pad[1]) + c;
        const int16_t *k = weights;
        sums16 s = bias;
        int t = 0;
        for (; t + 1 < taps; t += 2, k += 2 * SUMS)
            add_taps(&s, bytes_load(in + at[t]), bytes_load(in + at[t + 1]), pairs_load(k));
        if (t < taps)
            add_taps(&s, bytes_load(in + at[t]), _mm256_setzero_si256(), pairs_load(k));
        if (w->int8.floats)
            write_floats(w, s, c, ft_map_to(&w->out, y, x) + c, n);
        else
            write_bytes(&ends, s, w->other.data ? ft_bytes_at(&w->other, y, x) + c : NULL,
                        ft_bytes_to(&w->out, y, x) + c, n);
    }
}

static void depthwise(const struct ft_work *w)
{
    ptrdiff_t at[TAPS];
    for (int t = 0; t < w->kernel[0] * w->kernel[1]; t++)
        at[t] = t / w->kernel[1] * w->dilation[0] * w->in.row +
                (ptrdiff_t)(t % w->kernel[1]) * w->dilation[1] * w->in.pixel;
    for (int y = w->y0; y < w->y1; y++)
        for (int c = w->c0; c < w->c1; c += SUMS)
            run_row(w, y, c, at);
    if (w->int8.floats)
        ft_activate_part(w);
}

static bool accepts(const struct ft_work *w)
{
    return w->multiplier == 1 && w->kernel[0] * w->kernel[1] <= TAPS;
}

const struct ft_kernel_row FT_NAME(int8_depthwise) = { .run = depthwise,
                                                       .name = "int8 " FT_ISA_NAME,
                                                       .needs = FT_ISA_NEEDS,
                                                       .accepts = accepts,
                                                       .packed = packed,
                                                       .pack = pack,
                                                       .channels = SUMS };
