/* Matrices with more rows than memory may hold. The rows are in a scratch file without a name,
 * which the system deletes when the process ends. */
#ifndef FT_BASE_MATRIX_H
#define FT_BASE_MATRIX_H

#include "finetune-tools.h"

/* Creates a scratch file in the folder `dir` (NULL: $TMPDIR, else /var/tmp) and reserves `bytes` of
 * disk space, if the file system supports that. */
int ft_scratch_new(const char *dir, uint64_t bytes, struct ft_scratch **out, struct ft_error *err);
void ft_scratch_free(struct ft_scratch *scratch);
int ft_scratch_append(struct ft_scratch *scratch, const void *data, size_t size,
                      struct ft_error *err);

/* Rows [from, from + rows) of a matrix, as [rows, d]. They are borrowed from a matrix in memory;
 * otherwise they are read into room [rows, d], and the system starts to read the rows that follow.
 * Thread-safe. If reading fails, the rows are zero and ft_matrix_status returns an error from then
 * on. */
const float *ft_matrix_rows(const struct ft_matrix *matrix, size_t from, size_t rows, float *room);
/* Copies the last `columns` columns of all rows to *out [n, columns], which must be freed with
 * free(). */
int ft_matrix_last(const struct ft_matrix *matrix, int columns, float **out, struct ft_error *err);
int ft_matrix_status(const struct ft_matrix *matrix, struct ft_error *err);

#endif
