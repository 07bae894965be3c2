/* The same functions for AVX2, AVX-512 and NEON, so that a kernel is written once and compiled for
 * each, with different tile sizes: one header for each defines vec, half, mask and the functions. A
 * `mask` covers the first n lanes of a vector; the other lanes load as 0.
 *
 * A header also says what its products take: DEPTH values of K of a filter lie side by side, a step
 * takes STEP floats of a row, and TOGETHER rows are multiplied in one instruction. If
 * PAIRED, products are of bfloat16 values, two of which lie in a float. TILED: by AMX. */
#ifndef FT_KERNELS_SIMD_H
#define FT_KERNELS_SIMD_H

#include "kernels/isa.h"

#if defined(__AVX512F__) || defined(FT_EMULATED)
#include "kernels/simd/avx512.h"
#elif defined(__AVX2__)
#include "kernels/simd/avx2.h"
#else
#include "kernels/simd/neon.h"
#endif

/* Applies the activation of `work` to n channels of each pixel, which begins at x + at[..]. */
void FT_NAME(activate_pixels)(const struct ft_work *work, float *x, const ptrdiff_t *at, int pixels,
                              int n);

#endif
