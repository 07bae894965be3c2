/* The sums of int8.h for AVX2, AVX-512 and their instructions for neural networks (VNNI). Included
 * by int8.h alone. The instruction for bytes of AVX2 (vpmaddubsw) saturates; that of VNNI does not.
 */
#ifndef FT_KERNELS_INT8_X86_H
#define FT_KERNELS_INT8_X86_H

/* FT_EMULATED: a test defines the instructions as functions in C, and these two macros. */
#if !defined(FT_EMULATED)
#include <immintrin.h>
#if defined(__AVX512F__)
#define SUMS_IN_ONE 1 /* register */
#else
#define SUMS_IN_ONE 0
#endif
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
#define QUADS 1
#else
#define QUADS 0
#endif
#endif
#define SIGNED_INPUTS 0 /* the bytes of quads are unsigned */
/* Winograd's algorithm is faster from so many channels on. VNNI multiplies bytes twice as fast as
 * pairs of 16 bits, of which the algorithm has a quarter; the number for it is an estimate. */
enum { WINOGRAD_CHANNELS = QUADS ? 128 : 32 };

typedef __m256i shorts16;
#if SUMS_IN_ONE
typedef struct {
    __m512i v;
} sums16;
#else
/* lo has channels 0-3 and 8-11, hi has 4-7 and 12-15, so that they come out of packs() in order. */
typedef struct {
    __m256i lo, hi;
} sums16;
#endif

/* The place of value `at` of the unit of a channel, among the values of 16 units of `size`. */
static inline int ft_int8_place(int channel, int at, int size)
{
    const int i = SUMS_IN_ONE || channel < 4 || channel > 11 ? channel
                  : channel < 8                              ? channel + 4
                                                             : channel - 4;
    return i * size + at;
}

FT_INLINE __m128i load_16(const void *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}

FT_INLINE sums16 sums_load(const int32_t *p)
{
#if SUMS_IN_ONE
    return (sums16){ _mm512_loadu_si512(p) };
#else
    return (sums16){ _mm256_set_m128i(load_16(p + 8), load_16(p)),
                     _mm256_set_m128i(load_16(p + 12), load_16(p + 4)) };
#endif
}

FT_INLINE void sums_store(int32_t *p, sums16 s)
{
#if SUMS_IN_ONE
    _mm512_storeu_si512(p, s.v);
#else
    __m128i *q = (__m128i *)(void *)p;
    _mm_storeu_si128(q, _mm256_castsi256_si128(s.lo));
    _mm_storeu_si128(q + 1, _mm256_castsi256_si128(s.hi));
    _mm_storeu_si128(q + 2, _mm256_extracti128_si256(s.lo, 1));
    _mm_storeu_si128(q + 3, _mm256_extracti128_si256(s.hi, 1));
#endif
}

FT_INLINE sums16 units_load(const int32_t *p)
{
#if SUMS_IN_ONE
    return (sums16){ _mm512_loadu_si512(p) };
#else
    const __m256i *q = (const __m256i *)(const void *)p;
    return (sums16){ _mm256_loadu_si256(q), _mm256_loadu_si256(q + 1) };
#endif
}

FT_INLINE sums16 unit_repeated(int32_t unit)
{
#if SUMS_IN_ONE
    return (sums16){ _mm512_set1_epi32(unit) };
#else
    const __m256i x = _mm256_set1_epi32(unit);
    return (sums16){ x, x };
#endif
}

FT_INLINE void add_pairs(sums16 *s, sums16 x, sums16 w)
{
#if SUMS_IN_ONE && QUADS
    s->v = _mm512_dpwssd_epi32(s->v, x.v, w.v);
#elif SUMS_IN_ONE
    s->v = _mm512_add_epi32(s->v, _mm512_madd_epi16(x.v, w.v));
#elif QUADS
    s->lo = _mm256_dpwssd_avx_epi32(s->lo, x.lo, w.lo);
    s->hi = _mm256_dpwssd_avx_epi32(s->hi, x.hi, w.hi);
#else
    s->lo = _mm256_add_epi32(s->lo, _mm256_madd_epi16(x.lo, w.lo));
    s->hi = _mm256_add_epi32(s->hi, _mm256_madd_epi16(x.hi, w.hi));
#endif
}

