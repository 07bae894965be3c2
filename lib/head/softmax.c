/* The rows of a softmax regression: probabilities, losses, residuals. */
#include "head/softmax.h"

#include <math.h>
#include <stdbool.h>

#include "base/numbers.h"

double ft_softmax_loss(const float *z, int k, int y, double temperature)
{
    const int top = ft_argmax(z, k);
    double rest = 0; /* relative to the top class; log1p is precise for a small loss */
    for (int c = 0; c < k; c++) {
        if (c != top)
            rest += exp(((double)z[c] - z[top]) / temperature);
    }
    return log1p(rest) + ((double)z[top] - z[y]) / temperature;
}

void ft_softmax(const float *z, int k, double temperature, float *p)
{
    const float top = z[ft_argmax(z, k)];
    double sum = 0;
    for (int c = 0; c < k; c++)
        sum += exp(((double)z[c] - top) / temperature);
    for (int c = 0; c < k; c++)
        p[c] = (float)(exp(((double)z[c] - top) / temperature) / sum);
}

enum {
    PARTS = 4
}; /* A sum or maximum is computed in PARTS independent parts, because each step of a single one
      would wait for the step before. */

static float largest(const float *z, int k)
{
    float most[PARTS] = { z[0], z[0], z[0], z[0] };
    int c = 0;
    for (; c + PARTS <= k; c += PARTS) {
        for (int i = 0; i < PARTS; i++)
            most[i] = z[c + i] > most[i] ? z[c + i] : most[i];
    }
    for (; c < k; c++)
        most[0] = z[c] > most[0] ? z[c] : most[0];
    return fmaxf(fmaxf(most[0], most[1]), fmaxf(most[2], most[3]));
}

double ft_softmax_residual(float *z, int k, int y, double weight)
{
    const float highest = largest(z, k);
    const double gap = (double)highest - z[y];
    const bool top = z[y] == highest;
    double part[PARTS] = { 0 };
    for (int c = 0; c < k; c++) {
        z[c] = expf(z[c] - highest);
        part[c % PARTS] += z[c];
    }
    /* The top class contributes exactly 1. It is subtracted from the sum in double, so the small
     * terms keep their precision. */
    double rest = part[0] + part[1] + (part[2] + part[3]) - 1;
    if (rest < 0)
        rest = 0;
    const float scale = (float)(weight / (1 + rest));
    for (int c = 0; c < k; c++)
        z[c] *= scale;
    z[y] = top ? (float)(-weight * (rest / (1 + rest))) : (float)(z[y] - weight);
    return log1p(rest) + gap;
}

double ft_softmax_residual_pair(float *u, int y, double weight)
{
    const double margin = (y ? M_SQRT2 : -M_SQRT2) * *u, e = exp(-fabs(margin));
    const double wrong = margin > 0 ? e / (1 + e) : 1 / (1 + e);
    *u = (float)((y ? -M_SQRT2 : M_SQRT2) * weight * wrong);
    return log1p(e) + (margin > 0 ? 0 : -margin);
}
