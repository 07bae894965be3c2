/* Cross-validation of a training: chooses L2 and measures. Each row is judged by a fit without
 * it. */
#ifndef FT_HEAD_CROSSVAL_H
#define FT_HEAD_CROSSVAL_H

#include "head/training.h"

/* Returns whether the first `done` values of a grid, from large to small L2, show that smaller
 * values would only overfit. */
bool ft_l2_hopeless(const struct ft_l2_row *grid, int done);
/* Fits every fold at every L2 of the grid. Writes the scores of the grid, the best L2, and to
 * t->best the out-of-fold logits, for each fold at the L2 that is best for the rows outside it.
 * Lowers n_grid if the work is long and the remaining values would only overfit. */
int ft_cross_validate(struct ft_head_training *t, struct ft_error *err);

#endif
