/* Moments are computed in one pass over blocks of rows. Blocks belong to fixed lanes, whose results
 * are combined in order (Chan, Golub and LeVeque 1983, Algorithms for computing the sample
 * variance): results do not depend on the number of threads. */
#include "head/design.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

/* COLUMNS: features whose sums stay in the first cache during a block of rows */
enum { BLOCK = 128, COLUMNS = 64, LANES = 16 };

/* ---- rows ------------------------------------------------------------------------------------ */

static void scale_rows(const struct ft_design *design, const float *raw, size_t rows, float *out)
{
    const size_t d = (size_t)design->d;
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < d; j++)
            out[i * d + j] = (float)((raw[i * d + j] - design->mean[j]) * design->scale[j]);
    }
}

const float *ft_design_rows(const struct ft_design *design, size_t from, size_t rows, float *room)
{
    if (design->x)
        return design->x + from * (size_t)design->d;
    const float *raw = ft_matrix_rows(&design->raw, from, rows, room);
    if (!design->scale)
        return raw;
    scale_rows(design, raw, rows, room);
    return room;
}

int ft_design_status(const struct ft_design *design, struct ft_error *err)
{
    return ft_matrix_status(&design->raw, err);
}

float *ft_design_room(const struct ft_design *design, size_t rows)
{
    return ft_alloc(design->x || design->raw.x ? 1 : rows, (size_t)design->d * sizeof(float));
}

/* ---- moments --------------------------------------------------------------------------------- */

/* The variance, or 0 if the spread is no larger than rounding (or too small to divide by): such a
 * feature carries no information. */
static double real_variance(double mean, double variance)
{
    const double sd = sqrt(variance);
    return sd > 1e-30 && sd > 6e-8 * fabs(mean) ? variance : 0;
}

/* Sums over the rows of one lane that one weight selects. They are sums of differences from the
 * first of these rows. So the variance of a constant feature is exactly 0, and no digits are lost
 * for other features. */
struct sums {
    size_t rows;
    double *first, *sum, *square; /* [d] the first row; of x - first */
};

struct moments {
    const struct ft_design *design;
    const float *const *weight; /* [count] NULL: all rows */
    size_t count, lanes;
    struct sums *sums; /* [lanes, count] */
    float **room;      /* [lanes] */
};

/* Adds the rows of a block that `weight` selects; the block begins at row `from` of the design. */
static void add_block(struct sums *s, const float *x, const float *weight, size_t from, size_t rows,
                      size_t d)
{
    size_t chosen[BLOCK], n = 0;
    for (size_t i = 0; i < rows; i++) {
        if (!weight || weight[from + i] > 0)
            chosen[n++] = i;
    }
    for (size_t j = 0; n && !s->rows && j < d; j++)
        s->first[j] = x[chosen[0] * d + j];
    s->rows += n;
    for (size_t column = 0; column < d; column += COLUMNS) {
        const size_t count = d - column < COLUMNS ? d - column : COLUMNS;
        const double *first = s->first + column;
        double *sum = s->sum + column, *square = s->square + column;
        for (size_t i = 0; i < n; i++) {
            const float *row = x + chosen[i] * d + column;
            for (size_t j = 0; j < count; j++) {
                const double v = row[j] - first[j];
                sum[j] += v;
                square[j] += v * v;
            }
        }
    }
}

static void add_lane(void *context, size_t lane, int member)
{
    struct moments *m = context;
    const struct ft_design *design = m->design;
    const size_t blocks = (design->n + BLOCK - 1) / BLOCK, end = (lane + 1) * blocks / m->lanes;
    (void)member;
    for (size_t block = lane * blocks / m->lanes; block < end; block++) {
        const size_t from = block * BLOCK,
                     rows = design->n - from < BLOCK ? design->n - from : BLOCK;
        const float *x = ft_design_rows(design, from, rows, m->room[lane]);
        for (size_t i = 0; i < m->count; i++)
            add_block(&m->sums[lane * m->count + i], x, m->weight ? m->weight[i] : NULL, from, rows,
                      (size_t)design->d);
    }
}

