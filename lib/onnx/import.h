/* Making a network of an ONNX graph. The nodes are visited in the order of the file with known
 * shapes. What a node computes is a constant, or a view of the output of a layer. Private to onnx/.
 *
 * Functions that return int return 0 or an error, with its message in x->err. */
#ifndef FT_ONNX_IMPORT_H
#define FT_ONNX_IMPORT_H

#include "network/network.h"
#include "onnx/constant.h"

struct ft_onnx_value {
    enum {
        FT_ONNX_ABSENT, /* not computed yet */
        FT_ONNX_CONSTANT,
        FT_ONNX_VIEW,
        /* part of an expression that is no layer: an operator that uses it must find a pattern */
        FT_ONNX_PENDING,
    } kind;
    struct ft_constant constant;
    struct ft_view view;
    const Ft__Onnx__Node *node; /* that computes it; NULL: an initializer or the input */
    const char
        *reason; /* PENDING: why its first node is no layer; owned by the network's storage */
};

struct ft_import {
    const Ft__Onnx__Graph *graph;
    struct ft_network *network; /* layers are appended; owns the constants */
    int capacity;
    int64_t (*shapes)[FT_AXES]; /* [capacity] of the layers' outputs */
    const char **names;         /* [n_values] sorted, borrowed from the graph */
    struct ft_onnx_value *values;
    size_t n_values;
    const char *folder; /* of the file */
    size_t budget;      /* bytes that constants and weights that are computed may still take */
    int64_t opset;
    const Ft__Onnx__Node *node; /* the current one */
    struct ft_error *err;
};

/* An operator: a row of the tables below. `build` sets the outputs of x->node. */
struct ft_onnx_operator {
    const char *name;
    int (*build)(struct ft_import *x, const struct ft_onnx_operator *row);
    int detail; /* what `build` needs to know: a layer kind, an activation */
};
/* Tables that end with a row without a name. */
extern const struct ft_onnx_operator ft_onnx_windows[], ft_onnx_resizes[], ft_onnx_channels[],
    ft_onnx_shapes[], ft_onnx_joins[], ft_onnx_arithmetic[], ft_onnx_elementwise[];

/* Computes the current node if all its inputs are constants. *done: whether it was one of the
 * operators that are computed. */
int ft_onnx_fold(struct ft_import *x, bool *done);
/* Replaces the expression that ends at the current node by layers, if it is a known pattern. */
int ft_onnx_match(struct ft_import *x, bool *done);

/* The same for attention. */
int ft_onnx_match_attention(struct ft_import *x, bool *done);
/* Adds biases of zeros to layers of attention that have some of theirs: Keras has all or none. */
int ft_onnx_complete_attention(struct ft_import *x);
/* Whether a layer is attention without an output kernel: its kernel is the identity. */
bool ft_onnx_is_bare_attention(const struct ft_layer *layer);

/* ---- the current node ------------------------------------------------------------------------ */

