/* The instruction sets that kernels may use. FINETUNE_CPU limits them to one of these names and
 * what it implies: c, avx2, avx_vnni, avx512, avx512_vnni, avx512_bf16 (with avx512_vnni; all but
 * AMX), neon, neon_dot (both without FEAT_BF16). Any other value is no limit. It never adds one
 * that the processor lacks. */
#ifndef FT_BASE_CPU_H
#define FT_BASE_CPU_H

#include <stdint.h>

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
    /* AMX, products of tiles: only on Linux, and only if it gives this process permission */
    FT_CPU_AMX_INT8 = 256,   /* of bytes; implies AVX512_VNNI */
    FT_CPU_AMX_BF16 = 512,   /* of bfloat16; implies AVX512_BF16 */
    FT_CPU_NEON_BF16 = 1024, /* products of bfloat16 (ARM's FEAT_BF16); implies NEON */
};

/* A set of the flags above. The first call reads the processor and FINETUNE_CPU; later calls return
 * the same set. Any thread may call it. */
unsigned ft_cpu_features(void);
/* Limits the set to `name` (as above) from now on; NULL: to what FINETUNE_CPU says. For tests and
 * benchmarks: plans that exist keep the kernels that they chose.
 */
void ft_cpu_limit(const char *name);
/* Those of the `features` that the limit `name` (nullable) allows. */
unsigned ft_cpu_limited(unsigned features, const char *name);

/* What a processor and an operating system say of AMX: EDX of CPUID leaf 7, EBX and ECX of leaf
 * 0x1D, part 1, and the register XCR0. */
struct ft_cpu_amx {
    unsigned leaf7, palette_names, palette_rows;
    uint64_t xcr0;
};
/* The flags of AMX that follow, if the other `features` are there. */
unsigned ft_cpu_amx(const struct ft_cpu_amx *amx, unsigned features);

#endif
