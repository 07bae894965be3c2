#include <cblas.h>
#include <stdlib.h>

#include "base/blas.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "dataset/near.h"
#include "head/diagnose.h"

/* MOST: all rows are compared with at most this many, evenly spaced rows */
enum { NEAREST = 5, BLOCK = 64, MOST = 20000 };

struct job {
    size_t n, n_against;
    int d;
    const float *unit; /* [n, d] */
    float *against;    /* [n_against, d] */
    double *distance;  /* [n] */
    int rc;            /* FT_ENOMEM: a block ran out of memory */
};

/* Returns the mean distance to the NEAREST rows with the largest cosine [n], without row `self`. */
static double nearest(const float *cosine, size_t n, size_t self)
{
    float best[NEAREST];
    size_t have = 0;
    for (size_t j = 0; j < n; j++) {
        if (j == self || (have == NEAREST && cosine[j] <= best[NEAREST - 1]))
            continue;
        size_t at = have < NEAREST ? have++ : NEAREST - 1;
        for (; at > 0 && best[at - 1] < cosine[j]; at--)
            best[at] = best[at - 1];
        best[at] = cosine[j];
    }
    double sum = 0;
    for (size_t i = 0; i < have; i++)
        sum += 1 - (double)best[i];
    return have ? sum / (double)have : 0;
}

static void measure(void *context, size_t block, int member)
{
    struct job *job = context;
    const size_t from = block * BLOCK, rows = job->n - from < BLOCK ? job->n - from : BLOCK,
                 m = job->n_against, d = (size_t)job->d;
    float *cosine = ft_alloc(rows, m * sizeof *cosine);
    (void)member;
    if (!cosine) {
        job->rc = FT_ENOMEM;
        return;
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)m, job->d, 1,
                job->unit + from * d, job->d, job->against, job->d, 0, cosine, (int)m);
    for (size_t i = 0; i < rows; i++)
        job->distance[from + i] = nearest(cosine + i * m, m, job->n == m ? from + i : SIZE_MAX);
    free(cosine);
}

static int furthest_first(const void *a, const void *b)
{
    const struct ft_outlier *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->row > y->row) - (x->row < y->row);
}

/* Rows above the limit; scratch [n]. */
static int choose(const double *distance, size_t n, double *scratch, struct ft_outlier **out,
                  size_t *count)
{
    struct ft_outlier *list = NULL;
    size_t found = 0, capacity = 0;
    for (size_t i = 0; i < n; i++)
        scratch[i] = distance[i];
    qsort(scratch, n, sizeof *scratch, ft_order_doubles);
    const double median = scratch[n / 2];
    for (size_t i = 0; i < n; i++)
        scratch[i] = distance[i] > median ? distance[i] - median : median - distance[i];
    qsort(scratch, n, sizeof *scratch, ft_order_doubles);
    const double limit = median + 4 * 1.4826 * scratch[n / 2];
    for (size_t i = 0; i < n; i++) {
        if (distance[i] <= limit)
            continue;
        if (!ft_grow((void **)&list, &capacity, found, sizeof *list)) {
            free(list);
            return FT_ENOMEM;
        }
        list[found++] = (struct ft_outlier){ i, distance[i] };
    }
    if (found)
        qsort(list, found, sizeof *list, furthest_first);
    *out = list;
    *count = found;
    return 0;
}

int ft_outliers_find(const float *x, size_t n, int d, int threads, struct ft_outlier **out,
                     size_t *count, struct ft_error *err)
{
    struct job job = { .n = n, .n_against = n < MOST ? n : MOST, .d = d };
    struct ft_team *team = ft_team_new(threads > 0 ? threads : ft_cpu_count());
    float *unit = ft_unit_rows(x, n, d);
    const size_t width = (size_t)d;
    double *scratch = ft_alloc(n, sizeof *scratch);
    job.unit = unit;
    job.distance = ft_alloc(n, sizeof *job.distance);
    job.against = ft_alloc(job.n_against, width * sizeof(float));
    int rc = team && unit && scratch && job.distance && job.against ? 0 : FT_ENOMEM;
    if (!rc) {
        for (size_t i = 0; i < job.n_against; i++)
            cblas_scopy(d, unit + i * n / job.n_against * width, 1, job.against + i * width, 1);
        ft_blas_alone();
        ft_team_each(team, (n + BLOCK - 1) / BLOCK, measure, &job);
        rc = job.rc ? job.rc : choose(job.distance, n, scratch, out, count);
    }
    free(unit);
    free(scratch);
    free(job.distance);
    free(job.against);
    ft_team_free(team);
    return rc ? ft_error_nomem(err, "the search for outliers") : 0;
}
