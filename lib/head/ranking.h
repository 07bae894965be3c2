/* How well one column of scores ranks the rows of one class above all others. */
#ifndef FT_HEAD_RANKING_H
#define FT_HEAD_RANKING_H

#include "finetune-tools.h"

/* score [n] at a distance of `stride` floats; rows with y == c are positive. Equal to
 * scikit-learn's roc_auc_score and average_precision_score (the step sum, not interpolated); ties
 * count half and count together. NaN where rows of one kind are missing. */
int ft_ranking(const float *score, size_t stride, const int32_t *y, int32_t c, size_t n,
               double *roc_auc, double *average_precision, struct ft_error *err);

#endif
