/* The weight of the layers before the last in features of several layers (w in head/design.h). */
#ifndef FT_HEAD_DEPTHS_H
#define FT_HEAD_DEPTHS_H

#include "finetune-tools.h"
#include "head/gram.h"

struct ft_depths {
    double depth; /* w */
    int n;        /* values that were tried; 0: w was given */
    struct ft_depth_row rows[FT_DEPTHS];
    struct ft_gram
        gram; /* of all rows; empty if there are too many of them, or not fewer than columns */
};

/* Chooses w by cross-validation from 0, 0.1, 0.3, 1, 3 and 9, each with its own best L2, or takes
 * options->depth. The lowest log-loss wins, of equal ones the smaller w. Sets of fewer than 50
 * pictures take the smallest w whose log-loss is within one standard error of the lowest
 * (README.md says how this rule was chosen), and of fewer than 15 always 0. Of more than 1500 rows,
 * an evenly spaced subset is used. The fits are in the dual form, whose features are scaled over
 * all rows, not over those of a fold: scales depend on no label. Freed with ft_depths_release. */
int ft_depths_choose(const struct ft_training_set *set, const struct ft_train_options *options,
                     struct ft_depths *out, struct ft_error *err);
void ft_depths_release(struct ft_depths *depths);

#endif
