/* What a training of a head knows, and its two halves: cross-validation, which chooses L2 and
 * measures, and the final fit on all rows. */
#ifndef FT_HEAD_TRAINING_H
#define FT_HEAD_TRAINING_H

#include "base/thread.h"
#include "finetune.h"
#include "head/design.h"
#include "head/precondition.h"
#include "head/softmax.h"

enum { FT_L2_GRID = 9 };

struct ft_head_training {
    const int32_t *y;
    size_t n;
    int k, folds;
    bool weighted;
    struct ft_team *team;
    struct ft_design design;
    struct ft_precondition precondition;
    bool preconditioned;
    int32_t *fold;        /* [n] */
    double *class_rows;   /* [k] all rows of a class */
    float *logits, *best; /* [n, k] out of fold: at the current L2, at the best so far */
    float *weight;        /* [folds, n] */
    bool *absent;         /* [folds, k] */
    int n_grid;
    struct ft_l2_row grid[FT_L2_GRID];
    double l2;
};

/* Weights over the rows outside `held_out` (-1: over all), their sum 1; marks absent classes;
 * starts b at the classes' shares, with half a picture for an absent class. W starts at 0. */
int ft_fit_set_up(const struct ft_head_training *t, int32_t held_out, float *weight, bool *absent,
                  struct ft_fit *fit, struct ft_error *err);

/* Whether the `done` rows of a grid, from large to small L2, say that smaller ones only overfit. */
bool ft_l2_hopeless(const struct ft_l2_row *grid, int done);
/* Fits every fold at every L2 of the grid: fills the grid's figures, the best l2 and its
 * out-of-fold logits. Lowers n_grid where the work is long and the rest is hopeless. */
int ft_cross_validate(struct ft_head_training *t, struct ft_error *err);
/* After that: the temperature, and the out-of-fold probabilities with everything measured, which
 * take the place of the logits. *out is the caller's. */
int ft_validation_make(struct ft_head_training *t, struct ft_validation **out,
                       struct ft_error *err);

#endif
