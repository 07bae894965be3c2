#include "head/design.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"

enum { COLUMNS = 64 }; /* features a work item: a cache line or more of every row */

/* 1 / sd, or 0 when the spread is no more than rounding (or too small to divide by): such a feature tells nothing. */
static double inverse_sd(double mean, double variance)
{
    const double sd = sqrt(variance);
    return sd > 1e-30 && sd > 6e-8 * fabs(mean) ? 1 / sd : 0;
}

struct moments {
    double sum[COLUMNS], square[COLUMNS]; /* of x - x of the first row used */
    size_t rows;
};

/* Columns [from, from + count) of rows with weight > 0 (all without weights). Differences from a row that is in the sample make the
 * one-pass variance exact for constant features and safe for the rest. Mean and scale as documented. */
static void column_moments(const float *x, size_t n, size_t d, const float *weight, size_t from, size_t count, double *mean, double *scale)
{
    struct moments m = { .rows = 0 };
    double first[COLUMNS] = { 0 };
    for (size_t i = 0; i < n; i++) {
        if (weight && !(weight[i] > 0))
            continue;
        const float *row = x + i * d + from;
        if (m.rows++ == 0) {
            for (size_t j = 0; j < count; j++)
                first[j] = row[j];
        }
        for (size_t j = 0; j < count; j++) {
            const double v = row[j] - first[j];
            m.sum[j] += v;
            m.square[j] += v * v;
        }
    }
    const double rows = m.rows ? (double)m.rows : 1;
    for (size_t j = 0; j < count; j++) {
        const double offset = m.sum[j] / rows, variance = m.square[j] / rows - offset * offset;
        mean[j] = first[j] + offset;
        scale[j] = isfinite(m.square[j]) ? inverse_sd(mean[j], variance > 0 ? variance : 0) : NAN;
    }
}

struct standardise {
    const float *raw;
    const struct ft_design *design;
};

static void standardise_columns(void *context, size_t item, int member)
{
    const struct standardise *s = context;
    const struct ft_design *design = s->design;
    const size_t d = (size_t)design->d, from = item * COLUMNS, count = d - from < COLUMNS ? d - from : COLUMNS;
    (void)member;
    double *mean = design->mean + from, *scale = design->scale + from;
    column_moments(s->raw, design->n, d, NULL, from, count, mean, scale);
    for (size_t i = 0; i < design->n; i++) {
        for (size_t j = 0; j < count; j++)
            design->x[i * d + from + j] = (float)((s->raw[i * d + from + j] - mean[j]) * scale[j]);
    }
}

static int not_finite(const float *raw, size_t n, size_t d, struct ft_error *err)
{
    for (size_t i = 0; i < n * d; i++) {
        if (!isfinite(raw[i]))
            return ft_error_set(err, FT_EFORMAT, "feature %zu of row %zu is '%s': the backbone's weights are damaged or the features overflow",
                                i % d, i / d, isnan(raw[i]) ? "nan" : "inf");
    }
    return 0;
}

int ft_design_init(struct ft_design *out, const float *raw, size_t n, int d, struct ft_team *team, struct ft_error *err)
{
    struct ft_design design = { .n = n, .d = d };
    size_t count;
    int status = FT_ENOMEM;
    if (!ft_size_mul(n, (size_t)d, &count) || !(design.x = ft_alloc(count, sizeof(float))) ||
        !(design.mean = ft_alloc((size_t)d, sizeof(double))) || !(design.scale = ft_alloc((size_t)d, sizeof(double)))) {
        ft_error_nomem(err, "the features");
        goto fail;
    }
    struct standardise s = { raw, &design };
    ft_team_each(team, ((size_t)d + COLUMNS - 1) / COLUMNS, standardise_columns, &s);
    for (int j = 0; j < d; j++) {
        if (isnan(design.scale[j]) && (status = not_finite(raw, n, (size_t)d, err)))
            goto fail;
    }
    *out = design;
    return 0;
fail:
    ft_design_release(&design);
    return status;
}

void ft_design_release(struct ft_design *design)
{
    free(design->x);
    free(design->mean);
    free(design->scale);
    *design = (struct ft_design){ 0 };
}

void ft_design_moments(const struct ft_design *design, const float *weight, float *shift, float *scale)
{
    const size_t d = (size_t)design->d;
    for (size_t from = 0; from < d; from += COLUMNS) {
        const size_t count = d - from < COLUMNS ? d - from : COLUMNS;
        double m[COLUMNS], s[COLUMNS];
        column_moments(design->x, design->n, d, weight, from, count, m, s);
        for (size_t j = 0; j < count; j++) {
            shift[from + j] = (float)m[j];
            scale[from + j] = (float)s[j];
        }
    }
}
