#include "head/precondition.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/blas.h"
#include "base/error.h"
#include "base/memory.h"
#include "kernels/kernels.h"

/* READ: rows that a work item reads. SAMPLE: C is computed from this many rows for each feature.
 * Eigenvalues that are wrong with so few rows are small compared with l2. WIDEST: columns, because
 * C needs the square of their number. */
enum { PANEL = 128, PIECE = 4096, READ = 128, SAMPLE = 4, WIDEST = 4096 };

/* With many classes, most rows are classified with confidence at the minimum, so p (1 - p) is a
 * fraction of the 1/k at the start. Number of evaluations to reach 1e-5 of the minimum for
 * fractions of 0.2 and 0.1, with 20000 rows of 100 classes and l2 0.01: clusters 20, 18;
 * overlapping blends of real features 30, 26; blends that overlap more 22, 24. For fewer than 10
 * classes the bound itself is used. README.md lists other experiments. */
static float curvature_of(int k)
{
    return (k < 10 ? 1 : 0.1f) / (float)k;
}

bool ft_precondition_pays(const struct ft_design *design, int k)
{
    /* C costs d / (4 k) evaluations and saves tens of them. A solve costs d / (2 n) of an
     * evaluation. */
    return k > 2 && design->n >= (size_t)design->d && design->d <= 60 * k && design->d <= WIDEST &&
           !design->scaling.none;
}

struct covariance {
    const struct ft_design *design;
    const struct ft_product_row *product;
    size_t n, step;    /* every step-th row is used, n in all */
    size_t from, rows; /* the piece, counted in rows that are used */
    float *x;          /* [rows, d] */
    float *out;
};

static void read_rows(void *context, size_t item, int member)
{
    struct covariance *c = context;
    const size_t d = (size_t)c->design->d,
                 end = (item + 1) * READ < c->rows ? (item + 1) * READ : c->rows;
    (void)member;
    for (size_t i = item * READ; i < end; i++) {
        float *to = c->x + i * d;
        const float *row = ft_design_rows(c->design, (c->from + i) * c->step, 1, to);
        if (row != to)
            memcpy(to, row, d * sizeof *to);
    }
}

/* Columns [from, from + PANEL) of the lower triangle. */
static void covariance_panel(void *context, size_t item, int member)
{
    const struct covariance *c = context;
    const size_t d = (size_t)c->design->d, from = item * PANEL,
                 count = d - from < PANEL ? d - from : PANEL;
    (void)member;
    for (size_t row = 0; row < c->rows; row += PANEL) { /* as many as stay in cache */
        const float *x = c->x + row * d + from;
        const struct ft_product product = { .a = x,
                                            .b = x,
                                            .c = c->out + from * d + from,
                                            .m = (int)(d - from),
                                            .n = (int)count,
                                            .k = (int)(c->rows - row < PANEL ? c->rows - row
                                                                             : PANEL),
                                            .a_row = 1,
                                            .a_step = (ptrdiff_t)d,
                                            .b_row = (ptrdiff_t)d,
                                            .c_row = (ptrdiff_t)d,
                                            .add = c->from + row > 0 };
        c->product->run(&product);
    }
}

/* Computes the products of all panels for one piece of rows, then for the next piece, so that the
 * rows are read once. */
static int covariance_fill(struct covariance *c, struct ft_team *team, struct ft_error *err)
{
    const size_t d = (size_t)c->design->d;
    c->x = ft_alloc(c->n < PIECE ? c->n : PIECE, d * sizeof *c->x);
    if (!c->x)
        return ft_error_nomem(err, "the training of the head");
    for (c->from = 0; c->from < c->n; c->from += PIECE) {
        c->rows = c->n - c->from < PIECE ? c->n - c->from : PIECE;
        ft_team_each(team, (c->rows + READ - 1) / READ, read_rows, c);
        ft_team_each(team, (d + PANEL - 1) / PANEL, covariance_panel, c);
    }
    free(c->x);
    for (size_t i = 0; i < d * d; i++)
        c->out[i] /= (float)c->n;
    return ft_design_status(c->design, err);
}

