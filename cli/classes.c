#include "classes.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

void drop_unlabelled(struct ft_dataset *d)
{
    size_t n = 0;
    for (size_t i = 0; i < d->n; i++) {
        if (d->labels[i] < 0) {
            free(d->paths[i]);
            continue;
        }
        d->paths[n] = d->paths[i];
        d->labels[n++] = d->labels[i];
    }
    d->n = n;
}

/* "'a' (1), 'b' (0)": the classes with counts below `least`; returns how many there are. */
static int list_small(const struct ft_dataset *d, const size_t *counts, size_t least, char *out,
                      size_t size)
{
    enum { SHOWN = 20 };
    int n = 0, length = 0;
    *out = 0;
    for (int c = 0; c < d->n_classes; c++)
        if (counts[c] < least && n++ < SHOWN && length < (int)size)
            length += snprintf(out + length, size - (size_t)length, "%s'%.100s' (%zu)",
                               n > 1 ? ", " : "", d->classes[c], counts[c]);
    if (n > SHOWN && length < (int)size)
        snprintf(out + length, size - (size_t)length, " and %d more", n - SHOWN);
    return n;
}

int drop_small_classes(struct ft_dataset *d, size_t least, struct ft_error *err)
{
    char list[800];
    size_t *counts = calloc((size_t)d->n_classes + 1, sizeof *counts);
    int32_t *map = malloc(((size_t)d->n_classes + 1) * sizeof *map), kept = 0;
    if (!counts || !map) {
        free(counts);
        free(map);
        return out_of_memory(err, "the classes");
    }
    for (size_t i = 0; i < d->n; i++)
        counts[d->labels[i]]++;
    const int n = list_small(d, counts, least, list, sizeof list);
    if (n)
        note("%d class%s with fewer than %zu pictures %s left out: %s", n, n == 1 ? "" : "es",
             least, n == 1 ? "is" : "are", list);
    for (int c = 0; c < d->n_classes; c++) {
        map[c] = counts[c] < least ? -1 : kept;
        if (map[c] < 0)
            free(d->classes[c]);
        else
            d->classes[kept++] = d->classes[c];
    }
    d->n_classes = kept;
    for (size_t i = 0; i < d->n; i++)
        d->labels[i] = map[d->labels[i]];
    drop_unlabelled(d);
    free(counts);
    free(map);
    return 0;
}

/* The number of folders with pictures at the first level of `dir`. */
static int n_folders(const char *dir)
{
    struct ft_dataset *d = NULL;
    const int n = ft_dataset_open(dir, false, &d, NULL) ? 0 : d->n_classes;
    ft_dataset_free(d);
    return n;
}

/* Makes the error for a folder with pictures but without class folders. */
static int refuse_flat(const struct ft_dataset *d, const char *dir, struct ft_error *err)
{
    char above[PATH_MAX], names[200] = "";
    struct ft_dataset *named = NULL;
    if (!ft_dataset_open_named(dir, "name", &named, NULL) && named->n_classes > 1 &&
        10 * named->n > 9 * (named->n + named->n_loose))
        snprintf(names, sizeof names,
                 "; --label-from name takes %d classes from the file names, "
                 "such as '%.40s' and '%.40s'",
                 named->n_classes, named->classes[0], named->classes[1]);
    ft_dataset_free(named);
    char *real = realpath(dir, NULL), *slash = real ? strrchr(real, '/') : NULL;
    if (slash && slash != real)
        *slash = 0;
    snprintf(above, sizeof above, "%s", real && slash != real ? real : "");
    free(real);
    if (!*names && *above && n_folders(above) > 1)
        return refuse(err, FT_EARG,
                      "'%s' contains %zu picture%s but no class folders: if it is one class of "
                      "several, use 'finetune train %s'; if a table has the labels, add --labels "
                      "FILE.csv",
                      dir, d->n_loose, plural(d->n_loose), above);
    return refuse(err, FT_EARG,
                  "'%s' contains %zu picture%s but no class folders: put them into one folder for "
                  "each class, or name a table of labels with --labels FILE.csv%s",
                  dir, d->n_loose, plural(d->n_loose), names);
}

int check_two_classes(const struct ft_dataset *d, const char *dir, struct ft_error *err)
{
    if (d->n_classes > 1)
        return 0;
    if (!d->n_classes && d->n_loose)
        return refuse_flat(d, dir, err);
    if (d->n_classes == 1) {
        char inside[PATH_MAX];
        snprintf(inside, sizeof inside, "%s/%s", dir, d->classes[0]);
        if (n_folders(inside) > 1)
            return refuse(err, FT_EARG,
                          "'%s' contains only one class, '%s', but that has several folders: use "
                          "'finetune train %s'",
                          dir, d->classes[0], inside);
    }
    struct stat s;
    const bool table = !stat(dir, &s) && S_ISREG(s.st_mode);
    return refuse(err, FT_EARG, "'%s' contains %s%s%s: at least two are needed, %s", dir,
                  d->n_classes ? "only one class, '" : "no class",
                  d->n_classes ? d->classes[0] : "", d->n_classes ? "'" : "",
                  table ? "and each row has the path of a picture and its class"
                        : "each a folder of pictures, as in images/cat/*.jpg and images/dog/*.jpg");
}

int count_classes(const struct ft_dataset *d, const int32_t *labels, size_t n, const char *what,
                  const char *dir, size_t *counts, struct ft_error *err)
{
    char list[700];
    memset(counts, 0, (size_t)d->n_classes * sizeof *counts);
    for (size_t i = 0; i < n; i++)
        counts[labels[i]]++;
    const int small = list_small(d, counts, 2, list, sizeof list);
    if (!small)
        return 0;
    return refuse(err, FT_EARG,
                  "'%s': %d class%s with fewer than 2 %ss: %s: add pictures (better 50 for each "
                  "class), or leave such classes out with --min-images 2",
                  dir, small, small == 1 ? "" : "es", what, list);
}

void class_notes(const struct ft_dataset *d, const char *dir)
{
    for (int i = 0; i + 1 < d->n_classes; i++)
        for (int j = i + 1; j < d->n_classes && d->n_classes <= 2000; j++)
            if (!strcasecmp(d->classes[i], d->classes[j]))
                note("the classes '%s' and '%s' differ only in case: they are trained as two "
                     "classes",
                     d->classes[i], d->classes[j]);
    for (int i = 0; i < d->n_classes; i++) {
        char path[PATH_MAX], target[PATH_MAX];
        struct stat st;
        if (snprintf(path, sizeof path, "%s/%s", dir, d->classes[i]) >= (int)sizeof path ||
            lstat(path, &st) || !S_ISLNK(st.st_mode) || !realpath(path, target))
            continue;
        const char *same = NULL;
        for (int j = 0; j < d->n_classes && !same; j++) {
            char other[PATH_MAX], real[PATH_MAX];
            if (j != i &&
                snprintf(other, sizeof other, "%s/%s", dir, d->classes[j]) < (int)sizeof other &&
                realpath(other, real) && !strcmp(real, target))
                same = d->classes[j];
        }
        if (same)
            note("'%s' is a link to the class folder '%s': both classes contain the same pictures",
                 path, same);
        else
            note("'%s' is a link to '%s'", path, target);
    }
}
