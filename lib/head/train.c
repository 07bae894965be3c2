/* Training: cross-validation (crossval.c), a fit on all rows, and one head for raw features that
 * includes scaling and temperature. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "finetune-tools.h"
#include "head/crossval.h"

/* The final fit ends when the predicted decrease of the objective, relative to the objective, is
 * below this: at the minimum, to the precision of float32. */
static const double tolerance_final = 1e-9;

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
    int rc = ft_fit_init(&fit, t->design.d, t->k, err);
    if (rc)
        return rc;
    rc = ft_fit_set_up(t, -1, t->weight, t->absent, &fit, err);
    for (int j = 0; j < t->design.d; j++) { /* the design is scaled over all rows already */
        fit.shift[j] = 0;
        fit.scale[j] = t->design.scale[j] > 0;
    }
    if (t->preconditioned) {
        ft_precondition_factor(&t->precondition, t->l2);
        fit.precondition = &t->precondition;
    }
    fit.l2 = t->l2;
    fit.optimiser.tolerance = tolerance_final;
    if (!rc)
        rc = ft_softmax_fit(&t->design, t->y, t->k, &fit, 1, t->team, err);
    if (!rc)
        rc = fold_head(t, &fit, temperature, out, err);
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
    if (isnan(options->l2) || isinf(options->l2))
        return ft_error_set(
            err, FT_EARG,
            "L2 is not a finite number: give a positive one, or let cross-validation choose");
    if (options->folds != 0 && options->folds < 2)
        return ft_error_set(err, FT_EARG, "%d folds: cross-validation needs at least two",
                            options->folds);
    return 0;
}

int ft_train(const struct ft_training_set *set, const struct ft_train_options *options,
             struct ft_head **head, struct ft_validation **validation, struct ft_error *err)
{
    static const struct ft_train_options defaults = FT_TRAIN_DEFAULTS;
    options = options ? options : &defaults;
    int rc = check_arguments(set, options, err);
    if (rc)
        return rc;
    struct ft_head_training t = { .y = set->labels, .n = set->x.n, .k = set->k };
    struct ft_validation *measured = NULL;
    rc = ft_head_training_init(&t, &set->x, set->groups, options, err);
    if (!rc)
        rc = ft_cross_validate(&t, err);
    if (!rc)
        rc = ft_validation_make(&t, &measured, err);
    if (!rc)
        rc = final_fit(&t, measured->temperature, head, err);
    if (!rc)
        *validation = measured;
    else
        ft_validation_free(measured);
    ft_head_training_release(&t);
    return rc;
}
