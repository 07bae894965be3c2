/* Training: standardise, deal rows into folds, fit every fold along the L2 grid (large to small, each fit starting from the one before,
 * all folds in lockstep), choose L2, fit the temperature, fit all rows, fold everything into one raw-feature head.
 *
 * L2 is chosen by the out-of-fold log-loss weighted as the training is: one criterion throughout. The temperature is fitted without
 * weights, since calibration means agreement with the frequencies among the user's own pictures. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/thread.h"
#include "finetune.h"
#include "head/calibrate.h"
#include "head/design.h"
#include "head/folds.h"
#include "head/softmax.h"

enum { GRID = 9, DEFAULT_FOLDS = 5, MOST_COLUMNS = 512, CHUNK = 512 };

/* Half decades, large to small. Standardised features make the same range fit every backbone. */
static const double grid_values[GRID] = { 10, 3.1622776601683795, 1, 0.31622776601683794, 0.1, 0.031622776601683791, 0.01,
                                          0.0031622776601683794, 0.001 };

/* Predicted decrease of the objective over itself at which a fit ends. Cross-validation's log-losses differ between L2 values by
 * far more than its tolerance; the final fit is at the minimum for all that float32 can tell. */
static const double tolerance_cv = 1e-5, tolerance_final = 1e-9;

struct training {
    const int32_t *y;
    size_t n;
    int k, folds;
    bool weighted;
    struct ft_team *team;
    struct ft_design design;
    struct ft_precondition precondition;
    bool preconditioned;
    int32_t *fold;      /* [n] */
    double *class_rows; /* [k] all rows of a class */
    float *logits, *best; /* [n, k] out of fold: at the current L2, at the best so far */
    float *weight;      /* [folds, n] */
    bool *absent;       /* [folds, k] */
    int n_grid;
    struct ft_l2_row grid[GRID];
    double l2;
};

/* ---- one fit's rows -------------------------------------------------------------------------------------------------- */

/* Weights over the rows outside `held_out` (-1: over all), their sum 1; marks absent classes; starts b at the classes' shares, with
 * half a picture for an absent class. W starts at 0. */
static int set_up_fit(const struct training *t, int32_t held_out, float *weight, bool *absent, struct ft_fit *fit, struct ft_error *err)
{
    const size_t k = (size_t)t->k, d = (size_t)t->design.d, columns = (size_t)ft_softmax_columns(t->k);
    double *share = ft_alloc_zero(k, sizeof *share);
    if (!share)
        return ft_error_nomem(err, "the training of the head");
    double rows = 0;
    int present = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (t->fold[i] != held_out) {
            share[t->y[i]]++;
            rows++;
        }
    }
    for (size_t c = 0; c < k; c++) {
        absent[c] = share[c] == 0;
        present += !absent[c];
    }
    for (size_t i = 0; i < t->n; i++)
        weight[i] = t->fold[i] == held_out ? 0 : (float)(1 / (t->weighted ? present * share[t->y[i]] : rows));
    float *b = fit->optimiser.x + columns * d;
    double mean = 0;
    for (size_t c = 0; c < k; c++) {
        share[c] = absent[c] ? log(0.5 / rows) : t->weighted ? -log(present) : log(share[c] / rows);
        mean += share[c] / (double)k;
    }
    memset(fit->optimiser.x, 0, columns * d * sizeof(float));
    for (size_t c = 0; c < columns; c++)
        b[c] = (float)(k == 2 ? (share[1] - share[0]) * M_SQRT1_2 : share[c] - mean);
    free(share);
    fit->weight = weight;
    fit->absent = absent;
    return 0;
}

/* ---- out-of-fold scores ---------------------------------------------------------------------------------------------- */

struct scoring {
    const struct training *t;
    double *loss, *right; /* [chunks] */
};

