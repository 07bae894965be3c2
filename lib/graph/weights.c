/* Do a layer's tensors fit its settings? And normalisations as y = x * scale + offset. */
#include "graph/nodes.h"

#include <math.h>

#include "base/error.h"
#include "base/memory.h"

static int check_tensor(const struct ft_node *node, const struct ft_tensor *t, const char *what,
                        size_t count, bool needed, struct ft_error *err)
{
    if (!t->data && needed)
        return ft_error_set(err, FT_EFORMAT, "layer '%s': its %s is missing from the file",
                            node->layer->name, what);
    if (t->data && t->count != count)
        return ft_error_set(err, FT_EFORMAT,
                            "layer '%s': its %s has %zu values where its settings ask for %zu",
                            node->layer->name, what, t->count, count);
    return 0;
}

static int check(const struct ft_node *node, int which, const char *what, size_t count, bool needed,
                 struct ft_error *err)
{
    return check_tensor(node, &node->layer->weights[which], what, count, needed, err);
}

/* Convolutions and dense layers: kernel, and bias into `offset`. */
static int take_kernel(struct ft_node *node, size_t kernel, struct ft_error *err)
{
    const size_t c = (size_t)node->shape.c;
    const float *bias = node->bias ? node->bias->data : NULL;
    int failed = check_tensor(node, node->kernel, "kernel", kernel, true, err);
    failed = failed || !bias ? failed : check_tensor(node, node->bias, "bias", c, false, err);
    if (failed || !bias)
        return failed;
    node->offset = ft_alloc(c, sizeof(float));
    if (!node->offset)
        return ft_error_nomem(err, "the plan of a network");
    for (size_t i = 0; i < c; i++)
        node->offset[i] = bias[i];
    return 0;
}

static int take_affine(struct ft_node *node, struct ft_error *err)
{
    node->scale = ft_alloc((size_t)node->shape.c, sizeof(float));
    node->offset = ft_alloc((size_t)node->shape.c, sizeof(float));
    return node->scale && node->offset ? 0 : ft_error_nomem(err, "the plan of a network");
}

static int take_batch_norm(struct ft_node *node, struct ft_error *err)
{
    const size_t c = (size_t)node->shape.c;
    const struct ft_tensor *w = node->layer->weights;
    int failed = check(node, FT_W_GAMMA, "gamma", c, false, err);
    failed = failed ? failed : check(node, FT_W_BETA, "beta", c, false, err);
    failed = failed ? failed : check(node, FT_W_MEAN, "moving mean", c, true, err);
    failed = failed ? failed : check(node, FT_W_VARIANCE, "moving variance", c, true, err);
    failed = failed ? failed : take_affine(node, err);
    if (failed)
        return failed;
    for (size_t i = 0; i < c; i++) {
        const double gamma = w[FT_W_GAMMA].data ? w[FT_W_GAMMA].data[i] : 1,
                     beta = w[FT_W_BETA].data ? w[FT_W_BETA].data[i] : 0;
        const double scale =
            gamma / sqrt((double)w[FT_W_VARIANCE].data[i] + node->layer->params.epsilon);
        node->scale[i] = (float)scale;
        node->offset[i] = (float)(beta - w[FT_W_MEAN].data[i] * scale);
    }
    node->kind = FT_LAYER_RESCALING;
    return 0;
}

static int take_rescaling(struct ft_node *node, struct ft_error *err)
{
    const struct ft_tensor *scale = &node->layer->weights[FT_W_SCALE],
                           *offset = &node->layer->weights[FT_W_OFFSET];
    const size_t c = (size_t)node->shape.c;
    int failed = check(node, FT_W_SCALE, "scale", scale->count == 1 ? 1 : c, false, err);
    failed = failed ? failed
                    : check(node, FT_W_OFFSET, "offset", offset->count == 1 ? 1 : c, false, err);
    failed = failed ? failed : take_affine(node, err);
    for (size_t i = 0; !failed && i < c; i++) {
        node->scale[i] = scale->data ? scale->data[scale->count == 1 ? 0 : i] : 1;
        node->offset[i] = offset->data ? offset->data[offset->count == 1 ? 0 : i] : 0;
    }
    return failed;
}

/* Layer and group normalisation: gamma and beta as scale and offset, which the step applies itself.
 */
