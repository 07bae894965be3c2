#define _GNU_SOURCE
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
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
#include "base/thread.h"

int ft_open(const char *path, int flags, mode_t mode)
{
    return ft_open_at(AT_FDCWD, path, flags, mode);
}

int ft_open_at(int folder, const char *path, int flags, mode_t mode)
{
    return ft_descriptor_raise(openat(folder, path, flags | O_CLOEXEC, mode));
}

int ft_descriptor_raise(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    const int raised = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), why = errno;
    close(fd);
    errno = why;
    return raised;
}

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
    struct stat st, after;
    /* nonblocking: a FIFO must not hang us */
    const int fd = ft_open(path, O_RDONLY | O_NONBLOCK, 0);
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
    if (!rc && (fstat(fd, &after) || after.st_size != st.st_size ||
                after.st_mtim.tv_sec != st.st_mtim.tv_sec ||
                after.st_mtim.tv_nsec != st.st_mtim.tv_nsec || bytes->size != (size_t)st.st_size))
        rc = ft_error_set(err, FT_EIO, "the file was changed while it was read");
    close(fd);
    return rc;
}

void ft_bytes_release(struct ft_bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct ft_bytes){ 0 };
}

/* ---- replacing a file ------------------------------------------------------------------------ */

#define TEMPORARY     ".tmp-" /* then the process, a hyphen and six random digits */
#define STALE_SECONDS 60

/* A name beside `target` that no file has; the caller frees it. NULL: errno says why. */
static char *name_beside(const char *target)
{
    static atomic_uint count;
    struct timespec now;
    char *path;
    clock_gettime(CLOCK_REALTIME, &now);
    const unsigned suffix = ((unsigned)now.tv_nsec ^ atomic_fetch_add(&count, 1) << 20) & 0xffffff;
    if (asprintf(&path, "%s" TEMPORARY "%x-%06x", target, (unsigned)getpid(), suffix) < 0)
        return errno = ENOMEM, NULL;
    return path;
}

/* The directory of `target`, malloc'd. */
static char *directory_of(const char *target)
{
    const char *slash = strrchr(target, '/');
    return slash ? strndup(target, slash == target ? 1 : (size_t)(slash - target)) : strdup(".");
}

/* Removes what a process that died left beside `target`: a name as name_beside gives, whose
 * process does not exist and which has not been written to for a while. */
static void remove_stale(const char *dir, const char *target)
{
    const char *slash = strrchr(target, '/'), *base = slash ? slash + 1 : target;
    const size_t n = strlen(base);
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        unsigned process, suffix;
        int end = 0;
        struct stat st;
        if (!strncmp(e->d_name, base, n) &&
            sscanf(e->d_name + n, TEMPORARY "%8x-%6x%n", &process, &suffix, &end) == 2 &&
            !e->d_name[n + (size_t)end] && kill((pid_t)process, 0) && errno == ESRCH &&
            !fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode) &&
            difftime(time(NULL), st.st_mtime) >= STALE_SECONDS)
            unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d)
        closedir(d);
}

/* The new file, with the mode that the umask leaves (mkstemp's is another, and asking for the umask
 * changes it for all threads). -1: errno says why. */
static int create(struct ft_replacement *r)
{
    for (int tries = 0; tries < 1000; tries++) {
        if (!(r->path = name_beside(r->target)))
            return -1;
        r->fd = ft_open(r->path, O_RDWR | O_CREAT | O_EXCL, 0666);
        if (r->fd >= 0)
            return 0;
        const int why = errno;
        free(r->path);
        r->path = NULL;
        errno = why;
        if (why != EEXIST)
            return -1;
    }
    return -1;
}

