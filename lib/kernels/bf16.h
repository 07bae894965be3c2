/* bfloat16: the upper 16 bits of a float, rounded to nearest even. Numbers below the smallest
 * normal float become 0, as in the instructions of AVX512_BF16 (ARM's bfcvt rounds them, but its
 * products take them as 0). NaN remains NaN. */
#ifndef FT_KERNELS_BF16_H
#define FT_KERNELS_BF16_H

#include <stdint.h>
#include <string.h>

static inline uint16_t ft_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t size = bits & 0x7fffffff, rounded = bits + 0x7fff + (bits >> 16 & 1);
    return (uint16_t)(size > 0x7f800000   ? bits >> 16 | 0x40
                      : size < 0x00800000 ? bits >> 16 & 0x8000
                                          : rounded >> 16);
}

/* The nearest float that is a bfloat16. */
static inline float ft_bf16_float(float x)
{
    const uint32_t bits = (uint32_t)ft_bf16(x) << 16;
    float rounded;
    memcpy(&rounded, &bits, sizeof rounded);
    return rounded;
}

#endif
