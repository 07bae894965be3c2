/* One layer of a configuration to one layer of a draft. */
#ifndef FT_KERAS_READ_LAYER_H
#define FT_KERAS_READ_LAYER_H

#include "keras/config.h"
#include "keras/draft.h"

/* One call of a layer; `node` is nullable. The caller releases `out`, on failure too. */
int ft_draft_layer_parse(const struct ft_member *member, const cJSON *node,
                         struct ft_draft_layer *out, struct ft_error *err);
/* The input of a model that begins without an InputLayer; the caller releases `out`, on failure
 * too. */
int ft_draft_layer_input(const struct ft_model_config *m, struct ft_draft_layer *out,
                         struct ft_error *err);

#endif
