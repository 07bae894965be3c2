/* Rows of a dataset while it is built: paths with the text of their labels. */
#ifndef FT_DATASET_ROWS_H
#define FT_DATASET_ROWS_H

#include "finetune-tools.h"

struct ft_rows {
    struct ft_dataset *d; /* its paths and n are filled */
    char **labels;        /* [d->n] */
    size_t paths_capacity, labels_capacity;
};

/* Adds a row. Takes ownership of `path`, also on failure; NULL is reported as out of memory. On
 * success the rows store `label`; the caller frees all labels in the end. */
int ft_rows_add(struct ft_rows *rows, char *path, char *label, struct ft_error *err);
/* The distinct labels, sorted by bytes, become d->classes; d->labels become indices into them. */
int ft_rows_number(struct ft_rows *rows, struct ft_error *err);

#endif
