/* The arguments of a call in a functional configuration, whatever generation of Keras wrote it:
 *
 *     Keras 3   {"args": [tensor, 3.0], "kwargs": {"axis": -1}}, more settings in the config
 *     tf.keras  ["name", 0, 0, {"y": 3.0}], or ["_CONSTANT_VALUE", -1, 3.0, {"y": ["name", 0, 0]}]
 *
 * Private to keras/.
 */
#ifndef FT_KERAS_ARGUMENTS_H
#define FT_KERAS_ARGUMENTS_H

#include <cjson/cJSON.h>

#include "finetune-tools.h"
#include "network/network.h"

/* A constant that broadcasts against a map [h, w, c] or a vector [c]. A zeroed struct is empty. */
struct ft_keras_constant {
    int rank; /* 0: one number. 1: [c]. 3: [h, w, c], any of them 1 */
    int64_t shape[3];
    size_t count;
    float *values; /* [count] owned */
};

void ft_constant_release(struct ft_keras_constant *constant);

enum ft_argument_kind { FT_ARGUMENT_NONE, FT_ARGUMENT_TENSOR, FT_ARGUMENT_CONSTANT };

/* An operand of a step: the output of another layer, or a constant. */
struct ft_argument {
    enum ft_argument_kind kind;
    struct ft_keras_constant constant;
};

/* The setting `name` of a call: a keyword, else the positional argument `position` of a Keras 3
 * call (-1: keyword only), else a setting of the configuration. Returns NULL if it is absent or
 * null; borrowed from the JSON. Wrappers (__numpy__, __tensor__, __tuple__) are removed. */
const cJSON *ft_argument_find(const cJSON *node, const cJSON *config, const char *name,
                              int position);

/* The two operands of an arithmetic step in their order; a missing one is FT_ARGUMENT_NONE. A
 * constant that is no array of numbers, or that varies along the batch, is an error. The caller
 * releases the constants, on failure too. */
int ft_arguments_operands(const cJSON *node, struct ft_argument operands[2], struct ft_error *err);

/* Gives a layer two tensors, FT_W_SCALE and FT_W_OFFSET: scale * factor (1 / scale if `factor` is
 * 0) and offset * sign. A constant without values is 1, or 0. Makes it a RESCALING, or a
 * MAP_RESCALING if a constant varies along rows or columns. Returns 0 or FT_ENOMEM. */
struct ft_draft_layer;
int ft_constants_apply(struct ft_draft_layer *layer, double factor,
                       const struct ft_keras_constant *scale, double sign,
                       const struct ft_keras_constant *offset, struct ft_error *err);

/* Nested lists of numbers as a constant. */
int ft_constant_parse(const cJSON *value, struct ft_keras_constant *out, struct ft_error *err);

#endif
