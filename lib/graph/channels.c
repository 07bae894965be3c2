/* Layers whose output has the shape of their input: normalisation, scaling, activation. */
#include <math.h>

#include "base/error.h"
#include "graph/kinds.h"

static int check(const struct ft_node *node, enum ft_weight which, const char *what, size_t count,
                 bool required, struct ft_error *err)
{
    return ft_check_tensor(node, &node->layer->weights[which], what, count, required, err);
}

/* Batch normalisation at inference is y = x * scale + offset, in double until the end. */
static int batch_norm_weights(const struct ft_nodes *nodes, struct ft_node *node,
                              struct ft_error *err)
{
    (void)nodes;
    const size_t c = (size_t)node->shape.c;
    const struct ft_tensor *w = node->layer->weights;
    int rc = check(node, FT_W_GAMMA, "gamma", c, false, err);
    rc = rc ? rc : check(node, FT_W_BETA, "beta", c, false, err);
    rc = rc ? rc : check(node, FT_W_MEAN, "moving mean", c, true, err);
    rc = rc ? rc : check(node, FT_W_VARIANCE, "moving variance", c, true, err);
    rc = rc ? rc : ft_node_new_affine(node, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < c; i++) {
        const double gamma = w[FT_W_GAMMA].data ? (double)w[FT_W_GAMMA].data[i] : 1,
                     beta = w[FT_W_BETA].data ? (double)w[FT_W_BETA].data[i] : 0,
                     variance = (double)w[FT_W_VARIANCE].data[i],
                     scale = gamma / sqrt(variance + (double)node->layer->params.epsilon);
        node->scale[i] = (float)scale;
        node->offset[i] = (float)(beta - (double)w[FT_W_MEAN].data[i] * scale);
    }
    ft_node_become(node, FT_LAYER_RESCALING);
    return 0;
}

/* The value of channel i. A tensor of one value applies to all channels. */
static float channel_value(const struct ft_tensor *t, size_t i, float absent)
{
    return t->data ? t->data[t->count == 1 ? 0 : i] : absent;
}

static int rescaling_weights(const struct ft_nodes *nodes, struct ft_node *node,
                             struct ft_error *err)
{
    (void)nodes;
    const struct ft_tensor *scale = &node->layer->weights[FT_W_SCALE],
                           *offset = &node->layer->weights[FT_W_OFFSET];
    const size_t c = (size_t)node->shape.c;
    int rc = check(node, FT_W_SCALE, "scale", scale->count == 1 ? 1 : c, false, err);
    rc = rc ? rc : check(node, FT_W_OFFSET, "offset", offset->count == 1 ? 1 : c, false, err);
    rc = rc ? rc : ft_node_new_affine(node, err);
    for (size_t i = 0; !rc && i < c; i++) {
        node->scale[i] = channel_value(scale, i, 1);
        node->offset[i] = channel_value(offset, i, 0);
    }
    return rc;
}

static bool broadcasts(const struct ft_tensor *t, const struct ft_shape *s)
{
    const int64_t of[3] = { s->h, s->w, s->c };
    for (int i = 0; t->rank == 3 && i < 3; i++)
        if (t->shape[i] != 1 && t->shape[i] != of[i])
            return false;
    return t->rank == 3 || t->count == 1 || t->count == (size_t)s->c;
}

/* The constants are expanded to the whole map when they are packed. */
static int map_rescaling_weights(const struct ft_nodes *nodes, struct ft_node *node,
                                 struct ft_error *err)
{
    (void)nodes;
    const struct ft_tensor *w = node->layer->weights;
    if (broadcasts(&w[FT_W_SCALE], &node->shape) && broadcasts(&w[FT_W_OFFSET], &node->shape))
        return 0;
    return ft_error_set(err, FT_EUNSUPPORTED,
                        "layer '%s': a constant does not fit a map of %d x %d x %d: it may belong "
                        "to another input size",
                        node->layer->name, node->shape.h, node->shape.w, node->shape.c);
}

