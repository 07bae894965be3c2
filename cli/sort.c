#define _GNU_SOURCE
#include "sort.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_NUMBERED 1000000

const char *sort_target(const struct settings *s)
{
    return s->copy_to ? s->copy_to : s->move_to ? s->move_to : s->link_to;
}

/* The folder name of a label: never hidden, never outside the target. */
static void directory_of(const char *label, char *out, size_t size)
{
    snprintf(out, size, "%s%s", label[0] == '.' || !label[0] ? "_" : "", label);
    for (char *s = out; *s; s++)
        if (*s == '/')
            *s = '_';
}

static int copy_bytes(int from, int to)
{
    char buffer[65536];
    for (;;) {
        const ssize_t n = read(from, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) /* a signal does not interrupt the copy of a picture */
            continue;
        if (n <= 0)
            return n ? -1 : 0;
        for (ssize_t done = 0; done < n;) {
            const ssize_t m = write(to, buffer + done, (size_t)(n - done));
            if (m < 0 && errno == EINTR)
                continue;
            if (m <= 0)
                return -1;
            done += m;
        }
    }
}

/* Copies the whole file with its mode and times. With `sync`, the copy is on the disk when the
 * function returns. */
static int copy_into(int from, int to, bool sync)
{
    struct stat st;
    if (fstat(from, &st) || copy_bytes(from, to))
        return -1;
    const struct timespec times[2] = { st.st_atim, st.st_mtim };
    (void)!fchmod(to, st.st_mode & 0777);
    (void)!futimens(to, times);
    return sync ? fsync(to) : 0;
}

/* rename(2) that never overwrites, also on file systems without support for the flag. */
static int rename_fresh(const char *from, const char *to)
{
#ifdef __APPLE__
    const int rc = renamex_np(from, to, RENAME_EXCL);
#else
    const int rc = renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
#endif
    if (!rc)
        return 0;
    if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP)
        return -1;
    return link(from, to) ? -1 : unlink(from);
}

struct place {
    char dir[PATH_MAX], stem[NAME_MAX + 1];
    const char *ending; /* including the dot */
};

/* If the name is too long with its number, the stem is cut at the end of a UTF-8 character. */
static int numbered(const struct place *p, int number, char *out)
{
    char mark[16] = "";
    if (number)
        snprintf(mark, sizeof mark, "-%d", number);
    const size_t taken = strlen(mark) + strlen(p->ending),
                 most = NAME_MAX > taken ? NAME_MAX - taken : 0;
    size_t stem = strlen(p->stem);
    if (stem > most)
        for (stem = most; stem && ((unsigned char)p->stem[stem] & 0xc0) == 0x80;)
            stem--;
    const int n =
        snprintf(out, PATH_MAX, "%s/%.*s%s%s", p->dir, (int)stem, p->stem, mark, p->ending);
    errno = ENAMETOOLONG;
    return n < PATH_MAX ? 0 : -1;
}

/* Calls `put` with name, name-1, name-2, ... until one does not exist. */
static int put_fresh(const struct place *p, int (*put)(const char *from, const char *to),
                     const char *from, char *out)
{
    for (int i = 0; i < MOST_NUMBERED; i++) {
        if (numbered(p, i, out))
            return -1;
        if (!put(from, out))
            return 0;
        if (errno != EEXIST)
            return -1;
    }
    return -1;
}

/* Links a file without a name, given as its path in /proc, into a folder. */
static int link_fresh(const char *from, const char *to)
{
    return linkat(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW);
}

static int sync_directory(const char *dir)
{
    const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int rc = fd < 0 || (fsync(fd) && errno == EIO) ? -1 : 0;
    if (fd >= 0)
        close(fd);
    return rc;
}

/* The copy gets its name when it is complete. Until then it has no name (O_TMPFILE), so that it
 * disappears if the program is killed. File systems without such files get a temporary name that
 * begins with a dot. */
static int copy_open(int from, const struct place *p, bool sync, char *out)
{
    char temporary[PATH_MAX];
    bool named = false;
    int to = -1;
#ifdef O_TMPFILE
    to = open(p->dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    snprintf(temporary, sizeof temporary, "/proc/self/fd/%d", to);
    if (to >= 0 && access(temporary, F_OK)) {
        close(to);
        to = -1;
    }
#endif
    if (to < 0) {
        errno = ENAMETOOLONG;
        if (snprintf(temporary, sizeof temporary, "%s/.finetune-%ld.tmp", p->dir, (long)getpid()) >=
            (int)sizeof temporary)
            return -1;
        unlink(temporary); /* left behind by a killed process with the same ID */
        to = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        named = to >= 0;
    }
    int rc = to < 0 || copy_into(from, to, sync) ? -1 : 0;
    if (!rc)
        rc = put_fresh(p, named ? rename_fresh : link_fresh, temporary, out);
    if (!rc && sync)
        rc = sync_directory(p->dir);
    const int why = errno;
    if (to >= 0)
        close(to);
    if (rc && named)
        unlink(temporary);
    errno = why;
    return rc;
}

static int copy_to(const char *path, const struct place *p, bool sync, char *out)
{
    const int from = open(path, O_RDONLY | O_CLOEXEC);
    const int rc = from < 0 ? -1 : copy_open(from, p, sync, out), why = errno;
    if (from >= 0)
        close(from);
    errno = why;
    return rc;
}

/* Between file systems, the original is removed after its copy is on the disk. */
static int move_to(const char *path, const struct place *p, char *out)
{
    if (!put_fresh(p, rename_fresh, path, out))
        return 0;
    return errno == EXDEV && !copy_to(path, p, true, out) ? unlink(path) : -1;
}

static int link_to(const char *path, const struct place *p, char *out)
{
    char *whole = realpath(path, NULL);
    const int rc = whole ? put_fresh(p, symlink, whole, out) : -1;
    free(whole);
    return rc;
}

int sort_picture(const struct settings *s, const char *path, const char *label,
                 struct ft_error *err)
{
    struct place p;
    char name[NAME_MAX + 1], out[PATH_MAX];
    const char *target = sort_target(s), *slash = strrchr(path, '/');
    directory_of(label, name, sizeof name);
    snprintf(p.dir, sizeof p.dir, "%s/%s", target, name);
    snprintf(p.stem, sizeof p.stem, "%s", slash ? slash + 1 : path);
    const char *base = slash ? slash + 1 : path, *dot = strrchr(base, '.');
    p.ending = dot && dot != base ? dot : "";
    p.stem[strlen(p.stem) - strlen(p.ending)] = 0;
    if (s->dry_run) {
        for (int i = 0; i < MOST_NUMBERED && !numbered(&p, i, out) &&
                        !faccessat(AT_FDCWD, out, F_OK, AT_SYMLINK_NOFOLLOW);
             i++)
            ;
        say("would %s '%s' to '%s'", s->copy_to ? "copy" : s->move_to ? "move" : "link", path, out);
        return 0;
    }
    if ((mkdir(target, 0777) && errno != EEXIST) || (mkdir(p.dir, 0777) && errno != EEXIST))
        return refuse_errno(err, "cannot make directory '%s'", p.dir);
    if (s->copy_to   ? copy_to(path, &p, false, out)
        : s->move_to ? move_to(path, &p, out)
                     : link_to(path, &p, out))
        return refuse_errno(err, "cannot put '%s' into '%s'", path, p.dir);
    if (s->verbose)
        note("'%s' was put into '%s'", path, out);
    return 0;
}
