/* Reading directories, for datasets, lists of inputs and watches. */
#ifndef FT_DATASET_WALK_H
#define FT_DATASET_WALK_H

#include "finetune-tools.h"

/* The limit of nested directories. No path is long enough for more. */
#define FT_WALK_DEPTH 2048

/* Whether a path that is no directory counts as a picture. A regular file does if its first bytes
 * or its name are those of a picture format. Anything else (a broken link, a FIFO, a socket, a
 * device) is not opened: its name decides, and extraction reports what is wrong with it. `st` is
 * the result of stat(), NULL if that failed. */
struct stat;
bool ft_walk_candidate(const char *path, const char *name, const struct stat *st);
/* The names in a directory, sorted by bytes, without hidden ones and __MACOSX (metadata in archives
 * made by macOS); free them with ft_walk_free_names. */
int ft_walk_names(const char *path, char ***out, size_t *count, struct ft_error *err);
void ft_walk_free_names(char **names, size_t n);
/* "dir/name", which must be freed with free(). Returns NULL if memory runs out. */
char *ft_walk_join(const char *dir, const char *name);

#endif
