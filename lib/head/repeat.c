#include "head/repeat.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "head/calibrate.h"
#include "head/crossval.h"
#include "head/softmax.h"

/* JUDGED: rows that are judged, in REPEATS repetitions at most. FEW: rows from which on the lowest
 * loss wins. */
enum { JUDGED = 300, REPEATS = 10, FEW = 50, EXTRAPOLATED = 2000, CHUNK = 512 };

/* ---- candidates ------------------------------------------------------------------------------ */

int ft_repeated_init(struct ft_repeated *out, const struct ft_head_training *t,
                     struct ft_error *err)
{
    const size_t wanted = (JUDGED + t->n - 1) / t->n;
    *out = (struct ft_repeated){
        .n = t->n, .k = t->k, .folds = t->folds, .repeats = wanted < REPEATS ? (int)wanted : REPEATS
    };
    out->fold = ft_alloc((size_t)out->repeats, t->n * sizeof *out->fold);
    return out->fold ? 0 : ft_error_nomem(err, "the cross-validation");
}

void ft_repeated_release(struct ft_repeated *r)
{
    for (int i = 0; i < r->count; i++) {
        free(r->candidate[i].logits);
        free(r->candidate[i].loss);
        free(r->candidate[i].right);
    }
    free(r->fold);
    *r = (struct ft_repeated){ 0 };
}

/* Adds the out-of-fold results of repetition number `repeat`, t->best, to a candidate. */
static void add_rows(struct ft_candidate *c, const struct ft_head_training *t, int repeat,
                     int repeats)
{
    bool *right = c->right + (size_t)repeat * t->n;
    double loss = 0;
    size_t n_right = 0;
    for (size_t i = 0; i < t->n; i++) {
        const float *z = t->best + i * (size_t)t->k;
        const double weight = t->weighted ? (double)t->n / (t->k * t->class_rows[t->y[i]]) : 1,
                     own = weight * ft_softmax_loss(z, t->k, t->y[i], 1) / repeats;
        right[i] = ft_argmax(z, t->k) == t->y[i];
        c->loss[i] += (float)own;
        loss += own;
        n_right += right[i];
    }
    c->log_loss += loss / (double)t->n;
    c->accuracy += (double)n_right / (double)t->n / repeats;
}

/* Sums over the repetitions for each value of ft_l2_values (or for the one value that was given).
 */
struct grid_sums {
    struct ft_l2_row row[FT_L2_MOST];
    int visits[FT_L2_MOST];
};

static void add_grid(struct grid_sums *g, const struct ft_head_training *t)
{
    for (int i = 0; i < t->n_grid; i++) {
        const int at = t->first + i;
        g->row[at].l2 = t->grid[i].l2;
        g->row[at].log_loss += t->grid[i].log_loss;
        g->row[at].accuracy += t->grid[i].accuracy;
        g->visits[at]++;
    }
}

/* Means of the values that all repetitions have visited, or else as many of them as possible. */
static void mean_grid(const struct grid_sums *g, struct ft_candidate *c)
{
    double lowest = INFINITY;
    int repeats = 0;
    for (int at = 0; at < FT_L2_MOST; at++)
        repeats = g->visits[at] > repeats ? g->visits[at] : repeats;
    for (int at = 0; at < FT_L2_MOST; at++) {
        if (g->visits[at] < repeats)
            continue;
        struct ft_l2_row *row = &c->grid[c->n_grid++];
        row->l2 = g->row[at].l2;
        row->log_loss = g->row[at].log_loss / repeats;
        row->accuracy = g->row[at].accuracy / repeats;
        if (row->log_loss < lowest) { /* a tie goes to the larger L2 */
            lowest = row->log_loss;
            c->l2 = row->l2;
        }
    }
}

