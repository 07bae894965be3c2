/* Learning curve: accuracy against the number of training pictures, and a power law fitted to it,
 * error = floor + scale * images^-power (Hestness et al. 2017, Deep Learning Scaling is
 * Predictable, Empirically). The fit is weighted least squares for each power of a grid. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/random.h"
#include "finetune-tools.h"

/* LEAST: pictures of the smallest class at the first point */
enum { BOOTSTRAP = 400, POWERS = 60, LEAST = 4 };

/* ---- the law --------------------------------------------------------------------------------- */

double ft_power_law_error(const struct ft_power_law *law, double images)
{
    const double error = law->floor + law->scale * pow(images, -law->power);
    return ft_clamp(error, 0, 1);
}

/* Fits floor and scale, neither of them negative, for one power. Returns the weighted sum of
 * squares. */
static double fit_linear(const double *m, const double *error, const double *weight, int n,
                         double power, struct ft_power_law *law)
{
    double sw = 0, su = 0, suu = 0, se = 0, sue = 0, square = 0;
    for (int i = 0; i < n; i++) {
        const double u = pow(m[i], -power), w = weight[i];
        sw += w;
        su += w * u;
        suu += w * u * u;
        se += w * error[i];
        sue += w * u * error[i];
    }
    const double det = sw * suu - su * su;
    double floor = det > 1e-300 ? (suu * se - su * sue) / det : 0,
           scale = det > 1e-300 ? (sw * sue - su * se) / det : 0;
    if (floor < 0 || det <= 1e-300) {
        floor = 0;
        scale = suu > 0 ? sue / suu : 0;
    }
    if (scale < 0) {
        scale = 0;
        floor = se / sw;
    }
    *law = (struct ft_power_law){ floor, scale, power };
    for (int i = 0; i < n; i++) {
        const double off = error[i] - floor - scale * pow(m[i], -power);
        square += weight[i] * off * off;
    }
    return square;
}

static struct ft_power_law fit_law(const double *m, const double *error, const double *weight,
                                   int n)
{
    struct ft_power_law best = { 0 }, law;
    double least = INFINITY;
    for (int i = 0; i < POWERS; i++) {
        /* 0.05 to 2 */
        const double square =
            fit_linear(m, error, weight, n, 0.05 * pow(40, (double)i / (POWERS - 1)), &law);
        if (square < least) {
            least = square;
            best = law;
        }
    }
    return best;
}

static double normal(struct ft_random *r)
{
    const double u = 1 - ft_random_unit(r), v = ft_random_unit(r);
    return sqrt(-2 * log(u)) * cos(2 * M_PI * v);
}

static void predict(const struct ft_power_law *law, double *errors, double images,
                    struct ft_curve_point *out)
{
    qsort(errors, BOOTSTRAP, sizeof *errors, ft_order_doubles);
    out->images = images;
    out->accuracy = 1 - ft_power_law_error(law, images);
    out->low = fmin(out->accuracy, 1 - errors[BOOTSTRAP - 1 - BOOTSTRAP / 40]);
    out->high = fmax(out->accuracy, 1 - errors[BOOTSTRAP / 40]);
}

/* Fits the law to the points. Each accuracy is a share of n pictures, so it has the variance of a
 * binomial share. The band comes from fits to points that are drawn from these distributions. */
static void extrapolate(struct ft_curve *c, size_t n, uint64_t seed)
{
    double m[FT_CURVE_POINTS], error[FT_CURVE_POINTS], weight[FT_CURVE_POINTS],
        drawn[FT_CURVE_POINTS], sd[FT_CURVE_POINTS];
    double now[BOOTSTRAP], doubled[BOOTSTRAP];
    const double all = (double)n;
    struct ft_random random = { seed };
    for (int i = 0; i < c->n_points; i++) {
        m[i] = c->points[i].images;
        error[i] = 1 - c->points[i].accuracy;
        const double p = (error[i] * all + 1) / (all + 2); /* never 0 */
        sd[i] = sqrt(p * (1 - p) / all);
        weight[i] = 1 / (sd[i] * sd[i]);
    }
    c->law = fit_law(m, error, weight, c->n_points);
    for (int b = 0; b < BOOTSTRAP; b++) {
        for (int i = 0; i < c->n_points; i++)
            drawn[i] = fmax(0, error[i] + sd[i] * normal(&random));
        const struct ft_power_law law = fit_law(m, drawn, weight, c->n_points);
        now[b] = ft_power_law_error(&law, all);
        doubled[b] = ft_power_law_error(&law, 2 * all);
    }
    predict(&c->law, now, all, &c->now);
    predict(&c->law, doubled, 2 * all, &c->doubled);
}

/* ---- the measurement ------------------------------------------------------------------------- */

struct measurement {
    const struct ft_training_set *set;
    const float *x;
    const int32_t *y, *fold;
    size_t n;
    int d, k;
    struct ft_train_options options;
    size_t *order;   /* [n] rows shuffled */
    size_t *rows;    /* [2, k] rows of each class outside the fold; those of them that are taken */
    float *some_x;   /* [n, d] */
    int32_t *some_y; /* [n] */
    float *p;        /* [k] */
};

/* Copies a share of each class outside `fold`, in shuffled order, at least two rows of each class.
 * Returns their number. */
