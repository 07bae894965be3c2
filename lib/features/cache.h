/* Features by the content of the picture, kept between runs: what extraction asks of the cache. The
 * public part is in finetune.h.
 *
 *     <folder>/features/<key>/<time>-<process>.ftc
 *
 * A key is everything but the picture that a feature depends on. Segments are immutable and have
 * names of their own, so that any number of processes share a folder without locks: one that a
 * process does not know yet is a miss, nothing worse. */
#ifndef FT_FEATURES_CACHE_H
#define FT_FEATURES_CACHE_H

#include "finetune-tools.h"

#define FT_CACHE_SUBFOLDER "features"

/* Reads the index of the features of length d under `key`; the same key again costs nothing.
 * Failure turns the cache off, with a warning. */
void ft_cache_select(struct ft_cache *cache, const uint64_t key[2], int d);
/* Any thread: feature [d] of the picture with this content, unless it has more than max_pixels. */
bool ft_cache_find(struct ft_cache *cache, const uint64_t content[2], uint64_t max_pixels,
                   float *feature);
/* Any thread: keeps a feature that was computed. */
void ft_cache_add(struct ft_cache *cache, const uint64_t content[2], uint64_t pixels,
                  const float *feature);

/* Makes a folder and those above it, mode 0700 as XDG wants. */
int ft_cache_make_folder(const char *path, struct ft_error *err);
/* malloc'd: what NULL stands for as a cache's folder. */
int ft_cache_default_folder(char **out, struct ft_error *err);
/* Sorted names of segments in a folder, malloc'd; unfinished ones that are older than `age` seconds
 * are removed on the way. */
int ft_cache_list(int folder, double age, char ***names, size_t *n, struct ft_error *err);
void ft_cache_free_list(char **names, size_t n);

/* A row of some segment of a folder; of rows with the same content the one in the last segment
 * counts. */
struct ft_cache_row {
    uint64_t content[2], pixels, check;
    uint32_t segment, row; /* segment: index into the names */
    bool removed;          /* its segment has gone */
};
/* Sorts rows by content, those that count first among equals that are not removed. */
void ft_cache_sort_rows(struct ft_cache_row *rows, size_t n);
/* Distinct contents among sorted rows, all of them or those that are left. */
size_t ft_cache_distinct(const struct ft_cache_row *rows, size_t n, bool left);
/* Rewrites small segments, and those with rows that do not count, into fewer: new ones are written
 * and synced before old ones go. rows [n] sorted, of segments names [n_names] that hold counts
 * [n_names] rows of length d each (0: not to be touched). *merged: old segments that went. */
int ft_cache_merge(int folder, const uint64_t key[2], uint32_t d, char *const *names,
                   const size_t *counts, size_t n_names, struct ft_cache_row *rows, size_t n,
                   uint64_t *merged, struct ft_error *err);

#endif