int ft_repeated_add(struct ft_repeated *r, struct ft_head_training *t, const uint64_t *groups,
                    const struct ft_train_options *options, struct ft_error *err)
{
    const size_t cells = t->n * (size_t)t->k;
    struct ft_candidate *c = &r->candidate[r->count++];
    struct grid_sums sums = { 0 };
    c->logits = ft_alloc(cells, sizeof *c->logits);
    c->loss = ft_alloc_zero(t->n, sizeof *c->loss);
    c->right = ft_alloc((size_t)r->repeats, t->n * sizeof *c->right);
    int rc = c->logits && c->loss && c->right ? 0 : ft_error_nomem(err, "the cross-validation");
    for (int i = 0; !rc && i < r->repeats; i++) {
        rc = ft_head_training_repeat(t, groups, options, i, err);
        if (!rc)
            rc = ft_cross_validate(t, err);
        if (rc)
            break;
        add_rows(c, t, i, r->repeats);
        add_grid(&sums, t);
        memcpy(r->fold + (size_t)i * t->n, t->fold, t->n * sizeof *r->fold);
        if (i == 0) { /* swapped, because they are large for a million pictures */
            float *logits = c->logits;
            c->logits = t->best;
            t->best = logits;
        }
    }
    if (!rc)
        mean_grid(&sums, c);
    return rc;
}

/* ---- the choice ------------------------------------------------------------------------------ */

/* Returns whether the loss of candidate i exceeds that of candidate `best` by more than the
 * standard error of their difference, over the rows outside fold `except`. */
static bool clearly_worse(const struct ft_repeated *r, int i, int best, const int32_t *fold,
                          int32_t except)
{
    const float *a = r->candidate[i].loss, *b = r->candidate[best].loss;
    double sum = 0, square = 0, n = 0;
    for (size_t row = 0; row < r->n; row++) {
        if (fold[row] == except)
            continue;
        const double off = (double)a[row] - (double)b[row];
        sum += off;
        square += off * off;
        n++;
    }
    const double mean = sum / n, variance = (square - n * mean * mean) / fmax(1, n - 1);
    return mean > sqrt(fmax(0, variance) / n);
}

/* The choice on the rows outside fold `except`; -1: on all rows. */
static int choose(const struct ft_repeated *r, const int32_t *fold, int32_t except)
{
    double lowest = INFINITY;
    int best = 0;
    for (int i = 0; r->count > 1 && i < r->count; i++) {
        double loss = 0;
        for (size_t row = 0; row < r->n; row++)
            loss += fold[row] == except ? 0 : (double)r->candidate[i].loss[row];
        if (loss < lowest) {
            lowest = loss;
            best = i;
        }
    }
    int chosen = r->n < FEW ? 0 : best;
    while (chosen < best && clearly_worse(r, chosen, best, fold, except))
        chosen++;
    return chosen;
}

int ft_repeated_choose(const struct ft_repeated *r)
{
    return choose(r, r->fold, -1);
}

/* The accuracy with cross-fitted choices, mean over the repetitions. */
static double accuracy(const struct ft_repeated *r, int *choices)
{
    size_t right = 0;
    for (int i = r->repeats - 1; i >= 0; i--) { /* leaves the choices of the first repetition */
        const int32_t *fold = r->fold + (size_t)i * r->n;
        for (int f = 0; f < r->folds; f++)
            choices[f] = choose(r, fold, f);
        for (size_t row = 0; row < r->n; row++)
            right += r->candidate[choices[fold[row]]].right[(size_t)i * r->n + row];
    }
    return (double)right / (double)r->n / r->repeats;
}

/* ---- temperature and validation -------------------------------------------------------------- */

struct calibration {
    const struct ft_head_training *t;
    const int32_t *fold;
    int folds;
    const float *logits; /* [n, k] */
    /* [folds + 1] for each fold, fitted on the rows outside it; the last one is fitted on all rows.
     * Without class weights, because calibration means agreement with the frequencies among the
     * user's own pictures. */
    double *temperature;
    struct ft_validation *out;
};

static void calibrate_fold(void *context, size_t f, int member)
{
    struct calibration *c = context;
    (void)member;
    c->temperature[f] = ft_temperature_fit(c->logits, c->t->y, c->fold,
                                           (int)f < c->folds ? (int32_t)f : -1, c->t->n, c->t->k);
}

static void fill_probabilities(void *context, size_t chunk, int member)
{
    struct calibration *c = context;
    const size_t n = c->t->n, end = (chunk + 1) * CHUNK < n ? (chunk + 1) * CHUNK : n,
                 k = (size_t)c->t->k;
    (void)member;
    for (size_t i = chunk * CHUNK; i < end; i++) {
        const float *z = c->logits + i * k;
        ft_softmax(z, c->t->k, c->temperature[c->fold[i]], c->out->calibrated + i * k);
        ft_softmax(z, c->t->k, 1, c->out->raw + i * k); /* in place */
    }
}

