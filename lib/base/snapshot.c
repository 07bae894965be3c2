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
#include "base/numbers.h"
#include "base/thread.h"

#define BLOCK      ((size_t)2 << 20) /* bytes that one thread reads at a time */
#define TEAM_FROM  32 /* blocks; fewer are read by one thread, because a reader runs as well */
#define TEAM_LIMIT 4
#define HUGE_PAGE  ((size_t)2 << 20)
#define IDLE_LIMIT 32 /* blocks of all snapshots that are kept although nobody needs them */

struct block {
    unsigned users; /* calls of ft_snapshot_want without ft_snapshot_done */
    bool loaded;
};

enum bytes { AS_THEY_ARE, HALF, BFLOAT16 };

struct ft_snapshot {
    int fd;
    enum bytes type; /* HALF, BFLOAT16: `bytes` are twice those of the file, and fd is borrowed */
    struct stat before;
    void *map; /* [mapped] */
    size_t mapped;
    uint8_t *bytes; /* [size], at a multiple of HUGE_PAGE in `map` */
    size_t size;
    size_t n_blocks;
    struct block *blocks; /* [n_blocks] */
    atomic_int failed;    /* errno of a read, -1: the file is shorter than it was */
    struct ft_snapshot *next, **at;
};

/* One lock for all snapshots and for the list of them. It is held during fork(), so that no other
 * thread holds it in the child. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ft_snapshot *first;
static pthread_once_t prepared = PTHREAD_ONCE_INIT;

static void take_lock(void)
{
    pthread_mutex_lock(&lock);
}

static void leave_lock(void)
{
    pthread_mutex_unlock(&lock);
}

static void prepare_forks(void)
{
    pthread_atfork(take_lock, leave_lock, leave_lock);
}

/* Address space for `size` bytes, none of which are loaded. */
static int reserve(struct ft_snapshot *s, size_t size, struct ft_error *err)
{
    pthread_once(&prepared, prepare_forks);
    s->size = size;
    s->n_blocks = (s->size + BLOCK - 1) / BLOCK;
    s->blocks = calloc(s->n_blocks + 1, sizeof *s->blocks);
    s->mapped = s->size + HUGE_PAGE;
    void *map = mmap(NULL, s->mapped, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map != MAP_FAILED) {
        s->map = map;
        s->bytes = (uint8_t *)ft_round_up((size_t)map, HUGE_PAGE);
    }
    if (!s->map || !s->blocks)
        return ft_error_nomem(err, "the file");
#ifdef MADV_HUGEPAGE
    madvise(s->bytes, s->size, MADV_HUGEPAGE);
#endif
    take_lock();
    s->next = first;
    s->at = &first;
    if (first)
        first->at = &s->next;
    first = s;
    leave_lock();
    return 0;
}

