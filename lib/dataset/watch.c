/* Uses inotify(7). Each call moves all events from the kernel's queue to our own queue, so that the
 * kernel's queue does not overflow while pictures arrive faster than they are processed. A new
 * directory is watched at once. A file that is already in it may be incomplete (then an event
 * follows) or complete; it is returned when its size has not changed for SETTLE_SECONDS. If the
 * kernel's queue overflows all the same, the directories are searched for files that changed since
 * the queue was last complete. */
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

#include "base/file.h"
#include "base/memory.h"
#include "dataset/walk.h"

#define EVENTS                                                                                     \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define POLL_MS        100
#define SETTLE_SECONDS 0.5
#define SLACK_SECONDS  1 /* file times may lag behind the clock by this much */

struct directory {
    int id; /* inotify's */
    char *path;
};

struct arrival {
    char *path;
    bool complete;
    off_t size;   /* of an incomplete file when it was last checked */
    double since; /* when that was, or when the file arrived */
};

/* A file that arrived recently. Searching the directories must not report it again. */
struct recent {
    uint64_t path[2];     /* hash */
    struct timespec time; /* the file's status change when it arrived */
    double since;
};

enum scan { WATCH_ONLY, EVERYTHING, CHANGED };

struct ft_watch {
    int fd;
    struct directory *directories; /* [n]; directories[0] is the one given to ft_watch_open */
    size_t n, capacity;
    struct arrival *queue; /* [n_queue]; the first `given` were returned */
    size_t n_queue, queue_capacity, given;
    struct recent *recent; /* [n_recent] */
    size_t n_recent, recent_capacity;
    struct timespec whole; /* every event up to this time was seen */
    struct stat except;
    char *path; /* the path that was returned last */
    bool gone, overflown;
    alignas(struct inotify_event) char buffer[64 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
};

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static void remember(struct ft_watch *w, const char *path)
{
    struct stat st;
    if (stat(path, &st) ||
        !ft_grow((void **)&w->recent, &w->recent_capacity, w->n_recent, sizeof *w->recent))
        return;
    struct recent *r = &w->recent[w->n_recent++];
    *r = (struct recent){ .time = st.st_ctim, .since = ft_clock() };
    ft_hash(path, strlen(path), r->path);
}

/* Forgets files that arrived before `limit`. */
static void forget_recent(struct ft_watch *w, double limit)
{
    size_t kept = 0;
    for (size_t i = 0; i < w->n_recent; i++)
        if (w->recent[i].since >= limit)
            w->recent[kept++] = w->recent[i];
    w->n_recent = kept;
}

/* Whether a file may have changed after the queue was last complete. */
static bool is_recent(const struct ft_watch *w, const struct stat *st)
{
    return st->st_ctim.tv_sec >= w->whole.tv_sec - SLACK_SECONDS;
}

/* Whether it changed and did not arrive in its present state. */
static bool missed(const struct ft_watch *w, const char *path, const struct stat *st)
{
    uint64_t hash[2];
    if (!is_recent(w, st))
        return false;
    ft_hash(path, strlen(path), hash);
    for (size_t i = w->n_recent; i-- > 0;)
        if (!memcmp(w->recent[i].path, hash, sizeof hash))
            return !same_time(&w->recent[i].time, &st->st_ctim);
    return true;
}

/* Appends `path` to the queue and takes ownership of it. If the file is in the queue already, it
 * only becomes complete. */
static bool arrive(struct ft_watch *w, char *path, bool complete, off_t size)
{
    remember(w, path);
    for (size_t i = w->given; i < w->n_queue; i++)
        if (!w->queue[i].complete && !strcmp(w->queue[i].path, path)) {
            w->queue[i].complete = complete;
            free(path);
            return true;
        }
    if (w->given > 1024 && w->given > w->n_queue / 2) { /* reuse the front of the queue */
        memmove(w->queue, w->queue + w->given, (w->n_queue - w->given) * sizeof *w->queue);
        w->n_queue -= w->given;
        w->given = 0;
    }
    if (!ft_grow((void **)&w->queue, &w->queue_capacity, w->n_queue, sizeof *w->queue)) {
        free(path);
        return false;
    }
    w->queue[w->n_queue++] = (struct arrival){ path, complete, size, ft_clock() };
    return true;
}

static bool excepted(const struct ft_watch *w, const struct stat *st)
{
    return w->except.st_ino && w->except.st_ino == st->st_ino && w->except.st_dev == st->st_dev;
}

static const char *path_of(const struct ft_watch *w, int id)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->directories[i].id == id)
            return w->directories[i].path;
    return NULL;
}

/* Watches `path` and the directories below, unless they are watched already. `scan` says which
 * files in them go into the queue. In a directory that CHANGED finds for the first time, all files
 * do. */
