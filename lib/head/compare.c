/* McNemar's test (1947) in its exact form: of the pictures that only one of two classifiers gets
 * right, each would have half. */
#include <math.h>

#include "base/numbers.h"
#include "finetune-tools.h"

/* P(X <= fewer) twice, X binomial with n trials at 1/2. */
static double two_sided(size_t fewer, size_t n)
{
    const double all = (double)n;
    double sum = 0;
    for (size_t i = 0; i <= fewer; i++)
        sum += exp(lgamma(all + 1) - lgamma((double)i + 1) - lgamma(all - (double)i + 1) -
                   all * M_LN2);
    return fmin(1, 2 * sum);
}

void ft_compare(const float *p_a, const float *p_b, const int32_t *y, size_t n, int k,
                struct ft_comparison *out)
{
    struct ft_comparison c = { 0 };
    for (size_t i = 0; i < n; i++) {
        const bool a = ft_argmax(p_a + i * (size_t)k, k) == y[i],
                   b = ft_argmax(p_b + i * (size_t)k, k) == y[i];
        c.both += a && b;
        c.only_a += a && !b;
        c.only_b += !a && b;
        c.neither += !a && !b;
    }
    c.p_value = two_sided(c.only_a < c.only_b ? c.only_a : c.only_b, c.only_a + c.only_b);
    *out = c;
}
