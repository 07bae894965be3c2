#include "head/gram.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>

#include "base/blas.h"
#include "base/error.h"
#include "base/memory.h"
#include "head/precondition.h"

enum { TILE = 64, READ = 64 };

/* A share of the mean squared row that is added to the diagonal: more than the rounding errors of
 * the products in float32, and 10 times less than the weakest L2 penalty of a search. */
static const double ridge = 1e-6;

struct products {
    const struct ft_design *design;
    const size_t *rows;
    size_t n, last; /* last: columns before the last block */
    float *x;       /* [n, d] the rows */
    struct ft_gram *out;
};

static void copy_rows(void *context, size_t item, int member)
{
    struct products *p = context;
    const size_t d = (size_t)p->design->d,
                 end = (item + 1) * READ < p->n ? (item + 1) * READ : p->n;
    (void)member;
    for (size_t i = item * READ; i < end; i++) {
        float *to = p->x + i * d;
        const float *row = ft_design_rows(p->design, p->rows[i], 1, to);
        if (row != to)
            memcpy(to, row, d * sizeof *to);
    }
}

/* One tile of the lower triangle of both matrices: rows of item / tiles, columns of item % tiles.
 */
static void multiply_tile(void *context, size_t item, int member)
{
    const struct products *p = context;
    const size_t tiles = (p->n + TILE - 1) / TILE, i = item / tiles * TILE, j = item % tiles * TILE,
                 d = (size_t)p->design->d;
    (void)member;
    if (j > i)
        return;
    const int m = (int)(p->n - i < TILE ? p->n - i : TILE),
              n = (int)(p->n - j < TILE ? p->n - j : TILE);
    const float *a = p->x + i * d, *b = p->x + j * d;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, (int)p->last, 1, a, (int)d, b,
                (int)d, 0, p->out->others + i * p->n + j, (int)p->n);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, (int)(d - p->last), 1, a + p->last,
                (int)d, b + p->last, (int)d, 0, p->out->last + i * p->n + j, (int)p->n);
}

void ft_gram_release(struct ft_gram *gram)
{
    free(gram->last);
    free(gram->others);
    *gram = (struct ft_gram){ 0 };
}

int ft_gram_init(struct ft_gram *out, const struct ft_design *design, const size_t *rows, size_t m,
                 struct ft_team *team, struct ft_error *err)
{
    const struct ft_scaling *s = &design->scaling;
    struct ft_gram gram = { .n = m };
    struct products p = { .design = design,
                          .rows = rows,
                          .n = m,
                          .last = (size_t)(design->d - s->blocks[s->n_blocks - 1]),
                          .out = &gram };
    const size_t tiles = (m + TILE - 1) / TILE;
    const bool whole = design->x && m == design->n;
    gram.last = ft_alloc_zero(m, m * sizeof(float));
    gram.others = ft_alloc_zero(m, m * sizeof(float));
    p.x = whole ? design->x : ft_alloc(m, (size_t)design->d * sizeof(float));
    int rc = gram.last && gram.others && p.x ? 0 : ft_error_nomem(err, "the products of the rows");
    ft_blas_alone();
    if (!rc && !whole) {
        ft_team_each(team, (m + READ - 1) / READ, copy_rows, &p);
        rc = ft_design_status(design, err);
    }
    if (!rc)
        ft_team_each(team, tiles * tiles, multiply_tile, &p);
    if (!whole)
        free(p.x);
    if (rc)
        ft_gram_release(&gram);
    else
        *out = gram;
    return rc;
}

int ft_gram_design(const struct ft_gram *gram, double depth, struct ft_design *out,
                   struct ft_error *err)
{
    const size_t n = gram->n;
    struct ft_design design = {
        .n = n, .d = (int)n, .triangular = true, .scaling = { .none = true }
    };
    float *z = ft_alloc_zero(n, n * sizeof *z);
    if (!z)
        return ft_error_nomem(err, "the products of the rows");
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++)
            z[i * n + j] = (float)(gram->last[i * n + j] + depth * gram->others[i * n + j]);
        design.row_square += z[i * n + i] / (double)n;
    }
    const double more = ridge * design.row_square;
    for (size_t i = 0; i < n; i++)
        z[i * n + i] += (float)more;
    ft_blas_alone();
    ft_cholesky(z, n, more / 2);
    for (size_t i = 0; i < n; i++)
        memset(z + i * n + i + 1, 0, (n - i - 1) * sizeof *z);
    design.x = z;
    *out = design;
    return 0;
}
