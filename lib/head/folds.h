/* Stratified group k-fold: rows of one group share a fold, every class is spread over the folds as
 * evenly as its groups allow. */
#ifndef FT_HEAD_FOLDS_H
#define FT_HEAD_FOLDS_H

#include "finetune-tools.h"

/* fold [n] receives 0..folds-1. `folds` is lowered to the number of groups when there are fewer;
 * returns the folds used (>= 2), or FT_EARG when all rows are one group. group NULL: every row its
 * own. A class with fewer groups than folds is missing from the validation rows of some folds; one
 * that is a single group is missing from the training rows of one fold. */
int ft_folds_assign(const int32_t *y, const uint64_t *group, size_t n, int k, int folds,
                    uint64_t seed, int32_t *fold, struct ft_error *err);

#endif
