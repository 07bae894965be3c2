/* Between a configuration and a network: layers whose inputs are still names. Private to keras/. */
#ifndef FT_KERAS_DRAFT_H
#define FT_KERAS_DRAFT_H

#include <cjson/cJSON.h>

#include "keras/h5.h"
#include "network/kinds.h"

struct ft_draft_layer {
    /* inputs are indices into ft_draft.layers, filled once all names are known */
    struct ft_layer layer;
    unsigned needs; /* bit w: weight w must be in the file */
    /* BATCH_NORM, CONCATENATE, ACTIVATION (softmax): as the file counts, the batch being axis 0 */
    int axis;
    float *constants;    /* tensors that come from the configuration (RESCALING); owned */
    const cJSON *config; /* lent */
    /* lent: the call it comes from, for arguments that are no layers; NULL in a sequence */
    const cJSON *node;
    bool operation; /* set by a parser that takes numbers among the arguments of `node` */
    /* as the file calls it; NULL: the one that writes this layer */
    const struct ft_layer_class *class;
    /* where its weights are */
    int origin;   /* equal for the calls of a shared layer, which share weights */
    bool inner;   /* it is inside a model that is inside the network */
    bool derived; /* filters and units are those of the weights */
    /* lent: the outermost layer that holds it, whose group a legacy file has */
    const char *top;
    char *scope; /* names from the outermost to its own: "base/stem/conv" */
    char *store; /* its group in a Keras 3 file: "layers/functional/layers/conv2d_1" */
    /* -1, or (an inner model's input) the layer that it is; gone once the draft is made */
    int stands_for;
};

struct ft_draft {
    char *name;
    int n;
    struct ft_draft_layer *layers; /* [n] in the order of the file */
    int n_origins;
    char *preprocess;       /* see struct ft_network */
    struct ft_names groups; /* holds the `top` of layers that were described */
    int output;
    cJSON *json;
};

/* Parses the text of model_config. Every layer is known, every input resolved; order and reach are
 * not looked at. */
int ft_draft_parse(const char *text, struct ft_draft *out, struct ft_error *err);
/* The same from JSON, which the draft takes (freed on failure too). */
int ft_draft_new(cJSON *json, struct ft_draft *out, struct ft_error *err);
/* Replaces what no single layer of both Keras 2 and 3 says by several layers that both have:
 * hard_sigmoid, whose slope differs between the two, hard_swish, activations inside a layer that
 * only one knows, CustomScaleLayer. Part of ft_draft_new. */
int ft_draft_expand(struct ft_draft *draft, struct ft_error *err);
/* n floats that the layer owns, in place of those it had; NULL when out of memory. */
float *ft_draft_constants(struct ft_draft_layer *layer, size_t n);
/* Operations on tensors that a functional network holds beside layers: keras.ops of Keras 3,
 * TFOpLambda of Keras 2. `entry` is the JSON of such a layer, out->node the call. */
bool ft_is_operation(const cJSON *entry);
int ft_operation_parse(const cJSON *entry, struct ft_draft_layer *out, struct ft_error *err);
/* Keeps what the output needs, in topological order with the input first; checks axes. */
int ft_draft_sort(struct ft_draft *draft, struct ft_error *err);
/* Names that are unique and one part of a path: "a/b" becomes a_b, a second "a" a_2. */
int ft_draft_name(struct ft_draft *draft, struct ft_error *err);
/* Keeps what the output needs, in the order of the file. ft_draft_sort must follow. */
int ft_draft_sort_file(struct ft_draft *draft, struct ft_error *err);
void ft_draft_layer_release(struct ft_draft_layer *layer);
void ft_draft_release(struct ft_draft *draft);

/* One row a Keras class. A layer is added here and nowhere else in keras/. */
struct ft_layer_class {
    const char *name;
    enum ft_layer_kind kind;
    int (*parse)(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err);
    /* Adds what differs from Keras's defaults; NULL: this row is only read. */
    void (*write)(const struct ft_layer *layer, cJSON *config);
    /* how Keras names them, "a|b" for either, "a*" for any beginning; the first is written */
    const char *weights[FT_MAX_WEIGHTS];
    /* ACTIVATION: this row is for that one alone; LINEAR: for all without a row */
    enum ft_activation activation;
    unsigned ignored; /* bit w: a weight that means nothing here */
    /* once the weights are there; NULL: nothing to do */
    int (*finish)(struct ft_draft_layer *layer, struct ft_error *err);
};

const struct ft_layer_class *ft_layer_class_find(const char *name);
/* The row that writes this layer. */
const struct ft_layer_class *ft_layer_class_of(const struct ft_layer *layer);
/* The place of the weight called `name`, as in "conv1/conv1/kernel:0"; -1 when the class has none
 * of that name. */
int ft_layer_class_weight(const struct ft_layer_class *class, const char *name);
/* The configuration of a layer without its name; NULL when out of memory. cJSON_Delete it. */
cJSON *ft_layer_config(const struct ft_layer *layer, const char *name);

/* Weights of all layers from the group model_weights; `storage` owns those that are not mapped. */
/* From a legacy layout: `group` holds one group for each outermost layer. */
int ft_weights_read(const struct ft_h5 *h5, int64_t group, struct ft_draft *draft,
                    struct ft_storage *storage, struct ft_error *err);
/* From a Keras 3 .weights.h5. */
int ft_weights_read_store(const struct ft_h5 *h5, struct ft_draft *draft,
                          struct ft_storage *storage, struct ft_error *err);

#endif
