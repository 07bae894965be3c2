/* McNemar's test (1947) in its exact form. Of the pictures that only one of two classifiers gets
 * right, each classifier has half under the null hypothesis. */
#include <math.h>

#include "base/numbers.h"
#include "finetune-tools.h"

/* 2 P(X <= fewer), at most 1, where X is binomial with n trials of probability 1/2. */
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

void ft_baseline_compute(const struct ft_metrics *m, struct ft_baseline *out)
{
    const size_t k = (size_t)m->k;
    size_t largest = 0, present = 0, only_head = 0;
    for (size_t c = 0; c < k; c++) {
        present += m->per_class[c].support > 0;
        largest = m->per_class[c].support > m->per_class[largest].support ? c : largest;
    }
    for (size_t c = 0; c < k; c++)
        only_head += c == largest ? 0 : m->confusion[c * k + c];
    const size_t support = m->per_class[largest].support,
                 only_baseline = support - m->confusion[largest * k + largest];
    *out = (struct ft_baseline){ .class_index = present > 1 ? (int)largest : -1,
                                 .accuracy = m->n ? (double)support / (double)m->n : 0 };
    out->p_value =
        two_sided(only_head < only_baseline ? only_head : only_baseline, only_head + only_baseline);
    out->beaten = only_head > only_baseline && out->p_value < 0.05;
}
