/* The parsers behind the table of layer classes. Private to keras/. */
#ifndef FT_KERAS_PARSERS_H
#define FT_KERAS_PARSERS_H

#include "keras/draft.h"

typedef int ft_layer_parser(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err);
ft_layer_parser ft_parse_input, ft_parse_rescaling, ft_parse_conv2d, ft_parse_depthwise,
    ft_parse_separable, ft_parse_transpose, ft_parse_batch_norm, ft_parse_layer_norm,
    ft_parse_group_norm, ft_parse_unit_norm, ft_parse_normalization, ft_parse_layer_scale,
    ft_parse_custom_scale, ft_parse_activation, ft_parse_leaky_relu, ft_parse_elu, ft_parse_prelu,
    ft_parse_relu, ft_parse_softmax, ft_parse_zero_pad, ft_parse_cropping, ft_parse_pool,
    ft_parse_global_pool, ft_parse_dense, ft_parse_concatenate, ft_parse_flatten, ft_parse_reshape,
    ft_parse_upsampling, ft_parse_permute, ft_parse_nothing;

/* Turns mean and variance, read by now, into scale and offset. */
int ft_finish_normalization(struct ft_draft_layer *layer, struct ft_error *err);
/* A Rescaling has an offset. */
int ft_finish_layer_scale(struct ft_draft_layer *layer, struct ft_error *err);

#endif
