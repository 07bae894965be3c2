/* exp and 2^x of a few vectors at a time, in the same way as loops/exp.h. One vector is a chain of
 * instructions that wait for each other; the chains of several overlap. */
#ifndef FT_KERNELS_SIMD_EXP_H
#define FT_KERNELS_SIMD_EXP_H

#include "kernels/simd/simd.h"

/* Vectors of a panel, as many as the registers hold. */
#if defined(__AVX512F__)
enum { AT_ONCE = 2 };
#else
enum { AT_ONCE = 3 };
#endif

/* x[i] = polynomial(x[i]) * 2^n, where n is in the low bits of shifted[i]. */
FT_INLINE void scaled_polynomials(const float *terms, const int count, const vec *shifted, vec *x,
                                  const int n)
{
    vec p[AT_ONCE];
    FT_UNROLL
    for (int i = 0; i < n; i++)
        p[i] = repeat(terms[0]);
    FT_UNROLL
    for (int k = 1; k < count; k++)
        FT_UNROLL
    for (int i = 0; i < n; i++)
        p[i] = multiply_add(p[i], x[i], repeat(terms[k]));
    FT_UNROLL
    for (int i = 0; i < n; i++)
        x[i] = multiply(p[i], power_of_two(shifted[i]));
}

/* x[i] = e^x[i], for x from -87 to 87. */
FT_INLINE void exponentials_of(vec *x, const int n)
{
    static const float terms[] = { 1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1, 1 };
    const vec magic = repeat(12582912.0f);
    vec shifted[AT_ONCE];
    FT_UNROLL
    for (int i = 0; i < n; i++) {
        shifted[i] = multiply_add(x[i], repeat(1.44269504f), magic);
        const vec whole = subtract(shifted[i], magic);
        x[i] = multiply_add(whole, repeat(2.12194440e-4f),
                            minus_product(whole, repeat(0.693359375f), x[i]));
    }
    scaled_polynomials(terms, 7, shifted, x, n);
}

/* x[i] = 2^x[i], for x from -126 to 126. */
FT_INLINE void powers_of_two(vec *x, const int n)
{
    static const float terms[] = { 0.00132764655f, 0.00967554096f, 0.0555071346f,
                                   0.240221202f,   0.693146944f,   1.00000012f };
    const vec magic = repeat(12582912.0f);
    vec shifted[AT_ONCE];
    FT_UNROLL
    for (int i = 0; i < n; i++) {
        shifted[i] = add(x[i], magic);
        x[i] = subtract(x[i], subtract(shifted[i], magic));
    }
    scaled_polynomials(terms, 6, shifted, x, n);
}

#endif
