/* Takes from the calling process what a reader of a file does not need. */
#ifndef FT_BASE_SANDBOX_H
#define FT_BASE_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

/* For a child of fork(). It keeps no descriptor, can write to none, may open files for
 * reading, and have `memory` bytes of private memory. Every other system call fails
 * where the system has seccomp. Under a sanitizer, which needs more of both, only the descriptors
 * are closed. False: a limit could not be set. */
bool ft_sandbox_enter(uint64_t memory);

/* Whether valgrind watches the process. It runs inside, so that it would fall under the limits on
 * memory and time: there are none then. */
bool ft_sandbox_watched(void);

#endif
