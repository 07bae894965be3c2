/* A segment is one immutable file of features, written beside its final name, synced and renamed.
 * Native byte order:
 *
 *     header      64 bytes
 *     rows        [n] struct ft_segment_row
 *     features    [n, d] float32
 *
 * The header has a checksum of itself and the rows; each row has a checksum of its feature. So
 * opening a segment reads only 32 bytes for each picture, and damage of a feature is noticed when
 * it is read. */
#ifndef FT_FEATURES_SEGMENT_H
#define FT_FEATURES_SEGMENT_H

#include <stddef.h>
#include <stdint.h>

#include "finetune-tools.h"

#define FT_SEGMENT_ENDING    ".ftc"
#define FT_SEGMENT_TEMPORARY "tmp-" /* how the name of an unfinished segment begins */

/* The file of the picture has further frames or pages. Not set by versions up to 0.2. */
#define FT_SEGMENT_MORE (UINT64_C(1) << 63)

struct ft_segment_row {
    uint64_t content[2]; /* ft_hash of the picture's file */
    uint64_t pixels;     /* width times height of the picture, and FT_SEGMENT_MORE */
    uint64_t check;      /* checksum of its feature */
};

uint64_t ft_segment_check(const float *feature, size_t d);
/* Reads the rows of segment `name` in the directory `folder`. *rows must be freed with free().
 * Returns FT_EFORMAT if the segment is damaged, or has another key or length. `key` NULL and *d 0
 * accept any. */
int ft_segment_read(int folder, const char *name, const uint64_t *key, uint32_t *d,
                    struct ft_segment_row **rows, size_t *n, struct ft_error *err);
/* Reads the feature [d] of row i of n. Returns 0, FT_EIO if the file no longer exists or cannot be
 * read, or FT_EFORMAT if the checksum is wrong. */
int ft_segment_feature(int folder, const char *name, size_t n, size_t i, size_t d, uint64_t check,
                       float *feature);
/* Writes a segment with features x [n, d]. `name` receives its name, which is unique and comes
 * after all earlier names in the order of bytes. */
int ft_segment_write(int folder, const uint64_t key[2], uint32_t d,
                     const struct ft_segment_row *rows, size_t n, const float *x, char name[64],
                     struct ft_error *err);

#endif