int ft_snapshot_open(const char *path, struct ft_snapshot **out, struct ft_error *err)
{
    struct ft_snapshot *s = calloc(1, sizeof *s);
    if (!s)
        return ft_error_nomem(err, "the file");
    int rc = 0;
    s->fd = ft_open(path, O_RDONLY | O_NONBLOCK, 0); /* nonblocking: a FIFO must not block */
    if (s->fd < 0)
        rc = ft_error_errno(err, "cannot be opened");
    else if (fstat(s->fd, &s->before))
        rc = ft_error_errno(err, "cannot be read");
    else if (!S_ISREG(s->before.st_mode))
        rc = ft_error_set(err, FT_EFORMAT, "not a regular file");
    else if (s->before.st_size < 1)
        rc = ft_error_set(err, FT_EFORMAT, "an empty file");
    else
        rc = reserve(s, (size_t)s->before.st_size, err);
    if (rc) {
        ft_snapshot_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

struct ft_snapshot *ft_snapshot_widen(const struct ft_snapshot *of, bool bfloat16)
{
    struct ft_snapshot *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->type = bfloat16 ? BFLOAT16 : HALF;
    s->before = of->before;
    s->fd = of->fd;
    if (!reserve(s, of->size / 2 * sizeof(float), NULL))
        return s;
    ft_snapshot_free(s);
    return NULL;
}

void ft_snapshot_free(struct ft_snapshot *s)
{
    if (!s)
        return;
    take_lock();
    if (s->at)
        *s->at = s->next;
    if (s->next)
        s->next->at = s->at;
    leave_lock();
    if (s->map)
        munmap(s->map, s->mapped);
    if (s->type == AS_THEY_ARE && s->fd >= 0)
        close(s->fd);
    free(s->blocks);
    free(s);
}

static bool idle(const struct block *b)
{
    return b->loaded && !b->users;
}

static void release_idle(struct ft_snapshot *s)
{
    for (size_t i = 0, end; i < s->n_blocks; i = end + 1) {
        for (end = i; end < s->n_blocks && idle(&s->blocks[end]); end++)
            s->blocks[end].loaded = false;
        const size_t from = i * BLOCK, to = end < s->n_blocks ? end * BLOCK : s->size;
        if (end > i)
            madvise(s->bytes + from, to - from, MADV_DONTNEED);
    }
}

static size_t count_idle(void)
{
    size_t n = 0;
    for (const struct ft_snapshot *s = first; s; s = s->next)
        for (size_t i = 0; i < s->n_blocks; i++)
            n += idle(&s->blocks[i]);
    return n;
}

/* Changes the number of users of the blocks with the bytes [offset, offset + size). */
static void count_users(struct ft_snapshot *s, size_t offset, size_t size, bool more)
{
    if (offset >= s->size || !size)
        return;
    const size_t end = size < s->size - offset ? offset + size : s->size;
    take_lock();
    for (size_t i = offset / BLOCK; i <= (end - 1) / BLOCK; i++)
        s->blocks[i].users += more ? 1U : -1U;
    if (!more && count_idle() > IDLE_LIMIT)
        for (struct ft_snapshot *other = first; other; other = other->next)
            release_idle(other);
    leave_lock();
}

void ft_snapshot_want(struct ft_snapshot *s, size_t offset, size_t size)
{
    count_users(s, offset, size, true);
}

void ft_snapshot_done(struct ft_snapshot *s, size_t offset, size_t size)
{
    count_users(s, offset, size, false);
}

static bool wanted(const struct block *b)
{
    return b->users && !b->loaded;
}

/* Bytes [n] of the file to `to`. */
static bool read_bytes(struct ft_snapshot *s, uint8_t *to, size_t from, size_t n)
{
    size_t at = 0;
    while (at < n && !atomic_load(&s->failed)) {
        const ssize_t got = pread(s->fd, to + at, n - at, (off_t)(from + at));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            atomic_store(&s->failed, got ? errno : -1);
        else
            at += (size_t)got;
    }
    return at == n;
}

static void widen(enum bytes type, const uint8_t *from, float *to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t narrow;
        memcpy(&narrow, from + i * sizeof narrow, sizeof narrow);
        to[i] = type == HALF ? ft_half(narrow) : ft_bfloat16(narrow);
    }
}

static void read_block(void *context, size_t i, int member)
{
    struct ft_snapshot *s = context;
    (void)member;
    if (!wanted(&s->blocks[i]))
        return;
    const size_t from = i * BLOCK, size = s->size - from < BLOCK ? s->size - from : BLOCK,
                 n = s->type == AS_THEY_ARE ? size : size / 2;
    /* two bytes are read to the second half of the block, and widened from its start */
    if (!read_bytes(s, s->bytes + from + size - n, s->type == AS_THEY_ARE ? from : from / 2, n))
        return;
    if (s->type != AS_THEY_ARE)
        widen(s->type, s->bytes + from + size - n, (float *)(void *)(s->bytes + from),
              size / sizeof(float));
    s->blocks[i].loaded = true;
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

static void read_blocks(struct ft_snapshot *s, size_t n)
{
#ifdef MADV_POPULATE_WRITE
    /* Bytes after the last huge page would otherwise cost a page fault for each small page. */
    const size_t huge = s->size / HUGE_PAGE * HUGE_PAGE;
    if (s->size > huge && wanted(&s->blocks[s->n_blocks - 1]))
        madvise(s->bytes + huge, s->size - huge, MADV_POPULATE_WRITE);
#endif
    const int cpus = n < TEAM_FROM ? 1 : ft_cpu_count();
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
    size_t n = 0;
    for (size_t i = 0; i < s->n_blocks; i++)
        n += wanted(&s->blocks[i]);
    if (!n)
        return 0;
    atomic_store(&s->failed, 0);
    read_blocks(s, n);
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
    take_lock();
    const int rc = load(s, err);
    leave_lock();
    return rc;
}

int ft_snapshot_check(const struct ft_snapshot *s, const char *path, struct ft_error *err)
{
    struct stat now;
    return stat(path, &now) || !same_file(&s->before, &now) ? changed(err) : 0;
}

void ft_snapshot_trim(struct ft_snapshot *s)
{
    take_lock();
    release_idle(s);
    leave_lock();
}

const uint8_t *ft_snapshot_bytes(const struct ft_snapshot *s, size_t *size)
{
    *size = s->size;
    return s->bytes;
}
