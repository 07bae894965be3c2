#include "presets/positions.h"

#include <math.h>
#include <stddef.h>

enum { TAPS = 4 };

/* The inputs of one output along an axis, and their weights. */
struct taps {
    int first;
    double weight[TAPS];
};

static double kernel(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

static struct taps taps_of(int i, int from, int to)
{
    const double at = (i + 0.5) * from / to - 0.5;
    struct taps t = { .first = (int)floor(at) - 1 };
    double sum = 0;
    for (int k = 0; k < TAPS; k++) {
        const int j = t.first + k;
        t.weight[k] = j >= 0 && j < from ? kernel(at - j) : 0;
        sum += t.weight[k];
    }
    for (int k = 0; k < TAPS; k++)
        t.weight[k] /= sum;
    return t;
}

void ft_resize_positions(const float *in, const int from[2], float *out, const int to[2], int c)
{
    for (int y = 0; y < to[0]; y++)
        for (int x = 0; x < to[1]; x++) {
            const struct taps row = taps_of(y, from[0], to[0]), column = taps_of(x, from[1], to[1]);
            for (int i = 0; i < c; i++) {
                double sum = 0;
                for (int k = 0; k < TAPS; k++)
                    for (int l = 0; l < TAPS; l++) {
                        const double weight = row.weight[k] * column.weight[l];
                        if (weight != 0)
                            sum +=
                                weight *
                                (double)
                                    in[((ptrdiff_t)(row.first + k) * from[1] + column.first + l) *
                                           c +
                                       i];
                    }
                *out++ = (float)sum;
            }
        }
}
