/* Loops over the pixels of a step. Private to kernels/loops/. */
#ifndef FT_KERNELS_LOOPS_PIXELS_H
#define FT_KERNELS_LOOPS_PIXELS_H

#include "kernels/isa.h"

/* BODY sees `in` and `out` at channel c0 of pixel (y, x), and n channels. */
#define EACH_PIXEL(w, BODY)                                                                        \
    for (int y = (w)->y0; y < (w)->y1; y++)                                                        \
        for (int x = 0; x < (w)->out.w; x++) {                                                     \
            const float *in = ft_map_at(&(w)->in, y, x) + (w)->c0;                                 \
            float *out = ft_map_to(&(w)->out, y, x) + (w)->c0;                                     \
            const int n = (w)->c1 - (w)->c0;                                                       \
            BODY                                                                                   \
        }

#endif
