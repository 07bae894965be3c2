#define _GNU_SOURCE
#include "base/cpu.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#include "finetune-tools.h"

#if defined(__aarch64__)
/* Extensions of the instruction set that the kernel of the operating system reports. */
enum arm { ARM_DOTPROD, ARM_I8MM, ARM_BF16 };
static bool has_arm(enum arm extension)
{
#if defined(__linux__)
    return extension == ARM_DOTPROD ? getauxval(AT_HWCAP) & 1UL << 20  /* HWCAP_ASIMDDP */
           : extension == ARM_I8MM  ? getauxval(AT_HWCAP2) & 1UL << 13 /* HWCAP2_I8MM */
                                    : getauxval(AT_HWCAP2) & 1UL << 14; /* HWCAP2_BF16 */
#elif defined(__APPLE__)
    static const char *const names[] = { "hw.optional.arm.FEAT_DotProd",
                                         "hw.optional.arm.FEAT_I8MM", "hw.optional.arm.FEAT_BF16" };
    int has = 0;
    size_t size = sizeof has;
    return !sysctlbyname(names[extension], &has, &size, NULL, 0) && has;
#else
    (void)extension;
    return false;
#endif
}
#endif

unsigned ft_cpu_amx(const struct ft_cpu_amx *amx, unsigned features)
{
    enum { BF16 = 22, TILE = 24, INT8 = 25 };
    const uint64_t saved = 3 << 17; /* the operating system saves configuration and tiles */
    /* the kernels use 8 tiles of 16 rows of 64 bytes */
    const bool tiles = amx->leaf7 & 1U << TILE && amx->palette_names >> 16 >= 8 &&
                       (amx->palette_names & 0xffff) >= 64 && (amx->palette_rows & 0xffff) >= 16;
    unsigned found = 0;
    if (!tiles || (amx->xcr0 & saved) != saved)
        return 0;
    if (amx->leaf7 & 1U << INT8 && features & FT_CPU_AVX512_VNNI)
        found |= FT_CPU_AMX_INT8;
    if (amx->leaf7 & 1U << BF16 && features & FT_CPU_AVX512_BF16)
        found |= FT_CPU_AMX_BF16;
    return found;
}

#if defined(__x86_64__) && defined(__linux__)
/* Sets for which the compiler makes no kernels are left out. */
static unsigned detect_amx(unsigned features)
{
    enum { OSXSAVE = 27 };
    struct ft_cpu_amx amx = { 0 };
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1U << OSXSAVE))
        return 0; /* XCR0 cannot be read */
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &amx.leaf7) ||
        !__get_cpuid_count(0x1d, 1, &a, &amx.palette_names, &amx.palette_rows, &d))
        return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    amx.xcr0 = (uint64_t)high << 32 | low;
    unsigned compiled = 0;
#if defined(FT_HAVE_AMX_INT8)
    compiled |= FT_CPU_AMX_INT8;
#endif
#if defined(FT_HAVE_AMX_BF16)
    compiled |= FT_CPU_AMX_BF16;
#endif
    return ft_cpu_amx(&amx, features) & compiled;
}

/* Linux keeps the tiles of a thread in memory that it allocates at the first use, if the process
 * has permission. The permission holds for all threads and for children of fork(). It is refused
 * if a thread has an alternate signal stack that is too small for the tiles. See
 * Documentation/arch/x86/xstate.rst of Linux. */
static bool tiles_permitted(void)
{
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    return !syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA);
}
#endif

static unsigned detect(void)
{
    unsigned features = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        features |= FT_CPU_AVX2;
    if (features && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        features |= FT_CPU_AVX512;
    if (features & FT_CPU_AVX512 && __builtin_cpu_supports("avx512bf16"))
        features |= FT_CPU_AVX512_BF16;
    if (features & FT_CPU_AVX512 && __builtin_cpu_supports("avx512vnni"))
        features |= FT_CPU_AVX512_VNNI;
    /* clang 14 does not know "avxvnni": leaf 7, part 1 */
    unsigned a = 0, b, c, d;
    if (features & FT_CPU_AVX2 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && a & 1 << 4)
        features |= FT_CPU_AVX_VNNI;
#if defined(__linux__)
    features |= detect_amx(features);
#endif
#elif defined(__aarch64__)
    features |= FT_CPU_NEON;
    if (has_arm(ARM_DOTPROD))
        features |= FT_CPU_DOTPROD;
    if (features & FT_CPU_DOTPROD && has_arm(ARM_I8MM))
        features |= FT_CPU_I8MM;
#if defined(FT_HAVE_NEON_BF16) /* else the compiler makes no kernels for it */
    if (has_arm(ARM_BF16))
        features |= FT_CPU_NEON_BF16;
#endif
#endif
    return features;
}

/* The features in use, plus KNOWN once they are determined. Threads that determine them at the same
 * time store the same value. */
enum { KNOWN = 1 << 30 };
static atomic_uint in_use;

unsigned ft_cpu_limited(unsigned features, const char *name)
{
    enum { AVX512 = FT_CPU_AVX2 | FT_CPU_AVX512, VNNI = AVX512 | FT_CPU_AVX512_VNNI };
    static const struct {
        const char *name;
        unsigned most;
    } limits[] = { { "c", 0 },
                   { "avx2", FT_CPU_AVX2 },
                   { "avx_vnni", FT_CPU_AVX2 | FT_CPU_AVX_VNNI },
                   { "avx512", AVX512 },
                   { "avx512_vnni", VNNI },
                   { "avx512_bf16", VNNI | FT_CPU_AVX512_BF16 },
                   { "neon", FT_CPU_NEON },
                   { "neon_dot", FT_CPU_NEON | FT_CPU_DOTPROD } };
    for (size_t i = 0; name && i < sizeof limits / sizeof *limits; i++)
        if (!strcmp(name, limits[i].name))
            return features & limits[i].most;
    return features;
}

static unsigned determine(const char *limit)
{
    unsigned features = ft_cpu_limited(detect(), limit);
#if defined(__x86_64__) && defined(__linux__)
    const unsigned amx = FT_CPU_AMX_INT8 | FT_CPU_AMX_BF16;
    if (features & amx && !tiles_permitted())
        features &= ~amx;
#endif
    atomic_store_explicit(&in_use, features | KNOWN, memory_order_relaxed);
    return features;
}

unsigned ft_cpu_features(void)
{
    const unsigned known = atomic_load_explicit(&in_use, memory_order_relaxed);
    return known ? known & ~(unsigned)KNOWN : determine(getenv("FINETUNE_CPU"));
}

void ft_cpu_limit(const char *name)
{
    determine(name ? name : getenv("FINETUNE_CPU"));
}

const char *ft_cpu_name(void)
{
    const unsigned features = ft_cpu_features();
    return features & FT_CPU_AVX512 ? "avx512"
           : features & FT_CPU_AVX2 ? "avx2"
           : features & FT_CPU_NEON ? "neon"
                                    : "c";
}

const char *ft_cpu_bf16(void)
{
    const unsigned features = ft_cpu_features();
    return features & FT_CPU_AMX_BF16      ? "AMX_BF16"
           : features & FT_CPU_AVX512_BF16 ? "AVX512_BF16"
           : features & FT_CPU_NEON_BF16   ? "FEAT_BF16"
                                           : NULL;
}

int ft_cpu_count(void)
{
#if defined(__linux__)
    cpu_set_t set;
    if (!sched_getaffinity(0, sizeof set, &set))
        return CPU_COUNT(&set);
#endif
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}
