/* Records of a file or pipe, ended by a byte; waiting for a pipe can be broken off. */
#ifndef FT_DATASET_LINES_H
#define FT_DATASET_LINES_H

#include "finetune.h"

struct ft_lines {
    int fd;
    char end; /* '\n' or 0 */
    bool (*stop)(void);
    char *buffer;
    size_t from, to, capacity; /* what is read and not yet given */
    bool ended;
};

/* path "-": standard input. */
int ft_lines_open(const char *path, char end, bool (*stop)(void), struct ft_lines *out,
                  struct ft_error *err);
/* 1 and the next record without its end (lent until the next call), 0 at the end, or a negative
 * FT_E... */
int ft_lines_next(struct ft_lines *lines, char **out, struct ft_error *err);
void ft_lines_release(struct ft_lines *lines);

#endif