static size_t take(struct measurement *m, int32_t fold, double share)
{
    const size_t d = (size_t)m->d, k = (size_t)m->k;
    size_t taken = 0;
    memset(m->rows, 0, 2 * k * sizeof *m->rows);
    for (size_t i = 0; i < m->n; i++)
        m->rows[m->y[i]] += m->fold[i] != fold;
    for (size_t j = 0; j < m->n; j++) {
        const size_t i = m->order[j], c = (size_t)m->y[i];
        const size_t want = (size_t)lround(share * (double)m->rows[c]);
        if (m->fold[i] == fold || m->rows[k + c] >= (want < 2 ? 2 : want))
            continue;
        m->rows[k + c]++;
        memcpy(m->some_x + taken * d, m->x + i * d, d * sizeof *m->x);
        m->some_y[taken++] = m->y[i];
    }
    return taken;
}

/* Trains a head on a share of the rows outside `fold`. Adds the number of correctly classified rows
 * of `fold` to *right, and the number of training rows to *images. */
static int judge(struct measurement *m, int32_t fold, double share, size_t *right, double *images,
                 struct ft_error *err)
{
    struct ft_head *head = NULL;
    struct ft_validation *validation = NULL;
    const size_t taken = take(m, fold, share);
    const struct ft_training_set set = { .x = { .n = taken, .d = m->d, .x = m->some_x },
                                         .labels = m->some_y,
                                         .k = m->k,
                                         .blocks = m->set->blocks,
                                         .n_blocks = m->set->n_blocks };
    int rc = ft_train(&set, &m->options, &head, &validation, err);
    for (size_t i = 0; !rc && i < m->n; i++) {
        if (m->fold[i] != fold)
            continue;
        const struct ft_matrix row = { .n = 1, .d = m->d, .x = m->x + i * (size_t)m->d };
        rc = ft_head_judge(head, &row, m->p, err);
        *right += ft_argmax(m->p, m->k) == m->y[i];
    }
    *images += (double)taken;
    ft_head_free(head);
    ft_validation_free(validation);
    return rc;
}

static void shuffle(size_t *order, size_t n, uint64_t seed)
{
    struct ft_random random = { seed };
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    for (size_t i = n; i > 1; i--) {
        const size_t j = ft_random_below(&random, i), swap = order[j];
        order[j] = order[i - 1];
        order[i - 1] = swap;
    }
}

static int measure(struct measurement *m, int folds, const struct ft_curve_options *options,
                   struct ft_curve *out, struct ft_error *err)
{
    size_t smallest = SIZE_MAX;
    memset(m->rows, 0, 2 * (size_t)m->k * sizeof *m->rows);
    for (size_t i = 0; i < m->n; i++)
        m->rows[m->y[i]]++;
    for (int c = 0; c < m->k; c++)
        smallest = m->rows[c] < smallest ? m->rows[c] : smallest;
    const double within = (double)smallest * (folds - 1) / folds;
    if (within < 2 * LEAST)
        return ft_error_set(
            err, FT_EARG,
            "the smallest class has %zu picture%s: a learning curve needs at least %d of each",
            smallest, smallest == 1 ? "" : "s", 3 * LEAST);
    const double halvings = floor(log2(within / LEAST));
    out->n_points = halvings + 1 < FT_CURVE_POINTS ? (int)halvings + 1 : FT_CURVE_POINTS;
    for (int i = 0; i < out->n_points; i++) {
        const double share = exp2(i + 1 - out->n_points);
        double images = 0;
        size_t right = 0;
        for (int f = 0; f < folds; f++) {
            const int rc = judge(m, f, share, &right, &images, err);
            if (rc)
                return rc;
            if (options->progress)
                options->progress(options->user, (size_t)i * (size_t)folds + (size_t)f + 1,
                                  (size_t)out->n_points * (size_t)folds);
        }
        double interval[2];
        ft_wilson(right, m->n, interval);
        out->points[i] = (struct ft_curve_point){ images / folds, (double)right / (double)m->n,
                                                  interval[0], interval[1] };
    }
    return 0;
}

int ft_curve_measure(const struct ft_training_set *set, const int32_t *fold, int folds,
                     const struct ft_curve_options *options, struct ft_curve *out,
                     struct ft_error *err)
{
    static const struct ft_curve_options defaults = FT_CURVE_DEFAULTS;
    options = options ? options : &defaults;
    const size_t n = set->x.n;
    const int d = set->x.d, k = set->k;
    const uint64_t seed = options->head.seed;
    if (!set->x.x)
        return ft_error_set(err, FT_EARG, "a learning curve needs the features in memory");
    struct measurement m = { .set = set,
                             .x = set->x.x,
                             .y = set->labels,
                             .fold = fold,
                             .n = n,
                             .d = d,
                             .k = k,
                             .options = options->head };
    struct ft_curve curve = { 0 };
    m.options.folds = 3; /* only for choosing L2 */
    m.order = ft_alloc(n, sizeof *m.order);
    m.rows = ft_alloc(2 * (size_t)k, sizeof *m.rows);
    m.some_x = ft_alloc(n, (size_t)d * sizeof *m.some_x);
    m.some_y = ft_alloc(n, sizeof *m.some_y);
    m.p = ft_alloc((size_t)k, sizeof *m.p);
    int rc = m.order && m.rows && m.some_x && m.some_y && m.p
                 ? 0
                 : ft_error_nomem(err, "the learning curve");
    if (!rc) {
        shuffle(m.order, n, seed);
        rc = measure(&m, folds, options, &curve, err);
    }
    if (!rc) {
        extrapolate(&curve, n, seed);
        *out = curve;
    }
    free(m.order);
    free(m.rows);
    free(m.some_x);
    free(m.some_y);
    free(m.p);
    return rc;
}
