/* Training: cross-validation (repeat.c), a fit on all rows, and one head for raw features that
 * includes scaling and temperature. */
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "finetune-tools.h"
#include "base/matrix.h"
#include "head/depths.h"
#include "head/repeat.h"

/* The final fit ends when the predicted decrease of the objective, relative to the objective, is
 * below this: at the minimum, to the precision of float32. */
static const double tolerance_final = 1e-9;

enum { BLOCK = 128 }; /* rows of the features at a time */

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

/* Fits all rows of t->design, from the parameters `start` on (NULL: from zero). The caller releases
 * the fit, also after a failure. */
static int fit_all(struct ft_head_training *t, const float *start, struct ft_fit *fit,
                   struct ft_error *err)
{
    int rc = ft_fit_init(fit, t->design.d, t->k, err);
    if (rc)
        return rc;
    rc = ft_fit_set_up(t, -1, t->weight, t->absent, fit, err);
    if (rc)
        return rc;
    if (start)
        memcpy(fit->optimiser.x, start, fit->optimiser.n * sizeof *start);
    for (int j = 0; j < t->design.d; j++) { /* the design is scaled over all rows already */
        fit->shift[j] = 0;
        fit->scale[j] = t->design.scaling.none || t->design.scale[j] > 0;
    }
    if (t->preconditioned) {
        ft_precondition_factor(&t->precondition, t->l2);
        fit->precondition = &t->precondition;
    }
    fit->l2 = t->l2;
    fit->optimiser.tolerance = tolerance_final;
    return ft_softmax_fit(&t->design, t->y, t->k, fit, 1, t->team, err);
}

/* Fits the dual form, which t->design is, and replaces it by the features, scaled. *start receives
 * the same solution in terms of the features: W = A X, where A solves A Z = W of the dual form. */
static int fit_dual(struct ft_head_training *t, const struct ft_matrix *x,
                    const struct ft_scaling *scaling, float **start, struct ft_error *err)
{
    const size_t n = t->n, d = (size_t)x->d, columns = (size_t)ft_softmax_columns(t->k);
    struct ft_fit fit = { 0 };
    struct ft_design design;
    float *w = NULL, *room = NULL;
    int rc = fit_all(t, NULL, &fit, err);
    if (rc)
        goto done;
    cblas_strsm(CblasRowMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, (int)columns,
                (int)n, 1, t->design.x, (int)n, fit.optimiser.x, (int)n);
    rc = ft_design_init(&design, x, scaling, t->team, err);
    if (rc)
        goto done;
    rc = ft_head_training_design(t, &design, t->l2, err);
    if (rc)
        goto done;
    w = ft_alloc_zero(columns * (d + 1), sizeof *w);
    room = ft_design_room(&t->design, BLOCK);
    if (!w || !room) {
        rc = ft_error_nomem(err, "the head");
        goto done;
    }
    for (size_t from = 0; from < n; from += BLOCK) {
        const size_t rows = n - from < BLOCK ? n - from : BLOCK;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)columns, (int)d, (int)rows, 1,
                    fit.optimiser.x + from, (int)n, ft_design_rows(&t->design, from, rows, room),
                    (int)d, 1, w, (int)d);
    }
    memcpy(w + columns * d, fit.optimiser.x + columns * n, columns * sizeof *w);
    rc = ft_design_status(&t->design, err);
    if (!rc) {
        *start = w;
        w = NULL;
    }
done:
    free(w);
    free(room);
    ft_fit_release(&fit);
    return rc;
}

/* ---- training -------------------------------------------------------------------------------- */

static int check_arguments(const struct ft_training_set *set,
                           const struct ft_train_options *options, struct ft_error *err)
{
    const size_t n = set->x.n;
    const int d = set->x.d, k = set->k;
    if (k < 2)
        return ft_error_set(err, FT_EARG, "%d class: a classifier needs at least two", k);
    if (n < (size_t)k || d < 1)
        return ft_error_set(
            err, FT_EARG,
            "%zu pictures of %d features in %d classes: every class needs at least one picture", n,
            d, k);
    int columns = 0;
    for (int b = 0; b < set->n_blocks; b++)
        columns += set->blocks[b];
    if (set->n_blocks && columns != d)
        return ft_error_set(err, FT_EARG, "blocks of %d features in all, but rows of %d", columns,
                            d);
    if (isnan(options->depth) || isinf(options->depth))
        return ft_error_set(err, FT_EARG, "the weight of the layers is not a finite number");
    if (isnan(options->l2) || isinf(options->l2))
        return ft_error_set(
            err, FT_EARG,
            "L2 is not a finite number: give a positive one, or let cross-validation choose");
    if (options->folds != 0 && options->folds < 2)
        return ft_error_set(err, FT_EARG, "%d folds: cross-validation needs at least two",
                            options->folds);
    return 0;
}

