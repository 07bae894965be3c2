/* The weight of the layers before the last in features of several layers (w in head/design.h). */
#ifndef FT_HEAD_DEPTHS_H
#define FT_HEAD_DEPTHS_H

#include "finetune-tools.h"
#include "head/gram.h"

struct ft_depths {
    double depth; /* w */
    int n;        /* values that were tried; 0: w was given */
    struct ft_depth_row rows[FT_DEPTHS];
    /* The products and the validation of all rows; empty and NULL if there are too many of them, or
     * not fewer than columns. */
    struct ft_gram gram;
    struct ft_validation *validation;
};

/* Chooses w by cross-validation from 0, 0.1, 0.3, 1, 3 and 9, each with its own best L2, or takes
 * options->depth. Where the folds are the same for each w (no repetitions), the search of L2 for
 * w > 0 begins with the best L2 of the previous w and its two neighbours, and extends from there;
 * otherwise it visits the whole grid. The rule that chooses w is that of ft_repeated_choose; fewer
 * than 15 pictures always get 0. Of more than 1500 rows, an evenly spaced subset is used. The fits
 * are in the dual form, whose features are scaled over all rows, not over those of a fold: scales
 * depend on no label. Freed with ft_depths_release. */
int ft_depths_choose(const struct ft_training_set *set, const struct ft_train_options *options,
                     struct ft_depths *out, struct ft_error *err);
void ft_depths_release(struct ft_depths *depths);

#endif
