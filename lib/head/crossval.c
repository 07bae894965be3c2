/* Cross-validation. All folds are fitted together, for each L2 of the grid from large to small;
 * each fit starts from the previous solution. If the best L2 is at an end of the grid, the grid is
 * extended there.
 *
 * L2 is chosen by the out-of-fold log-loss with the training's class weights. The logits that are
 * kept for the rows of a fold are those of the L2 that is best for the rows outside the fold. So
 * the choice is out of fold as well, and figures that are computed from these logits do not profit
 * from it. */
#include "head/crossval.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/blas.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "head/softmax.h"

enum { MOST_COLUMNS = 512, CHUNK = 512 };

/* A fit ends when the predicted decrease of the objective, relative to the objective, is below
 * this. The log-losses of different L2 values differ by far more. */
static const double tolerance_cv = 1e-5;

/* The smallest L2 values take the longest. If an evaluation takes more than long_work
 * multiplications, the search ends after two consecutive values that are clearly worse. Shorter
 * searches visit the whole grid. */
static const double long_work = 1e9, clearly = 0.02;

/* ---- out-of-fold scores ---------------------------------------------------------------------- */

struct scoring {
    const struct ft_head_training *t;
    double *loss, *right; /* [chunks, folds], [chunks] */
};

static void score_chunk(void *context, size_t chunk, int member)
{
    const struct scoring *s = context;
    const struct ft_head_training *t = s->t;
    const size_t end = (chunk + 1) * CHUNK < t->n ? (chunk + 1) * CHUNK : t->n, k = (size_t)t->k;
    double *loss = s->loss + chunk * (size_t)t->folds, right = 0;
    (void)member;
    for (int f = 0; f < t->folds; f++)
        loss[f] = 0;
    for (size_t i = chunk * CHUNK; i < end; i++) {
        const float *z = t->logits + i * k;
        const int32_t y = t->y[i];
        loss[t->fold[i]] +=
            ft_softmax_loss(z, t->k, y, 1) / (t->weighted ? t->k * t->class_rows[y] : (double)t->n);
        right += ft_argmax(z, t->k) == y;
    }
    s->right[chunk] = right;
}

/* Writes log-loss and accuracy of t->logits to `row`, and each fold's part of the log-loss to
 * `part` [folds]. The sums of chunks are added in a fixed order. */
static int score(const struct ft_head_training *t, struct ft_l2_row *row, double *part,
                 struct ft_error *err)
{
    const size_t chunks = (t->n + CHUNK - 1) / CHUNK, folds = (size_t)t->folds;
    double *sums = ft_alloc((folds + 1) * chunks, sizeof *sums);
    if (!sums)
        return ft_error_nomem(err, "the scores of the cross-validation");
    struct scoring s = { t, sums, sums + folds * chunks };
    ft_team_each(t->team, chunks, score_chunk, &s);
    row->log_loss = row->accuracy = 0;
    memset(part, 0, folds * sizeof *part);
    for (size_t i = 0; i < chunks; i++) {
        for (size_t f = 0; f < folds; f++)
            part[f] += s.loss[i * folds + f];
        row->accuracy += s.right[i] / (double)t->n;
    }
    for (size_t f = 0; f < folds; f++)
        row->log_loss += part[f];
    free(sums);
    return 0;
}

/* ---- cross-validation ------------------------------------------------------------------------ */

/* Shift and scale of each fold's training rows, in one pass for all folds. */
static int scale_folds(const struct ft_head_training *t, struct ft_fit *fits, struct ft_error *err)
{
    const size_t folds = (size_t)t->folds;
    const float **weight = ft_alloc(folds, sizeof *weight);
    float **shift = ft_alloc(2 * folds, sizeof *shift), **scale = shift + folds;
    int rc = weight && shift ? 0 : ft_error_nomem(err, "the cross-validation");
    for (size_t f = 0; !rc && f < folds; f++) {
        weight[f] = fits[f].weight;
        shift[f] = fits[f].shift;
        scale[f] = fits[f].scale;
    }
    if (!rc)
        rc = ft_design_moments(&t->design, weight, folds, shift, scale, t->team, err);
    free(weight);
    free(shift);
    return rc;
}

