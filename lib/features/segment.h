/* A segment is one immutable file of features, written beside its final name, synced and renamed.
 * Native byte order:
 *
 *     header      64 bytes
 *     rows        [n] struct ft_segment_row
 *     features    [n, d] float32
 *
 * The header holds a check of itself and the rows, every row holds one of its features: opening a
 * segment reads 32 bytes a picture, and damage anywhere is noticed where it matters. */
#ifndef FT_FEATURES_SEGMENT_H
#define FT_FEATURES_SEGMENT_H

#include <stddef.h>
#include <stdint.h>

#include "finetune-tools.h"

#define FT_SEGMENT_ENDING    ".ftc"
#define FT_SEGMENT_TEMPORARY "tmp-" /* how the name of an unfinished segment begins */

struct ft_segment_row {
    uint64_t content[2]; /* ft_hash of the picture's file */
    uint64_t pixels;     /* width times height of the picture */
    uint64_t check;      /* of its features */
};

uint64_t ft_segment_check(const float *feature, size_t d);
/* Rows of segment `name` in the directory `folder`, malloc'd. FT_EFORMAT: damaged, or of another
 * key or length. `key` NULL, *d 0: any. */
int ft_segment_read(int folder, const char *name, const uint64_t *key, uint32_t *d,
                    struct ft_segment_row **rows, size_t *n, struct ft_error *err);
/* feature [d] of row i of n: 0; FT_EIO where the file has gone; FT_EFORMAT where the check is
 * wrong. */
int ft_segment_feature(int folder, const char *name, size_t n, size_t i, size_t d, uint64_t check,
                       float *feature);
/* Writes a segment under a name of its own, later than all before it in the order of bytes; `name`
 * receives it. x [n, d]. */
int ft_segment_write(int folder, const uint64_t key[2], uint32_t d,
                     const struct ft_segment_row *rows, size_t n, const float *x, char name[64],
                     struct ft_error *err);

#endif
