/* Reading whole files and replacing files atomically. */
#ifndef FT_BASE_FILE_H
#define FT_BASE_FILE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "finetune-tools.h"

struct ft_bytes {
    uint8_t *data; /* malloc'd */
    size_t size;
    size_t capacity;
};

/* open(2) and openat(2), closed on exec. The descriptor is above 2: what is written to standard
 * output or error never goes into one of our files, even where a caller has closed those. -1 and
 * errno on failure. */
int ft_open(const char *path, int flags, mode_t mode);
int ft_open_at(int folder, const char *path, int flags, mode_t mode);
/* Moves a descriptor that another function made above 2; -1 stays -1. */
int ft_descriptor_raise(int fd);

/* Reads a regular file of at most `limit` bytes into `bytes`, whose buffer is reused. Messages do
 * not name the file: the caller prefixes it. */
int ft_file_read(const char *path, size_t limit, struct ft_bytes *bytes, struct ft_error *err);
void ft_bytes_release(struct ft_bytes *bytes);

/* Replacing `path`: write to replacement->path or ->fd, then commit (fsync, rename, fsync of the
 * directory) or abort. A crash, a signal or a full disk at any moment leaves the old file intact.
 * Signals that end a process (HUP, INT, QUIT, TERM) wait in the calling thread until commit or
 * abort, so that no temporary file is left; what a killed process left is removed by the next
 * replacement of the same file. Long writing asks ft_replace_interrupted in between. */
struct ft_replacement {
    char *path;       /* the temporary file, empty, mode as the umask says; NULL after commit */
    char *target;     /* what commit renames it to; NULL: there is no replacement */
    int fd;           /* of the temporary file, for reading and writing */
    sigset_t signals; /* the thread's mask before, if `blocked` */
    bool blocked;
};
int ft_replace_begin(const char *path, struct ft_replacement *out, struct ft_error *err);
int ft_replace_commit(struct ft_replacement *replacement, struct ft_error *err);
/* May follow commit; a zeroed struct is permitted, too. */
void ft_replace_abort(struct ft_replacement *replacement);
/* Whether a signal that ends the process waits. */
bool ft_replace_interrupted(const struct ft_replacement *replacement);
/* All in one: path holds exactly these bytes, or what it held before. */
int ft_file_replace(const char *path, const void *data, size_t size, struct ft_error *err);

/* The 128-bit XXH3 hash of `size` bytes, used as the key of a file's content. */
void ft_hash(const void *data, size_t size, uint64_t out[2]);

#endif
