/* The folder of a cache: where it is, what it contains, and how it is emptied. Only files with
 * names that the cache gives are removed. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backbone/backbone.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "features/cache.h"
#include "features/segment.h"

/* A relative path in XDG_CACHE_HOME is ignored, as the XDG specification requires. */
int ft_cache_default_folder(char **out, struct ft_error *err)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n = 0;
    if (xdg && xdg[0] == '/')
        n = asprintf(out, "%s/finetune", xdg);
    else if (home && home[0])
        n = asprintf(out, "%s/.cache/finetune", home);
    else
        return ft_error_set(err, FT_EARG,
                            "neither XDG_CACHE_HOME nor HOME is set: name a folder with --cache");
    return n < 0 ? ft_error_nomem(err, "the cache") : 0;
}

int ft_cache_make_folder(const char *path, struct ft_error *err)
{
    char *copy = ft_strdup(path);
    if (!copy)
        return ft_error_nomem(err, path);
    int rc = 0;
    for (char *slash = copy + 1; !rc && *copy; slash++) {
        if (*slash != '/' && *slash)
            continue;
        const char end = *slash;
        *slash = 0;
        if (mkdir(copy, 0700) && errno != EEXIST && (!end || (errno != EROFS && errno != EACCES)))
            rc = ft_error_errno(err, "cannot create folder '%s'", path);
        *slash = end;
        if (!end)
            break;
    }
    free(copy);
    struct stat st;
    if (rc)
        return rc;
    if (stat(path, &st))
        return ft_error_errno(err, "cannot create folder '%s'", path);
    return S_ISDIR(st.st_mode) ? 0 : ft_error_set(err, FT_EARG, "'%s' is not a folder", path);
}

static bool ends_in(const char *name, const char *ending)
{
    const size_t n = strlen(name), m = strlen(ending);
    return n >= m && !strcmp(name + n - m, ending);
}

static double age_of(int folder, const char *name)
{
    struct stat st;
    return fstatat(folder, name, &st, 0) ? 0 : difftime(time(NULL), st.st_mtime);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void ft_cache_free_list(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

/* Names in a folder that end in `ending`, sorted. */
static int list(int folder, const char *ending, char ***out, size_t *count, struct ft_error *err)
{
    char **names = NULL;
    size_t n = 0, capacity = 0;
    const int fd = ft_open_at(folder, ".", O_RDONLY | O_DIRECTORY, 0);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return ft_error_errno(err, "cannot read the cache");
    }
    int rc = 0;
    for (struct dirent *e; !rc && (e = readdir(dir));) {
        if (e->d_name[0] == '.' || !ends_in(e->d_name, ending))
            continue;
        if (!ft_grow((void **)&names, &capacity, n, sizeof *names) ||
            !(names[n] = ft_strdup(e->d_name)))
            rc = ft_error_nomem(err, "the cache");
        else
            n++;
    }
    closedir(dir);
    if (rc) {
        ft_cache_free_list(names, n);
        return rc;
    }
    if (n)
        qsort(names, n, sizeof *names, by_bytes);
    *out = names;
    *count = n;
    return 0;
}

int ft_cache_list(int folder, double age, char ***out, size_t *count, struct ft_error *err)
{
    const int rc = list(folder, FT_SEGMENT_ENDING, out, count, err);
    if (rc)
        return rc;
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        char *name = (*out)[i];
        if (strncmp(name, FT_SEGMENT_TEMPORARY, strlen(FT_SEGMENT_TEMPORARY))) {
            (*out)[kept++] = name;
            continue;
        }
        if (age_of(folder, name) >= age)
            unlinkat(folder, name, 0);
        free(name);
    }
    *count = kept;
    return 0;
}

/* What is done with each segment. */
struct visit {
    struct ft_cache_info *info;
    /* segments that were not used for so many seconds are removed; negative: none */
    double older;
    double unfinished;
    bool damaged,
        merge; /* damaged: damaged segments are removed; merge: small segments are merged */
};