static void score_chunk(void *context, size_t chunk, int member)
{
    const struct scoring *s = context;
    const struct training *t = s->t;
    const size_t end = (chunk + 1) * CHUNK < t->n ? (chunk + 1) * CHUNK : t->n, k = (size_t)t->k;
    double loss = 0, right = 0;
    (void)member;
    for (size_t i = chunk * CHUNK; i < end; i++) {
        const float *z = t->logits + i * k;
        const int32_t y = t->y[i];
        size_t top = 0;
        for (size_t c = 1; c < k; c++)
            top = z[c] > z[top] ? c : top;
        loss += ft_softmax_loss(z, t->k, y, 1) / (t->weighted ? t->k * t->class_rows[y] : (double)t->n);
        right += top == (size_t)y;
    }
    s->loss[chunk] = loss;
    s->right[chunk] = right;
}

/* Scores t->logits into a row; chunks are added in order. */
static int score(const struct training *t, struct ft_l2_row *row, struct ft_error *err)
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

/* ---- cross-validation ------------------------------------------------------------------------------------------------ */

struct moments_job {
    const struct training *t;
    struct ft_fit *fits;
};

static void fold_moments(void *context, size_t f, int member)
{
    struct moments_job *job = context;
    (void)member;
    ft_design_moments(&job->t->design, job->fits[f].weight, job->fits[f].shift, job->fits[f].scale);
}

/* All folds at one L2, as many at a time as make a product of sensible width. Curvature is remembered from the L2 before, unless the
 * variables change. */
static int fit_folds(struct training *t, struct ft_fit *fits, double l2, double before, struct ft_error *err)
{
    const int columns = ft_softmax_columns(t->k), together = columns < MOST_COLUMNS ? MOST_COLUMNS / columns : 1;
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
        const int status = ft_softmax_fit(&t->design, t->y, t->k, fits + f, (size_t)count, t->team, err);
        if (status)
            return status;
    }
    return 0;
}

static int walk_grid(struct training *t, struct ft_fit *fits, struct ft_error *err)
{
    double before = 0, lowest = INFINITY;
    for (int i = 0; i < t->n_grid; i++) {
        int status = fit_folds(t, fits, t->grid[i].l2, before, err);
        if (!status)
            status = score(t, &t->grid[i], err);
        if (status)
            return status;
        before = t->grid[i].l2;
        if (i == 0 || t->grid[i].log_loss < lowest) { /* a tie goes to the larger L2 */
            lowest = t->grid[i].log_loss;
            t->l2 = t->grid[i].l2;
            memcpy(t->best, t->logits, t->n * (size_t)t->k * sizeof(float));
        }
    }
    return 0;
}

static int cross_validate(struct training *t, struct ft_error *err)
{
    int status = 0;
    struct ft_fit *fits = ft_alloc_zero((size_t)t->folds, sizeof *fits);
    if (!fits)
        return ft_error_nomem(err, "the cross-validation");
    for (int f = 0; f < t->folds && !status; f++) {
        status = ft_fit_init(&fits[f], t->design.d, t->k, err);
        if (!status)
            status = set_up_fit(t, f, t->weight + (size_t)f * t->n, t->absent + (size_t)f * (size_t)t->k, &fits[f], err);
        fits[f].logits = t->logits;
        fits[f].precondition = t->preconditioned ? &t->precondition : NULL;
        fits[f].optimiser.tolerance = tolerance_cv;
    }
    if (!status) {
        struct moments_job job = { t, fits };
        ft_team_each(t->team, (size_t)t->folds, fold_moments, &job);
        status = walk_grid(t, fits, err);
    }
    for (int f = 0; f < t->folds; f++)
        ft_fit_release(&fits[f]);
    free(fits);
    return status;
}

/* ---- temperature and validation -------------------------------------------------------------------------------------- */

struct calibration {
    const struct training *t;
    double *temperature; /* [folds + 1] for the rows of a fold, fitted on the others; the last on all rows */
    struct ft_validation *out;
};

static void calibrate_fold(void *context, size_t f, int member)
{
    struct calibration *c = context;
    const struct training *t = c->t;
    (void)member;
    c->temperature[f] = ft_temperature_fit(t->best, t->y, t->fold, (int)f < t->folds ? (int32_t)f : -1, t->n, t->k);
}

