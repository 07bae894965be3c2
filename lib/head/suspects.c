#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "head/diagnose.h"

static int worst_first(const void *a, const void *b)
{
    const struct ft_suspect *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->row > y->row) - (x->row < y->row);
}

int ft_suspects_find(const float *p, const int32_t *y, size_t n, int k, struct ft_suspect **out,
                     size_t *count, struct ft_error *err)
{
    double *mean = ft_alloc_zero((size_t)k, sizeof *mean),
           *rows = ft_alloc_zero((size_t)k, sizeof *rows);
    struct ft_suspect *list = NULL;
    size_t found = 0, capacity = 0;
    int rc = mean && rows ? 0 : ft_error_nomem(err, "the search for wrong labels");
    for (size_t i = 0; !rc && i < n; i++) {
        mean[y[i]] += (double)p[i * (size_t)k + (size_t)y[i]];
        rows[y[i]]++;
    }
    for (size_t i = 0; !rc && i < n; i++) {
        const float *row = p + i * (size_t)k;
        int best = -1;
        for (int c = 0; c < k; c++)
            if (rows[c] > 0 && (best < 0 || row[c] > row[best]))
                best = c;
        if (best < 0 || best == y[i])
            continue;
        const bool confident = (double)row[best] >= mean[best] / rows[best];
        if (ft_grow((void **)&list, &capacity, found, sizeof *list))
            list[found++] =
                (struct ft_suspect){ i, best, (double)row[best] - (double)row[y[i]], confident };
        else
            rc = ft_error_nomem(err, "the search for wrong labels");
    }
    free(mean);
    free(rows);
    if (rc) {
        free(list);
        return rc;
    }
    if (found)
        qsort(list, found, sizeof *list, worst_first);
    *out = list;
    *count = found;
    return 0;
}
