/* AVX2 versions of the resizing loops: vpmaddwd adds two products of 16-bit numbers at once. */
#include <immintrin.h>
#include <string.h>

#include "image/resize_rows.h"

/* (high * 2^11 + low + 1/2) without the fraction, as 32-bit numbers. */
static inline __m256i whole(__m256i high, __m256i low)
{
    const __m256i sum = _mm256_add_epi32(_mm256_slli_epi32(high, FT_RESIZE_LOW_BITS), low);
    return _mm256_srai_epi32(_mm256_add_epi32(sum, _mm256_set1_epi32(FT_RESIZE_ROUND)),
                             FT_RESIZE_BITS);
}

static inline __m256i pair_of(const int16_t *w)
{
    int two;
    memcpy(&two, w, sizeof two);
    return _mm256_set1_epi32(two);
}

/* Two bytes of each of red, green and blue as [r0 r1 g0 g1 b0 b1 0 0], so that a multiply-add sums
 * over two pixels. A lane is a row. */
void ft_resize_across_avx2(const struct ft_resize_axis *axis, const uint8_t *const from[2],
                           uint8_t *const to[2])
{
    const __m256i two = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
    const __m256i next = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1));
    const int16_t *high = axis->high, *low = axis->low;
    uint8_t *upper = to[0], *lower = to[1];
    for (int i = 0; i < axis->n;
         i++, upper += 3, lower += 3, high += axis->taps, low += axis->taps) {
        const uint8_t *s = from[0] + (size_t)axis->first[i] * 3,
                      *t = from[1] + (size_t)axis->first[i] * 3;
        __m256i sum_high = _mm256_setzero_si256(), sum_low = _mm256_setzero_si256();
        for (int j = 0; j < axis->count[i]; j += 4, s += 12, t += 12) {
            const __m128i of_upper = _mm_loadu_si128((const __m128i *)s),
                          of_lower = _mm_loadu_si128((const __m128i *)t);
            const __m256i bytes =
                _mm256_inserti128_si256(_mm256_castsi128_si256(of_upper), of_lower, 1);
            const __m256i a = _mm256_shuffle_epi8(bytes, two), b = _mm256_shuffle_epi8(bytes, next);
            sum_high = _mm256_add_epi32(sum_high, _mm256_madd_epi16(a, pair_of(high + j)));
            sum_low = _mm256_add_epi32(sum_low, _mm256_madd_epi16(a, pair_of(low + j)));
            sum_high = _mm256_add_epi32(sum_high, _mm256_madd_epi16(b, pair_of(high + j + 2)));
            sum_low = _mm256_add_epi32(sum_low, _mm256_madd_epi16(b, pair_of(low + j + 2)));
        }
        __m256i pixels = whole(sum_high, sum_low);
        pixels = _mm256_packs_epi32(pixels, pixels);
        pixels = _mm256_packus_epi16(pixels, pixels);
        const int of_upper = _mm256_extract_epi32(pixels, 0),
                  of_lower = _mm256_extract_epi32(pixels, 4);
        /* the fourth byte is overwritten by the next pixel */
        memcpy(upper, &of_upper, sizeof of_upper);
        memcpy(lower, &of_lower, sizeof of_lower);
    }
}

/* Two rows a step, 32 columns at a time: their bytes are interleaved, so that a multiply-add sums
 * over the two rows. */
static __m256i columns(const struct ft_resize_axis *axis, int i, const uint8_t *rows, size_t stride)
{
    const int16_t *high = axis->high + (size_t)i * (size_t)axis->taps,
                  *low = axis->low + (size_t)i * (size_t)axis->taps;
    const int count = axis->count[i];
    const __m256i zero = _mm256_setzero_si256();
    __m256i sum_high[4] = { zero, zero, zero, zero }, sum_low[4] = { zero, zero, zero, zero };
    for (int j = 0; j < count; j += 2, rows += 2 * stride) {
        const __m256i weight_high = pair_of(high + j), weight_low = pair_of(low + j);
        const __m256i a = _mm256_loadu_si256((const __m256i *)rows);
        const __m256i b =
            j + 1 < count ? _mm256_loadu_si256((const __m256i *)(rows + stride)) : zero;
        const __m256i first = _mm256_unpacklo_epi8(a, b), second = _mm256_unpackhi_epi8(a, b);
        const __m256i pixels[4] = { _mm256_unpacklo_epi8(first, zero),
                                    _mm256_unpackhi_epi8(first, zero),
                                    _mm256_unpacklo_epi8(second, zero),
                                    _mm256_unpackhi_epi8(second, zero) };
        for (int q = 0; q < 4; q++) {
            sum_high[q] = _mm256_add_epi32(sum_high[q], _mm256_madd_epi16(pixels[q], weight_high));
            sum_low[q] = _mm256_add_epi32(sum_low[q], _mm256_madd_epi16(pixels[q], weight_low));
        }
    }
    /* packing works within lanes just as unpacking did, so the columns come out in order */
    const __m256i front =
        _mm256_packs_epi32(whole(sum_high[0], sum_low[0]), whole(sum_high[1], sum_low[1]));
    const __m256i back =
        _mm256_packs_epi32(whole(sum_high[2], sum_low[2]), whole(sum_high[3], sum_low[3]));
    return _mm256_packus_epi16(front, back);
}

void ft_resize_down_avx2(const struct ft_resize_axis *axis, int i, const uint8_t *rows,
                         size_t stride, int base, uint8_t *to, size_t n)
{
    rows += (size_t)(axis->first[i] - base) * stride;
    size_t x = 0;
    for (; x + 32 <= n; x += 32)
        _mm256_storeu_si256((__m256i *)(to + x), columns(axis, i, rows + x, stride));
    if (x < n)
        ft_resize_down_c(axis, i, rows + x, stride, axis->first[i], to + x, n - x);
}
