/* Multi-head attention: one product makes the queries, keys and values of all heads (two products
 * if keys and values come from another map, three if each comes from a map of its own), a step of
 * its own attends, another product follows. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "graph/kinds.h"

/* Channels of the queries (and of the keys), and of the values, of all heads. */
static int query_channels(const struct ft_node *node)
{
    return node->params.groups * node->params.units;
}

static int value_channels(const struct ft_node *node)
{
    return node->params.groups * node->params.filters;
}

/* ---- the projection: queries, keys and values side by side ----------------------------------- */

/* Which of them a projection makes: params.kernel[0] is the first of FT_W_QUERY, FT_W_KEY,
 * FT_W_VALUE, params.kernel[1] the last. */
static int projected(const struct ft_node *node)
{
    int channels = 0;
    for (int w = node->params.kernel[0]; w <= node->params.kernel[1]; w += FT_W_KEY)
        channels += w == FT_W_VALUE ? value_channels(node) : query_channels(node);
    return channels;
}

static int projection_shape(const struct ft_nodes *nodes, struct ft_node *node,
                            struct ft_error *err)
{
    const struct ft_layer_params *p = &node->params;
    enum { MOST = 1 << 12 };
    if (p->groups < 1 || p->groups > MOST || p->units < 1 || p->units > MOST || p->filters < 1 ||
        p->filters > MOST)
        return ft_error_set(err, FT_EFORMAT,
                            "layer '%s': %d heads of %d and %d channels are not valid",
                            node->layer->name, p->groups, p->units, p->filters);
    node->shape = *ft_node_input(nodes, node, 0);
    node->shape.c = projected(node);
    return ft_check_picture(node, &node->shape, err);
}

/* Puts kernel [rows, n] and bias [n] beside the others, as columns `at` and later. */
static int join(struct ft_node *node, int w, int n, int rows, int at, struct ft_error *err)
{
    const struct ft_tensor *kernel = &node->layer->weights[w], *bias = kernel + 1;
    int rc = ft_check_tensor(node, kernel, "kernel", (size_t)rows * (size_t)n, true, err);
    rc = rc ? rc : ft_check_tensor(node, bias, "bias", (size_t)n, false, err);
    if (rc)
        return rc;
    node->joined->parts[node->joined->n++] = kernel;
    if (bias->data)
        memcpy(node->offset + at, bias->data, (size_t)n * sizeof *node->offset);
    return 0;
}

static int projection_weights(const struct ft_nodes *nodes, struct ft_node *node,
                              struct ft_error *err)
{
    const int rows = ft_node_input(nodes, node, 0)->c, columns = node->shape.c;
    const size_t count = (size_t)rows * (size_t)columns;
    int at = 0, rc = 0;
    node->joined = calloc(1, sizeof *node->joined);
    node->offset = ft_alloc_zero((size_t)columns, sizeof *node->offset);
    if (!node->joined || !node->offset)
        return ft_error_nomem(err, "the plan of a network");
    node->joined->whole =
        (struct ft_tensor){ .rank = 2, .shape = { rows, columns }, .count = count };
    node->kernel = &node->joined->whole;
    for (int w = node->params.kernel[0]; !rc && w <= node->params.kernel[1]; w += FT_W_KEY) {
        const int n = w == FT_W_VALUE ? value_channels(node) : query_channels(node);
        rc = join(node, w, n, rows, at, err);
        at += n;
    }
    return rc;
}

static const struct ft_kind projection = { .kind = FT_LAYER_DENSE,
                                           .kernel = true,
                                           .foldable = true,
                                           .shape = projection_shape,
                                           .weights = projection_weights,
                                           .emit = ft_emit_kernel,
                                           .operation = FT_OP_CONVOLUTION };

/* ---- attention ------------------------------------------------------------------------------- */

static int attention_shape(const struct ft_nodes *nodes, struct ft_node *node, struct ft_error *err)
{
    const struct ft_shape *keys = ft_node_input(nodes, node, node->n_inputs - 1);
    node->shape = *ft_node_input(nodes, node, 0);
    node->shape.c = value_channels(node);
    if (node->params.windows && keys->h != node->shape.h)
        return ft_error_set(err, FT_EFORMAT,
                            "layer '%s': attention in windows has %d rows of queries, but %d of "
                            "keys",
                            node->layer->name, node->shape.h, keys->h);
    return 0;
}

/* SCORE_SCALE and POSITIONS, or neither. */
static int attention_weights(const struct ft_nodes *nodes, struct ft_node *node,
                             struct ft_error *err)
{
    const struct ft_tensor *scale = &node->layer->weights[FT_W_SCORE_SCALE],
                           *positions = &node->layer->weights[FT_W_POSITIONS];
    const size_t heads = (size_t)node->params.groups, q = (size_t)node->shape.w,
                 k = (size_t)ft_node_input(nodes, node, node->n_inputs - 1)->w,
                 rows = positions->rank == 4 ? (size_t)node->shape.h : 1;
    if (!scale->data && !positions->data)
        return 0;
    if (!node->params.windows || node->layer->n_inputs > 1)
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "layer '%s': positions of attention need windows of one map",
                            node->layer->name);
    const int rc = ft_check_tensor(node, scale, "scale of the scores", heads, true, err);
    return rc ? rc : ft_check_tensor(node, positions, "positions", rows * heads * q * k, true, err);
}

