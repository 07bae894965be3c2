/* Labels that apply independently of one another: several of them, or none, for one picture. */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "finetune-tools.h"
#include "head/ranking.h"

static double share(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

static void rates(struct ft_class_metrics *m, double right)
{
    m->precision = share(right, (double)m->predicted);
    m->recall = share(right, (double)m->support);
    m->f1 = share(2 * right, (double)(m->predicted + m->support));
}

/* Counts label c; returns in how many rows it is predicted and true. `y` [n] is scratch memory. */
static int measure(struct ft_label_metrics *m, const float *p, const uint8_t *marks, int c,
                   int32_t *y, size_t *right, struct ft_error *err)
{
    struct ft_class_metrics *one = &m->per_label[c];
    const size_t k = (size_t)m->k;
    *right = 0;
    for (size_t i = 0; i < m->n; i++) {
        const bool predicted = (double)p[i * k + (size_t)c] >= m->threshold;
        y[i] = marks[i * k + (size_t)c];
        one->predicted += predicted;
        one->support += y[i] != 0;
        *right += predicted && y[i];
    }
    rates(one, (double)*right);
    return ft_ranking(p + c, k, y, 1, m->n, &one->roc_auc, &one->average_precision, err);
}

/* Mean of the values that are defined; NaN if none is. */
static double mean(const struct ft_label_metrics *m, size_t member)
{
    double sum = 0;
    int n = 0;
    for (int c = 0; c < m->k; c++) {
        const double v = *(const double *)(const void *)((const char *)&m->per_label[c] + member);
        if (!isnan(v)) {
            sum += v;
            n++;
        }
    }
    return n ? sum / n : NAN;
}

static void add_averages(struct ft_label_metrics *m, size_t right)
{
    for (int c = 0; c < m->k; c++) {
        m->micro.predicted += m->per_label[c].predicted;
        m->micro.support += m->per_label[c].support;
    }
    m->macro = m->micro;
    rates(&m->micro, (double)right);
    m->micro.roc_auc = m->micro.average_precision = NAN;
    m->macro.precision = mean(m, offsetof(struct ft_class_metrics, precision));
    m->macro.recall = mean(m, offsetof(struct ft_class_metrics, recall));
    m->macro.f1 = mean(m, offsetof(struct ft_class_metrics, f1));
    m->macro.roc_auc = mean(m, offsetof(struct ft_class_metrics, roc_auc));
    m->macro.average_precision = mean(m, offsetof(struct ft_class_metrics, average_precision));
}

int ft_label_metrics_compute(const float *p, const uint8_t *marks, double threshold, size_t n,
                             int k, struct ft_label_metrics **out, struct ft_error *err)
{
    struct ft_label_metrics *m = calloc(1, sizeof *m);
    int32_t *y = ft_alloc(n, sizeof *y);
    size_t all = 0, exact = 0, wrong = 0;
    if (m) {
        *m = (struct ft_label_metrics){ .n = n, .k = k, .threshold = threshold };
        m->per_label = calloc((size_t)k, sizeof *m->per_label);
    }
    int rc = m && y && m->per_label ? 0 : ft_error_nomem(err, "the measures of labels");
    for (int c = 0; !rc && c < k; c++) {
        size_t right;
        rc = measure(m, p, marks, c, y, &right, err);
        all += right;
    }
    free(y);
    if (rc) {
        ft_label_metrics_free(m);
        return rc;
    }
    for (size_t i = 0; i < n; i++) {
        size_t differ = 0;
        for (size_t c = i * (size_t)k; c < (i + 1) * (size_t)k; c++)
            differ += ((double)p[c] >= threshold) != (marks[c] != 0);
        exact += !differ;
        wrong += differ;
    }
    m->exact = share((double)exact, (double)n);
    m->hamming = share((double)wrong, (double)n * k);
    add_averages(m, all);
    *out = m;
    return 0;
}

void ft_label_metrics_free(struct ft_label_metrics *m)
{
    if (!m)
        return;
    free(m->per_label);
    free(m);
}
