/* Products of int8 convolutions: rows of inputs times the weights of 16 filters. */
#ifndef FT_KERNELS_INT8_TILES_H
#define FT_KERNELS_INT8_TILES_H

#include "kernels/simd/int8.h"

#if defined(SUMS_IN_ONE) && SUMS_IN_ONE
enum { TILE = 24 }; /* rows that are computed at a time */
#else
enum { TILE = 6 };
#endif
enum { UNIT = 4 /* bytes of K in a row of inputs; int8.h */ };

/* Some rows, each of which gives 16 sums. */
struct tile {
    const struct ft_work *work;
    const uint8_t *in; /* the first row */
    size_t row;        /* bytes from row to row */
    const int32_t *weights;
    size_t depth; /* units of K */
    bool quads;   /* a unit is 4 bytes, not 2 values of 16 bits */
    int32_t start[SUMS];
    /* where the sums are stored as they are (units_store), `step` apart; or NULL, then they become
     * filters c .. c + 16 of pixels that begin at out[..] of the map, with the addends at
     * other[..] */
    int32_t *sums;
    size_t step;
    const ptrdiff_t *out, *other;
    int c;
    struct ends ends;
};

/* Computes n rows. */
void FT_NAME(int8_tiles)(struct tile first, int n);

#endif
