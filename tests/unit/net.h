/* A small network that a test makes in memory, layer by layer. */
#ifndef FT_TESTS_NET_H
#define FT_TESTS_NET_H

#include "graph/plan.h"
#include "../test.h"

enum { MAX_LAYERS = 64 };

struct net {
    struct ft_network network;
    struct ft_layer layers[MAX_LAYERS];
    char names[MAX_LAYERS][24];
    int inputs[MAX_LAYERS][8];
    uint64_t state;
};

/* Appends a layer that becomes the network's output. Windows are 1 x 1 until the caller changes
 * them; the caller sets the inputs. */
static inline struct ft_layer *add_layer(struct net *net, enum ft_layer_kind kind)
{
    const int i = net->network.n_layers++;
    struct ft_layer *layer = &net->layers[i];
    snprintf(net->names[i], sizeof net->names[i], "%s_layer%d", net->network.name, i);
    *layer = (struct ft_layer){ .name = net->names[i], .kind = kind, .inputs = net->inputs[i] };
    struct ft_layer_params *p = &layer->params;
    p->alpha = 1;
    p->groups = p->multiplier = p->kernel[0] = p->kernel[1] = p->stride[0] = p->stride[1] =
        p->dilation[0] = p->dilation[1] = 1;
    net->network.output = i;
    return layer;
}

#endif
