/* Limited-memory BFGS with a weak-Wolfe line search, as a state machine. The caller evaluates the
 * function, so that several minimisations can share one pass over the data. Nocedal and Wright,
 * Numerical Optimization (2006), algorithms 7.4 and 7.5; The line search uses a bracket and cubic
 * interpolation. Near the minimum, differences of f are smaller than rounding errors, and slopes
 * are compared instead (Hager and Zhang 2005).
 *
 *     ft_lbfgs_start(&o);                       with the first point in o.x
 *     do { f = value at o.x; o.g = gradient at o.x; } while (ft_lbfgs_next(&o, f));
 *
 * Then o.x is the best point and o.f0 its value. */
#ifndef FT_HEAD_LBFGS_H
#define FT_HEAD_LBFGS_H

#include <stdbool.h>
#include <stddef.h>

#include "finetune-tools.h"

enum { FT_LBFGS_PAIRS = 10 };

struct ft_lbfgs {
    size_t n;
    double tolerance;   /* stop if the predicted decrease is below tolerance * |f| */
    int max_iterations; /* accepted steps */
    float *x, *g;       /* [n] the point to evaluate, the gradient there */
    double f0;          /* value at the last accepted point */
    int iterations, evaluations;

    /* private */
    /* [n] the last accepted point, its gradient, the search direction */
    float *x0, *g0, *direction;
    /* [FT_LBFGS_PAIRS, n] differences of points and of gradients, as ring buffers */
    float *s, *y;
    double sy[FT_LBFGS_PAIRS], yy[FT_LBFGS_PAIRS];
    int pairs, newest;
    bool searching;
    double slope0,
        decrease; /* slope0: along `direction` at x0; decrease: by the last accepted step */
    double step, low, high; /* low, high: the bracket; high is infinite until a step was too long */
    double f_low, slope_low, f_high, slope_high;
    int trials, failures;
};

int ft_lbfgs_init(struct ft_lbfgs *o, size_t n, struct ft_error *err);
void ft_lbfgs_release(struct ft_lbfgs *o);
/* Begins at o->x. Curvature pairs from an earlier minimisation are used. */
void ft_lbfgs_start(struct ft_lbfgs *o);
void ft_lbfgs_forget(struct ft_lbfgs *o);
/* Corrects the curvature pairs after the function has changed by add/2 |x[0..count)|^2. The
 * correction is exact. */
void ft_lbfgs_shift(struct ft_lbfgs *o, double add, size_t count);
bool ft_lbfgs_next(struct ft_lbfgs *o, double f);

/* Sum of a[i] * b[i]: short sums in float by BLAS, which are added in double. */
double ft_dot(const float *a, const float *b, size_t n);

#endif