/* gamma and beta are scale and offset, which the step applies after it has normalised. */
static int norm_weights(const struct ft_nodes *nodes, struct ft_node *node, struct ft_error *err)
{
    (void)nodes;
    const size_t c = (size_t)node->shape.c;
    const struct ft_tensor *gamma = &node->layer->weights[FT_W_GAMMA],
                           *beta = &node->layer->weights[FT_W_BETA];
    int rc = check(node, FT_W_GAMMA, "gamma", c, false, err);
    rc = rc ? rc : check(node, FT_W_BETA, "beta", c, false, err);
    rc = rc ? rc : ft_node_new_affine(node, err);
    for (size_t i = 0; !rc && i < c; i++) {
        node->scale[i] = gamma->data ? gamma->data[i] : 1;
        node->offset[i] = beta->data ? beta->data[i] : 0;
    }
    return rc;
}

static int group_norm_weights(const struct ft_nodes *nodes, struct ft_node *node,
                              struct ft_error *err)
{
    int *groups = &node->params.groups;
    if (*groups == -1)
        *groups = node->shape.c;
    if (*groups < 1 || node->shape.c % *groups)
        return ft_error_set(err, FT_EFORMAT,
                            "layer '%s': %d channels cannot be divided into %d groups",
                            node->layer->name, node->shape.c, *groups);
    return norm_weights(nodes, node, err);
}

static void group_norm_settings(struct ft_step *step, const struct ft_node *node)
{
    step->work.groups = node->params.groups;
}

/* alpha has one value for each channel, for each value of the map, or for all. */
static int prelu_weights(const struct ft_nodes *nodes, struct ft_node *node, struct ft_error *err)
{
    (void)nodes;
    const struct ft_tensor *t = &node->layer->weights[FT_W_ALPHA];
    const size_t c = (size_t)node->shape.c, all = (size_t)node->shape.h * (size_t)node->shape.w * c;
    if (t->data && t->count != c && t->count != all && t->count != 1)
        return ft_error_set(
            err, FT_EUNSUPPORTED,
            "layer '%s': shared_axes other than [1, 2] are not supported, nor another input size",
            node->layer->name);
    return check(node, FT_W_ALPHA, "alpha", t->count, true, err);
}

static void prelu_settings(struct ft_step *step, const struct ft_node *node)
{
    step->work.whole = node->layer->weights[FT_W_ALPHA].count > (size_t)step->out.c;
}

const struct ft_kind ft_kinds_channels[] = {
    { .kind = FT_LAYER_RESCALING, .weights = rescaling_weights, .operation = FT_OP_AFFINE },
    { .kind = FT_LAYER_MAP_RESCALING,
      .weights = map_rescaling_weights,
      .operation = FT_OP_AFFINE_MAP },
    { .kind = FT_LAYER_BATCH_NORM, .weights = batch_norm_weights },
    { .kind = FT_LAYER_LAYER_NORM, .weights = norm_weights, .operation = FT_OP_LAYER_NORM },
    { .kind = FT_LAYER_GROUP_NORM,
      .weights = group_norm_weights,
      .operation = FT_OP_GROUP_NORM,
      .settings = group_norm_settings },
    { .kind = FT_LAYER_RMS_NORM, .weights = norm_weights, .operation = FT_OP_RMS_NORM },
    { .kind = FT_LAYER_UNIT_NORM, .operation = FT_OP_UNIT_NORM },
    { .kind = FT_LAYER_PRELU,
      .weights = prelu_weights,
      .operation = FT_OP_PRELU,
      .settings = prelu_settings },
    { .kind = FT_LAYER_ACTIVATION, .operation = FT_OP_ACTIVATE },
    { .kind = FT_LAYER_IDENTITY }, /* removed by ft_nodes_fold */
    { .kind = FT_LAYER_KINDS },
};
