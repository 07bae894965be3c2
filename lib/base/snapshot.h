/* The bytes of a file in private memory. A mapping would end the process if another program cut
 * the file short, and would show what another program writes into it.
 */
#ifndef FT_BASE_SNAPSHOT_H
#define FT_BASE_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "finetune-tools.h"

struct ft_snapshot;

/* Opens a regular file that is not empty; reads nothing yet. Messages do not name the file. */
int ft_snapshot_open(const char *path, struct ft_snapshot **out, struct ft_error *err);
void ft_snapshot_free(struct ft_snapshot *snapshot);
/* Reads the whole file unless that was done. Fails with FT_EIO if its size, time or place on the
 * disk have changed since it was opened. Any thread. */
int ft_snapshot_load(struct ft_snapshot *snapshot, struct ft_error *err);
/* Whether `path` still is the file that was opened, unchanged. FT_EIO: it is not. */
int ft_snapshot_check(const struct ft_snapshot *snapshot, const char *path, struct ft_error *err);
/* Gives the memory back. The bytes may not be used until they are loaded again. */
void ft_snapshot_unload(struct ft_snapshot *snapshot);
/* Where the bytes are, also while they are not loaded. */
const uint8_t *ft_snapshot_bytes(const struct ft_snapshot *snapshot, size_t *size);

#endif
