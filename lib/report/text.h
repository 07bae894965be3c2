/* A string that grows. If memory runs out, `s` becomes NULL and further additions do nothing, so
 * that an incomplete text is never used. */
#ifndef FT_REPORT_TEXT_H
#define FT_REPORT_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct ft_text {
    char *s; /* malloc'd, ends in NUL; NULL: empty, or memory ran out */
    size_t n, capacity;
    bool csv_safe; /* see ft_csv_is_formula */
    bool failed;
};

void ft_text_add(struct ft_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Memory for a part of the text has run out: as if an addition had failed. */
void ft_text_fail(struct ft_text *text);
/* The number of terminal columns of a UTF-8 string; every character counts as one. */
int ft_text_columns(const char *s);

#endif
