/* Bytes that ride along in an HDF5 file as one root dataset of uint8, which Keras does not look at.
 */
#ifndef FT_KERAS_BLOB_H
#define FT_KERAS_BLOB_H

#include <stddef.h>
#include <stdint.h>

#include "finetune.h"

/* Adds the dataset to a file that is there. Writes straight to `path`: the caller replaces
 * atomically. */
int ft_blob_write(const char *path, const char *name, const void *data, size_t size,
                  struct ft_error *err);
/* *data (free() it) is NULL where there is none. FT_EFORMAT where it is no plain list of bytes, or
 * longer than `limit`. */
int ft_blob_read(const char *path, const char *name, size_t limit, uint8_t **data, size_t *size,
                 struct ft_error *err);

#endif
