#include "head/lbfgs.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

static const double armijo = 1e-4, curvature = 0.9; /* the usual constants for quasi-Newton steps */
/* differences below noise * |f| may be rounding errors */
static const double noise = 2e-6;
enum { MAX_TRIALS = 25 };

double ft_dot(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i += 1024)
        sum += cblas_sdot((int)(n - i < 1024 ? n - i : 1024), a + i, 1, b + i, 1);
    return sum;
}

/* y += a * x, in pieces, because BLAS counts with int. */
static void add_scaled(double a, const float *x, float *y, size_t n)
{
    const size_t most = (size_t)1 << 30;
    for (size_t i = 0; i < n; i += most)
        cblas_saxpy((int)(n - i < most ? n - i : most), (float)a, x + i, 1, y + i, 1);
}

int ft_lbfgs_init(struct ft_lbfgs *o, size_t n, struct ft_error *err)
{
    *o = (struct ft_lbfgs){ .n = n, .tolerance = 1e-6, .max_iterations = 1000 };
    float **const vectors[] = { &o->x, &o->g, &o->x0, &o->g0, &o->direction };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        if (!(*vectors[i] = ft_alloc_zero(n, sizeof(float))))
            goto fail;
    }
    size_t ring;
    if (!ft_size_mul(n, FT_LBFGS_PAIRS, &ring) || !(o->s = ft_alloc(ring, sizeof(float))) ||
        !(o->y = ft_alloc(ring, sizeof(float))))
        goto fail;
    return 0;
fail:
    ft_lbfgs_release(o);
    return ft_error_nomem(err, "the training of the head");
}

void ft_lbfgs_release(struct ft_lbfgs *o)
{
    free(o->x);
    free(o->g);
    free(o->x0);
    free(o->g0);
    free(o->direction);
    free(o->s);
    free(o->y);
    *o = (struct ft_lbfgs){ 0 };
}

void ft_lbfgs_forget(struct ft_lbfgs *o)
{
    o->pairs = o->newest = 0;
}

void ft_lbfgs_start(struct ft_lbfgs *o)
{
    o->searching = false;
    o->iterations = o->evaluations = o->failures = 0;
    o->decrease = INFINITY;
}

void ft_lbfgs_shift(struct ft_lbfgs *o, double add, size_t count)
{
    for (int j = 0; j < o->pairs; j++) {
        const int i = (o->newest - j + FT_LBFGS_PAIRS) % FT_LBFGS_PAIRS;
        const float *s = o->s + (size_t)i * o->n;
        float *y = o->y + (size_t)i * o->n;
        add_scaled(add, s, y, count);
        o->sy[i] = ft_dot(s, y, o->n);
        o->yy[i] = ft_dot(y, y, o->n);
        if (!(o->sy[i] >
              1e-9 * o->yy[i])) { /* with a smaller penalty this pair has no positive curvature */
            ft_lbfgs_forget(o);
            return;
        }
    }
}

/* direction = -H g by the two-loop recursion. The initial H is the identity, scaled by the newest
 * pair. */
static void find_direction(struct ft_lbfgs *o)
{
    const size_t n = o->n;
    double alpha[FT_LBFGS_PAIRS];
    memcpy(o->direction, o->g0, n * sizeof(float));
    for (int j = 0; j < o->pairs; j++) {
        const int i = (o->newest - j + FT_LBFGS_PAIRS) % FT_LBFGS_PAIRS;
        alpha[i] = ft_dot(o->s + (size_t)i * n, o->direction, n) / o->sy[i];
        add_scaled(-alpha[i], o->y + (size_t)i * n, o->direction, n);
    }
    const double scale = o->pairs ? o->sy[o->newest] / o->yy[o->newest] : 1;
    for (size_t i = 0; i < n; i++)
        o->direction[i] *= (float)-scale;
    for (int j = o->pairs; j-- > 0;) {
        const int i = (o->newest - j + FT_LBFGS_PAIRS) % FT_LBFGS_PAIRS;
        const double beta = ft_dot(o->y + (size_t)i * n, o->direction, n) / o->sy[i];
        add_scaled(-alpha[i] - beta, o->s + (size_t)i * n, o->direction, n);
    }
    o->slope0 = ft_dot(o->g0, o->direction, n);
}

static void try_step(struct ft_lbfgs *o, double step)
{
    o->step = step;
    memcpy(o->x, o->x0, o->n * sizeof(float));
    add_scaled(step, o->direction, o->x, o->n);
    o->trials++;
}

