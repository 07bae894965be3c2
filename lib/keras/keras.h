/* Keras files: full-model .h5, .keras, legacy weights-only .h5 and .weights.h5. The only room that
 * knows Keras.
 */
#ifndef FT_KERAS_KERAS_H
#define FT_KERAS_KERAS_H

#include "network/reader.h"

extern const struct ft_reader ft_keras_reader;

/* Reads a Keras file of any supported layout; the contract is that of ft_reader.open. */
int ft_keras_open(const char *path, const struct ft_reader_options *options,
                  struct ft_network **out, struct ft_error *err);

/* Writes full-model legacy Keras HDF5 in the minimal dialect that Keras 2 and 3 both open, with
 * `attribute` (nullable) as root attribute `finetune`. Equal input gives equal bytes. Writes
 * straight to `path`: the caller replaces files atomically. */
int ft_keras_write(const struct ft_network *network, const char *attribute, const char *path,
                   struct ft_error *err);

/* Writes a .keras archive of Keras 3, with the same contract. The attribute is in model.weights.h5.
 * Returns FT_EUNSUPPORTED if the program was built without libzip. */
int ft_keras_write_archive(const struct ft_network *network, const char *attribute,
                           const char *path, struct ft_error *err);

#endif
