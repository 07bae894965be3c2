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
