#include "head/fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/blas.h"
#include "base/error.h"
#include "base/memory.h"
#include "head/softmax.h"
#include "kernels/kernels.h"

/* BLOCK: 112 rows of 1280 features stay in the L2 cache of a core between the two products, and are
 * a multiple of the kernels' tiles. */
/* SLICE: columns of one fit that a work item prepares or adds up */
enum { BLOCK = 112, MOST_LANES = 16, SLICE = 16 };

int ft_softmax_columns(int k)
{
    return k == 2 ? 1 : k;
}

int ft_fit_init(struct ft_fit *fit, int d, int k, struct ft_error *err)
{
    *fit = (struct ft_fit){ 0 };
    size_t count;
    if (!ft_size_mul((size_t)d + 1, (size_t)ft_softmax_columns(k), &count))
        return ft_error_nomem(err, "the head");
    const int rc = ft_lbfgs_init(&fit->optimiser, count, err);
    if (rc)
        return rc;
    fit->shift = ft_alloc((size_t)d, sizeof(float));
    fit->scale = ft_alloc((size_t)d, sizeof(float));
    if (!fit->shift || !fit->scale) {
        ft_fit_release(fit);
        return ft_error_nomem(err, "the head");
    }
    return 0;
}

void ft_fit_release(struct ft_fit *fit)
{
    ft_lbfgs_release(&fit->optimiser);
    free(fit->shift);
    free(fit->scale);
    *fit = (struct ft_fit){ 0 };
}

/* ---- value and gradient of all running fits -------------------------------------------------- */

struct lane {
    float *x;        /* [BLOCK, d] buffer for rows that are not in memory */
    float *z;        /* [BLOCK, stride] logits, then residuals */
    float *gradient; /* [columns, d] */
    double *loss;    /* [fits] */
    double *sums;    /* [columns] of residuals */
};

struct evaluation {
    const struct ft_design *design;
    const int32_t *y;
    int k, columns;       /* columns of one fit */
    struct ft_fit **fits; /* [count] those that are not finished */
    size_t count, lanes;
    size_t slices; /* of a fit's columns */
    size_t stride; /* count * columns, rounded up to whole cache lines */
    const struct ft_product_row *product;
    float *w, *v;  /* w: [count * columns, d]; v: [d, stride], w scaled to the shared design */
    float *offset; /* [count * columns] */
    struct lane lane[MOST_LANES];
};

/* Replaces rows [from, from + rows) of the logits of fit j by residuals, and adds to loss and
 * sums. */
static void block_residuals(struct evaluation *e, struct lane *lane, size_t j, size_t from,
                            size_t rows)
{
    const struct ft_fit *fit = e->fits[j];
    const size_t first = j * (size_t)e->columns, k = (size_t)e->k;
    for (size_t i = 0; i < rows; i++) {
        float *z = lane->z + i * e->stride + first;
        const size_t row = from + i;
        for (int c = 0; c < e->columns; c++)
            z[c] += e->offset[first + (size_t)c];
        if (!(fit->weight[row] > 0)) {
            if (fit->logits && e->k == 2) {
                fit->logits[2 * row] = (float)(-M_SQRT1_2 * z[0]);
                fit->logits[2 * row + 1] = (float)(M_SQRT1_2 * z[0]);
            } else if (fit->logits) {
                memcpy(fit->logits + row * k, z, k * sizeof(float));
            }
            memset(z, 0, (size_t)e->columns * sizeof(float));
            continue;
        }
        const double weight = fit->weight[row];
        lane->loss[j] += weight * (e->k == 2 ? ft_softmax_residual_pair(z, e->y[row], weight)
                                             : ft_softmax_residual(z, e->k, e->y[row], weight));
        for (int c = 0; c < e->columns; c++)
            lane->sums[first + (size_t)c] += z[c];
    }
}

static void run_lane(void *context, size_t index, int member)
{
    struct evaluation *e = context;
    struct lane *lane = &e->lane[index];
    const size_t n = e->design->n, d = (size_t)e->design->d, wide = e->count * (size_t)e->columns;
    const size_t blocks = (n + BLOCK - 1) / BLOCK, end = (index + 1) * blocks / e->lanes;
    const ptrdiff_t stride = (ptrdiff_t)e->stride;
    (void)member;
    memset(lane->loss, 0, e->count * sizeof(double));
    memset(lane->sums, 0, wide * sizeof(double));
    bool add = e->design->triangular; /* else the first block overwrites the gradient */
    if (add)
        memset(lane->gradient, 0, wide * d * sizeof *lane->gradient);
    for (size_t block = index * blocks / e->lanes; block < end;
         block++) { /* consecutive rows, so that files are read in order */
        const size_t from = block * BLOCK, rows = n - from < BLOCK ? n - from : BLOCK,
                     used = e->design->triangular ? from + rows : d; /* columns */
        const float *x = ft_design_rows(e->design, from, rows, lane->x);
        const struct ft_product logits = { .a = x,
                                           .b = e->v,
                                           .c = lane->z,
                                           .m = (int)rows,
                                           .n = (int)wide,
                                           .k = (int)used,
                                           .a_row = (ptrdiff_t)d,
                                           .a_step = 1,
                                           .b_row = stride,
                                           .c_row = stride };
        const struct ft_product gradient = { .a = lane->z,
                                             .b = x,
                                             .c = lane->gradient,
                                             .m = (int)wide,
                                             .n = (int)used,
                                             .k = (int)rows,
                                             .a_row = 1,
                                             .a_step = stride,
                                             .b_row = (ptrdiff_t)d,
                                             .c_row = (ptrdiff_t)d,
                                             .add = add };
        e->product->run(&logits);
        for (size_t j = 0; j < e->count; j++)
            block_residuals(e, lane, j, from, rows);
        e->product->run(&gradient);
        add = true;
    }
}