static void fill_probabilities(void *context, size_t chunk, int member)
{
    struct calibration *c = context;
    const struct training *t = c->t;
    const size_t end = (chunk + 1) * CHUNK < t->n ? (chunk + 1) * CHUNK : t->n, k = (size_t)t->k;
    (void)member;
    for (size_t i = chunk * CHUNK; i < end; i++) {
        ft_softmax(t->best + i * k, t->k, 1, c->out->raw + i * k);
        ft_softmax(t->best + i * k, t->k, c->temperature[t->fold[i]], c->out->calibrated + i * k);
    }
}

static int make_validation(struct training *t, struct ft_validation **out, struct ft_error *err)
{
    struct ft_validation *v = ft_alloc_zero(1, sizeof *v);
    double *temperature = ft_alloc((size_t)t->folds + 1, sizeof *temperature);
    const size_t k = (size_t)t->k;
    if (!v || !temperature || !(v->fold = ft_alloc(t->n, sizeof *v->fold)) || !(v->raw = ft_alloc(t->n, k * sizeof(float))) ||
        !(v->calibrated = ft_alloc(t->n, k * sizeof(float))) || !(v->grid = ft_alloc((size_t)t->n_grid, sizeof *v->grid))) {
        free(temperature);
        ft_validation_free(v);
        return ft_error_nomem(err, "the cross-validated probabilities");
    }
    struct calibration c = { t, temperature, v };
    ft_team_each(t->team, (size_t)t->folds + 1, calibrate_fold, &c);
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
    free(temperature);
    *out = v;
    return 0;
}

/* ---- the final head -------------------------------------------------------------------------------------------------- */

static int fold_head(const struct training *t, const struct ft_fit *fit, double temperature, struct ft_head **out, struct ft_error *err)
{
    const size_t d = (size_t)t->design.d, k = (size_t)t->k;
    const float *w = fit->optimiser.x;
    struct ft_head *head = ft_alloc_zero(1, sizeof *head);
    if (!head || !(head->w = ft_alloc(d, k * sizeof(float))) || !(head->b = ft_alloc(k, sizeof(float)))) {
        ft_head_free(head);
        return ft_error_nomem(err, "the head");
    }
    head->d = t->design.d;
    head->k = t->k;
    for (size_t c = 0; c < k; c++) {
        const size_t column = k == 2 ? 0 : c;
        const double sign = (k != 2 ? 1 : c ? M_SQRT1_2 : -M_SQRT1_2) / temperature;
        double b = w[(k == 2 ? 1 : k) * d + column];
        for (size_t j = 0; j < d; j++) {
            const double raw = w[column * d + j] * t->design.scale[j];
            head->w[j * k + c] = (float)(sign * raw);
            b -= raw * t->design.mean[j];
        }
        head->b[c] = (float)(sign * b);
    }
    *out = head;
    return 0;
}

