/* A .keras file: a zip archive of config.json and model.weights.h5. */
#ifndef FT_KERAS_ARCHIVE_H
#define FT_KERAS_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "finetune.h"

bool ft_archive_is(const uint8_t *map, size_t size);
/* From the archive that is mapped at map [size]: *config is the text of config.json (free() it),
 * *weights [*weights_size] a mapping of the unpacked model.weights.h5 (munmap() it).
 * FT_EUNSUPPORTED where the program was built without libzip. */
int ft_archive_read(const uint8_t *map, size_t size, char **config, uint8_t **weights,
                    size_t *weights_size, struct ft_error *err);

#endif
