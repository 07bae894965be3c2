/* The instructions of int8_x86.h as functions in C, by SIMDe, so that rows for processors that are
 * not available can be compared with plain C. The build includes this file before each source and
 * defines SUMS_IN_ONE and QUADS, and FT_ISA as a name that needs no feature of the processor. */
#ifndef FT_TESTS_EMULATED_H
#define FT_TESTS_EMULATED_H

#define FT_EMULATED
#define SIMDE_ENABLE_NATIVE_ALIASES
#define SIMDE_NO_NATIVE
#include <simde/x86/avx2.h>
#include <simde/x86/avx512.h>

/* What SIMDe 0.7.4 lacks or names wrongly. */
#undef _mm512_madd_epi16
#undef _mm512_srav_epi32
#undef _mm512_cvtepu8_epi16
#undef _mm512_cvtepi32_ps
#define _mm512_madd_epi16(a, b) simde_mm512_madd_epi16(a, b)
#define _mm512_srav_epi32(a, n) emulated_srav(a, n)
#define _mm512_cvtepu8_epi16(a) emulated_widen(a)
#define _mm512_cvtepi32_ps(a)   emulated_floats(a)

static inline simde__m512i emulated_srav(simde__m512i a, simde__m512i n)
{
    simde__m512i_private x = simde__m512i_to_private(a);
    const simde__m512i_private by = simde__m512i_to_private(n);
    for (int i = 0; i < 16; i++)
        x.i32[i] >>= by.u32[i] < 32 ? by.u32[i] : 31;
    return simde__m512i_from_private(x);
}

static inline simde__m512i emulated_widen(simde__m256i a)
{
    const simde__m256i_private bytes = simde__m256i_to_private(a);
    simde__m512i_private x;
    for (int i = 0; i < 32; i++)
        x.i16[i] = bytes.u8[i];
    return simde__m512i_from_private(x);
}

static inline simde__m512 emulated_floats(simde__m512i a)
{
    const simde__m512i_private whole = simde__m512i_to_private(a);
    simde__m512_private x;
    for (int i = 0; i < 16; i++)
        x.f32[i] = (float)whole.i32[i];
    return simde__m512_from_private(x);
}

/* The names of AVX_VNNI are others than those of AVX512_VNNI for the same instructions. */
#define _mm256_dpbusd_avx_epi32(s, a, b) simde_mm256_dpbusd_epi32(s, a, b)
#define _mm256_dpwssd_avx_epi32(s, a, b) simde_mm256_dpwssd_epi32(s, a, b)

enum {
    FT_NEEDS_emulated_avx2 = 0,
    FT_NEEDS_emulated_avx512 = 0,
    FT_NEEDS_emulated_avx_vnni = 0,
    FT_NEEDS_emulated_avx512_vnni = 0
};

#endif
