/* Keras's layer classes: one row each, in the table of its family (classes_*.c), beside the
 * functions that parse and write its settings. Settings are those of keras.layers in Keras 1.2 to
 * 3. Adding a class is adding a row to one of these tables; if it is of a new kind, also a row of
 * network/kinds.c and one in graph/.
 */
#ifndef FT_KERAS_LAYER_CLASSES_H
#define FT_KERAS_LAYER_CLASSES_H

#include "keras/draft.h"

struct ft_build; /* operation_steps.h */

struct ft_layer_class {
    const char *name;
    enum ft_layer_kind kind;
    /* Settings to out->layer.params, which arrive as FT_LAYER_PARAMS, and out->needs. NULL: the
     * class has no settings that matter. */
    int (*parse)(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err);
    /* Adds the settings that differ from Keras's defaults. NULL: this class is only read. */
    void (*write)(const struct ft_layer *layer, cJSON *config);
    /* Names of the weights in files, as patterns (patterns.h); the first alternative is written. */
    /* "query/kernel" is in a sublayer of its own. */
    const char *weights[FT_MAX_WEIGHTS];
    /* Keras 3: places of the weights in the layer's group ("query_dense/vars/0") [FT_MAX_WEIGHTS].
     * NULL: numbered in "vars". */
    const char *const *stores;
    /* FT_LAYER_ACTIVATION: the only activation that this row writes; LINEAR: all without a row */
    enum ft_activation activation;
    enum ft_crop crop; /* FT_LAYER_RESIZE: the only crop that this row writes; NONE: all others */
    unsigned ignored;  /* bit w: weight w is in the file, but has no effect */
    /* the order in which they are written [FT_MAX_WEIGHTS]; NULL: ascending */
    const int *order;
    bool positions;  /* FT_LAYER_ATTENTION: this row writes layers with POSITIONS, and only these */
    bool scaled_sum; /* x0 + x1 * params.alpha, which compat.c makes of two layers */
    /* Called once the weights are read, before their shapes are checked; nullable. Calls of a
     * shared layer share what it makes of the weights. */
    int (*finish)(struct ft_draft_layer *layer, struct ft_error *err);
    /* Called once the inputs are known; nullable. Adds the layers that are needed before and after
     * this one; *last receives the one that gives its output. */
    int (*build)(struct ft_build *b, int *last);
};

#define FT_NEEDS(w) (1u << (w))

/* A family of classes: each table ends with a row without a name. */
extern const struct ft_layer_class ft_shape_classes[], ft_window_classes[], ft_norm_classes[],
    ft_activation_classes[], ft_merge_classes[], ft_attention_classes[], ft_windows_classes[],
    ft_tokens_classes[], ft_einsum_classes[], ft_product_classes[], ft_inactive_classes[];

/* The class called `name`, with or without a package ("Custom>CustomScaleLayer"); NULL: unknown. */
const struct ft_layer_class *ft_layer_class_find(const char *name);
/* The class that writes this layer. */
const struct ft_layer_class *ft_layer_class_of(const struct ft_layer *layer);
/* Index of the weight called `name`, as in "conv1/conv1/kernel:0"; -1: the class has none. */
int ft_layer_class_weight(const struct ft_layer_class *class, const char *name);
/* Length of the layer's path in the path of one of its weights: 5 in "conv1/kernel:0", "att_1/
 * query/kernel:0". */
size_t ft_layer_class_path(const struct ft_layer_class *class, const char *weight);
/* The configuration of a layer. Must be freed with cJSON_Delete(). Returns NULL if memory runs
 * out. */
cJSON *ft_layer_config(const struct ft_layer *layer, const char *name);

/* Checks the arguments of a call of attention, and leaves the map of the queries and, if another,
 * that of keys and values as its inputs. */
int ft_attention_inputs(struct ft_draft_layer *layer, struct ft_error *err);

/* Whether the JSON of a model inside the network is one layer of attention
 * (classes_window_attention.c). */
bool ft_is_windows_attention(const cJSON *entry);

/* For ft_layer_class.write: every setting has its default. */
void ft_write_nothing(const struct ft_layer *layer, cJSON *config);
/* For ft_layer_class.build: the layer may be over another axis than the last. */
int ft_build_axes(struct ft_build *b, int *last);
/* The settings `use_bias` and `activation` of a layer with a kernel. */
int ft_parse_bias(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err);
/* The setting `activation`, which several families have. */
int ft_parse_activation(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err);

#endif