/* The segments of one key. */
struct folder {
    int fd;
    uint64_t key[2];
    uint32_t d;
    char **names;
    size_t n_names, *counts; /* [n_names] rows; 0: removed or damaged */
    struct ft_cache_row *rows;
    size_t n, capacity;
    uint64_t segments, bytes; /* of the segments that are not removed */
};

static uint64_t size_of(int folder, const char *name)
{
    struct stat st;
    return fstatat(folder, name, &st, 0) ? 0 : (uint64_t)st.st_size;
}

static int keep_rows(struct folder *f, const struct ft_segment_row *rows, size_t n, size_t segment,
                     bool removed, struct ft_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (!ft_grow((void **)&f->rows, &f->capacity, f->n, sizeof *f->rows))
            return ft_error_nomem(err, "the cache");
        f->rows[f->n++] = (struct ft_cache_row){ { rows[i].content[0], rows[i].content[1] },
                                                 rows[i].pixels,
                                                 rows[i].check,
                                                 (uint32_t)segment,
                                                 (uint32_t)i,
                                                 removed };
    }
    return 0;
}

static int visit_segment(struct visit *v, struct folder *f, size_t i, struct ft_error *err)
{
    struct ft_segment_row *rows = NULL;
    size_t n = 0;
    const char *name = f->names[i];
    const uint64_t size = size_of(f->fd, name);
    int rc = ft_segment_read(f->fd, name, f->key, &f->d, &rows, &n, NULL);
    const bool damaged = rc == FT_EFORMAT,
               wanted =
                   (v->older >= 0 && age_of(f->fd, name) >= v->older) || (damaged && v->damaged);
    const bool removed = wanted && !unlinkat(f->fd, name, 0);
    rc = keep_rows(f, rows, n, i, removed, err);
    free(rows);
    if (removed) {
        v->info->removed_bytes += size;
        return rc;
    }
    f->counts[i] = n;
    f->bytes += size;
    f->segments += 1;
    v->info->damaged += damaged;
    return rc;
}

/* Merges segments, and counts the segments of the folder again. */
static int merge_key(struct visit *v, struct folder *f, struct ft_error *err)
{
    uint64_t merged = 0, after = 0;
    int rc = ft_cache_merge(f->fd, f->key, f->d, f->names, f->counts, f->n_names, f->rows, f->n,
                            &merged, err);
    if (rc || !merged)
        return rc;
    char **names;
    size_t n;
    rc = ft_cache_list(f->fd, v->unfinished, &names, &n, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < n; i++)
        after += size_of(f->fd, names[i]);
    ft_cache_free_list(names, n);
    v->info->merged += merged;
    v->info->removed_bytes += f->bytes > after ? f->bytes - after : 0;
    f->segments = n;
    f->bytes = after;
    return 0;
}

static int visit_folder(struct visit *v, struct folder *f, struct ft_error *err)
{
    int rc = ft_cache_list(f->fd, v->unfinished, &f->names, &f->n_names, err);
    if (rc)
        return rc;
    f->counts = ft_alloc_zero(f->n_names + 1, sizeof *f->counts);
    if (!f->counts)
        rc = ft_error_nomem(err, "the cache");
    for (size_t i = 0; !rc && i < f->n_names; i++)
        rc = visit_segment(v, f, i, err);
    if (rc)
        return rc;
    ft_cache_sort_rows(f->rows, f->n);
    const size_t all = ft_cache_distinct(f->rows, f->n, false),
                 left = ft_cache_distinct(f->rows, f->n, true);
    v->info->entries += left;
    v->info->removed_entries += all - left;
    rc = v->merge && left ? merge_key(v, f, err) : 0;
    v->info->segments += f->segments;
    v->info->bytes += f->bytes;
    return rc;
}

static int visit_key(struct visit *v, int above, const char *name, struct ft_error *err)
{
    unsigned long long high, low;
    struct folder f = { .fd = ft_open_at(above, name, O_RDONLY | O_DIRECTORY, 0) };
    if (f.fd < 0)
        return 0;
    int rc = 0;
    if (strlen(name) == 32 && sscanf(name, "%16llx%16llx", &high, &low) ==
                                  2) { /* other names do not belong to the cache */
        f.key[0] = high;
        f.key[1] = low;
        rc = visit_folder(v, &f, err);
        unlinkat(above, name, AT_REMOVEDIR); /* removes the folder if it is empty */
    }
    ft_cache_free_list(f.names, f.n_names);
    free(f.counts);
    free(f.rows);
    close(f.fd);
    return rc;
}

