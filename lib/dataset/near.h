/* Rows of features made comparable. */
#ifndef FT_DATASET_NEAR_H
#define FT_DATASET_NEAR_H

#include "finetune.h"

/* x [n, d] less its mean, each row of length 1 (or 0): [n, d], free() it; NULL when out of memory.
 */
float *ft_unit_rows(const float *x, size_t n, int d);

#endif
