/* Activations of the pixels that a convolution has just stored, while they are in the cache. Swish,
 * hard_swish and both forms of gelu use vectors, which are fast for few channels too; the others
 * use the loops of loops/activate.c. Functions take some vectors at a time. */
#include <math.h>

#include "kernels/simd/exp.h"

/* x / (1 + e^e). The clamp at 87 changes values below 1e-35 only. NaN stays NaN, as x is the
 * dividend. */
FT_INLINE void gate(vec *x, vec *e, const int n)
{
    FT_UNROLL
    for (int i = 0; i < n; i++)
        e[i] = clamp(e[i], repeat(-87), repeat(87));
    exponentials_of(e, n);
    FT_UNROLL
    for (int i = 0; i < n; i++)
        x[i] = divide(x[i], add(repeat(1), e[i]));
}

FT_INLINE void swish(vec *x, const int n)
{
    vec e[AT_ONCE];
    FT_UNROLL
    for (int i = 0; i < n; i++)
        e[i] = subtract(repeat(0), x[i]);
    gate(x, e, n);
}

/* As in loops/activate.c. */
FT_INLINE void gelu_tanh(vec *x, const int n)
{
    vec e[AT_ONCE];
    FT_UNROLL
    for (int i = 0; i < n; i++)
        e[i] = multiply(
            x[i], minus_product(multiply(x[i], x[i]), repeat(0.0713548163f), repeat(-1.59576912f)));
    gate(x, e, n);
}

/* As in loops/activate.c. */
FT_INLINE void gelu(vec *x, const int n)
{
    static const float terms[] = { 0.201323509f, -0.939687073f, 1.56807756f,   -0.869467914f,
                                   -0.22834973f, 0.0621274151f, 0.0292165373f, 0.562182844f,
                                   1.44020665f,  -2.82562995f };
    const vec none = repeat(0);
    vec size[AT_ONCE], t[AT_ONCE], q[AT_ONCE];
    FT_UNROLL
    for (int i = 0; i < n; i++) {
        size[i] = clamp(x[i], subtract(none, x[i]), repeat(13));
        t[i] = divide(repeat(1), multiply_add(size[i], repeat(0.35355339f), repeat(1)));
        q[i] = repeat(terms[0]);
    }
    FT_UNROLL
    for (size_t k = 1; k < sizeof terms / sizeof *terms; k++)
        FT_UNROLL
    for (int i = 0; i < n; i++)
        q[i] = multiply_add(q[i], t[i], repeat(terms[k]));
    FT_UNROLL
    for (int i = 0; i < n; i++)
        q[i] = minus_product(size[i], multiply(size[i], repeat(0.721347520f)), q[i]);
    powers_of_two(q, n);
    FT_UNROLL
    for (int i = 0; i < n; i++)
        x[i] = minus_product(size[i], multiply(t[i], q[i]), clamp(x[i], none, repeat(INFINITY)));
}

FT_INLINE void hard_swish(vec *x, const int n)
{
    FT_UNROLL
    for (int i = 0; i < n; i++)
        x[i] = multiply(multiply(x[i], clamp(add(x[i], repeat(3)), repeat(0), repeat(6))),
                        repeat(1.0f / 6));
}

/* n vectors, of which the last may be shorter. */
FT_INLINE void some(float *x, const int n, const bool whole, mask last,
                    void (*function)(vec *x, int n))
{
    vec v[AT_ONCE];
    FT_UNROLL
    for (int i = 0; i < n; i++)
        v[i] = whole || i + 1 < n ? load(x + i * LANES) : load_masked(x + i * LANES, last);
    function(v, n);
    FT_UNROLL
    for (int i = 0; i < n; i++)
        if (whole || i + 1 < n)
            store(x + i * LANES, v[i]);
        else
            store_masked(x + i * LANES, last, v[i]);
}

FT_INLINE void each(float *x, const ptrdiff_t *at, int pixels, int n,
                    void (*function)(vec *x, int n))
{
    const mask none = mask_first(0);
    for (int i = 0; i < pixels; i++) {
        float *p = x + at[i];
        int c = 0;
        for (; c + AT_ONCE * LANES <= n; c += AT_ONCE * LANES)
            some(p + c, AT_ONCE, true, none, function);
        for (; c + LANES <= n; c += LANES)
            some(p + c, 1, true, none, function);
        if (c < n)
            some(p + c, 1, false, mask_first(n - c), function);
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
    } else if (w->activation == FT_ACT_GELU_TANH) {
        each(x, at, pixels, n, gelu_tanh);
    } else {
        for (int i = 0; i < pixels; i++)
            FT_NAME(activate_values)(w, x + at[i], n);
    }
}