FT_INLINE void add_pair(sums16 *s, int32_t pair, sums16 w)
{
    add_pairs(s, unit_repeated(pair), w);
}

#if !QUADS
#define add_quad add_pair /* no unit is a quad */
#elif SUMS_IN_ONE
FT_INLINE void add_quad(sums16 *s, int32_t quad, sums16 w)
{
    s->v = _mm512_dpbusd_epi32(s->v, _mm512_set1_epi32(quad), w.v);
}
#else
FT_INLINE void add_quad(sums16 *s, int32_t quad, sums16 w)
{
    const __m256i x = _mm256_set1_epi32(quad);
    s->lo = _mm256_dpbusd_avx_epi32(s->lo, x, w.lo);
    s->hi = _mm256_dpbusd_avx_epi32(s->hi, x, w.hi);
}
#endif

FT_INLINE void widen(const uint8_t *from, int16_t *to)
{
    _mm256_storeu_si256((__m256i *)(void *)to, _mm256_cvtepu8_epi16(load_16(from)));
}

FT_INLINE void units_store(int32_t *p, sums16 s)
{
#if SUMS_IN_ONE
    _mm512_storeu_si512(p, s.v);
#else
    _mm256_storeu_si256((__m256i *)(void *)p, s.lo);
    _mm256_storeu_si256((__m256i *)(void *)(p + 8), s.hi);
#endif
}

/* Pairs of a byte of a and one of b. */
FT_INLINE sums16 pairs_of(const uint8_t *a, const uint8_t *b)
{
    /* the lower half has the pairs of channels 0-7, the upper half those of 8-15 */
    const __m256i first = _mm256_broadcastsi128_si256(load_16(a)),
                  second = _mm256_broadcastsi128_si256(load_16(b)),
                  bytes = _mm256_blend_epi32(_mm256_unpacklo_epi8(first, second),
                                             _mm256_unpackhi_epi8(first, second), 0xf0);
#if SUMS_IN_ONE
    return (sums16){ _mm512_cvtepu8_epi16(bytes) };
#else
    const __m256i zero = _mm256_setzero_si256();
    return (sums16){ _mm256_unpacklo_epi8(bytes, zero), _mm256_unpackhi_epi8(bytes, zero) };
#endif
}

/* 16 bytes less 128. */
FT_INLINE shorts16 shorts_less_128(const uint8_t *p)
{
    return _mm256_cvtepi8_epi16(_mm_xor_si128(load_16(p), _mm_set1_epi8(-128)));
}

FT_INLINE void shorts_store(int16_t *p, shorts16 x)
{
    _mm256_storeu_si256((__m256i *)(void *)p, x);
}

#define shorts_plus(a, b)    _mm256_add_epi16(a, b)
#define shorts_minus(a, b)   _mm256_sub_epi16(a, b)
#define shorts_doubled(a, n) _mm256_slli_epi16(a, n)

/* a + b, a - b, a << n, a >> n, a * b in each sum, modulo 2^32. */
#if SUMS_IN_ONE
#define sums_plus(a, b)    ((sums16){ _mm512_add_epi32((a).v, (b).v) })
#define sums_minus(a, b)   ((sums16){ _mm512_sub_epi32((a).v, (b).v) })
#define sums_doubled(a, n) ((sums16){ _mm512_slli_epi32((a).v, n) })
#define sums_halved(a, n)  ((sums16){ _mm512_srav_epi32((a).v, _mm512_set1_epi32(n)) })
#define sums_times(a, b)   ((sums16){ _mm512_mullo_epi32((a).v, (b).v) })
#else
#define BOTH(f, a, b)      ((sums16){ f((a).lo, (b).lo), f((a).hi, (b).hi) })
#define BOTH_BY(f, a, n)   ((sums16){ f((a).lo, n), f((a).hi, n) })
#define sums_plus(a, b)    BOTH(_mm256_add_epi32, a, b)
#define sums_minus(a, b)   BOTH(_mm256_sub_epi32, a, b)
#define sums_times(a, b)   BOTH(_mm256_mullo_epi32, a, b)
#define sums_doubled(a, n) BOTH_BY(_mm256_slli_epi32, a, n)
#define sums_halved(a, n)  BOTH_BY(_mm256_srai_epi32, a, n)
#endif

