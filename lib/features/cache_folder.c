/* The cache as a folder: where it is, what it holds, and how it is emptied. Only names that the cache itself gives are ever removed. */
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

#include "base/error.h"
#include "base/memory.h"
#include "features/cache.h"
#include "features/segment.h"

/* Relative paths in XDG_CACHE_HOME are to be ignored, as its specification says. */
int ft_cache_default_folder(char **out, struct ft_error *err)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n = 0;
    if (xdg && xdg[0] == '/')
        n = asprintf(out, "%s/finetune", xdg);
    else if (home && home[0])
        n = asprintf(out, "%s/.cache/finetune", home);
    else
        return ft_error_set(err, FT_EARG, "neither XDG_CACHE_HOME nor HOME is set: name a folder with --cache");
    return n < 0 ? ft_error_nomem(err, "the cache") : 0;
}

int ft_cache_make_folder(const char *path, struct ft_error *err)
{
    char *copy = ft_strdup(path);
    if (!copy)
        return ft_error_nomem(err, path);
    int failed = 0;
    for (char *slash = copy + 1; !failed && *copy; slash++) {
        if (*slash != '/' && *slash)
            continue;
        const char end = *slash;
        *slash = 0;
        failed = mkdir(copy, 0700) && errno != EEXIST && (!end || (errno != EROFS && errno != EACCES));
        *slash = end;
        if (!end)
            break;
    }
    free(copy);
    struct stat st;
    if (failed)
        return ft_error_errno(err, "cannot create folder '%s'", path);
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
    const int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
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
        if (!ft_grow((void **)&names, &capacity, n, sizeof *names) || !(names[n] = ft_strdup(e->d_name)))
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

/* What one walk over all segments does with each. */
struct visit {
    struct ft_cache_info *info;
    double older;   /* segments that were of no use for so many seconds are removed; negative: none */
    double unfinished;
    bool damaged; /* damaged ones are removed */
};

static void visit_segment(struct visit *v, int folder, const char *name)
{
    struct ft_segment_row *rows = NULL;
    struct stat st = { 0 };
    size_t n = 0;
    uint32_t d = 0;
    fstatat(folder, name, &st, 0);
    const int rc = ft_segment_read(folder, name, NULL, &d, &rows, &n, NULL);
    free(rows);
    const bool remove = v->older >= 0 && age_of(folder, name) >= v->older;
    if ((remove || (rc == FT_EFORMAT && v->damaged)) && !unlinkat(folder, name, 0)) {
        v->info->removed_entries += n;
        v->info->removed_bytes += (uint64_t)st.st_size;
        return;
    }
    v->info->entries += n;
    v->info->bytes += (uint64_t)st.st_size;
    v->info->segments += 1;
    v->info->damaged += rc == FT_EFORMAT;
}

static int visit_key(struct visit *v, int above, const char *key, struct ft_error *err)
{
    char **names;
    size_t n;
    const int folder = openat(above, key, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return 0;
    const int rc = ft_cache_list(folder, v->unfinished, &names, &n, err);
    for (size_t i = 0; !rc && i < n; i++)
        visit_segment(v, folder, names[i]);
    if (!rc)
        ft_cache_free_list(names, n);
    close(folder);
    unlinkat(above, key, AT_REMOVEDIR); /* goes when it is empty */
    return rc;
}

static int visit_all(const char *dir, struct visit *v, struct ft_error *err)
{
    struct ft_cache_info *info = v->info;
    char *path = NULL, *folder = NULL, **keys;
    size_t n;
    *info = (struct ft_cache_info){ 0 };
    int rc = dir ? (path = ft_strdup(dir)) ? 0 : ft_error_nomem(err, "the cache") : ft_cache_default_folder(&path, err);
    if (rc)
        return rc;
    snprintf(info->path, sizeof info->path, "%s", path);
    const int fd = asprintf(&folder, "%s/" FT_CACHE_SUBFOLDER, path) < 0 ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        rc = errno == ENOENT ? 0 : ft_error_errno(err, "cannot open '%s'", path); /* no cache yet: it is empty */
    else {
        rc = list(fd, "", &keys, &n, err);
        for (size_t i = 0; !rc && i < n; i++)
            rc = visit_key(v, fd, keys[i], err);
        if (!rc)
            ft_cache_free_list(keys, n);
        close(fd);
    }
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
    return visit_all(dir, &(struct visit){ .info = out, .older = 86400 * days, .unfinished = 600, .damaged = true }, err);
}
