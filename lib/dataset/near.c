/* Pairs of rows that look alike. Every row gets the signs of 256 random projections. Two rows at
 * angle a differ in about 256 a / pi of them (Charikar 2002). So most pairs are excluded by
 * counting bits, and only the others need a product of d floats. */
#include "dataset/near.h"

#include <cblas.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/blas.h"
#include "base/error.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/thread.h"

enum { BITS = 256, WORDS = BITS / 64, BLOCK = 256 };

struct search {
    size_t n;
    int d;
    float most;
    int bits; /* pairs whose signs differ in more bits are not compared */
    const struct ft_matrix *x;
    const float *unit;   /* [n, d]; NULL: computed from x when needed */
    const double *mean;  /* [d] */
    float *room;         /* [members, 2, d] for a pair */
    const float *planes; /* [d, BITS] */
    uint64_t (*signs)[WORDS];
    pthread_mutex_t lock;
    struct ft_near *pairs;
    size_t n_pairs, capacity;
    atomic_bool no_memory; /* of any thread */
};

/* Subtracts the mean from x [rows, d] and scales each row to length 1 (or 0). `unit` may equal x.
 */
static void make_units(const float *x, size_t rows, size_t d, const double *mean, float *unit)
{
    for (size_t i = 0; i < rows; i++) {
        double square = 0;
        for (size_t j = 0; j < d; j++) {
            const double v = x[i * d + j] - mean[j];
            unit[i * d + j] = (float)v;
            square += v * v;
        }
        const float scale = square > 1e-20 ? (float)(1 / sqrt(square)) : 0;
        for (size_t j = 0; j < d; j++)
            unit[i * d + j] *= scale;
    }
}

/* [d], which must be freed with free(). Returns NULL if memory runs out. */
static double *mean_row(const struct ft_matrix *x)
{
    const size_t d = (size_t)x->d;
    float *room = ft_alloc(x->x ? 1 : BLOCK, d * sizeof *room);
    double *mean = ft_alloc_zero(d, sizeof *mean);
    for (size_t from = 0; room && mean && from < x->n; from += BLOCK) {
        const size_t rows = x->n - from < BLOCK ? x->n - from : BLOCK;
        const float *row = ft_matrix_rows(x, from, rows, room);
        for (size_t i = 0; i < rows; i++, row += d)
            for (size_t j = 0; j < d; j++)
                mean[j] += row[j];
    }
    for (size_t j = 0; room && mean && j < d; j++)
        mean[j] /= (double)x->n;
    if (!room) {
        free(mean);
        mean = NULL;
    }
    free(room);
    return mean;
}

float *ft_unit_rows(const float *x, size_t n, int d)
{
    float *unit = ft_alloc(n, (size_t)d * sizeof *unit);
    double *mean = mean_row(&(struct ft_matrix){ .n = n, .d = d, .x = x });
    if (unit && mean)
        make_units(x, n, (size_t)d, mean, unit);
    else {
        free(unit);
        unit = NULL;
    }
    free(mean);
    return unit;
}

/* Unit vectors [from, from + rows): borrowed, or computed in the buffer `room`. */
static const float *unit_rows(const struct search *s, size_t from, size_t rows, float *room)
{
    const size_t d = (size_t)s->d;
    if (s->unit)
        return s->unit + from * d;
    make_units(ft_matrix_rows(s->x, from, rows, room), rows, d, s->mean, room);
    return room;
}

static void sign_block(void *context, size_t block, int member)
{
    struct search *s = context;
    const size_t from = block * BLOCK, rows = s->n - from < BLOCK ? s->n - from : BLOCK,
                 d = (size_t)s->d;
    float *projected = ft_alloc(rows, BITS * sizeof *projected),
          *room = ft_alloc(s->unit ? 1 : rows, d * sizeof *room);
    (void)member;
    if (!projected || !room) {
        free(projected);
        free(room);
        atomic_store(&s->no_memory, true);
        return;
    }
    const float *unit = unit_rows(s, from, rows, room);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, BITS, s->d, 1, unit, s->d,
                s->planes, BITS, 0, projected, BITS);
    for (size_t i = 0; i < rows; i++)
        for (size_t b = 0; b < BITS; b++)
            s->signs[from + i][b / 64] |= (uint64_t)(projected[i * BITS + b] > 0) << b % 64;
    free(projected);
    free(room);
}

