/* inotify(7). The kernel's queue is emptied into ours whenever it is looked at, so that it does not overflow while pictures are slower
 * than they arrive. A directory that appears is watched at once; a file that stands in it by then may still be written (then an event
 * follows) or be complete already: it is given when nothing has happened to it for a while. */
#define _GNU_SOURCE
#include "dataset/watch.h"

#include "base/error.h"

#ifdef __linux__
#include <limits.h>
#include <poll.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "dataset/walk.h"

#define EVENTS (IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define POLL_MS 100
#define SETTLE_SECONDS 0.5

struct directory {
    int id; /* inotify's */
    char *path;
};

struct arrival {
    char *path;
    bool complete;
    off_t size;   /* until it is complete: the size that it had */
    double since; /* at this time */
};

struct ft_watch {
    int fd;
    struct directory *directories; /* [n] directories[0] is the one that was asked for */
    size_t n, capacity;
    struct arrival *queue; /* [n_queue] given up to `given` */
    size_t n_queue, queue_capacity, given;
    struct stat except;
    char *path; /* lent */
    bool gone;
    alignas(struct inotify_event) char buffer[64 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Takes `path` (malloc'd) into the queue; one that waits there already only becomes complete. */
static bool arrive(struct ft_watch *w, char *path, bool complete, off_t size)
{
    for (size_t i = w->given; i < w->n_queue; i++)
        if (!w->queue[i].complete && !strcmp(w->queue[i].path, path)) {
            w->queue[i].complete = complete;
            free(path);
            return true;
        }
    if (w->given > 1024 && w->given > w->n_queue / 2) { /* the front of the queue is used again */
        memmove(w->queue, w->queue + w->given, (w->n_queue - w->given) * sizeof *w->queue);
        w->n_queue -= w->given;
        w->given = 0;
    }
    if (!ft_grow((void **)&w->queue, &w->queue_capacity, w->n_queue, sizeof *w->queue)) {
        free(path);
        return false;
    }
    w->queue[w->n_queue++] = (struct arrival){ path, complete, size, now() };
    return true;
}

static bool excepted(const struct ft_watch *w, const struct stat *st)
{
    return w->except.st_ino && w->except.st_ino == st->st_ino && w->except.st_dev == st->st_dev;
}

/* Watches `path` and what is below; files in it wait to be given where `arrived`. */
static int add(struct ft_watch *w, const char *path, bool arrived, int depth, struct ft_error *err)
{
    const int id = inotify_add_watch(w->fd, path, EVENTS);
    if (id < 0)
        return ft_error_errno(err, "cannot watch '%s'", path);
    if (!ft_grow((void **)&w->directories, &w->capacity, w->n, sizeof *w->directories) || !(w->directories[w->n].path = ft_strdup(path)))
        return ft_error_nomem(err, path);
    w->directories[w->n++].id = id;
    char **names;
    size_t n;
    int rc = ft_walk_names(path, &names, &n, err);
    if (rc)
        return depth ? 0 : rc; /* it has gone again */
    for (size_t i = 0; !rc && i < n; i++) {
        struct stat st;
        char *below = ft_walk_join(path, names[i]);
        if (!below)
            rc = ft_error_nomem(err, path);
        else if (stat(below, &st))
            rc = 0;
        else if (S_ISDIR(st.st_mode) && depth < FT_WALK_DEPTH && !excepted(w, &st))
            rc = add(w, below, arrived, depth + 1, err);
        else if (S_ISREG(st.st_mode) && arrived) {
            rc = arrive(w, below, false, st.st_size) ? 0 : ft_error_nomem(err, path);
            below = NULL;
        }
        free(below);
    }
    ft_walk_free_names(names, n);
    return rc;
}

int ft_watch_open(const char *dir, const char *except, struct ft_watch **out, struct ft_error *err)
{
    struct ft_watch *w = calloc(1, sizeof *w);
    if (!w)
        return ft_error_nomem(err, dir);
    w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (except)
        (void)!stat(except, &w->except);
    const int rc = w->fd < 0 ? ft_error_errno(err, "cannot watch '%s'", dir) : add(w, dir, false, 0, err);
    if (rc) {
        ft_watch_free(w);
        return rc;
    }
    *out = w;
    return 0;
}

void ft_watch_free(struct ft_watch *w)
{
    if (!w)
        return;
    if (w->fd >= 0)
        close(w->fd);
    for (size_t i = 0; i < w->n; i++)
        free(w->directories[i].path);
    for (size_t i = w->given; i < w->n_queue; i++)
        free(w->queue[i].path);
    free(w->queue);
    free(w->directories);
    free(w->path);
    free(w);
}

static void forget(struct ft_watch *w, int id)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->directories[i].id == id) {
            w->gone |= i == 0;
            free(w->directories[i].path);
            w->directories[i] = w->directories[--w->n];
            return;
        }
}

static const char *path_of(const struct ft_watch *w, int id)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->directories[i].id == id)
            return w->directories[i].path;
    return NULL;
}

