/* The bytes of a file in private memory. A mapping would end the process if another program cut
 * the file short, and would show what another program writes into it. Only those parts of the
 * file are read that are needed. All functions may be called by several threads at once, except
 * ft_snapshot_open and ft_snapshot_free, and by a child process after fork().
 */
#ifndef FT_BASE_SNAPSHOT_H
#define FT_BASE_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "finetune-tools.h"

struct ft_snapshot;

/* Opens a regular file that is not empty. Reads nothing yet. Messages do not name the file. */
int ft_snapshot_open(const char *path, struct ft_snapshot **out, struct ft_error *err);
/* The same file with every two bytes widened to a float: the bytes at an even offset o are the
 * float at offset 2 o, from an IEEE half or from a bfloat16. `of` must outlive it. Returns NULL if
 * memory runs out. */
struct ft_snapshot *ft_snapshot_widen(const struct ft_snapshot *of, bool bfloat16);
void ft_snapshot_free(struct ft_snapshot *snapshot);
/* Says that the bytes [offset, offset + size) are needed, until ft_snapshot_done is called with the
 * same bytes. Bytes beyond the end are ignored. */
void ft_snapshot_want(struct ft_snapshot *snapshot, size_t offset, size_t size);
/* Says that one caller of ft_snapshot_want does not need the bytes any more. They stay in memory
 * until more than 64 MB of all snapshots are in memory that nobody needs; then these are released.
 */
void ft_snapshot_done(struct ft_snapshot *snapshot, size_t offset, size_t size);
/* Reads the bytes that are wanted, unless they are in memory; other bytes may be zeros. Fails with
 * FT_EIO if the size, the time or the inode of the file has changed since it was opened. */
int ft_snapshot_load(struct ft_snapshot *snapshot, struct ft_error *err);
/* Fails with FT_EIO if `path` is not the file that was opened, unchanged. */
int ft_snapshot_check(const struct ft_snapshot *snapshot, const char *path, struct ft_error *err);
/* Releases the memory of all bytes that nobody needs. */
void ft_snapshot_trim(struct ft_snapshot *snapshot);
/* The address of the bytes, also while they are not loaded. */
const uint8_t *ft_snapshot_bytes(const struct ft_snapshot *snapshot, size_t *size);

#endif