/* Cross-validates the features and chooses L2. */
static int validate(struct ft_head_training *t, const struct ft_training_set *set,
                    const struct ft_train_options *options, const struct ft_scaling *scaling,
                    struct ft_validation **out, struct ft_error *err)
{
    struct ft_repeated repeated = { 0 };
    struct ft_design design;
    int rc = ft_design_init(&design, &set->x, scaling, t->team, err);
    if (!rc)
        rc = ft_head_training_design(t, &design, options->l2, err);
    if (!rc)
        rc = ft_repeated_init(&repeated, t, err);
    if (!rc)
        rc = ft_repeated_add(&repeated, t, set->groups, options, err);
    if (!rc)
        rc = ft_repeated_validation(&repeated, t, out, err);
    ft_repeated_release(&repeated);
    return rc;
}

/* After the cross-validation in the dual form: the design of the chosen weight. */
static int take_design(struct ft_head_training *t, const struct ft_training_set *set,
                       const struct ft_scaling *scaling, const struct ft_depths *depths,
                       struct ft_error *err)
{
    struct ft_design design;
    int rc = depths->gram.n ? ft_gram_design(&depths->gram, depths->depth, &design, err)
                            : ft_design_init(&design, &set->x, scaling, t->team, err);
    return rc ? rc : ft_head_training_design(t, &design, 0, err);
}

/* Cross-validation, unless `depths` has it already, and the head. Takes depths->validation. */
static int train(const struct ft_training_set *set, const struct ft_train_options *options,
                 struct ft_depths *depths, struct ft_head **head, struct ft_validation **validation,
                 struct ft_error *err)
{
    struct ft_head_training t = { .y = set->labels, .n = set->x.n, .k = set->k };
    struct ft_validation *measured = depths->validation;
    const struct ft_scaling scaling = { .rule = options->scale,
                                        .blocks = set->blocks,
                                        .n_blocks = set->n_blocks,
                                        .depth = depths->depth };
    struct ft_fit fit = { 0 };
    float *start = NULL;
    depths->validation = NULL;
    int rc = ft_head_training_init(&t, set->groups, options, err);
    if (!rc)
        rc = measured ? take_design(&t, set, &scaling, depths, err)
                      : validate(&t, set, options, &scaling, &measured, err);
    if (!rc)
        rc = ft_expect(&t, set->groups, options, measured, err);
    if (!rc)
        t.l2 = measured->l2;
    if (!rc && depths->gram.n)
        rc = fit_dual(&t, &set->x, &scaling, &start, err);
    if (!rc)
        rc = fit_all(&t, start, &fit, err);
    if (!rc)
        rc = fold_head(&t, &fit, measured->temperature, head, err);
    ft_fit_release(&fit);
    free(start);
    if (!rc)
        *validation = measured;
    else
        ft_validation_free(measured);
    ft_head_training_release(&t);
    return rc;
}

/* The head of the last block alone: the same as if the features had no others. */
static int train_last_block(const struct ft_training_set *set,
                            const struct ft_train_options *options, struct ft_depths *depths,
                            struct ft_head **head, struct ft_validation **validation,
                            struct ft_error *err)
{
    struct ft_training_set last = *set;
    float *x = NULL;
    int rc = ft_matrix_last(&set->x, set->blocks[set->n_blocks - 1], &x, err);
    if (rc)
        return rc;
    last.x = (struct ft_matrix){ .n = set->x.n, .d = set->blocks[set->n_blocks - 1], .x = x };
    last.blocks = NULL;
    last.n_blocks = 0;
    rc = train(&last, options, depths, head, validation, err);
    free(x);
    return rc;
}

struct ft_training_set ft_features_training_set(const struct ft_features *features,
                                                const uint64_t *groups, int k)
{
    return (struct ft_training_set){ .x = ft_features_matrix(features),
                                     .labels = features->labels,
                                     .groups = groups,
                                     .k = k,
                                     .blocks = features->blocks,
                                     .n_blocks = features->n_blocks };
}

int ft_train(const struct ft_training_set *set, const struct ft_train_options *options,
             struct ft_head **head, struct ft_validation **validation, struct ft_error *err)
{
    static const struct ft_train_options defaults = FT_TRAIN_DEFAULTS;
    const bool several = set->n_blocks > 1;
    struct ft_depths depths = { 0 };
    options = options ? options : &defaults;
    int rc = check_arguments(set, options, err);
    if (!rc && several && options->depth >= 0)
        rc = ft_depths_choose(set, options, &depths, err);
    if (rc)
        return rc;
    rc = several && depths.depth == 0
             ? train_last_block(set, options, &depths, head, validation, err)
             : train(set, options, &depths, head, validation, err);
    if (!rc) {
        (*validation)->depth = depths.depth;
        (*validation)->n_depths = depths.n;
        memcpy((*validation)->depths, depths.rows, sizeof depths.rows);
    }
    ft_depths_release(&depths);
    return rc;
}
