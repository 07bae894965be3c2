/* The sums of int8.h for NEON, and its extensions for products of bytes: dotprod, where both are
 * signed, and i8mm, where one is unsigned. With dotprod alone 128 is subtracted from the inputs,
 * and the sums begin with 128 times the weights. Included by int8.h alone. */
#ifndef FT_KERNELS_INT8_NEON_H
#define FT_KERNELS_INT8_NEON_H

#include <arm_neon.h>

#define SUMS_IN_ONE 0
#if defined(__ARM_FEATURE_DOTPROD) || defined(__ARM_FEATURE_MATMUL_INT8)
#define QUADS 1
#else
#define QUADS 0
#endif
#if QUADS && !defined(__ARM_FEATURE_MATMUL_INT8)
#define SIGNED_INPUTS 1
#else
#define SIGNED_INPUTS 0
#endif

/* Winograd's algorithm is faster from so many channels on. Products of bytes are four times as fast
 * as those of 16 bits, so that it would save nothing. */
enum { WINOGRAD_CHANNELS = QUADS ? 1 << 30 : 32 };

typedef struct {
    int32x4_t v[4];
} sums16;
typedef struct {
    int16x8_t v[2];
} shorts16;

/* The place of value `at` of the unit of a channel, among the values of 16 units of `size`. Of
 * pairs the first values of all channels come first: there is no instruction that adds two products
 * of 16 bits. */
static inline int ft_int8_place(int channel, int at, int size)
{
    return size == 2 ? at * SUMS + channel : channel * size + at;
}

FT_INLINE sums16 sums_load(const int32_t *p)
{
    return (sums16){ { vld1q_s32(p), vld1q_s32(p + 4), vld1q_s32(p + 8), vld1q_s32(p + 12) } };
}

FT_INLINE void sums_store(int32_t *p, sums16 s)
{
    for (int i = 0; i < 4; i++)
        vst1q_s32(p + (ptrdiff_t)4 * i, s.v[i]);
}

/* a + b, a - b, a << n, a >> n, a * b in each sum, modulo 2^32. */
#define EACH_SUM(expression)                                                                       \
    sums16 out;                                                                                    \
    FT_UNROLL                                                                                      \
    for (int i = 0; i < 4; i++)                                                                    \
        out.v[i] = expression;                                                                     \
    return out
FT_INLINE sums16 sums_plus(sums16 a, sums16 b)
{
    EACH_SUM(vaddq_s32(a.v[i], b.v[i]));
}

FT_INLINE sums16 sums_minus(sums16 a, sums16 b)
{
    EACH_SUM(vsubq_s32(a.v[i], b.v[i]));
}

FT_INLINE sums16 sums_times(sums16 a, sums16 b)
{
    EACH_SUM(vmulq_s32(a.v[i], b.v[i]));
}

FT_INLINE sums16 sums_doubled(sums16 a, int n)
{
    EACH_SUM(vshlq_s32(a.v[i], vdupq_n_s32(n)));
}

FT_INLINE sums16 sums_halved(sums16 a, int n)
{
    EACH_SUM(vshlq_s32(a.v[i], vdupq_n_s32(-n)));
}

FT_INLINE sums16 unit_repeated(int32_t unit)
{
    const int32x4_t x = vdupq_n_s32(unit);
    return (sums16){ { x, x, x, x } };
}

FT_INLINE sums16 units_load(const int32_t *p)
{
    return sums_load(p);
}

FT_INLINE void add_pairs(sums16 *s, sums16 x, sums16 w)
{
    FT_UNROLL
    for (int i = 0; i < 4; i++) { /* first values of channels 0-7 and 8-15, then second values */
        const int16x8_t a = vreinterpretq_s16_s32(x.v[i]), b = vreinterpretq_s16_s32(w.v[i]);
        int32x4_t *low = &s->v[i % 2 * 2], *high = low + 1;
        *low = vmlal_s16(*low, vget_low_s16(a), vget_low_s16(b));
        *high = vmlal_high_s16(*high, a, b);
    }
}

