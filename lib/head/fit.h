/* Softmax regression on a design: several fits (folds) in lockstep, so that the features are read
 * once for all of them and the products are wide. A fit minimises
 *
 *     sum_i weight_i * -log p(y_i | x_i)  +  l2/2 |W|^2        p = softmax(W (x - shift) * scale +
 *                                         b), b unpenalised
 *
 * Parameters are class-major: W [columns, d], then b [columns]. Two classes have one column u,
 * standing for the symmetric pair (-u/sqrt 2, u/sqrt 2): the same minimum at half the work. Rows
 * are taken in fixed blocks, in stretches that belong to fixed lanes, lanes are added in order:
 * results do not depend on the number of threads. */
#ifndef FT_HEAD_FIT_H
#define FT_HEAD_FIT_H

#include "base/thread.h"
#include "head/design.h"
#include "head/lbfgs.h"
#include "head/precondition.h"

struct ft_fit {
    const float *weight; /* [n] 0: a held-out row */
    /* [k] classes without a training row: W stays 0, b as it was given. NULL: none */
    const bool *absent;
    float *shift, *scale; /* [d] */
    double l2;
    /* factored; or NULL. Remembered curvature is only good for the same factor */
    const struct ft_precondition *precondition;
    /* [n, k] receives the logits of held-out rows; NULL: not wanted. Fits may share it */
    float *logits;
    struct ft_lbfgs optimiser; /* x: parameters in and out; f0: the objective reached */
    /* called after every evaluation, between them; NULL: nobody looks */
    void (*watch)(void *context, const struct ft_fit *fit);
    void *watch_context;
};

/* Columns of parameters: 1 for two classes, else k. */
int ft_softmax_columns(int k);
/* Everything but weight, absent, l2, precondition and logits, which are the caller's. */
int ft_fit_init(struct ft_fit *fit, int d, int k, struct ft_error *err);
void ft_fit_release(struct ft_fit *fit);
/* Minimises every one of fits[0..count) from the parameters in optimiser.x; count * columns is best
 * kept below some hundreds. */
int ft_softmax_fit(const struct ft_design *design, const int32_t *y, int k, struct ft_fit *fits,
                   size_t count, struct ft_team *team, struct ft_error *err);

#endif
