/* A network while it is read: layers as the configuration has them, before they are sorted and
 * named and have weights. Private to keras/. */
#ifndef FT_KERAS_DRAFT_H
#define FT_KERAS_DRAFT_H

#include <cjson/cJSON.h>

#include "keras/h5.h"
#include "network/kinds.h"

struct ft_draft_layer {
    /* inputs are indices into ft_draft.layers, filled once all names are known */
    struct ft_layer layer;
    /* how model.quantize stored the kernel: whole numbers with a scale beside it, or float32 with
     * the scales of training */
    enum { FT_QUANTIZED_NOT, FT_QUANTIZED_INT8, FT_QUANTIZED_FLOAT8 } quantized;
    unsigned needs; /* bit w: weight w must be in the file */
    /* BATCH_NORM, CONCATENATE, ACTIVATION (softmax): numbered as in the file, where the batch is
     * axis 0 */
    int axis;
    int n_axes;     /* of LAYER_NORM and RMS_NORM: `axis` is the first of so many; else 1 */
    int contracted; /* of an EinsumDense: the number of axes of its kernel that are summed over */
    /* The product of the queries and keys that are its inputs, of which only attention is made */
    bool scores;
    float *constants;    /* tensors that come from the configuration (RESCALING); owned */
    const cJSON *config; /* borrowed */
    /* borrowed: the call, for arguments that are not layers; NULL in a Sequential */
    const cJSON *node;
    const struct ft_keras_operation
        *operation; /* NULL: a layer. The operation takes constants, too */
    /* of an operation with several outputs, such as split: which one this is, and, if it is not
     * 0, the index of the layer for output 0 */
    int part, part_of;
    /* Its output has the axes [t, c] in Keras (tokens). Here it is a map [1, t, c]. */
    bool tokens;
    int channels;       /* of the output of attention, if its settings say them; else 0 */
    int attention_axes; /* how many axes Keras attends over; 0: all but batch and channels */
    bool squeezed; /* a map [h, w, 1] that Keras has as [h, w], or [1] that it has as a number */
    /* the class in the file; NULL: the class that writes this layer */
    const struct ft_layer_class *class;
    /* the following fields say where its weights are */
    int origin;   /* equal for the calls of a shared layer, which share weights */
    bool inner;   /* part of a model inside the network */
    bool derived; /* filters and units are taken from the weights */
    /* borrowed: the outermost layer or model that contains it, which is a group of a legacy file */
    const char *top;
    char *scope; /* names from the outermost to its own: "base/stem/conv" */
    char *store; /* its group in a Keras 3 file: "layers/functional/layers/conv2d_1" */
    /* the input of an inner model: the layer that it stands for; -1: none. Unused after flatten.c
     */
    int stands_for;
};

struct ft_draft {
    char *name;
    int n;
    struct ft_draft_layer *layers; /* [n] in the order of the file */
    int n_origins;
    char *preprocess;       /* see struct ft_network */
    struct ft_names groups; /* owns the `top` of layers of an architecture */
    int output;
    cJSON *json;
};

/* Parameters and axis of a layer without settings. */
void ft_draft_layer_init(struct ft_draft_layer *layer);
/* n floats that the layer owns, in place of those it had. Returns NULL if memory runs out. */
float *ft_draft_constants(struct ft_draft_layer *layer, size_t n);
void ft_draft_layer_release(struct ft_draft_layer *layer);
void ft_draft_release(struct ft_draft *draft);

#endif
