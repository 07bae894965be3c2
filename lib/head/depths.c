#include "head/depths.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "head/repeat.h"

/* MOST: rows of the dual form. EACH: rows that each class keeps, if it has them. With fewer rows
 * than FEWEST, the last layer alone is used. */
enum { MOST = 1500, EACH = 4, FEWEST = 15 };

static const double weights[FT_DEPTHS] = { 0, 0.1, 0.3, 1, 3, 9 };

struct search {
    const struct ft_training_set *set;
    const struct ft_train_options *options;
    size_t n;         /* rows that are used */
    size_t *rows;     /* [n] */
    int32_t *y;       /* [n] */
    uint64_t *groups; /* [n]; NULL: no groups */
    struct ft_head_training t;
    struct ft_gram gram;
    struct ft_repeated repeated; /* a candidate for each w */
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
    const bool ok = total && seen && s->rows && s->y && (s->groups || !s->set->groups);
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

static int add_candidate(struct search *s, double depth, struct ft_error *err)
{
    struct ft_design design;
    int rc = ft_gram_design(&s->gram, depth, &design, err);
    if (!rc)
        rc = ft_head_training_design(&s->t, &design, s->options->l2, err);
    return rc ? rc : ft_repeated_add(&s->repeated, &s->t, s->groups, s->options, err);
}

/* Tries the values of w, or the one that is given. */
static int search(struct search *s, struct ft_depths *out, struct ft_error *err)
{
    const bool given = s->options->depth > 0;
    const double *w = given ? &s->options->depth : weights;
    const int n = given ? 1 : FT_DEPTHS;
    int rc = ft_repeated_init(&s->repeated, &s->t, err);
    const bool near = !given && s->repeated.repeats == 1; /* each w has the same folds */
    if (!rc && near)
        rc = ft_head_training_keep(&s->t, err);
    for (int i = 0; !rc && i < n; i++) {
        rc = add_candidate(s, w[i], err);
        s->t.hint = near ? s->repeated.candidate[i].l2 : 0;
        out->rows[i] = (struct ft_depth_row){ w[i], s->repeated.candidate[i].log_loss,
                                              s->repeated.candidate[i].accuracy };
    }
    if (rc)
        return rc;
    out->depth = w[ft_repeated_choose(&s->repeated)];
    out->n = given ? 0 : n;
    return 0;
}

static int choose(struct search *s, bool all, struct ft_depths *out, struct ft_error *err)
{
    int rc = ft_head_training_init(&s->t, s->groups, s->options, err);
    if (!rc)
        rc = multiply_rows(s, err);
    if (!rc)
        rc = search(s, out, err);
    if (!rc && all)
        rc = ft_repeated_validation(&s->repeated, &s->t, &out->validation, err);
    return rc;
}

int ft_depths_choose(const struct ft_training_set *set, const struct ft_train_options *options,
                     struct ft_depths *out, struct ft_error *err)
{
    struct search s = { .set = set, .options = options };
    struct ft_depths found = { .depth = options->depth };
    int rc = take_rows(&s, err);
    s.t = (struct ft_head_training){ .y = s.y, .n = s.n, .k = set->k };
    const bool all = s.n == set->x.n && s.n<(size_t)set->x.d, given = options->depth> 0;
    if (!rc && s.n >= FEWEST && (all || !given))
        rc = choose(&s, all, &found, err);
    ft_head_training_release(&s.t);
    ft_repeated_release(&s.repeated);
    free(s.rows);
    free(s.y);
    free(s.groups);
    if (rc || !all || found.depth == 0)
        ft_gram_release(&s.gram);
    found.gram = s.gram;
    if (rc)
        ft_depths_release(&found);
    else
        *out = found;
    return rc;
}

void ft_depths_release(struct ft_depths *depths)
{
    ft_gram_release(&depths->gram);
    ft_validation_free(depths->validation);
    depths->validation = NULL;
}
