/* A .keras file: a zip archive of config.json and model.weights.h5. */
#ifndef FT_KERAS_ARCHIVE_H
#define FT_KERAS_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "finetune-tools.h"

bool ft_archive_is(const uint8_t *map, size_t size);
/* Reads the archive that is mapped at map [size]. *config receives the text of config.json and must
 * be freed with free(); *weights [*weights_size] is a mapping of the unpacked model.weights.h5,
 * which the caller must unmap. Returns FT_EUNSUPPORTED if the program was built without libzip. On
 * failure the outputs are untouched. */
int ft_archive_read(const uint8_t *map, size_t size, char **config, uint8_t **weights,
                    size_t *weights_size, struct ft_error *err);

struct ft_archive_entry {
    const char *name;
    const void *data;
    size_t size;
};
/* Writes an archive of entries [n], uncompressed, straight to `path`. Returns FT_EUNSUPPORTED if
 * the program was built without libzip. */
int ft_archive_write(const char *path, const struct ft_archive_entry *entries, int n,
                     struct ft_error *err);

#endif
