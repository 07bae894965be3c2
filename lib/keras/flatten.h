/* Models that call each other become one list of layers. */
#ifndef FT_KERAS_FLATTEN_H
#define FT_KERAS_FLATTEN_H

#include "keras/config.h"
#include "keras/draft.h"

/* Fills draft->layers, n, n_origins and output: every call of a model is replaced by the calls of
 * its members, and a shared layer is repeated for each call. On failure the draft is half-built and
 * must be released. */
int ft_model_config_flatten(const struct ft_model_config *m, struct ft_draft *draft,
                            struct ft_error *err);

#endif
