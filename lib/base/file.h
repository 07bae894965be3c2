/* Reading whole files and replacing files atomically. */
#ifndef FT_BASE_FILE_H
#define FT_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "finetune.h"

struct ft_bytes {
    uint8_t *data; /* malloc'd */
    size_t size;
    size_t capacity;
};

/* Reads a regular file of at most `limit` bytes into `bytes`, whose buffer is reused. Messages do
 * not name the file: the caller prefixes it. */
int ft_file_read(const char *path, size_t limit, struct ft_bytes *bytes, struct ft_error *err);
void ft_bytes_release(struct ft_bytes *bytes);

/* Replacing `path`: write to temporary->path (in the same directory), then commit (fsync, rename)
 * or abort (unlink). A crash or full disk at any moment leaves the old file intact. */
struct ft_replacement {
    char *path;   /* the temporary file, empty, mode as umask says */
    char *target; /* what commit renames it to */
};
int ft_replace_begin(const char *path, struct ft_replacement *out, struct ft_error *err);
int ft_replace_commit(struct ft_replacement *replacement, struct ft_error *err);
/* also fine after commit, or on a zeroed struct */
void ft_replace_abort(struct ft_replacement *replacement);
/* All in one: path holds exactly these bytes, or what it held before. */
int ft_file_replace(const char *path, const void *data, size_t size, struct ft_error *err);

/* 128-bit hash of bytes (XXH3), for content keys. */
void ft_hash(const void *data, size_t size, uint64_t out[2]);

#endif
