/* Definitions are scikit-learn's (accuracy_score, log_loss, precision_recall_fscore_support with zero_division=0); the calibration error
 * is that of Guo et al. 2017, bins open below and closed above. */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "finetune.h"

enum { BINS = 15 };

struct bins {
    double confidence[BINS];
    size_t right[BINS], rows[BINS];
};

static int most_likely(const float *p, int k)
{
    int best = 0;
    for (int c = 1; c < k; c++) {
        if (p[c] > p[best])
            best = c;
    }
    return best;
}

static double row_loss(float p)
{
    const double clip = 1e-15;
    return -log(p < clip ? clip : p > 1 - clip ? 1 - clip : p);
}

static void add_to_bin(struct bins *bins, double confidence, bool right)
{
    int b = (int)ceil(confidence * BINS) - 1;
    b = b < 0 ? 0 : b >= BINS ? BINS - 1 : b;
    bins->confidence[b] += confidence;
    bins->right[b] += right;
    bins->rows[b]++;
}

static double calibration_error(const struct bins *bins, size_t n)
{
    double sum = 0;
    for (int b = 0; b < BINS; b++)
        sum += fabs(bins->confidence[b] - (double)bins->right[b]);
    return sum / (double)n;
}

static void per_class(struct ft_metrics *m)
{
    const size_t k = (size_t)m->k;
    for (size_t c = 0; c < k; c++) {
        struct ft_class_metrics *of = &m->per_class[c];
        for (size_t other = 0; other < k; other++) {
            of->support += m->confusion[c * k + other];
            of->predicted += m->confusion[other * k + c];
        }
        const double right = (double)m->confusion[c * k + c], both = (double)(of->support + of->predicted);
        of->precision = of->predicted ? right / (double)of->predicted : 0;
        of->recall = of->support ? right / (double)of->support : 0;
        of->f1 = both > 0 ? 2 * right / both : 0;
    }
}

/* Sample standard deviation of the folds' accuracies; folds without rows do not count. */
static int accuracy_spread(const float *p, const int32_t *y, const int32_t *fold, size_t n, int k, double *out, struct ft_error *err)
{
    int32_t most = 0;
    for (size_t i = 0; i < n; i++)
        most = fold[i] > most ? fold[i] : most;
    size_t (*counts)[2] = ft_alloc_zero((size_t)most + 1, sizeof *counts); /* rows, right */
    if (!counts)
        return ft_error_nomem(err, "the metrics");
    for (size_t i = 0; i < n; i++) {
        counts[fold[i]][0]++;
        counts[fold[i]][1] += most_likely(p + i * (size_t)k, k) == y[i];
    }
    double sum = 0, square = 0;
    int folds = 0;
    for (int32_t f = 0; f <= most; f++) {
        if (counts[f][0]) {
            sum += (double)counts[f][1] / (double)counts[f][0];
            folds++;
        }
    }
    for (int32_t f = 0; f <= most; f++) {
        if (counts[f][0]) {
            const double off = (double)counts[f][1] / (double)counts[f][0] - sum / folds;
            square += off * off;
        }
    }
    *out = folds > 1 ? sqrt(square / (folds - 1)) : 0;
    free(counts);
    return 0;
}

static int check_rows(const int32_t *y, const int32_t *fold, size_t n, int k, struct ft_error *err)
{
    if (n == 0 || k < 1)
        return ft_error_set(err, FT_EARG, "no pictures to measure: give at least one with a known class");
    for (size_t i = 0; i < n; i++) {
        if (y[i] < 0 || y[i] >= k)
            return ft_error_set(err, FT_EARG, "row %zu has class %d: labels are 0 to %d", i, (int)y[i], k - 1);
        if (fold && fold[i] < 0)
            return ft_error_set(err, FT_EARG, "row %zu has fold %d: folds count from 0", i, (int)fold[i]);
    }
    return 0;
}

int ft_metrics_compute(const float *p, const int32_t *y, const int32_t *fold, size_t n, int k, struct ft_metrics **out, struct ft_error *err)
{
    int status = check_rows(y, fold, n, k, err);
    if (status)
        return status;
    struct ft_metrics *m = ft_alloc_zero(1, sizeof *m);
    if (m) {
        m->confusion = ft_alloc_zero((size_t)k * (size_t)k, sizeof *m->confusion);
        m->per_class = ft_alloc_zero((size_t)k, sizeof *m->per_class);
    }
    if (!m || !m->confusion || !m->per_class) {
        status = ft_error_nomem(err, "the metrics");
        goto fail;
    }
    m->n = n;
    m->k = k;
    struct bins bins = { 0 };
    size_t right = 0;
    for (size_t i = 0; i < n; i++) {
        const float *row = p + i * (size_t)k;
        const int top = most_likely(row, k);
        m->confusion[(size_t)y[i] * (size_t)k + (size_t)top]++;
        m->log_loss += row_loss(row[y[i]]);
        right += top == y[i];
        add_to_bin(&bins, row[top], top == y[i]);
    }
    m->accuracy = (double)right / (double)n;
    m->log_loss /= (double)n;
    m->ece = calibration_error(&bins, n);
    per_class(m);
    if (fold && (status = accuracy_spread(p, y, fold, n, k, &m->accuracy_sd, err)))
        goto fail;
    *out = m;
    return 0;
fail:
    ft_metrics_free(m);
    return status;
}

void ft_metrics_free(struct ft_metrics *metrics)
{
    if (!metrics)
        return;
    free(metrics->confusion);
    free(metrics->per_class);
    free(metrics);
}
