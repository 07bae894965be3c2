/* From layers to nodes: infers the shape of every output and checks the tensors. */
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "graph/kinds.h"
#include "network/kinds.h"

void ft_nodes_release(struct ft_nodes *nodes)
{
    for (int i = 0; nodes->node && i < nodes->n; i++) {
        free(nodes->node[i].inputs);
        free(nodes->node[i].scale);
        free(nodes->node[i].offset);
        free(nodes->node[i].joined);
    }
    free(nodes->node);
    *nodes = (struct ft_nodes){ 0 };
}

static int check_inputs(const struct ft_layer *layer, int index, struct ft_error *err)
{
    const struct ft_layer_kind_info *info = ft_layer_kind_info(layer->kind);
    if (!ft_kind_find(layer->kind))
        return ft_error_set(err, FT_EUNSUPPORTED, "layer '%s': %s is not supported", layer->name,
                            info->name);
    if (layer->n_inputs < info->least || layer->n_inputs > info->most)
        return ft_error_set(err, FT_EFORMAT, "layer '%s': %s with %d inputs is not valid",
                            layer->name, info->name, layer->n_inputs);
    for (int i = 0; i < layer->n_inputs; i++)
        if (layer->inputs[i] < 0 || layer->inputs[i] >= index)
            return ft_error_set(err, FT_EFORMAT, "layer '%s': its input does not come before it",
                                layer->name);
    return 0;
}

/* Adds the nodes of layer i; the last of them gives the layer's output: place [i]. */
static int add_layer(const struct ft_layer *layer, struct ft_nodes *nodes, int *place, int i)
{
    const struct ft_kind *row = ft_kind_find(layer->kind);
    struct ft_node *node = &nodes->node[nodes->n];
    int *inputs = ft_alloc((size_t)layer->n_inputs + 1, sizeof *inputs);
    if (!inputs)
        return FT_ENOMEM;
    for (int k = 0; k < layer->n_inputs; k++)
        inputs[k] = place[layer->inputs[k]];
    int n = 1, rc = 0;
    if (row->split)
        n = row->split(layer, inputs, node, nodes->n);
    else
        rc = ft_node_init(layer, inputs, layer->n_inputs, node);
    free(inputs);
    nodes->n += n < 0 ? FT_NODES_PER_LAYER : n; /* those that were made are released */
    place[i] = nodes->n - 1;
    return n < 0 ? n : rc;
}

/* Nodes of layers 0..last. On failure, the caller releases what there is. */
static int add_layers(const struct ft_network *network, int last, struct ft_nodes *nodes,
                      int *place, struct ft_error *err)
{
    int rc = 0;
    nodes->node = ft_alloc_zero(FT_NODES_PER_LAYER * ((size_t)last + 1), sizeof *nodes->node);
    if (!nodes->node)
        return ft_error_nomem(err, "the plan of a network");
    for (int i = 0; !rc && i <= last; i++) {
        rc = check_inputs(&network->layers[i], i, err);
        if (!rc && add_layer(&network->layers[i], nodes, place, i))
            rc = ft_error_nomem(err, "the plan of a network");
    }
    return rc;
}

/* Marks what the output depends on, and checks that exactly one input is part of it. */
static int mark_needed(struct ft_nodes *nodes, struct ft_error *err)
{
    int inputs = 0;
    nodes->node[nodes->output].needed = true;
    for (int i = nodes->output; i >= 0; i--)
        for (int k = 0; nodes->node[i].needed && k < nodes->node[i].n_inputs; k++)
            nodes->node[nodes->node[i].inputs[k]].needed = true;
    for (int i = 0; i < nodes->n; i++)
        inputs += nodes->node[i].needed && nodes->node[i].kind == FT_LAYER_INPUT;
    if (inputs == 1)
        return 0;
    return ft_error_set(err, FT_EUNSUPPORTED,
                        "a network with %d inputs is not supported: it must take one picture",
                        inputs);
}

/* Shape of the node's output, from those of its inputs. All sizes are at least 1, and their product
 * is far from overflow. */
static int find_shape(const struct ft_nodes *nodes, struct ft_node *node, struct ft_error *err)
{
    size_t count;
    int rc = 0;
    if (node->row->shape)
        rc = node->row->shape(nodes, node, err);
    else
        node->shape = *ft_node_input(nodes, node, 0);
    const struct ft_shape *s = &node->shape;
    if (!rc &&
        (s->h < 1 || s->w < 1 || s->c < 1 || !ft_size_mul((size_t)s->h, (size_t)s->w, &count) ||
         !ft_size_mul(count, (size_t)s->c, &count) || count > (size_t)1 << 29))
        rc = ft_error_set(err, FT_ELIMIT, "layer '%s': an output of %d x %d x %d is too large",
                          node->layer->name, s->h, s->w, s->c);
    return rc;
}

int ft_nodes_sketch(const struct ft_network *network, int height, int width, struct ft_nodes *out,
                    int *place, struct ft_error *err)
{
    struct ft_nodes nodes = { .height = height, .width = width };
    const int rc = add_layers(network, network->n_layers - 1, &nodes, place, err);
    if (rc) {
        ft_nodes_release(&nodes);
        return rc;
    }
    for (int i = 0; i < nodes.n; i++)
        if (find_shape(&nodes, &nodes.node[i], NULL)) {
            nodes.node[i].shape = (struct ft_shape){ 0 };
            break;
        }
    *out = nodes;
    return 0;
}

int ft_nodes_new(const struct ft_network *network, int last, int height, int width,
                 struct ft_nodes *out, struct ft_error *err)
{
    struct ft_nodes nodes = { .height = height, .width = width };
    int *place = ft_alloc((size_t)last + 1, sizeof *place);
    int rc = place ? add_layers(network, last, &nodes, place, err)
                   : ft_error_nomem(err, "the plan of a network");
    if (!rc) {
        nodes.output = place[last];
        rc = mark_needed(&nodes, err);
    }
    for (int i = 0; !rc && i < nodes.n; i++) {
        struct ft_node *node = &nodes.node[i];
        if (!node->needed)
            continue;
        rc = find_shape(&nodes, node, err);
        if (!rc && node->row->weights)
            rc = node->row->weights(&nodes, node, err);
    }
    free(place);
    if (rc)
        ft_nodes_release(&nodes);
    else
        *out = nodes;
    return rc;
}

/* Softmax needs all channels of a pixel, which a part of a step does not have. */
bool ft_node_activates(const struct ft_node *node)
{
    return node->kind == FT_LAYER_ACTIVATION ||
           (node->row->foldable && node->activation != FT_ACT_SOFTMAX);
}
