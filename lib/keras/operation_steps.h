/* Operations on tensors while they are turned into layers. One operation becomes one or more steps:
 * the first takes the place of the operation in the draft, the others are appended. Private to
 * keras/.
 */
#ifndef FT_KERAS_OPERATION_STEPS_H
#define FT_KERAS_OPERATION_STEPS_H

#include "keras/arguments.h"
#include "keras/draft_edit.h"

struct ft_build {
    struct ft_draft *draft;
    int layer;                  /* the operation */
    bool used;                  /* the operation has been replaced by the first step */
    bool squeezed;              /* its inputs are (draft.h) */
    int x;                      /* its first input */
    const cJSON *node, *config; /* borrowed: its call and its settings */
    struct ft_error *err;
};

/* A row of the tables of operations. */
struct ft_keras_operation {
    /* Keras 3's class and tf.keras's functions, as a pattern (patterns.h): "Add|math.add" */
    const char *names;
    /* Appends the steps; *last receives the index of the last one. */
    int (*build)(struct ft_build *b, const struct ft_keras_operation *operation, int *last);
    /* what it does with inputs whose last axis was removed (draft.h) */
    enum { FT_SQUEEZED_REFUSED, FT_SQUEEZED_KEPT, FT_SQUEEZED_ENDED } squeezed;
    int detail; /* what `build` needs to know: a layer kind, an activation, a number */
};

/* `detail` of an operation with several outputs; the layer's `part` says which one to build. */
#define FT_OPERATION_PARTS 1000

/* Tables that end with a row without names. */
extern const struct ft_keras_operation ft_arithmetic_operations[], ft_selection_operations[],
    ft_shape_operations[], ft_product_operations[];

/* A whole number; `otherwise` if the value is absent or not one. */
int ft_step_integer(const cJSON *value, int otherwise);
/* Whether `axis` is that of the channels: -1, 3 of a map, 2 of tokens, 1 of a vector. */
bool ft_step_last_axis(const struct ft_build *b, const cJSON *axis);

/* Returns FT_EUNSUPPORTED with a message that names `what`. */
int ft_step_unsupported(const struct ft_build *b, const char *what);
struct ft_layer *ft_step_layer(const struct ft_build *b, int i);

/* Each adds a step and stores its index in *out. Returns 0 or an error. */
int ft_step_add(struct ft_build *b, enum ft_layer_kind kind, const int *inputs, int n, int *out);
/* min(max(x, 0), most) */
int ft_step_relu(struct ft_build *b, int x, double most, int *out);
/* x * factor * scale + sign * offset; x / scale if `factor` is 0. A constant may be NULL: 1 for
 * the scale, 0 for the offset. */
int ft_step_rescaling(struct ft_build *b, int x, double factor,
                      const struct ft_keras_constant *scale, double sign,
                      const struct ft_keras_constant *offset, int *out);
/* Channel j of the output is channel from[j] of x, which has `channels`. */
int ft_step_selection(struct ft_build *b, int x, const int *from, int n, int channels, int *out);

#endif
