/* SplitMix64 (Steele, Lea and Flood 2014): small, seedable, the same on every machine. */
#ifndef FT_BASE_RANDOM_H
#define FT_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct ft_random {
    uint64_t state;
};

static inline uint64_t ft_random_next(struct ft_random *r)
{
    uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Uniform in 0..n-1, n > 0. Rejection sampling avoids bias. */
static inline uint64_t ft_random_below(struct ft_random *r, uint64_t n)
{
    const uint64_t limit = UINT64_MAX - UINT64_MAX % n;
    uint64_t x;
    do
        x = ft_random_next(r);
    while (x >= limit);
    return x % n;
}

/* Uniform in [0, 1). */
static inline double ft_random_unit(struct ft_random *r)
{
    return (double)(ft_random_next(r) >> 11) * 0x1p-53;
}

#endif
