/* Tall matrices that memory need not hold: their rows are in a scratch file without a name, which
 * goes when the process does. */
#ifndef FT_BASE_MATRIX_H
#define FT_BASE_MATRIX_H

#include "finetune.h"

/* A file in the folder `dir` (NULL: $TMPDIR, else /var/tmp) with `bytes` reserved on its disk,
 * where the file system can do that. */
int ft_scratch_new(const char *dir, uint64_t bytes, struct ft_scratch **out, struct ft_error *err);
void ft_scratch_free(struct ft_scratch *scratch);
int ft_scratch_append(struct ft_scratch *scratch, const void *data, size_t size,
                      struct ft_error *err);

/* Rows [from, from + rows) of a matrix, [rows, d]: lent by one in memory, else read into room
 * [rows, d], while the rows behind them are asked for already. Any thread. Where reading fails the
 * rows are zero, and ft_matrix_status says so from then on. */
const float *ft_matrix_rows(const struct ft_matrix *matrix, size_t from, size_t rows, float *room);
int ft_matrix_status(const struct ft_matrix *matrix, struct ft_error *err);

#endif
