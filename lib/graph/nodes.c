/* From layers to nodes. */
#include "graph/nodes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "network/kinds.h"

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

bool ft_node_merges(enum ft_layer_kind kind)
{
    return kind == FT_LAYER_ADD || kind == FT_LAYER_MULTIPLY || kind == FT_LAYER_AVERAGE ||
           kind == FT_LAYER_MAXIMUM || kind == FT_LAYER_MINIMUM || kind == FT_LAYER_SUBTRACT;
}

/* Activations that are a clamp are said by lo and hi. */
static void set_activation(struct ft_node *node, const struct ft_layer_params *p)
{
    const bool shaped = p->activation == FT_ACT_RELU_SHAPED && p->alpha == 0 && p->threshold == 0;
    node->lo = -INFINITY;
    node->hi = INFINITY;
    node->activation = FT_ACT_LINEAR;
    if (p->activation == FT_ACT_RELU || p->activation == FT_ACT_RELU6 || shaped)
        node->lo = 0;
    else
        node->activation = p->activation;
    if (node->lo == 0 && p->activation != FT_ACT_RELU)
        node->hi = shaped ? p->most : 6;
}

/* A grouped convolution whose groups are single channels is a depthwise one; the kernels lie alike.
 */
static bool is_depthwise(const struct ft_layer *layer, int channels)
{
    return layer->kind == FT_LAYER_CONV2D && layer->params.groups > 1 &&
           layer->params.groups == channels && layer->params.filters % channels == 0;
}

static bool carries_activation(enum ft_layer_kind kind)
{
    return kind == FT_LAYER_CONV2D || kind == FT_LAYER_DEPTHWISE_CONV2D || kind == FT_LAYER_DENSE ||
           kind == FT_LAYER_ACTIVATION || kind == FT_LAYER_SEPARABLE_CONV2D ||
           kind == FT_LAYER_CONV2D_TRANSPOSE || kind == FT_LAYER_ADD;
}

/* inputs [n] are nodes. */
static int copy_layer(const struct ft_layer *layer, const int *inputs, int n, struct ft_node *node)
{
    *node = (struct ft_node){
        .kind = layer->kind, .layer = layer, .target = layer, .n_inputs = n, .params = layer->params
    };
    node->kernel = &layer->weights[FT_W_KERNEL];
    node->bias = &layer->weights[FT_W_BIAS];
    set_activation(node, carries_activation(layer->kind)
                             ? &layer->params
                             : &(struct ft_layer_params){ .activation = FT_ACT_LINEAR });
    node->inputs = ft_alloc((size_t)n + 1, sizeof *node->inputs);
    if (!node->inputs)
        return FT_ENOMEM;
    for (int i = 0; i < n; i++)
        node->inputs[i] = inputs[i];
    return 0;
}

/* Depthwise, then pointwise: nodes at and at + 1. */
static int copy_separable(const struct ft_layer *layer, int input, struct ft_node *node, int at)
{
    if (copy_layer(layer, &input, 1, &node[0]) || copy_layer(layer, &at, 1, &node[1]))
        return FT_ENOMEM;
    node[0].kind = FT_LAYER_DEPTHWISE_CONV2D;
    node[0].bias = NULL;
    set_activation(&node[0], &(struct ft_layer_params){ .activation = FT_ACT_LINEAR });
    struct ft_layer_params *p = &node[1].params;
    node[1].kind = FT_LAYER_CONV2D;
    node[1].kernel = &layer->weights[FT_W_POINTWISE];
    node[1].bias = &layer->weights[FT_W_SEPARABLE_BIAS];
    for (int i = 0; i < 2; i++)
        p->kernel[i] = p->stride[i] = p->dilation[i] = 1;
    return 0;
}

/* Nodes of layer i, whose own last one goes to place [i]. */
static int add_layer(const struct ft_layer *layer, struct ft_nodes *nodes, int *place, int i)
{
    int *inputs = ft_alloc((size_t)layer->n_inputs + 1, sizeof *inputs), rc;
    if (!inputs)
        return FT_ENOMEM;
    for (int k = 0; k < layer->n_inputs; k++)
        inputs[k] = place[layer->inputs[k]];
    if (layer->kind == FT_LAYER_SEPARABLE_CONV2D) {
        rc = copy_separable(layer, inputs[0], &nodes->node[nodes->n], nodes->n);
        nodes->n += 2;
    } else {
        rc = copy_layer(layer, inputs, layer->n_inputs, &nodes->node[nodes->n]);
        nodes->n++;
    }
    place[i] = nodes->n - 1;
    free(inputs);
    return rc;
}

