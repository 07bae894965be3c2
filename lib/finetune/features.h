/* SPDX-License-Identifier: Apache-2.0
 *
 * Features of many pictures: extraction, the cache, and the rows that a training takes. */
#ifndef FINETUNE_FEATURES_H
#define FINETUNE_FEATURES_H

#include "finetune/backbone.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- features kept between runs -------------------------------------------------------------- */

/* A folder of features. The key of a feature is the content of the picture's file, the network and
 * the geometry: a renamed picture is found, an edited one is not. Any number of processes may share
 * a folder. If a process is killed, features that it had not written are lost, and nothing else.
 * One cache object serves one ft_extract at a time. */
struct ft_cache;
struct ft_cache_counts {
    uint64_t hits, computed; /* pictures of ft_extract: found, computed */
};
/* Creates the folder if it does not exist. `dir` NULL: $XDG_CACHE_HOME/finetune, or
 * ~/.cache/finetune. */
int ft_cache_open(const char *dir, struct ft_cache **out, struct ft_error *err);
void ft_cache_flush(struct ft_cache *cache); /* writes all features to the folder */
void ft_cache_free(struct ft_cache *cache);  /* flushes first */
struct ft_cache_counts ft_cache_counted(const struct ft_cache *cache);
/* Why features are not kept, for instance because the disk is full. NULL: they are kept. An
 * extraction does not fail if its cache fails. Owned by the cache. */
const char *ft_cache_warning(const struct ft_cache *cache);

/* The folder; owned by the cache. */
const char *ft_cache_folder(const struct ft_cache *cache);

struct ft_cache_info {
    char path[4096];
    /* What is in the folder after removals. entries: pictures, counted once for each network.
     * bytes: of features, and of ranges of int8 (ft_backbone_options.ranges_dir). */
    uint64_t entries, bytes, segments, damaged;
    uint64_t removed_entries, removed_bytes;
    uint64_t merged; /* how many segments fewer there are after merging */
};
/* Counts what is in the folder. Changes nothing. `dir` is that of ft_cache_open. */
int ft_cache_inspect(const char *dir, struct ft_cache_info *out, struct ft_error *err);
/* Removes all features, and ranges of int8. */
int ft_cache_clear(const char *dir, struct ft_cache_info *out, struct ft_error *err);
/* Removes segments (files of features) that are damaged or were not used for `days`, ranges of int8
 * that were not, and temporary files of killed processes. Merges small segments and removes
 * duplicates. Other processes may read the folder at the same time. If the process is killed,
 * nothing is lost. */
int ft_cache_prune(const char *dir, double days, struct ft_cache_info *out, struct ft_error *err);

/* ---- pictures to features -------------------------------------------------------------------- */

/* The result for one picture. All pointers are valid until the callback returns. */
struct ft_row {
    size_t index; /* position among the inputs, from 0 */
    const char *path;
    int status;           /* 0, or the FT_E... of a bad picture */
    const char *error;    /* the reason; "" if good */
    const float *feature; /* [d]; NULL if bad */
    uint64_t content[2];  /* hash of the file's bytes; 0, 0 if it could not be read */
    bool cached;          /* the feature came from the cache */
    bool more;            /* the file has further frames or pages, which are not used */
};

struct ft_extract_options {
    int threads;            /* 0: one per core */
    uint64_t max_pixels;    /* a larger picture is a bad picture. 0: 256 megapixels */
    struct ft_cache *cache; /* NULL: none */
    /* One picture at a time, divided among the threads: lower latency, lower throughput. */
    bool lone;
    /* Compute each picture at once, without waiting for a full batch. For a `next` that waits for
     * input. */
    bool prompt;
};

#define FT_EXTRACT_DEFAULTS FT_DEFAULTS

/* Computes the features of a stream of pictures. `next` returns the path of the next picture, which
 * must stay valid until the next call, or NULL at the end. `emit` receives one row for each
 * picture, in the order of the inputs; if it returns nonzero, the extraction ends with
 * FT_ECANCELLED. Each is called by one thread at a time, `next` and `emit` may run at the same
 * time, both on threads of the library. Memory does not depend on the number of inputs, features
 * not on the number of threads. `options` is nullable. */
int ft_extract(const struct ft_backbone *backbone, const struct ft_extract_options *options,
               const char *(*next)(void *user), int (*emit)(void *user, const struct ft_row *row),
               void *user, struct ft_error *err);

/* Borrowed rows of floats [n, d], in memory or in a scratch file. */
struct ft_scratch;
struct ft_matrix {
    size_t n;
    int d;
    const float *x;             /* [n, d]; NULL: in the file */
    struct ft_scratch *scratch; /* NULL: in memory */
};

/* Features kept for training: the good rows of an extraction. */
struct ft_features {
    size_t n;
    int d;
    float *x;                   /* [n, d]; NULL: in the scratch file */
    struct ft_scratch *scratch; /* NULL: in memory */
    char **paths;               /* [n] */
    int32_t *labels;            /* [n]; -1 without a class */
    uint64_t (*content)[2];     /* [n] */
    /* [n_blocks] columns of each layer's features; NULL: of one layer */
    int *blocks, n_blocks;
};
/* An empty set. Freed with ft_features_free. */
int ft_features_new(int d, struct ft_features **out, struct ft_error *err);
/* An empty set for at most `rows` rows. If a training on them would need more than `memory` bytes
 * (ft_features_bytes), the features go to a scratch file in the folder `dir` (NULL: $TMPDIR, else
 * /var/tmp). Its disk space is reserved here. It has no name, so it disappears with the process. */
int ft_features_new_bounded(int d, size_t rows, uint64_t memory, const char *dir,
                            struct ft_features **out, struct ft_error *err);
/* Copies the widths of the blocks of a backbone, whose features the rows are. */
int ft_features_set_blocks(struct ft_features *features, const struct ft_backbone *backbone,
                           struct ft_error *err);
/* The features of the last layer. *copy must be freed with free(); it is NULL if they are borrowed,
 * because there is one layer. */
int ft_features_last(const struct ft_features *features, struct ft_matrix *out, float **copy,
                     struct ft_error *err);
/* Of larger sets, features of the last layer only are the default: with many pictures the others
 * take long and gain little. */
#define FT_LAYERS_MOST 20000
/* Bytes that a training on `rows` rows needs: the features and a scaled copy. */
uint64_t ft_features_bytes(int d, size_t rows);
/* Borrows the rows until the next ft_features_append. */
struct ft_matrix ft_features_matrix(const struct ft_features *features);
/* Copies a good row. */
int ft_features_append(struct ft_features *features, const struct ft_row *row, int32_t label,
                       struct ft_error *err);
void ft_features_free(struct ft_features *features);
/* Writes an HDF5 file, replaced atomically: `features` [n, d] float32, `paths` [n] and `classes`
 * [k] UTF-8, `labels` [n] int32. */
int ft_features_save(const struct ft_features *features, char *const *classes, int n_classes,
                     const char *path, struct ft_error *err);

#ifdef __cplusplus
}
#endif
#endif
