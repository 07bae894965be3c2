/* Watches a directory for new pictures. A picture is returned when it is complete: when it is
 * closed after writing, or moved into the directory. */
#ifndef FT_DATASET_WATCH_H
#define FT_DATASET_WATCH_H

#include "finetune-tools.h"

struct ft_watch;

/* Also watches the directories below `dir`, those that exist and those that will be created, except
 * hidden ones and `except` (nullable). */
int ft_watch_open(const char *dir, const char *except, struct ft_watch **out, struct ft_error *err);
void ft_watch_free(struct ft_watch *watch);
/* Waits for the next picture and returns its path (borrowed until the next call). Returns NULL when
 * `stop` (nullable) returns true or the directory is removed. */
const char *ft_watch_next(struct ft_watch *watch, bool (*stop)(void *user), void *user);

#endif