static int add(struct ft_watch *w, const char *path, enum scan scan, int depth,
               struct ft_error *err)
{
    const int id = inotify_add_watch(w->fd, path, EVENTS);
    if (id < 0)
        return ft_error_errno(err, "cannot watch '%s'", path);
    if (!path_of(w, id)) {
        if (!ft_grow((void **)&w->directories, &w->capacity, w->n, sizeof *w->directories) ||
            !(w->directories[w->n].path = ft_strdup(path)))
            return ft_error_nomem(err, path);
        w->directories[w->n++].id = id;
        scan = scan == CHANGED ? EVERYTHING : scan;
    }
    char **names;
    size_t n;
    int rc = ft_walk_names(path, &names, &n, err);
    if (rc)
        return depth ? 0 : rc; /* a directory below may be gone again */
    for (size_t i = 0; !rc && i < n; i++) {
        struct stat st;
        char *below = ft_walk_join(path, names[i]);
        if (!below)
            rc = ft_error_nomem(err, path);
        else if (stat(below, &st))
            rc = 0;
        else if (S_ISDIR(st.st_mode) && depth < FT_WALK_DEPTH && !excepted(w, &st))
            rc = add(w, below, scan, depth + 1, err);
        else if (S_ISREG(st.st_mode) &&
                 (scan == EVERYTHING || (scan == CHANGED && missed(w, below, &st)))) {
            rc = arrive(w, below, false, st.st_size) ? 0 : ft_error_nomem(err, path);
            below = NULL;
        } else if (S_ISREG(st.st_mode) && scan == WATCH_ONLY && is_recent(w, &st))
            remember(w, below); /* an old file */
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
    clock_gettime(CLOCK_REALTIME, &w->whole);
    w->fd = ft_descriptor_raise(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (except)
        (void)!stat(except, &w->except);
    const int rc =
        w->fd < 0 ? ft_error_errno(err, "cannot watch '%s'", dir) : add(w, dir, WATCH_ONLY, 0, err);
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
    free(w->recent);
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

static void take(struct ft_watch *w, const struct inotify_event *e)
{
    struct stat st;
    const char *dir = path_of(w, e->wd);
    w->overflown |= (e->mask & IN_Q_OVERFLOW) != 0;
    if (e->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED))
        forget(w, e->wd);
    else if (dir && e->len && e->name[0] != '.') {
        char *path = ft_walk_join(dir, e->name);
        if (path && (e->mask & IN_ISDIR) && !stat(path, &st) && !excepted(w, &st))
            (void)add(w, path, EVERYTHING, 1, NULL);
        if (path && !(e->mask & (IN_ISDIR | IN_CREATE)))
            (void)arrive(w, path, true, 0);
        else
            free(path);
    }
}

/* Finds the files whose events were lost. */
static void search_directories(struct ft_watch *w)
{
    w->gone |= !w->n || access(w->directories[0].path, F_OK);
    /* a copy, because `directories` may be reallocated meanwhile */
    char *root = w->gone ? NULL : ft_strdup(w->directories[0].path);
    if (root)
        (void)add(w, root, CHANGED, 0, NULL);
    free(root);
    w->overflown = false;
}

static void drain(struct ft_watch *w)
{
    ssize_t n;
    const double start = ft_clock();
    struct timespec whole;
    clock_gettime(CLOCK_REALTIME, &whole);
    while ((n = read(w->fd, w->buffer, sizeof w->buffer)) > 0)
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *e =
                (const struct inotify_event *)(const void *)(w->buffer + at);
            take(w, e);
            at += (ssize_t)(sizeof *e + e->len);
        }
    if (w->overflown)
        search_directories(w);
    else
        /* files that arrived earlier cannot be reported again */
        forget_recent(w, start - 2 * SLACK_SECONDS - 0.1);
    w->whole = whole;
}

/* Whether a file is complete, or has not changed for a while. */
static bool settled(struct arrival *a)
{
    struct stat st;
    const double t = ft_clock();
    if (a->complete || t - a->since < SETTLE_SECONDS)
        return a->complete;
    if (stat(a->path, &st) || st.st_size == a->size)
        return true;
    a->size = st.st_size;
    a->since = t;
    return false;
}

/* Moves the first complete picture of the queue to w->path. */
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
        struct stat st;
        if (!stat(w->path, &st) && ft_walk_candidate(w->path, slash ? slash + 1 : w->path, &st))
            return true;
    }
    return false;
}

const char *ft_watch_next(struct ft_watch *w, bool (*stop)(void *), void *user)
{
    struct pollfd p = { .fd = w->fd, .events = POLLIN };
    while (!(stop && stop(user))) {
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
    return ft_error_set(
        err, FT_EUNSUPPORTED,
        "cannot watch '%s': this needs Linux (inotify); run predict repeatedly instead", dir);
}

void ft_watch_free(struct ft_watch *watch)
{
    (void)watch;
}

const char *ft_watch_next(struct ft_watch *watch, bool (*stop)(void *), void *user)
{
    (void)watch;
    (void)stop;
    (void)user;
    return NULL;
}
#endif
