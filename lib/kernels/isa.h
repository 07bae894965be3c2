/* Names in a source file that is compiled once for each instruction set. The build sets FT_ISA
 * to the name of a set below. It is the suffix of all names that other files can use.
 * Private to kernels/. */
#ifndef FT_KERNELS_ISA_H
#define FT_KERNELS_ISA_H

#include "base/cpu.h"
#include "kernels/kernels.h"

#define FT_PASTE_(a, b) a##_##b
#define FT_PASTE(a, b)  FT_PASTE_(a, b)
#define FT_NAME(name)   FT_PASTE(ft_##name, FT_ISA)
#define FT_QUOTE_(a)    #a
#define FT_QUOTE(a)     FT_QUOTE_(a)
#define FT_ISA_NAME     FT_QUOTE(FT_ISA)
#define FT_ISA_NEEDS    FT_PASTE(FT_NEEDS, FT_ISA)
enum {
    FT_NEEDS_c = 0,
    FT_NEEDS_avx2 = FT_CPU_AVX2,
    FT_NEEDS_avx512 = FT_CPU_AVX512,
    FT_NEEDS_avx512_bf16 = FT_CPU_AVX512_BF16,
    FT_NEEDS_avx512_vnni = FT_CPU_AVX512_VNNI,
    FT_NEEDS_amx_int8 = FT_CPU_AMX_INT8,
    FT_NEEDS_amx_bf16 = FT_CPU_AMX_BF16,
    FT_NEEDS_avx_vnni = FT_CPU_AVX_VNNI,
    FT_NEEDS_neon = FT_CPU_NEON,
    FT_NEEDS_neon_dot = FT_CPU_DOTPROD,
    FT_NEEDS_neon_i8mm = FT_CPU_I8MM,
    FT_NEEDS_neon_bf16 = FT_CPU_NEON_BF16
};

/* Loops over accumulators have constant bounds and must be unrolled: only then do the accumulators
 * stay in registers. Each compiler has its own pragma. */
#if defined(__clang__)
#define FT_UNROLL _Pragma("clang loop unroll(full)")
#else
#define FT_UNROLL _Pragma("GCC unroll 64")
#endif
#define FT_INLINE static inline __attribute__((always_inline))

/* The row ft_NAME_ISA of a kernel `NAME`; further fields of struct ft_kernel_row may follow. */
#define FT_KERNEL_ROW(kernel, ...)                                                                 \
    const struct ft_kernel_row FT_NAME(                                                            \
        kernel) = { .run = kernel, .name = FT_ISA_NAME, .needs = FT_ISA_NEEDS, __VA_ARGS__ }

/* Applies the activation of `work` to n values in place. */
void FT_NAME(activate_values)(const struct ft_work *work, float *x, int n);

#endif
