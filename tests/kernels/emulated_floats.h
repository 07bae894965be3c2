/* The functions of avx512.h and convolution.c that SIMDe 0.7.4 lacks: masks, and rounding to
 * bfloat16. The build includes this file before a source after emulated.h. */
#ifndef FT_TESTS_EMULATED_FLOATS_H
#define FT_TESTS_EMULATED_FLOATS_H

#include <string.h>

#include "kernels/bf16.h"

typedef simde__mmask16 __mmask16;
typedef simde__mmask8 __mmask8;

static inline void emulated_load(const float *from, unsigned lanes, int n, float *to)
{
    for (int i = 0; i < n; i++)
        to[i] = lanes >> i & 1 ? from[i] : 0;
}

static inline void emulated_store(const float *from, unsigned lanes, int n, float *to)
{
    for (int i = 0; i < n; i++)
        if (lanes >> i & 1)
            to[i] = from[i];
}

static inline simde__m512 emulated_load_16(unsigned lanes, const float *p)
{
    float x[16];
    emulated_load(p, lanes, 16, x);
    return simde_mm512_loadu_ps(x);
}

static inline simde__m256 emulated_load_8(unsigned lanes, const float *p)
{
    float x[8];
    emulated_load(p, lanes, 8, x);
    return simde_mm256_loadu_ps(x);
}

static inline void emulated_store_16(float *p, unsigned lanes, simde__m512 v)
{
    float x[16];
    simde_mm512_storeu_ps(x, v);
    emulated_store(x, lanes, 16, p);
}

static inline void emulated_store_8(float *p, unsigned lanes, simde__m256 v)
{
    float x[8];
    simde_mm256_storeu_ps(x, v);
    emulated_store(x, lanes, 8, p);
}

static inline simde__m256i emulated_round_16(simde__m512 v)
{
    float x[16];
    uint16_t rounded[16];
    simde_mm512_storeu_ps(x, v);
    for (int i = 0; i < 16; i++)
        rounded[i] = ft_bf16(x[i]);
    return simde_mm256_loadu_si256((const simde__m256i *)(const void *)rounded);
}

/* The values of `low` come first. */
static inline simde__m512i emulated_round_32(simde__m512 high, simde__m512 low)
{
    const simde__m256i halves[2] = { emulated_round_16(low), emulated_round_16(high) };
    simde__m512i both;
    memcpy(&both, halves, sizeof both);
    return both;
}

static inline void emulated_store_shorts(void *p, unsigned lanes, simde__m256i v)
{
    uint16_t x[16];
    memcpy(x, &v, sizeof x);
    for (int i = 0; i < 16; i++)
        if (lanes >> i & 1)
            memcpy((uint16_t *)p + i, &x[i], sizeof *x);
}

#undef _mm512_maskz_loadu_ps
#undef _mm256_maskz_loadu_ps
#undef _mm512_mask_storeu_ps
#undef _mm256_mask_storeu_ps
#undef _mm256_mask_storeu_epi16
#define _mm512_maskz_loadu_ps(m, p)       emulated_load_16(m, p)
#define _mm256_maskz_loadu_ps(m, p)       emulated_load_8(m, p)
#define _mm512_mask_storeu_ps(p, m, v)    emulated_store_16(p, m, v)
#define _mm256_mask_storeu_ps(p, m, v)    emulated_store_8(p, m, v)
#define _mm256_mask_storeu_epi16(p, m, v) emulated_store_shorts(p, m, v)
#define _mm512_cvtneps_pbh(v)             emulated_round_16(v)
#define _mm512_cvtne2ps_pbh(high, low)    emulated_round_32(high, low)

#endif