/* Whether the cache gives such a name to ranges, or to those that are being written. */
static bool names_ranges(const char *name, bool *temporary)
{
    enum { DIGITS = 32 };
    const size_t ending = strlen(FT_RANGES_ENDING);
    if (strspn(name, "0123456789abcdef") != DIGITS ||
        strncmp(name + DIGITS, FT_RANGES_ENDING, ending))
        return false;
    *temporary = !strncmp(name + DIGITS + ending, ".tmp-", 5);
    return *temporary || !name[DIGITS + ending];
}

/* Ranges of int8 (backbone/ranges.c) are removed like segments; their bytes are counted. So are
 * temporary files of killed processes. */
static int visit_ranges(struct visit *v, const char *dir, struct ft_error *err)
{
    char *folder = NULL, **names = NULL;
    size_t n = 0;
    if (asprintf(&folder, "%s/" FT_RANGES_SUBFOLDER, dir) < 0)
        return ft_error_nomem(err, "the cache");
    const int fd = ft_open(folder, O_RDONLY | O_DIRECTORY, 0);
    int rc = fd < 0 && errno != ENOENT ? ft_error_errno(err, "cannot open '%s'", folder) : 0;
    if (fd >= 0) {
        rc = list(fd, "", &names, &n, err);
        for (size_t i = 0; !rc && i < n; i++) {
            bool temporary;
            if (!names_ranges(names[i], &temporary))
                continue;
            const uint64_t size = size_of(fd, names[i]);
            const double least = temporary ? v->unfinished : v->older;
            const bool removed =
                v->older >= 0 && age_of(fd, names[i]) >= least && !unlinkat(fd, names[i], 0);
            *(removed ? &v->info->removed_bytes : &v->info->bytes) += size;
        }
        ft_cache_free_list(names, n);
        close(fd);
    }
    free(folder);
    return rc;
}

static int visit_all(const char *dir, struct visit *v, struct ft_error *err)
{
    struct ft_cache_info *info = v->info;
    char *path = NULL, *folder = NULL, **keys = NULL;
    size_t n = 0;
    *info = (struct ft_cache_info){ 0 };
    int rc = dir ? (path = ft_strdup(dir)) ? 0 : ft_error_nomem(err, "the cache")
                 : ft_cache_default_folder(&path, err);
    if (rc)
        return rc;
    snprintf(info->path, sizeof info->path, "%s", path);
    if (asprintf(&folder, "%s/" FT_CACHE_SUBFOLDER, path) < 0) {
        free(path);
        return ft_error_nomem(err, "the cache");
    }
    const int fd = ft_open(folder, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        /* no cache yet: it is empty */
        rc = errno == ENOENT ? 0 : ft_error_errno(err, "cannot open '%s'", path);
    else {
        rc = list(fd, "", &keys, &n, err);
        for (size_t i = 0; !rc && i < n; i++)
            rc = visit_key(v, fd, keys[i], err);
        ft_cache_free_list(keys, n);
        close(fd);
    }
    if (!rc)
        rc = visit_ranges(v, path, err);
    free(path);
    free(folder);
    return rc;
}

int ft_cache_inspect(const char *dir, struct ft_cache_info *out, struct ft_error *err)
{
    return visit_all(dir, &(struct visit){ .info = out, .older = -1, .unfinished = 1e18 }, err);
}

int ft_cache_clear(const char *dir, struct ft_cache_info *out, struct ft_error *err)
{
    return visit_all(dir, &(struct visit){ .info = out, .older = 0, .unfinished = 0 }, err);
}

int ft_cache_prune(const char *dir, double days, struct ft_cache_info *out, struct ft_error *err)
{
    return visit_all(
        dir,
        &(struct visit){
            .info = out, .older = 86400 * days, .unfinished = 600, .damaged = true, .merge = true },
        err);
}
