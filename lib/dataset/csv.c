#include "dataset/csv.h"

#include <stdbool.h>
#include <string.h>

char ft_csv_separator(const char *text)
{
    static const char separators[] = ",;\t|";
    size_t counts[sizeof separators - 1] = { 0 }, best = 0;
    bool quoted = false;
    text += strspn(text, "\r\n");
    for (const char *s = text; *s && (quoted || (*s != '\n' && *s != '\r')); s++) {
        const char *found = quoted ? NULL : strchr(separators, *s);
        quoted ^= *s == '"';
        if (found)
            counts[found - separators]++;
    }
    for (size_t i = 1; i < sizeof counts / sizeof *counts; i++)
        best = counts[i] > counts[best] ? i : best;
    return counts[best] ? separators[best] : ' ';
}

static bool is_end(char c, char separator)
{
    return !c || c == separator || c == '\n' || c == '\r';
}

char *ft_csv_record(char *s, char separator, char **fields, int most, int *n)
{
    *n = 0;
    for (;;) {
        if (separator != '\t')
            s += strspn(s, " \t");
        else
            s += strspn(s, " ");
        char *to = s, *field = s, *kept = s; /* kept: trailing blanks are cut behind it */
        if (*s == '"') {
            for (s++; *s && (*s != '"' || s[1] == '"'); s++) {
                s += *s == '"';
                *to++ = *s;
            }
            if (!*s)
                return NULL;
            s++;
            kept = to;
        }
        for (; !is_end(*s, separator); s++) {
            *to++ = *s;
            kept = *s == ' ' || *s == '\t' ? kept : to;
        }
        if (separator == ' ') /* blanks at the end of a record are not a separator */
            while (*s == ' ' && is_end(s[1 + strspn(s + 1, " \t")], 0))
                s += 1 + strspn(s + 1, " \t");
        const char end = *s;
        if (end == '\r' && s[1] == '\n')
            s++;
        if (*s)
            s++;
        *kept = 0;
        if (*n < most)
            fields[(*n)++] = field;
        if (end != separator)
            return s;
    }
}
