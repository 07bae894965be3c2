/* Measures of how well a score ranks the rows of one class above all others. */
#ifndef FT_HEAD_RANKING_H
#define FT_HEAD_RANKING_H

#include "finetune-tools.h"

/* score [n], `stride` floats apart; rows with y == c are positive. Equal to scikit-learn's
 * roc_auc_score and average_precision_score (a sum of steps, without interpolation). Rows with
 * equal scores count half for the AUC, and are one step of the precision. Both are NaN if there are
 * no positive rows or no others. */
int ft_ranking(const float *score, size_t stride, const int32_t *y, int32_t c, size_t n,
               double *roc_auc, double *average_precision, struct ft_error *err);

#endif