/* Returns the variance of column j over the rows of weight i, NaN if a value is not finite. */
static double combine(const struct moments *m, size_t i, size_t j, double *mean)
{
    double rows = 0, centre = 0, spread = 0; /* spread: sum of squares about the centre */
    *mean = 0;
    for (size_t lane = 0; lane < m->lanes; lane++) {
        const struct sums *s = &m->sums[lane * m->count + i];
        if (!s->rows)
            continue;
        const double n = (double)s->rows, offset = s->sum[j] / n, own = s->first[j] + offset,
                     delta = own - centre;
        if (!isfinite(s->square[j]))
            return NAN;
        spread += s->square[j] - n * offset * offset +
                  (rows > 0 ? delta * delta * (rows * n / (rows + n)) : 0);
        centre = rows > 0 ? centre + delta * (n / (rows + n)) : own;
        rows += n;
    }
    *mean = centre;
    return real_variance(centre, rows > 0 && spread > 0 ? spread / rows : 0);
}

static void moments_release(struct moments *m)
{
    for (size_t i = 0; m->sums && i < m->lanes * m->count; i++)
        free(m->sums[i].first);
    for (size_t lane = 0; m->room && lane < m->lanes; lane++)
        free(m->room[lane]);
    free(m->sums);
    free(m->room);
}

static int moments_take(struct moments *m, struct ft_team *team, struct ft_error *err)
{
    const size_t blocks = (m->design->n + BLOCK - 1) / BLOCK, d = (size_t)m->design->d;
    m->lanes = blocks < LANES ? blocks : LANES;
    m->sums = ft_alloc_zero(m->lanes * m->count, sizeof *m->sums);
    m->room = ft_alloc_zero(m->lanes, sizeof *m->room);
    bool good = m->sums && m->room;
    for (size_t i = 0; good && i < m->lanes * m->count; i++) {
        struct sums *s = &m->sums[i];
        good = (s->first = ft_alloc_zero(3 * d, sizeof(double))) != NULL;
        s->sum = s->first + d;
        s->square = s->sum + d;
    }
    for (size_t lane = 0; good && lane < m->lanes; lane++)
        good = (m->room[lane] = ft_design_room(m->design, BLOCK)) != NULL;
    if (!good) {
        moments_release(m);
        return ft_error_nomem(err, "the features");
    }
    ft_team_each(team, m->lanes, add_lane, m);
    const int rc = ft_design_status(m->design, err);
    if (rc)
        moments_release(m);
    return rc;
}

/* ---- scales ---------------------------------------------------------------------------------- */

/* Writes the scales of the columns of one block, and returns T: the sum of variance * scale^2. */
static double block_scales(enum ft_scale rule, const double *variance, size_t d, double *scale)
{
    double floor = 0, total = 0;
    for (size_t j = 0; rule == FT_SCALE_FLOOR && j < d; j++)
        floor += variance[j] / (double)d;
    for (size_t j = 0; j < d; j++) {
        /* 0 for a feature that does not vary */
        scale[j] = variance[j] > 0 ? 1 / sqrt(variance[j] + floor) : 0;
        total += variance[j] * scale[j] * scale[j];
    }
    return total;
}

/* Writes the scales of features with these variances [d]. */
static void find_scales(const struct ft_scaling *s, const double *variance, size_t d, double *scale)
{
    const int whole = (int)d, n = s->blocks ? s->n_blocks : 1,
              *width = s->blocks ? s->blocks : &whole;
    const size_t last = d - (size_t)width[n - 1];
    const double total = block_scales(s->rule, variance + last, d - last, scale + last);
    for (size_t b = 0, from = 0; from < last; from += (size_t)width[b++]) {
        const size_t columns = (size_t)width[b];
        const double own = block_scales(s->rule, variance + from, columns, scale + from),
                     factor = own > 0
                                  ? sqrt(s->depth * total / own * (double)columns / (double)last)
                                  : 0;
        for (size_t j = from; j < from + columns; j++)
            scale[j] *= factor;
    }
}

/* A fit's shift and scale, from the moments of its rows in units of the design. */
static void fit_scales(const struct ft_design *design, const struct moments *m, size_t i,
                       double *variance, double *raw_scale, float *shift, float *scale)
{
    const size_t d = (size_t)design->d;
    for (size_t j = 0; j < d; j++) {
        double mean;
        const double own = design->scale[j] > 0 ? design->scale[j] : 1;
        variance[j] = combine(m, i, j, &mean) / (own * own);
        shift[j] = (float)mean;
    }
    find_scales(&design->scaling, variance, d, raw_scale);
    for (size_t j = 0; j < d; j++)
        scale[j] = design->scale[j] > 0 ? (float)(raw_scale[j] / design->scale[j]) : 0;
}

