#define _GNU_SOURCE
#include "features/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"

#define MAGIC "ftcache1"
#define ORDER UINT32_C(0x01020304)

struct header {
    char magic[8];
    uint32_t order, d;
    uint64_t n, key[2];
    uint64_t check; /* of header and rows, computed while this field is zero */
    uint64_t spare[2];
};
_Static_assert(sizeof(struct header) == 64 && sizeof(struct ft_segment_row) == 32,
               "the layout of a segment");

static uint64_t hash(const void *data, size_t size)
{
    uint64_t h[2];
    ft_hash(data, size, h);
    return h[0];
}

uint64_t ft_segment_check(const float *feature, size_t d)
{
    return hash(feature, d * sizeof *feature);
}

static bool read_at(int fd, void *to, size_t size, off_t at)
{
    for (size_t done = 0; done < size;) {
        const ssize_t n = pread(fd, (char *)to + done, size - done, at + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static bool write_all(int fd, const void *from, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t n = write(fd, (const char *)from + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

/* Reads header and rows into one block and checks them. Returns NULL if anything is wrong. */
static struct header *read_index(int fd, const uint64_t *key, uint32_t d)
{
    struct header h;
    struct stat st;
    if (fstat(fd, &st) || !read_at(fd, &h, sizeof h, 0) || memcmp(h.magic, MAGIC, sizeof h.magic) ||
        h.order != ORDER || !h.d || !h.n)
        return NULL;
    const uint64_t a_row = sizeof(struct ft_segment_row) + (uint64_t)h.d * sizeof(float),
                   left = (uint64_t)st.st_size - sizeof h;
    if (h.n > left / a_row || h.n * a_row != left || (key && memcmp(h.key, key, sizeof h.key)) ||
        (d && h.d != d))
        return NULL;
    const size_t size = sizeof h + (size_t)h.n * sizeof(struct ft_segment_row);
    struct header *block = malloc(size);
    if (!block)
        return NULL;
    if (read_at(fd, block, size, 0)) {
        block->check = 0;
        if (hash(block, size) == h.check)
            return block;
    }
    free(block);
    return NULL;
}

int ft_segment_read(int folder, const char *name, const uint64_t *key, uint32_t *d,
                    struct ft_segment_row **rows, size_t *n, struct ft_error *err)
{
    const int fd = ft_open_at(folder, name, O_RDONLY, 0);
    if (fd < 0)
        return ft_error_errno(err, "cannot open '%s'", name);
    errno = 0;
    struct header *h = read_index(fd, key, *d);
    const int why = errno; /* 0: read as it is */
    close(fd);
    errno = why;
    if (!h && why)
        return ft_error_errno(err, "cannot read '%s'", name);
    if (!h)
        return ft_error_set(err, FT_EFORMAT, "'%s' is damaged", name);
    *n = (size_t)h->n;
    *d = h->d;
    memmove(h, h + 1, *n * sizeof **rows);
    *rows = (struct ft_segment_row *)(void *)h;
    return 0;
}

int ft_segment_feature(int folder, const char *name, size_t n, size_t i, size_t d, uint64_t check,
                       float *feature)
{
    const int fd = ft_open_at(folder, name, O_RDONLY, 0);
    if (fd < 0)
        return FT_EIO;
    const uint64_t at = sizeof(struct header) + n * sizeof(struct ft_segment_row) +
                        (uint64_t)i * d * sizeof *feature;
    const bool ok = read_at(fd, feature, d * sizeof *feature, (off_t)at) &&
                    ft_segment_check(feature, d) == check;
    close(fd);
    return ok ? 0 : FT_EFORMAT;
}

int ft_segment_write(int folder, const uint64_t key[2], uint32_t d,
                     const struct ft_segment_row *rows, size_t n, const float *x, char name[64],
                     struct ft_error *err)
{
    const size_t size = sizeof(struct header) + n * sizeof *rows;
    char temporary[80], final[64];
    struct timespec now;
    struct header *h = calloc(1, size);
    if (!h)
        return ft_error_nomem(err, "a segment of the cache");
    *h = (struct header){
        .magic = MAGIC, .order = ORDER, .d = d, .n = n, .key = { key[0], key[1] }
    };
    memcpy(h + 1, rows, n * sizeof *rows);
    h->check = hash(h, size);
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(final, sizeof final, "%012llx%08lx-%lx" FT_SEGMENT_ENDING,
             (unsigned long long)now.tv_sec, (unsigned long)now.tv_nsec, (unsigned long)getpid());
    snprintf(temporary, sizeof temporary, FT_SEGMENT_TEMPORARY "%s", final);
    const int fd = ft_open_at(folder, temporary, O_WRONLY | O_CREAT | O_EXCL, 0666);
    bool ok = fd >= 0 && write_all(fd, h, size) && write_all(fd, x, n * d * sizeof *x) &&
              !fsync(fd) && !renameat(folder, temporary, folder, final);
    const int rc = ok ? fsync(folder),
              0       : ft_error_errno(err, "cannot write a segment of the cache");
    if (fd >= 0)
        close(fd);
    if (!ok && fd >= 0)
        unlinkat(folder, temporary, 0);
    free(h);
    if (ok)
        memcpy(name, final, sizeof final);
    return rc;
}
