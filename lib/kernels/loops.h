/* Loops that a compiler vectorises by itself: included once for every instruction set, with FT_ISA
 * set to the suffix of the names. Activations follow Keras 3 (keras.activations); exp is a degree-6
 * polynomial after the usual reduction by ln 2 (W. J. Cody and W. Waite, Software Manual for the
 * Elementary Functions, 1980), right to 2 units in the last place. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "kernels/rows.h"

#define FT_PASTE_(a, b) a##_##b
#define FT_PASTE(a, b)  FT_PASTE_(a, b)
#define FT_NAME(name)   FT_PASTE(ft_##name, FT_ISA)

static inline float clamp(float v, float lo, float hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* e^x for x <= 0; below -87 it stays at e^-87. */
static inline float exp_negative(float x)
{
    /* 1.5 * 2^23: adding it rounds to an integer and leaves that integer in the low bits */
    const float magic = 12582912.0f;
    x = x < -87.0f ? -87.0f : x;
    const float shifted = x * 1.44269504f + magic, n = shifted - magic;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1;
    p = p * r + 1;
    union {
        float f;
        uint32_t u;
    } power = { shifted };
    power.u = (power.u + 127) << 23;
    return p * power.f;
}

static inline float sigmoid(float x)
{
    const float e = exp_negative(-fabsf(x)), s = 1 / (1 + e);
    return x < 0 ? e * s : s;
}

/* The normal distribution function: erfc(z) = t e^(Q(t) - z^2) with t = 1 / (1 + z / 2); Q is a
 * least-squares fit of degree 9 on Chebyshev nodes, right to 4e-7 of the value for all x, the small
 * tail included. */
