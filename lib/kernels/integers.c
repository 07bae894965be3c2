/* From floats to the integers of a step (integers.h). The same file gives the same integers on
 * every processor: single operations of IEEE 754, without contraction to fused ones. */
#include "kernels/integers.h"

#include <math.h>

#include "base/numbers.h"

struct ft_quantum ft_int8_scale(float lo, float hi)
{
    lo = lo < 0 ? lo : 0;
    hi = hi > 0 ? hi : 0;
    const float range = hi - lo;
    if (!(range > 0))
        return (struct ft_quantum){ .step = 1.0f / 255 };
    const float step = range / 255;
    return (struct ft_quantum){ .step = step, .zero = (int)lrintf(-lo / step) };
}

/* A limit of the output as a byte. */
static int limit(float value, const struct ft_quantum *s)
{
    const double q = (double)value / (double)s->step + s->zero;
    return q <= 0 ? 0 : q >= 255 ? 255 : (int)lrint(q);
}

bool ft_int8_settle(struct ft_work *w, double factor)
{
    enum { ONE = 1 << (15 - FT_INT8_ADDEND) };
    struct ft_int8 *i = &w->int8;
    const double step = (double)i->out.step, in = (double)i->in.step / step,
                 other = (double)i->other.step / step;
    i->lo = limit(w->lo, &i->out);
    i->hi = limit(w->hi, &i->out);
    for (i->fraction = FT_INT8_FRACTION; i->fraction >= 0; i->fraction--) {
        const double unit = 1 << i->fraction;
        if (factor * unit > 0.9999 || (!(factor > 0) && lrint(in * unit * ONE) > 32767) ||
            lrint(other * unit * ONE) > 32767)
            continue;
        i->half = (i->fraction ? 1 << (i->fraction - 1) : 0) + i->out.zero * (1 << i->fraction);
        i->scale_in = factor > 0 ? 0 : (int)lrint(in * unit * ONE);
        i->scale_other = (int)lrint(other * unit * ONE);
        return true;
    }
    i->fraction = 0;
    return false;
}

/* A factor below 1 as multiplier / 2^15 / 2^shift. */
static void split_factor(double factor, int32_t *multiplier, int32_t *shift)
{
    int e;
    const double f = frexp(factor, &e);
    *shift = ft_min(-e, FT_INT8_SHIFT_MOST);
    const long m = lrint(ldexp(f, 15 + e + *shift));
    *multiplier = (int32_t)(m > 32767 ? 32767 : m);
}

/* The largest whole number of a weight: no sum of k products may pass 2^30. */
static int weight_most(const struct ft_work *w, bool depthwise, size_t k)
{
    const int most = depthwise || w->int8.wide ? 32767 : 127,
              input = w->int8.wide ? FT_INT8_WIDE : 255;
    const size_t fits = ((size_t)1 << 30) / ((size_t)input * k);
    return fits < (size_t)most ? ft_max((int)fits, 1) : most;
}

/* Rounds the weights of a channel to whole numbers. Returns their step, which is not so small that
 * the bias, `bias` times the step of the input, does not fit a sum. *sum is the sum of the weights.
 */
static float round_channel(float *kernel, size_t k, size_t channels, int most, float bias,
                           int64_t *sum)
{
    float largest = 0;
    *sum = 0;
    for (size_t i = 0; i < k; i++)
        largest = fmaxf(largest, fabsf(kernel[i * channels]));
    const float step = fmaxf(largest / (float)most, fabsf(bias) / (float)(1 << 29));
    for (size_t i = 0; i < k; i++) {
        float *x = &kernel[i * channels];
        *x = step > 0 ? ft_clampf(rintf(*x / step), (float)-most, (float)most) : 0;
        *sum += (int64_t)*x;
    }
    return step;
}

static int32_t first_sum(const struct ft_work *w, double bias, double unit, int64_t weights)
{
    const double most = (1 << 29) + 64;
    const int64_t b = (int64_t)llrint(ft_clamp(unit > 0 ? bias / unit : 0, -most, most));
    return (int32_t)(b - (int64_t)w->int8.in.zero * weights);
}

bool ft_int8_weights(struct ft_work *w, bool depthwise, float *kernel, const float *bias,
                     int32_t *constants)
{
    const size_t c = (size_t)w->out.c, room = (c + 63) / 64 * 64,
                 k = depthwise ? (size_t)w->kernel[0] * (size_t)w->kernel[1] : ft_conv_k(w);
    const int most = weight_most(w, depthwise, k);
    int32_t *multiplier = constants + room, *shift = multiplier + room;
    float *unit = (float *)(void *)multiplier;
    double factor = 1e-30;
    for (size_t i = 0; i < c; i++) {
        int64_t sum;
        const float offset = bias ? bias[i] : 0,
                    step = round_channel(kernel + i, k, c, most, offset / w->int8.in.step, &sum);
        unit[i] = w->int8.in.step * step;
        constants[i] = first_sum(w, (double)offset, (double)unit[i], sum);
        factor = fmax(factor, (double)unit[i] / (double)w->int8.out.step);
    }
    if (w->int8.floats)
        return true;
    if (!ft_int8_settle(w, factor))
        return false;
    for (size_t i = 0; i < c; i++) {
        const double own = (double)unit[i] / (double)w->int8.out.step;
        split_factor(fmax(own, 1e-30) * (1 << w->int8.fraction), &multiplier[i], &shift[i]);
        constants[i] += shift[i] ? 1 << (shift[i] - 1) : 0;
    }
    return true;
}
