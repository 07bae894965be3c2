/* A network: layers and weights, independent of the file it came from. Readers (keras/) make a
 * network, and graph/ makes a plan of it. Layers are in topological order. Models inside models are
 * flattened, a shared layer is repeated for each call, every layer has one output. The layout is
 * channels last: feature maps [h, w, c], vectors [c].
 *
 * A network may be read by several threads at once; nothing here changes one except edit.h. */
#ifndef FT_NETWORK_NETWORK_H
#define FT_NETWORK_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "finetune-tools.h"
#include "network/layer.h"
#include "network/storage.h"

struct ft_network {
    char *name;
    int n_layers;
    struct ft_layer *layers; /* [n_layers], layers[0] is the input */
    int output;              /* index */
    /* how pixels are preprocessed ("caffe"), if the reader recognised it; NULL: unknown */
    char *preprocess;
    char *attribute;           /* the JSON that this program saved in the file, or NULL */
    struct ft_storage storage; /* owns the tensors; in a copy that borrows them, it owns nothing */
};

/* Accepts NULL and half-built networks. */
void ft_network_free(struct ft_network *network);
/* Weights that are in a file may not be in memory. The weights of a layer are from ft_network_load
 * until ft_network_unload, which must be called as often. ft_network_load fails with FT_EIO if the
 * file has changed; then ft_network_unload must not be called. */
int ft_network_load(const struct ft_network *network, int layer, struct ft_error *err);
void ft_network_unload(const struct ft_network *network, int layer);
/* The same for single tensors: those that are wanted are in memory after ft_network_read, until
 * ft_network_done. Tensors without data are ignored. */
void ft_network_want(const struct ft_network *network, const struct ft_tensor *tensor);
int ft_network_read(const struct ft_network *network, struct ft_error *err);
void ft_network_done(const struct ft_network *network, const struct ft_tensor *tensor);
/* Releases the memory of weights that nobody needs. Up to 64 MB of them stay in memory otherwise.
 */
void ft_network_trim(const struct ft_network *network);

/* Fails with FT_EFORMAT and names the layer if a weight is NaN or infinite. Reads all weights. */
int ft_network_check_finite(const struct ft_network *network, struct ft_error *err);

/* Index of a layer by name, -1 if there is none. */
int ft_network_find(const struct ft_network *network, const char *name);
/* Rank of a layer's output: 3 for maps [h, w, c], 1 for vectors [c]. */
int ft_network_rank(const struct ft_network *network, int layer);
/* `name`, or name_2, name_3, ... if a layer has that name. Must be freed with free(). Returns NULL
 * if memory runs out. */
char *ft_network_free_name(const struct ft_network *network, const char *name);
/* order [last + 1] receives the indices of the layers that `last` needs, in an order that depends
 * on the graph alone, not on the order of `layers`. It is the order in which Keras lists the layers
 * of the network (map_graph in keras/src/ops/function.py). Returns their number, or FT_ENOMEM. */
int ft_network_order(const struct ft_network *network, int last, int *order);

#endif
