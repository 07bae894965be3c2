/* The small network of the tests of network/, made in memory. */
#ifndef FT_TESTS_SMALL_NETWORK_H
#define FT_TESTS_SMALL_NETWORK_H

#include "../test.h"

#include "network/kinds.h"
#include "network/network.h"
#include "network/storage.h"

enum { INPUT, PAD, CONV, NORM, ACTIVATION, SIDE, SUM, POOL, DENSE, LAYERS };

static inline void add(struct ft_network *n, enum ft_layer_kind kind, const char *name, int a,
                       int b)
{
    struct ft_layer *l = &n->layers[n->n_layers++];
    *l = (struct ft_layer){ .name = strdup(name), .kind = kind, .params = { FT_LAYER_PARAMS } };
    l->inputs = malloc(2 * sizeof *l->inputs);
    l->n_inputs = (a >= 0) + (b >= 0);
    l->inputs[0] = a;
    l->inputs[1] = b;
}

static inline void weigh(struct ft_network *n, int layer, int w, int rank, const int64_t *shape)
{
    struct ft_tensor t = { .rank = rank, .count = 1 };
    for (int i = 0; i < rank; i++) {
        t.shape[i] = shape[i];
        t.count *= (size_t)shape[i];
    }
    float *data = ft_storage_alloc(&n->storage, t.count);
    for (size_t i = 0; i < t.count; i++)
        data[i] = (float)(layer * 100 + w * 10) + (float)i;
    t.data = data;
    n->layers[layer].weights[w] = t;
}

/* input [8, 8, 3], pad, conv of 4 filters, norm, relu; a convolution `side` of relu; the sum of
 * relu and side, pool, dense of 2. Freed with ft_network_free. */
static inline struct ft_network *small(void)
{
    struct ft_network *n = calloc(1, sizeof *n);
    n->layers = calloc(LAYERS, sizeof *n->layers);
    n->name = strdup("small");
    add(n, FT_LAYER_INPUT, "input", -1, -1);
    n->layers[INPUT].params.rank = 3;
    memcpy(n->layers[INPUT].params.shape, (int[]){ 8, 8, 3 }, 3 * sizeof(int));
    add(n, FT_LAYER_ZERO_PAD, "pad", INPUT, -1);
    n->layers[PAD].params.pad[1] = n->layers[PAD].params.pad[3] = 1;
    add(n, FT_LAYER_CONV2D, "conv", PAD, -1);
    n->layers[CONV].params.filters = 4;
    n->layers[CONV].params.kernel[0] = n->layers[CONV].params.kernel[1] = 3;
    n->layers[CONV].params.stride[0] = n->layers[CONV].params.stride[1] = 2;
    weigh(n, CONV, FT_W_KERNEL, 4, (int64_t[]){ 3, 3, 3, 4 });
    weigh(n, CONV, FT_W_BIAS, 1, (int64_t[]){ 4 });
    add(n, FT_LAYER_BATCH_NORM, "norm", CONV, -1);
    n->layers[NORM].params.epsilon = 1e-3f;
    for (int w = 0; w < 4; w++)
        weigh(n, NORM, w, 1, (int64_t[]){ 4 });
    add(n, FT_LAYER_ACTIVATION, "relu", NORM, -1);
    n->layers[ACTIVATION].params.activation = FT_ACT_RELU;
    add(n, FT_LAYER_CONV2D, "side", ACTIVATION, -1);
    n->layers[SIDE].params.filters = 4;
    weigh(n, SIDE, FT_W_KERNEL, 4, (int64_t[]){ 1, 1, 4, 4 });
    add(n, FT_LAYER_ADD, "sum", ACTIVATION, SIDE);
    add(n, FT_LAYER_GLOBAL_AVERAGE_POOL, "pool", SUM, -1);
    add(n, FT_LAYER_DENSE, "dense", POOL, -1);
    n->layers[DENSE].params.units = 2;
    n->layers[DENSE].params.activation = FT_ACT_SOFTMAX;
    weigh(n, DENSE, FT_W_KERNEL, 2, (int64_t[]){ 4, 2 });
    weigh(n, DENSE, FT_W_BIAS, 1, (int64_t[]){ 2 });
    n->output = DENSE;
    return n;
}

#endif
