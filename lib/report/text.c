#include "report/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "finetune-tools.h"

void ft_text_fail(struct ft_text *t)
{
    free(t->s);
    *t = (struct ft_text){ .failed = true };
}

void ft_text_add(struct ft_text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int n = t->failed ? -1 : vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0)
        return;
    if (t->n + (size_t)n + 1 > t->capacity) {
        const size_t capacity = 2 * (t->n + (size_t)n + 1);
        char *s = realloc(t->s, capacity);
        if (!s) {
            ft_text_fail(t);
            return;
        }
        t->s = s;
        t->capacity = capacity;
    }
    va_start(args, format);
    vsnprintf(t->s + t->n, (size_t)n + 1, format, args);
    va_end(args);
    t->n += (size_t)n;
}

bool ft_csv_is_formula(const char *text)
{
    return *text && strchr("=+-@\t\r", *text);
}

int ft_text_columns(const char *s)
{
    int n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}