/* Begins a line search at the accepted point. Returns false if the point is good enough. */
static bool begin_search(struct ft_lbfgs *o)
{
    find_direction(o);
    if (!(o->slope0 < 0) && o->pairs) {
        ft_lbfgs_forget(o);
        find_direction(o);
    }
    if (!(o->slope0 < 0) || o->iterations >= o->max_iterations)
        return false;
    const double enough = o->tolerance * fabs(o->f0);
    if (o->pairs && -o->slope0 / 2 <= enough && o->decrease <= 10 * enough)
        return false;
    o->low = 0;
    o->high = INFINITY;
    o->f_low = o->f0;
    o->slope_low = o->slope0;
    o->trials = 0;
    o->searching = true;
    /* Without curvature pairs the length of the gradient gives no step length: try a distance of 1,
     * or the gradient itself if that is shorter. */
    try_step(o, o->pairs ? 1 : fmin(1, 1 / sqrt(-o->slope0)));
    return true;
}

static void remember_pair(struct ft_lbfgs *o)
{
    const int i = o->pairs ? (o->newest + 1) % FT_LBFGS_PAIRS : 0;
    float *s = o->s + (size_t)i * o->n, *y = o->y + (size_t)i * o->n;
    for (size_t j = 0; j < o->n; j++) {
        s[j] = o->x[j] - o->x0[j];
        y[j] = o->g[j] - o->g0[j];
    }
    const double sy = ft_dot(s, y, o->n), yy = ft_dot(y, y, o->n);
    if (!(sy > 1e-9 * yy) || !(yy > 0)) {
        if (o->pairs == FT_LBFGS_PAIRS) /* the oldest pair was overwritten */
            o->pairs--;
        return;
    }
    o->sy[i] = sy;
    o->yy[i] = yy;
    o->newest = i;
    if (o->pairs < FT_LBFGS_PAIRS)
        o->pairs++;
}

/* Returns the minimum of the cubic through both ends of the bracket, at least a tenth of its width
 * away from the ends. */
static double interpolate(const struct ft_lbfgs *o)
{
    const double width = o->high - o->low;
    double t = 0.5;
    if (isfinite(o->f_high)) {
        const double d1 = o->slope_low + o->slope_high - 3 * (o->f_high - o->f_low) / width;
        const double square = d1 * d1 - o->slope_low * o->slope_high;
        if (square >= 0) {
            const double d2 = sqrt(square);
            t = 1 - (o->slope_high + d2 - d1) / (o->slope_high - o->slope_low + 2 * d2);
        }
    }
    if (!(t > 0.1))
        t = 0.1;
    if (t > 0.9)
        t = 0.9;
    return o->low + t * width;
}

static double extrapolate(const struct ft_lbfgs *o, double slope)
{
    /* where the slope would be zero */
    const double secant = o->step * o->slope0 / (o->slope0 - slope);
    if (!(secant > 2 * o->step))
        return 2 * o->step;
    return secant < 10 * o->step ? secant : 10 * o->step;
}

static bool accept(struct ft_lbfgs *o, double f)
{
    remember_pair(o);
    memcpy(o->x0, o->x, o->n * sizeof(float));
    memcpy(o->g0, o->g, o->n * sizeof(float));
    o->decrease = o->f0 - f;
    o->f0 = f;
    o->iterations++;
    o->failures = 0;
    if (begin_search(o))
        return true;
    memcpy(o->x, o->x0, o->n * sizeof(float));
    return false;
}

/* After a line search without success: tries once more without curvature pairs. If that fails too,
 * the point is the minimum to the precision of float32. */
static bool give_up(struct ft_lbfgs *o)
{
    if (o->failures++ == 0) {
        ft_lbfgs_forget(o);
        if (begin_search(o))
            return true;
    }
    memcpy(o->x, o->x0, o->n * sizeof(float));
    return false;
}

bool ft_lbfgs_next(struct ft_lbfgs *o, double f)
{
    o->evaluations++;
    if (!o->searching) {
        memcpy(o->x0, o->x, o->n * sizeof(float));
        memcpy(o->g0, o->g, o->n * sizeof(float));
        o->f0 = f;
        return begin_search(o);
    }
    const double slope = ft_dot(o->g, o->direction, o->n);
    const bool lower = f <= o->f0 + armijo * o->step * o->slope0;
    const bool flat = fabs(f - o->f0) <= noise * fabs(o->f0) && slope <= -0.8 * o->slope0;
    if (!lower && !flat) {
        o->high = o->step;
        o->f_high = f;
        o->slope_high = slope;
    } else if (slope < curvature * o->slope0) {
        o->low = o->step;
        o->f_low = f;
        o->slope_low = slope;
    } else {
        return accept(o, f);
    }
    if (o->trials >= MAX_TRIALS)
        return lower ? accept(o, f) : give_up(o);
    try_step(o, isfinite(o->high) ? interpolate(o) : extrapolate(o, slope));
    return true;
}