static void take(struct ft_watch *w, const struct inotify_event *e)
{
    struct stat st;
    const char *dir = path_of(w, e->wd);
    if (e->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED))
        forget(w, e->wd);
    else if (dir && e->len && e->name[0] != '.') {
        char *path = ft_walk_join(dir, e->name);
        if (path && (e->mask & IN_ISDIR) && !stat(path, &st) && !excepted(w, &st))
            (void)add(w, path, true, 1, NULL);
        if (path && !(e->mask & (IN_ISDIR | IN_CREATE)))
            (void)arrive(w, path, true, 0);
        else
            free(path);
    }
}

static void drain(struct ft_watch *w)
{
    ssize_t n;
    while ((n = read(w->fd, w->buffer, sizeof w->buffer)) > 0)
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *e = (const struct inotify_event *)(const void *)(w->buffer + at);
            take(w, e);
            at += (ssize_t)(sizeof *e + e->len);
        }
}

/* Nothing has happened to it for a while. */
static bool settled(struct arrival *a)
{
    struct stat st;
    const double t = now();
    if (a->complete || t - a->since < SETTLE_SECONDS)
        return a->complete;
    if (stat(a->path, &st) || st.st_size == a->size)
        return true;
    a->size = st.st_size;
    a->since = t;
    return false;
}

/* The first of the queue that is complete and a picture goes to w->path. */
static bool give(struct ft_watch *w)
{
    for (size_t i = w->given; i < w->n_queue; i++) {
        if (!settled(&w->queue[i]))
            continue;
        free(w->path);
        w->path = w->queue[i].path;
        memmove(w->queue + w->given + 1, w->queue + w->given, (i - w->given) * sizeof *w->queue);
        w->given++;
        const char *slash = strrchr(w->path, '/');
        if (!access(w->path, F_OK) && ft_walk_candidate(w->path, slash ? slash + 1 : w->path))
            return true;
    }
    return false;
}

const char *ft_watch_next(struct ft_watch *w, bool (*stop)(void))
{
    struct pollfd p = { .fd = w->fd, .events = POLLIN };
    while (!(stop && stop())) {
        drain(w);
        if (give(w))
            return w->path;
        if (w->gone)
            break;
        poll(&p, 1, POLL_MS);
    }
    return NULL;
}

#else

int ft_watch_open(const char *dir, const char *except, struct ft_watch **out, struct ft_error *err)
{
    (void)except;
    (void)out;
    return ft_error_set(err, FT_EUNSUPPORTED, "cannot watch '%s': that needs Linux (inotify); run predict again and again instead", dir);
}

void ft_watch_free(struct ft_watch *watch)
{
    (void)watch;
}

const char *ft_watch_next(struct ft_watch *watch, bool (*stop)(void))
{
    (void)watch;
    (void)stop;
    return NULL;
}
#endif
