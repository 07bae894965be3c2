/* What each layer of a network is before anything is fused: its output, parameters and
 * multiply-adds. */
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "graph/nodes.h"
#include "network/kinds.h"

static uint64_t pixels(struct ft_shape s)
{
    return (uint64_t)s.h * (uint64_t)s.w;
}

int ft_network_layers(const struct ft_network *network, int height, int width,
                      struct ft_layer_info *out, struct ft_error *err)
{
    struct ft_nodes nodes = { 0 };
    int *place = ft_alloc((size_t)network->n_layers, sizeof *place);
    const int rc = place ? ft_nodes_sketch(network, height, width, &nodes, place, err)
                         : ft_error_nomem(err, "layers");
    for (int i = 0; !rc && i < network->n_layers; i++) {
        const struct ft_layer *l = &network->layers[i];
        const struct ft_shape s = nodes.node[place[i]].shape,
                              in = l->n_inputs ? nodes.node[place[l->inputs[0]]].shape : s;
        out[i] = (struct ft_layer_info){ .name = l->name,
                                         .kind = ft_layer_kind_name(l->kind),
                                         .kernel = "",
                                         .height = s.h,
                                         .width = s.w,
                                         .channels = s.c,
                                         .multiply_adds =
                                             ft_layer_multiply_adds(l, pixels(in), pixels(s)) };
        for (int w = 0; w < FT_MAX_WEIGHTS; w++)
            out[i].parameters += l->weights[w].count;
    }
    ft_nodes_release(&nodes);
    free(place);
    return rc;
}
