/* Temperature scaling (Guo et al. 2017, On Calibration of Modern Neural Networks). */
#ifndef FT_HEAD_CALIBRATE_H
#define FT_HEAD_CALIBRATE_H

#include "finetune.h"

/* The temperature T that minimises sum_i -log softmax(z_i / T)[y_i] + (ln T)^2 / 2 over the rows with fold[i] != except (except < 0:
 * all rows). The last term weighs as much as one picture: it keeps T finite when every row is classified right.
 * z [n, k] logits. */
double ft_temperature_fit(const float *z, const int32_t *y, const int32_t *fold, int32_t except, size_t n, int k);

#endif
