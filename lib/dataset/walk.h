/* Looking into directories: what datasets and lists of inputs share. */
#ifndef FT_DATASET_WALK_H
#define FT_DATASET_WALK_H

#include "finetune.h"

#define FT_WALK_DEPTH 64 /* directories inside one another; deeper ones are not entered */

/* Whether a file is taken for a picture: its first bytes are a picture's, or its name is. */
bool ft_walk_candidate(const char *path, const char *name);
/* The names in a directory, sorted by bytes, without hidden ones and __MACOSX (metadata in archives
 * made by macOS); must be freed with ft_walk_free_names. */
int ft_walk_names(const char *path, char ***out, size_t *count, struct ft_error *err);
void ft_walk_free_names(char **names, size_t n);
/* "dir/name", malloc'd; NULL when out of memory. */
char *ft_walk_join(const char *dir, const char *name);

#endif
