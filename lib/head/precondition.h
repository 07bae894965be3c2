/* A change of variables after which the Hessian of softmax regression is near the identity. At
 * equal probabilities the Hessian is (1/k) C + l2 I for each class, where C is the covariance of
 * the features. (1/k) C is an upper bound (Boehning 1992, Multinomial logistic regression
 * algorithm); at the minimum the Hessian is about a fixed fraction of it. Let M = L L^T be such a
 * matrix. Then W' = W L has a Hessian near the identity, and L-BFGS needs tens of steps instead of
 * a hundred. C costs about d / (4 k) passes over the data. */
#ifndef FT_HEAD_PRECONDITION_H
#define FT_HEAD_PRECONDITION_H

#include "head/design.h"

struct ft_precondition {
    int d;
    float curvature; /* a fraction of 1/k; also used as the second derivative for the bias */
    float *covariance, *factor; /* [d, d] lower triangles, row-major */
};

/* Returns whether it makes fits of k classes on this design faster. Depends on sizes only. */
bool ft_precondition_pays(const struct ft_design *design, int k);
int ft_precondition_init(struct ft_precondition *out, const struct ft_design *design, int k,
                         struct ft_team *team, struct ft_error *err);
void ft_precondition_release(struct ft_precondition *p);
/* Computes the factor for one l2. */
void ft_precondition_factor(struct ft_precondition *p, double l2);

/* Replaces the lower triangle of a symmetric a [d, d] by its Cholesky factor. Pivots are at least
 * sqrt(least), for matrices that are singular up to rounding. */
void ft_cholesky(float *a, size_t d, double least);

/* In place, for w or g [rows, d]: apply computes W L, undo W L^-1, gradient G L^-T. */
void ft_precondition_apply(const struct ft_precondition *p, float *w, size_t rows);
void ft_precondition_undo(const struct ft_precondition *p, float *w, size_t rows);
void ft_precondition_gradient(const struct ft_precondition *p, float *g, size_t rows);

#endif
