/* The instruction sets that kernels may use. FINETUNE_CPU limits them to one of these names and
 * what it implies: c, avx2, avx_vnni, avx512, avx512_vnni, neon, neon_dot. Any other value is no
 * limit. It never adds one that the processor lacks. */
#ifndef FT_BASE_CPU_H
#define FT_BASE_CPU_H

enum {
    FT_CPU_AVX2 = 1,        /* AVX2 and FMA */
    FT_CPU_AVX512 = 2,      /* AVX-512 F, BW, DQ and VL; implies AVX2 */
    FT_CPU_AVX512_BF16 = 4, /* products of bfloat16; implies AVX512 */
    FT_CPU_NEON = 8,        /* every 64-bit ARM processor has it */
    /* sums of products of bytes, without saturation: */
    FT_CPU_AVX512_VNNI = 16, /* implies AVX512 */
    FT_CPU_AVX_VNNI = 32,    /* on vectors of 256 bits; implies AVX2 */
    FT_CPU_DOTPROD = 64,     /* both signed; implies NEON */
    FT_CPU_I8MM = 128,       /* unsigned by signed; implies DOTPROD */
};

/* A set of the flags above. The first call reads the processor and FINETUNE_CPU; later calls return
 * the same set. Any thread may call it. */
unsigned ft_cpu_features(void);
/* Limits the set to `name` (as above) from now on; NULL: to what FINETUNE_CPU says. For tests and
 * benchmarks: plans that exist keep the kernels that they chose.
 */
void ft_cpu_limit(const char *name);

#endif
