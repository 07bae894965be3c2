/* The vectors of simd.h for AVX2 and FMA. Included by simd.h alone. */
#ifndef FT_KERNELS_AVX2_H
#define FT_KERNELS_AVX2_H

#include <immintrin.h>

typedef __m256 vec;
typedef __m128 half;
typedef __m256i mask;
typedef __m128i half_mask;
enum { LANES = 8, HALF_LANES = 4 };
#define FT_PRODUCT "vfmadd231ps"
#define PAIRED     0
#define TILED      0
enum { DEPTH = 1, STEP = 1, TOGETHER = 1 };

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

#include "kernels/simd/x86.h"

#endif