int ft_design_moments(const struct ft_design *design, const float *const *weight, size_t count,
                      float *const *shift, float *const *scale, struct ft_team *team,
                      struct ft_error *err)
{
    struct moments m = { .design = design, .weight = weight, .count = count };
    const size_t d = (size_t)design->d;
    if (design->scaling.none) {
        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < d; j++) {
                shift[i][j] = 0;
                scale[i][j] = 1;
            }
        return 0;
    }
    double *variance = ft_alloc(2 * d, sizeof *variance);
    int rc = variance ? moments_take(&m, team, err) : ft_error_nomem(err, "the features");
    if (rc)
        goto done;
    for (size_t i = 0; i < count; i++)
        fit_scales(design, &m, i, variance, variance + d, shift[i], scale[i]);
    moments_release(&m);
done:
    free(variance);
    return rc;
}

/* ---- the design ------------------------------------------------------------------------------ */

static int not_finite(const struct ft_matrix *raw, struct ft_error *err)
{
    const size_t d = (size_t)raw->d;
    float *room = ft_alloc(d, sizeof *room);
    int rc = room ? 0 : ft_error_nomem(err, "the features");
    for (size_t i = 0; !rc && i < raw->n; i++) {
        const float *row = ft_matrix_rows(raw, i, 1, room);
        for (size_t j = 0; !rc && j < d; j++) {
            if (!isfinite(row[j]))
                rc = ft_error_set(err, FT_EFORMAT,
                                  "feature %zu of row %zu is '%s': the backbone's weights are "
                                  "damaged or the features overflow",
                                  j, i, isnan(row[j]) ? "nan" : "inf");
        }
    }
    free(room);
    return rc;
}

static void scale_block(void *context, size_t block, int member)
{
    const struct ft_design *design = context;
    const size_t from = block * BLOCK, rows = design->n - from < BLOCK ? design->n - from : BLOCK,
                 at = from * (size_t)design->d;
    (void)member;
    scale_rows(design, design->raw.x + at, rows, design->x + at);
}

/* Mean and scale of the raw features. Returns FT_EFORMAT if one is not finite. */
static int measure(struct ft_design *design, struct ft_team *team, struct ft_error *err)
{
    struct moments m = { .design = design, .count = 1 };
    const size_t d = (size_t)design->d;
    bool finite = true;
    int rc = moments_take(&m, team, err);
    if (rc)
        return rc;
    double *variance = ft_alloc(d, sizeof *variance);
    design->mean = ft_alloc(d, sizeof *design->mean);
    design->scale = ft_alloc(d, sizeof *design->scale);
    if (!variance || !design->mean || !design->scale) {
        rc = ft_error_nomem(err, "the features");
        goto done;
    }
    for (size_t j = 0; j < d; j++) {
        variance[j] = combine(&m, 0, j, &design->mean[j]);
        finite = finite && !isnan(variance[j]);
    }
    find_scales(&design->scaling, variance, d, design->scale);
    for (size_t j = 0; j < d; j++)
        design->row_square += variance[j] * design->scale[j] * design->scale[j];
    if (!finite)
        rc = not_finite(&design->raw, err);
done:
    free(variance);
    moments_release(&m);
    return rc;
}

int ft_design_init(struct ft_design *out, const struct ft_matrix *raw,
                   const struct ft_scaling *scaling, struct ft_team *team, struct ft_error *err)
{
    struct ft_design design = { .n = raw->n, .d = raw->d, .raw = *raw, .scaling = *scaling };
    size_t count;
    int rc = measure(&design, team, err);
    if (!rc && raw->x) {
        float *x = ft_size_mul(raw->n, (size_t)raw->d, &count) ? ft_alloc(count, sizeof *x) : NULL;
        if ((design.x = x))
            ft_team_each(team, (raw->n + BLOCK - 1) / BLOCK, scale_block, &design);
        else
            rc = ft_error_nomem(err, "the features");
    }
    if (rc)
        ft_design_release(&design);
    else
        *out = design;
    return rc;
}

void ft_design_release(struct ft_design *design)
{
    free(design->x);
    free(design->mean);
    free(design->scale);
    *design = (struct ft_design){ 0 };
}
