/* Finds the architecture of a file of weights alone. */
#ifndef FT_KERAS_ARCHITECTURE_MATCH_H
#define FT_KERAS_ARCHITECTURE_MATCH_H

#include "keras/draft.h"
#include "network/reader.h"

/* Finds the architecture that fits the weights in `group` (0: the layout of Keras 3). draft->name
 * and draft->preprocess are set, weights are not read. On failure *draft is untouched. */
int ft_architecture_draft(const struct ft_h5 *h5, int64_t group,
                          const struct ft_reader_options *options, struct ft_draft *draft,
                          struct ft_error *err);

#endif
