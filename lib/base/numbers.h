/* Small arithmetic that several rooms share. */
#ifndef FT_BASE_NUMBERS_H
#define FT_BASE_NUMBERS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Index of the largest of v [n], n at least 1; the first of equal ones. */
static inline int ft_argmax(const float *v, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++) {
        if (v[i] > v[best])
            best = i;
    }
    return best;
}

static inline int ft_min(int a, int b)
{
    return a < b ? a : b;
}

static inline int ft_max(int a, int b)
{
    return a > b ? a : b;
}

static inline size_t ft_max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* v confined to [low, high]; NaN stays NaN. */
static inline double ft_clamp(double v, double low, double high)
{
    return v < low ? low : v > high ? high : v;
}

static inline float ft_clampf(float v, float low, float high)
{
    return v < low ? low : v > high ? high : v;
}

/* For qsort: doubles, smallest first. */
static inline int ft_order_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value of an IEEE 754 half-precision number, exact for all of them. */
static inline float ft_half(uint16_t h)
{
    const uint32_t magnitude = (uint32_t)(h & 0x7fff) << 13, sign = (uint32_t)(h & 0x8000) << 16;
    float x;
    memcpy(&x, &magnitude, sizeof x);
    x *= 0x1p112f; /* the difference of the exponents' biases */
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (magnitude >= 0x0f800000 ? magnitude | 0x7f800000 : bits) | sign; /* infinity, NaN */
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The value of a bfloat16, the upper half of a float. */
static inline float ft_bfloat16(uint16_t b)
{
    const uint32_t bits = (uint32_t)b << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

#endif
