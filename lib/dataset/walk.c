#define _GNU_SOURCE
#include "dataset/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "image/formats.h"

bool ft_walk_candidate(const char *path, const char *name, const struct stat *st)
{
    uint8_t head[64];
    if (!st || !S_ISREG(st->st_mode))
        return ft_format_names(name);
    const int fd = ft_open(path, O_RDONLY | O_NONBLOCK, 0);
    const ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof head);
    if (fd >= 0)
        close(fd);
    return (n > 0 && ft_format_of(head, (size_t)n)) || ft_format_names(name);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int ft_walk_names(const char *path, char ***out, size_t *count, struct ft_error *err)
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
        if (e->d_name[0] == '.' || !strcmp(e->d_name, "__MACOSX"))
            continue;
        if (!ft_grow((void **)&names, &capacity, n, sizeof *names) ||
            !(names[n] = ft_strdup(e->d_name)))
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

void ft_walk_free_names(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

char *ft_walk_join(const char *dir, const char *name)
{
    char *path;
    const size_t n = strlen(dir);
    return asprintf(&path, "%s%s%s", dir, n && dir[n - 1] == '/' ? "" : "/", name) < 0 ? NULL
                                                                                       : path;
}
