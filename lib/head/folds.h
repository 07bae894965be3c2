/* Stratified group k-fold: rows of one group are in one fold, and each class is distributed over
 * the folds as evenly as its groups allow. */
#ifndef FT_HEAD_FOLDS_H
#define FT_HEAD_FOLDS_H

#include "finetune-tools.h"

/* fold [n] receives 0..folds-1. If there are fewer groups than `folds`, there are as many folds as
 * groups. Returns the number of folds (>= 2), or FT_EARG if all rows are one group. group NULL:
 * each row is a group. A class with fewer groups than folds has no validation rows in some folds. A
 * class with one group has no training rows in one fold. */
int ft_folds_assign(const int32_t *y, const uint64_t *group, size_t n, int k, int folds,
                    uint64_t seed, int32_t *fold, struct ft_error *err);

#endif
