/* Activations of the pixels that a convolution has just stored, while they are in the cache. Swish,
 * hard_swish and gelu use vectors, which are fast for few channels too; the others use the loops of
 * loops/activate.c. exp is the same as there. */
#include <math.h>

#include "kernels/simd/simd.h"

FT_INLINE vec exponential(vec x)
{
    const vec magic = repeat(12582912.0f), shifted = multiply_add(x, repeat(1.44269504f), magic),
              n = subtract(shifted, magic);
    const vec r =
        multiply_add(n, repeat(2.12194440e-4f), minus_product(n, repeat(0.693359375f), x));
    vec p = multiply_add(repeat(1.0f / 720), r, repeat(1.0f / 120));
    p = multiply_add(p, r, repeat(1.0f / 24));
    p = multiply_add(p, r, repeat(1.0f / 6));
    p = multiply_add(p, r, repeat(0.5f));
    p = multiply_add(p, r, repeat(1));
    p = multiply_add(p, r, repeat(1));
    return multiply(p, power_of_two(shifted));
}

/* x / (1 + e^-x). The clamp at -87 changes values below 1e-35 only. NaN stays NaN, as x is the
 * dividend. */
FT_INLINE vec swish(vec x)
{
    const vec negative = subtract(repeat(0), x);
    return divide(x, add(repeat(1), exponential(clamp(negative, repeat(-87), repeat(87)))));
}

/* As in loops/activate.c. */
FT_INLINE vec gelu(vec x)
{
    static const float terms[] = { -0.651341438f, 1.08690858f,   -0.602669239f,
                                   -0.15827997f,  0.0430634432f, 0.0202513598f,
                                   0.389675438f,  0.998275161f,  -1.26543021f };
    const vec none = repeat(0), most = repeat(INFINITY),
              size = clamp(x, subtract(none, x), repeat(30)),
              z = multiply(size, repeat(0.70710678f)),
              t = divide(repeat(1), multiply_add(z, repeat(0.5f), repeat(1)));
    vec q = repeat(0.139546826f);
    for (size_t i = 0; i < sizeof terms / sizeof *terms; i++)
        q = multiply_add(q, t, repeat(terms[i]));
    const vec e = exponential(clamp(minus_product(z, z, q), repeat(-87), none)),
              tail = multiply(multiply(repeat(0.5f), t), e);
    return minus_product(size, tail, clamp(x, none, most));
}

FT_INLINE vec hard_swish(vec x)
{
    return multiply(multiply(x, clamp(add(x, repeat(3)), repeat(0), repeat(6))), repeat(1.0f / 6));
}

FT_INLINE void each(float *x, const ptrdiff_t *at, int pixels, int n, vec (*function)(vec))
{
    for (int i = 0; i < pixels; i++) {
        float *p = x + at[i];
        int c = 0;
        for (; c + LANES <= n; c += LANES)
            store(p + c, function(load(p + c)));
        if (c < n) {
            const mask rest = mask_first(n - c);
            store_masked(p + c, rest, function(load_masked(p + c, rest)));
        }
    }
}

void FT_NAME(activate_pixels)(const struct ft_work *w, float *x, const ptrdiff_t *at, int pixels,
                              int n)
{
    if (w->activation == FT_ACT_SWISH) {
        each(x, at, pixels, n, swish);
    } else if (w->activation == FT_ACT_HARD_SWISH) {
        each(x, at, pixels, n, hard_swish);
    } else if (w->activation == FT_ACT_GELU) {
        each(x, at, pixels, n, gelu);
    } else {
        for (int i = 0; i < pixels; i++)
            FT_NAME(activate_values)(w, x + at[i], n);
    }
}