static int take_norm(struct ft_node *node, struct ft_error *err)
{
    const size_t c = (size_t)node->shape.c;
    const struct ft_tensor *gamma = &node->layer->weights[FT_W_GAMMA],
                           *beta = &node->layer->weights[FT_W_BETA];
    int failed = check(node, FT_W_GAMMA, "gamma", c, false, err);
    failed = failed ? failed : check(node, FT_W_BETA, "beta", c, false, err);
    failed = failed ? failed : take_affine(node, err);
    for (size_t i = 0; !failed && i < c; i++) {
        node->scale[i] = gamma->data ? gamma->data[i] : 1;
        node->offset[i] = beta->data ? beta->data[i] : 0;
    }
    if (node->params.groups == -1)
        node->params.groups = node->shape.c;
    if (!failed && node->kind == FT_LAYER_GROUP_NORM &&
        (node->params.groups < 1 || node->shape.c % node->params.groups))
        failed = ft_error_set(err, FT_EFORMAT,
                              "layer '%s': %d channels cannot be divided into %d groups",
                              node->layer->name, node->shape.c, node->params.groups);
    return failed;
}

/* Alpha is one a channel, or one a value. */
static int check_prelu(const struct ft_node *node, struct ft_error *err)
{
    const struct ft_tensor *t = &node->layer->weights[FT_W_ALPHA];
    const size_t c = (size_t)node->shape.c, all = (size_t)node->shape.h * (size_t)node->shape.w * c;
    if (t->data && t->count != c && t->count != all && t->count != 1)
        return ft_error_set(
            err, FT_EUNSUPPORTED,
            "layer '%s': shared_axes other than [1, 2] are not supported, nor another input size",
            node->layer->name);
    return check(node, FT_W_ALPHA, "alpha", t->count, true, err);
}

/* A sum whose parts are divided by their number. */
static int take_average(struct ft_node *node, struct ft_error *err)
{
    const int failed = take_affine(node, err);
    for (int i = 0; !failed && i < node->shape.c; i++) {
        node->scale[i] = 1.0f / (float)node->n_inputs;
        node->offset[i] = 0;
    }
    return failed;
}

static bool kernel_count(const struct ft_layer_params *p, size_t cin, size_t out, size_t *count)
{
    return ft_size_mul((size_t)p->kernel[0] * (size_t)p->kernel[1], cin, count) &&
           ft_size_mul(*count, out, count);
}

int ft_node_weights(const struct ft_nodes *nodes, struct ft_node *node, struct ft_error *err)
{
    const struct ft_layer_params *p = &node->params;
    const size_t in = node->n_inputs ? (size_t)nodes->node[node->inputs[0]].shape.c : 0;
    size_t count;
    switch (node->kind) {
    case FT_LAYER_CONV2D:
        if (p->filters < 1 || p->groups < 1 || in % (size_t)p->groups || p->filters % p->groups ||
            !kernel_count(p, in / (size_t)p->groups, (size_t)p->filters, &count))
            return ft_error_set(
                err, FT_EFORMAT,
                "layer '%s': %d filters in %d groups over %zu channels make no sense",
                node->layer->name, p->filters, p->groups, in);
        return take_kernel(node, count, err);
    case FT_LAYER_DEPTHWISE_CONV2D:
        return kernel_count(p, in, (size_t)p->multiplier, &count) ? take_kernel(node, count, err)
                                                                  : ft_error_nomem(err, "a kernel");
    case FT_LAYER_DENSE:
        if (p->units < 1 || !ft_size_mul(in, (size_t)p->units, &count))
            return ft_error_set(err, FT_EFORMAT, "layer '%s': %d units make no sense",
                                node->layer->name, p->units);
        return take_kernel(node, count, err);
    case FT_LAYER_CONV2D_TRANSPOSE:
        if (p->filters < 1 || !kernel_count(p, in, (size_t)p->filters, &count))
            return ft_error_set(err, FT_EFORMAT, "layer '%s': %d filters make no sense",
                                node->layer->name, p->filters);
        return take_kernel(node, count, err);
    case FT_LAYER_LAYER_NORM:
    case FT_LAYER_GROUP_NORM:
        return take_norm(node, err);
    case FT_LAYER_PRELU:
        return check_prelu(node, err);
    case FT_LAYER_AVERAGE:
        return take_average(node, err);
    case FT_LAYER_BATCH_NORM:
        return take_batch_norm(node, err);
    case FT_LAYER_RESCALING:
        return take_rescaling(node, err);
    default:
        return 0;
    }
}
