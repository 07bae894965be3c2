/* Cross-validation: fit every fold along the L2 grid (large to small, each fit starting from the
 * one before, all folds in lockstep), choose L2, fit the temperature.
 *
 * L2 is chosen by the out-of-fold log-loss weighted as the training is: one criterion throughout.
 * The temperature is fitted without weights, since calibration means agreement with the frequencies
 * among the user's own pictures. */
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

/* Predicted decrease of the objective over itself at which a fit ends: log-losses differ between L2
 * values by far more. */
static const double tolerance_cv = 1e-5;

/* The smallest L2 values take the longest, and where they overfit they are not worth it: beyond
 * this many products of an evaluation the walk ends after two values in a row that get clearly
 * worse. Shorter walks show the whole curve. */
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

/* Scores t->logits into a row; chunks are added in order. */
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

/* How each fold's training rows are standardised, in one pass for all. */
static int standardise_folds(const struct ft_head_training *t, struct ft_fit *fits,
                             struct ft_error *err)
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

/* All folds at one L2, as many at a time as make a product of sensible width. Curvature is
 * remembered from the L2 before, unless the variables change. */
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

static int walk_grid(struct ft_head_training *t, struct ft_fit *fits, struct ft_error *err)
{
    const double cells = (double)t->n * t->design.d * ft_softmax_columns(t->k);
    double before = 0, lowest = INFINITY;
    for (int i = 0; i < t->n_grid; i++) {
        int rc = fit_folds(t, fits, t->grid[i].l2, before, err);
        if (!rc)
            rc = score(t, &t->grid[i], err);
        if (rc)
            return rc;
        before = t->grid[i].l2;
        if (i == 0 || t->grid[i].log_loss < lowest) { /* a tie goes to the larger L2 */
            lowest = t->grid[i].log_loss;
            t->l2 = t->grid[i].l2;
            memcpy(t->best, t->logits, t->n * (size_t)t->k * sizeof(float));
        }
        if (cells > long_work && ft_l2_hopeless(t->grid, i + 1))
            t->n_grid = i + 1;
    }
    return 0;
}

int ft_cross_validate(struct ft_head_training *t, struct ft_error *err)
{
    int rc = 0;
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
        rc = standardise_folds(t, fits, err);
    if (!rc)
        rc = walk_grid(t, fits, err);
    for (int f = 0; f < t->folds; f++)
        ft_fit_release(&fits[f]);
    free(fits);
    return rc;
}

/* ---- temperature and validation -------------------------------------------------------------- */

struct calibration {
    const struct ft_head_training *t;
    /* [folds + 1] for the rows of a fold, fitted on the others; the last on all rows */
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
    v->raw = t->best; /* their room is taken over: of a million pictures it is much */
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
