/* The state of a training of a head. train.c runs it: cross-validation (crossval.h) chooses L2 and
 * measures, then one fit on all rows makes the head. */
#ifndef FT_HEAD_TRAINING_H
#define FT_HEAD_TRAINING_H

#include "base/thread.h"
#include "finetune-tools.h"
#include "head/design.h"
#include "head/fit.h"
#include "head/precondition.h"

/* L2 values: a search begins with FT_L2_GRID of them and may extend to FT_L2_MOST. */
enum { FT_L2_GRID = 9, FT_L2_MOST = 25 };

/* Half decades from 1000 to 1e-9. */
extern const double ft_l2_values[FT_L2_MOST];

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
    double *class_rows;   /* [k] number of rows of each class */
    float *logits, *best; /* [n, k] out of fold: at the current L2; at the best one so far */
    float *weight;        /* [folds, n] */
    bool *absent;         /* [folds, k] */
    int n_grid;
    struct ft_l2_row grid[FT_L2_MOST]; /* large to small */
    int first;                         /* index of grid[0].l2 in ft_l2_values */
    bool extend;                       /* the grid may grow at its ends */
    /* For the same folds of several triangular designs (gram.h): the best L2 of the previous
     * design, and its solution there, W as combinations of rows [folds, columns, n] and then b
     * [columns] for each fold. The next search begins near them. 0: none; NULL: not kept. */
    double hint;
    float *solution;
    double l2;
};

/* Checks the labels and assigns rows to folds. The caller has set y, n and k. */
int ft_head_training_init(struct ft_head_training *t, const uint64_t *group,
                          const struct ft_train_options *options, struct ft_error *err);
/* Takes ownership of a design, also on failure, in place of an earlier one, and sets the grid of L2
 * values for it: the value l2, or a search if that is 0. */
int ft_head_training_design(struct ft_head_training *t, const struct ft_design *design, double l2,
                            struct ft_error *err);
/* Assigns rows to other folds, number `repeat` of them (0: the first ones), and starts a new search
 * of L2. */
int ft_head_training_repeat(struct ft_head_training *t, const uint64_t *group,
                            const struct ft_train_options *options, int repeat,
                            struct ft_error *err);
/* Keeps solutions from now on, for designs of n columns. */
int ft_head_training_keep(struct ft_head_training *t, struct ft_error *err);
void ft_head_training_release(struct ft_head_training *t);

/* Sets up a fit on the rows outside fold `held_out` (-1: on all rows): weight [n], with a sum of 1
 * over those rows and 0 elsewhere; absent [k], the classes without such a row; the start, W = 0 and
 * b = the log of the classes' shares, where an absent class counts as half a picture. The fit
 * borrows both arrays. */
int ft_fit_set_up(const struct ft_head_training *t, int32_t held_out, float *weight, bool *absent,
                  struct ft_fit *fit, struct ft_error *err);

#endif
