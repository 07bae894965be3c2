/* model_config to a draft: the JSON becomes models with members (config.h), models are flattened
 * (flatten.h), and layers that only one Keras knows are replaced (compat.h).
 */
#ifndef FT_KERAS_READ_CONFIG_H
#define FT_KERAS_READ_CONFIG_H

#include "keras/draft.h"

/* Parses the text of model_config. Every layer is of a known class, every input is an index; the
 * order is the file's and layers may be unused. On failure *out is untouched. */
int ft_draft_parse(const char *text, struct ft_draft *out, struct ft_error *err);
/* The same from JSON, which the draft owns from now on; it is freed on failure too. */
int ft_draft_new(cJSON *json, struct ft_draft *out, struct ft_error *err);

#endif
