/* How well one property of a file predicts its class, out-of-fold. The values are divided into
 * bins. The score of a bin for a class is the share of that class among the bin's rows in other
 * folds, after two rows with the overall shares are added. The ROC AUC of this score is the
 * result. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "head/diagnose.h"
#include "head/ranking.h"

enum {
    BINS = 10,
    FEWEST = 5
}; /* FEWEST: a class with fewer rows is not measured, because its AUC would be too uncertain */

struct valued {
    double value;
    size_t row;
};

static int by_value(const void *a, const void *b)
{
    const struct valued *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* Equal values are in one bin. categories: each value has a bin of its own. Returns the number of
 * bins. */
static size_t cut(struct valued *rows, size_t n, bool categories, size_t *bin)
{
    size_t bins = 0, first = 0;
    qsort(rows, n, sizeof *rows, by_value);
    for (size_t i = 0; i < n; i++) {
        if (i && rows[i].value != rows[i - 1].value) {
            first = i;
            bins += categories;
        }
        bin[rows[i].row] = categories ? bins : first * BINS / n;
    }
    return categories ? bins + 1 : BINS;
}

/* score [n, k] from bin [n]; count [bins, k] is scratch. */
static void score_rows(const size_t *bin, size_t bins, const int32_t *y,
                       const struct ft_validation *v, const double *share, double *count,
                       float *score)
{
    const size_t k = (size_t)v->k;
    for (int32_t f = 0; f < v->folds; f++) {
        memset(count, 0, bins * k * sizeof *count);
        for (size_t i = 0; i < v->n; i++)
            if (v->fold[i] != f)
                count[bin[i] * k + (size_t)y[i]]++;
        for (size_t i = 0; i < v->n; i++) {
            if (v->fold[i] != f)
                continue;
            const double *of = count + bin[i] * k;
            double all = 0;
            for (size_t c = 0; c < k; c++)
                all += of[c];
            for (size_t c = 0; c < k; c++)
                score[i * k + c] = (float)((of[c] + 2 * share[c]) / (all + 2));
        }
    }
}

/* Hanley and McNeil 1982. */
static double standard_error(double auc, double positives, double negatives)
{
    const double q1 = auc / (2 - auc), q2 = 2 * auc * auc / (1 + auc);
    return sqrt((auc * (1 - auc) + (positives - 1) * (q1 - auc * auc) +
                 (negatives - 1) * (q2 - auc * auc)) /
                (positives * negatives));
}

static int best_class(const float *score, const int32_t *y, const struct ft_validation *v,
                      const double *share, struct ft_shortcut *out, struct ft_error *err)
{
    for (int c = 0; c < v->k; c++) {
        const double rows = share[c] * (double)v->n;
        double auc, precision;
        if (rows < FEWEST || (double)v->n - rows < FEWEST)
            continue;
        const int rc = ft_ranking(score + c, (size_t)v->k, y, c, v->n, &auc, &precision, err);
        if (rc)
            return rc;
        if (auc > out->auc) {
            out->auc = auc;
            out->class_index = c;
            out->low = auc - 1.96 * standard_error(auc, rows, (double)v->n - rows);
        }
    }
    out->named = out->auc >= FT_SHORTCUT_AUC && out->low > 0.65;
    return 0;
}

int ft_shortcut_measure(const double *value, bool categories, const int32_t *y,
                        const struct ft_validation *v, struct ft_shortcut *out,
                        struct ft_error *err)
{
    const size_t n = v->n, k = (size_t)v->k;
    struct valued *rows = ft_alloc(n, sizeof *rows);
    size_t *bin = ft_alloc(n, sizeof *bin);
    double *share = ft_alloc_zero(k, sizeof *share), *count = NULL;
    float *score = ft_alloc(n, k * sizeof *score);
    int rc = rows && bin && share && score ? 0 : ft_error_nomem(err, "the search for shortcuts");
    if (!rc) {
        for (size_t i = 0; i < n; i++) {
            rows[i] = (struct valued){ value[i], i };
            share[y[i]] += 1 / (double)n;
        }
        const size_t bins = cut(rows, n, categories, bin);
        count = ft_alloc(bins, k * sizeof *count);
        if (count)
            score_rows(bin, bins, y, v, share, count, score);
        rc = count ? best_class(score, y, v, share, out, err)
                   : ft_error_nomem(err, "the search for shortcuts");
    }
    free(rows);
    free(bin);
    free(share);
    free(count);
    free(score);
    return rc;
}
