/* Changes to the graph of a draft, and what is known of a layer's output before the graph is
 * planned. Private to keras/. */
#ifndef FT_KERAS_DRAFT_EDIT_H
#define FT_KERAS_DRAFT_EDIT_H

#include "keras/draft.h"

/* Appends a layer "NAME_suffix", NAME being that of layer `of`, with its inputs [n]. Returns its
 * index, or FT_ENOMEM. */
int ft_draft_append(struct ft_draft *draft, int of, const char *suffix, enum ft_layer_kind kind,
                    const int *inputs, int n);
/* Makes layer i one of another kind and with other inputs; its name stays. Returns i, or FT_ENOMEM.
 */
int ft_draft_replace(struct ft_draft *draft, int i, enum ft_layer_kind kind, const int *inputs,
                     int n);
/* Layers 0..n-1 and the network's output use layer `to` where they used `from`. */
void ft_draft_redirect(struct ft_draft *draft, int n, int from, int to);

/* Rank of a layer's output: 3 for maps, 1 for vectors, 0 if it is not known. */
int ft_draft_rank(const struct ft_draft *draft, int layer);
/* Returns whether the output has the axes [t, c] in Keras; here it is a map [1, t, c]. */
bool ft_draft_tokens(const struct ft_draft *draft, int layer);
/* Its number of channels, and the rows and columns of a map; 0 if they are not known. */
int ft_draft_channels(const struct ft_draft *draft, int layer);
void ft_draft_size(const struct ft_draft *draft, int layer, int size[2]);

#endif
