/* A folder becomes (path, class) rows. Links are followed, a directory that contains itself is entered once. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "finetune.h"
#include "image/image.h"

#define MAX_DEPTH 64

struct walk {
    struct ft_dataset *dataset;
    size_t rows_capacity;
    struct {
        dev_t device;
        ino_t inode;
    } above[MAX_DEPTH]; /* the directories that we are inside of */
};

static bool named_like_a_picture(const char *name)
{
    static const char *const endings[] = { "jpg", "jpeg", "jpe", "jfif", "png", "gif", "bmp", "webp", "tif", "tiff", "heic", "heif", "avif" };
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (!strcasecmp(dot + 1, endings[i]))
            return true;
    return false;
}

static bool is_candidate(const char *path, const char *name)
{
    uint8_t head[64];
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof head);
    if (fd >= 0)
        close(fd);
    if (n > 0 && ft_image_sniff(head, (size_t)n, NULL) != FT_IMAGE_UNKNOWN)
        return true;
    return named_like_a_picture(name);
}

static int add_row(struct walk *w, const char *path, struct ft_error *err)
{
    struct ft_dataset *d = w->dataset;
    if (!ft_grow((void **)&d->paths, &w->rows_capacity, d->n, sizeof *d->paths) || !(d->paths[d->n] = ft_strdup(path)))
        return ft_error_nomem(err, "the list of pictures");
    d->n++;
    return 0;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a directory, sorted, without hidden ones. */
static int list_names(const char *path, char ***out, size_t *count, struct ft_error *err)
{
    char **names = NULL;
    size_t n = 0, capacity = 0;
    int rc = 0;
    *out = NULL;
    *count = 0;
    DIR *dir = opendir(path);
    if (!dir)
        return ft_error_errno(err, "cannot open directory '%s'", path);
    for (struct dirent *e; !rc && (errno = 0, e = readdir(dir));) {
        if (e->d_name[0] == '.')
            continue;
        if (!ft_grow((void **)&names, &capacity, n, sizeof *names) || !(names[n] = ft_strdup(e->d_name)))
            rc = ft_error_nomem(err, path);
        else
            n++;
    }
    if (!rc && errno)
        rc = ft_error_errno(err, "cannot read directory '%s'", path);
    closedir(dir);
    if (n)
        qsort(names, n, sizeof *names, by_bytes);
    *out = names;
    *count = n;
    return rc;
}

static void free_names(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

static char *join(const char *dir, const char *name)
{
    char *path;
    const size_t n = strlen(dir);
    return asprintf(&path, "%s%s%s", dir, n && dir[n - 1] == '/' ? "" : "/", name) < 0 ? NULL : path;
}

static bool inside_already(const struct walk *w, const struct stat *st, int depth)
{
    for (int i = 0; i < depth; i++)
        if (w->above[i].device == st->st_dev && w->above[i].inode == st->st_ino)
            return true;
    return false;
}

/* `path` and all below it; a file that vanished meanwhile is passed over. Files are only counted where `keep` is false. */
static int walk_path(struct walk *w, const char *path, const char *name, int depth, bool keep, struct ft_error *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return 0;
    if (S_ISREG(st.st_mode)) {
        if (!is_candidate(path, name)) {
            w->dataset->n_others++;
            return 0;
        }
        w->dataset->n_loose += !keep;
        return keep ? add_row(w, path, err) : 0;
    }
    if (!S_ISDIR(st.st_mode) || depth == MAX_DEPTH || inside_already(w, &st, depth))
        return 0;
    w->above[depth].device = st.st_dev;
    w->above[depth].inode = st.st_ino;
    char **names;
    size_t n;
    int rc = list_names(path, &names, &n, err);
    for (size_t i = 0; !rc && i < n; i++) {
        char *below = join(path, names[i]);
        rc = below ? walk_path(w, below, names[i], depth + 1, keep, err) : ft_error_nomem(err, path);
        free(below);
    }
    free_names(names, n);
    return rc;
}

/* Rows from `first` on are of one first-level directory: a class, unless there are none. */
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

static int read_folder(struct walk *w, const char *dir, bool keep_loose, char **names, size_t n, struct ft_error *err)
{
    struct ft_dataset *d = w->dataset;
    for (size_t i = 0; i < n; i++) {
        struct stat st;
        char *path = join(dir, names[i]);
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

int ft_dataset_open(const char *dir, bool keep_loose, struct ft_dataset **out, struct ft_error *err)
{
    struct stat st;
    if (stat(dir, &st) < 0)
        return ft_error_errno(err, "cannot open '%s'", dir);
    if (!S_ISDIR(st.st_mode))
        return ft_error_set(err, FT_EARG, "'%s' is not a directory: name a folder that has one directory of pictures for each class", dir);
    struct walk w = { .dataset = calloc(1, sizeof *w.dataset) };
    if (!w.dataset)
        return ft_error_nomem(err, dir);
    w.above[0].device = st.st_dev;
    w.above[0].inode = st.st_ino;
    char **names;
    size_t n;
    int rc = list_names(dir, &names, &n, err);
    if (!rc)
        rc = read_folder(&w, dir, keep_loose, names, n, err);
    free_names(names, n);
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
    free_names(d->classes, (size_t)d->n_classes);
    free_names(d->empty, (size_t)d->n_empty);
    free_names(d->paths, d->n);
    free(d->labels);
    free(d);
}
