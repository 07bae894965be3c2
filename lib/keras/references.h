/* References from a call of a layer to the outputs of others, in the forms of all Keras versions:
 * ["name", node, tensor, {}] and lists of these, {"args": [...], "kwargs": {}}, {"class_name":
 * "__keras_tensor__", ...}, {name: tensor}. Private to keras/. */
#ifndef FT_KERAS_REFERENCES_H
#define FT_KERAS_REFERENCES_H

#include <cjson/cJSON.h>

#include "finetune-tools.h"

/* Called with a reference: layer `name`, its call `node` (from 0), output `tensor` of it. A
 * constant may look like a reference; then it counts in *others. Returns 0 or an error. */
typedef int ft_reference_visitor(void *user, const char *name, const cJSON *node,
                                 const cJSON *tensor, int *others, struct ft_error *err);

/* Calls `each` for all references in `value`, in their order. Tensors may be keyword arguments.
 * *others counts arguments that are no references. */
int ft_references_visit(const cJSON *value, ft_reference_visitor *each, void *user, int *others,
                        struct ft_error *err);

#endif
