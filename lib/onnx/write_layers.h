/* Layers as ONNX nodes. Private to onnx/. */
#ifndef FT_ONNX_WRITE_LAYERS_H
#define FT_ONNX_WRITE_LAYERS_H

#include "onnx/message.h"

/* Appends the nodes of a layer whose inputs are the values inputs [layer->n_inputs]: maps as
 * [n, c, h, w], vectors as [n, c]; ranks [n_inputs] are 3 or 1. Returns the name of its output, ""
 * after an error, which m keeps. */
const char *ft_message_layer(struct ft_message *m, const struct ft_layer *layer,
                             const char *const *inputs, const int *ranks);

/* Multi-head attention over the pixels of a map. */
const char *ft_message_attention(struct ft_message *m, const struct ft_layer *layer,
                                 const char *const *inputs);
/* An activation of x. */
const char *ft_message_activation(struct ft_message *m, const struct ft_layer_params *p,
                                  const char *x);

#endif
