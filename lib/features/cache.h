/* The part of the cache that the extraction uses: features by the content of the picture, kept
 * between runs. The public part is in finetune/features.h.
 *
 *     <folder>/features/<key>/<time>-<process>.ftc
 *
 * A key is a hash of everything except the picture that a feature depends on. Segments are
 * immutable and have unique names, so any number of processes can share a folder without locks. If
 * a process does not know a segment of another process yet, it computes the features again. */
#ifndef FT_FEATURES_CACHE_H
#define FT_FEATURES_CACHE_H

#include "finetune-tools.h"

#define FT_CACHE_SUBFOLDER "features"

/* Reads the index of the features of length d under `key`. Does nothing if the key is the same as
 * before. A failure turns the cache off, with a warning. */
void ft_cache_select(struct ft_cache *cache, const uint64_t key[2], int d);
/* Copies the feature [d] of the picture with this content, and whether its file has more frames or
 * pages. Returns false if it is not known, or if the picture has more than max_pixels. May be
 * called by any thread. */
bool ft_cache_find(struct ft_cache *cache, const uint64_t content[2], uint64_t max_pixels,
                   float *feature, bool *more);
/* Keeps a feature that was computed. May be called by any thread. */
void ft_cache_add(struct ft_cache *cache, const uint64_t content[2], uint64_t pixels, bool more,
                  const float *feature);

/* Makes a folder and its parents with mode 0700, which the XDG specification requires. */
int ft_cache_make_folder(const char *path, struct ft_error *err);
/* The folder of a cache that is opened with NULL. Must be freed with free(). */
int ft_cache_default_folder(char **out, struct ft_error *err);
/* The sorted names of the segments in a folder, freed with ft_cache_free_list. Removes unfinished
 * segments that are older than `age` seconds. */
int ft_cache_list(int folder, double age, char ***names, size_t *n, struct ft_error *err);
void ft_cache_free_list(char **names, size_t n);

/* A row of a segment. Of several rows with the same content, only the row in the last segment is
 * valid. */
struct ft_cache_row {
    uint64_t content[2], pixels, check;
    uint32_t segment, row; /* segment: index into the names */
    bool removed;          /* its segment was removed */
};
/* Sorts rows by content. Of rows with the same content that are not removed, the valid one comes
 * first. */
void ft_cache_sort_rows(struct ft_cache_row *rows, size_t n);
/* The number of distinct contents in sorted rows. `left`: without removed rows. */
size_t ft_cache_distinct(const struct ft_cache_row *rows, size_t n, bool left);
/* Writes the valid rows of small segments, and of segments with invalid rows, into fewer new
 * segments. New segments are written and synced before old ones are removed. rows [n] are sorted;
 * the segments names [n_names] contain counts [n_names] rows of length d each. A segment with count
 * 0 is not changed. *merged is the number of segments that were removed. */
int ft_cache_merge(int folder, const uint64_t key[2], uint32_t d, char *const *names,
                   const size_t *counts, size_t n_names, struct ft_cache_row *rows, size_t n,
                   uint64_t *merged, struct ft_error *err);

#endif
