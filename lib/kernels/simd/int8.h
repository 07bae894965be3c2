/* Sixteen 32-bit sums at a time, for AVX2 and AVX-512 (integers.h). Private to kernels/simd/.
 *
 * A sum grows by pairs of products: a lane of an input or a weight has the 16-bit values of two
 * neighbours in K, the first in the lower half. Products of bytes need 16 bits too: the instruction
 * for bytes of AVX2 saturates. The order of the sums in the registers is that of the weights in
 * memory, so that they come out of packs() in the order of the channels. */
#ifndef FT_KERNELS_INT8_H
#define FT_KERNELS_INT8_H

#include "kernels/integers.h"
#include "kernels/simd/simd.h"

enum { SUMS = 16 };

/* AVX2: lo has channels 0-3 and 8-11, hi has 4-7 and 12-15. */
#if defined(__AVX512F__)
typedef struct {
    __m512i v;
} sums16;
#else
typedef struct {
    __m256i lo, hi;
} sums16;
#endif

/* The channel of the sum, or the pair of weights, at place i of 16. */
static inline int ft_int8_channel(int i)
{
#if defined(__AVX512F__)
    return i;
#else
    return i < 4 || i > 11 ? i : i < 8 ? i + 4 : i - 4;
#endif
}

FT_INLINE sums16 sums_load(const int32_t *p)
{
#if defined(__AVX512F__)
    return (sums16){ _mm512_loadu_si512(p) };
#else
    const __m128i *q = (const __m128i *)(const void *)p;
    return (sums16){ _mm256_set_m128i(_mm_loadu_si128(q + 2), _mm_loadu_si128(q)),
                     _mm256_set_m128i(_mm_loadu_si128(q + 3), _mm_loadu_si128(q + 1)) };
#endif
}

/* Adds the products of one pair of inputs, repeated, with 16 pairs of weights. */
FT_INLINE void sums_add(sums16 *s, int32_t pair, sums16 w)
{
#if defined(__AVX512VNNI__)
    s->v = _mm512_dpwssd_epi32(s->v, _mm512_set1_epi32(pair), w.v);
#elif defined(__AVX512F__)
    s->v = _mm512_add_epi32(s->v, _mm512_madd_epi16(_mm512_set1_epi32(pair), w.v));
#else
    const __m256i x = _mm256_set1_epi32(pair);
    s->lo = _mm256_add_epi32(s->lo, _mm256_madd_epi16(x, w.lo));
    s->hi = _mm256_add_epi32(s->hi, _mm256_madd_epi16(x, w.hi));
#endif
}

FT_INLINE sums16 pairs_load(const int16_t *p)
{
#if defined(__AVX512F__)
    return (sums16){ _mm512_loadu_si512(p) };
#else
    const __m256i *q = (const __m256i *)(const void *)p;
    return (sums16){ _mm256_loadu_si256(q), _mm256_loadu_si256(q + 1) };
#endif
}

/* The 16-bit values of 16 sums after the shift, in the order of the channels. */
FT_INLINE __m256i sums_shift(sums16 s, sums16 shift)
{
#if defined(__AVX512F__)
    return _mm512_cvtsepi32_epi16(_mm512_srav_epi32(s.v, shift.v));
#else
    return _mm256_packs_epi32(_mm256_srav_epi32(s.lo, shift.lo), _mm256_srav_epi32(s.hi, shift.hi));
#endif
}

FT_INLINE __m256i bytes_load(const uint8_t *p)
{
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)p));
}

/* What 16 channels need to become bytes. */
struct ends {
    sums16 shift;
    __m256i multiplier, half, lo, hi, other_zero, other_scale;
    __m128i fraction;
};

FT_INLINE struct ends ends_of(const struct ft_work *w, int c)
{
    const struct ft_int8_constants k = ft_int8_constants(w);
    const struct ft_int8 *i = &w->int8;
    const sums16 none = { 0 };
    return (struct ends){ .shift = sums_load(k.shift + c),
                          .multiplier = sums_shift(sums_load(k.multiplier + c), none),
                          .half = _mm256_set1_epi16((short)i->half),
                          .lo = _mm256_set1_epi16((short)i->lo),
                          .hi = _mm256_set1_epi16((short)i->hi),
                          .other_zero = _mm256_set1_epi16((short)i->other.zero),
                          .other_scale = _mm256_set1_epi16((short)i->scale_other),
                          .fraction = _mm_cvtsi32_si128(i->fraction) };
}

/* Writes n of 16 channels of a pixel; `other` (nullable) may be read up to 16 bytes. */
FT_INLINE void write_bytes(const struct ends *e, sums16 s, const uint8_t *other, uint8_t *out,
                           int n)
{
    __m256i v = _mm256_mulhrs_epi16(sums_shift(s, e->shift), e->multiplier);
    if (other) {
        const __m256i o = _mm256_sub_epi16(bytes_load(other), e->other_zero);
        v = _mm256_adds_epi16(
            v, _mm256_mulhrs_epi16(_mm256_slli_epi16(o, FT_INT8_ADDEND), e->other_scale));
    }
    v = _mm256_sra_epi16(_mm256_adds_epi16(v, e->half), e->fraction);
    v = _mm256_min_epi16(_mm256_max_epi16(v, e->lo), e->hi);
    const __m128i q = _mm_packus_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    if (n >= SUMS) {
        _mm_storeu_si128((__m128i *)(void *)out, q);
        return;
    }
    uint8_t bytes[SUMS];
    _mm_storeu_si128((__m128i *)(void *)bytes, q);
    for (int i = 0; i < n; i++)
        out[i] = bytes[i];
}

/* The same as floats, clamped. */
FT_INLINE void write_floats(const struct ft_work *w, sums16 s, int c, float *out, int n)
{
    const float *step = ft_int8_constants(w).step + c;
    int32_t sums[SUMS];
#if defined(__AVX512F__)
    _mm512_storeu_si512(sums, s.v);
#else
    _mm256_storeu_si256((__m256i *)(void *)sums, s.lo);
    _mm256_storeu_si256((__m256i *)(void *)(sums + 8), s.hi);
#endif
    for (int i = 0; i < SUMS; i++) {
        const int channel = ft_int8_channel(i);
        const float x = (float)sums[i] * step[channel];
        if (channel < n)
            out[channel] = x < w->lo ? w->lo : x > w->hi ? w->hi : x;
    }
}

#endif
