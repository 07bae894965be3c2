/* Gathering the inputs of int8 convolutions as rows of K values. Private to kernels/simd/. */
#ifndef FT_KERNELS_INT8_GATHER_H
#define FT_KERNELS_INT8_GATHER_H

#include "kernels/simd/int8.h"

/* Copies n bytes, or widens them. Up to 15 more are read and written. */
static void copy_bytes(const void *from, int n, void *to)
{
    for (int i = 0; i < n; i += SUMS)
        memcpy((uint8_t *)to + i, (const uint8_t *)from + i, SUMS);
}

static void widen_bytes(const uint8_t *from, int n, int16_t *to)
{
    for (int i = 0; i < n; i += SUMS)
        widen(from + i, to + i);
}

/* Writes the K inputs of a pixel of the output. Bytes remain bytes (as_bytes) or become 16-bit
 * values. Up to 30 bytes more are written. */
static void gather_pixel(const struct ft_work *w, int y, int x, const bool as_bytes, uint8_t *to)
{
    const bool touching = w->dilation[1] == 1 && w->in.pixel == w->in.c;
    const int across = touching ? 1 : w->kernel[1], n = touching ? w->kernel[1] * w->in.c : w->in.c,
              top = y * w->stride[0] - w->pad[0], left = x * w->stride[1] - w->pad[1];
    for (int ky = 0; ky < w->kernel[0]; ky++)
        for (int kx = 0; kx < across; kx++, to += as_bytes ? n : 2 * n) {
            const int at_y = top + ky * w->dilation[0], at_x = left + kx * w->dilation[1];
            if (w->int8.wide)
                copy_bytes(ft_wide_at(&w->in, at_y, at_x), 2 * n, to);
            else if (as_bytes)
                copy_bytes(ft_bytes_at(&w->in, at_y, at_x), n, to);
            else
                widen_bytes(ft_bytes_at(&w->in, at_y, at_x), n, (int16_t *)(void *)to);
        }
}

#endif
