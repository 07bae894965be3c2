/* Layers with a kernel: convolutions and dense layers. */
#include <limits.h>

#include "base/error.h"
#include "base/memory.h"
#include "graph/kinds.h"

static bool kernel_count(const struct ft_layer_params *p, size_t in, size_t out, size_t *count)
{
    return ft_size_mul((size_t)p->kernel[0] * (size_t)p->kernel[1], in, count) &&
           ft_size_mul(*count, out, count);
}

int ft_take_kernel(struct ft_node *node, size_t count, struct ft_error *err)
{
    const size_t c = (size_t)node->shape.c;
    const float *bias = node->bias ? node->bias->data : NULL;
    int rc = ft_check_tensor(node, node->kernel, "kernel", count, true, err);
    if (!rc && bias)
        rc = ft_check_tensor(node, node->bias, "bias", c, false, err);
    if (rc || !bias)
        return rc;
    node->offset = ft_alloc(c, sizeof *node->offset);
    if (!node->offset)
        return ft_error_nomem(err, "the plan of a network");
    for (size_t i = 0; i < c; i++)
        node->offset[i] = bias[i];
    return 0;
}

void ft_emit_kernel(struct ft_emitter *e, const struct ft_node *node, struct ft_value in,
                    struct ft_value out)
{
    const struct ft_value other =
        node->residual ? e->values[node->inputs[node->n_inputs - 1]] : ft_value_none;
    struct ft_step *s = ft_emit_step(e, node->row->operation, node, in, other, out);
    if (node->row->settings)
        node->row->settings(s, node);
    /* softmax needs all channels of a pixel, which a part of a step may not have */
    if (node->activation == FT_ACT_SOFTMAX)
        s->work.activation = FT_ACT_LINEAR;
}

/* ---- Conv2D, DepthwiseConv2D ----------------------------------------------------------------- */

static int depthwise_shape(const struct ft_nodes *nodes, struct ft_node *node, struct ft_error *err)
{
    const struct ft_shape *in = ft_node_input(nodes, node, 0);
    const int multiplier = node->params.multiplier;
    if (multiplier < 1 || multiplier > INT_MAX / 4 / in->c)
        return ft_error_set(err, FT_EFORMAT, "layer '%s': a depth multiplier of %d is not valid",
                            node->layer->name, multiplier);
    return ft_window_shape(in, node, in->c * multiplier, true, err);
}

static int convolution_shape(const struct ft_nodes *nodes, struct ft_node *node,
                             struct ft_error *err)
{
    const struct ft_shape *in = ft_node_input(nodes, node, 0);
    const struct ft_layer_params *p = &node->params;
    if (p->filters < 1 || p->groups < 1 || in->c % p->groups || p->filters % p->groups)
        return ft_error_set(err, FT_EFORMAT,
                            "layer '%s': %d filters in %d groups over %d channels are not valid",
                            node->layer->name, p->filters, p->groups, in->c);
    /* Groups of one channel are a depthwise convolution; the kernels have the same layout. */
    if (p->groups > 1 && p->groups == in->c) {
        ft_node_become(node, FT_LAYER_DEPTHWISE_CONV2D);
        node->params.multiplier = p->filters / in->c;
        return depthwise_shape(nodes, node, err);
    }
    return ft_window_shape(in, node, p->filters, true, err);
}

static int convolution_weights(const struct ft_nodes *nodes, struct ft_node *node,
                               struct ft_error *err)
{
    const struct ft_layer_params *p = &node->params;
    const size_t in = (size_t)(ft_node_input(nodes, node, 0)->c / p->groups);
    size_t count;
    return kernel_count(p, in, (size_t)p->filters, &count) ? ft_take_kernel(node, count, err)
                                                           : ft_error_nomem(err, "a kernel");
}

static int depthwise_weights(const struct ft_nodes *nodes, struct ft_node *node,
                             struct ft_error *err)
{
    const struct ft_layer_params *p = &node->params;
    const size_t in = (size_t)ft_node_input(nodes, node, 0)->c;
    size_t count;
    return kernel_count(p, in, (size_t)p->multiplier, &count) ? ft_take_kernel(node, count, err)
                                                              : ft_error_nomem(err, "a kernel");
}

static void convolution_settings(struct ft_step *step, const struct ft_node *node)
{
    ft_window_settings(step, node, true);
    step->work.groups = node->params.groups;
}

static void depthwise_settings(struct ft_step *step, const struct ft_node *node)
{
    ft_window_settings(step, node, true);
    step->work.multiplier = node->params.multiplier;
}

/* ---- SeparableConv2D: depthwise, then pointwise ---------------------------------------------- */

