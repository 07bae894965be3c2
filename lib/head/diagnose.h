/* The parts of ft_diagnose. */
#ifndef FT_HEAD_DIAGNOSE_H
#define FT_HEAD_DIAGNOSE_H

#include "finetune-tools.h"

/* value [v->n] is one property of each file, y [v->n] the labels. categories: the values are
 * identifiers, not quantities. Sets auc, low, class_index and named of *out, whose other members
 * must be zero except `feature`. */
int ft_shortcut_measure(const double *value, bool categories, const int32_t *y,
                        const struct ft_validation *v, struct ft_shortcut *out,
                        struct ft_error *err);

/* Finds likely wrong labels: rows whose most probable class, out-of-fold, is not their label. The
 * score is the difference of the two probabilities. A row is `confident` if confident learning
 * (Northcutt, Jiang and Chuang 2021) counts it as an error: the probability of the suggested class
 * is at least the mean that this class has over the rows labelled with it. The highest score comes
 * first. *out must be freed with free(). */
int ft_suspects_find(const float *p, const int32_t *y, size_t n, int k, struct ft_suspect **out,
                     size_t *count, struct ft_error *err);

/* Finds rows far from all others. The distance is 1 - cosine after the mean of all rows is
 * subtracted. A row is an outlier if its mean distance to the 5 nearest rows is more than 4
 * standard deviations above the median; the standard deviation is estimated by the median absolute
 * deviation. The largest distance comes first. *out must be freed with free(). */
int ft_outliers_find(const float *x, size_t n, int d, int threads, struct ft_outlier **out,
                     size_t *count, struct ft_error *err);

#endif
