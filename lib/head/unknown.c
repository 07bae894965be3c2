/* Detection of pictures of an unknown class. The distance is that of Lee et al. 2018, A Simple
 * Unified Framework for Detecting Out-of-Distribution Samples: one Gaussian for each class, with a
 * shared covariance. Here features are first scaled by their spread within classes, and a ridge is
 * added to the covariance, because there are many features. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/matrix.h"
#include "base/thread.h"
#include "head/precondition.h"
#include "head/ranking.h"

static const double ridge = 0.1; /* added to variances of 1 */

struct trial {
    const struct ft_training_set *set;
    const float *x; /* [n, d] */
    const int32_t *y, *fold;
    size_t n;
    int d, k, left_out;
    const struct ft_train_options *options;
    struct ft_team *team;
    size_t n_known, n_test;
    float *known;        /* [n_known, d] training rows; later their residuals */
    int32_t *labels;     /* [n_known] without the class left out */
    float *test;         /* [n_test, d] */
    int32_t *is_unknown; /* [n_test] */
    float *mean;         /* [k - 1, d] */
    float *score;        /* [n_test] a higher score means more likely unknown */
};

/* Copies the rows of the left-out class and of fold 0 to `test`, the others to `known`. */
static void deal(struct trial *t)
{
    const size_t d = (size_t)t->d;
    t->n_known = t->n_test = 0;
    for (size_t i = 0; i < t->n; i++) {
        const bool unknown = t->y[i] == t->left_out, test = unknown || t->fold[i] == 0;
        memcpy(test ? t->test + t->n_test * d : t->known + t->n_known * d, t->x + i * d,
               d * sizeof *t->x);
        if (test)
            t->is_unknown[t->n_test++] = unknown;
        else
            t->labels[t->n_known++] = t->y[i] - (t->y[i] > t->left_out);
    }
}

static int by_probability(struct trial *t, double *auc, struct ft_error *err)
{
    const int k = t->k - 1;
    struct ft_head *head = NULL;
    struct ft_validation *validation = NULL;
    double precision;
    float *p = ft_alloc(t->n_test, (size_t)k * sizeof *p);
    const struct ft_training_set set = { .x = { .n = t->n_known, .d = t->d, .x = t->known },
                                         .labels = t->labels,
                                         .k = k,
                                         .blocks = t->set->blocks,
                                         .n_blocks = t->set->n_blocks };
    const struct ft_matrix test = { .n = t->n_test, .d = t->d, .x = t->test };
    int rc = p ? ft_train(&set, t->options, &head, &validation, err)
               : ft_error_nomem(err, "a left-out class");
    if (!rc)
        rc = ft_head_judge(head, &test, p, err);
    if (!rc) {
        for (size_t i = 0; i < t->n_test; i++) {
            const float *row = p + i * (size_t)k;
            t->score[i] = -row[ft_argmax(row, k)];
        }
        rc = ft_ranking(t->score, 1, t->is_unknown, 1, t->n_test, auc, &precision, err);
    }
    free(p);
    ft_head_free(head);
    ft_validation_free(validation);
    return rc;
}

/* Means of classes; known rows become residuals; all three are scaled by the spread of the
 * residuals. */
static int centre(struct trial *t, struct ft_error *err)
{
    const size_t d = (size_t)t->d, k = (size_t)t->k - 1;
    double *sum = ft_alloc_zero(k, d * sizeof *sum), *rows = ft_alloc_zero(k, sizeof *rows);
    if (!sum || !rows) {
        free(sum);
        free(rows);
        return ft_error_nomem(err, "a left-out class");
    }
    for (size_t i = 0; i < t->n_known; i++) {
        rows[t->labels[i]]++;
        for (size_t j = 0; j < d; j++)
            sum[(size_t)t->labels[i] * d + j] += (double)t->known[i * d + j];
    }
    for (size_t c = 0; c < k; c++)
        for (size_t j = 0; j < d; j++)
            t->mean[c * d + j] = (float)(sum[c * d + j] / (rows[c] > 0 ? rows[c] : 1));
    memset(sum, 0, d * sizeof *sum); /* from here on: squares */
    for (size_t i = 0; i < t->n_known; i++)
        for (size_t j = 0; j < d; j++) {
            t->known[i * d + j] -= t->mean[(size_t)t->labels[i] * d + j];
            sum[j] += (double)t->known[i * d + j] * (double)t->known[i * d + j];
        }
    for (size_t j = 0; j < d; j++) {
        const float scale = sum[j] > 0 ? (float)sqrt((double)t->n_known / sum[j]) : 0;
        for (size_t i = 0; i < t->n_known; i++)
            t->known[i * d + j] *= scale;
        for (size_t i = 0; i < t->n_test; i++)
            t->test[i * d + j] *= scale;
        for (size_t c = 0; c < k; c++)
            t->mean[c * d + j] *= scale;
    }
    free(sum);
    free(rows);
    return 0;
}