/* Fits all folds at one L2. So many are fitted together that the matrix products are wide enough.
 * The curvature from the previous L2 is kept, unless the preconditioner changes the variables. */
static int fit_folds(struct ft_head_training *t, struct ft_fit *fits, double l2, double before,
                     struct ft_error *err)
{
    const int columns = ft_softmax_columns(t->k),
              together = columns < MOST_COLUMNS ? MOST_COLUMNS / columns : 1;
    if (t->preconditioned)
        ft_precondition_factor(&t->precondition, l2);
    for (int f = 0; f < t->folds; f++) {
        fits[f].l2 = l2;
        if (t->preconditioned)
            ft_lbfgs_forget(&fits[f].optimiser);
        else
            ft_lbfgs_shift(&fits[f].optimiser, l2 - before, (size_t)columns * (size_t)t->design.d);
    }
    for (int f = 0; f < t->folds; f += together) {
        const int count = t->folds - f < together ? t->folds - f : together;
        const int rc =
            ft_softmax_fit(&t->design, t->y, t->k, fits + f, (size_t)count, t->team, err);
        if (rc)
            return rc;
    }
    return 0;
}

bool ft_l2_hopeless(const struct ft_l2_row *grid, int done)
{
    double lowest = INFINITY;
    for (int i = 0; i < done; i++)
        lowest = fmin(lowest, grid[i].log_loss);
    const double worse = lowest * (1 + clearly);
    return done >= 3 && grid[done - 2].log_loss > worse &&
           grid[done - 1].log_loss > fmax(worse, grid[done - 2].log_loss);
}

/* A walk along the grid, and what it has found so far. */
struct walk {
    struct ft_fit *fits; /* [folds] */
    double lowest;       /* log-loss at t->l2 */
    double *outside;     /* [folds] the lowest log-loss over the rows outside a fold */
    double *part;        /* [folds] each fold's part of the current log-loss */
};

static size_t parameters(const struct ft_head_training *t)
{
    return (size_t)ft_softmax_columns(t->k) * ((size_t)t->design.d + 1);
}

static void keep_solution(struct ft_head_training *t, const struct ft_fit *fits)
{
    for (size_t f = 0; t->solution && f < (size_t)t->folds; f++)
        memcpy(t->solution + f * parameters(t), fits[f].optimiser.x,
               parameters(t) * sizeof *t->solution);
}

/* Converts the kept solution from W to A, W = A X, with the rows X of the design. */
static void solution_to_rows(struct ft_head_training *t)
{
    ft_blas_alone();
    for (size_t f = 0; t->solution && f < (size_t)t->folds; f++)
        cblas_strsm(CblasRowMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit,
                    ft_softmax_columns(t->k), (int)t->n, 1, t->design.x, (int)t->n,
                    t->solution + f * parameters(t), (int)t->n);
}

/* Starts a fit from the solution of an earlier design. */
static void start_near(const struct ft_head_training *t, size_t f, float *x)
{
    if (!t->solution || !(t->hint > 0))
        return;
    ft_blas_alone();
    memcpy(x, t->solution + f * parameters(t), parameters(t) * sizeof *x);
    cblas_strmm(CblasRowMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit,
                ft_softmax_columns(t->k), (int)t->n, 1, t->design.x, (int)t->n, x, (int)t->n);
}

/* Keeps the logits of the folds whose outside rows have a lower loss than at any L2 before; a tie
 * goes to the value visited first. Overwrites w->part. */
static void keep_best(struct ft_head_training *t, struct walk *w, double loss)
{
    const size_t k = (size_t)t->k;
    for (int f = 0; f < t->folds; f++) {
        const double outside = loss - w->part[f];
        w->part[f] = outside < w->outside[f]; /* from here on: whether the fold is kept */
        w->outside[f] = fmin(w->outside[f], outside);
    }
    for (size_t i = 0; i < t->n; i++) {
        if (w->part[t->fold[i]] > 0)
            memcpy(t->best + i * k, t->logits + i * k, k * sizeof *t->best);
    }
}