/* FT_EUNSUPPORTED with the operator and the name of the node. */
int ft_onnx_refuse(const struct ft_import *x, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Takes bytes from the budget, for memory or for a loop over as many. FT_ELIMIT: it is exhausted,
 * as by a small file whose arithmetic of shapes makes large tensors. */
int ft_onnx_spend(struct ft_import *x, size_t bytes);
/* Allocates the values of a constant of its rank and dims, from the budget. */
int ft_onnx_new(struct ft_import *x, struct ft_constant *c, bool integer);
/* Input k: NULL if it is absent. */
struct ft_onnx_value *ft_onnx_input(const struct ft_import *x, size_t k);
struct ft_onnx_value *ft_onnx_find(const struct ft_import *x, const char *name);
/* Input k, which must be a constant [count values, or any number if 0]; NULL if not. */
const struct ft_constant *ft_onnx_constant(const struct ft_import *x, size_t k, size_t count);
/* Sets output k. */
int ft_onnx_set(struct ft_import *x, size_t k, const struct ft_onnx_value *value);
int ft_onnx_set_view(struct ft_import *x, size_t k, const struct ft_view *view);

const Ft__Onnx__Attribute *ft_onnx_attribute(const Ft__Onnx__Node *node, const char *name);
int64_t ft_onnx_int(const Ft__Onnx__Node *node, const char *name, int64_t otherwise);
double ft_onnx_float(const Ft__Onnx__Node *node, const char *name, double otherwise);
/* Whether a text attribute has this value. */
bool ft_onnx_text_is(const Ft__Onnx__Node *node, const char *name, const char *value);
/* Integers of an attribute, or of input k if there is no attribute (k < 0: attribute only).
 * Returns their number, at most `most`; -1: neither is there. Fails with -2. */
int ft_onnx_ints(const struct ft_import *x, const char *name, int k, int64_t *out, int most);

/* ---- layers ---------------------------------------------------------------------------------- */

/* Appends a layer named after the current node. The shape of its output [h, w, c] is `shape`.
 * *out is its index. */
int ft_onnx_layer(struct ft_import *x, enum ft_layer_kind kind, const int *inputs, int n,
                  const int64_t shape[FT_AXES], int *out);
struct ft_layer *ft_onnx_at(const struct ft_import *x, int layer);
/* A new weight of a layer, uninitialised and owned by the network; NULL if memory runs out. */
float *ft_onnx_weight(struct ft_import *x, int layer, int w, int rank, const int64_t *shape);
/* The output of a layer is a vector [c], not a map. */
bool ft_onnx_is_vector(const struct ft_import *x, int layer);

/* Appends the layers that bring a view into the order of a network: axis d of the view becomes
 * part of roles[d]. The result has the shape of the products. `vector`: the result is [c].
 * *out is the layer. */
int ft_onnx_place(struct ft_import *x, const struct ft_view *view, const enum ft_axis *roles,
                  bool vector, int *out);
/* A RESHAPE or PERMUTE with params.shape `wanted`. An earlier one of the same input is used again,
 * so that the inputs of queries, keys and values are seen to be one layer. */
int ft_onnx_shaped(struct ft_import *x, enum ft_layer_kind kind, int input,
                   const int wanted[FT_AXES], const int64_t shape[FT_AXES], int *out);
/* The layer as a map of this shape: itself, or a RESHAPE. */
int ft_onnx_reshape(struct ft_import *x, int layer, const int64_t shape[FT_AXES], int *out);
/* Appends the layers that bring the values of v->layer into the order of the atoms, all of which
 * the view selects. Sets v->layer. */
int ft_onnx_reorder(struct ft_import *x, struct ft_view *v);
/* The same as ft_onnx_place for [1, c, h, w]. */
int ft_onnx_map(struct ft_import *x, const struct ft_view *view, int *out);
/* The first axis that counts channels of the layer, or -1: the view has one channel. */
int ft_onnx_channel_axis(const struct ft_view *view);
/* Roles that need the fewest layers: the axis with the channels of the layer is FT_AXIS_CHANNELS.
 */
void ft_onnx_roles(const struct ft_view *view, enum ft_axis *roles);
/* Roles with axis `channels` as FT_AXIS_CHANNELS. */
void ft_onnx_roles_of(const struct ft_view *view, int channels, enum ft_axis *roles);
/* channels from[j] of a layer, as output channel j [n]. */
int ft_onnx_select(struct ft_import *x, int layer, const int64_t *from, int64_t n, int *out);

/* Appends a copy of a layer of at most two inputs, which shares its weights. The original is
 * removed at the end if nothing else uses it. */
int ft_onnx_again(struct ft_import *x, int layer, int *out);
/* An activation of a view: the same view of another layer. */
int ft_onnx_activate(struct ft_import *x, const struct ft_view *view,
                     const struct ft_layer_params *activation, size_t output);
/* 1 / view: the same view of another layer. */
int ft_onnx_invert(struct ft_import *x, const struct ft_view *view, struct ft_view *out);
/* A layer input * scale + offset. */
int ft_onnx_scaled(struct ft_import *x, int input, double scale, double offset, int *out);
/* The sum, product, ... of two views, one of which may repeat over axes of the other. */
int ft_onnx_of_layers(struct ft_import *x, const struct ft_view *a, const struct ft_view *b,
                      enum ft_layer_kind kind, struct ft_view *out);
/* The larger of a view and a constant, or the smaller (`most`). */
int ft_onnx_limit(struct ft_import *x, const struct ft_view *view, const struct ft_constant *c,
                  bool most, struct ft_view *out);
/* view * scale + offset as output `output`; either constant may be NULL. */
int ft_onnx_rescale(struct ft_import *x, const struct ft_view *view,
                    const struct ft_constant *scale, const struct ft_constant *offset,
                    struct ft_view *out);

#endif