int ft_replace_begin(const char *path, struct ft_replacement *out, struct ft_error *err)
{
    struct ft_replacement r = { .fd = -1 };
    struct stat st;
    char *dir = NULL;
    int rc = 0;
    if (!*path) /* the file beside it could be made */
        return ft_error_set(err, FT_EARG, "cannot write '': a file needs a name");
    if (!stat(path, &st) && !S_ISREG(st.st_mode))
        return ft_error_set(err, FT_EARG,
                            "cannot write '%s': it is there and is not a regular file", path);
    /* A symbolic link is followed, so that the file it points to is replaced and the link stays. */
    errno = 0;
    r.target = realpath(path, NULL);
    if (!r.target && errno != ENOMEM)
        r.target = ft_strdup(path);
    if (!r.target || !(dir = directory_of(r.target))) {
        rc = ft_error_nomem(err, path);
        goto done;
    }
    remove_stale(dir, r.target);
    r.blocked = ft_signals_block(&r.signals);
    if (create(&r))
        rc = ft_error_errno(err, "cannot write '%s'", path);
done:
    free(dir);
    if (rc)
        ft_replace_abort(&r);
    else
        *out = r;
    return rc;
}

/* A file is safely under its name only when its directory is written, too. Some file systems cannot
 * do that, which is no failure. */
static int sync_directory(const char *target)
{
    char *dir = directory_of(target);
    const int fd = dir ? ft_open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0) : -1;
    const int rc = fd >= 0 && fsync(fd) && errno == EIO ? -1 : 0;
    if (fd >= 0)
        close(fd);
    free(dir);
    return rc;
}

int ft_replace_commit(struct ft_replacement *r, struct ft_error *err)
{
    int rc = 0;
    if (fsync(r->fd) || rename(r->path, r->target))
        rc = ft_error_errno(err, "cannot write '%s'", r->target);
    else {
        free(r->path);
        r->path = NULL;
        if (sync_directory(r->target))
            rc = ft_error_errno(err, "cannot write '%s'", r->target);
    }
    ft_replace_abort(r);
    return rc;
}

void ft_replace_abort(struct ft_replacement *r)
{
    if (r->fd >= 0 && r->target)
        close(r->fd);
    if (r->path)
        unlink(r->path);
    free(r->path);
    free(r->target);
    if (r->blocked) /* a signal that has come meanwhile acts here */
        pthread_sigmask(SIG_SETMASK, &r->signals, NULL);
    *r = (struct ft_replacement){ .fd = -1 };
}

bool ft_replace_interrupted(const struct ft_replacement *r)
{
    static const int asking[] = { SIGHUP, SIGINT, SIGTERM };
    sigset_t pending;
    if (!r->blocked || sigpending(&pending))
        return false;
    for (size_t i = 0; i < sizeof asking / sizeof *asking; i++)
        if (sigismember(&pending, asking[i]) && !sigismember(&r->signals, asking[i]))
            return true;
    return false;
}

/* Whether a file without a name can be made in the directory of `path`. A process that is killed
 * then leaves nothing; signals may reach threads that do not block them, such as those of OpenBLAS.
 */
static bool can_make_unnamed(const char *path)
{
#ifdef O_TMPFILE
    struct stat st;
    char *target = stat(path, &st) ? ft_strdup(path) : realpath(path, NULL);
    char *dir =
        target && *path && (stat(path, &st) || S_ISREG(st.st_mode)) ? directory_of(target) : NULL;
    const int fd = dir ? ft_open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) : -1;
    if (fd >= 0)
        close(fd);
    free(dir);
    free(target);
    return fd >= 0;
#else
    (void)path;
    return false;
#endif
}

int ft_output_check(const char *path, struct ft_error *err)
{
    struct ft_replacement r = { 0 };
    if (can_make_unnamed(path))
        return 0;
    const int rc = ft_replace_begin(path, &r, err);
    ft_replace_abort(&r);
    return rc;
}

static int write_all(int fd, const uint8_t *data, size_t size)
{
    while (size) {
        const ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

int ft_file_replace(const char *path, const void *data, size_t size, struct ft_error *err)
{
    struct ft_replacement r = { 0 };
    int rc = ft_replace_begin(path, &r, err);
    if (rc)
        return rc;
    if (write_all(r.fd, data, size))
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
