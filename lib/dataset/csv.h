/* Records of a table: CSV by RFC 4180, also with other separators and with blanks around fields. */
#ifndef FT_DATASET_CSV_H
#define FT_DATASET_CSV_H

#include <stddef.h>

/* The separator of the first record: ',', ';', tab or '|'; ' ' (any number of blanks) if it has
 * none of them. */
char ft_csv_separator(const char *text);
/* Splits one record of a text, which ends in NUL, in place into fields [*n], of which at most
 * `most` are kept. Blanks around a field without quotes are removed. Returns the start of the next
 * record, or NULL if a quote is not closed. */
char *ft_csv_record(char *text, char separator, char **fields, int most, int *n);

#endif
