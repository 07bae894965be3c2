/* What the writers of Keras files share: write.c (HDF5) and write_archive.c (.keras). Groups are
 * identifiers of HDF5. */
#ifndef FT_KERAS_WRITE_H
#define FT_KERAS_WRITE_H

#include <stdint.h>

#include "network/network.h"

/* The configuration of layers order [n], as JSON; of an archive: in the dialect of Keras 3. Must be
 * freed with free(). Returns NULL if memory runs out. */
char *ft_write_config(const struct ft_network *network, const int *order, int n, bool archive);
/* Refuses names of layers that cannot be the name of a group. */
int ft_write_check_names(const struct ft_network *network, struct ft_error *err);
/* The settings of a new file with equal bytes for equal input. Must be closed with H5Pclose(). */
int64_t ft_write_access(void);
/* A dataset at "a/b/name" below the group. Returns 0 or FT_EIO. */
int ft_write_tensor(int64_t group, const char *name, const struct ft_tensor *tensor);
/* A string attribute of any length. Returns 0 or FT_EIO. */
int ft_write_text(int64_t at, const char *name, const char *text);

#endif
