#include "network/edit.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

/* ---- copies ---------------------------------------------------------------------------------- */

static bool copy_layer(const struct ft_layer *from, const int *place, struct ft_layer *to)
{
    *to = *from;
    to->name = ft_strdup(from->name);
    to->inputs = malloc((size_t)(from->n_inputs + 1) * sizeof *to->inputs);
    if (!to->name || !to->inputs)
        return false;
    for (int i = 0; i < from->n_inputs; i++)
        to->inputs[i] = place[from->inputs[i]];
    return true;
}

static bool add_head(struct ft_network *network, const char *name, int d, int k, const float *w,
                     const float *b)
{
    struct ft_layer *head = &network->layers[network->n_layers];
    head->kind = FT_LAYER_DENSE;
    head->params =
        (struct ft_layer_params){ FT_LAYER_PARAMS, .units = k, .activation = FT_ACT_SOFTMAX };
    head->weights[FT_W_KERNEL] = (struct ft_tensor){ 2, { d, k }, (size_t)d * (size_t)k, w };
    head->weights[FT_W_BIAS] = (struct ft_tensor){ 1, { k }, (size_t)k, b };
    head->name = ft_network_free_name(network, name);
    head->inputs = malloc(sizeof *head->inputs);
    if (head->inputs)
        head->inputs[0] = network->n_layers - 1;
    head->n_inputs = 1;
    network->output = network->n_layers++;
    return head->name && head->inputs;
}

/* Copies the layers that `last` needs, with memory for one more. */
static struct ft_network *copy_below(const struct ft_network *network, int last)
{
    const size_t n = (size_t)last + 1;
    struct ft_network *copy = calloc(1, sizeof *copy);
    int *order = malloc(n * sizeof *order), *place = calloc(n, sizeof *place);
    const int count = order ? ft_network_order(network, last, order) : -1;
    bool complete = copy && place && count > 0;
    if (complete) {
        copy->layers = calloc((size_t)count + 1, sizeof *copy->layers);
        copy->name = ft_strdup(network->name);
        complete = copy->layers && copy->name;
    }
    for (int i = 0; complete && i < count; i++) {
        place[order[i]] = i;
        copy->n_layers++;
        complete = copy_layer(&network->layers[order[i]], place, &copy->layers[i]);
    }
    free(order);
    free(place);
    if (!complete) {
        ft_network_free(copy);
        return NULL;
    }
    copy->output = count - 1;
    copy->storage.source = network->storage.source;
    copy->storage.reading = network->storage.reading;
    return copy;
}

int ft_network_cut(const struct ft_network *network, int last, struct ft_network **out,
                   struct ft_error *err)
{
    if (last < 0 || last >= network->n_layers)
        return ft_error_set(err, FT_EARG, "a network of %d layers has no layer %d",
                            network->n_layers, last);
    struct ft_network *copy = copy_below(network, last);
    if (!copy)
        return ft_error_nomem(err, "the network");
    *out = copy;
    return 0;
}

int ft_network_with_head(const struct ft_network *network, int last, const char *name, int d, int k,
                         const float *w, const float *b, struct ft_network **out,
                         struct ft_error *err)
{
    if (last < 0 || last >= network->n_layers || d < 1 || k < 1)
        return ft_error_set(err, FT_EARG,
                            "a head of %d classes on %d features of layer %d is not possible", k, d,
                            last);
    struct ft_network *copy = copy_below(network, last);
    if (!copy || !add_head(copy, name, d, k, w, b)) {
        ft_network_free(copy);
        return ft_error_nomem(err, "the network with its head");
    }
    *out = copy;
    return 0;
}

/* ---- in place -------------------------------------------------------------------------------- */

/* Makes a free element for a layer at `place`; the indices of the layers from there on increase by
 * one. Returns NULL if memory runs out. */
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
    layers[place] = (struct ft_layer){
        .name = unique, .inputs = inputs, .n_inputs = 1, .params = { FT_LAYER_PARAMS }
    };
    return &layers[place];
}

