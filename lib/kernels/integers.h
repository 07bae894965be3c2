/* The arithmetic of int8 steps, defined in integers only, so that each row on each processor
 * computes the same bits.
 *
 * An activation is a byte q. It stands for the number step * (q - zero). The pixels of a picture,
 * which the first convolution reads, have 16 bits (`wide`): their steps are finer, and zero is 0.
 * A weight is a whole number times the step of its output channel: of at most 7 bits and a sign for
 * bytes, of more where inputs are wide and in depthwise convolutions, which have few weights.
 *
 * Products are summed in 32 bits. The planner limits the weights so that no sum overflows. A sum
 * becomes a byte of the output in two steps (ft_int8_of): a shift to 16 bits, then a product with a
 * 16-bit fraction in [1/2, 1), both rounded to nearest, half up. Between them and the result are
 * `fraction` bits below the output's step, in which an addend is added. Values outside 16 bits
 * saturate. See R. David et al., TensorFlow Lite Micro, 2021, and gemmlowp, for the idea: a real
 * factor is a shift and a fraction. */
#ifndef FT_KERNELS_INTEGERS_H
#define FT_KERNELS_INTEGERS_H

#include "kernels/kernels.h"

enum {
    FT_INT8_FRACTION = 6, /* at most; fewer bits if a factor is large */
    FT_INT8_WIDE = 2047,  /* the largest pixel */
    FT_INT8_SHIFT_MOST = 24,
    FT_INT8_ADDEND = 7 /* bits by which a byte less its zero is shifted before it is scaled */
};

/* The constants of the output channels of a convolution, [FT_INT8_CONSTANTS arrays of `room`
 * values], in work->bias. `room` is the number of channels, rounded up to a multiple of 64. */
enum { FT_INT8_CONSTANTS = 3 };
struct ft_int8_constants {
    /* the sum before the first product: bias, the zeros of the inputs, and half a unit of the shift
     */
    const int32_t *bias;
    const int32_t *multiplier; /* the fraction in units of 2^-15; its upper 16 bits are 0 */
    const int32_t *shift;
    const float *step; /* work->int8.floats: the number that a sum of 1 stands for; same memory as
                        * `multiplier` */
};
static inline struct ft_int8_constants ft_int8_constants(const struct ft_work *w)
{
    const size_t room = ((size_t)w->out.c + 63) / 64 * 64;
    const int32_t *at = (const int32_t *)(const void *)w->bias;
    return (struct ft_int8_constants){ at, at + room, at + 2 * room,
                                       (const float *)(const void *)(at + room) };
}

static inline int32_t ft_int8_saturate(int32_t x)
{
    return x < -32768 ? -32768 : x > 32767 ? 32767 : x;
}

/* a * b / 2^15 of 16-bit numbers, rounded half up: the instructions pmulhrsw and sqrdmulh. */
static inline int32_t ft_int8_multiply(int32_t a, int32_t b)
{
    return (a * b + (1 << 14)) >> 15;
}

/* An addend, in units of the output's step / 2^fraction. */
static inline int32_t ft_int8_addend(uint8_t q, int zero, int multiplier)
{
    return ft_int8_multiply((q - zero) * (1 << FT_INT8_ADDEND), multiplier);
}

/* A byte of the output from a number in units of its step / 2^fraction. */
static inline uint8_t ft_int8_round(const struct ft_int8 *i, int32_t value)
{
    const int32_t q = ft_int8_saturate(value + i->half) >> i->fraction;
    return (uint8_t)(q < i->lo ? i->lo : q > i->hi ? i->hi : q);
}

/* A sum, which began with constants->bias, in units of the output's step / 2^fraction. */
static inline int32_t ft_int8_of(int32_t sum, int32_t multiplier, int32_t shift)
{
    return ft_int8_multiply(ft_int8_saturate(sum >> shift), multiplier);
}

static inline const uint8_t *ft_bytes_at(const struct ft_map *m, int y, int x)
{
    return (const uint8_t *)(const void *)m->data + y * m->row + (ptrdiff_t)x * m->pixel;
}

static inline uint8_t *ft_bytes_to(const struct ft_map *m, int y, int x)
{
    return (uint8_t *)(void *)m->data + y * m->row + (ptrdiff_t)x * m->pixel;
}

/* The same for wide values. */
static inline const int16_t *ft_wide_at(const struct ft_map *m, int y, int x)
{
    return (const int16_t *)(const void *)m->data + y * m->row + (ptrdiff_t)x * m->pixel;
}

/* ---- for the planner ------------------------------------------------------------------------- */

/* The scale of values from lo to hi, so that 0 is a byte. */
struct ft_quantum ft_int8_scale(float lo, float hi);
/* Sets fraction, half and the limits of the bytes from the scales in work->int8 and work->lo and
 * hi, and the multipliers of addends. `factor` is the largest number of output steps that a unit of
 * a sum stands for; 0: the step is no convolution. Returns false if the factor is too large for
 * the arithmetic. */
bool ft_int8_settle(struct ft_work *work, double factor);
/* Turns the kernel [K, channels] of a convolution into whole numbers, and writes the constants of
 * its channels. `bias` [channels] is nullable. Settles the work. Returns false as above. */
bool ft_int8_weights(struct ft_work *work, bool depthwise, float *kernel, const float *bias,
                     int32_t *constants);

#endif
