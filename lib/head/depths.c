#include "head/depths.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "head/crossval.h"
#include "head/softmax.h"

/* MOST: rows of the dual form. EACH: rows that each class keeps, if it has them. JUDGED: rows that
 * are judged with each w, in REPEATS repetitions at most. FEW: rows from which on the lowest loss
 * wins; with fewer than FEWEST, the last layer alone is used. */
enum { MOST = 1500, EACH = 4, JUDGED = 300, REPEATS = 10, FEW = 50, FEWEST = 15 };

static const double weights[FT_DEPTHS] = { 0, 0.1, 0.3, 1, 3, 9 };

struct search {
    const struct ft_training_set *set;
    const struct ft_train_options *options;
    size_t n;         /* rows that are used */
    size_t *rows;     /* [n] */
    int32_t *y;       /* [n] */
    uint64_t *groups; /* [n]; NULL: no groups */
    double *loss;     /* [FT_DEPTHS, n] mean over the repetitions */
    struct ft_head_training t;
    struct ft_gram gram;
};

/* ---- rows ------------------------------------------------------------------------------------ */

/* Takes every row, or an evenly spaced part of each class. */
static int take_rows(struct search *s, struct ft_error *err)
{
    const size_t n = s->set->x.n, k = (size_t)s->set->k;
    size_t *total = ft_alloc_zero(k, sizeof *total), *seen = ft_alloc_zero(k, sizeof *seen);
    s->rows = ft_alloc(n, sizeof *s->rows);
    s->y = ft_alloc(n, sizeof *s->y);
    s->groups = s->set->groups ? ft_alloc(n, sizeof *s->groups) : NULL;
    s->loss = ft_alloc_zero(n, FT_DEPTHS * sizeof *s->loss);
    const bool ok = total && seen && s->rows && s->y && (s->groups || !s->set->groups) && s->loss;
    for (size_t i = 0; ok && i < n; i++)
        total[s->set->labels[i]]++;
    for (size_t i = 0; ok && i < n; i++) {
        const size_t c = (size_t)s->set->labels[i], all = total[c], at = seen[c]++,
                     share = n <= MOST ? all : all * MOST / n,
                     want = share > EACH ? share
                            : all < EACH ? all
                                         : EACH;
        if ((at + 1) * want / all == at * want / all)
            continue;
        s->rows[s->n] = i;
        s->y[s->n] = s->set->labels[i];
        if (s->groups)
            s->groups[s->n] = s->set->groups[i];
        s->n++;
    }
    free(total);
    free(seen);
    return ok ? 0 : ft_error_nomem(err, "the weight of the layers");
}

static int multiply_rows(struct search *s, struct ft_error *err)
{
    const struct ft_scaling scaling = { .rule = s->options->scale,
                                        .blocks = s->set->blocks,
                                        .n_blocks = s->set->n_blocks,
                                        .depth = 1 };
    struct ft_design design;
    int rc = ft_design_init(&design, &s->set->x, &scaling, s->t.team, err);
    if (rc)
        return rc;
    rc = ft_gram_init(&s->gram, &design, s->rows, s->n, s->t.team, err);
    ft_design_release(&design);
    return rc;
}

/* ---- the search ------------------------------------------------------------------------------ */

/* Adds the out-of-fold losses of one repetition to loss [n] and returns its accuracy. */
static double add_losses(const struct search *s, int repeats, double *loss)
{
    const struct ft_head_training *t = &s->t;
    size_t right = 0;
    for (size_t i = 0; i < s->n; i++) {
        const float *z = t->best + i * (size_t)t->k;
        const double weight = t->weighted ? (double)t->n / (t->k * t->class_rows[t->y[i]]) : 1;
        loss[i] += weight * ft_softmax_loss(z, t->k, t->y[i], 1) / repeats;
        right += ft_argmax(z, t->k) == t->y[i];
    }
    return (double)right / (double)s->n;
}

static int measure(struct search *s, double depth, int repeats, double *loss,
                   struct ft_depth_row *row, struct ft_error *err)
{
    struct ft_design design;
    int rc = ft_gram_design(&s->gram, depth, &design, err);
    if (rc)
        return rc;
    rc = ft_head_training_design(&s->t, &design, s->options->l2, err);
    *row = (struct ft_depth_row){ .depth = depth };
    for (int r = 0; !rc && r < repeats; r++) {
        rc = ft_head_training_repeat(&s->t, s->groups, s->options, r, err);
        if (!rc)
            rc = ft_cross_validate(&s->t, err);
        if (!rc)
            row->accuracy += add_losses(s, repeats, loss) / repeats;
    }
    for (size_t i = 0; i < s->n; i++)
        row->log_loss += loss[i] / (double)s->n;
    return rc;
}

/* Returns whether the loss of w number i exceeds that of number `best` by more than the standard
 * error of their difference. */
static bool clearly_worse(const struct search *s, int i, int best)
{
    const double *a = s->loss + (size_t)i * s->n, *b = s->loss + (size_t)best * s->n;
    double sum = 0, square = 0;
    const double n = (double)s->n;
    for (size_t row = 0; row < s->n; row++) {
        sum += a[row] - b[row];
        square += (a[row] - b[row]) * (a[row] - b[row]);
    }
    const double mean = sum / n, variance = (square - n * mean * mean) / (n - 1);
    return mean > sqrt(fmax(0, variance) / n);
}

static int search(struct search *s, struct ft_depths *out, struct ft_error *err)
{
    const size_t wanted = (JUDGED + s->n - 1) / s->n;
    const int repeats = wanted < REPEATS ? (int)wanted : REPEATS;
    int best = 0;
    for (int i = 0; i < FT_DEPTHS; i++) {
        const int rc =
            measure(s, weights[i], repeats, s->loss + (size_t)i * s->n, &out->rows[i], err);
        if (rc)
            return rc;
        best = out->rows[i].log_loss < out->rows[best].log_loss ? i : best;
    }
    int chosen = s->n < FEW ? 0 : best;
    while (s->n >= FEWEST && chosen < best && clearly_worse(s, chosen, best))
        chosen++;
    out->depth = weights[chosen];
    out->n = FT_DEPTHS;
    return 0;
}

int ft_depths_choose(const struct ft_training_set *set, const struct ft_train_options *options,
                     struct ft_depths *out, struct ft_error *err)
{
    struct search s = { .set = set, .options = options };
    struct ft_depths found = { .depth = options->depth };
    int rc = take_rows(&s, err);
    s.t = (struct ft_head_training){ .y = s.y, .n = s.n, .k = set->k };
    const bool all = s.n == set->x.n && s.n < (size_t)set->x.d;
    if (!rc && (all || options->depth == 0)) {
        rc = ft_head_training_init(&s.t, s.groups, options, err);
        if (!rc)
            rc = multiply_rows(&s, err);
        if (!rc && options->depth == 0)
            rc = search(&s, &found, err);
    }
    ft_head_training_release(&s.t);
    free(s.rows);
    free(s.y);
    free(s.groups);
    free(s.loss);
    if (rc || !all || found.depth == 0) {
        ft_gram_release(&s.gram);
        s.gram = (struct ft_gram){ 0 };
    }
    found.gram = s.gram;
    if (!rc)
        *out = found;
    return rc;
}

void ft_depths_release(struct ft_depths *depths)
{
    ft_gram_release(&depths->gram);
}
