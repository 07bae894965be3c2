#define _GNU_SOURCE
#include "base/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/thread.h"

#define BLOCK ((size_t)2 << 20) /* bytes that one thread reads at a time */
/* Smaller files are read by one thread, because a reader runs at the same time. */
#define TEAM_FROM  ((size_t)64 << 20)
#define TEAM_LIMIT 4
#define HUGE_PAGE  ((size_t)2 << 20)

struct ft_snapshot {
    int fd;
    struct stat before;
    void *map; /* [mapped] */
    size_t mapped;
    uint8_t *bytes; /* [size], at a multiple of HUGE_PAGE in `map` */
    size_t size;
    bool loaded;
    pthread_mutex_t lock;
    atomic_int failed; /* errno of a read, -1: the file is shorter than it was */
};

int ft_snapshot_open(const char *path, struct ft_snapshot **out, struct ft_error *err)
{
    struct ft_snapshot *s = calloc(1, sizeof *s);
    if (!s)
        return ft_error_nomem(err, "the file");
    int rc = 0;
    pthread_mutex_init(&s->lock, NULL);
    s->fd = ft_open(path, O_RDONLY | O_NONBLOCK, 0); /* nonblocking: a FIFO must not block */
    if (s->fd < 0)
        rc = ft_error_errno(err, "cannot be opened");
    else if (fstat(s->fd, &s->before))
        rc = ft_error_errno(err, "cannot be read");
    else if (!S_ISREG(s->before.st_mode))
        rc = ft_error_set(err, FT_EFORMAT, "not a regular file");
    else if (s->before.st_size < 1)
        rc = ft_error_set(err, FT_EFORMAT, "an empty file");
    else {
        s->size = (size_t)s->before.st_size;
        s->mapped = s->size + HUGE_PAGE;
        void *map = mmap(NULL, s->mapped, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (map == MAP_FAILED)
            rc = ft_error_nomem(err, "the file");
        else {
            s->map = map;
            s->bytes = (uint8_t *)ft_round_up((size_t)map, HUGE_PAGE);
        }
#ifdef MADV_HUGEPAGE
        if (!rc)
            madvise(s->bytes, s->size, MADV_HUGEPAGE);
#endif
    }
    if (rc) {
        ft_snapshot_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

void ft_snapshot_free(struct ft_snapshot *s)
{
    if (!s)
        return;
    if (s->map)
        munmap(s->map, s->mapped);
    if (s->fd >= 0)
        close(s->fd);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static void read_block(void *context, size_t i, int member)
{
    struct ft_snapshot *s = context;
    (void)member;
    size_t at = i * BLOCK;
    const size_t end = s->size - at < BLOCK ? s->size : at + BLOCK;
    while (at < end && !atomic_load(&s->failed)) {
        const ssize_t n = pread(s->fd, s->bytes + at, end - at, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            atomic_store(&s->failed, n ? errno : -1);
        else
            at += (size_t)n;
    }
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int changed(struct ft_error *err)
{
    return ft_error_set(err, FT_EIO, "the file was changed while it was in use");
}

static void read_blocks(struct ft_snapshot *s)
{
#ifdef MADV_POPULATE_WRITE
    /* What is behind the last huge page would otherwise cost a page fault for each small page. */
    const size_t huge = s->size / HUGE_PAGE * HUGE_PAGE;
    if (s->size > huge)
        madvise(s->bytes + huge, s->size - huge, MADV_POPULATE_WRITE);
#endif
    const size_t n = (s->size + BLOCK - 1) / BLOCK;
    const int cpus = s->size < TEAM_FROM ? 1 : ft_cpu_count();
    struct ft_team *team = cpus > 1 ? ft_team_new(cpus < TEAM_LIMIT ? cpus : TEAM_LIMIT) : NULL;
    if (team)
        ft_team_each(team, n, read_block, s);
    for (size_t i = 0; !team && i < n; i++)
        read_block(s, i, 0);
    ft_team_free(team);
}

static int load(struct ft_snapshot *s, struct ft_error *err)
{
    struct stat after;
    atomic_store(&s->failed, 0);
    read_blocks(s);
    const int why = atomic_load(&s->failed);
    if (why > 0) {
        errno = why;
        return ft_error_errno(err, "cannot be read");
    }
    if (why || fstat(s->fd, &after) || !same_file(&s->before, &after))
        return changed(err);
    s->loaded = true;
    return 0;
}

int ft_snapshot_load(struct ft_snapshot *s, struct ft_error *err)
{
    pthread_mutex_lock(&s->lock);
    const int rc = s->loaded ? 0 : load(s, err);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int ft_snapshot_check(const struct ft_snapshot *s, const char *path, struct ft_error *err)
{
    struct stat now;
    return stat(path, &now) || !same_file(&s->before, &now) ? changed(err) : 0;
}

void ft_snapshot_unload(struct ft_snapshot *s)
{
    pthread_mutex_lock(&s->lock);
    madvise(s->bytes, s->size, MADV_DONTNEED);
    s->loaded = false;
    pthread_mutex_unlock(&s->lock);
}

const uint8_t *ft_snapshot_bytes(const struct ft_snapshot *s, size_t *size)
{
    *size = s->size;
    return s->bytes;
}
