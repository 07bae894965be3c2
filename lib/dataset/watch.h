/* Pictures as they arrive in a directory, each once it is completely written: closed after writing,
 * or moved in. */
#ifndef FT_DATASET_WATCH_H
#define FT_DATASET_WATCH_H

#include "finetune.h"

struct ft_watch;

/* Directories below `dir`, present and future, are watched too, except hidden ones and `except`
 * (may be NULL). */
int ft_watch_open(const char *dir, const char *except, struct ft_watch **out, struct ft_error *err);
void ft_watch_free(struct ft_watch *watch);
/* Waits for the next picture: its path (lent until the next call), or NULL once `stop` says so or
 * the directory has gone. */
const char *ft_watch_next(struct ft_watch *watch, bool (*stop)(void));

#endif