static int final_fit(struct training *t, double temperature, struct ft_head **out, struct ft_error *err)
{
    struct ft_fit fit;
    int status = ft_fit_init(&fit, t->design.d, t->k, err);
    if (status)
        return status;
    status = set_up_fit(t, -1, t->weight, t->absent, &fit, err);
    for (int j = 0; j < t->design.d; j++) { /* the design is standardised over all rows already */
        fit.shift[j] = 0;
        fit.scale[j] = t->design.scale[j] > 0;
    }
    if (t->preconditioned) {
        ft_precondition_factor(&t->precondition, t->l2);
        fit.precondition = &t->precondition;
    }
    fit.l2 = t->l2;
    fit.optimiser.tolerance = tolerance_final;
    if (!status)
        status = ft_softmax_fit(&t->design, t->y, t->k, &fit, 1, t->team, err);
    if (!status)
        status = fold_head(t, &fit, temperature, out, err);
    ft_fit_release(&fit);
    return status;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------- */

static int count_classes(struct training *t, const struct ft_train_options *options, struct ft_error *err)
{
    for (size_t i = 0; i < t->n; i++) {
        if (t->y[i] < 0 || t->y[i] >= t->k)
            return ft_error_set(err, FT_EARG, "row %zu has class %d: labels are 0 to %d", i, (int)t->y[i], t->k - 1);
        t->class_rows[t->y[i]]++;
    }
    bool differ = false;
    for (int c = 0; c < t->k; c++) {
        if (t->class_rows[c] == 0)
            return ft_error_set(err, FT_EARG, "class %d has no pictures: leave it out or add some", c);
        differ = differ || t->class_rows[c] != t->class_rows[0];
    }
    t->weighted = options->class_weight < 0 ? differ : options->class_weight > 0;
    return 0;
}

static void set_grid(struct training *t, double l2)
{
    t->n_grid = l2 < 0 ? GRID : 1;
    for (int i = 0; i < t->n_grid; i++)
        t->grid[i].l2 = l2 < 0 ? grid_values[i] : l2;
}

static int check_arguments(size_t n, int d, int k, const struct ft_train_options *options, struct ft_error *err)
{
    if (k < 2)
        return ft_error_set(err, FT_EARG, "%d class: a classifier needs at least two", k);
    if (n < (size_t)k || d < 1)
        return ft_error_set(err, FT_EARG, "%zu pictures of %d features in %d classes: every class needs at least one picture", n, d, k);
    if (isnan(options->l2) || isinf(options->l2))
        return ft_error_set(err, FT_EARG, "L2 is not a finite number: give a positive one, or let cross-validation choose");
    if (options->folds != 0 && options->folds < 2)
        return ft_error_set(err, FT_EARG, "%d folds: cross-validation needs at least two", options->folds);
    return 0;
}

static void training_release(struct training *t)
{
    ft_precondition_release(&t->precondition);
    ft_design_release(&t->design);
    ft_team_free(t->team);
    free(t->fold);
    free(t->class_rows);
    free(t->logits);
    free(t->best);
    free(t->weight);
    free(t->absent);
}

static int training_init(struct training *t, const float *x, const uint64_t *group, int d, const struct ft_train_options *options, struct ft_error *err)
{
    const size_t k = (size_t)t->k, want = options->folds ? (size_t)options->folds : DEFAULT_FOLDS, folds = want < t->n ? want : t->n;
    size_t cells;
    t->team = ft_team_new(options->threads > 0 ? options->threads : ft_cpu_count());
    if (!t->team || !ft_size_mul(t->n, k, &cells) || !(t->fold = ft_alloc(t->n, sizeof *t->fold)) ||
        !(t->class_rows = ft_alloc_zero(k, sizeof *t->class_rows)) || !(t->logits = ft_alloc_zero(cells, sizeof(float))) ||
        !(t->best = ft_alloc_zero(cells, sizeof(float))) || !(t->weight = ft_alloc(folds, t->n * sizeof(float))) ||
        !(t->absent = ft_alloc(folds, k * sizeof(bool))))
        return ft_error_nomem(err, "the training of the head");
    int status = count_classes(t, options, err);
    if (status)
        return status;
    set_grid(t, options->l2);
    status = ft_folds_assign(t->y, group, t->n, t->k, (int)folds, options->seed, t->fold, err);
    if (status < 0)
        return status;
    t->folds = status;
    status = ft_design_init(&t->design, x, t->n, d, t->team, err);
    t->preconditioned = !status && ft_precondition_pays(&t->design, t->k);
    return t->preconditioned ? ft_precondition_init(&t->precondition, &t->design, t->k, t->team, err) : status;
}

int ft_train(const float *x, const int32_t *y, const uint64_t *group, size_t n, int d, int k, const struct ft_train_options *options,
             struct ft_head **head, struct ft_validation **validation, struct ft_error *err)
{
    int status = check_arguments(n, d, k, options, err);
    if (status)
        return status;
    struct training t = { .y = y, .n = n, .k = k };
    struct ft_validation *measured = NULL;
    status = training_init(&t, x, group, d, options, err);
    if (!status)
        status = cross_validate(&t, err);
    if (!status)
        status = make_validation(&t, &measured, err);
    if (!status)
        status = final_fit(&t, measured->temperature, head, err);
    if (!status)
        *validation = measured;
    else
        ft_validation_free(measured);
    training_release(&t);
    return status;
}
