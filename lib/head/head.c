#include <cblas.h>
#include <math.h>
#include <stdlib.h>

#include "base/blas.h"
#include "base/error.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "finetune-tools.h"
#include "head/softmax.h"

void ft_head_free(struct ft_head *head)
{
    if (!head)
        return;
    free(head->w);
    free(head->b);
    free(head);
}

enum { BLOCK = 256 };

void ft_head_apply(const struct ft_head *head, const float *logits, float *p)
{
    if (!head->independent) {
        ft_softmax(logits, head->k, 1, p);
        return;
    }
    for (int c = 0; c < head->k; c++)
        p[c] = (float)(1 / (1 + exp(-(double)logits[c])));
}

/* x: rows that are `stride` floats apart. */
static void probabilities(const struct ft_head *head, const float *x, size_t stride, size_t n,
                          float *p)
{
    const size_t k = (size_t)head->k;
    ft_blas_alone();
    for (size_t from = 0; from < n; from += BLOCK) {
        const size_t rows = n - from < BLOCK ? n - from : BLOCK;
        float *z = p + from * k;
        for (size_t i = 0; i < rows * k; i++)
            z[i] = head->b[i % k];
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)k, head->d, 1,
                    x + from * stride, (int)stride, head->w, (int)k, 1, z, (int)k);
        for (size_t i = 0; i < rows; i++)
            ft_head_apply(head, z + i * k, z + i * k);
    }
}

void ft_head_probabilities(const struct ft_head *head, const float *x, size_t n, float *p)
{
    probabilities(head, x, (size_t)head->d, n, p);
}

int ft_head_judge(const struct ft_head *head, const struct ft_matrix *x, float *p,
                  struct ft_error *err)
{
    const size_t d = (size_t)x->d;
    float *room = ft_alloc(x->x ? 1 : BLOCK, d * sizeof *room);
    if (!room)
        return ft_error_nomem(err, "features");
    for (size_t from = 0; from < x->n; from += BLOCK) {
        const size_t rows = x->n - from < BLOCK ? x->n - from : BLOCK;
        probabilities(head, ft_matrix_rows(x, from, rows, room) + d - (size_t)head->d, d, rows,
                      p + from * (size_t)head->k);
    }
    free(room);
    return ft_matrix_status(x, err);
}

/* Adds the parts of the logits that `rows` rows x get from a block of columns, which begins at
 * `from`: sums and sums of squares for each class. z [rows, k] is scratch memory. */
static void add_parts(const struct ft_head *head, const float *x, size_t rows, int from, int width,
                      float *z, double *sum, double *square)
{
    const size_t k = (size_t)head->k;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)k, width, 1, x + from,
                head->d, head->w + (size_t)from * k, (int)k, 0, z, (int)k);
    for (size_t i = 0; i < rows * k; i++) {
        sum[i % k] += (double)z[i];
        square[i % k] += (double)z[i] * (double)z[i];
    }
}

int ft_head_contributions(const struct ft_head *head, const struct ft_training_set *set,
                          double *share, struct ft_error *err)
{
    const struct ft_matrix *x = &set->x;
    const size_t k = (size_t)head->k, n = (size_t)set->n_blocks;
    if (head->d != x->d)
        return ft_error_set(err, FT_EARG, "the head takes %d of %d features", head->d, x->d);
    float *room = ft_alloc(x->x ? 1 : BLOCK, (size_t)x->d * sizeof *room),
          *z = ft_alloc(BLOCK, k * sizeof *z);
    double *sums = ft_alloc_zero(2 * n, k * sizeof *sums), total = 0;
    int rc = room && z && sums ? 0 : ft_error_nomem(err, "the contributions of the layers");
    ft_blas_alone();
    for (size_t from = 0; !rc && from < x->n; from += BLOCK) {
        const size_t rows = x->n - from < BLOCK ? x->n - from : BLOCK;
        const float *row = ft_matrix_rows(x, from, rows, room);
        for (size_t b = 0, at = 0; b < n; at += (size_t)set->blocks[b++])
            add_parts(head, row, rows, (int)at, set->blocks[b], z, sums + 2 * b * k,
                      sums + (2 * b + 1) * k);
    }
    if (!rc)
        rc = ft_matrix_status(x, err);
    for (size_t b = 0; !rc && b < n; b++) {
        share[b] = 0;
        for (size_t c = 0; c < k; c++) {
            const double mean = sums[2 * b * k + c] / (double)x->n;
            share[b] += sums[(2 * b + 1) * k + c] / (double)x->n - mean * mean;
        }
        total += share[b];
    }
    for (size_t b = 0; !rc && b < n; b++)
        share[b] = total > 0 ? share[b] / total : 0;
    free(room);
    free(z);
    free(sums);
    return rc;
}

void ft_validation_free(struct ft_validation *validation)
{
    if (!validation)
        return;
    free(validation->fold);
    free(validation->raw);
    free(validation->calibrated);
    free(validation->grid);
    free(validation);
}
