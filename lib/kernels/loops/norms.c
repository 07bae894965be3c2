/* Normalisations. The compiler vectorises the loops. */
#include <math.h>

#include "kernels/loops/pixels.h"

/* Sixteen partial sums allow the compiler to use vectors without changing the order of the
 * additions. */
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

static void layer_norm(const struct ft_work *w)
{
    EACH_PIXEL(w, const float mean = sum_of(in, n) / (float)n;
               normalise(in, mean, 1 / sqrtf(squares_of(in, n, mean) / (float)n + w->epsilon),
                         w->weights, w->bias, n, out);)
}
FT_KERNEL_ROW(layer_norm);

static void rms_norm(const struct ft_work *w)
{
    EACH_PIXEL(w, const float factor = 1 / sqrtf(squares_of(in, n, 0) / (float)n + w->epsilon);
               for (int i = 0; i < n; i++) out[i] = in[i] * factor * w->weights[i];)
}
FT_KERNEL_ROW(rms_norm);

static void unit_norm(const struct ft_work *w)
{
    EACH_PIXEL(w, const float squares = squares_of(in, n, 0);
               const float factor = 1 / sqrtf(squares > 1e-12f ? squares : 1e-12f);
               for (int i = 0; i < n; i++) out[i] = in[i] * factor;)
}
FT_KERNEL_ROW(unit_norm);

/* Pixels are summed in double: a group may be a whole map. */
static void group_norm(const struct ft_work *w)
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
FT_KERNEL_ROW(group_norm);
