/* Networks changed in place: pixels scaled in front, features pooled behind, an input of another
 * size. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "keras/draft.h"

int ft_network_rank(const struct ft_network *n, int layer)
{
    for (;;) {
        const struct ft_layer *l = &n->layers[layer];
        const bool pool =
            l->kind == FT_LAYER_GLOBAL_AVERAGE_POOL || l->kind == FT_LAYER_GLOBAL_MAX_POOL;
        if (l->kind == FT_LAYER_INPUT || l->kind == FT_LAYER_RESHAPE)
            return l->params.rank;
        if (l->kind == FT_LAYER_FLATTEN)
            return 1;
        if (pool)
            return l->params.keep_dims ? 3 : 1;
        layer = l->inputs[0];
    }
}

int ft_network_find(const struct ft_network *n, const char *name)
{
    for (int i = 0; i < n->n_layers; i++)
        if (!strcmp(n->layers[i].name, name))
            return i;
    return -1;
}

/* Room for a layer at `place`; the layers from there on move up. NULL when out of memory. */
static struct ft_layer *make_room(struct ft_network *n, int place, const char *name, int input)
{
    char *unique = ft_network_free_name(n, name);
    int *inputs = malloc(sizeof *inputs);
    struct ft_layer *layers = realloc(n->layers, ((size_t)n->n_layers + 1) * sizeof *layers);
    if (layers)
        n->layers = layers;
    if (!unique || !inputs || !layers) {
        free(unique);
        free(inputs);
        return NULL;
    }
    memmove(layers + place + 1, layers + place, (size_t)(n->n_layers - place) * sizeof *layers);
    n->n_layers++;
    for (int i = place + 1; i < n->n_layers; i++)
        for (int j = 0; j < layers[i].n_inputs; j++)
            layers[i].inputs[j] += layers[i].inputs[j] >= place;
    n->output += n->output >= place;
    *inputs = input;
    layers[place] = (struct ft_layer){ .name = unique, .inputs = inputs, .n_inputs = 1 };
    layers[place].params = (struct ft_layer_params){
        .groups = 1, .multiplier = 1, .kernel = { 1, 1 }, .stride = { 1, 1 }, .dilation = { 1, 1 }
    };
    return &layers[place];
}

/* The first convolution's kernel [kh, kw, 3, filters] with its input channels reversed. */
static int reverse_channels(struct ft_network *n, struct ft_layer *conv, struct ft_error *err)
{
    struct ft_tensor *kernel = &conv->weights[FT_W_KERNEL];
    float *data = conv->kind == FT_LAYER_CONV2D && kernel->rank == 4 && kernel->shape[2] == 3
                      ? ft_network_keep(n, kernel->count)
                      : NULL;
    if (conv->kind != FT_LAYER_CONV2D || kernel->shape[2] != 3)
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "layer '%s': blue, green and red (caffe) are read by a layer that is "
                            "not a convolution of 3 channels",
                            conv->name);
    if (!data)
        return ft_error_nomem(err, "the first convolution");
    const size_t filters = (size_t)kernel->shape[3], pixels = kernel->count / filters / 3;
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < 3; c++)
            memcpy(data + (i * 3 + c) * filters, kernel->data + (i * 3 + 2 - c) * filters,
                   filters * sizeof *data);
    kernel->data = data;
    return 0;
}

/* What reads colours: below the input, past layers that leave channels alone. */
static int reverse_readers(struct ft_network *n, int from, struct ft_error *err)
{
    for (int i = from + 1; i < n->n_layers; i++) {
        struct ft_layer *l = &n->layers[i];
        for (int j = 0; j < l->n_inputs; j++) {
            if (l->inputs[j] != from)
                continue;
            const bool passes = l->kind == FT_LAYER_ZERO_PAD || l->kind == FT_LAYER_IDENTITY ||
                                l->kind == FT_LAYER_MAX_POOL;
            const int rc = passes ? reverse_readers(n, i, err) : reverse_channels(n, l, err);
            if (rc)
                return rc;
        }
    }
    return 0;
}

int ft_network_scale(struct ft_network *n, int channels, const float *scale, const float *offset,
                     bool reversed, struct ft_error *err)
{
    int rc = reversed ? reverse_readers(n, 0, err) : 0;
    const size_t count = (size_t)channels;
    float *values = rc ? NULL : ft_network_keep(n, 2 * count);
    struct ft_layer *layer = values ? make_room(n, 1, "pixels", 0) : NULL;
    if (rc)
        return rc;
    if (!layer)
        return ft_error_nomem(err, "the scale of pixels");
    memcpy(values, scale, count * sizeof *values);
    memcpy(values + count, offset, count * sizeof *values);
    layer->kind = FT_LAYER_RESCALING;
    layer->weights[FT_W_SCALE] = (struct ft_tensor){ 1, { channels }, count, values };
    layer->weights[FT_W_OFFSET] = (struct ft_tensor){ 1, { channels }, count, values + count };
    for (int i = 2; i < n->n_layers; i++)
        for (int j = 0; j < n->layers[i].n_inputs; j++)
            if (n->layers[i].inputs[j] == 0)
                n->layers[i].inputs[j] = 1;
    n->output = n->output ? n->output : 1;
    return 0;
}

int ft_network_pool(struct ft_network *n, int layer, int *out, struct ft_error *err)
{
    struct ft_layer *pool = make_room(n, n->n_layers, "pool", layer);
    if (!pool)
        return ft_error_nomem(err, "the pooling of features");
    pool->kind = FT_LAYER_GLOBAL_AVERAGE_POOL;
    *out = n->n_layers - 1;
    return 0;
}
