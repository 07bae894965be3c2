/* exp as a degree-6 polynomial after the usual reduction by ln 2 (W. J. Cody and W. Waite, Software
 * Manual for the Elementary Functions, 1980), correct to 2 units in the last place, and 2^x.
 * Private to kernels/loops/. */
#ifndef FT_KERNELS_LOOPS_EXP_H
#define FT_KERNELS_LOOPS_EXP_H

#include <stdint.h>

/* 2^n, where `shifted` is n + 1.5 * 2^23: n is in its low bits. */
static inline float power_of(float shifted)
{
    union {
        float f;
        uint32_t u;
    } power = { shifted };
    power.u = (power.u + 127) << 23;
    return power.f;
}

/* e^x for x <= 0; e^-87 for x below -87. */
static inline float exp_negative(float x)
{
    /* 1.5 * 2^23: adding it rounds to an integer and leaves that integer in the low bits */
    const float magic = 12582912.0f;
    x = x < -87.0f ? -87.0f : x;
    const float shifted = x * 1.44269504f + magic, n = shifted - magic;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1;
    p = p * r + 1;
    return p * power_of(shifted);
}

/* 2^x for x from -126 to 126, with a least-squares polynomial of degree 5, correct to 2 units in
 * the last place. */
static inline float power_of_two(float x)
{
    const float magic = 12582912.0f, shifted = x + magic, r = x - (shifted - magic);
    float p = 0.00132764655f;
    p = p * r + 0.00967554096f;
    p = p * r + 0.0555071346f;
    p = p * r + 0.240221202f;
    p = p * r + 0.693146944f;
    p = p * r + 1.00000012f;
    return p * power_of(shifted);
}

#endif
