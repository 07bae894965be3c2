#include <cblas.h>
#include <stdlib.h>

#include "finetune.h"
#include "head/softmax.h"

void ft_head_free(struct ft_head *head)
{
    if (!head)
        return;
    free(head->w);
    free(head->b);
    free(head);
}

void ft_head_probabilities(const struct ft_head *head, const float *x, size_t n, float *p)
{
    const size_t d = (size_t)head->d, k = (size_t)head->k, block = 256;
    openblas_set_num_threads(1);
    for (size_t from = 0; from < n; from += block) {
        const size_t rows = n - from < block ? n - from : block;
        float *z = p + from * k;
        for (size_t i = 0; i < rows * k; i++)
            z[i] = head->b[i % k];
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)k, (int)d, 1, x + from * d, (int)d, head->w, (int)k, 1, z, (int)k);
        for (size_t i = 0; i < rows; i++)
            ft_softmax(z + i * k, head->k, 1, z + i * k);
    }
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
