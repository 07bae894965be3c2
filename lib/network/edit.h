/* Changes to a network: cutting it, adding a head, a scaling of the input, a pooling of the output,
 * or a second network. */
#ifndef FT_NETWORK_EDIT_H
#define FT_NETWORK_EDIT_H

#include "network/network.h"

/* A copy of the layers that `last` needs, in the order of ft_network_order; `last` is its output.
 * The copy borrows the tensors of `network`, which must outlive it. On failure *out is untouched.
 */
int ft_network_cut(const struct ft_network *network, int last, struct ft_network **out,
                   struct ft_error *err);

/* The same copy, followed by a Dense layer with a softmax: the network that `ft_model_save`
 * writes. `name` is changed if another layer has it. The copy also borrows w [d, k] and b [k]. */
int ft_network_with_head(const struct ft_network *network, int last, const char *name, int d, int k,
                         const float *w, const float *b, struct ft_network **out,
                         struct ft_error *err);

/* The functions below change a network in place, and the indices of layers change. If one
 * fails, the network can only be freed. */

/* Inserts a Rescaling layer after the input, which must be layer 0: scale, offset [channels].
 * `reversed`: the network expects blue, green, red, so the input channels of its first convolution
 * are reversed. */
int ft_network_scale(struct ft_network *network, int channels, const float *scale,
                     const float *offset, bool reversed, struct ft_error *err);
/* Appends a layer that averages the map [h, w, c] of `layer` to [c]; *out is its index. The output
 * of the network does not change. */
int ft_network_pool(struct ft_network *network, int layer, int *out, struct ft_error *err);
/* Appends a layer with the kind, the parameters and the weights of layer `like`, which reads
 * `layer`; *out is its index. The output of the network does not change. */
int ft_network_repeat(struct ft_network *network, int like, int layer, int *out,
                      struct ft_error *err);
/* Appends a layer that concatenates the outputs of `layers` [count]: vectors [c], and maps as their
 * averages; *out is its index. The output of the network does not change. */
int ft_network_concatenate(struct ft_network *network, const int *layers, int count, int *out,
                           struct ft_error *err);
/* Puts a second network on the input of the first one, and appends a layer that concatenates layer
 * `last` and layer `other_last` of `other`, maps as their averages. *out is its index, and it
 * becomes the output. Layers of `other` get another name if the first network has theirs. Its
 * tensors move too; `other` can then only be freed, also if this fails. Inputs of different shapes
 * are not compared: that of the first network counts. */
int ft_network_join(struct ft_network *network, int last, struct ft_network *other, int other_last,
                    int *out, struct ft_error *err);

#endif
