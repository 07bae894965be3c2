/* The state of a training: labels, folds, the design, and the rows of each fit. */
#include "head/training.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "head/folds.h"

enum { DEFAULT_FOLDS = 5, LITTLE = 1000 };

const double ft_l2_values[FT_L2_MOST] = {
    1000,  316.22776601683796,     100,    31.622776601683793,     10,    3.1622776601683795,
    1,     0.31622776601683794,    0.1,    0.03162277660168379,    0.01,  0.0031622776601683794,
    0.001, 0.00031622776601683794, 0.0001, 3.1622776601683795e-05, 1e-05, 3.162277660168379e-06,
    1e-06, 3.162277660168379e-07,  1e-07,  3.162277660168379e-08,  1e-08, 3.1622776601683795e-09,
    1e-09
};
enum { STRONGEST = 4 }; /* index of 10, the first value of a search */

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

/* ---- the state ------------------------------------------------------------------------------- */

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
    t->weighted = options->class_weight == FT_WEIGHT_BALANCED ||
                  (options->class_weight == FT_WEIGHT_AUTO && differ);
    return 0;
}

/* From 10 down to 0.001. With FT_SCALE_FLOOR, features have a variance below 1, so the grid also
 * includes values down to 1e-5 of the mean squared row norm. With a hint: the value of the hint and
 * its neighbours. */
static void set_grid(struct ft_head_training *t, double l2)
{
    t->n_grid = l2 == 0 ? FT_L2_GRID : 1;
    t->first = STRONGEST;
    t->extend = l2 == 0 && t->design.scaling.rule == FT_SCALE_FLOOR;
    const bool near = t->extend && t->hint > 0;
    for (t->n_grid = near ? 3 : t->n_grid;
         near && t->first + t->n_grid < FT_L2_MOST && ft_l2_values[t->first + 1] > 1.1 * t->hint;)
        t->first++;
    while (t->extend && !near && t->first + t->n_grid < FT_L2_MOST &&
           ft_l2_values[t->first + t->n_grid - 1] > 1e-5 * t->design.row_square)
        t->n_grid++;
    for (int i = 0; i < t->n_grid; i++)
        t->grid[i].l2 = l2 == 0 ? ft_l2_values[t->first + i] : fmax(l2, 0);
}

void ft_head_training_release(struct ft_head_training *t)
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
    free(t->solution);
}

int ft_head_training_init(struct ft_head_training *t, const uint64_t *group,
                          const struct ft_train_options *options, struct ft_error *err)
{
    const size_t k = (size_t)t->k, want = options->folds ? (size_t)options->folds : DEFAULT_FOLDS,
                 folds = want < t->n ? want : t->n;
    size_t cells;
    /* for little work, threads cost more than they save */
    t->team = ft_team_new(t->n * k < LITTLE      ? 1
                          : options->threads > 0 ? options->threads
                                                 : ft_cpu_count());
    if (!t->team || !ft_size_mul(t->n, k, &cells) || !(t->fold = ft_alloc(t->n, sizeof *t->fold)) ||
        !(t->class_rows = ft_alloc_zero(k, sizeof *t->class_rows)) ||
        !(t->logits = ft_alloc_zero(cells, sizeof(float))) ||
        !(t->best = ft_alloc_zero(cells, sizeof(float))) ||
        !(t->weight = ft_alloc(folds, t->n * sizeof(float))) ||
        !(t->absent = ft_alloc(folds, k * sizeof(bool))))
        return ft_error_nomem(err, "the training of the head");
    const int rc = count_classes(t, options, err);
    return rc ? rc : ft_head_training_repeat(t, group, options, 0, err);
}

int ft_head_training_keep(struct ft_head_training *t, struct ft_error *err)
{
    size_t cells;
    if (!ft_size_mul(t->n + 1, (size_t)ft_softmax_columns(t->k), &cells) ||
        !(t->solution = ft_alloc((size_t)t->folds, cells * sizeof *t->solution)))
        return ft_error_nomem(err, "the training of the head");
    return 0;
}

int ft_head_training_repeat(struct ft_head_training *t, const uint64_t *group,
                            const struct ft_train_options *options, int repeat,
                            struct ft_error *err)
{
    const size_t want = options->folds ? (size_t)options->folds : DEFAULT_FOLDS;
    const int rc = ft_folds_assign(t->y, group, t->n, t->k, (int)(want < t->n ? want : t->n),
                                   options->seed + (uint64_t)repeat, t->fold, err);
    if (rc < 0)
        return rc;
    t->folds = rc;
    set_grid(t, options->l2);
    return 0;
}

int ft_head_training_design(struct ft_head_training *t, const struct ft_design *design, double l2,
                            struct ft_error *err)
{
    ft_precondition_release(&t->precondition);
    ft_design_release(&t->design);
    t->design = *design;
    set_grid(t, l2);
    t->preconditioned = ft_precondition_pays(&t->design, t->k);
    return t->preconditioned
               ? ft_precondition_init(&t->precondition, &t->design, t->k, t->team, err)
               : 0;
}
