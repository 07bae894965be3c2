/* Merges segments. Rows are checked when they are copied: a damaged row is left out, and its
 * feature will be computed again. If the process is killed before the old segments are removed,
 * some rows exist twice, and the next merge removes them. A merged segment gets the time of the
 * newest of its parts. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "features/cache.h"
#include "features/segment.h"

#define MERGED_BYTES                                                                               \
    ((size_t)32 << 20) /* Bytes of the features of a merged segment. A segment of half this size   \
                          is not merged. */

struct merge {
    int folder;
    const uint64_t *key;
    uint32_t d;
    char *const *names;
    const size_t *counts;
    size_t most, n; /* capacity: rows that a segment may have; n: rows that are not written yet */
    struct ft_segment_row *rows; /* [most] */
    float *x;                    /* [most, d] */
    struct timespec youngest;
};

static int by_content(const void *a, const void *b)
{
    const struct ft_cache_row *x = a, *y = b;
    const int order = memcmp(x->content, y->content, sizeof x->content);
    if (order)
        return order;
    if (x->removed != y->removed)
        return x->removed ? 1 : -1;
    if (x->segment != y->segment)
        return x->segment > y->segment ? -1 : 1;
    return (x->row < y->row) - (x->row > y->row);
}

static int by_place(const void *a, const void *b)
{
    const struct ft_cache_row *x = a, *y = b;
    if (x->segment != y->segment)
        return x->segment < y->segment ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

void ft_cache_sort_rows(struct ft_cache_row *rows, size_t n)
{
    if (n)
        qsort(rows, n, sizeof *rows, by_content);
}

static bool same_as_before(const struct ft_cache_row *rows, size_t i)
{
    return i && !memcmp(rows[i].content, rows[i - 1].content, sizeof rows[i].content);
}

size_t ft_cache_distinct(const struct ft_cache_row *rows, size_t n, bool left)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += !same_as_before(rows, i) && !(left && rows[i].removed);
    return count;
}

static int write_waiting(struct merge *m, struct ft_error *err)
{
    char name[64];
    if (!m->n)
        return 0;
    const int rc = ft_segment_write(m->folder, m->key, m->d, m->rows, m->n, m->x, name, err);
    if (!rc)
        utimensat(m->folder, name, (struct timespec[]){ m->youngest, m->youngest }, 0);
    m->n = 0;
    return rc;
}

static int copy_row(struct merge *m, const struct ft_cache_row *row, struct ft_error *err)
{
    const int rc = ft_segment_feature(m->folder, m->names[row->segment], m->counts[row->segment],
                                      row->row, m->d, row->check, m->x + m->n * m->d);
    if (rc == FT_EIO)
        return ft_error_set(
            err, rc, "another prune is at work on '%s': nothing was lost, this one can be repeated",
            m->names[row->segment]);
    if (rc)
        return 0;
    m->rows[m->n++] =
        (struct ft_segment_row){ { row->content[0], row->content[1] }, row->pixels, row->check };
    return m->n == m->most ? write_waiting(m, err) : 0;
}

/* Marks the segments to rewrite. live [n_names] is the number of valid rows of each. Returns the
 * number of marked segments, or 0 if rewriting would not make them fewer. */
static size_t choose(const struct merge *m, size_t n_names, const size_t *live, bool *chosen)
{
    size_t count = 0, superseded = 0;
    for (size_t i = 0; i < n_names; i++) {
        chosen[i] = m->counts[i] && (live[i] < m->counts[i] || m->counts[i] < (m->most + 1) / 2);
        count += chosen[i];
        superseded += chosen[i] && live[i] < m->counts[i];
    }
    return count > 1 || superseded ? count : 0;
}

static void find_youngest(struct merge *m, size_t n_names, const bool *chosen)
{
    for (size_t i = 0; i < n_names; i++) {
        struct stat st;
        if (chosen[i] && !fstatat(m->folder, m->names[i], &st, 0) &&
            (st.st_mtim.tv_sec > m->youngest.tv_sec ||
             (st.st_mtim.tv_sec == m->youngest.tv_sec && st.st_mtim.tv_nsec > m->youngest.tv_nsec)))
            m->youngest = st.st_mtim;
    }
}

/* rows [n] are the valid rows, sorted by segment and row. */
static int rewrite(struct merge *m, const struct ft_cache_row *rows, size_t n, size_t n_names,
                   const bool *chosen, uint64_t *merged, struct ft_error *err)
{
    int rc = 0;
    find_youngest(m, n_names, chosen);
    for (size_t i = 0; !rc && i < n; i++)
        if (chosen[rows[i].segment])
            rc = copy_row(m, &rows[i], err);
    if (!rc)
        rc = write_waiting(m, err);
    for (size_t i = 0; !rc && i < n_names; i++)
        *merged += chosen[i] && !unlinkat(m->folder, m->names[i], 0);
    return rc;
}

int ft_cache_merge(int folder, const uint64_t key[2], uint32_t d, char *const *names,
                   const size_t *counts, size_t n_names, struct ft_cache_row *rows, size_t n,
                   uint64_t *merged, struct ft_error *err)
{
    const size_t width = (size_t)d * sizeof(float);
    struct merge m = { .folder = folder,
                       .key = key,
                       .d = d,
                       .names = names,
                       .counts = counts,
                       .most = MERGED_BYTES / width + 1 };
    size_t *live = ft_alloc_zero(n_names + 1, sizeof *live), left = 0;
    bool *chosen = ft_alloc_zero(n_names + 1, sizeof *chosen);
    int rc = live && chosen ? 0 : ft_error_nomem(err, "the cache");
    for (size_t i = 0; !rc && i < n; i++)
        if (!same_as_before(rows, i) && !rows[i].removed)
            live[rows[i].segment]++;
    if (!rc && choose(&m, n_names, live, chosen)) {
        for (size_t i = 0, previous = n; i < n; i++) { /* keep those that count: the comparison is
                                                          with the row before, wherever it went */
            const struct ft_cache_row row = rows[i];
            const bool counts_once = (previous == n || memcmp(rows[previous].content, row.content,
                                                              sizeof row.content)) &&
                                     !row.removed;
            if (counts_once) {
                rows[left] = row;
                previous = left++;
            }
        }
        if (left)
            qsort(rows, left, sizeof *rows, by_place);
        m.rows = ft_alloc(m.most, sizeof *m.rows);
        m.x = ft_alloc(m.most, width);
        rc = m.rows && m.x ? rewrite(&m, rows, left, n_names, chosen, merged, err)
                           : ft_error_nomem(err, "the cache");
    }
    free(m.rows);
    free(m.x);
    free(live);
    free(chosen);
    return rc;
}