/* Fits every fold at grid[i] and scores the result. `before` is the previous L2 of the fits. */
static int visit(struct ft_head_training *t, struct walk *w, int i, double before,
                 struct ft_error *err)
{
    int rc = fit_folds(t, w->fits, t->grid[i].l2, before, err);
    if (!rc)
        rc = score(t, &t->grid[i], w->part, err);
    if (rc)
        return rc;
    if (t->grid[i].log_loss < w->lowest) {
        w->lowest = t->grid[i].log_loss;
        t->l2 = t->grid[i].l2;
        keep_solution(t, w->fits);
    }
    keep_best(t, w, t->grid[i].log_loss);
    return 0;
}

/* Returns whether the search continues below the last value of the grid: if that value is the best
 * so far, and is not negligible compared with the squared length of the rows. */
static bool extend_down(const struct ft_head_training *t)
{
    const double last = t->grid[t->n_grid - 1].l2;
    return t->extend && t->l2 == last && last > 1e-7 * t->design.row_square &&
           t->first + t->n_grid < FT_L2_MOST;
}

static int walk_down(struct ft_head_training *t, struct walk *w, struct ft_error *err)
{
    const double cells = (double)t->n * t->design.d * ft_softmax_columns(t->k);
    double before = 0;
    for (int i = 0; i < t->n_grid; i++) {
        const int rc = visit(t, w, i, before, err);
        if (rc)
            return rc;
        before = t->grid[i].l2;
        if (cells > long_work && ft_l2_hopeless(t->grid, i + 1)) {
            t->n_grid = i + 1;
        } else if (i + 1 == t->n_grid && extend_down(t)) {
            t->grid[t->n_grid] = (struct ft_l2_row){ .l2 = ft_l2_values[t->first + t->n_grid] };
            t->n_grid++;
        }
    }
    return 0;
}

/* Continues above the first value of the grid while that value is the best. */
static int walk_up(struct ft_head_training *t, struct walk *w, struct ft_error *err)
{
    double before = t->grid[t->n_grid - 1].l2;
    while (t->extend && t->l2 == t->grid[0].l2 && t->first > 0) {
        memmove(t->grid + 1, t->grid, (size_t)t->n_grid * sizeof *t->grid);
        t->n_grid++;
        t->grid[0] = (struct ft_l2_row){ .l2 = ft_l2_values[--t->first] };
        const int rc = visit(t, w, 0, before, err);
        if (rc)
            return rc;
        before = t->grid[0].l2;
    }
    return 0;
}

int ft_cross_validate(struct ft_head_training *t, struct ft_error *err)
{
    const size_t folds = (size_t)t->folds;
    struct ft_fit *fits = ft_alloc_zero(folds, sizeof *fits);
    double *sums = ft_alloc(2 * folds, sizeof *sums);
    struct walk w = { fits, INFINITY, sums, sums + folds };
    int rc = fits && sums ? 0 : ft_error_nomem(err, "the cross-validation");
    for (int f = 0; f < t->folds && !rc; f++) {
        w.outside[f] = INFINITY;
        rc = ft_fit_init(&fits[f], t->design.d, t->k, err);
        if (!rc)
            rc = ft_fit_set_up(t, f, t->weight + (size_t)f * t->n,
                               t->absent + (size_t)f * (size_t)t->k, &fits[f], err);
        if (!rc)
            start_near(t, (size_t)f, fits[f].optimiser.x);
        fits[f].logits = t->logits;
        fits[f].precondition = t->preconditioned ? &t->precondition : NULL;
        fits[f].optimiser.tolerance = tolerance_cv;
    }
    if (!rc)
        rc = scale_folds(t, fits, err);
    if (!rc)
        rc = walk_down(t, &w, err);
    if (!rc)
        rc = walk_up(t, &w, err);
    if (!rc)
        solution_to_rows(t);
    for (size_t f = 0; fits && f < folds; f++)
        ft_fit_release(&fits[f]);
    free(fits);
    free(sums);
    return rc;
}
