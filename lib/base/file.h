/* Reading whole files and replacing files atomically. */
#ifndef FT_BASE_FILE_H
#define FT_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "finetune-tools.h"

struct ft_bytes {
    uint8_t *data; /* malloc'd */
    size_t size;
    size_t capacity;
};

/* Reads a regular file of at most `limit` bytes into `bytes`, and reuses its buffer. The messages
 * do not name the file; the caller adds the name. */
int ft_file_read(const char *path, size_t limit, struct ft_bytes *bytes, struct ft_error *err);
void ft_bytes_release(struct ft_bytes *bytes);

/* To replace a file, write to the temporary file `path`, which is in the same directory, and then
 * commit (fsync, rename) or abort (unlink). A crash or a full disk at any moment leaves the old
 * file intact. */
struct ft_replacement {
    char *path;   /* of the temporary file, which is empty at first; its mode follows the umask */
    char *target; /* of the file to replace */
};
int ft_replace_begin(const char *path, struct ft_replacement *out, struct ft_error *err);
int ft_replace_commit(struct ft_replacement *replacement, struct ft_error *err);
/* Does nothing after a commit and on a zeroed struct. */
void ft_replace_abort(struct ft_replacement *replacement);
/* Replaces `path` by a file of these bytes. On failure the old file is unchanged. */
int ft_file_replace(const char *path, const void *data, size_t size, struct ft_error *err);

/* The 128-bit XXH3 hash of `size` bytes, used as the key of a file's content. */
void ft_hash(const void *data, size_t size, uint64_t out[2]);

#endif
