#define _GNU_SOURCE
#include "base/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/thread.h"

#define BLOCK      ((size_t)2 << 20) /* bytes that one thread reads at a time */
#define TEAM_FROM  32 /* blocks; fewer are read by one thread, because a reader runs as well */
#define TEAM_LIMIT 4
#define HUGE_PAGE  ((size_t)2 << 20)

enum state { UNREAD, WANTED, LOADED };

struct ft_snapshot {
    int fd;
    struct stat before;
    void *map; /* [mapped] */
    size_t mapped;
    uint8_t *bytes; /* [size], at a multiple of HUGE_PAGE in `map` */
    size_t size;
    size_t n_blocks;
    uint8_t *states; /* [n_blocks] of enum state */
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
        s->n_blocks = (s->size + BLOCK - 1) / BLOCK;
        s->states = calloc(s->n_blocks, sizeof *s->states);
        s->mapped = s->size + HUGE_PAGE;
        void *map = mmap(NULL, s->mapped, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (map != MAP_FAILED) {
            s->map = map;
            s->bytes = (uint8_t *)ft_round_up((size_t)map, HUGE_PAGE);
        }
        if (!s->map || !s->states)
            rc = ft_error_nomem(err, "the file");
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
    free(s->states);
    free(s);
}

void ft_snapshot_want(struct ft_snapshot *s, size_t offset, size_t size)
{
    if (offset >= s->size || !size)
        return;
    const size_t end = size < s->size - offset ? offset + size : s->size;
    pthread_mutex_lock(&s->lock);
    for (size_t i = offset / BLOCK; i <= (end - 1) / BLOCK; i++)
        if (s->states[i] == UNREAD)
            s->states[i] = WANTED;
    pthread_mutex_unlock(&s->lock);
}

static void read_block(void *context, size_t i, int member)
{
    struct ft_snapshot *s = context;
    (void)member;
    if (s->states[i] != WANTED)
        return;
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
    if (at == end)
        s->states[i] = LOADED;
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

static void read_blocks(struct ft_snapshot *s, size_t wanted)
{
#ifdef MADV_POPULATE_WRITE
    /* Bytes after the last huge page would otherwise cost a page fault for each small page. */
    const size_t huge = s->size / HUGE_PAGE * HUGE_PAGE;
    if (s->size > huge && s->states[s->n_blocks - 1] == WANTED)
        madvise(s->bytes + huge, s->size - huge, MADV_POPULATE_WRITE);
#endif
    const int cpus = wanted < TEAM_FROM ? 1 : ft_cpu_count();
    struct ft_team *team = cpus > 1 ? ft_team_new(cpus < TEAM_LIMIT ? cpus : TEAM_LIMIT) : NULL;
    if (team)
        ft_team_each(team, s->n_blocks, read_block, s);
    for (size_t i = 0; !team && i < s->n_blocks; i++)
        read_block(s, i, 0);
    ft_team_free(team);
}

static int load(struct ft_snapshot *s, struct ft_error *err)
{
    struct stat after;
    size_t wanted = 0;
    for (size_t i = 0; i < s->n_blocks; i++)
        wanted += s->states[i] == WANTED;
    if (!wanted)
        return 0;
    atomic_store(&s->failed, 0);
    read_blocks(s, wanted);
    const int why = atomic_load(&s->failed);
    if (why > 0) {
        errno = why;
        return ft_error_errno(err, "cannot be read");
    }
    if (why || fstat(s->fd, &after) || !same_file(&s->before, &after))
        return changed(err);
    return 0;
}

int ft_snapshot_load(struct ft_snapshot *s, struct ft_error *err)
{
    pthread_mutex_lock(&s->lock);
    const int rc = load(s, err);
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
    memset(s->states, UNREAD, s->n_blocks);
    pthread_mutex_unlock(&s->lock);
}

const uint8_t *ft_snapshot_bytes(const struct ft_snapshot *s, size_t *size)
{
    *size = s->size;
    return s->bytes;
}
