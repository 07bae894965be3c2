/* Reads a folder as (path, class) rows. Symbolic links are followed; a directory that contains
 * itself is entered once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/memory.h"
#include "dataset/walk.h"

struct walk {
    struct ft_dataset *dataset;
    size_t rows_capacity;
    struct {
        dev_t device;
        ino_t inode;
    } above[FT_WALK_DEPTH]; /* the directories that contain the current path */
};

static int add_row(struct walk *w, const char *path, struct ft_error *err)
{
    struct ft_dataset *d = w->dataset;
    if (!ft_grow((void **)&d->paths, &w->rows_capacity, d->n, sizeof *d->paths) ||
        !(d->paths[d->n] = ft_strdup(path)))
        return ft_error_nomem(err, "the list of pictures");
    d->n++;
    return 0;
}

/* A directory that cannot be read, or an entry of a directory that cannot be searched. */
static int add_unreadable(struct walk *w, const char *path, bool keep, struct ft_error *err)
{
    w->dataset->n_unreadable += keep;
    return keep ? add_row(w, path, err) : 0;
}

static bool inside_already(const struct walk *w, const struct stat *st, int depth)
{
    for (int i = 0; i < depth; i++)
        if (w->above[i].device == st->st_dev && w->above[i].inode == st->st_ino)
            return true;
    return false;
}

/* Adds `path` and everything below it. If `keep` is false, files are only counted. */
static int walk_path(struct walk *w, const char *path, const char *name, int depth, bool keep,
                     struct ft_error *err)
{
    struct stat st;
    const bool missing = stat(path, &st) < 0;
    if (missing && errno != ENOENT && errno != ELOOP)
        return add_unreadable(w, path, keep, err);
    if (missing || !S_ISDIR(st.st_mode)) {
        const bool regular = !missing && S_ISREG(st.st_mode);
        if (!ft_walk_candidate(path, name, missing ? NULL : &st)) {
            w->dataset->n_others += regular;
            return 0;
        }
        w->dataset->n_loose += !keep && regular;
        return keep ? add_row(w, path, err) : 0;
    }
    if (depth == FT_WALK_DEPTH || inside_already(w, &st, depth))
        return 0;
    w->above[depth].device = st.st_dev;
    w->above[depth].inode = st.st_ino;
    char **names;
    size_t n;
    int rc = ft_walk_names(path, &names, &n, err);
    if (rc == FT_EIO)
        rc = add_unreadable(w, path, keep, err);
    for (size_t i = 0; !rc && i < n; i++) {
        char *below = ft_walk_join(path, names[i]);
        rc =
            below ? walk_path(w, below, names[i], depth + 1, keep, err) : ft_error_nomem(err, path);
        free(below);
    }
    ft_walk_free_names(names, n);
    return rc;
}

/* The rows from `first` on belong to one first-level directory. It is a class if there are any. */
static int close_class(struct walk *w, size_t first, const char *name, struct ft_error *err)
{
    struct ft_dataset *d = w->dataset;
    char ***names = d->n > first ? &d->classes : &d->empty;
    int *count = d->n > first ? &d->n_classes : &d->n_empty;
    char **more = realloc(*names, ((size_t)*count + 1) * sizeof **names);
    if (!more)
        return ft_error_nomem(err, "the list of classes");
    *names = more;
    if (!(more[*count] = ft_strdup(name)))
        return ft_error_nomem(err, "the list of classes");
    ++*count;
    return 0;
}

static int read_folder(struct walk *w, const char *dir, bool keep_loose, char **names, size_t n,
                       struct ft_error *err)
{
    struct ft_dataset *d = w->dataset;
    for (size_t i = 0; i < n; i++) {
        struct stat st;
        char *path = ft_walk_join(dir, names[i]);
        if (!path)
            return ft_error_nomem(err, dir);
        const bool is_class = !stat(path, &st) && S_ISDIR(st.st_mode);
        const size_t first = d->n;
        int rc = walk_path(w, path, names[i], 1, is_class || keep_loose, err);
        free(path);
        if (!rc && is_class)
            rc = close_class(w, first, names[i], err);
        if (rc)
            return rc;
        int32_t *labels = realloc(d->labels, (d->n ? d->n : 1) * sizeof *labels);
        if (!labels)
            return ft_error_nomem(err, "labels");
        d->labels = labels;
        for (size_t row = first; row < d->n; row++)
            labels[row] = is_class ? d->n_classes - 1 : -1;
        if (!is_class)
            d->n_loose += d->n - first;
    }
    return 0;
}

struct sorted {
    char *path;
    int32_t label;
};

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct sorted *)a)->path, ((const struct sorted *)b)->path);
}

/* The walk visits names in order, so "a/b" comes before "a.b/c". In the order of the bytes of whole
 * paths it comes after. */
static int sort_rows(struct ft_dataset *d, struct ft_error *err)
{
    struct sorted *rows = malloc((d->n + 1) * sizeof *rows);
    if (!rows)
        return ft_error_nomem(err, "the list of pictures");
    for (size_t i = 0; i < d->n; i++)
        rows[i] = (struct sorted){ d->paths[i], d->labels[i] };
    if (d->n)
        qsort(rows, d->n, sizeof *rows, by_path);
    for (size_t i = 0; i < d->n; i++) {
        d->paths[i] = rows[i].path;
        d->labels[i] = rows[i].label;
    }
    free(rows);
    return 0;
}

int ft_dataset_open(const char *dir, bool keep_loose, struct ft_dataset **out, struct ft_error *err)
{
    struct stat st;
    if (stat(dir, &st) < 0)
        return ft_error_errno(err, "cannot open '%s'", dir);
    if (!S_ISDIR(st.st_mode))
        return ft_error_set(err, FT_EARG,
                            "'%s' is not a directory: name a folder that has one directory of "
                            "pictures for each class",
                            dir);
    struct walk w = { .dataset = calloc(1, sizeof *w.dataset) };
    if (!w.dataset)
        return ft_error_nomem(err, dir);
    w.above[0].device = st.st_dev;
    w.above[0].inode = st.st_ino;
    char **names;
    size_t n;
    int rc = ft_walk_names(dir, &names, &n, err);
    if (!rc)
        rc = read_folder(&w, dir, keep_loose, names, n, err);
    if (!rc)
        rc = sort_rows(w.dataset, err);
    ft_walk_free_names(names, n);
    if (rc) {
        ft_dataset_free(w.dataset);
        return rc;
    }
    *out = w.dataset;
    return 0;
}

void ft_dataset_free(struct ft_dataset *d)
{
    if (!d)
        return;
    ft_walk_free_names(d->classes, (size_t)d->n_classes);
    ft_walk_free_names(d->empty, (size_t)d->n_empty);
    ft_walk_free_names(d->paths, d->n);
    free(d->labels);
    free(d->understood);
    free(d->marks);
    free(d);
}
