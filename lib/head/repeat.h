/* Repeated cross-validation of several candidates: designs of the same rows, the simplest first.
 * One of them is chosen, and the figures of the training are made from the out-of-fold logits.
 *
 * Every choice is cross-fitted: the logits of a fold's rows are those of the candidate and of the
 * L2 that are best for the rows outside the fold, divided by the temperature that is best for them.
 * So the figures do not profit from the choices. */
#ifndef FT_HEAD_REPEAT_H
#define FT_HEAD_REPEAT_H

#include "head/training.h"

/* Results of one candidate. */
struct ft_candidate {
    float *logits; /* [n, k] of the first repetition */
    float *loss;   /* [n] of the rows, with their class weights, mean over the repetitions */
    bool *right;   /* [repeats, n] */
    double log_loss, accuracy; /* means over rows and repetitions */
    double l2;                 /* with the lowest mean log-loss */
    int n_grid;
    struct ft_l2_row grid[FT_L2_MOST]; /* means over the repetitions */
};

struct ft_repeated {
    size_t n;
    int k, folds, repeats, count;
    int32_t *fold; /* [repeats, n] */
    struct ft_candidate candidate[FT_DEPTHS];
};

/* Sets are repeated until 300 rows have been judged, but at most 10 times. */
int ft_repeated_init(struct ft_repeated *out, const struct ft_head_training *t,
                     struct ft_error *err);
/* Cross-validates the design of t and adds it as a candidate. */
int ft_repeated_add(struct ft_repeated *r, struct ft_head_training *t, const uint64_t *groups,
                    const struct ft_train_options *options, struct ft_error *err);
/* Returns the candidate with the lowest log-loss; of equal ones, the first. Sets of fewer than 50
 * rows take the first whose log-loss is within one standard error of the lowest (README.md says how
 * this rule was chosen). */
int ft_repeated_choose(const struct ft_repeated *r);
/* Makes the validation of the chosen candidate. Moves its logits and t->logits to *out, which is
 * freed with ft_validation_free. t has the labels and class weights of the rows. */
int ft_repeated_validation(struct ft_repeated *r, struct ft_head_training *t,
                           struct ft_validation **out, struct ft_error *err);
/* For up to 2000 rows: measures the accuracy of t->design at v->l2 with two folds, as often as v
 * was repeated, and sets v->expected and v->interval from it. Otherwise both are those of the
 * measured accuracy. */
int ft_expect(struct ft_head_training *t, const uint64_t *groups,
              const struct ft_train_options *options, struct ft_validation *v,
              struct ft_error *err);
void ft_repeated_release(struct ft_repeated *r);

#endif
