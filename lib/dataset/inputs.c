/* A stream of paths. Directories are entered one at a time, so only the names in the directories
 * that contain the current path are in memory. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/memory.h"
#include "dataset/lines.h"
#include "dataset/walk.h"
#include "dataset/watch.h"

struct level {
    char *path;
    char **names; /* [n]; the first i were visited */
    size_t n, i;
    dev_t device;
    ino_t inode;
};

struct ft_inputs {
    char *const *arguments;
    size_t n, given;
    struct ft_inputs_options options;
    struct ft_lines lines;
    struct ft_watch *watch;
    struct level levels[FT_WALK_DEPTH];
    int depth;
    struct stat except;
    const char *named; /* the directory that was named last, until its end; NULL: none */
    size_t n_named;    /* pictures that were returned from it */
    char *path;        /* the path that was returned last, if it is below a directory */
    struct ft_error error;
};

int ft_inputs_open(char *const *arguments, size_t n, const struct ft_inputs_options *options,
                   struct ft_inputs **out, struct ft_error *err)
{
    struct ft_inputs *x = calloc(1, sizeof *x);
    if (!x)
        return ft_error_nomem(err, "inputs");
    x->arguments = arguments;
    x->n = n;
    x->options = *options;
    if (options->except)
        (void)!stat(options->except, &x->except);
    int rc = 0;
    if (options->watch)
        rc = ft_watch_open(options->watch, options->except, &x->watch, err);
    if (!rc && options->list)
        rc = ft_lines_open(options->list, options->nul ? 0 : '\n', options->stop, options->user,
                           &x->lines, err);
    if (rc) {
        ft_inputs_free(x);
        return rc;
    }
    *out = x;
    return 0;
}

static void leave(struct ft_inputs *x)
{
    struct level *l = &x->levels[--x->depth];
    ft_walk_free_names(l->names, l->n);
    free(l->path);
}

void ft_inputs_free(struct ft_inputs *x)
{
    if (!x)
        return;
    while (x->depth)
        leave(x);
    if (x->options.list)
        ft_lines_release(&x->lines);
    ft_watch_free(x->watch);
    free(x->path);
    free(x);
}

/* Enters a directory, unless it contains itself or must not be entered. Returns false if it cannot
 * be read. If memory runs out, x->error says so. */
static bool enter(struct ft_inputs *x, const char *path, const struct stat *st)
{
    struct level l = { .device = st->st_dev, .inode = st->st_ino };
    if (x->except.st_ino && x->except.st_ino == st->st_ino && x->except.st_dev == st->st_dev)
        return true;
    for (int i = 0; i < x->depth; i++)
        if (x->levels[i].device == l.device && x->levels[i].inode == l.inode)
            return true;
    if (x->depth == FT_WALK_DEPTH)
        return true;
    struct ft_error err = { 0 };
    l.path = ft_strdup(path);
    const int rc = l.path ? ft_walk_names(path, &l.names, &l.n, &err) : ft_error_nomem(&err, path);
    if (rc) {
        free(l.path);
        if (rc == FT_ENOMEM) /* not a property of the directory */
            x->error = err;
        return rc == FT_ENOMEM;
    }
    x->levels[x->depth++] = l;
    return true;
}

/* The next picture in the entered directories, or NULL. */
static const char *from_levels(struct ft_inputs *x)
{
    while (x->depth && !x->error.code) {
        struct level *l = &x->levels[x->depth - 1];
        struct stat st;
        if (l->i == l->n) {
            leave(x);
            continue;
        }
        const char *name = l->names[l->i++];
        free(x->path);
        x->path = ft_walk_join(l->path, name);
        if (!x->path) {
            ft_error_nomem(&x->error, "inputs");
            return NULL;
        }
        const bool missing = stat(x->path, &st) < 0;
        if (missing && errno != ENOENT && errno != ELOOP)
            return x->path; /* it cannot be opened: the extraction reports the reason */
        if (!missing && S_ISDIR(st.st_mode)
                ? !enter(x, x->path, &st)
                : ft_walk_candidate(x->path, name, missing ? NULL : &st))
            return x->path;
    }
    return NULL;
}

/* The next argument or line of the list, or NULL at the end. */
static const char *named(struct ft_inputs *x)
{
    char *line = NULL;
    if (x->given < x->n)
        return x->arguments[x->given++];
    if (!x->options.list)
        return NULL;
    while (ft_lines_next(&x->lines, &line, &x->error) == 1)
        if (*line)
            return line;
    return NULL;
}

/* Reports the named directory whose end was reached, if there was no picture in it. */
static void end_directory(struct ft_inputs *x)
{
    if (x->named && !x->n_named && x->options.empty)
        x->options.empty(x->options.user, x->named);
    x->named = NULL;
}

const char *ft_inputs_next(struct ft_inputs *x)
{
    while (!x->error.code && !(x->options.stop && x->options.stop(x->options.user))) {
        struct stat st;
        const char *path = from_levels(x);
        x->n_named += path != NULL;
        if (path || x->error.code)
            return path;
        end_directory(x);
        path = named(x);
        if (!path)
            return x->watch && !x->error.code
                       ? ft_watch_next(x->watch, x->options.stop, x->options.user)
                       : NULL;
        if (stat(path, &st) || !S_ISDIR(st.st_mode) || !enter(x, path, &st))
            return path; /* if it cannot be opened, extraction reports it */
        x->named = path;
        x->n_named = 0;
    }
    return NULL;
}

int ft_inputs_status(const struct ft_inputs *x, struct ft_error *err)
{
    if (x->error.code && err)
        *err = x->error;
    return x->error.code;
}
