/* Layers that Keras 2 and 3 do not both have, replaced by layers that both have. */
#ifndef FT_KERAS_COMPAT_H
#define FT_KERAS_COMPAT_H

#include "keras/draft.h"

/* Replaces hard_sigmoid (its slope differs between the two), hard_swish, activations inside a layer
 * that only one of them accepts there, and scaled sums (CustomScaleLayer) by several layers. New
 * layers are at the end of the draft, which must be sorted afterwards. */
int ft_draft_make_compatible(struct ft_draft *draft, struct ft_error *err);

#endif