static int check_inputs(const struct ft_layer *layer, int index, struct ft_error *err)
{
    const bool many = ft_node_merges(layer->kind) || layer->kind == FT_LAYER_CONCATENATE;
    const int least = layer->kind == FT_LAYER_INPUT ? 0 : 1;
    if (layer->n_inputs < least || (layer->kind == FT_LAYER_SUBTRACT && layer->n_inputs != 2) ||
        (!many && layer->n_inputs != least))
        return ft_error_set(err, FT_EFORMAT, "layer '%s': %s with %d inputs makes no sense",
                            layer->name, ft_layer_kind_name(layer->kind), layer->n_inputs);
    for (int i = 0; i < layer->n_inputs; i++)
        if (layer->inputs[i] < 0 || layer->inputs[i] >= index)
            return ft_error_set(err, FT_EFORMAT, "layer '%s': its input does not come before it",
                                layer->name);
    return 0;
}

/* The input's shape is the network's, unless the caller says another size. */
static int input_shape(struct ft_node *node, int height, int width, struct ft_error *err)
{
    const struct ft_layer_params *p = &node->params;
    if (p->rank != 3)
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "layer '%s': an input of rank %d is not supported: pictures are "
                            "[height, width, channels]",
                            node->layer->name, p->rank);
    node->shape = (struct ft_shape){ 3, height ? height : p->shape[0], width ? width : p->shape[1],
                                     p->shape[2] };
    if (node->shape.h <= 0 || node->shape.w <= 0)
        return ft_error_set(err, FT_EARG,
                            "layer '%s': the network leaves the size of its input open: give one",
                            node->layer->name);
    if (node->shape.c != 3 && node->shape.c != 1)
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "layer '%s': an input of %d channels is not supported: only 3 (colour) "
                            "and 1 (grey) are",
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
    return inputs == 1
               ? 0
               : ft_error_set(err, FT_EUNSUPPORTED,
                              "a network with %d inputs is not supported: one picture comes in",
                              inputs);
}

static int finish_node(struct ft_nodes *nodes, int i, int height, int width, struct ft_error *err)
{
    struct ft_node *node = &nodes->node[i];
    size_t count;
    const int in = node->n_inputs ? nodes->node[node->inputs[0]].shape.c : 0;
    if (in > 0 && node->kind == FT_LAYER_CONV2D && is_depthwise(node->layer, in)) {
        node->kind = FT_LAYER_DEPTHWISE_CONV2D;
        node->params.multiplier = node->params.filters / in;
    }
    int failed = node->kind == FT_LAYER_INPUT ? input_shape(node, height, width, err)
                                              : ft_node_shape(nodes, node, err);
    if (failed)
        return failed;
    if (!ft_size_mul((size_t)node->shape.h, (size_t)node->shape.w, &count) ||
        !ft_size_mul(count, (size_t)node->shape.c, &count) || count > (size_t)1 << 29)
        return ft_error_set(err, FT_ELIMIT, "layer '%s': an output of %d x %d x %d is too large",
                            node->layer->name, node->shape.h, node->shape.w, node->shape.c);
    return ft_node_weights(nodes, node, err);
}

/* Nodes of layers 0..last. */
static int add_layers(const struct ft_network *network, int last, struct ft_nodes *nodes,
                      int *place, struct ft_error *err)
{
    int failed = 0;
    nodes->node = ft_alloc_zero(2 * ((size_t)last + 1), sizeof *nodes->node);
    if (!nodes->node)
        return ft_error_nomem(err, "the plan of a network");
    for (int i = 0; !failed && i <= last; i++) {
        failed = check_inputs(&network->layers[i], i, err);
        if (!failed && add_layer(&network->layers[i], nodes, place, i))
            failed = ft_error_nomem(err, "the plan of a network");
    }
    return failed;
}

int ft_nodes_sketch(const struct ft_network *network, int height, int width, struct ft_nodes *out,
                    int *place, struct ft_error *err)
{
    struct ft_nodes nodes = { 0 };
    const int failed = add_layers(network, network->n_layers - 1, &nodes, place, err);
    for (int i = 0, bad = 0; !failed && !bad && i < nodes.n; i++) {
        struct ft_node *node = &nodes.node[i];
        bad = node->kind == FT_LAYER_INPUT ? input_shape(node, height, width, NULL)
                                           : ft_node_shape(&nodes, node, NULL);
        if (bad)
            node->shape = (struct ft_shape){ 0 };
    }
    if (failed)
        ft_nodes_release(&nodes);
    else
        *out = nodes;
    return failed;
}

int ft_nodes_new(const struct ft_network *network, int last, int height, int width,
                 struct ft_nodes *out, struct ft_error *err)
{
    struct ft_nodes nodes = { 0 };
    int *place = ft_alloc((size_t)last + 1, sizeof *place);
    int failed = place ? add_layers(network, last, &nodes, place, err)
                       : ft_error_nomem(err, "the plan of a network");
    if (!failed) {
        nodes.output = place[last];
        failed = mark_needed(&nodes, err);
    }
    for (int i = 0; !failed && i < nodes.n; i++)
        if (nodes.node[i].needed)
            failed = finish_node(&nodes, i, height, width, err);
    free(place);
    if (failed)
        ft_nodes_release(&nodes);
    else
        *out = nodes;
    return failed;
}
