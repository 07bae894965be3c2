/* The layers of a network whose averages describe a picture at all depths. */
#ifndef FT_NETWORK_TAPS_H
#define FT_NETWORK_TAPS_H

#include "network/network.h"

/* Finds maps of the blocks of the network, by structure. Of a transformer, whose layers are more
 * attention than convolution: the sum that ends every fourth block, or every block if there are at
 * most four, without the last block. Of other networks one map for each block: the activation after
 * each depthwise convolution; or the last activation inside each residual block, or the block's sum
 * if it has none; or the last map before each change of resolution. The first of these rules that
 * finds at least three maps applies (Evci et al. 2022, Head2Toe: Utilizing Intermediate
 * Representations for Better Transfer Learning). Only maps [h, w, c] that layer `last` needs are
 * found, without the one that `last` averages. taps [last + 1] receives their indices, in order.
 * Returns their number, 0 if no rule applies, or FT_ENOMEM. */
int ft_network_taps(const struct ft_network *network, int last, int *taps);

/* The Cropping layer that takes one token, the class token, for layer `last` from a map of tokens
 * that has those of all of taps [n]. Returns -1 if there is none, or FT_ENOMEM. */
int ft_network_class_token(const struct ft_network *network, int last, const int *taps, int n);

/* The map that `layer` averages, if it is a global average, followed at most by layers that do
 * nothing. Returns -1 if it is not. */
int ft_network_averaged(const struct ft_network *network, int layer);

#endif
