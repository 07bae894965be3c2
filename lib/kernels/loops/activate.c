/* Activations, as Keras 3 defines them (keras.activations). The compiler vectorises the
 * loops. */
#include <math.h>

#include "base/numbers.h"
#include "kernels/loops/exp.h"
#include "kernels/loops/pixels.h"

static inline float sigmoid(float x)
{
    const float e = exp_negative(-fabsf(x)), s = 1 / (1 + e);
    return x < 0 ? e * s : s;
}

/* x times the normal distribution function: max(x, 0) - |x| erfc(|x| / sqrt(2)) / 2, where
 * erfc(|x| / sqrt(2)) / 2 = t 2^(Q(t) - x^2 / 2 log2(e)) with t = 1 / (1 + |x| / sqrt(8)); Q is a
 * least-squares fit of degree 9 on Chebyshev nodes, correct to 4e-7 of the value from -1 on and to
 * 2e-6 from -6 on. From 13 on the second term is less than any normal float. */
static inline float gelu(float x)
{
    const float size = fabsf(x) > 13 ? 13 : fabsf(x), t = 1 / (1 + 0.35355339f * size);
    float q = 0.201323509f;
    q = q * t - 0.939687073f;
    q = q * t + 1.56807756f;
    q = q * t - 0.869467914f;
    q = q * t - 0.22834973f;
    q = q * t + 0.0621274151f;
    q = q * t + 0.0292165373f;
    q = q * t + 0.562182844f;
    q = q * t + 1.44020665f;
    q = q * t - 2.82562995f;
    const float tail = t * power_of_two(q - size * (0.721347520f * size));
    return (x < 0 ? 0 : x) - size * tail;
}

/* tanh(ln(1 + e^x)) */
static inline float mish_gate(float x)
{
    const float e = exp_negative(-fabsf(x)), n = x < 0 ? e * (e + 2) : 1 + 2 * e,
                rest = x < 0 ? 2 : 2 * e * e;
    return n / (n + rest);
}

static inline float tangent(float x)
{
    const float e = exp_negative(-2 * fabsf(x)), t = (1 - e) / (1 + e);
    return x < 0 ? -t : t;
}

#define EACH(value)                                                                                \
    for (int i = 0; i < n; i++) {                                                                  \
        const float x = in[i];                                                                     \
        out[i] = (value);                                                                          \
    }                                                                                              \
    break

static void softmax(const float *in, int n, float *out)
{
    float top = in[0], sum = 0;
    for (int i = 1; i < n; i++)
        top = in[i] > top ? in[i] : top;
    for (int i = 0; i < n; i++)
        out[i] = exp_negative(in[i] - top);
    for (int i = 0; i < n; i++)
        sum += out[i];
    for (int i = 0; i < n; i++)
        out[i] /= sum;
}

static void apply(const struct ft_work *w, const float *in, int n, float *out)
{
    const float lo = w->lo, hi = w->hi, alpha = w->alpha, most = w->most, threshold = w->threshold;
    switch (w->activation) {
    case FT_ACT_RELU:
        EACH(x < 0 ? 0 : x);
    case FT_ACT_RELU6:
        EACH(ft_clampf(x, 0, 6));
    case FT_ACT_SIGMOID:
        EACH(sigmoid(x));
    case FT_ACT_HARD_SIGMOID:
        EACH(ft_clampf(x + 3, 0, 6) * (1.0f / 6));
    case FT_ACT_TANH:
        EACH(tangent(x));
    case FT_ACT_SWISH:
        EACH(x * sigmoid(x));
    case FT_ACT_HARD_SWISH:
        EACH(x * ft_clampf(x + 3, 0, 6) * (1.0f / 6));
    case FT_ACT_GELU:
        EACH(gelu(x));
    case FT_ACT_GELU_TANH:
        EACH(x * sigmoid(x * (0.0713548163f * x * x + 1.59576912f)));
    case FT_ACT_SOFTMAX:
        softmax(in, n, out);
        break;
    case FT_ACT_ELU:
        EACH(x < 0 ? alpha * (exp_negative(x < 0 ? x : 0) - 1) : x);
    case FT_ACT_SELU:
        EACH(1.05070098f * (x < 0 ? 1.67326324f * (exp_negative(x < 0 ? x : 0) - 1) : x));
    case FT_ACT_SOFTPLUS:
        EACH((x < 0 ? 0 : x) + log1pf(exp_negative(-fabsf(x))));
    case FT_ACT_SOFTSIGN:
        EACH(x / (1 + fabsf(x)));
    case FT_ACT_EXPONENTIAL:
        EACH(expf(x));
    case FT_ACT_MISH:
        EACH(x * mish_gate(x));
    case FT_ACT_LEAKY_RELU:
        EACH(x < 0 ? alpha * x : x);
    case FT_ACT_RELU_SHAPED:
        EACH(x >= most ? most : x >= threshold ? x : alpha * (x - threshold));
    case FT_ACT_POWER: /* roots, quotients and local response normalisation do without powf */
        if (alpha == 0.5f) {
            EACH(sqrtf(x));
        }
        if (alpha == -1) {
            EACH(1 / x);
        }
        if (alpha == -0.75f) {
            EACH(1 / (sqrtf(x) * sqrtf(sqrtf(x))));
        }
        EACH(powf(x, alpha));
    default:
        EACH(ft_clampf(x, lo, hi));
    }
}

/* Takes whole rows at once if nothing lies between the pixels: few channels make short loops. */
static void activate(const struct ft_work *w)
{
    if (w->activation != FT_ACT_SOFTMAX && w->c0 == 0 && w->c1 == w->out.c &&
        w->in.pixel == w->out.c && w->out.pixel == w->out.c) {
        for (int y = w->y0; y < w->y1; y++)
            apply(w, ft_map_at(&w->in, y, 0), w->out.w * w->out.c, ft_map_to(&w->out, y, 0));
        return;
    }
    EACH_PIXEL(w, apply(w, in, n, out);)
}

FT_KERNEL_ROW(activate);

void FT_NAME(activate_values)(const struct ft_work *w, float *x, int n)
{
    apply(w, x, n, x);
}
