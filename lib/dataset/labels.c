/* (path, class) rows from a stream of inputs. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "dataset/rows.h"

struct known {  /* a file in a table of labels */
    char *path; /* real */
    const char *label;
};

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct known *)a)->path, ((const struct known *)b)->path);
}

static struct known *know(const struct ft_dataset *table, size_t *n)
{
    struct known *known = malloc((table->n + 1) * sizeof *known);
    *n = 0;
    for (size_t i = 0; known && i < table->n; i++) {
        char *path = realpath(table->paths[i], NULL);
        if (path)
            known[(*n)++] = (struct known){ path, table->classes[table->labels[i]] };
    }
    if (known && *n)
        qsort(known, *n, sizeof *known, by_path);
    return known;
}

/* The label of an input, which must be freed with free(). NULL: it is not in the table. */
static char *label_of(const char *path, const struct known *known, size_t n_known)
{
    char *label = NULL;
    if (known) {
        struct known one = { .path = realpath(path, NULL) };
        const struct known *found =
            one.path && n_known ? bsearch(&one, known, n_known, sizeof one, by_path) : NULL;
        label = found ? ft_strdup(found->label) : NULL;
        free(one.path);
    } else { /* a link to a picture has the class of the directory that holds the link */
        const char *slash = strrchr(path, '/');
        char *above =
            slash ? strndup(path, (size_t)(slash - path) + !(slash - path)) : ft_strdup(".");
        char *real = above ? realpath(above, NULL) : NULL;
        /* a directory that does not exist is reported by extraction */
        const char *dir = real ? real : above, *last = dir ? strrchr(dir, '/') : NULL;
        label = ft_strdup(last ? last + 1 : dir);
        free(real);
        free(above);
    }
    return label;
}

int ft_dataset_open_inputs(struct ft_inputs *inputs, const struct ft_dataset *table,
                           struct ft_dataset **out, struct ft_error *err)
{
    size_t n_known = 0;
    struct ft_rows t = { .d = calloc(1, sizeof *t.d) };
    struct known *known = table ? know(table, &n_known) : NULL;
    int rc = t.d && (known || !table) ? 0 : ft_error_nomem(err, "inputs");
    for (const char *path; !rc && (path = ft_inputs_next(inputs));) {
        char *label = label_of(path, known, n_known);
        if (!label) {
            t.d->n_loose++;
            continue;
        }
        rc = ft_rows_add(&t, ft_strdup(path), label, err);
        if (rc)
            free(label);
    }
    if (!rc)
        rc = ft_inputs_status(inputs, err);
    if (!rc)
        rc = ft_rows_number(&t, err);
    for (size_t i = 0; t.d && i < t.d->n; i++)
        free(t.labels[i]);
    free(t.labels);
    for (size_t i = 0; known && i < n_known; i++)
        free(known[i].path);
    free(known);
    if (rc) {
        ft_dataset_free(t.d);
        return rc;
    }
    *out = t.d;
    return 0;
}
