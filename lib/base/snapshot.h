/* The bytes of a file in private memory. A mapping would end the process if another program cut
 * the file short, and would show what another program writes into it. Only those parts of the
 * file are read that are needed. All functions may be called by several threads at once, except
 * ft_snapshot_open and ft_snapshot_free.
 */
#ifndef FT_BASE_SNAPSHOT_H
#define FT_BASE_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "finetune-tools.h"

struct ft_snapshot;

/* Opens a regular file that is not empty. Reads nothing yet. Messages do not name the file. */
int ft_snapshot_open(const char *path, struct ft_snapshot **out, struct ft_error *err);
void ft_snapshot_free(struct ft_snapshot *snapshot);
/* Says that the bytes [offset, offset + size) are needed. Bytes beyond the end are ignored. */
void ft_snapshot_want(struct ft_snapshot *snapshot, size_t offset, size_t size);
/* Reads the bytes that are wanted, unless that was done; other bytes may be zeros. Fails with
 * FT_EIO if the size, the time or the inode of the file has changed since it was opened. */
int ft_snapshot_load(struct ft_snapshot *snapshot, struct ft_error *err);
/* Fails with FT_EIO if `path` is not the file that was opened, unchanged. */
int ft_snapshot_check(const struct ft_snapshot *snapshot, const char *path, struct ft_error *err);
/* Releases the memory. No bytes are wanted any more. */
void ft_snapshot_unload(struct ft_snapshot *snapshot);
/* The address of the bytes, also while they are not loaded. */
const uint8_t *ft_snapshot_bytes(const struct ft_snapshot *snapshot, size_t *size);

#endif
