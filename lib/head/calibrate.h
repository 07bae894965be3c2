/* Temperature scaling (Guo et al. 2017, On Calibration of Modern Neural Networks). */
#ifndef FT_HEAD_CALIBRATE_H
#define FT_HEAD_CALIBRATE_H

#include "finetune-tools.h"

/* The temperature T that minimises sum_i -log softmax(z_i / T)[y_i] + 8 (ln T)^2 over the rows with
 * fold[i] != except (except < 0: all rows). The last term is a normal prior of standard deviation
 * 0.25 on ln T: it keeps T near 1 if there are few rows, or if all rows are classified correctly.
 * (Measured on subsets of 10 to 900 pictures: without the prior, cross-fitted temperatures increase
 * the log-loss below 100 pictures.) z [n, k] logits. */
double ft_temperature_fit(const float *z, const int32_t *y, const int32_t *fold, int32_t except,
                          size_t n, int k);

/* Returns the largest threshold that the highest probability reaches in at least a share `coverage`
 * of the rows of p [n, k]. Returns 0 if there are no rows, -1 if memory runs out. */
double ft_coverage_threshold(const float *p, size_t n, int k, double coverage);

#endif
