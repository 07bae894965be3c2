/* The same functions for AVX2 and AVX-512, so that a kernel is written once and compiled for both,
 * with different tile sizes. A `mask` covers the first n lanes of a vector; the other lanes load as
 * 0. */
#ifndef FT_KERNELS_SIMD_H
#define FT_KERNELS_SIMD_H

#include <immintrin.h>

#include "kernels/isa.h"

/* Loops over accumulators have constant bounds and must be unrolled: only then do the accumulators
 * stay in registers. Each compiler has its own pragma. */
#if defined(__clang__)
#define FT_UNROLL _Pragma("clang loop unroll(full)")
#else
#define FT_UNROLL _Pragma("GCC unroll 64")
#endif
#define FT_INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)

typedef __m512 vec;
typedef __m256 half;
typedef __mmask16 mask;
typedef __mmask8 half_mask;
enum { LANES = 16, HALF_LANES = 8 };

#if defined(__AVX512BF16__)
/* Products are of pairs: a lane of a weight or an input has the bfloat16 values of two neighbours
 * in K, the first in the lower half. The sums are floats. */
#define FT_PRODUCT "vdpbf16ps"
#define PAIRED     1
#else
#define FT_PRODUCT "vfmadd231ps"
#define PAIRED     0
#endif

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

#else

typedef __m256 vec;
typedef __m128 half;
typedef __m256i mask;
typedef __m128i half_mask;
enum { LANES = 8, HALF_LANES = 4 };
#define FT_PRODUCT "vfmadd231ps"
#define PAIRED     0

FT_INLINE mask mask_first(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
FT_INLINE vec load(const float *p)
{
    return _mm256_loadu_ps(p);
}
FT_INLINE vec load_masked(const float *p, mask m)
{
    return _mm256_maskload_ps(p, m);
}
FT_INLINE void store(float *p, vec v)
{
    _mm256_storeu_ps(p, v);
}
FT_INLINE void store_masked(float *p, mask m, vec v)
{
    _mm256_maskstore_ps(p, m, v);
}
FT_INLINE vec repeat(float x)
{
    return _mm256_set1_ps(x);
}
FT_INLINE vec add(vec a, vec b)
{
    return _mm256_add_ps(a, b);
}
FT_INLINE vec subtract(vec a, vec b)
{
    return _mm256_sub_ps(a, b);
}
FT_INLINE vec multiply(vec a, vec b)
{
    return _mm256_mul_ps(a, b);
}
FT_INLINE vec multiply_add(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}
FT_INLINE vec minus_product(vec a, vec b, vec c)
{
    return _mm256_fnmadd_ps(a, b, c);
}
FT_INLINE vec clamp(vec v, vec lo, vec hi)
{
    return _mm256_min_ps(hi, _mm256_max_ps(lo, v));
}
FT_INLINE vec divide(vec a, vec b)
{
    return _mm256_div_ps(a, b);
}
FT_INLINE vec power_of_two(vec v)
{
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_add_epi32(_mm256_castps_si256(v), _mm256_set1_epi32(127)), 23));
}

FT_INLINE half_mask half_mask_first(int n)
{
    return _mm_cmpgt_epi32(_mm_set1_epi32(n), _mm_setr_epi32(0, 1, 2, 3));
}
FT_INLINE half half_load(const float *p)
{
    return _mm_loadu_ps(p);
}
FT_INLINE half half_load_masked(const float *p, half_mask m)
{
    return _mm_maskload_ps(p, m);
}
FT_INLINE void half_store_masked(float *p, half_mask m, half v)
{
    _mm_maskstore_ps(p, m, v);
}
FT_INLINE half half_repeat(float x)
{
    return _mm_set1_ps(x);
}
FT_INLINE half half_of(vec v)
{
    return _mm256_castps256_ps128(v);
}
FT_INLINE half half_add(half a, half b)
{
    return _mm_add_ps(a, b);
}
FT_INLINE half half_multiply_add(half a, half b, half c)
{
    return _mm_fmadd_ps(a, b, c);
}
FT_INLINE half half_clamp(half v, half lo, half hi)
{
    return _mm_min_ps(hi, _mm_max_ps(lo, v));
}

#endif

/* Applies the activation of `work` to n channels of each pixel, which begins at x + at[..]. */
void FT_NAME(activate_pixels)(const struct ft_work *work, float *x, const ptrdiff_t *at, int pixels,
                              int n);

#endif
