/* Looking into directories: what datasets and lists of inputs share. */
#ifndef FT_DATASET_WALK_H
#define FT_DATASET_WALK_H

#include "finetune.h"

/* Directories inside one another: more than any path has room for. */
#define FT_WALK_DEPTH 2048

/* Whether a file is taken for a picture: its first bytes are a picture's, or its name is. */
bool ft_walk_candidate(const char *path, const char *name);
/* The names in a directory but hidden ones, sorted by bytes; ft_walk_free_names frees them. */
int ft_walk_names(const char *path, char ***out, size_t *count, struct ft_error *err);
void ft_walk_free_names(char **names, size_t n);
/* "dir/name", malloc'd; NULL when out of memory. */
char *ft_walk_join(const char *dir, const char *name);

#endif
