/* Operations on tensors that a functional network has beside layers: keras.ops of Keras 3,
 * TFOpLambda of Keras 2.
 */
#ifndef FT_KERAS_OPERATIONS_H
#define FT_KERAS_OPERATIONS_H

#include "keras/draft.h"

/* `entry` is the JSON of a layer. */
bool ft_is_operation(const cJSON *entry);
/* Finds the operation in the table; it is turned into layers once its inputs are known. */
int ft_operation_parse(const cJSON *entry, struct ft_draft_layer *out, struct ft_error *err);
/* Whether the operation has several outputs, each of which is a layer of the draft. */
bool ft_operation_has_parts(const struct ft_keras_operation *operation);
/* Replaces all operations by layers that both Keras 2 and Keras 3 have, and calls
 * ft_layer_class.build. New layers are at the end of the draft, which must be sorted afterwards. */
int ft_operations_build(struct ft_draft *draft, struct ft_error *err);

#endif