FT_INLINE void add_pair(sums16 *s, int32_t pair, sums16 w)
{
    const int16x4_t x = vreinterpret_s16_s32(vdup_n_s32(pair));
    const int16x8_t w0 = vreinterpretq_s16_s32(w.v[0]), w1 = vreinterpretq_s16_s32(w.v[1]),
                    w2 = vreinterpretq_s16_s32(w.v[2]), w3 = vreinterpretq_s16_s32(w.v[3]);
    s->v[0] = vmlal_lane_s16(s->v[0], vget_low_s16(w0), x, 0);
    s->v[1] = vmlal_high_lane_s16(s->v[1], w0, x, 0);
    s->v[2] = vmlal_lane_s16(s->v[2], vget_low_s16(w1), x, 0);
    s->v[3] = vmlal_high_lane_s16(s->v[3], w1, x, 0);
    s->v[0] = vmlal_lane_s16(s->v[0], vget_low_s16(w2), x, 1);
    s->v[1] = vmlal_high_lane_s16(s->v[1], w2, x, 1);
    s->v[2] = vmlal_lane_s16(s->v[2], vget_low_s16(w3), x, 1);
    s->v[3] = vmlal_high_lane_s16(s->v[3], w3, x, 1);
}

#if !QUADS
#define add_quad add_pair /* no unit is a quad */
#else
FT_INLINE void add_quad(sums16 *s, int32_t quad, sums16 w)
{
    const uint8x16_t x = vreinterpretq_u8_s32(vdupq_n_s32(quad));
#if SIGNED_INPUTS
    const int8x16_t less = vreinterpretq_s8_u8(veorq_u8(x, vdupq_n_u8(128)));
#endif
    FT_UNROLL
    for (int i = 0; i < 4; i++) {
        const int8x16_t by = vreinterpretq_s8_s32(w.v[i]);
#if SIGNED_INPUTS
        s->v[i] = vdotq_s32(s->v[i], less, by);
#else
        s->v[i] = vusdotq_s32(s->v[i], x, by);
#endif
    }
}
#endif

FT_INLINE void widen(const uint8_t *from, int16_t *to)
{
    const uint8x16_t x = vld1q_u8(from);
    vst1q_s16(to, vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(x))));
    vst1q_s16(to + 8, vreinterpretq_s16_u16(vmovl_high_u8(x)));
}

FT_INLINE void units_store(int32_t *p, sums16 s)
{
    sums_store(p, s);
}

/* Pairs of a byte of a and one of b. */
FT_INLINE sums16 pairs_of(const uint8_t *a, const uint8_t *b)
{
    const uint8x16_t x = vld1q_u8(a), y = vld1q_u8(b);
    return (sums16){
        { vreinterpretq_s32_u16(vmovl_u8(vget_low_u8(x))), vreinterpretq_s32_u16(vmovl_high_u8(x)),
          vreinterpretq_s32_u16(vmovl_u8(vget_low_u8(y))), vreinterpretq_s32_u16(vmovl_high_u8(y)) }
    };
}

/* 16 bytes less 128. */
FT_INLINE shorts16 shorts_less_128(const uint8_t *p)
{
    const int8x16_t x = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(p), vdupq_n_u8(128)));
    return (shorts16){ { vmovl_s8(vget_low_s8(x)), vmovl_high_s8(x) } };
}

FT_INLINE void shorts_store(int16_t *p, shorts16 x)
{
    vst1q_s16(p, x.v[0]);
    vst1q_s16(p + 8, x.v[1]);
}

FT_INLINE shorts16 shorts_plus(shorts16 a, shorts16 b)
{
    return (shorts16){ { vaddq_s16(a.v[0], b.v[0]), vaddq_s16(a.v[1], b.v[1]) } };
}

FT_INLINE shorts16 shorts_minus(shorts16 a, shorts16 b)
{
    return (shorts16){ { vsubq_s16(a.v[0], b.v[0]), vsubq_s16(a.v[1], b.v[1]) } };
}

