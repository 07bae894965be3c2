/* Nodes: the form of a network between layers and steps. Private to graph/.
 *
 * A node starts as one layer; a separable convolution becomes two. Every node computes
 * `activation(clamp(operation(inputs) * scale + offset + residual, lo, hi))`. If the activation is
 * a clamp (relu, relu6), the node has this clamp and a linear activation. Batch normalisation and
 * rescaling are nodes without an operation: folding composes their scale and offset into the node
 * before. When two nodes are fused, the result has the index of the later one. So the order remains
 * topological, even if a residual is computed between them. */
#ifndef FT_GRAPH_NODES_H
#define FT_GRAPH_NODES_H

#include "graph/plan.h"

struct ft_kind;

/* A kernel [rows, columns] that is several tensors [rows, ...] side by side. */
struct ft_joined {
    struct ft_tensor whole; /* without data */
    int n;
    const struct ft_tensor *parts[3];
};

struct ft_node {
    enum ft_layer_kind kind;       /* BATCH_NORM becomes RESCALING */
    const struct ft_kind *row;     /* the row of the kind in kinds.h */
    const struct ft_layer *layer;  /* its name and tensors */
    const struct ft_layer *result; /* the layer whose output it computes, the last that was fused */
    struct ft_layer_params params; /* the layer's, changed by the planner */
    const struct ft_tensor *kernel, *bias; /* of kinds that have a kernel; bias is nullable */
    struct ft_joined *joined;              /* the kernel has no data of its own; owned, nullable */
    int n_inputs;
    int *inputs;                   /* [n_inputs], owned, with room for one more */
    bool residual;                 /* the last input is added before the activation */
    enum ft_activation activation; /* LINEAR if lo and hi replace it */
    float lo, hi;
    float *scale, *offset; /* [c], owned; NULL: ones, zeros */
    struct ft_shape shape; /* of the output */
    int pad[2];            /* top, left: convolutions and pools */
    bool needed;           /* the output depends on it */
    int uses;              /* as an input of needed nodes */
};

struct ft_nodes {
    int n, output;
    int height, width;    /* of the input, as the caller chose; 0: those of the network */
    struct ft_node *node; /* [n] */
};

/* Nodes for the layers that `last` needs, with shapes. Height and width 0: the network's. */
int ft_nodes_new(const struct ft_network *network, int last, int height, int width,
                 struct ft_nodes *out, struct ft_error *err);
/* Nodes for all layers; place [n_layers] is the node that gives each layer's output. From the first
 * layer on that does not fit its inputs, shapes are zero. */
int ft_nodes_sketch(const struct ft_network *network, int height, int width, struct ft_nodes *out,
                    int *place, struct ft_error *err);
void ft_nodes_release(struct ft_nodes *nodes);

/* Returns whether the step of this node applies the activation. If not, a separate step does. */
bool ft_node_activates(const struct ft_node *node);

/* Drops identities, folds scales and offsets, fuses activations and sums. */
void ft_nodes_fold(struct ft_nodes *nodes);

#endif
