#include "head/ranking.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"

struct ranked {
    float score;
    bool positive;
};

static int by_score(const void *a, const void *b)
{
    const float x = ((const struct ranked *)a)->score, y = ((const struct ranked *)b)->score;
    return (x < y) - (x > y);
}

int ft_ranking(const float *score, size_t stride, const int32_t *y, int32_t c, size_t n,
               double *roc_auc, double *average_precision, struct ft_error *err)
{
    struct ranked *rows = ft_alloc(n, sizeof *rows);
    if (!rows)
        return ft_error_nomem(err, "the ranking of pictures");
    size_t positives = 0;
    for (size_t i = 0; i < n; i++) {
        rows[i] = (struct ranked){ score[i * stride], y[i] == c };
        positives += rows[i].positive;
    }
    qsort(rows, n, sizeof *rows, by_score);
    /* from the highest score down, all rows of one score at a time */
    double pairs = 0, precision = 0;
    size_t above = 0, below = 0; /* positives and negatives so far */
    for (size_t i = 0, end; i < n; i = end) {
        size_t right = 0;
        for (end = i; end < n && rows[end].score == rows[i].score; end++)
            right += rows[end].positive;
        const size_t wrong = end - i - right;
        pairs += (double)wrong * ((double)above + 0.5 * (double)right);
        above += right;
        below += wrong;
        precision += (double)right * (double)above / (double)(above + below);
    }
    free(rows);
    const bool defined = positives && positives < n;
    *roc_auc = defined ? pairs / ((double)positives * (double)(n - positives)) : NAN;
    *average_precision = defined ? precision / (double)positives : NAN;
    return 0;
}