/* Sets the fit number *fit and the columns [*first, end) of work item `item`. Returns end. */
static size_t slice(const struct evaluation *e, size_t item, size_t *fit, size_t *first)
{
    const size_t columns = (size_t)e->columns;
    *fit = item / e->slices;
    *first = item % e->slices * SLICE;
    return *first + SLICE < columns ? *first + SLICE : columns;
}

/* Computes W for the shared design, and adds the effect of the shift to b. */
static void prepare_slice(void *context, size_t item, int member)
{
    struct evaluation *e = context;
    const size_t d = (size_t)e->design->d, columns = (size_t)e->columns;
    size_t j, first;
    const size_t end = slice(e, item, &j, &first);
    const struct ft_fit *fit = e->fits[j];
    float *w = e->w + (j * columns + first) * d;
    (void)member;
    memcpy(w, fit->optimiser.x + first * d, (end - first) * d * sizeof(float));
    if (fit->precondition)
        ft_precondition_undo(fit->precondition, w, end - first);
    const double unit = fit->precondition ? sqrt((double)fit->precondition->curvature) : 1;
    /* the gradient's memory is not in use now */
    float *scaled = fit->optimiser.g + first * d, *v = e->v + j * columns + first;
    for (size_t c = first; c < end; c++) {
        float *row = scaled + (c - first) * d;
        for (size_t i = 0; i < d; i++)
            row[i] = w[(c - first) * d + i] * fit->scale[i];
        e->offset[j * columns + c] =
            (float)(fit->optimiser.x[columns * d + c] / unit - ft_dot(fit->shift, row, d));
    }
    for (size_t i = 0; i < d; i++) {
        for (size_t c = 0; c < end - first; c++)
            v[i * e->stride + c] = scaled[c * d + i];
    }
}

static bool is_absent(const struct evaluation *e, const struct ft_fit *fit, size_t column)
{
    return fit->absent && (e->k == 2 ? fit->absent[0] || fit->absent[1] : fit->absent[column]);
}

/* Adds the gradients of the lanes and of the penalty. */
static void gradient_slice(void *context, size_t item, int member)
{
    struct evaluation *e = context;
    const size_t d = (size_t)e->design->d, columns = (size_t)e->columns;
    size_t j, first;
    const size_t end = slice(e, item, &j, &first);
    const struct ft_fit *fit = e->fits[j];
    float *gradient = fit->optimiser.g;
    const double unit = fit->precondition ? sqrt((double)fit->precondition->curvature) : 1;
    (void)member;
    for (size_t c = first; c < end; c++) {
        const size_t column = j * columns + c;
        float *g = gradient + c * d;
        const float *w = e->w + column * d;
        double sum = 0;
        memcpy(g, e->lane[0].gradient + column * d, d * sizeof(float));
        for (size_t l = 0; l < e->lanes; l++) {
            sum += e->lane[l].sums[column];
            const float *part = e->lane[l].gradient + column * d;
            for (size_t i = 0; l && i < d; i++)
                g[i] += part[i];
        }
        const float rest = is_absent(e, fit, c) ? 0 : (float)sum, l2 = (float)fit->l2;
        if (is_absent(e, fit, c))
            memset(g, 0, d * sizeof(float));
        for (size_t i = 0; i < d; i++)
            g[i] = (g[i] - fit->shift[i] * rest) * fit->scale[i] + l2 * w[i];
        gradient[columns * d + c] = (float)(rest / unit);
    }
    if (fit->precondition)
        ft_precondition_gradient(fit->precondition, gradient + first * d, end - first);
}

/* Does one step of the minimisation of fit j. A finished fit becomes NULL. */
static void step_fit(void *context, size_t j, int member)
{
    struct evaluation *e = context;
    struct ft_fit *fit = e->fits[j];
    const size_t cells = (size_t)e->columns * (size_t)e->design->d;
    const float *w = e->w + j * cells;
    (void)member;
    double loss = 0;
    for (size_t l = 0; l < e->lanes; l++)
        loss += e->lane[l].loss[j];
    if (!ft_lbfgs_next(&fit->optimiser, loss + fit->l2 / 2 * ft_dot(w, w, cells)))
        e->fits[j] = NULL;
}