static int by_distance(struct trial *t, double *auc, struct ft_error *err)
{
    const size_t d = (size_t)t->d, k = (size_t)t->k - 1;
    struct ft_precondition p = { 0 };
    double precision;
    int rc = centre(t, err);
    const struct ft_design residuals = { .n = t->n_known, .d = t->d, .x = t->known };
    if (!rc)
        rc = ft_precondition_init(&p, &residuals, 1, t->team, err);
    if (rc)
        return rc;
    /* covariance + ridge = L L^T; distances are those of x L^-T */
    ft_precondition_factor(&p, ridge);
    ft_precondition_gradient(&p, t->test, t->n_test);
    ft_precondition_gradient(&p, t->mean, k);
    for (size_t i = 0; i < t->n_test; i++) {
        double nearest = INFINITY;
        for (size_t c = 0; c < k; c++) {
            double square = 0;
            for (size_t j = 0; j < d; j++) {
                const double off = (double)t->test[i * d + j] - (double)t->mean[c * d + j];
                square += off * off;
            }
            nearest = square < nearest ? square : nearest;
        }
        t->score[i] = (float)nearest;
    }
    rc = ft_ranking(t->score, 1, t->is_unknown, 1, t->n_test, auc, &precision, err);
    ft_precondition_release(&p);
    return rc;
}

/* Returns whether every other class has at least two training rows. */
static bool possible(const struct trial *t)
{
    bool ok = t->n_test > 0;
    for (int c = 0; c < t->k - 1 && ok; c++) {
        size_t rows = 0;
        for (size_t i = 0; i < t->n_known; i++)
            rows += t->labels[i] == c;
        ok = rows > 1;
    }
    return ok;
}

/* Which of the two scores are measured. */
enum { PROBABILITY = 1, DISTANCE = 2 };

static int measure(struct trial *t, unsigned which, struct ft_unknown *out, struct ft_error *err)
{
    const int classes = t->k < FT_LEFT_OUT ? t->k : FT_LEFT_OUT;
    double probability = 0, distance = 0, auc;
    *out = (struct ft_unknown){ 0 };
    for (int i = 0; i < classes; i++) {
        t->left_out = i * t->k / classes;
        deal(t);
        if (!possible(t))
            continue;
        int rc = 0;
        if (which & PROBABILITY && t->k > 2 && !(rc = by_probability(t, &auc, err)))
            probability += auc;
        if (!rc && which & DISTANCE && !(rc = by_distance(t, &auc, err)))
            distance += auc;
        if (rc)
            return rc;
        out->left_out++;
    }
    out->probability = t->k > 2 && out->left_out ? probability / out->left_out : NAN;
    out->distance = out->left_out ? distance / out->left_out : NAN;
    return 0;
}

static int measure_set(const struct ft_training_set *set, const int32_t *fold,
                       const struct ft_train_options *options, unsigned which,
                       struct ft_unknown *out, struct ft_error *err)
{
    const size_t n = set->x.n, width = (size_t)set->x.d * sizeof(float);
    const int k = set->k;
    struct ft_train_options fixed = FT_TRAIN_DEFAULTS;
    if (options)
        fixed = *options;
    struct trial t = { .set = set,
                       .x = set->x.x,
                       .y = set->labels,
                       .fold = fold,
                       .n = n,
                       .d = set->x.d,
                       .k = k,
                       .options = &fixed };
    fixed.folds = 2; /* with a given L2, more folds only take time */
    t.team = ft_team_new(fixed.threads > 0 ? fixed.threads : ft_cpu_count());
    t.known = ft_alloc(n, width);
    t.test = ft_alloc(n, width);
    t.mean = ft_alloc((size_t)k, width);
    t.labels = ft_alloc(n, sizeof *t.labels);
    t.is_unknown = ft_alloc(n, sizeof *t.is_unknown);
    t.score = ft_alloc(n, sizeof *t.score);
    const bool ok = t.team && t.known && t.test && t.mean && t.labels && t.is_unknown && t.score;
    const int rc = ok ? measure(&t, which, out, err) : ft_error_nomem(err, "a left-out class");
    ft_team_free(t.team);
    free(t.known);
    free(t.test);
    free(t.mean);
    free(t.labels);
    free(t.is_unknown);
    free(t.score);
    return rc;
}

/* The covariance is that of the last layer's features: those of all layers are too many. */
int ft_unknown_measure(const struct ft_training_set *set, const int32_t *fold,
                       const struct ft_train_options *options, struct ft_unknown *out,
                       struct ft_error *err)
{
    if (!set->x.x)
        return ft_error_set(err, FT_EARG, "measuring unknown classes needs the features in memory");
    if (set->n_blocks < 2)
        return measure_set(set, fold, options, PROBABILITY | DISTANCE, out, err);
    struct ft_training_set last = *set;
    struct ft_unknown probability, distance;
    float *x = NULL;
    int rc = measure_set(set, fold, options, PROBABILITY, &probability, err);
    if (rc)
        return rc;
    rc = ft_matrix_last(&set->x, set->blocks[set->n_blocks - 1], &x, err);
    if (rc)
        return rc;
    last.x = (struct ft_matrix){ .n = set->x.n, .d = set->blocks[set->n_blocks - 1], .x = x };
    last.n_blocks = 0;
    rc = measure_set(&last, fold, options, DISTANCE, &distance, err);
    free(x);
    if (rc)
        return rc;
    *out = distance;
    out->probability = probability.probability;
    return 0;
}
