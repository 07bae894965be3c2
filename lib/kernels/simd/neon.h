/* The vectors of simd.h for NEON, which every 64-bit ARM processor has. A vector is two registers:
 * ARM has 32 registers of 4 lanes where AVX2 has 16 of 8. NEON has no masked loads and stores: a
 * mask is a number of lanes. Included by simd.h alone. */
#ifndef FT_KERNELS_NEON_H
#define FT_KERNELS_NEON_H

#include <arm_neon.h>

#include "kernels/bf16.h"

typedef float32x4_t half;
typedef struct {
    half low, high;
} vec;
typedef int mask;
typedef int half_mask;
enum { LANES = 8, HALF_LANES = 4 };
#if defined(FT_BF16)
/* A product (bfmmla) is of two rows and two filters, four values of K each. It adds to a block of
 * sums: [2 rows][2 filters]. */
#define PAIRED 1
enum { DEPTH = 4, STEP = 4, TOGETHER = 2 };
#else
#define PAIRED 0
enum { DEPTH = 1, STEP = 1, TOGETHER = 1 };
#endif
#define TILED 0

FT_INLINE half half_load(const float *p)
{
    return vld1q_f32(p);
}
FT_INLINE half half_load_masked(const float *p, half_mask m)
{
    float lanes[HALF_LANES] = { 0 };
    for (int i = 0; i < m; i++)
        lanes[i] = p[i];
    return vld1q_f32(lanes);
}
FT_INLINE void half_store_masked(float *p, half_mask m, half v)
{
    float lanes[HALF_LANES];
    vst1q_f32(lanes, v);
    for (int i = 0; i < m; i++)
        p[i] = lanes[i];
}
FT_INLINE half half_repeat(float x)
{
    return vdupq_n_f32(x);
}
FT_INLINE half half_add(half a, half b)
{
    return vaddq_f32(a, b);
}
FT_INLINE half half_multiply_add(half a, half b, half c)
{
    return vfmaq_f32(c, a, b);
}
FT_INLINE half half_clamp(half v, half lo, half hi)
{
    return vminq_f32(hi, vmaxq_f32(lo, v));
}
FT_INLINE half_mask half_mask_first(int n)
{
    return n >= HALF_LANES ? HALF_LANES : n <= 0 ? 0 : n;
}

FT_INLINE mask mask_first(int n)
{
    return n >= LANES ? LANES : n <= 0 ? 0 : n;
}
FT_INLINE half half_of(vec v)
{
    return v.low;
}
FT_INLINE vec load(const float *p)
{
    return (vec){ vld1q_f32(p), vld1q_f32(p + HALF_LANES) };
}
FT_INLINE vec load_masked(const float *p, mask m)
{
    return (vec){ half_load_masked(p, half_mask_first(m)),
                  half_load_masked(p + HALF_LANES, half_mask_first(m - HALF_LANES)) };
}
FT_INLINE void store(float *p, vec v)
{
    vst1q_f32(p, v.low);
    vst1q_f32(p + HALF_LANES, v.high);
}
FT_INLINE void store_masked(float *p, mask m, vec v)
{
    half_store_masked(p, half_mask_first(m), v.low);
    half_store_masked(p + HALF_LANES, half_mask_first(m - HALF_LANES), v.high);
}
FT_INLINE vec repeat(float x)
{
    const half v = vdupq_n_f32(x);
    return (vec){ v, v };
}
FT_INLINE vec add(vec a, vec b)
{
    return (vec){ vaddq_f32(a.low, b.low), vaddq_f32(a.high, b.high) };
}
FT_INLINE vec subtract(vec a, vec b)
{
    return (vec){ vsubq_f32(a.low, b.low), vsubq_f32(a.high, b.high) };
}
FT_INLINE vec multiply(vec a, vec b)
{
    return (vec){ vmulq_f32(a.low, b.low), vmulq_f32(a.high, b.high) };
}
FT_INLINE vec multiply_add(vec a, vec b, vec c)
{
    return (vec){ vfmaq_f32(c.low, a.low, b.low), vfmaq_f32(c.high, a.high, b.high) };
}
FT_INLINE vec minus_product(vec a, vec b, vec c)
{
    return (vec){ vfmsq_f32(c.low, a.low, b.low), vfmsq_f32(c.high, a.high, b.high) };
} /* c - a b */
/* NaN stays NaN. */
FT_INLINE vec clamp(vec v, vec lo, vec hi)
{
    return (vec){ half_clamp(v.low, lo.low, hi.low), half_clamp(v.high, lo.high, hi.high) };
}
FT_INLINE vec divide(vec a, vec b)
{
    return (vec){ vdivq_f32(a.low, b.low), vdivq_f32(a.high, b.high) };
}
FT_INLINE half half_power_of_two(half v)
{
    return vreinterpretq_f32_s32(
        vshlq_n_s32(vaddq_s32(vreinterpretq_s32_f32(v), vdupq_n_s32(127)), 23));
}
/* 2^n from the float n + 1.5 * 2^23, whose lowest bits are the integer n. */
FT_INLINE vec power_of_two(vec v)
{
    return (vec){ half_power_of_two(v.low), half_power_of_two(v.high) };
}

/* sum += x * w, in place, as for AVX2. */
FT_INLINE void half_into(half *sum, half x, half w)
{
    __asm__("fmla %0.4s, %1.4s, %2.4s" : "+w"(*sum) : "w"(x), "w"(w));
}
FT_INLINE void into(vec *sum, vec x, vec w)
{
    half_into(&sum->low, x.low, w.low);
    half_into(&sum->high, x.high, w.high);
}
FT_INLINE vec in_register(vec v)
{
    __asm__("" : "+w"(v.low), "+w"(v.high));
    return v;
}

#if defined(FT_BF16)
FT_INLINE half first_halves(half a, half b)
{
    return vreinterpretq_f32_f64(vzip1q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)));
}
FT_INLINE half second_halves(half a, half b)
{
    return vreinterpretq_f32_f64(vzip2q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)));
}
/* Makes blocks of the sums of two rows: a has those of filters 0, 1 and 4, 5 then, b those of
 * filters 2, 3 and 6, 7. The same function makes rows of blocks. */
FT_INLINE void exchange_blocks(vec *a, vec *b)
{
    const vec first = *a, second = *b;
    *a = (vec){ first_halves(first.low, second.low), first_halves(first.high, second.high) };
    *b = (vec){ second_halves(first.low, second.low), second_halves(first.high, second.high) };
}
/* block += x * w, in place. */
FT_INLINE void block_into(half *block, half x, half w)
{
    __asm__("bfmmla %0.4s, %1.8h, %2.8h" : "+w"(*block) : "w"(x), "w"(w));
}
/* Rounds n values to bfloat16. */
FT_INLINE void round_to_bf16(const float *from, int n, uint16_t *to)
{
    int i = 0;
    for (; i + LANES <= n; i += LANES) {
        const bfloat16x8_t low = vcvtq_low_bf16_f32(vld1q_f32(from + i));
        vst1q_u16(to + i, vreinterpretq_u16_bf16(
                              vcvtq_high_bf16_f32(low, vld1q_f32(from + i + HALF_LANES))));
    }
    for (; i < n; i++)
        to[i] = ft_bf16(from[i]);
}
#endif

#endif
