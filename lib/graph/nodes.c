/* From layers to nodes. */
#include "graph/nodes.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

void ft_nodes_release(struct ft_nodes *nodes)
{
    for (int i = 0; nodes->node && i < nodes->n; i++) {
        free(nodes->node[i].inputs);
        free(nodes->node[i].scale);
        free(nodes->node[i].offset);
    }
    free(nodes->node);
    *nodes = (struct ft_nodes){ 0 };
}

static int copy_layer(const struct ft_layer *layer, struct ft_node *node)
{
    *node = (struct ft_node){ .kind = layer->kind, .layer = layer, .target = layer, .n_inputs = layer->n_inputs };
    switch (layer->kind) {
    case FT_LAYER_CONV2D:
    case FT_LAYER_DEPTHWISE_CONV2D:
    case FT_LAYER_DENSE:
    case FT_LAYER_ADD:
    case FT_LAYER_ACTIVATION: node->activation = layer->params.activation; break;
    default: node->activation = FT_ACT_LINEAR;
    }
    node->inputs = ft_alloc((size_t)layer->n_inputs + 1, sizeof *node->inputs);
    if (!node->inputs)
        return FT_ENOMEM;
    for (int i = 0; i < layer->n_inputs; i++)
        node->inputs[i] = layer->inputs[i];
    return 0;
}

static int check_inputs(const struct ft_layer *layer, int index, struct ft_error *err)
{
    const bool many = layer->kind == FT_LAYER_ADD || layer->kind == FT_LAYER_MULTIPLY || layer->kind == FT_LAYER_CONCATENATE;
    const int least = layer->kind == FT_LAYER_INPUT ? 0 : 1;
    if (layer->n_inputs < least || (!many && layer->n_inputs != least))
        return ft_error_set(err, FT_EFORMAT, "layer '%s': %s with %d inputs makes no sense", layer->name, ft_layer_kind_name(layer->kind),
                            layer->n_inputs);
    for (int i = 0; i < layer->n_inputs; i++)
        if (layer->inputs[i] < 0 || layer->inputs[i] >= index)
            return ft_error_set(err, FT_EFORMAT, "layer '%s': its input does not come before it", layer->name);
    return 0;
}

/* The input's shape is the network's, unless the caller says another size. */
static int input_shape(struct ft_node *node, int height, int width, struct ft_error *err)
{
    const struct ft_layer_params *p = &node->layer->params;
    if (p->rank != 3)
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "layer '%s': an input of rank %d is not supported: pictures are [height, width, channels]",
                            node->layer->name, p->rank);
    node->shape = (struct ft_shape){ 3, height ? height : p->shape[0], width ? width : p->shape[1], p->shape[2] };
    if (node->shape.h <= 0 || node->shape.w <= 0)
        return ft_error_set(err, FT_EARG, "layer '%s': the network leaves the size of its input open: give one", node->layer->name);
    if (node->shape.c != 3 && node->shape.c != 1)
        return ft_error_set(err, FT_EUNSUPPORTED, "layer '%s': an input of %d channels is not supported: only 3 (colour) and 1 (grey) are",
                            node->layer->name, node->shape.c);
    return 0;
}

/* Also: exactly one input is left. */
static int mark_needed(struct ft_nodes *nodes, struct ft_error *err)
{
    int inputs = 0;
    nodes->node[nodes->output].needed = true;
    for (int i = nodes->output; i >= 0; i--)
        for (int k = 0; nodes->node[i].needed && k < nodes->node[i].n_inputs; k++)
            nodes->node[nodes->node[i].inputs[k]].needed = true;
    for (int i = 0; i < nodes->n; i++)
        inputs += nodes->node[i].needed && nodes->node[i].kind == FT_LAYER_INPUT;
    return inputs == 1 ? 0 : ft_error_set(err, FT_EUNSUPPORTED, "a network with %d inputs is not supported: one picture comes in", inputs);
}

static int finish_node(struct ft_nodes *nodes, int i, int height, int width, struct ft_error *err)
{
    struct ft_node *node = &nodes->node[i];
    size_t count;
    int failed = node->kind == FT_LAYER_INPUT ? input_shape(node, height, width, err) : ft_node_shape(nodes, node, err);
    if (failed)
        return failed;
    if (!ft_size_mul((size_t)node->shape.h, (size_t)node->shape.w, &count) || !ft_size_mul(count, (size_t)node->shape.c, &count) ||
        count > (size_t)1 << 29)
        return ft_error_set(err, FT_ELIMIT, "layer '%s': an output of %d x %d x %d is too large", node->layer->name, node->shape.h,
                            node->shape.w, node->shape.c);
    return ft_node_weights(nodes, node, err);
}

int ft_nodes_new(const struct ft_network *network, int last, int height, int width, struct ft_nodes *out, struct ft_error *err)
{
    struct ft_nodes nodes = { .n = last + 1, .output = last };
    int failed = 0;
    nodes.node = ft_alloc_zero((size_t)nodes.n, sizeof *nodes.node);
    if (!nodes.node)
        return ft_error_nomem(err, "the plan of a network");
    for (int i = 0; !failed && i < nodes.n; i++) {
        failed = check_inputs(&network->layers[i], i, err);
        if (!failed && copy_layer(&network->layers[i], &nodes.node[i]))
            failed = ft_error_nomem(err, "the plan of a network");
    }
    failed = failed ? failed : mark_needed(&nodes, err);
    for (int i = 0; !failed && i < nodes.n; i++)
        if (nodes.node[i].needed)
            failed = finish_node(&nodes, i, height, width, err);
    if (failed)
        ft_nodes_release(&nodes);
    else
        *out = nodes;
    return failed;
}
