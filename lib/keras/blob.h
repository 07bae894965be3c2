/* Bytes kept in an HDF5 file as one root dataset of uint8, which Keras ignores. */
#ifndef FT_KERAS_BLOB_H
#define FT_KERAS_BLOB_H

#include <stddef.h>
#include <stdint.h>

#include "finetune-tools.h"

/* Adds the dataset to an existing file. Writes straight to `path`: the caller replaces files
 * atomically. Returns FT_EIO on failure, also if the dataset exists. */
int ft_blob_write(const char *path, const char *name, const void *data, size_t size,
                  struct ft_error *err);
/* *data [*size] must be freed with free(); it is NULL if there is no such dataset. Returns
 * FT_EFORMAT if the dataset is not a plain list of bytes, or longer than `limit`. */
int ft_blob_read(const char *path, const char *name, size_t limit, uint8_t **data, size_t *size,
                 struct ft_error *err);

#endif
