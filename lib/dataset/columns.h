/* Which columns of a table hold the paths and the labels. */
#ifndef FT_DATASET_COLUMNS_H
#define FT_DATASET_COLUMNS_H

#include "dataset/locate.h"
#include "finetune-tools.h"

enum { FT_COLUMNS_MOST = 4096 };
struct ft_columns {
    bool header;
    int path, label; /* label -1: one-hot */
    int n;           /* columns of the first record */
    char **names;    /* [n] the fields of the first record, owned */
    bool *hot;       /* [n] columns of 0 and 1, one of which is 1 in each row; owned */
};
/* Decides by the first records of `text` [not changed], in this order: the columns that the options
 * name, files that exist, well-known names, the values. */
int ft_columns_find(const char *text, char separator, const struct ft_table_options *options,
                    struct ft_locator *locator, const char *csv, struct ft_columns *out,
                    struct ft_error *err);
void ft_columns_release(struct ft_columns *columns);
/* 1 or 0 in a one-hot column; -1: another value. */
int ft_columns_hot(const char *value);

#endif
