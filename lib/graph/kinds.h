/* How graph/ handles each kind of layer: one row for each kind, in addition to network/kinds.h.
 * Private to graph/.
 *
 * The rows are in five files, by what the layers do: convolutions.c (layers with a kernel),
 * merges.c (several inputs), channels.c (one value in, one value out, such as normalisation and
 * activation), geometry.c (windows, padding, reshaping) and attention.c. To add a kind, add a row
 * to one of them, and above it the functions that no other row has. */
#ifndef FT_GRAPH_KINDS_H
#define FT_GRAPH_KINDS_H

#include "graph/nodes.h"
#include "graph/steps.h"

/* The state of ft_plan_emit. No function that uses it can fail, because memory for all steps and
 * buffers is allocated before. */
struct ft_emitter {
    struct ft_plan *plan;
    const struct ft_nodes *nodes;
    struct ft_value *values; /* [nodes->n] output of each node */
    size_t step_capacity;
};

enum { FT_NODES_PER_LAYER = 6 }; /* at most */

struct ft_kind {
    enum ft_layer_kind kind;
    bool kernel; /* multiplies with its first tensor */
    /* The step can multiply and add for each output channel, so a following normalisation is folded
     * into its weights. It also adds a residual and applies any activation but softmax. */
    bool foldable;

    /* Several nodes instead of one: fills up to FT_NODES_PER_LAYER nodes, whose indices begin at
     * `at`. `inputs` are nodes. Nullable. Returns the number of nodes or FT_ENOMEM. */
    int (*split)(const struct ft_layer *layer, const int *inputs, struct ft_node *node, int at);
    /* Sets node->shape and node->pad. NULL: the output has the shape of the first input. */
    int (*shape)(const struct ft_nodes *nodes, struct ft_node *node, struct ft_error *err);
    /* Checks that the layer's tensors have the right sizes, and sets node->scale and node->offset.
     * NULL: the layer has no tensors. */
    int (*weights)(const struct ft_nodes *nodes, struct ft_node *node, struct ft_error *err);

    /* Returns true and sets *out if the output is the same memory with another shape or offset, so
     * no step is needed. Nullable. */
    bool (*view)(const struct ft_node *node, struct ft_value in, struct ft_value *out);
    /* Adds the steps that compute `out`. NULL: one step of `operation`, which `settings` (nullable)
     * completes from the layer's parameters. */
    void (*emit)(struct ft_emitter *e, const struct ft_node *node, struct ft_value in,
                 struct ft_value out);
    enum ft_operation operation;
    void (*settings)(struct ft_step *step, const struct ft_node *node);
};

/* Each ends with a row of kind FT_LAYER_KINDS. */
extern const struct ft_kind ft_kinds_convolutions[], ft_kinds_merges[], ft_kinds_channels[],
    ft_kinds_geometry[], ft_kinds_attention[];

/* Returns NULL if the kind has no row. */
const struct ft_kind *ft_kind_find(enum ft_layer_kind kind);

/* ---- for the rows ---------------------------------------------------------------------------- */

/* A node for a layer with n inputs (indices of nodes). Returns 0 or FT_ENOMEM. */
int ft_node_init(const struct ft_layer *layer, const int *inputs, int n, struct ft_node *node);
/* Changes the kind of a node, and the row that applies to it. */
void ft_node_become(struct ft_node *node, enum ft_layer_kind kind);
/* Sets activation, lo and hi. An activation that is a clamp becomes lo and hi. */
void ft_node_activate(struct ft_node *node, const struct ft_layer_params *params);
/* Allocates node->scale and node->offset [node->shape.c], uninitialised. */
int ft_node_new_affine(struct ft_node *node, struct ft_error *err);

/* For nodes that are a convolution step: checks the kernel, which must have `count` values, and
 * copies the bias into node->offset. */
int ft_take_kernel(struct ft_node *node, size_t count, struct ft_error *err);
/* Adds the step of a node that has a kernel. */
void ft_emit_kernel(struct ft_emitter *e, const struct ft_node *node, struct ft_value in,
                    struct ft_value out);

/* Checks a tensor of the layer, called `what` in messages. */
int ft_check_tensor(const struct ft_node *node, const struct ft_tensor *tensor, const char *what,
                    size_t count, bool required, struct ft_error *err);
/* Refuses kernels, strides and (dilated) dilations below 1 or above 16384. */
int ft_check_window(const struct ft_node *node, bool dilated, struct ft_error *err);
/* Refuses an output whose number of rows or columns is below 1 or too large. */
int ft_check_length(const struct ft_node *node, long long length, struct ft_error *err);
/* Refuses an input that is a vector. */
int ft_check_picture(const struct ft_node *node, const struct ft_shape *in, struct ft_error *err);
/* Shape and padding of a sliding window, whose output has so many channels. */
int ft_window_shape(const struct ft_shape *in, struct ft_node *node, int channels, bool dilated,
                    struct ft_error *err);
/* Copies kernel size, stride, padding and (dilated) dilation into the step. */
void ft_window_settings(struct ft_step *step, const struct ft_node *node, bool dilated);

static const struct ft_value ft_value_none = { .buffer = -1 };

static inline const struct ft_shape *ft_node_input(const struct ft_nodes *nodes,
                                                   const struct ft_node *node, int i)
{
    return &nodes->node[node->inputs[i]].shape;
}

/* Adds a step. The result is valid until the next call. */
struct ft_step *ft_emit_step(struct ft_emitter *e, enum ft_operation operation,
                             const struct ft_node *node, struct ft_value in, struct ft_value other,
                             struct ft_value out);

#endif
