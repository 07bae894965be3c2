/* Cross-validation of a training: chooses L2 and measures. Each row is judged by a fit without
 * it. */
#ifndef FT_HEAD_CROSSVAL_H
#define FT_HEAD_CROSSVAL_H

#include "head/training.h"

/* Returns whether the first `done` values of a grid, from large to small L2, show that smaller
 * values would only overfit. */
bool ft_l2_hopeless(const struct ft_l2_row *grid, int done);
/* Fits every fold at every L2 of the grid. Writes the scores of the grid, the best L2 and its
 * out-of-fold logits. Lowers n_grid if the work is long and the remaining values would only
 * overfit. */
int ft_cross_validate(struct ft_head_training *t, struct ft_error *err);
/* After ft_cross_validate: fits the temperature and turns the out-of-fold logits into
 * probabilities. Moves t->best and t->logits to *out, which is freed with ft_validation_free. */
int ft_validation_make(struct ft_head_training *t, struct ft_validation **out,
                       struct ft_error *err);

#endif
