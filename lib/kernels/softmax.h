/* The exponentials of attention: a step of loops/attention.c that simd/ has for its vectors.
 * Private to kernels/. */
#ifndef FT_KERNELS_SOFTMAX_H
#define FT_KERNELS_SOFTMAX_H

#include "kernels/isa.h"

/* Replaces scores [n], n > 0, by e^(score - largest), and returns 1 / their sum. */
float FT_NAME(exponentials)(float *x, int n);

#endif
