/* Cross-validation. All folds are fitted together, for each L2 of the grid from large to small;
 * each fit starts from the previous solution. Then L2 is chosen and the temperature is fitted. If
 * the best L2 is at an end of the grid, the grid is extended there.
 *
 * L2 is chosen by the out-of-fold log-loss with the training's class weights. The temperature is
 * fitted without weights, because calibration means agreement with the frequencies among the user's
 * own pictures. */
#include "head/crossval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "head/calibrate.h"
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
    double *loss, *right; /* [chunks] */
};

static void score_chunk(void *context, size_t chunk, int member)
{
    const struct scoring *s = context;
    const struct ft_head_training *t = s->t;
    const size_t end = (chunk + 1) * CHUNK < t->n ? (chunk + 1) * CHUNK : t->n, k = (size_t)t->k;
    double loss = 0, right = 0;
    (void)member;
    for (size_t i = chunk * CHUNK; i < end; i++) {
        const float *z = t->logits + i * k;
        const int32_t y = t->y[i];
        loss +=
            ft_softmax_loss(z, t->k, y, 1) / (t->weighted ? t->k * t->class_rows[y] : (double)t->n);
        right += ft_argmax(z, t->k) == y;
    }
    s->loss[chunk] = loss;
    s->right[chunk] = right;
}

/* Writes log-loss and accuracy of t->logits to `row`. The sums of chunks are added in a fixed
 * order. */
static int score(const struct ft_head_training *t, struct ft_l2_row *row, struct ft_error *err)
{
    const size_t chunks = (t->n + CHUNK - 1) / CHUNK;
    double *sums = ft_alloc(2 * chunks, sizeof *sums);
    if (!sums)
        return ft_error_nomem(err, "the scores of the cross-validation");
    struct scoring s = { t, sums, sums + chunks };
    ft_team_each(t->team, chunks, score_chunk, &s);
    row->log_loss = row->accuracy = 0;
    for (size_t i = 0; i < chunks; i++) {
        row->log_loss += s.loss[i];
        row->accuracy += s.right[i] / (double)t->n;
    }
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

/* Fits every fold at grid[i], scores the result and keeps it if it is the best so far. `before` is
 * the previous L2 of the fits. */
static int visit(struct ft_head_training *t, struct ft_fit *fits, int i, double before,
                 double *lowest, struct ft_error *err)
{
    int rc = fit_folds(t, fits, t->grid[i].l2, before, err);
    if (!rc)
        rc = score(t, &t->grid[i], err);
    if (rc)
        return rc;
    if (t->grid[i].log_loss < *lowest) { /* a tie goes to the value visited first */
        *lowest = t->grid[i].log_loss;
        t->l2 = t->grid[i].l2;
        memcpy(t->best, t->logits, t->n * (size_t)t->k * sizeof(float));
    }
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

static int walk_down(struct ft_head_training *t, struct ft_fit *fits, double *lowest,
                     struct ft_error *err)
{
    const double cells = (double)t->n * t->design.d * ft_softmax_columns(t->k);
    double before = 0;
    for (int i = 0; i < t->n_grid; i++) {
        const int rc = visit(t, fits, i, before, lowest, err);
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
static int walk_up(struct ft_head_training *t, struct ft_fit *fits, double *lowest,
                   struct ft_error *err)
{
    double before = t->grid[t->n_grid - 1].l2;
    while (t->extend && t->l2 == t->grid[0].l2 && t->first > 0) {
        memmove(t->grid + 1, t->grid, (size_t)t->n_grid * sizeof *t->grid);
        t->n_grid++;
        t->grid[0] = (struct ft_l2_row){ .l2 = ft_l2_values[--t->first] };
        const int rc = visit(t, fits, 0, before, lowest, err);
        if (rc)
            return rc;
        before = t->grid[0].l2;
    }
    return 0;
}

int ft_cross_validate(struct ft_head_training *t, struct ft_error *err)
{
    int rc = 0;
    double lowest = INFINITY;
    struct ft_fit *fits = ft_alloc_zero((size_t)t->folds, sizeof *fits);
    if (!fits)
        return ft_error_nomem(err, "the cross-validation");
    for (int f = 0; f < t->folds && !rc; f++) {
        rc = ft_fit_init(&fits[f], t->design.d, t->k, err);
        if (!rc)
            rc = ft_fit_set_up(t, f, t->weight + (size_t)f * t->n,
                               t->absent + (size_t)f * (size_t)t->k, &fits[f], err);
        fits[f].logits = t->logits;
        fits[f].precondition = t->preconditioned ? &t->precondition : NULL;
        fits[f].optimiser.tolerance = tolerance_cv;
    }
    if (!rc)
        rc = scale_folds(t, fits, err);
    if (!rc)
        rc = walk_down(t, fits, &lowest, err);
    if (!rc)
        rc = walk_up(t, fits, &lowest, err);
    for (int f = 0; f < t->folds; f++)
        ft_fit_release(&fits[f]);
    free(fits);
    return rc;
}

/* ---- temperature and validation -------------------------------------------------------------- */

struct calibration {
    const struct ft_head_training *t;
    /* [folds + 1] for each fold, fitted on the rows outside it; the last one is fitted on all rows
     */
    double *temperature;
    struct ft_validation *out;
};

static void calibrate_fold(void *context, size_t f, int member)
{
    struct calibration *c = context;
    const struct ft_head_training *t = c->t;
    (void)member;
    c->temperature[f] =
        ft_temperature_fit(t->best, t->y, t->fold, (int)f < t->folds ? (int32_t)f : -1, t->n, t->k);
}

static void fill_probabilities(void *context, size_t chunk, int member)
{
    struct calibration *c = context;
    const struct ft_head_training *t = c->t;
    const size_t end = (chunk + 1) * CHUNK < t->n ? (chunk + 1) * CHUNK : t->n, k = (size_t)t->k;
    (void)member;
    for (size_t i = chunk * CHUNK; i < end; i++) {
        ft_softmax(t->best + i * k, t->k, c->temperature[t->fold[i]], c->out->calibrated + i * k);
        ft_softmax(t->best + i * k, t->k, 1, c->out->raw + i * k); /* in place */
    }
}

int ft_validation_make(struct ft_head_training *t, struct ft_validation **out, struct ft_error *err)
{
    struct ft_validation *v = ft_alloc_zero(1, sizeof *v);
    double *temperature = ft_alloc((size_t)t->folds + 1, sizeof *temperature);
    if (!v || !temperature || !(v->fold = ft_alloc(t->n, sizeof *v->fold)) ||
        !(v->grid = ft_alloc((size_t)t->n_grid, sizeof *v->grid))) {
        free(temperature);
        ft_validation_free(v);
        return ft_error_nomem(err, "the cross-validated probabilities");
    }
    struct calibration c = { t, temperature, v };
    ft_team_each(t->team, (size_t)t->folds + 1, calibrate_fold, &c);
    v->raw = t->best; /* moved, not copied, because they are large for a million pictures */
    v->calibrated = t->logits;
    ft_team_each(t->team, (t->n + CHUNK - 1) / CHUNK, fill_probabilities, &c);
    v->n = t->n;
    v->k = t->k;
    v->folds = t->folds;
    memcpy(v->fold, t->fold, t->n * sizeof *v->fold);
    v->temperature = temperature[t->folds];
    v->l2 = t->l2;
    v->weighted = t->weighted;
    v->n_grid = t->n_grid;
    memcpy(v->grid, t->grid, (size_t)t->n_grid * sizeof *v->grid);
    t->best = t->logits = NULL;
    free(temperature);
    *out = v;
    return 0;
}
