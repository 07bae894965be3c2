/* Runs a function where it can do no harm: in a child process that may read files, allocate a
 * limited amount of memory, compute for a limited time, and return bytes. It is for libraries
 * that crash, loop or allocate without end on damaged or crafted files.
 *
 * The child is a fork() of the calling process, so that a program which only links the library
 * needs no executable of ours. On Linux a seccomp filter leaves it the system calls of reading and
 * of memory; elsewhere it has the limits alone. If fork() fails, so does the call: the function
 * never runs in the calling process. A process with threads may call it: the function must then
 * use no lock that another thread may hold, except the allocator's, which survives fork().
 */
#ifndef FT_BASE_ISOLATE_H
#define FT_BASE_ISOLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "finetune.h"

/* The bytes that the child returns, in memory that it shares with its parent. */
struct ft_outbox {
    uint8_t *base; /* [capacity] */
    uint64_t capacity, size;
    bool failed; /* sticky: more bytes than the capacity */
};
/* Appends bytes; failure is sticky. */
void ft_outbox_write(struct ft_outbox *outbox, const void *data, size_t size);
/* Appends zeros up to a multiple of `alignment` (at most 64). */
void ft_outbox_align(struct ft_outbox *outbox, size_t alignment);

struct ft_isolated {
    long child;      /* process; 0: none */
    uint8_t *outbox; /* [capacity] shared with the child */
    uint64_t capacity;
    uint64_t memory; /* limits, for the message */
    uint64_t ms;
    bool reported; /* after ft_isolated_end: the error is the one that `work` set */
};

/* As `size`: no limits and no filter. If memory runs out, it is the child that crashes. */
#define FT_ISOLATED_TRUSTED UINT64_MAX

/* Starts work(user, outbox, err) in a child. `size` is the size in bytes of the file that it
 * reads: memory and time are limited in proportion to it. The caller must call ft_isolated_end or
 * ft_isolated_abandon. Returns 0, FT_ENOMEM or FT_EIO. */
int ft_isolated_begin(struct ft_isolated *isolated, uint64_t size,
                      int (*work)(void *user, struct ft_outbox *outbox, struct ft_error *err),
                      void *user, struct ft_error *err);
/* Waits for the child. On success *bytes [*n] is a private mapping of what it returned, which the
 * caller releases with ft_isolated_unmap. These bytes must not be trusted. A failure of `work`
 * is returned as it is; FT_ELIMIT: it used more memory or time than it may have; FT_EFORMAT: it
 * crashed. Messages do not name the file. */
int ft_isolated_end(struct ft_isolated *isolated, uint8_t **bytes, size_t *n, struct ft_error *err);
/* Ends the child and discards its results. */
void ft_isolated_abandon(struct ft_isolated *isolated);
void ft_isolated_unmap(uint8_t *bytes, size_t n);

#endif
