#define _GNU_SOURCE
#include "base/cpu.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#include "finetune-tools.h"

#if defined(__aarch64__)
/* Extensions of the instruction set that the kernel of the operating system reports. */
enum arm { ARM_DOTPROD, ARM_I8MM };
static bool has_arm(enum arm extension)
{
#if defined(__linux__)
    return extension == ARM_DOTPROD ? getauxval(AT_HWCAP) & 1UL << 20   /* HWCAP_ASIMDDP */
                                    : getauxval(AT_HWCAP2) & 1UL << 13; /* HWCAP2_I8MM */
#elif defined(__APPLE__)
    static const char *const names[] = { "hw.optional.arm.FEAT_DotProd",
                                         "hw.optional.arm.FEAT_I8MM" };
    int has = 0;
    size_t size = sizeof has;
    return !sysctlbyname(names[extension], &has, &size, NULL, 0) && has;
#else
    (void)extension;
    return false;
#endif
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
#elif defined(__aarch64__)
    features |= FT_CPU_NEON;
    if (has_arm(ARM_DOTPROD))
        features |= FT_CPU_DOTPROD;
    if (features & FT_CPU_DOTPROD && has_arm(ARM_I8MM))
        features |= FT_CPU_I8MM;
#endif
    return features;
}

/* The features in use, plus KNOWN once they are determined. Threads that determine them at the same
 * time store the same value. */
enum { KNOWN = 1 << 30 };
static atomic_uint in_use;

static unsigned determine(const char *limit)
{
    static const struct {
        const char *name;
        unsigned most;
    } limits[] = { { "c", 0 },
                   { "avx2", FT_CPU_AVX2 },
                   { "avx_vnni", FT_CPU_AVX2 | FT_CPU_AVX_VNNI },
                   { "avx512", FT_CPU_AVX2 | FT_CPU_AVX512 },
                   { "avx512_vnni", FT_CPU_AVX2 | FT_CPU_AVX512 | FT_CPU_AVX512_VNNI },
                   { "neon", FT_CPU_NEON },
                   { "neon_dot", FT_CPU_NEON | FT_CPU_DOTPROD } };
    unsigned features = detect();
    for (size_t i = 0; limit && i < sizeof limits / sizeof *limits; i++)
        if (!strcmp(limit, limits[i].name))
            features &= limits[i].most;
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

bool ft_cpu_bf16(void)
{
    return ft_cpu_features() & FT_CPU_AVX512_BF16;
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