static void emit_attention(struct ft_emitter *e, const struct ft_node *node, struct ft_value in,
                           struct ft_value out)
{
    struct ft_value other = e->values[node->inputs[node->n_inputs - 1]];
    const int queries = query_channels(node);
    if (node->n_inputs == 1) {
        other.channel += queries;
        other.c -= queries;
        in.c = queries;
    }
    struct ft_step *s = ft_emit_step(e, FT_OP_ATTENTION, node, in, other, out);
    s->work.groups = node->params.groups;
    s->work.alpha = 1 / sqrtf((float)node->params.units);
    s->work.windows = node->params.windows;
    s->work.positions = node->layer->weights[FT_W_POSITIONS].data;
    s->work.by_row = node->layer->weights[FT_W_POSITIONS].rank == 4;
}

static int make_projection(const struct ft_layer *layer, int input, int first, int last,
                           struct ft_node *node)
{
    if (ft_node_init(layer, &input, 1, node))
        return FT_ENOMEM;
    node->kind = FT_LAYER_DENSE;
    node->row = &projection;
    node->params.kernel[0] = first;
    node->params.kernel[1] = last;
    return 0;
}

/* A projection that changes nothing, as files have it whose queries and keys are made by layers of
 * their own. */
static bool is_identity(const struct ft_tensor *kernel, const struct ft_tensor *bias)
{
    const size_t rows = kernel->count ? (size_t)kernel->shape[0] : 0;
    if (!rows || kernel->count != rows * rows)
        return false;
    for (size_t i = 0; i < kernel->count; i++)
        if (kernel->data[i] != (i % (rows + 1) ? 0 : 1))
            return false;
    for (size_t i = 0; bias->data && i < bias->count; i++)
        if (bias->data[i] != 0)
            return false;
    return true;
}

/* Makes node[*n], whose index is at + *n, unless the projection is the identity. *from is the node
 * that has the projected map. */
static int project_one(const struct ft_layer *layer, int input, int w, struct ft_node *node, int at,
                       int *n, int *from)
{
    *from = input;
    if (w != FT_W_VALUE && is_identity(&layer->weights[w], &layer->weights[w + 1]))
        return 0;
    *from = at + *n;
    return make_projection(layer, input, w, w, &node[(*n)++]);
}

/* Queries, values and keys of three maps, in this order. Keys and values are put side by side. */
static int project_three(const struct ft_layer *layer, const int *inputs, struct ft_node *node,
                         int at, int *n, int made[2])
{
    int sides[2];
    if (project_one(layer, inputs[0], FT_W_QUERY, node, at, n, &made[0]) ||
        project_one(layer, inputs[2], FT_W_KEY, node, at, n, &sides[0]) ||
        project_one(layer, inputs[1], FT_W_VALUE, node, at, n, &sides[1]) ||
        ft_node_init(layer, sides, 2, &node[*n]))
        return FT_ENOMEM;
    ft_node_become(&node[*n], FT_LAYER_CONCATENATE);
    made[1] = at + (*n)++;
    return 0;
}

/* One product, or two if keys and values come from another map. */
static int project_all(const struct ft_layer *layer, const int *inputs, bool one,
                       struct ft_node *node, int at, int *n, int made[2])
{
    *n = one ? 1 : 2;
    made[0] = at;
    made[1] = at + 1;
    if (make_projection(layer, inputs[0], FT_W_QUERY, one ? FT_W_VALUE : FT_W_QUERY, &node[0]) ||
        (!one && make_projection(layer, inputs[1], FT_W_KEY, FT_W_VALUE, &node[1])))
        return FT_ENOMEM;
    return 0;
}

static int split_attention(const struct ft_layer *layer, const int *inputs, struct ft_node *node,
                           int at)
{
    const bool three = layer->n_inputs == 3 && inputs[1] != inputs[2],
               one = !three && (layer->n_inputs == 1 || inputs[0] == inputs[1]);
    int n = 0, made[2];
    if (three ? project_three(layer, inputs, node, at, &n, made)
              : project_all(layer, inputs, one, node, at, &n, made))
        return FT_ENOMEM;
    const int core = at + n;
    struct ft_node *output = &node[n + 1];
    if (ft_node_init(layer, made, one ? 1 : 2, &node[n]) || ft_node_init(layer, &core, 1, output))
        return FT_ENOMEM;
    ft_node_become(output, FT_LAYER_DENSE);
    output->kernel = &layer->weights[FT_W_OUTPUT];
    output->bias = &layer->weights[FT_W_OUTPUT_BIAS];
    output->params.units = (int)output->kernel->shape[2];
    return n + 2;
}

const struct ft_kind ft_kinds_attention[] = {
    { .kind = FT_LAYER_ATTENTION,
      .split = split_attention,
      .shape = attention_shape,
      .weights = attention_weights,
      .emit = emit_attention },
    { .kind = FT_LAYER_KINDS },
};
