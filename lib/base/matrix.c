#define _GNU_SOURCE
#include "base/matrix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"

struct ft_scratch {
    int file;
    uint64_t size; /* bytes appended */
    char *dir;
    atomic_int failed; /* errno of the first read that failed */
};

/* Opens a file without a name. Where that is not supported, the file gets a name, which is removed
 * at once. */
static int open_nameless(const char *dir)
{
    char *path;
#ifdef O_TMPFILE
    const int file = ft_open(dir, O_TMPFILE | O_RDWR, 0600);
    if (file >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return file;
#endif
    if (asprintf(&path, "%s/finetune-scratch-XXXXXX", dir) < 0)
        return -1;
    const int named = ft_descriptor_raise(mkostemp(path, O_CLOEXEC));
    if (named >= 0)
        unlink(path);
    free(path);
    return named;
}

/* Takes room on the disk for the first bytes of a file. Returns -1 if there is not enough. */
static int reserve(int file, uint64_t bytes)
{
#ifdef F_PREALLOCATE /* macOS */
    fstore_t all = { F_ALLOCATEALL, F_PEOFPOSMODE, 0, (off_t)bytes, 0 };
    const int rc = fcntl(file, F_PREALLOCATE, &all);
#else
    const int rc = fallocate(file, FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes);
#endif
    return rc && errno != ENOTSUP && errno != ENOSYS ? -1 : 0;
}

/* Lets the system read a part of a file before it is needed. */
static void read_ahead(int file, uint64_t from, size_t bytes)
{
#ifdef POSIX_FADV_WILLNEED
    posix_fadvise(file, (off_t)from, (off_t)bytes, POSIX_FADV_WILLNEED);
#else
    (void)file, (void)from, (void)bytes;
#endif
}

static int no_room(const struct ft_scratch *s, uint64_t bytes, struct ft_error *err)
{
    return ft_error_set(err, FT_EIO,
                        "no room for %.1f MB of features in a scratch file in '%s': %s; --memory "
                        "may allow more, --cache and TMPDIR name other folders",
                        (double)bytes / 1e6, s->dir, strerror(errno));
}

int ft_scratch_new(const char *dir, uint64_t bytes, struct ft_scratch **out, struct ft_error *err)
{
    const char *temporary = getenv("TMPDIR");
    struct ft_scratch *s = ft_alloc_zero(1, sizeof *s);
    if (!s)
        return ft_error_nomem(err, "a scratch file");
    s->file = -1;
    s->dir = ft_strdup(dir ? dir : temporary && *temporary ? temporary : "/var/tmp");
    int rc = s->dir ? 0 : ft_error_nomem(err, "a scratch file");
    if (!rc && (s->file = open_nameless(s->dir)) < 0)
        rc = ft_error_errno(err, "cannot make a scratch file in '%s'", s->dir);
    if (!rc && bytes && reserve(s->file, bytes))
        rc = no_room(s, bytes, err);
    if (rc)
        ft_scratch_free(s);
    else
        *out = s;
    return rc;
}

void ft_scratch_free(struct ft_scratch *s)
{
    if (!s)
        return;
    if (s->file >= 0)
        close(s->file);
    free(s->dir);
    free(s);
}

int ft_scratch_append(struct ft_scratch *s, const void *data, size_t size, struct ft_error *err)
{
    for (size_t done = 0; done < size;) {
        const ssize_t n =
            pwrite(s->file, (const char *)data + done, size - done, (off_t)(s->size + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return no_room(s, s->size + size, err);
        done += (size_t)n;
    }
    s->size += size;
    return 0;
}

static void read_at(struct ft_scratch *s, char *to, size_t size, uint64_t at)
{
    for (size_t done = 0; done < size;) {
        const ssize_t n = pread(s->file, to + done, size - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            int none = 0;
            atomic_compare_exchange_strong(&s->failed, &none, n < 0 ? errno : EIO);
            memset(to, 0, size);
            return;
        }
        done += (size_t)n;
    }
}

const float *ft_matrix_rows(const struct ft_matrix *m, size_t from, size_t rows, float *room)
{
    const size_t width = (size_t)m->d * sizeof(float);
    if (m->x)
        return m->x + from * (size_t)m->d;
    read_at(m->scratch, (char *)room, rows * width, (uint64_t)from * width);
    read_ahead(m->scratch->file, (uint64_t)(from + rows) * width, rows * width);
    return room;
}

int ft_matrix_status(const struct ft_matrix *m, struct ft_error *err)
{
    const int failed = m->scratch ? atomic_load(&m->scratch->failed) : 0;
    return failed ? ft_error_set(err, FT_EIO, "cannot read the scratch file in '%s' again: %s",
                                 m->scratch->dir, strerror(failed))
                  : 0;
}

int ft_matrix_last(const struct ft_matrix *m, int columns, float **out, struct ft_error *err)
{
    const size_t d = (size_t)m->d, width = (size_t)columns;
    float *x = ft_alloc(m->n, width * sizeof *x), *room = ft_alloc(d, sizeof *room);
    int rc = x && room ? 0 : ft_error_nomem(err, "the features of the last layer");
    for (size_t i = 0; !rc && i < m->n; i++)
        memcpy(x + i * width, ft_matrix_rows(m, i, 1, room) + d - width, width * sizeof *x);
    if (!rc)
        rc = ft_matrix_status(m, err);
    free(room);
    if (rc)
        free(x);
    else
        *out = x;
    return rc;
}
