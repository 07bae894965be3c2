/* Pairs of rows that look alike. Every row gets 256 signs of random projections; two rows at angle a differ in about 256 a / pi of
 * them (Charikar 2002), so that most pairs are settled by counting bits and only the rest by a product of d floats. */
#include "dataset/near.h"

#include <cblas.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/thread.h"

enum { BITS = 256, WORDS = BITS / 64, BLOCK = 256 };

struct search {
    size_t n;
    int d;
    float most;
    int bits; /* pairs that differ in more are apart */
    const float *unit;   /* [n, d] */
    const float *planes; /* [d, BITS] */
    uint64_t (*signs)[WORDS];
    pthread_mutex_t lock;
    struct ft_near *pairs;
    size_t n_pairs, capacity;
    bool failed;
};

float *ft_unit_rows(const float *x, size_t n, int columns)
{
    const size_t d = (size_t)columns;
    float *unit = ft_alloc(n, d * sizeof *unit);
    double *mean = ft_alloc_zero(d, sizeof *mean);
    if (!unit || !mean) {
        free(unit);
        free(mean);
        return NULL;
    }
    for (size_t i = 0; i < n * d; i++)
        mean[i % d] += x[i];
    for (size_t i = 0; i < n; i++) {
        double square = 0;
        for (size_t j = 0; j < d; j++) {
            const double v = x[i * d + j] - mean[j] / (double)n;
            unit[i * d + j] = (float)v;
            square += v * v;
        }
        const float scale = square > 1e-20 ? (float)(1 / sqrt(square)) : 0;
        for (size_t j = 0; j < d; j++)
            unit[i * d + j] *= scale;
    }
    free(mean);
    return unit;
}

static void sign_block(void *context, size_t block, int member)
{
    struct search *s = context;
    const size_t from = block * BLOCK, rows = s->n - from < BLOCK ? s->n - from : BLOCK, d = (size_t)s->d;
    float *projected = ft_alloc(rows, BITS * sizeof *projected);
    (void)member;
    if (!projected) {
        s->failed = true;
        return;
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, BITS, s->d, 1, s->unit + from * d, s->d, s->planes, BITS, 0, projected, BITS);
    for (size_t i = 0; i < rows; i++)
        for (size_t b = 0; b < BITS; b++)
            s->signs[from + i][b / 64] |= (uint64_t)(projected[i * BITS + b] > 0) << b % 64;
    free(projected);
}

static void keep(struct search *s, size_t a, size_t b, float distance)
{
    pthread_mutex_lock(&s->lock);
    if (ft_grow((void **)&s->pairs, &s->capacity, s->n_pairs, sizeof *s->pairs))
        s->pairs[s->n_pairs++] = (struct ft_near){ a, b, distance };
    else
        s->failed = true;
    pthread_mutex_unlock(&s->lock);
}

static void search_row(void *context, size_t a, int member)
{
    struct search *s = context;
    const size_t d = (size_t)s->d;
    const uint64_t *p = s->signs[a];
    (void)member;
    for (size_t b = a + 1; b < s->n; b++) {
        const uint64_t *q = s->signs[b];
        int bits = 0;
        for (int w = 0; w < WORDS; w++)
            bits += __builtin_popcountll(p[w] ^ q[w]);
        if (bits > s->bits)
            continue;
        const float distance = 1 - cblas_sdot(s->d, s->unit + a * d, 1, s->unit + b * d, 1);
        if (distance < s->most)
            keep(s, a, b, distance < 0 ? 0 : distance);
    }
}

static int by_rows(const void *a, const void *b)
{
    const struct ft_near *x = a, *y = b;
    if (x->a != y->a)
        return x->a < y->a ? -1 : 1;
    return (x->b > y->b) - (x->b < y->b);
}

static float *random_planes(int d)
{
    struct ft_random random = { 11 };
    float *planes = ft_alloc((size_t)d, BITS * sizeof *planes);
    for (size_t i = 0; planes && i < (size_t)d * BITS; i++)
        planes[i] = ft_random_next(&random) >> 63 ? 1 : -1;
    return planes;
}

int ft_near_pairs(const float *x, size_t n, int d, float most, int threads, struct ft_near **pairs, size_t *n_pairs, struct ft_error *err)
{
    const double share = acos(1 - (double)most) / M_PI; /* of the signs that differ; three standard deviations more are let through */
    struct search s = { .n = n, .d = d, .most = most, .bits = (int)(BITS * share + 3 * sqrt(BITS * share * (1 - share))) };
    struct ft_team *team = ft_team_new(threads > 0 ? threads : ft_cpu_count());
    float *unit = ft_unit_rows(x, n, d), *planes = random_planes(d);
    pthread_mutex_init(&s.lock, NULL);
    s.signs = ft_alloc_zero(n, sizeof *s.signs);
    s.unit = unit;
    s.planes = planes;
    s.failed = !team || !unit || !planes || !s.signs;
    openblas_set_num_threads(1);
    if (!s.failed)
        ft_team_each(team, (n + BLOCK - 1) / BLOCK, sign_block, &s);
    if (!s.failed)
        ft_team_each(team, n, search_row, &s);
    free(unit);
    free(planes);
    free(s.signs);
    ft_team_free(team);
    pthread_mutex_destroy(&s.lock);
    if (s.failed) {
        free(s.pairs);
        return ft_error_nomem(err, "the search for near duplicates");
    }
    if (s.n_pairs)
        qsort(s.pairs, s.n_pairs, sizeof *s.pairs, by_rows);
    *pairs = s.pairs;
    *n_pairs = s.n_pairs;
    return 0;
}
