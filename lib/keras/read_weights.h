/* Weights of a file to the layers of a draft. */
#ifndef FT_KERAS_READ_WEIGHTS_H
#define FT_KERAS_READ_WEIGHTS_H

#include "keras/draft.h"

/* Weights of all layers. `group` is that of a legacy layout, which holds one group for each
 * outermost layer; 0: the layout of Keras 3 (.weights.h5). Tensors are mapped where possible;
 * `storage` owns the others. Draft layers that are `derived` also take their filters and units from
 * the weights. */
int ft_weights_read(const struct ft_h5 *h5, int64_t group, struct ft_draft *draft,
                    struct ft_storage *storage, struct ft_error *err);

#endif