static void keep(struct search *s, size_t a, size_t b, float distance)
{
    pthread_mutex_lock(&s->lock);
    if (ft_grow((void **)&s->pairs, &s->capacity, s->n_pairs, sizeof *s->pairs))
        s->pairs[s->n_pairs++] = (struct ft_near){ a, b, distance };
    else
        atomic_store(&s->no_memory, true);
    pthread_mutex_unlock(&s->lock);
}

/* The number of bits in which p and q differ. They are counted in parallel within words, because
 * not every supported CPU has an instruction for it. */
static int differing(const uint64_t *p, const uint64_t *q)
{
    uint64_t bytes = 0; /* eight counts of up to 32 */
    for (int w = 0; w < WORDS; w++) {
        uint64_t v = p[w] ^ q[w];
        v -= v >> 1 & UINT64_C(0x5555555555555555);
        v = (v & UINT64_C(0x3333333333333333)) + (v >> 2 & UINT64_C(0x3333333333333333));
        bytes += (v & UINT64_C(0x0f0f0f0f0f0f0f0f)) + (v >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f));
    }
    bytes = (bytes & UINT64_C(0x00ff00ff00ff00ff)) + (bytes >> 8 & UINT64_C(0x00ff00ff00ff00ff));
    return (int)(bytes * UINT64_C(0x0001000100010001) >> 48);
}

static void search_row(void *context, size_t a, int member)
{
    struct search *s = context;
    const size_t d = (size_t)s->d;
    const uint64_t *p = s->signs[a];
    float *room = s->room + 2 * d * (size_t)member;
    const float *unit = NULL;
    for (size_t b = a + 1; b < s->n; b++) {
        if (differing(p, s->signs[b]) > s->bits)
            continue;
        if (!unit)
            unit = unit_rows(s, a, 1, room);
        const float distance = 1 - cblas_sdot(s->d, unit, 1, unit_rows(s, b, 1, room + d), 1);
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

int ft_near_pairs(const struct ft_matrix *x, float most, int threads, struct ft_near **pairs,
                  size_t *n_pairs, struct ft_error *err)
{
    /* the share of signs that differ at this distance; three standard deviations are added */
    const double share = acos(1 - (double)most) / M_PI;
    struct search s = { .n = x->n,
                        .d = x->d,
                        .most = most,
                        .bits = (int)(BITS * share + 3 * sqrt(BITS * share * (1 - share))),
                        .x = x };
    struct ft_team *team = ft_team_new(threads > 0 ? threads : ft_cpu_count());
    float *unit = x->x ? ft_unit_rows(x->x, x->n, x->d) : NULL, *planes = random_planes(x->d);
    double *mean = x->x ? NULL : mean_row(x);
    pthread_mutex_init(&s.lock, NULL);
    s.signs = ft_alloc_zero(x->n, sizeof *s.signs);
    s.room = ft_alloc(team ? 2 * (size_t)ft_team_size(team) : 1, (size_t)x->d * sizeof *s.room);
    s.unit = unit;
    s.mean = mean;
    s.planes = planes;
    s.no_memory = !team || !(unit || mean) || !planes || !s.signs || !s.room;
    ft_blas_alone();
    if (!s.no_memory)
        ft_team_each(team, (x->n + BLOCK - 1) / BLOCK, sign_block, &s);
    if (!s.no_memory)
        ft_team_each(team, x->n, search_row, &s);
    free(unit);
    free(mean);
    free(planes);
    free(s.signs);
    free(s.room);
    ft_team_free(team);
    pthread_mutex_destroy(&s.lock);
    const int rc = s.no_memory ? ft_error_nomem(err, "the search for near duplicates")
                               : ft_matrix_status(x, err);
    if (rc) {
        free(s.pairs);
        return rc;
    }
    if (s.n_pairs)
        qsort(s.pairs, s.n_pairs, sizeof *s.pairs, by_rows);
    *pairs = s.pairs;
    *n_pairs = s.n_pairs;
    return 0;
}
