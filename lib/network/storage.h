/* The memory that contains the tensors of a network. A reader adds heap blocks, and optionally one
 * source of its own (a mapped file) with the function that releases it. The network owns the
 * storage, so other rooms need not know which reader made it. */
#ifndef FT_NETWORK_STORAGE_H
#define FT_NETWORK_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "finetune.h"

/* How a source gives memory that it reads from a file when it is needed. Memory that does not
 * belong to the source is ignored. All may be called by several threads at once. */
struct ft_storage_source {
    /* The memory is needed, until `done` is called for it as often. */
    void (*want)(void *source, const void *memory, size_t size);
    void (*done)(void *source, const void *memory, size_t size);
    /* Reads what is wanted, unless it is in memory. */
    int (*load)(void *source, struct ft_error *err);
    /* Releases what nobody needs. */
    void (*trim)(void *source);
};

/* The bytes [size] of a file that tensors may point into as they are. */
struct ft_storage_file {
    const uint8_t *bytes; /* borrowed */
    size_t size;
};

/* Values that file number `file` has as two bytes each, from byte `offset` on. */
struct ft_narrow {
    const float *values; /* [count] in a block of the storage */
    size_t count;
    int file;
    uint64_t offset;
    bool bfloat16; /* else IEEE half */
};

/* A zeroed struct is an empty storage. */
struct ft_storage {
    void **blocks; /* [n] from malloc, owned */
    size_t n, capacity;
    void *source;                  /* owned by the storage once `release` is set; nullable */
    void (*release)(void *source); /* called once, after the blocks are freed; nullable */
    const struct ft_storage_source *reading; /* NULL: all memory is always there */
    struct ft_storage_file *files; /* [n_files] owned; the first is the one that was opened */
    size_t n_files, files_capacity;
    struct ft_narrow *narrow; /* [n_narrow] owned */
    size_t n_narrow, narrow_capacity;
};

/* Takes ownership of a block from malloc (NULL is ignored). On failure the block is freed.
 * Returns 0 or FT_ENOMEM. */
int ft_storage_add(struct ft_storage *storage, void *block);
/* Appends a file to storage->files. Returns 0 or FT_ENOMEM. */
int ft_storage_add_file(struct ft_storage *storage, const uint8_t *bytes, size_t size);
/* The number of the file that contains the byte at `memory`; -1 if none does. */
int ft_storage_file_of(const struct ft_storage *storage, const void *memory);
/* Says that the values are in a file of the storage, too. Returns 0 or FT_ENOMEM. */
int ft_storage_add_narrow(struct ft_storage *storage, const struct ft_narrow *narrow);
/* n floats, owned by the storage. Returns NULL if memory runs out. */
float *ft_storage_alloc(struct ft_storage *storage, size_t n);
/* Moves all memory of `from` to `to`, which may have a source already; `from` is empty afterwards.
 * Returns 0, or FT_ENOMEM; then both are unchanged. */
int ft_storage_join(struct ft_storage *to, struct ft_storage *from);
/* Frees everything and leaves an empty storage. */
void ft_storage_release(struct ft_storage *storage);

#endif
