/* Training: standardise, deal rows into folds, cross-validate (crossval.c), fit all rows, fold
 * everything into one raw-feature head. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/thread.h"
#include "finetune.h"
#include "head/folds.h"
#include "head/training.h"

enum { DEFAULT_FOLDS = 5 };

/* Half decades, large to small. Standardised features make the same range fit every backbone. */
static const double grid_values[FT_L2_GRID] = {
    10,   3.1622776601683795,    1,    0.31622776601683794, 0.1, 0.031622776601683791,
    0.01, 0.0031622776601683794, 0.001
};

/* Predicted decrease of the objective over itself at which the final fit ends: at the minimum for
 * all that float32 can tell. */
static const double tolerance_final = 1e-9;

/* ---- one fit's rows -------------------------------------------------------------------------- */

int ft_fit_set_up(const struct ft_head_training *t, int32_t held_out, float *weight, bool *absent,
                  struct ft_fit *fit, struct ft_error *err)
{
    const size_t k = (size_t)t->k, d = (size_t)t->design.d,
                 columns = (size_t)ft_softmax_columns(t->k);
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
        weight[i] = t->fold[i] == held_out
                        ? 0
                        : (float)(1 / (t->weighted ? present * share[t->y[i]] : rows));
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

/* ---- the final head -------------------------------------------------------------------------- */

static int fold_head(const struct ft_head_training *t, const struct ft_fit *fit, double temperature,
                     struct ft_head **out, struct ft_error *err)
{
    const size_t d = (size_t)t->design.d, k = (size_t)t->k;
    const float *w = fit->optimiser.x;
    struct ft_head *head = ft_alloc_zero(1, sizeof *head);
    if (!head || !(head->w = ft_alloc(d, k * sizeof(float))) ||
        !(head->b = ft_alloc(k, sizeof(float)))) {
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

static int final_fit(struct ft_head_training *t, double temperature, struct ft_head **out,
                     struct ft_error *err)
{
    struct ft_fit fit;
    int status = ft_fit_init(&fit, t->design.d, t->k, err);
    if (status)
        return status;
    status = ft_fit_set_up(t, -1, t->weight, t->absent, &fit, err);
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

/* ---- the whole ------------------------------------------------------------------------------- */

static int count_classes(struct ft_head_training *t, const struct ft_train_options *options,
                         struct ft_error *err)
{
    for (size_t i = 0; i < t->n; i++) {
        if (t->y[i] < 0 || t->y[i] >= t->k)
            return ft_error_set(err, FT_EARG, "row %zu has class %d: labels are 0 to %d", i,
                                (int)t->y[i], t->k - 1);
        t->class_rows[t->y[i]]++;
    }
    bool differ = false;
    for (int c = 0; c < t->k; c++) {
        if (t->class_rows[c] == 0)
            return ft_error_set(err, FT_EARG, "class %d has no pictures: leave it out or add some",
                                c);
        differ = differ || t->class_rows[c] != t->class_rows[0];
    }
    t->weighted = options->class_weight < 0 ? differ : options->class_weight > 0;
    return 0;
}

static void set_grid(struct ft_head_training *t, double l2)
{
    t->n_grid = l2 < 0 ? FT_L2_GRID : 1;
    for (int i = 0; i < t->n_grid; i++)
        t->grid[i].l2 = l2 < 0 ? grid_values[i] : l2;
}

static int check_arguments(size_t n, int d, int k, const struct ft_train_options *options,
                           struct ft_error *err)
{
    if (k < 2)
        return ft_error_set(err, FT_EARG, "%d class: a classifier needs at least two", k);
    if (n < (size_t)k || d < 1)
        return ft_error_set(
            err, FT_EARG,
            "%zu pictures of %d features in %d classes: every class needs at least one picture", n,
            d, k);
    if (isnan(options->l2) || isinf(options->l2))
        return ft_error_set(
            err, FT_EARG,
            "L2 is not a finite number: give a positive one, or let cross-validation choose");
    if (options->folds != 0 && options->folds < 2)
        return ft_error_set(err, FT_EARG, "%d folds: cross-validation needs at least two",
                            options->folds);
    return 0;
}

static void training_release(struct ft_head_training *t)
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

static int training_init(struct ft_head_training *t, const struct ft_matrix *x,
                         const uint64_t *group, const struct ft_train_options *options,
                         struct ft_error *err)
{
    const size_t k = (size_t)t->k, want = options->folds ? (size_t)options->folds : DEFAULT_FOLDS,
                 folds = want < t->n ? want : t->n;
    size_t cells;
    t->team = ft_team_new(options->threads > 0 ? options->threads : ft_cpu_count());
    if (!t->team || !ft_size_mul(t->n, k, &cells) || !(t->fold = ft_alloc(t->n, sizeof *t->fold)) ||
        !(t->class_rows = ft_alloc_zero(k, sizeof *t->class_rows)) ||
        !(t->logits = ft_alloc_zero(cells, sizeof(float))) ||
        !(t->best = ft_alloc_zero(cells, sizeof(float))) ||
        !(t->weight = ft_alloc(folds, t->n * sizeof(float))) ||
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
    status = ft_design_init(&t->design, x, t->team, err);
    t->preconditioned = !status && ft_precondition_pays(&t->design, t->k);
    return t->preconditioned
               ? ft_precondition_init(&t->precondition, &t->design, t->k, t->team, err)
               : status;
}

int ft_train_matrix(const struct ft_matrix *x, const int32_t *y, const uint64_t *group, int k,
                    const struct ft_train_options *options, struct ft_head **head,
                    struct ft_validation **validation, struct ft_error *err)
{
    int status = check_arguments(x->n, x->d, k, options, err);
    if (status)
        return status;
    struct ft_head_training t = { .y = y, .n = x->n, .k = k };
    struct ft_validation *measured = NULL;
    status = training_init(&t, x, group, options, err);
    if (!status)
        status = ft_cross_validate(&t, err);
    if (!status)
        status = ft_validation_make(&t, &measured, err);
    if (!status)
        status = final_fit(&t, measured->temperature, head, err);
    if (!status)
        *validation = measured;
    else
        ft_validation_free(measured);
    training_release(&t);
    return status;
}

int ft_train(const float *x, const int32_t *y, const uint64_t *group, size_t n, int d, int k,
             const struct ft_train_options *options, struct ft_head **head,
             struct ft_validation **validation, struct ft_error *err)
{
    return ft_train_matrix(&(struct ft_matrix){ .n = n, .d = d, .x = x }, y, group, k, options,
                           head, validation, err);
}