int ft_precondition_init(struct ft_precondition *out, const struct ft_design *design, int k,
                         struct ft_team *team, struct ft_error *err)
{
    const size_t d = (size_t)design->d;
    struct ft_precondition p = { .d = design->d, .curvature = curvature_of(k) };
    p.covariance = ft_alloc_zero(d, d * sizeof(float));
    p.factor = ft_alloc(d, d * sizeof(float));
    if (!p.covariance || !p.factor) {
        ft_precondition_release(&p);
        return ft_error_nomem(err, "the training of the head");
    }
    const size_t rows = SAMPLE * d, step = design->n > rows ? design->n / rows : 1;
    struct covariance c = { .design = design,
                            .product = ft_product_choose(),
                            .n = (design->n - 1) / step + 1,
                            .step = step,
                            .out = p.covariance };
    ft_blas_alone();
    const int rc = covariance_fill(&c, team, err);
    if (rc)
        ft_precondition_release(&p);
    else
        *out = p;
    return rc;
}

void ft_precondition_release(struct ft_precondition *p)
{
    free(p->covariance);
    free(p->factor);
    *p = (struct ft_precondition){ 0 };
}

/* Cholesky factor of a small diagonal block a [count, count], whose rows are d floats apart. Pivots
 * are at least sqrt(least): the factor need not be exact, because it only changes variables. */
static void factor_block(float *a, size_t d, size_t count, double least)
{
    for (size_t j = 0; j < count; j++) {
        double pivot = a[j * d + j];
        for (size_t i = 0; i < j; i++)
            pivot -= (double)a[j * d + i] * a[j * d + i];
        pivot = sqrt(pivot > least ? pivot : least);
        a[j * d + j] = (float)pivot;
        for (size_t row = j + 1; row < count; row++) {
            double v = a[row * d + j];
            for (size_t i = 0; i < j; i++)
                v -= (double)a[row * d + i] * a[j * d + i];
            a[row * d + j] = (float)(v / pivot);
        }
    }
}

void ft_cholesky(float *a, size_t d, double least)
{
    for (size_t from = 0; from < d; from += PANEL) {
        const size_t count = d - from < PANEL ? d - from : PANEL, below = d - from - count;
        float *block = a + from * d + from, *panel = block + count * d, *rest = panel + count;
        factor_block(block, d, count, least);
        if (!below)
            break;
        cblas_strsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, (int)below,
                    (int)count, 1, block, (int)d, panel, (int)d);
        cblas_ssyrk(CblasRowMajor, CblasLower, CblasNoTrans, (int)below, (int)count, -1, panel,
                    (int)d, 1, rest, (int)d);
    }
}

void ft_precondition_factor(struct ft_precondition *p, double l2)
{
    const size_t d = (size_t)p->d;
    /* smaller eigenvalues are rounding errors in float32 */
    const float ridge = fmaxf((float)l2, 1e-4f * p->curvature);
    for (size_t i = 0; i < d; i++) {
        for (size_t j = 0; j <= i; j++)
            p->factor[i * d + j] = p->curvature * p->covariance[i * d + j] + (i == j ? ridge : 0);
    }
    ft_cholesky(p->factor, d, ridge / 2);
}

void ft_precondition_apply(const struct ft_precondition *p, float *w, size_t rows)
{
    cblas_strmm(CblasRowMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, (int)rows, p->d,
                1, p->factor, p->d, w, p->d);
}

void ft_precondition_undo(const struct ft_precondition *p, float *w, size_t rows)
{
    cblas_strsm(CblasRowMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, (int)rows, p->d,
                1, p->factor, p->d, w, p->d);
}

void ft_precondition_gradient(const struct ft_precondition *p, float *g, size_t rows)
{
    cblas_strsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, (int)rows, p->d, 1,
                p->factor, p->d, g, p->d);
}
