/* Softmax regression on a design. Several fits (folds) run together, so that the features are read
 * once for all of them and the matrix products are wide. A fit minimises
 *
 *     sum_i weight_i * -log p(y_i | x_i)  +  l2/2 |W|^2        p = softmax(W (x - shift) * scale +
 *                                         b), b unpenalised
 *
 * Parameters are class-major: W [columns, d], then b [columns]. Two classes have one column u,
 * which stands for the symmetric pair (-u/sqrt 2, u/sqrt 2): the minimum is the same, and the work
 * is half. The rows are divided into a fixed number of lanes of consecutive blocks, and the results
 * of the lanes are added in a fixed order. So results do not depend on the number of threads. */
#ifndef FT_HEAD_FIT_H
#define FT_HEAD_FIT_H

#include "base/thread.h"
#include "head/design.h"
#include "head/lbfgs.h"
#include "head/precondition.h"

struct ft_fit {
    const float *weight; /* [n] 0: a held-out row */
    /* [k] classes without a training row: their W stays 0 and their b stays as given. NULL: none.
     */
    const bool *absent;
    float *shift, *scale; /* [d] */
    double l2;
    /* Nullable. Must be factored. The optimiser's curvature is only valid for the same factor. */
    const struct ft_precondition *precondition;
    /* [n, k] receives the logits of held-out rows. Nullable. Several fits may share it. */
    float *logits;
    struct ft_lbfgs optimiser; /* x: parameters in and out; f0: the objective reached */
    /* Nullable. Called after each evaluation, by the thread that called ft_softmax_fit. */
    void (*watch)(void *context, const struct ft_fit *fit);
    void *watch_context;
};

/* The number of columns of W: 1 for two classes, else k. */
int ft_softmax_columns(int k);
/* Allocates a fit. The caller sets weight, absent, l2, precondition and logits. */
int ft_fit_init(struct ft_fit *fit, int d, int k, struct ft_error *err);
void ft_fit_release(struct ft_fit *fit);
/* Minimises each of fits[0..count), starting from the parameters in optimiser.x. count * columns
 * should be at most some hundreds. */
int ft_softmax_fit(const struct ft_design *design, const int32_t *y, int k, struct ft_fit *fits,
                   size_t count, struct ft_team *team, struct ft_error *err);

#endif
