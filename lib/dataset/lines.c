#define _GNU_SOURCE
#include "dataset/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

/* How often `stop` is called: a signal may interrupt another thread than the one that waits. */
#define POLL_MS 100

int ft_lines_open(const char *path, char end, bool (*stop)(void *), void *user,
                  struct ft_lines *out, struct ft_error *err)
{
    const int fd = strcmp(path, "-") ? ft_open(path, O_RDONLY | O_NONBLOCK, 0) : STDIN_FILENO;
    if (fd < 0)
        return ft_error_errno(err, "cannot open '%s'", path);
    *out = (struct ft_lines){ .fd = fd, .end = end, .stop = stop, .user = user };
    return 0;
}

/* Reads more bytes into the buffer. */
static int fill(struct ft_lines *l, struct ft_error *err)
{
    struct pollfd p = { .fd = l->fd, .events = POLLIN };
    if (l->from) {
        memmove(l->buffer, l->buffer + l->from, l->to - l->from);
        l->to -= l->from;
        l->from = 0;
    }
    if (l->to + 1 >= l->capacity) {
        const size_t capacity = l->capacity ? 2 * l->capacity : 65536;
        char *more = realloc(l->buffer, capacity);
        if (!more)
            return ft_error_nomem(err, "the list of inputs");
        l->buffer = more;
        l->capacity = capacity;
    }
    /* This also waits for a FIFO that no program has opened for writing. */
    int ready = 0;
    /* A signal such as SIGCONT must not end the wait. */
    while (!(l->stop && l->stop(l->user)) && ready <= 0 && (!ready || errno == EINTR))
        ready = poll(&p, 1, POLL_MS);
    if (l->stop && l->stop(l->user)) {
        l->ended = true;
        l->to = 0;
        return 0;
    }
    const ssize_t n = read(l->fd, l->buffer + l->to, l->capacity - l->to - 1);
    if (n < 0 && errno != EINTR && errno != EAGAIN)
        return ft_error_errno(err, "cannot read the list of inputs");
    l->to += n > 0 ? (size_t)n : 0;
    l->ended = n == 0;
    return 0;
}

int ft_lines_next(struct ft_lines *l, char **out, struct ft_error *err)
{
    for (;;) {
        const bool some = l->to > l->from; /* the buffer is NULL before the first bytes */
        char *begin = some ? l->buffer + l->from : NULL;
        char *end = some ? memchr(begin, l->end, l->to - l->from) : NULL;
        if (some && !end && l->ended)
            end = l->buffer + l->to; /* the last record may lack its end byte */
        if (end) {
            l->from = (size_t)(end - l->buffer) + (end < l->buffer + l->to);
            *end = 0;
            *out = begin;
            return 1;
        }
        const int rc = l->ended ? 0 : fill(l, err);
        if (rc || (l->ended && l->to == l->from))
            return rc;
    }
}

void ft_lines_release(struct ft_lines *l)
{
    if (l->fd > STDIN_FILENO)
        close(l->fd);
    free(l->buffer);
    *l = (struct ft_lines){ 0 };
}