/* ---- minimising ------------------------------------------------------------------------------ */

static void evaluation_release(struct evaluation *e)
{
    for (size_t l = 0; l < e->lanes; l++) {
        free(e->lane[l].x);
        free(e->lane[l].z);
        free(e->lane[l].gradient);
        free(e->lane[l].loss);
        free(e->lane[l].sums);
    }
    free(e->w);
    free(e->v);
    free(e->offset);
    free(e->fits);
}

static size_t whole_lines(size_t floats)
{
    return (floats + 15) / 16 * 16;
}

static int evaluation_init(struct evaluation *e, const struct ft_design *design, const int32_t *y,
                           int k, struct ft_fit *fits, size_t count, struct ft_error *err)
{
    *e = (struct evaluation){
        .design = design, .y = y, .k = k, .columns = ft_softmax_columns(k), .count = count
    };
    const size_t wide = count * (size_t)e->columns, d = (size_t)design->d,
                 blocks = (design->n + BLOCK - 1) / BLOCK;
    /* Each lane has a gradient, so there are fewer lanes if gradients are large. The number depends
     * on sizes only. */
    const size_t affordable = ((size_t)1 << 24) / (wide * d + 1);
    e->lanes = affordable < 4 ? 4 : affordable > MOST_LANES ? MOST_LANES : affordable;
    e->lanes = e->lanes > blocks ? blocks : e->lanes;
    e->slices = ((size_t)e->columns + SLICE - 1) / SLICE;
    e->stride = whole_lines(wide);
    e->product = ft_product_choose();
    e->w = ft_alloc(wide, d * sizeof(float));
    e->v = ft_alloc(e->stride, d * sizeof(float));
    e->offset = ft_alloc(wide, sizeof(float));
    e->fits = ft_alloc(count, sizeof *e->fits);
    bool good = e->w && e->v && e->offset && e->fits;
    for (size_t l = 0; l < e->lanes; l++) {
        struct lane *lane = &e->lane[l];
        lane->x = ft_design_room(design, BLOCK);
        lane->z = ft_alloc(e->stride, BLOCK * sizeof(float));
        lane->gradient = ft_alloc(wide, d * sizeof(float));
        lane->loss = ft_alloc(count, sizeof(double));
        lane->sums = ft_alloc(wide, sizeof(double));
        good = good && lane->x && lane->z && lane->gradient && lane->loss && lane->sums;
    }
    if (!good) {
        evaluation_release(e);
        return ft_error_nomem(err, "the training of the head");
    }
    for (size_t j = 0; j < count; j++)
        e->fits[j] = &fits[j];
    return 0;
}

/* Converts the parameters of the caller to those that are minimised over (`forth`), or back. */
static void change_variables(struct ft_fit *fit, int columns, bool forth)
{
    const struct ft_precondition *p = fit->precondition;
    if (!p)
        return;
    const double unit = sqrt((double)p->curvature);
    float *x = fit->optimiser.x, *b = x + (size_t)columns * (size_t)p->d;
    (forth ? ft_precondition_apply : ft_precondition_undo)(p, x, (size_t)columns);
    for (int c = 0; c < columns; c++)
        b[c] = (float)(forth ? b[c] * unit : b[c] / unit);
}

int ft_softmax_fit(const struct ft_design *design, const int32_t *y, int k, struct ft_fit *fits,
                   size_t count, struct ft_team *team, struct ft_error *err)
{
    struct evaluation e;
    int rc = evaluation_init(&e, design, y, k, fits, count, err);
    if (rc)
        return rc;
    ft_blas_alone();
    for (size_t j = 0; j < count; j++) {
        change_variables(&fits[j], e.columns, true);
        ft_lbfgs_start(&fits[j].optimiser);
    }
    while (e.count && !(rc = ft_design_status(design, err))) {
        ft_team_each(team, e.count * e.slices, prepare_slice, &e);
        ft_team_each(team, e.lanes, run_lane, &e);
        ft_team_each(team, e.count * e.slices, gradient_slice, &e);
        ft_team_each(team, e.count, step_fit, &e);
        for (size_t j = 0; j < count; j++) {
            if (fits[j].watch)
                fits[j].watch(fits[j].watch_context, &fits[j]);
        }
        size_t left = 0;
        for (size_t j = 0; j < e.count; j++) {
            if (e.fits[j])
                e.fits[left++] = e.fits[j];
        }
        e.count = left;
        e.stride = whole_lines(left * (size_t)e.columns);
    }
    for (size_t j = 0; j < count; j++)
        change_variables(&fits[j], e.columns, false);
    evaluation_release(&e);
    return rc;
}
