/* Unit vectors of features, which can be compared by their cosine. */
#ifndef FT_DATASET_NEAR_H
#define FT_DATASET_NEAR_H

#include "finetune-tools.h"

/* Subtracts the mean of all rows from x [n, d] and scales each row to length 1 (or 0). Returns
 * [n, d], which must be freed with free(), or NULL if memory runs out. */
float *ft_unit_rows(const float *x, size_t n, int d);

#endif
