/* A library for LD_PRELOAD that lets system and library calls fail at a chosen moment.
 *
 *     FT_FAULTS="KIND=N[+][:ERROR]"      the Nth call of a kind fails; with "+" all later ones too
 *     FT_FAULTS_COUNT=FILE               appends "KIND CALLS" lines to FILE when the process ends
 *
 * Kinds: alloc (malloc, calloc, realloc, aligned_alloc, posix_memalign; glibc's strdup, asprintf
 * and opendir call these too), open, read, write (write, fsync, rename, ftruncate,
 * posix_fallocate), short (the call transfers one byte instead of all), eintr (reads and writes end
 * with EINTR once), thread (pthread_create). ERROR is a name of errno (EIO unless given; ENOMEM for
 * alloc). Calls are counted from the start of main() on, over all threads. */
#undef _FILE_OFFSET_BITS /* both names of each call are defined here */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { ALLOC, OPEN, READ, WRITE, SHORT, INTERRUPT, THREAD, KINDS };

static const char *const kind_names[KINDS] = { "alloc", "open",  "read",  "write",
                                               "short", "eintr", "thread" };
static const struct {
    const char *name;
    int number;
} errors[] = { { "EIO", EIO },       { "ENOMEM", ENOMEM }, { "ENOSPC", ENOSPC },
               { "EMFILE", EMFILE }, { "ENFILE", ENFILE }, { "EACCES", EACCES },
               { "EINTR", EINTR },   { "EAGAIN", EAGAIN }, { "EROFS", EROFS } };

static atomic_ulong calls[KINDS];
static enum kind failing = KINDS; /* KINDS: none */
static unsigned long first;
static bool later;
static int number;
static bool active;

/* Whether this call of a kind is one that fails. */
static bool hit(enum kind kind)
{
    if (!active)
        return false;
    const unsigned long n = atomic_fetch_add(&calls[kind], 1) + 1;
    return kind == failing && (n == first || (later && n > first));
}

static bool fails(enum kind kind)
{
    if (!hit(kind))
        return false;
    errno = number;
    return true;
}

__attribute__((constructor)) static void begin(void)
{
    const char *text = getenv("FT_FAULTS");
    for (int k = 0; text && k < KINDS; k++) {
        const size_t n = strlen(kind_names[k]);
        if (strncmp(text, kind_names[k], n) || text[n] != '=')
            continue;
        char *end;
        failing = (enum kind)k;
        first = strtoul(text + n + 1, &end, 10);
        later = *end == '+';
        number = k == ALLOC ? ENOMEM : k == INTERRUPT ? EINTR : k == THREAD ? EAGAIN : EIO;
        const char *name = strchr(end, ':');
        for (size_t i = 0; name && i < sizeof errors / sizeof *errors; i++)
            if (!strcmp(name + 1, errors[i].name))
                number = errors[i].number;
    }
    active = true;
}

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("FT_FAULTS_COUNT");
    char line[64];
    active = false;
    const int fd =
        path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND, 0666) : -1;
    for (int k = 0; fd >= 0 && k < KINDS; k++) {
        const int n =
            snprintf(line, sizeof line, "%s %lu\n", kind_names[k], atomic_load(&calls[k]));
        (void)!syscall(SYS_write, fd, line, (size_t)n);
    }
    if (fd >= 0)
        syscall(SYS_close, fd);
}

/* ---- memory: glibc's own functions under their other names ------------------------------------
 */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
    return fails(ALLOC) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return fails(ALLOC) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    return fails(ALLOC) ? NULL : __libc_realloc(p, size);
}

void *memalign(size_t alignment, size_t size)
{
    return fails(ALLOC) ? NULL : __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *p = memalign(alignment, size);
    if (!p)
        return ENOMEM;
    *out = p;
    return 0;
}

/* ---- files ------------------------------------------------------------------------------------
 */

#define NEXT(function) ((__typeof__(&function))dlsym(RTLD_NEXT, #function))

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    const mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    return fails(OPEN) ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    const mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    return fails(OPEN) ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    const mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    return fails(OPEN) ? -1 : (int)syscall(SYS_openat, folder, path, flags, mode);
}

FILE *fopen(const char *path, const char *mode)
{
    return fails(OPEN) ? NULL : NEXT(fopen)(path, mode);
}

/* Bytes that one read or write may transfer; -1: it fails. */
static ssize_t allowed(enum kind kind, size_t n)
{
    if (fails(kind) || fails(INTERRUPT))
        return -1;
    return n > 1 && hit(SHORT) ? 1 : (ssize_t)n;
}

ssize_t read(int fd, void *to, size_t n)
{
    const ssize_t m = allowed(READ, n);
    return m < 0 ? -1 : syscall(SYS_read, fd, to, (size_t)m);
}

ssize_t pread(int fd, void *to, size_t n, off_t at)
{
    const ssize_t m = allowed(READ, n);
    return m < 0 ? -1 : syscall(SYS_pread64, fd, to, (size_t)m, at);
}

ssize_t pread64(int fd, void *to, size_t n, off_t at)
{
    return pread(fd, to, n, at);
}

ssize_t write(int fd, const void *from, size_t n)
{
    const ssize_t m = allowed(WRITE, n);
    return m < 0 ? -1 : syscall(SYS_write, fd, from, (size_t)m);
}

ssize_t pwrite(int fd, const void *from, size_t n, off_t at)
{
    const ssize_t m = allowed(WRITE, n);
    return m < 0 ? -1 : syscall(SYS_pwrite64, fd, from, (size_t)m, at);
}

ssize_t pwrite64(int fd, const void *from, size_t n, off_t at)
{
    return pwrite(fd, from, n, at);
}

/* Standard output's stream does not call write() through the symbol: its errors are those of
 * fflush and fclose. */
int fflush(FILE *f)
{
    return f && fails(WRITE) ? EOF : NEXT(fflush)(f);
}

int fsync(int fd)
{
    return fails(WRITE) ? -1 : (int)syscall(SYS_fsync, fd);
}

int ftruncate(int fd, off_t size)
{
    return fails(WRITE) ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int ftruncate64(int fd, off_t size)
{
    return ftruncate(fd, size);
}

int posix_fallocate(int fd, off_t from, off_t size)
{
    return fails(WRITE) ? number : NEXT(posix_fallocate)(fd, from, size);
}

int rename(const char *from, const char *to)
{
    return fails(WRITE) ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat(int a, const char *from, int b, const char *to)
{
    return fails(WRITE) ? -1 : (int)syscall(SYS_renameat2, a, from, b, to, 0);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *), void *of)
{
    return fails(THREAD) ? EAGAIN : NEXT(pthread_create)(thread, how, run, of);
}
