/* Groups are assigned in the order of their size, the largest first, and in random order within a
 * size. Each group is assigned to the fold that has the smallest share of its classes so far; of
 * equal folds, to the one with the fewest rows. So single pictures are distributed evenly, class by
 * class. */
#include "head/folds.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"

struct entry {
    uint64_t group, shuffle;
    size_t row, size; /* size: rows of the group */
};

static int by_group(const void *a, const void *b)
{
    const struct entry *p = a, *q = b;
    if (p->group != q->group)
        return p->group < q->group ? -1 : 1;
    return (p->row > q->row) - (p->row < q->row);
}

/* Larger groups first. The rows of a group stay together, in order. */
static int by_turn(const void *a, const void *b)
{
    const struct entry *p = a, *q = b;
    if (p->size != q->size)
        return p->size > q->size ? -1 : 1;
    if (p->shuffle != q->shuffle)
        return p->shuffle < q->shuffle ? -1 : 1;
    return by_group(a, b);
}

/* Counts the groups and sets the size and the random number of each. */
static size_t mark_groups(struct entry *entries, size_t n, uint64_t seed)
{
    struct ft_random random = { seed };
    size_t groups = 0;
    qsort(entries, n, sizeof *entries, by_group);
    for (size_t i = 0, end; i < n; i = end, groups++) {
        const uint64_t shuffle = ft_random_next(&random);
        for (end = i; end < n && entries[end].group == entries[i].group; end++)
            ;
        for (size_t j = i; j < end; j++) {
            entries[j].size = end - i;
            entries[j].shuffle = shuffle;
        }
    }
    qsort(entries, n, sizeof *entries, by_turn);
    return groups;
}

/* Returns the fold for the group entries[0..size). held [folds, k] is the number of rows of each
 * class in each fold so far, rows [folds] their sum, of [k] the number of all rows of a class. */
static int choose(const struct entry *entries, const int32_t *y, int k, int folds,
                  const size_t *held, const size_t *rows, const size_t *of)
{
    int best = 0;
    double best_share = 0;
    for (int f = 0; f < folds; f++) {
        double share = 0;
        for (size_t i = 0; i < entries->size; i++) {
            const int32_t c = y[entries[i].row];
            share += (double)held[(size_t)f * (size_t)k + (size_t)c] / (double)of[c];
        }
        if (f == 0 || share < best_share || (share == best_share && rows[f] < rows[best])) {
            best = f;
            best_share = share;
        }
    }
    return best;
}

int ft_folds_assign(const int32_t *y, const uint64_t *group, size_t n, int k, int folds,
                    uint64_t seed, int32_t *fold, struct ft_error *err)
{
    struct entry *entries = ft_alloc(n, sizeof *entries);
    size_t *held = ft_alloc_zero((size_t)folds * (size_t)k, sizeof *held),
           *rows = ft_alloc_zero((size_t)folds, sizeof *rows),
           *of = ft_alloc_zero((size_t)k, sizeof *of);
    int rc;
    if (!entries || !held || !rows || !of) {
        rc = ft_error_nomem(err, "the folds of the cross-validation");
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        entries[i] = (struct entry){ .group = group ? group[i] : i, .row = i };
        of[y[i]]++;
    }
    const size_t groups = mark_groups(entries, n, seed);
    if (groups < 2) {
        rc = ft_error_set(err, FT_EARG,
                          "all %zu pictures are the same picture: cross-validation needs at least "
                          "two different pictures",
                          n);
        goto done;
    }
    const int used = groups < (size_t)folds ? (int)groups : folds;
    for (size_t i = 0; i < n; i += entries[i].size) {
        const int f = choose(entries + i, y, k, used, held, rows, of);
        for (size_t j = i; j < i + entries[i].size; j++) {
            fold[entries[j].row] = f;
            held[(size_t)f * (size_t)k + (size_t)y[entries[j].row]]++;
            rows[f]++;
        }
    }
    rc = used;
done:
    free(entries);
    free(held);
    free(rows);
    free(of);
    return rc;
}
