/* Reads the records of a file or pipe. Each record ends in a given byte. Waiting for a pipe can be
 * cancelled. */
#ifndef FT_DATASET_LINES_H
#define FT_DATASET_LINES_H

#include "finetune-tools.h"

struct ft_lines {
    int fd;
    char end; /* '\n' or 0 */
    bool (*stop)(void *user);
    void *user;
    char *buffer;
    size_t from, to, capacity; /* bytes that were read but not yet returned */
    bool ended;
};

/* The path "-" means standard input. `stop` (nullable) is called while waiting; if it returns true,
 * the records end. */
int ft_lines_open(const char *path, char end, bool (*stop)(void *user), void *user,
                  struct ft_lines *out, struct ft_error *err);
/* Returns 1 and the next record without its end byte (borrowed until the next call), 0 at the end,
 * or a negative FT_E... */
int ft_lines_next(struct ft_lines *lines, char **out, struct ft_error *err);
void ft_lines_release(struct ft_lines *lines);

#endif
