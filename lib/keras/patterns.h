/* Names with alternatives: "gamma|variable*" matches "gamma" and everything that begins with
 * "variable".
 */
#ifndef FT_KERAS_PATTERNS_H
#define FT_KERAS_PATTERNS_H

#include <stdbool.h>
#include <stddef.h>

/* Whether `name` [length] matches one of the alternatives. `name` may hold any bytes. */
bool ft_pattern_matches(const char *patterns, const char *name, size_t length);
/* Length of the first alternative. */
int ft_pattern_first(const char *patterns);

#endif
