/* A string that grows. After running out of memory it stays NULL and further additions do nothing.
 */
#ifndef FT_REPORT_TEXT_H
#define FT_REPORT_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct ft_text {
    char *s; /* malloc'd, ends in NUL; NULL: nothing yet, or failed */
    size_t n, capacity;
    bool failed;
};

void ft_text_add(struct ft_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The columns that a UTF-8 string takes on a terminal, where every character takes one. */
int ft_text_columns(const char *s);

#endif
