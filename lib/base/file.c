#define _GNU_SOURCE
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/error.h"
#include "base/memory.h"

static int read_all(int fd, struct ft_bytes *bytes, size_t expect, struct ft_error *err)
{
    while (bytes->size < expect) {
        const ssize_t n = read(fd, bytes->data + bytes->size, expect - bytes->size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ft_error_errno(err, "cannot be read");
        if (n == 0)
            break;
        bytes->size += (size_t)n;
    }
    return 0;
}

int ft_file_read(const char *path, size_t limit, struct ft_bytes *bytes, struct ft_error *err)
{
    struct stat st;
    /* O_NONBLOCK: opening a FIFO must not block */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return ft_error_errno(err, "cannot be opened");
    int rc = 0;
    if (fstat(fd, &st) < 0)
        rc = ft_error_errno(err, "cannot be read");
    else if (S_ISDIR(st.st_mode))
        rc = ft_error_set(err, FT_EFORMAT, "a directory, not a file");
    else if (!S_ISREG(st.st_mode))
        rc = ft_error_set(err, FT_EFORMAT, "not a regular file");
    else if ((uint64_t)st.st_size > limit)
        rc = ft_error_set(err, FT_ELIMIT, "%lld bytes are more than the limit of %zu",
                          (long long)st.st_size, limit);
    if (!rc && (size_t)st.st_size > bytes->capacity) {
        uint8_t *p = realloc(bytes->data, (size_t)st.st_size);
        if (p) {
            bytes->data = p;
            bytes->capacity = (size_t)st.st_size;
        } else
            rc = ft_error_nomem(err, "the file");
    }
    if (!rc) {
        bytes->size = 0;
        rc = read_all(fd, bytes, (size_t)st.st_size, err);
    }
    close(fd);
    return rc;
}

void ft_bytes_release(struct ft_bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct ft_bytes){ 0 };
}

/* Creates an empty file beside `target` and returns its path. Its mode is the one that the umask
 * gives: mkstemp() would use another, and reading the umask changes it for all threads. Returns
 * NULL and sets errno on failure. */
static char *create_beside(const char *target)
{
    static atomic_uint count;
    for (int tries = 0; tries < 1000; tries++) {
        struct timespec now;
        char *path;
        clock_gettime(CLOCK_REALTIME, &now);
        const unsigned suffix =
            ((unsigned)getpid() << 12 ^ (unsigned)now.tv_nsec ^ atomic_fetch_add(&count, 1) << 20) &
            0xffffff;
        if (asprintf(&path, "%s.tmp-%06x", target, suffix) < 0)
            return errno = ENOMEM, NULL;
        const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0) {
            close(fd);
            return path;
        }
        const int why = errno;
        free(path);
        errno = why;
        if (why != EEXIST)
            return NULL;
    }
    return NULL;
}

int ft_replace_begin(const char *path, struct ft_replacement *out, struct ft_error *err)
{
    struct ft_replacement r = { 0 };
    struct stat st;
    if (!*path) /* a temporary file without a name before its suffix could be created */
        return ft_error_set(err, FT_EARG, "cannot write '': a file needs a name");
    if (!stat(path, &st) && !S_ISREG(st.st_mode))
        return ft_error_set(err, FT_EARG,
                            "cannot write '%s': it is there and is not a regular file", path);
    /* A symbolic link stays a link: the file that it points to is replaced. */
    r.target = realpath(path, NULL);
    if (!r.target)
        r.target = ft_strdup(path);
    if (!r.target)
        return ft_error_nomem(err, path);
    r.path = create_beside(r.target);
    if (!r.path) {
        ft_error_errno(err, "cannot write '%s'", path);
        free(r.target);
        return FT_EIO;
    }
    *out = r;
    return 0;
}

int ft_replace_commit(struct ft_replacement *r, struct ft_error *err)
{
    int rc = 0;
    const int fd = open(r->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0 || rename(r->path, r->target) < 0)
        rc = ft_error_errno(err, "cannot write '%s'", r->target);
    if (fd >= 0)
        close(fd);
    if (!rc) {
        free(r->path);
        r->path = NULL;
    }
    ft_replace_abort(r);
    return rc;
}

void ft_replace_abort(struct ft_replacement *r)
{
    if (r->path)
        unlink(r->path);
    free(r->path);
    free(r->target);
    *r = (struct ft_replacement){ 0 };
}

int ft_output_check(const char *path, struct ft_error *err)
{
    struct ft_replacement r = { 0 };
    const int rc = ft_replace_begin(path, &r, err);
    ft_replace_abort(&r);
    return rc;
}

int ft_file_replace(const char *path, const void *data, size_t size, struct ft_error *err)
{
    struct ft_replacement r = { 0 };
    int rc = ft_replace_begin(path, &r, err);
    if (rc)
        return rc;
    FILE *f = fopen(r.path, "wb");
    if (!f || fwrite(data, 1, size, f) != size)
        rc = ft_error_errno(err, "cannot write '%s'", path);
    if (f && fclose(f) && !rc)
        rc = ft_error_errno(err, "cannot write '%s'", path);
    if (!rc)
        rc = ft_replace_commit(&r, err);
    ft_replace_abort(&r);
    return rc;
}

void ft_hash(const void *data, size_t size, uint64_t out[2])
{
    const XXH128_hash_t h = XXH3_128bits(data, size);
    out[0] = h.high64;
    out[1] = h.low64;
}
