/* Sixteen 32-bit sums at a time (integers.h), for each instruction set. Private to kernels/simd/.
 *
 * A sum grows by units of 4 bytes of K: a pair of 16-bit values, or a quad of bytes if the
 * processor multiplies bytes without saturation (QUADS). Inputs of 16 bits are always pairs. The
 * weights of 16 channels for one unit are 64 bytes, in the order of the sums in the registers
 * (ft_int8_place).
 *
 * int8_x86.h and int8_neon.h define:
 *   sums16                 16 sums, or 16 units of weights
 *   shorts16               16 values of 16 bits, in the order of the channels
 *   sums_load, sums_store  sums in the order of the channels
 *   units_load, _store     64 bytes as they are
 *   add_pair, add_quad     sums += one unit of inputs, repeated, times 16 units of weights
 *   add_pairs              sums += 16 pairs of inputs times 16 pairs of weights
 *   widen, pairs_of        16 bytes to 16-bit values; two times 16 bytes to 16 pairs
 *   shorts_less_128, _store, _plus, _minus, _doubled   16-bit values; doubled n times
 *   sums_plus, _minus, _times, _doubled, _halved, unit_repeated   the same for sums
 *   struct ends, ends_of, bytes_of   sums to bytes
 *   floats_of              sums to floats */
#ifndef FT_KERNELS_INT8_H
#define FT_KERNELS_INT8_H

#include <string.h>

#include "kernels/integers.h"
#include "kernels/isa.h"

enum { SUMS = 16 };

#if defined(__aarch64__) && !defined(FT_EMULATED)
#include "kernels/simd/int8_neon.h"
#else
#include "kernels/simd/int8_x86.h"
#endif

/* Writes n of 16 channels of a pixel; `other` (nullable) may be read up to 16 bytes. */
FT_INLINE void write_bytes(const struct ends *e, sums16 s, const uint8_t *other, uint8_t *out,
                           int n)
{
    if (n >= SUMS) {
        bytes_of(e, s, other, out);
        return;
    }
    uint8_t bytes[SUMS];
    const uint8_t *from = bytes;
    bytes_of(e, s, other, bytes);
    for (int size = SUMS / 2; size; size /= 2) /* unrolled: copies of constant size are fast */
        if (n & size) {
            memcpy(out, from, (size_t)size);
            out += size;
            from += size;
        }
}

/* The same as floats, each times its step, plus `other` (nullable), clamped. */
FT_INLINE void write_floats(const struct ft_work *w, sums16 s, const float *step,
                            const float *other, float *out, int n)
{
    float some[SUMS], addend[SUMS] = { 0 };
    if (n >= SUMS) {
        floats_of(s, step, other, w->lo, w->hi, out);
        return;
    }
    if (other)
        memcpy(addend, other, (size_t)n * sizeof *addend);
    floats_of(s, step, other ? addend : NULL, w->lo, w->hi, some);
    memcpy(out, some, (size_t)n * sizeof *out);
}

/* Writes 16 channels, from c on, of `count` pixels, whose first values are at out[..] of the output
 * and other[..] of the addend. */
FT_INLINE void write_pixels(const struct ft_work *w, const struct ends *e, const sums16 *s,
                            const ptrdiff_t *out, const ptrdiff_t *other, int c, int count)
{
    const int n = w->out.c - c;
    uint8_t *bytes = (uint8_t *)(void *)w->out.data + c;
    const uint8_t *addend = (const uint8_t *)(const void *)w->other.data; /* nullable */
    const float *step = ft_int8_constants(w).step + c;
    if (w->int8.floats)
        for (int i = 0; i < count; i++)
            write_floats(w, s[i], step, addend ? w->other.data + other[i] + c : NULL,
                         w->out.data + c + out[i], n);
    else if (addend)
        for (int i = 0; i < count; i++)
            write_bytes(e, s[i], addend + other[i] + c, bytes + out[i], n);
    else
        for (int i = 0; i < count; i++)
            write_bytes(e, s[i], NULL, bytes + out[i], n);
}

#endif
