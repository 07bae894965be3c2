/* What the processor can do, asked once; FINETUNE_CPU=c|avx2|avx512 narrows it (never widens). */
#ifndef FT_BASE_CPU_H
#define FT_BASE_CPU_H

enum {
    FT_CPU_AVX2 = 1,   /* AVX2 and FMA */
    FT_CPU_AVX512 = 2, /* AVX-512 F, BW, DQ and VL; implies AVX2 */
};

unsigned ft_cpu_features(void);

#endif
