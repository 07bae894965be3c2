#include "keras/patterns.h"

#include <string.h>

bool ft_pattern_matches(const char *patterns, const char *name, size_t length)
{
    for (const char *at = patterns; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL) {
        const size_t n = strcspn(at, "|*");
        if ((n == length || (at[n] == '*' && n < length)) && !memcmp(at, name, n))
            return true;
    }
    return false;
}

int ft_pattern_first(const char *patterns)
{
    return (int)strcspn(patterns, "|*");
}
