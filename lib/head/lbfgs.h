/* Limited-memory BFGS with a weak-Wolfe line search, as a state machine: the caller evaluates, so
 * that many minimisations can share one pass over the data. Nocedal and Wright, Numerical
 * Optimization (2006), algorithms 7.4 and 7.5; line search by bracketing with cubic interpolation;
 * near the minimum, where differences of f drown in rounding, slopes decide (Hager and Zhang 2005).
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
    double tolerance;   /* stop when the model's predicted decrease is below tolerance * |f| */
    int max_iterations; /* accepted steps */
    float *x, *g;       /* [n] the point to evaluate, the gradient there */
    double f0;          /* value at the last accepted point */
    int iterations, evaluations;

    /* private */
    /* [n] the last accepted point, its gradient, where to go from it */
    float *x0, *g0, *direction;
    /* [FT_LBFGS_PAIRS, n] differences of points and of gradients, a ring */
    float *s, *y;
    double sy[FT_LBFGS_PAIRS], yy[FT_LBFGS_PAIRS];
    int pairs, newest;
    bool searching;
    double slope0, decrease; /* along direction at x0; of the last accepted step */
    double step, low, high;  /* bracket; high is infinite until a step was too long */
    double f_low, slope_low, f_high, slope_high;
    int trials, failures;
};

int ft_lbfgs_init(struct ft_lbfgs *o, size_t n, struct ft_error *err);
void ft_lbfgs_release(struct ft_lbfgs *o);
/* Begins at o->x with whatever curvature is remembered. */
void ft_lbfgs_start(struct ft_lbfgs *o);
void ft_lbfgs_forget(struct ft_lbfgs *o);
/* The function has grown by add/2 |x[0..count)|^2: corrects the remembered curvature exactly. */
void ft_lbfgs_shift(struct ft_lbfgs *o, double add, size_t count);
bool ft_lbfgs_next(struct ft_lbfgs *o, double f);

/* Sum of a[i] * b[i]: short float sums by BLAS, added up in double. */
double ft_dot(const float *a, const float *b, size_t n);

#endif
