/* The planner's own picture of a network, between layers and steps. Private to graph/.
 *
 * A node starts as one layer; a separable convolution is two. Every node is
 * `activation(clamp(operation(inputs) * scale + offset + residual, lo, hi))`, where a clamp leaves
 * the activation linear; so batch normalisation and rescaling are nodes without an operation, and
 * folding is composing their scale and offset into the node before. What is folded away takes its
 * producer into its own place (the order stays topological even when a residual comes later).
 */
#ifndef FT_GRAPH_NODES_H
#define FT_GRAPH_NODES_H

#include "graph/plan.h"

struct ft_node {
    enum ft_layer_kind kind;               /* BATCH_NORM becomes RESCALING */
    const struct ft_layer *layer;          /* where the name and what is not below come from */
    struct ft_layer_params params;         /* the layer's, or what the planner made of them */
    const struct ft_tensor *kernel, *bias; /* of what is `weighted`; NULL: none */
    const struct ft_layer *target;         /* the layer whose output this is, after folding */
    int n_inputs;
    int *inputs;                   /* [n_inputs], owned, with room for one more */
    bool residual;                 /* the last input is added before the activation */
    enum ft_activation activation; /* LINEAR for what lo and hi say: relu, relu6 */
    float lo, hi;
    float *scale, *offset; /* [c] owned; NULL: ones, zeros */
    struct ft_shape shape; /* of the output */
    int pad[2];            /* top, left: convolutions and pools */
    bool needed;           /* something that leads to the output uses it */
    int uses;
};

struct ft_nodes {
    int n, output;
    struct ft_node *node; /* [n] */
};

/* Nodes for the layers that `last` needs, with shapes; height and width 0: the network's. */
int ft_nodes_new(const struct ft_network *network, int last, int height, int width,
                 struct ft_nodes *out, struct ft_error *err);
/* Nodes for all layers; place [n_layers] is the node that gives each layer's output. Shapes end
 * (rank 0) where a layer does not fit its inputs. */
int ft_nodes_sketch(const struct ft_network *network, int height, int width, struct ft_nodes *out,
                    int *place, struct ft_error *err);
void ft_nodes_release(struct ft_nodes *nodes);
/* Does this layer take any number of inputs? */
bool ft_node_merges(enum ft_layer_kind kind);
/* Output shape and padding of one node from those of its inputs. */
int ft_node_shape(const struct ft_nodes *nodes, struct ft_node *node, struct ft_error *err);
/* Checks that the layer's tensors fit, and turns normalisations into scale and offset. */
int ft_node_weights(const struct ft_nodes *nodes, struct ft_node *node, struct ft_error *err);
/* Drops identities, folds scales and offsets, fuses activations and sums. */
void ft_nodes_fold(struct ft_nodes *nodes);

#endif
