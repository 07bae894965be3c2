/* The vectors of simd.h for AVX-512. Included by simd.h alone. */
#ifndef FT_KERNELS_AVX512_H
#define FT_KERNELS_AVX512_H

/* FT_EMULATED: a test defines the instructions as functions in C. */
#if !defined(FT_EMULATED)
#include <immintrin.h>
#endif

typedef __m512 vec;
typedef __m256 half;
typedef __mmask16 mask;
typedef __mmask8 half_mask;
enum { LANES = 16, HALF_LANES = 8 };

#if defined(__AVX512BF16__) || defined(FT_EMULATED)
/* Products are of pairs: a lane of a weight or an input has the bfloat16 values of two neighbours
 * in K, the first in the lower half. The sums are floats. */
#define FT_PRODUCT "vdpbf16ps"
#define PAIRED     1
#else
#define FT_PRODUCT "vfmadd231ps"
#define PAIRED     0
#endif
/* Pairs are multiplied by AMX (amx_panels.c); compilers have two names for it. */
#if defined(__AMX_BF16__) || defined(__AMXBF16__) || defined(FT_EMULATED)
#define TILED 1
#else
#define TILED 0
#endif

enum { DEPTH = 1 + PAIRED, STEP = 1, TOGETHER = 1 };

FT_INLINE mask mask_first(int n)
{
    return n >= LANES ? 0xffff : n <= 0 ? 0 : (mask)((1u << n) - 1);
}
FT_INLINE vec load(const float *p)
{
    return _mm512_loadu_ps(p);
}
FT_INLINE vec load_masked(const float *p, mask m)
{
    return _mm512_maskz_loadu_ps(m, p);
}
FT_INLINE void store(float *p, vec v)
{
    _mm512_storeu_ps(p, v);
}
FT_INLINE void store_masked(float *p, mask m, vec v)
{
    _mm512_mask_storeu_ps(p, m, v);
}
FT_INLINE vec repeat(float x)
{
    return _mm512_set1_ps(x);
}
FT_INLINE vec add(vec a, vec b)
{
    return _mm512_add_ps(a, b);
}
FT_INLINE vec subtract(vec a, vec b)
{
    return _mm512_sub_ps(a, b);
}
FT_INLINE vec multiply(vec a, vec b)
{
    return _mm512_mul_ps(a, b);
}
FT_INLINE vec multiply_add(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}
FT_INLINE vec minus_product(vec a, vec b, vec c)
{
    return _mm512_fnmadd_ps(a, b, c);
} /* c - a b */
/* The second operand is what the instruction returns for NaN. */
FT_INLINE vec clamp(vec v, vec lo, vec hi)
{
    return _mm512_min_ps(hi, _mm512_max_ps(lo, v));
}
FT_INLINE vec divide(vec a, vec b)
{
    return _mm512_div_ps(a, b);
}
/* 2^n from the float n + 1.5 * 2^23, whose lowest bits are the integer n. */
FT_INLINE vec power_of_two(vec v)
{
    return _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_add_epi32(_mm512_castps_si512(v), _mm512_set1_epi32(127)), 23));
}

FT_INLINE half_mask half_mask_first(int n)
{
    return n >= HALF_LANES ? 0xff : n <= 0 ? 0 : (half_mask)((1u << n) - 1);
}
FT_INLINE half half_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
FT_INLINE half half_load_masked(const float *p, half_mask m)
{
    return _mm256_maskz_loadu_ps(m, p);
}
FT_INLINE void half_store_masked(float *p, half_mask m, half v)
{
    _mm256_mask_storeu_ps(p, m, v);
}
FT_INLINE half half_repeat(float x)
{
    return _mm256_set1_ps(x);
}
FT_INLINE half half_of(vec v)
{
    return _mm512_castps512_ps256(v);
}
FT_INLINE half half_add(half a, half b)
{
    return _mm256_add_ps(a, b);
}
FT_INLINE half half_multiply_add(half a, half b, half c)
{
    return _mm256_fmadd_ps(a, b, c);
}
FT_INLINE half half_clamp(half v, half lo, half hi)
{
    return _mm256_min_ps(hi, _mm256_max_ps(lo, v));
}

#if PAIRED
/* Rounds n values to bfloat16. */
FT_INLINE void round_to_bf16(const float *from, int n, uint16_t *to)
{
    int i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES)
        _mm512_storeu_si512(to + i,
                            (__m512i)_mm512_cvtne2ps_pbh(load(from + i + LANES), load(from + i)));
    for (; i < n; i += LANES) {
        const mask lanes = mask_first(n - i);
        _mm256_mask_storeu_epi16(to + i, lanes,
                                 (__m256i)_mm512_cvtneps_pbh(load_masked(from + i, lanes)));
    }
}
#endif

#include "kernels/simd/x86.h"

#endif