static int split_separable(const struct ft_layer *layer, const int *inputs, struct ft_node *node,
                           int at)
{
    if (ft_node_init(layer, inputs, 1, &node[0]) || ft_node_init(layer, &at, 1, &node[1]))
        return FT_ENOMEM;
    ft_node_become(&node[0], FT_LAYER_DEPTHWISE_CONV2D);
    ft_node_activate(&node[0], &(struct ft_layer_params){ .activation = FT_ACT_LINEAR });
    node[0].bias = NULL;
    ft_node_become(&node[1], FT_LAYER_CONV2D);
    node[1].kernel = &layer->weights[FT_W_POINTWISE];
    node[1].bias = &layer->weights[FT_W_SEPARABLE_BIAS];
    struct ft_layer_params *p = &node[1].params;
    for (int i = 0; i < 2; i++)
        p->kernel[i] = p->stride[i] = p->dilation[i] = 1;
    return 2;
}

/* ---- Conv2DTranspose: every pixel becomes a block, as large as the stride ---------------------
 */

/* With padding `valid` the last block is a whole kernel. */
static int transpose_shape(const struct ft_nodes *nodes, struct ft_node *node, struct ft_error *err)
{
    const struct ft_layer_params *p = &node->params;
    const struct ft_shape *in = ft_node_input(nodes, node, 0);
    const int n[2] = { in->h, in->w };
    long long size[2];
    int rc = ft_check_window(node, true, err);
    rc = rc ? rc : ft_check_picture(node, in, err);
    if (!rc && p->filters < 1)
        rc = ft_error_set(err, FT_EFORMAT, "layer '%s': %d filters are not valid",
                          node->layer->name, p->filters);
    for (int i = 0; !rc && i < 2; i++) {
        const long long over = p->kernel[i] > p->stride[i] ? p->kernel[i] - p->stride[i] : 0;
        size[i] = (long long)n[i] * p->stride[i] + (p->padding == FT_PAD_VALID ? over : 0);
        node->pad[i] = p->padding == FT_PAD_SAME ? (int)(over / 2) : 0;
        rc = ft_check_length(node, size[i], err);
    }
    if (rc)
        return rc;
    node->shape = (struct ft_shape){ 3, (int)size[0], (int)size[1], p->filters };
    return 0;
}

static int transpose_weights(const struct ft_nodes *nodes, struct ft_node *node,
                             struct ft_error *err)
{
    const struct ft_layer_params *p = &node->params;
    size_t count;
    if (!kernel_count(p, (size_t)ft_node_input(nodes, node, 0)->c, (size_t)p->filters, &count))
        return ft_error_nomem(err, "a kernel");
    return ft_take_kernel(node, count, err);
}

static void transpose_settings(struct ft_step *step, const struct ft_node *node)
{
    ft_window_settings(step, node, true);
}

/* ---- Dense ----------------------------------------------------------------------------------- */

static int dense_shape(const struct ft_nodes *nodes, struct ft_node *node, struct ft_error *err)
{
    if (node->params.units < 1)
        return ft_error_set(err, FT_EFORMAT, "layer '%s': %d units are not valid",
                            node->layer->name, node->params.units);
    node->shape = *ft_node_input(nodes, node, 0);
    node->shape.c = node->params.units;
    return 0;
}

static int dense_weights(const struct ft_nodes *nodes, struct ft_node *node, struct ft_error *err)
{
    size_t count;
    return ft_size_mul((size_t)ft_node_input(nodes, node, 0)->c, (size_t)node->params.units, &count)
               ? ft_take_kernel(node, count, err)
               : ft_error_nomem(err, "a kernel");
}

const struct ft_kind ft_kinds_convolutions[] = {
    { .kind = FT_LAYER_CONV2D,
      .kernel = true,
      .foldable = true,
      .shape = convolution_shape,
      .weights = convolution_weights,
      .emit = ft_emit_kernel,
      .operation = FT_OP_CONVOLUTION,
      .settings = convolution_settings },
    { .kind = FT_LAYER_DEPTHWISE_CONV2D,
      .kernel = true,
      .foldable = true,
      .shape = depthwise_shape,
      .weights = depthwise_weights,
      .emit = ft_emit_kernel,
      .operation = FT_OP_DEPTHWISE,
      .settings = depthwise_settings },
    { .kind = FT_LAYER_SEPARABLE_CONV2D, .split = split_separable },
    { .kind = FT_LAYER_CONV2D_TRANSPOSE,
      .kernel = true,
      .shape = transpose_shape,
      .weights = transpose_weights,
      .operation = FT_OP_TRANSPOSE,
      .settings = transpose_settings },
    { .kind = FT_LAYER_DENSE,
      .kernel = true,
      .foldable = true,
      .shape = dense_shape,
      .weights = dense_weights,
      .emit = ft_emit_kernel,
      .operation = FT_OP_CONVOLUTION },
    { .kind = FT_LAYER_KINDS },
};
