/* The interface of a reader of network files. Each room that reads a format defines one
 * `ft_reader`. The table of readers is in backbone/readers.c. */
#ifndef FT_NETWORK_READER_H
#define FT_NETWORK_READER_H

#include "network/network.h"

/* A zeroed struct is the default. */
struct ft_reader_options {
    /* folder of architectures (text files) for files of weights alone; nullable */
    const char *architectures;
    /* the architecture to use, without ".txt"; NULL: the one that fits */
    const char *architecture;
    /* rows and columns of the input, for formats whose weights depend on it. 0: as the file says */
    int size;
    /* the process ends after the network is sent, so files need not be closed, which would take
     * time */
    bool leave_open;
};

struct ft_reader {
    const char *name; /* "Keras" */
    /* Returns whether this reader reads the file, by its path and its first bytes [n]. */
    bool (*recognises)(const char *path, const uint8_t *start, size_t n);
    /* Bytes of other files that are read with the file at `path`; 0 if it is not of this format.
     * Memory and time of the process that reads it are limited in proportion to all of them. NULL
     * for a format of one file. */
    uint64_t (*bytes_beside)(const char *path);
    /* How many files have bytes that tensors may point into, in the order of storage.files, and the
     * path of file i, which must be freed with free() (NULL if memory runs out). File 0 is `path`
     * itself. Messages name the other files. Both NULL for a format of one file. */
    int (*count_files)(const char *path, int *n, struct ft_error *err);
    char *(*file)(const char *path, int i);
    /* Opens the file. `options` may be NULL. Error messages begin with the path in quotes. On
     * failure *out is untouched. */
    int (*open)(const char *path, const struct ft_reader_options *options, struct ft_network **out,
                struct ft_error *err);
};

#endif
