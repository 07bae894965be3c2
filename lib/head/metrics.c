/* Definitions are scikit-learn's (accuracy_score, log_loss, brier_score_loss,
 * precision_recall_fscore_support with zero_division=0); the calibration error is that of Guo et
 * al. 2017, bins open below and closed above. */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "finetune-tools.h"
#include "head/ranking.h"

static double row_loss(float p)
{
    const double clip = 1e-15;
    return -log(ft_clamp(p, clip, 1 - clip));
}

static void add_to_bin(struct ft_bin *bins, double confidence, bool right)
{
    int b = (int)ceil(confidence * FT_BINS) - 1;
    b = b < 0 ? 0 : b >= FT_BINS ? FT_BINS - 1 : b;
    bins[b].confidence += confidence;
    bins[b].right += right;
    bins[b].rows++;
}

/* Sums of confidence become means. */
static double calibration_error(struct ft_bin *bins, size_t n)
{
    double sum = 0;
    for (int b = 0; b < FT_BINS; b++) {
        sum += fabs(bins[b].confidence - (double)bins[b].right);
        bins[b].confidence /= bins[b].rows ? (double)bins[b].rows : 1;
    }
    return sum / (double)n;
}

static const double thresholds[FT_THRESHOLDS] = { 0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99 };

static void add_row(struct ft_metrics *m, const float *row, int32_t y)
{
    const int top = ft_argmax(row, m->k);
    const bool right = top == y;
    double square = 0;
    /* classes more probable than the true one; of equals the first counts as more probable */
    int above = 0;
    for (int c = 0; c < m->k; c++) {
        const double off = (double)row[c] - (c == y);
        square += off * off;
        above += row[c] > row[y] || (row[c] == row[y] && c < y);
    }
    m->confusion[(size_t)y * (size_t)m->k + (size_t)top]++;
    m->log_loss += row_loss(row[y]);
    m->brier += m->k == 2 ? square / 2 : square;
    m->right += right;
    for (int i = above; i < FT_TOPS; i++)
        m->top[i]++;
    for (int i = 0; i < FT_THRESHOLDS && (double)row[top] >= thresholds[i]; i++) {
        m->coverage[i].rows++;
        m->coverage[i].right += right;
    }
    add_to_bin(m->bins, row[top], right);
}

static void wilson(double p, double n, double interval[2])
{
    const double z = 1.959963984540054;
    const double middle = (p + z * z / (2 * n)) / (1 + z * z / n),
                 half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    interval[0] = p > 0 ? middle - half : 0;
    interval[1] = p < 1 ? middle + half : 1;
}

void ft_wilson(size_t right, size_t n, double interval[2])
{
    wilson((double)right / (double)n, (double)n, interval);
}

void ft_expected_interval(double accuracy, double expected, size_t n, int folds, int repeats,
                          double interval[2])
{
    /* The variance of independent judgements, p (1 - p) / n, is multiplied by this: the folds share
     * training rows, and heads of other training sets differ. Nadeau and Bengio (2003, Inference
     * for the generalization error) estimate the variance of a mean over J test sets as
     * 1 / J + (test rows / training rows) times the variance over test sets of n / folds rows. Here
     * J = folds * repeats, and training rows are folds - 1 times as many as test rows. */
    const double inflation = 1.0 / repeats + folds / (folds - 1.0),
                 independent = (double)n / inflation;
    double high[2];
    wilson(accuracy, independent, interval);
    wilson(expected, independent, high);
    interval[1] = high[1];
}

static void per_class(struct ft_metrics *m)
{
    const size_t k = (size_t)m->k;
    double present = 0;
    for (size_t c = 0; c < k; c++) {
        struct ft_class_metrics *of = &m->per_class[c];
        for (size_t other = 0; other < k; other++) {
            of->support += m->confusion[c * k + other];
            of->predicted += m->confusion[other * k + c];
        }
        const double right = (double)m->confusion[c * k + c],
                     both = (double)(of->support + of->predicted);
        of->precision = of->predicted ? right / (double)of->predicted : 0;
        of->recall = of->support ? right / (double)of->support : 0;
        of->f1 = both > 0 ? 2 * right / both : 0;
        m->balanced_accuracy += of->recall;
        present += of->support > 0;
    }
    m->balanced_accuracy /= present;
}

/* Sample standard deviation of the folds' accuracies; folds without rows do not count. */
static int accuracy_spread(const float *p, const int32_t *y, const int32_t *fold, size_t n, int k,
                           double *out, struct ft_error *err)
{
    int32_t most = 0;
    for (size_t i = 0; i < n; i++)
        most = fold[i] > most ? fold[i] : most;
    size_t(*counts)[2] = ft_alloc_zero((size_t)most + 1, sizeof *counts); /* rows, right */
    if (!counts)
        return ft_error_nomem(err, "the metrics");
    for (size_t i = 0; i < n; i++) {
        counts[fold[i]][0]++;
        counts[fold[i]][1] += ft_argmax(p + i * (size_t)k, k) == y[i];
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
        return ft_error_set(err, FT_EARG,
                            "no pictures to measure: give at least one with a known class");
    for (size_t i = 0; i < n; i++) {
        if (y[i] < 0 || y[i] >= k)
            return ft_error_set(err, FT_EARG, "row %zu has class %d: labels are 0 to %d", i,
                                (int)y[i], k - 1);
        if (fold && fold[i] < 0)
            return ft_error_set(err, FT_EARG, "row %zu has fold %d: folds count from 0", i,
                                (int)fold[i]);
    }
    return 0;
}

int ft_metrics_compute(const float *p, const int32_t *y, const int32_t *fold, size_t n, int k,
                       struct ft_metrics **out, struct ft_error *err)
{
    int rc = check_rows(y, fold, n, k, err);
    if (rc)
        return rc;
    struct ft_metrics *m = ft_alloc_zero(1, sizeof *m);
    if (m) {
        m->confusion = ft_alloc_zero((size_t)k * (size_t)k, sizeof *m->confusion);
        m->per_class = ft_alloc_zero((size_t)k, sizeof *m->per_class);
    }
    if (!m || !m->confusion || !m->per_class) {
        rc = ft_error_nomem(err, "the metrics");
        goto fail;
    }
    m->n = n;
    m->k = k;
    for (int i = 0; i < FT_THRESHOLDS; i++)
        m->coverage[i].threshold = thresholds[i];
    for (size_t i = 0; i < n; i++)
        add_row(m, p + i * (size_t)k, y[i]);
    m->accuracy = (double)m->right / (double)n;
    m->log_loss /= (double)n;
    m->brier /= (double)n;
    for (int i = 0; i < FT_TOPS; i++)
        m->top[i] /= (double)n;
    m->ece = calibration_error(m->bins, n);
    ft_wilson(m->right, n, m->interval);
    per_class(m);
    for (int c = 0; c < k && !rc; c++)
        rc = ft_ranking(p + c, (size_t)k, y, c, n, &m->per_class[c].roc_auc,
                        &m->per_class[c].average_precision, err);
    if (rc)
        goto fail;
    if (fold && (rc = accuracy_spread(p, y, fold, n, k, &m->accuracy_sd, err)))
        goto fail;
    *out = m;
    return 0;
fail:
    ft_metrics_free(m);
    return rc;
}

void ft_metrics_free(struct ft_metrics *metrics)
{
    if (!metrics)
        return;
    free(metrics->confusion);
    free(metrics->per_class);
    free(metrics);
}