/* The 16-bit values of 16 sums after the shift. */
FT_INLINE shorts16 sums_shift(sums16 s, sums16 shift)
{
#if SUMS_IN_ONE
    return _mm512_cvtsepi32_epi16(_mm512_srav_epi32(s.v, shift.v));
#else
    return _mm256_packs_epi32(_mm256_srav_epi32(s.lo, shift.lo), _mm256_srav_epi32(s.hi, shift.hi));
#endif
}

/* Writes 16 floats: sums times steps, plus `other` (nullable), clamped. NaN stays NaN. */
FT_INLINE void floats_of(sums16 s, const float *step, const float *other, float lo, float hi,
                         float *out)
{
#if SUMS_IN_ONE
    __m512 x = _mm512_mul_ps(_mm512_cvtepi32_ps(s.v), _mm512_loadu_ps(step));
    if (other)
        x = _mm512_add_ps(x, _mm512_loadu_ps(other));
    x = _mm512_max_ps(_mm512_set1_ps(lo), x);
    _mm512_storeu_ps(out, _mm512_min_ps(_mm512_set1_ps(hi), x));
#else
    const __m256i halves[2] = { _mm256_permute2x128_si256(s.lo, s.hi, 0x20),
                                _mm256_permute2x128_si256(s.lo, s.hi, 0x31) };
    FT_UNROLL
    for (int i = 0; i < 2; i++) {
        const ptrdiff_t at = (ptrdiff_t)8 * i;
        __m256 x = _mm256_mul_ps(_mm256_cvtepi32_ps(halves[i]), _mm256_loadu_ps(step + at));
        if (other)
            x = _mm256_add_ps(x, _mm256_loadu_ps(other + at));
        x = _mm256_max_ps(_mm256_set1_ps(lo), x);
        _mm256_storeu_ps(out + at, _mm256_min_ps(_mm256_set1_ps(hi), x));
    }
#endif
}

/* What 16 channels need to become bytes. */
struct ends {
    sums16 shift;
    shorts16 multiplier, half, lo, hi, other_zero, other_scale;
    __m128i fraction;
};

FT_INLINE struct ends ends_of(const struct ft_work *w, int c)
{
    const struct ft_int8_constants k = ft_int8_constants(w);
    const struct ft_int8 *i = &w->int8;
    return (struct ends){ .shift = sums_load(k.shift + c),
                          .multiplier = sums_shift(sums_load(k.multiplier + c), unit_repeated(0)),
                          .half = _mm256_set1_epi16((short)i->half),
                          .lo = _mm256_set1_epi16((short)i->lo),
                          .hi = _mm256_set1_epi16((short)i->hi),
                          .other_zero = _mm256_set1_epi16((short)i->other.zero),
                          .other_scale = _mm256_set1_epi16((short)i->scale_other),
                          .fraction = _mm_cvtsi32_si128(i->fraction) };
}

/* Writes 16 bytes. `other` is nullable. */
FT_INLINE void bytes_of(const struct ends *e, sums16 s, const uint8_t *other, uint8_t *out)
{
    __m256i v = _mm256_mulhrs_epi16(sums_shift(s, e->shift), e->multiplier);
    if (other) {
        const __m256i o = _mm256_sub_epi16(_mm256_cvtepu8_epi16(load_16(other)), e->other_zero);
        v = _mm256_adds_epi16(
            v, _mm256_mulhrs_epi16(_mm256_slli_epi16(o, FT_INT8_ADDEND), e->other_scale));
    }
    v = _mm256_sra_epi16(_mm256_adds_epi16(v, e->half), e->fraction);
    v = _mm256_min_epi16(_mm256_max_epi16(v, e->lo), e->hi);
    _mm_storeu_si128((__m128i *)(void *)out,
                     _mm_packus_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1)));
}

#endif