/* Reverses the input channels of the first convolution, whose kernel is [kh, kw, 3, filters]. */
static int reverse_channels(struct ft_network *n, struct ft_layer *conv, struct ft_error *err)
{
    struct ft_tensor *kernel = &conv->weights[FT_W_KERNEL];
    if (conv->kind != FT_LAYER_CONV2D || kernel->rank != 4 || kernel->shape[2] != 3)
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "layer '%s': blue, green and red (caffe) need a first layer that is a "
                            "convolution of 3 channels",
                            conv->name);
    const int rc = ft_network_load(n, (int)(conv - n->layers), err);
    if (rc)
        return rc;
    float *data = ft_storage_alloc(&n->storage, kernel->count);
    if (!data) {
        ft_network_unload(n, (int)(conv - n->layers));
        return ft_error_nomem(err, "the first convolution");
    }
    const size_t filters = (size_t)kernel->shape[3], pixels = kernel->count / filters / 3;
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < 3; c++)
            memcpy(data + (i * 3 + c) * filters, kernel->data + (i * 3 + 2 - c) * filters,
                   filters * sizeof *data);
    ft_network_unload(n, (int)(conv - n->layers));
    kernel->data = data;
    return 0;
}

/* Reverses the channels of all layers that read layer `from`, directly or through layers that keep
 * channels apart. */
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
    float *values = rc ? NULL : ft_storage_alloc(&n->storage, 2 * count);
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

int ft_network_repeat(struct ft_network *n, int like, int layer, int *out, struct ft_error *err)
{
    struct ft_layer *copy = make_room(n, n->n_layers, n->layers[like].name, layer);
    if (!copy)
        return ft_error_nomem(err, "the features of several layers");
    copy->kind = n->layers[like].kind;
    copy->params = n->layers[like].params;
    memcpy(copy->weights, n->layers[like].weights, sizeof copy->weights);
    *out = n->n_layers - 1;
    return 0;
}

int ft_network_concatenate(struct ft_network *n, const int *layers, int count, int *out,
                           struct ft_error *err)
{
    int *inputs = calloc((size_t)count + 1, sizeof *inputs), rc = 0;
    if (!inputs)
        return ft_error_nomem(err, "the features of several layers");
    for (int i = 0; !rc && i < count; i++) {
        inputs[i] = layers[i];
        if (ft_network_rank(n, layers[i]) == 3)
            rc = ft_network_pool(n, layers[i], &inputs[i], err);
    }
    struct ft_layer *all = rc ? NULL : make_room(n, n->n_layers, "features", inputs[0]);
    if (!all) {
        free(inputs);
        return rc ? rc : ft_error_nomem(err, "the features of several layers");
    }
    all->kind = FT_LAYER_CONCATENATE;
    free(all->inputs);
    all->inputs = inputs;
    all->n_inputs = count;
    *out = n->n_layers - 1;
    return 0;
}

/* Moves layers 1 to n - 1 of `other` behind those of `network`. Both have their input at 0. */
static int move_layers(struct ft_network *network, struct ft_network *other, struct ft_error *err)
{
    const int base = network->n_layers - 1;
    struct ft_layer *layers = realloc(
        network->layers, (size_t)(network->n_layers + other->n_layers) * sizeof *network->layers);
    if (!layers)
        return ft_error_nomem(err, "two networks side by side");
    network->layers = layers;
    for (int i = 1; i < other->n_layers; i++) {
        struct ft_layer *from = &other->layers[i];
        char *name = ft_network_free_name(network, from->name);
        if (!name)
            return ft_error_nomem(err, "two networks side by side");
        free(from->name);
        from->name = name;
        for (int j = 0; j < from->n_inputs; j++)
            from->inputs[j] += from->inputs[j] ? base : 0;
        layers[network->n_layers++] = *from;
        from->name = NULL;
        from->inputs = NULL;
    }
    return 0;
}

int ft_network_join(struct ft_network *network, int last, struct ft_network *other, int other_last,
                    int *out, struct ft_error *err)
{
    if (network->layers[0].kind != FT_LAYER_INPUT || other->layers[0].kind != FT_LAYER_INPUT ||
        !last || !other_last)
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "two networks side by side need an input and layers behind it");
    const int place[] = { last, network->n_layers - 1 + other_last };
    int rc = ft_storage_join(&network->storage, &other->storage);
    if (rc)
        return ft_error_nomem(err, "two networks side by side");
    rc = move_layers(network, other, err);
    if (!rc)
        rc = ft_network_concatenate(network, place, 2, out, err);
    if (!rc)
        network->output = *out;
    return rc;
}
