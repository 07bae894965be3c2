/* Pictures that must stay in one fold: a union-find over copies, near copies, and names that belong
 * together. */
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "finetune-tools.h"

struct keyed {
    uint64_t key[2];
    size_t row;
};

static size_t root(uint64_t *group, size_t i)
{
    while (group[i] != i)
        i = (size_t)(group[i] = group[group[i]]);
    return i;
}

/* The lower row represents both groups. */
static void join(uint64_t *group, size_t a, size_t b)
{
    a = root(group, a);
    b = root(group, b);
    if (a < b)
        group[b] = a;
    else
        group[a] = b;
}

static int by_key(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    for (int i = 0; i < 2; i++)
        if (x->key[i] != y->key[i])
            return x->key[i] < y->key[i] ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static void join_equal(struct keyed *keys, size_t n, uint64_t *group)
{
    if (n)
        qsort(keys, n, sizeof *keys, by_key);
    for (size_t i = 1; i < n; i++)
        if (!memcmp(keys[i].key, keys[i - 1].key, sizeof keys[i].key))
            join(group, keys[i - 1].row, keys[i].row);
}

/* The number of rows in the largest group. size [n] is scratch memory. */
static size_t largest(uint64_t *group, size_t n, size_t *size)
{
    size_t most = 0;
    memset(size, 0, n * sizeof *size);
    for (size_t i = 0; i < n; i++) {
        const size_t count = ++size[root(group, i)];
        most = count > most ? count : most;
    }
    return most;
}

/* FT_SAME was measured on photographs. In sets of drawings many different pictures are that close:
 * then there are many pairs across classes, or near copies form a chain and end up in one group. In
 * these cases only exact copies are grouped. FEWEST: pairs across classes that may be copies with a
 * wrong label, in sets of at least FEWEST * ROWS pictures; in smaller sets, one for each ROWS. A
 * group of several classes takes away a large part of them from the training of a small fold. */
enum { FEWEST = 10, ROWS = 50 };

static bool are_copies(const struct ft_features *f, const struct ft_near *pairs, size_t n_pairs)
{
    const size_t share = f->n / ROWS, fewest = share > FEWEST ? FEWEST : share > 1 ? share : 1;
    size_t across = 0;
    for (size_t i = 0; i < n_pairs; i++)
        across += f->labels[pairs[i].a] != f->labels[pairs[i].b];
    return across < fewest || across <= n_pairs / 10;
}

static int join_near(const struct ft_features *f, int threads, uint64_t *group,
                     struct ft_error *err)
{
    struct ft_near *pairs = NULL;
    size_t n_pairs = 0;
    if (f->n > FT_GROUPS_MOST)
        return 0;
    struct ft_matrix x;
    float *copy = NULL;
    uint64_t *before = ft_alloc(f->n, sizeof *before);
    size_t *size = ft_alloc(f->n, sizeof *size);
    int rc = before && size ? ft_features_last(f, &x, &copy, err)
                            : ft_error_nomem(err, "the groups of pictures");
    if (!rc)
        rc = ft_near_pairs(&x, FT_SAME, threads, &pairs, &n_pairs, err);
    if (!rc) {
        const size_t most = largest(group, f->n, size);
        memcpy(before, group, f->n * sizeof *group);
        for (size_t i = 0; i < n_pairs; i++)
            join(group, pairs[i].a, pairs[i].b);
        const size_t joined = largest(group, f->n, size);
        if (!are_copies(f, pairs, n_pairs) || (joined > most && joined > f->n / 5))
            memcpy(group, before, f->n * sizeof *group);
    }
    free(copy);
    free(pairs);
    free(before);
    free(size);
    return rc;
}

static const char *below(const char *path, const char *dir)
{
    const size_t n = strlen(dir);
    if (strncmp(path, dir, n))
        return path;
    return path + n + strspn(path + n, "/");
}

/* Writes the rows that match to keys, with the hash of the matched text, and their number to *n. */
static int match_names(const struct ft_features *f, const char *dir, const char *pattern,
                       struct keyed *keys, size_t *n, struct ft_error *err)
{
    regex_t regex;
    regmatch_t match[2];
    *n = 0;
    const int bad = regcomp(&regex, pattern, REG_EXTENDED);
    if (bad) {
        char why[200];
        regerror(bad, &regex, why, sizeof why);
        return ft_error_set(err, FT_EARG, "'%s' is no extended regular expression: %s", pattern,
                            why);
    }
    for (size_t i = 0; i < f->n; i++) {
        const char *name = below(f->paths[i], dir);
        if (regexec(&regex, name, 2, match, 0))
            continue;
        const regmatch_t *m = &match[regex.re_nsub && match[1].rm_so >= 0];
        keys[*n].row = i;
        ft_hash(name + m->rm_so, (size_t)(m->rm_eo - m->rm_so), keys[*n].key);
        ++*n;
    }
    regfree(&regex);
    return 0;
}

int ft_groups(const struct ft_features *f, const char *dir, const char *pattern, int threads,
              uint64_t *group, struct ft_error *err)
{
    size_t n_keys = 0;
    struct keyed *keys = ft_alloc(f->n, sizeof *keys);
    if (!keys)
        return ft_error_nomem(err, "the groups of pictures");
    for (size_t i = 0; i < f->n; i++) {
        group[i] = i;
        keys[i] = (struct keyed){ { f->content[i][0], f->content[i][1] }, i };
    }
    join_equal(keys, f->n, group);
    int rc = join_near(f, threads, group, err);
    if (!rc && pattern)
        rc = match_names(f, dir, pattern, keys, &n_keys, err);
    if (!rc && pattern)
        join_equal(keys, n_keys, group);
    for (size_t i = 0; i < f->n; i++)
        group[i] = root(group, i);
    free(keys);
    return rc;
}
