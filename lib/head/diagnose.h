/* Parts of ft_diagnose. */
#ifndef FT_HEAD_DIAGNOSE_H
#define FT_HEAD_DIAGNOSE_H

#include "finetune-tools.h"

/* value [v->n] of one feature, y [v->n]; categories: values are names, not numbers. Fills auc, low,
 * class and named of *out, which starts zeroed but for its feature. */
int ft_shortcut_measure(const double *value, bool categories, const int32_t *y,
                        const struct ft_validation *v, struct ft_shortcut *out,
                        struct ft_error *err);

/* Labels that the other pictures contradict: rows whose most probable class, out of fold, is not
 * their own, by its margin over their own. A row is `confident` where confident learning
 * (Northcutt, Jiang and Chuang 2021) counts it as an error: that class's probability reaches the
 * mean that it has over the rows labelled so. Worst first; free() it. */
int ft_suspects_find(const float *p, const int32_t *y, size_t n, int k, struct ft_suspect **out,
                     size_t *count, struct ft_error *err);

/* Rows far from all others: the mean distance (1 - cosine about the mean) to the 5 nearest lies
 * more than 4 standard deviations, estimated by the median absolute deviation, above the median.
 * Furthest first; free() it. */
int ft_outliers_find(const float *x, size_t n, int d, int threads, struct ft_outlier **out,
                     size_t *count, struct ft_error *err);

#endif
