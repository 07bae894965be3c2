#include "dataset/rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

int ft_rows_add(struct ft_rows *t, char *path, char *label, struct ft_error *err)
{
    struct ft_dataset *d = t->d;
    if (!path || !ft_grow((void **)&d->paths, &t->paths_capacity, d->n, sizeof *d->paths) ||
        !ft_grow((void **)&t->labels, &t->labels_capacity, d->n, sizeof *t->labels)) {
        free(path);
        return ft_error_nomem(err, "the list of pictures");
    }
    d->paths[d->n] = path;
    t->labels[d->n++] = label;
    return 0;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int ft_rows_number(struct ft_rows *t, struct ft_error *err)
{
    struct ft_dataset *d = t->d;
    char **sorted = malloc((d->n + 1) * sizeof *sorted);
    d->labels = malloc((d->n + 1) * sizeof *d->labels);
    d->classes = calloc(d->n + 1, sizeof *d->classes);
    int rc = sorted && d->labels && d->classes ? 0 : ft_error_nomem(err, "labels");
    if (!rc && d->n) {
        memcpy(sorted, t->labels, d->n * sizeof *sorted);
        qsort(sorted, d->n, sizeof *sorted, by_bytes);
    }
    for (size_t i = 0; !rc && i < d->n; i++)
        if (!i || strcmp(sorted[i], sorted[i - 1])) {
            if (!(d->classes[d->n_classes] = ft_strdup(sorted[i])))
                rc = ft_error_nomem(err, "labels");
            else
                d->n_classes++;
        }
    for (size_t i = 0; !rc && i < d->n; i++)
        d->labels[i] = (int32_t)((char **)bsearch(&t->labels[i], d->classes, (size_t)d->n_classes,
                                                  sizeof *d->classes, by_bytes) -
                                 d->classes);
    free(sorted);
    return rc;
}