FT_INLINE shorts16 shorts_doubled(shorts16 a, int n)
{
    const int16x8_t by = vdupq_n_s16((int16_t)n);
    return (shorts16){ { vshlq_s16(a.v[0], by), vshlq_s16(a.v[1], by) } };
}

/* The 16-bit values of 16 sums after the shift to the left, by negative numbers. */
FT_INLINE shorts16 sums_shift(sums16 s, sums16 shift)
{
    FT_UNROLL
    for (int i = 0; i < 4; i++)
        s.v[i] = vshlq_s32(s.v[i], shift.v[i]);
    return (shorts16){ { vqmovn_high_s32(vqmovn_s32(s.v[0]), s.v[1]),
                         vqmovn_high_s32(vqmovn_s32(s.v[2]), s.v[3]) } };
}

/* Writes 16 floats: sums times steps, plus `other` (nullable), clamped. NaN stays NaN. */
FT_INLINE void floats_of(sums16 s, const float *step, const float *other, float lo, float hi,
                         float *out)
{
    FT_UNROLL
    for (int i = 0; i < 4; i++) {
        const ptrdiff_t at = (ptrdiff_t)4 * i;
        float32x4_t x = vmulq_f32(vcvtq_f32_s32(s.v[i]), vld1q_f32(step + at));
        if (other)
            x = vaddq_f32(x, vld1q_f32(other + at));
        /* as ft_clampf does, which keeps -0 and NaN */
        x = vbslq_f32(vcltq_f32(x, vdupq_n_f32(lo)), vdupq_n_f32(lo), x);
        x = vbslq_f32(vcgtq_f32(x, vdupq_n_f32(hi)), vdupq_n_f32(hi), x);
        vst1q_f32(out + at, x);
    }
}

/* What 16 channels need to become bytes. */
struct ends {
    sums16 shift;
    shorts16 multiplier;
    int16x8_t half, lo, hi, other_zero, other_scale, fraction;
};

FT_INLINE struct ends ends_of(const struct ft_work *w, int c)
{
    const struct ft_int8_constants k = ft_int8_constants(w);
    const struct ft_int8 *i = &w->int8;
    struct ends e = { .shift = sums_load(k.shift + c),
                      .multiplier = sums_shift(sums_load(k.multiplier + c), unit_repeated(0)),
                      .half = vdupq_n_s16((int16_t)i->half),
                      .lo = vdupq_n_s16((int16_t)i->lo),
                      .hi = vdupq_n_s16((int16_t)i->hi),
                      .other_zero = vdupq_n_s16((int16_t)i->other.zero),
                      .other_scale = vdupq_n_s16((int16_t)i->scale_other),
                      .fraction = vdupq_n_s16((int16_t)-i->fraction) };
    for (int k4 = 0; k4 < 4; k4++)
        e.shift.v[k4] = vnegq_s32(e.shift.v[k4]);
    return e;
}

/* Writes 16 bytes. `other` is nullable. */
FT_INLINE void bytes_of(const struct ends *e, sums16 s, const uint8_t *other, uint8_t *out)
{
    shorts16 v = sums_shift(s, e->shift);
    FT_UNROLL
    for (int i = 0; i < 2; i++) {
        v.v[i] = vqrdmulhq_s16(v.v[i], e->multiplier.v[i]);
        if (other) {
            const int16x8_t o = vsubq_s16(
                vreinterpretq_s16_u16(vmovl_u8(vld1_u8(other + (ptrdiff_t)8 * i))), e->other_zero);
            v.v[i] =
                vqaddq_s16(v.v[i], vqrdmulhq_s16(vshlq_n_s16(o, FT_INT8_ADDEND), e->other_scale));
        }
        v.v[i] = vshlq_s16(vqaddq_s16(v.v[i], e->half), e->fraction);
        v.v[i] = vminq_s16(vmaxq_s16(v.v[i], e->lo), e->hi);
    }
    vst1q_u8(out, vqmovun_high_s16(vqmovun_s16(v.v[0]), v.v[1]));
}

#endif
