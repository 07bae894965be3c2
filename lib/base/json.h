/* Parsing JSON. */
#ifndef FT_BASE_JSON_H
#define FT_BASE_JSON_H

#include <stddef.h>

#include "finetune-tools.h"

struct cJSON;

/* Parses text [size]. *out must be freed with cJSON_Delete. cJSON returns NULL for both: here
 * FT_ENOMEM means that memory ran out, FT_EFORMAT that the text is not JSON. On failure *out is
 * untouched. */
int ft_json_parse(const char *text, size_t size, struct cJSON **out, struct ft_error *err);

#endif