static inline float normal(float x)
{
    const float z = fabsf(x) * 0.70710678f, t = 1 / (1 + 0.5f * z);
    float q = 0.139546826f;
    q = q * t - 0.651341438f;
    q = q * t + 1.08690858f;
    q = q * t - 0.602669239f;
    q = q * t - 0.15827997f;
    q = q * t + 0.0430634432f;
    q = q * t + 0.0202513598f;
    q = q * t + 0.389675438f;
    q = q * t + 0.998275161f;
    q = q * t - 1.26543021f;
    const float half = 0.5f * t * exp_negative(q - z * z);
    return x < 0 ? half : 1 - half;
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

static void activate(const struct ft_work *w, const float *in, int n, float *out)
{
    const float lo = w->lo, hi = w->hi, alpha = w->alpha, most = w->most, threshold = w->threshold;
    switch (w->activation) {
    case FT_ACT_RELU:
        EACH(x < 0 ? 0 : x);
    case FT_ACT_RELU6:
        EACH(clamp(x, 0, 6));
    case FT_ACT_SIGMOID:
        EACH(sigmoid(x));
    case FT_ACT_HARD_SIGMOID:
        EACH(clamp(x + 3, 0, 6) * (1.0f / 6));
    case FT_ACT_TANH:
        EACH(tangent(x));
    case FT_ACT_SWISH:
        EACH(x * sigmoid(x));
    case FT_ACT_HARD_SWISH:
        EACH(x * clamp(x + 3, 0, 6) * (1.0f / 6));
    case FT_ACT_GELU:
        EACH(x * normal(x));
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
    default:
        EACH(clamp(x, lo, hi));
    }
}

/* BODY sees in, other (where there is one) and out at channel c0 of every pixel, and n channels. */
#define EACH_PIXEL(w, BODY)                                                                        \
    for (int y = (w)->y0; y < (w)->y1; y++)                                                        \
        for (int x = 0; x < (w)->out.w; x++) {                                                     \
            const float *in = ft_map_at(&(w)->in, y, x) + (w)->c0;                                 \
            float *out = ft_map_to(&(w)->out, y, x) + (w)->c0;                                     \
            const int n = (w)->c1 - (w)->c0;                                                       \
            BODY                                                                                   \
        }

/* Whole rows at once where nothing lies between the pixels: few channels make short loops. */
void FT_NAME(activate)(const struct ft_work *w)
{
    if (w->activation != FT_ACT_SOFTMAX && w->c0 == 0 && w->c1 == w->out.c &&
        w->in.pixel == w->out.c && w->out.pixel == w->out.c) {
        for (int y = w->y0; y < w->y1; y++)
            activate(w, ft_map_at(&w->in, y, 0), w->out.w * w->out.c, ft_map_to(&w->out, y, 0));
        return;
    }
    EACH_PIXEL(w, activate(w, in, n, out);)
}

void FT_NAME(activate_values)(const struct ft_work *w, float *x, int n)
{
    activate(w, x, n, x);
}

void FT_NAME(copy)(const struct ft_work *w)
{
    EACH_PIXEL(w, memcpy(out, in, (size_t)n * sizeof *out);)
}

void FT_NAME(affine)(const struct ft_work *w)
{
    const float lo = w->lo, hi = w->hi, *scale = w->weights + w->c0, *offset = w->bias + w->c0;
    EACH_PIXEL(w, for (int i = 0; i < n; i++) out[i] = clamp(in[i] * scale[i] + offset[i], lo, hi);)
}

void FT_NAME(add)(const struct ft_work *w)
{
    const float lo = w->lo, hi = w->hi;
    EACH_PIXEL(w, const float *other = ft_map_at(&w->other, y, x) + w->c0;
               for (int i = 0; i < n; i++) out[i] = clamp(in[i] + other[i], lo, hi);)
}

void FT_NAME(multiply)(const struct ft_work *w)
{
    const float lo = w->lo, hi = w->hi;
    EACH_PIXEL(w, const float *other = ft_map_at(&w->other, y, x) + w->c0;
               for (int i = 0; i < n; i++) out[i] = clamp(in[i] * other[i], lo, hi);)
}

void FT_NAME(subtract)(const struct ft_work *w)
{
    const float lo = w->lo, hi = w->hi;
    EACH_PIXEL(w, const float *other = ft_map_at(&w->other, y, x) + w->c0;
               for (int i = 0; i < n; i++) out[i] = clamp(in[i] - other[i], lo, hi);)
}

void FT_NAME(maximum)(const struct ft_work *w)
{
    const float lo = w->lo, hi = w->hi;
    EACH_PIXEL(w, const float *other = ft_map_at(&w->other, y, x) + w->c0;
               for (int i = 0; i < n; i++) out[i] =
                   clamp(in[i] < other[i] ? other[i] : in[i], lo, hi);)
}

void FT_NAME(minimum)(const struct ft_work *w)
{
    const float lo = w->lo, hi = w->hi;
    EACH_PIXEL(w, const float *other = ft_map_at(&w->other, y, x) + w->c0;
               for (int i = 0; i < n; i++) out[i] =
                   clamp(in[i] > other[i] ? other[i] : in[i], lo, hi);)
}

void FT_NAME(prelu)(const struct ft_work *w)
{
    EACH_PIXEL(w,
               const float *alpha =
                   w->weights + w->c0 +
                   (w->whole ? ((size_t)y * (size_t)w->out.w + (size_t)x) * (size_t)w->out.c : 0);
               for (int i = 0; i < n; i++) out[i] = in[i] < 0 ? alpha[i] * in[i] : in[i];)
}

/* Sixteen partial sums, so that the compiler may use vectors without reordering what the source
 * says. */
enum { SUMS = 16 };

static float fold_sums(const float *sums)
{
    float s = 0;
    for (int j = 0; j < SUMS; j++)
        s += sums[j];
    return s;
}

static float sum_of(const float *in, int n)
{
    float sums[SUMS] = { 0 };
    int i = 0;
    for (; i + SUMS <= n; i += SUMS)
        for (int j = 0; j < SUMS; j++)
            sums[j] += in[i + j];
    for (int j = 0; i + j < n; j++)
        sums[j] += in[i + j];
    return fold_sums(sums);
}

static float squares_of(const float *in, int n, float mean)
{
    float sums[SUMS] = { 0 };
    int i = 0;
    for (; i + SUMS <= n; i += SUMS)
        for (int j = 0; j < SUMS; j++)
            sums[j] += (in[i + j] - mean) * (in[i + j] - mean);
    for (int j = 0; i + j < n; j++)
        sums[j] += (in[i + j] - mean) * (in[i + j] - mean);
    return fold_sums(sums);
}

static void normalise(const float *in, float mean, float factor, const float *scale,
                      const float *offset, int n, float *out)
{
    for (int i = 0; i < n; i++)
        out[i] = (in[i] - mean) * factor * scale[i] + offset[i];
}

void FT_NAME(layer_norm)(const struct ft_work *w)
{
    EACH_PIXEL(w, const float mean = sum_of(in, n) / (float)n;
               normalise(in, mean, 1 / sqrtf(squares_of(in, n, mean) / (float)n + w->epsilon),
                         w->weights, w->bias, n, out);)
}

void FT_NAME(unit_norm)(const struct ft_work *w)
{
    EACH_PIXEL(w, const float squares = squares_of(in, n, 0);
               const float factor = 1 / sqrtf(squares > 1e-12f ? squares : 1e-12f);
               for (int i = 0; i < n; i++) out[i] = in[i] * factor;)
}

/* Pixels are summed in double: a group may be a whole map. */
void FT_NAME(group_norm)(const struct ft_work *w)
{
    const int n = w->in.c / w->groups;
    const double count = (double)w->in.h * w->in.w * n;
    for (int c = 0; c < w->in.c; c += n) {
        double sum = 0, squares = 0;
        for (int i = 0; i < w->in.h * w->in.w; i++)
            sum += (double)sum_of(ft_map_at(&w->in, i / w->in.w, i % w->in.w) + c, n);
        const float mean = (float)(sum / count);
        for (int i = 0; i < w->in.h * w->in.w; i++)
            squares += (double)squares_of(ft_map_at(&w->in, i / w->in.w, i % w->in.w) + c, n, mean);
        const float factor = (float)(1 / sqrt(squares / count + (double)w->epsilon));
        for (int i = 0; i < w->in.h * w->in.w; i++)
            normalise(ft_map_at(&w->in, i / w->in.w, i % w->in.w) + c, mean, factor, w->weights + c,
                      w->bias + c, n, ft_map_to(&w->out, i / w->in.w, i % w->in.w) + c);
    }
}

/* Values in order, whatever the two shapes. */
void FT_NAME(flatten)(const struct ft_work *w)
{
    const int pixels = w->out.h * w->out.w;
    int p = 0, c = 0; /* of the input */
    for (int q = 0; q < pixels; q++) {
        float *out = ft_map_to(&w->out, q / w->out.w, q % w->out.w);
        for (int d = 0; d < w->out.c;) {
            const int n = w->in.c - c < w->out.c - d ? w->in.c - c : w->out.c - d;
            memcpy(out + d, ft_map_at(&w->in, p / w->in.w, p % w->in.w) + c,
                   (size_t)n * sizeof *out);
            d += n;
            c += n;
            if (c == w->in.c) {
                c = 0;
                p++;
            }
        }
    }
}

struct window {
    int y0, y1, x0, x1; /* of the input, inside it */
};

static struct window window_at(const struct ft_work *w, int y, int x)
{
    const int top = y * w->stride[0] - w->pad[0], left = x * w->stride[1] - w->pad[1];
    return (struct window){ top < 0 ? 0 : top,
                            top + w->kernel[0] > w->in.h ? w->in.h : top + w->kernel[0],
                            left < 0 ? 0 : left,
                            left + w->kernel[1] > w->in.w ? w->in.w : left + w->kernel[1] };
}

static void reduce_max(const struct ft_map *m, struct window at, int c0, int n, float *out)
{
    memcpy(out, ft_map_at(m, at.y0, at.x0) + c0, (size_t)n * sizeof *out);
    for (int y = at.y0; y < at.y1; y++)
        for (int x = at.x0; x < at.x1; x++) {
            const float *in = ft_map_at(m, y, x) + c0;
            for (int i = 0; i < n; i++)
                out[i] = in[i] > out[i] ? in[i] : out[i];
        }
}

/* out += the window's pixels in row y, channels c.. */
static void add_row(const struct ft_map *m, struct window at, int y, int c, int n, float *out)
{
    for (int x = at.x0; x < at.x1; x++) {
        const float *in = ft_map_at(m, y, x) + c;
        for (int i = 0; i < n; i++)
            out[i] += in[i];
    }
}

/* What is added to the sum of very many loses its last digits: there each row is summed by itself.
 */
static void reduce_average(const struct ft_map *m, struct window at, int c0, int n, float *out)
{
    enum { MANY = 1024 /* pixels */, CHANNELS = 64 };
    const int pixels = (at.y1 - at.y0) * (at.x1 - at.x0);
    const float share = 1.0f / (float)pixels;
    memset(out, 0, (size_t)n * sizeof *out);
    for (int y = at.y0; y < at.y1; y++) {
        if (pixels <= MANY) {
            add_row(m, at, y, c0, n, out);
            continue;
        }
        for (int c = 0; c < n; c += CHANNELS) {
            const int k = n - c < CHANNELS ? n - c : CHANNELS;
            float sum[CHANNELS] = { 0 };
            add_row(m, at, y, c0 + c, k, sum);
            for (int i = 0; i < k; i++)
                out[c + i] += sum[i];
        }
    }
    for (int i = 0; i < n; i++)
        out[i] *= share;
}

void FT_NAME(max_pool)(const struct ft_work *w)
{
    for (int y = w->y0; y < w->y1; y++)
        for (int x = 0; x < w->out.w; x++)
            reduce_max(&w->in, window_at(w, y, x), w->c0, w->c1 - w->c0,
                       ft_map_to(&w->out, y, x) + w->c0);
}

void FT_NAME(average_pool)(const struct ft_work *w)
{
    for (int y = w->y0; y < w->y1; y++)
        for (int x = 0; x < w->out.w; x++)
            reduce_average(&w->in, window_at(w, y, x), w->c0, w->c1 - w->c0,
                           ft_map_to(&w->out, y, x) + w->c0);
}

void FT_NAME(global_max)(const struct ft_work *w)
{
    reduce_max(&w->in, (struct window){ 0, w->in.h, 0, w->in.w }, w->c0, w->c1 - w->c0,
               w->out.data + w->c0);
}

void FT_NAME(global_average)(const struct ft_work *w)
{
    reduce_average(&w->in, (struct window){ 0, w->in.h, 0, w->in.w }, w->c0, w->c1 - w->c0,
                   w->out.data + w->c0);
}

void FT_NAME(pixels)(const uint8_t *x, const float *scale, const float *offset, int n, float *out)
{
    int i = 0;
    for (; i + FT_PIXEL_PERIOD <= n; i += FT_PIXEL_PERIOD)
        for (int j = 0; j < FT_PIXEL_PERIOD; j++)
            out[i + j] = (float)x[i + j] * scale[j] + offset[j];
    for (int j = 0; i + j < n; j++)
        out[i + j] = (float)x[i + j] * scale[j] + offset[j];
}
