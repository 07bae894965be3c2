/* A change of variables that makes softmax regression nearly round. At equal probabilities the
 * Hessian is (1/k) C + l2 I for every class, C the features' covariance (Boehning 1992, Multinomial
 * logistic regression algorithm, has it as a bound), and later about a share of that. With M = L
 * L^T of that kind, W' = W L has a Hessian near the identity, and L-BFGS needs a handful of steps
 * where it needed a hundred. C costs about d / (4 k) passes over the data. */
#ifndef FT_HEAD_PRECONDITION_H
#define FT_HEAD_PRECONDITION_H

#include "head/design.h"

struct ft_precondition {
    int d;
    float curvature;            /* a share of 1/k, also taken for the bias's second derivative */
    float *covariance, *factor; /* [d, d] lower triangles, row-major */
};

/* Whether it pays for fits of k classes on this design; by sizes alone. */
bool ft_precondition_pays(const struct ft_design *design, int k);
int ft_precondition_init(struct ft_precondition *out, const struct ft_design *design, int k,
                         struct ft_team *team, struct ft_error *err);
void ft_precondition_release(struct ft_precondition *p);
/* Makes the factor for one l2. */
void ft_precondition_factor(struct ft_precondition *p, double l2);

/* In place, `rows` rows of w [rows, d]: W L, W L^-1, and for gradients G L^-T. */
void ft_precondition_apply(const struct ft_precondition *p, float *w, size_t rows);
void ft_precondition_undo(const struct ft_precondition *p, float *w, size_t rows);
void ft_precondition_gradient(const struct ft_precondition *p, float *g, size_t rows);

#endif
