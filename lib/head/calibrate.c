#include "head/calibrate.h"

#include <math.h>
#include <stdlib.h>

#include "base/numbers.h"

static const double prior = 16; /* 1 / variance of ln T: a standard deviation of 0.25 */

/* At beta = 1 / T: sums over rows of d loss / d beta = E[z] - z_y and of its derivative Var[z]. */
static void slopes(const float *z, const int32_t *y, const int32_t *fold, int32_t except, size_t n,
                   int k, double beta, double *first, double *second)
{
    double s1 = 0, s2 = 0;
    for (size_t i = 0; i < n; i++) {
        if (except >= 0 && fold[i] == except)
            continue;
        const float *row = z + i * (size_t)k;
        const double top = row[ft_argmax(row, k)];
        double sum = 0, mean = 0, square = 0; /* of z - top */
        for (int c = 0; c < k; c++) {
            const double v = row[c] - top, e = exp(beta * v);
            sum += e;
            mean += e * v;
            square += e * v * v;
        }
        mean /= sum;
        s1 += mean - (row[y[i]] - top);
        s2 += square / sum - mean * mean;
    }
    *first = s1;
    *second = s2;
}

double ft_temperature_fit(const float *z, const int32_t *y, const int32_t *fold, int32_t except,
                          size_t n, int k)
{
    /* Newton's method on t = ln T inside a bracket of the root of the derivative. Where a Newton
     * step would leave the bracket, the bracket is bisected. */
    double low = -3, high = 3, t = 0;
    for (int i = 0; i < 60 && high - low > 1e-9; i++) {
        const double beta = exp(-t);
        double first, second;
        slopes(z, y, fold, except, n, k, beta, &first, &second);
        const double slope = prior * t - beta * first,
                     bend = prior + beta * first + beta * beta * second;
        if (slope < 0)
            low = t;
        else
            high = t;
        double next = bend > 0 ? t - slope / bend : high + 1;
        if (!(next > low && next < high))
            next = (low + high) / 2;
        if (fabs(next - t) < 1e-9)
            break;
        t = next;
    }
    return exp(t);
}

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

double ft_coverage_threshold(const float *p, size_t n, int k, double coverage)
{
    float *top = malloc((n + 1) * sizeof *top);
    if (!top || !n) {
        const double none = top ? 0 : -1;
        free(top);
        return none;
    }
    for (size_t i = 0; i < n; i++) {
        const float *row = p + i * (size_t)k;
        top[i] = row[ft_argmax(row, k)];
    }
    qsort(top, n, sizeof *top, by_value);
    const size_t below = (size_t)((1 - coverage) * (double)n + 1e-9);
    const double threshold = (double)top[below < n ? below : n - 1];
    free(top);
    return threshold;
}