static int allocate(const struct ft_repeated *r, struct ft_validation **out, double **temperature,
                    int **choices, struct ft_error *err)
{
    const size_t folds = (size_t)r->folds + 1;
    struct ft_validation *v = *out = ft_alloc_zero(1, sizeof *v);
    *temperature = ft_alloc(folds, sizeof **temperature);
    *choices = ft_alloc(folds, sizeof **choices);
    if (v && *temperature && *choices && (v->fold = ft_alloc(r->n, sizeof *v->fold)) &&
        (v->grid = ft_alloc(FT_L2_MOST, sizeof *v->grid)))
        return 0;
    return ft_error_nomem(err, "the cross-validated probabilities");
}

int ft_repeated_validation(struct ft_repeated *r, struct ft_head_training *t,
                           struct ft_validation **out, struct ft_error *err)
{
    struct ft_validation *v;
    double *temperature;
    int *choices, rc = allocate(r, &v, &temperature, &choices, err);
    if (rc) {
        ft_validation_free(v);
        goto done;
    }
    const int chosen = choose(r, r->fold, -1);
    struct ft_candidate *c = &r->candidate[chosen];
    const size_t k = (size_t)r->k;
    *v = (struct ft_validation){ .n = r->n,
                                 .k = r->k,
                                 .folds = r->folds,
                                 .repeats = r->repeats,
                                 .fold = v->fold,
                                 .grid = v->grid,
                                 .raw = c->logits, /* moved */
                                 .calibrated = t->logits,
                                 .l2 = c->l2,
                                 .weighted = t->weighted,
                                 .n_grid = c->n_grid };
    c->logits = NULL;
    t->logits = NULL;
    v->accuracy = accuracy(r, choices);
    for (size_t i = 0; i < r->n; i++) {
        const int own = choices[r->fold[i]];
        if (own != chosen)
            memcpy(v->raw + i * k, r->candidate[own].logits + i * k, k * sizeof *v->raw);
    }
    struct calibration calibration = { t, r->fold, r->folds, v->raw, temperature, v };
    ft_team_each(t->team, (size_t)r->folds + 1, calibrate_fold, &calibration);
    ft_team_each(t->team, (r->n + CHUNK - 1) / CHUNK, fill_probabilities, &calibration);
    memcpy(v->fold, r->fold, r->n * sizeof *v->fold);
    memcpy(v->grid, c->grid, (size_t)c->n_grid * sizeof *v->grid);
    v->temperature = temperature[r->folds];
    *out = v;
done:
    free(temperature);
    free(choices);
    return rc;
}

/* ---- the expected accuracy ------------------------------------------------------------------- */

/* The error is taken as linear in the inverse of the number of training rows: that of n rows
 * follows from those of n (folds - 1) / folds and n / 2 rows at the same L2. */
int ft_expect(struct ft_head_training *t, const uint64_t *groups,
              const struct ft_train_options *options, struct ft_validation *v, struct ft_error *err)
{
    struct ft_train_options halves = *options;
    double whole = 0, half = 0;
    int rc = 0;
    halves.folds = 2;
    halves.l2 = v->l2 > 0 ? v->l2 : FT_L2_NONE;
    for (int i = 0; i < v->n_grid; i++)
        whole = v->grid[i].l2 == v->l2 ? v->grid[i].accuracy : whole;
    const bool measured = v->folds > 2 && v->n <= EXTRAPOLATED;
    if (measured && !t->logits && !(t->logits = ft_alloc(v->n, (size_t)v->k * sizeof *t->logits)))
        return ft_error_nomem(err, "the cross-validation");
    for (int i = 0; measured && !rc && i < v->repeats; i++) {
        rc = ft_head_training_repeat(t, groups, &halves, i, err);
        if (!rc)
            rc = ft_cross_validate(t, err);
        half += t->grid[0].accuracy / v->repeats;
    }
    const double inverse = v->folds / (v->folds - 1.0), /* n / training rows; 2 for two folds */
        gain = measured ? fmax(0, whole - half) * (inverse - 1) / (2 - inverse) : 0;
    v->expected = fmin(1, v->accuracy + gain);
    ft_expected_interval(v->accuracy, v->expected, v->n, v->folds, v->repeats, v->interval);
    return rc;
}
