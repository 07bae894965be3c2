/* Cross-validation of a training: chooses L2 and measures, always on rows that a fit did not see.
 */
#ifndef FT_HEAD_CROSSVAL_H
#define FT_HEAD_CROSSVAL_H

#include "head/training.h"

/* Whether the first `done` values of a grid, from large to small L2, show that smaller values only
 * overfit. */
bool ft_l2_hopeless(const struct ft_l2_row *grid, int done);
/* Fits every fold at every L2 of the grid. Fills the grid's figures, the best L2 and its
 * out-of-fold logits. Lowers n_grid where the work is long and the remaining values are hopeless.
 */
int ft_cross_validate(struct ft_head_training *t, struct ft_error *err);
/* After ft_cross_validate: fits the temperature and turns the out-of-fold logits into
 * probabilities. *out takes over t->best and t->logits; free it with ft_validation_free. */
int ft_validation_make(struct ft_head_training *t, struct ft_validation **out,
                       struct ft_error *err);

#endif
