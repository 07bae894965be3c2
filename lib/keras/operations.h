/* Operations on tensors that a functional network has beside layers: keras.ops of Keras 3,
 * TFOpLambda of Keras 2.
 */
#ifndef FT_KERAS_OPERATIONS_H
#define FT_KERAS_OPERATIONS_H

#include "keras/draft.h"

/* `entry` is the JSON of a layer. */
bool ft_is_operation(const cJSON *entry);
/* The operation as a layer; out->node is the call. */
int ft_operation_parse(const cJSON *entry, struct ft_draft_layer *out, struct ft_error *err);

#endif
