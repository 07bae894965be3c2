/* Making nodes fewer without changing what they compute. */
#include "graph/nodes.h"

#include <stdlib.h>

static void count_uses(struct ft_nodes *nodes)
{
    for (int i = 0; i < nodes->n; i++)
        nodes->node[i].uses = 0;
    nodes->node[nodes->output].uses = 1;
    for (int i = 0; i < nodes->n; i++)
        for (int k = 0; nodes->node[i].needed && k < nodes->node[i].n_inputs; k++)
            nodes->node[nodes->node[i].inputs[k]].uses++;
}

/* Every user of node `from` uses `to` instead. */
static void forward(struct ft_nodes *nodes, int from, int to)
{
    for (int i = from + 1; i < nodes->n; i++)
        for (int k = 0; k < nodes->node[i].n_inputs; k++)
            if (nodes->node[i].inputs[k] == from)
                nodes->node[i].inputs[k] = to;
    if (nodes->output == from)
        nodes->output = to;
    nodes->node[from].needed = false;
}

static bool weighted(const struct ft_node *node)
{
    return node->kind == FT_LAYER_CONV2D || node->kind == FT_LAYER_DEPTHWISE_CONV2D || node->kind == FT_LAYER_DENSE;
}

/* Node i takes the place of its only input's producer, or rather the other way round: the producer moves to i. */
static void absorb(struct ft_nodes *nodes, int producer, int i)
{
    struct ft_node *p = &nodes->node[producer], *node = &nodes->node[i];
    struct ft_node moved = *p;
    moved.target = node->target;
    moved.uses = node->uses;
    moved.shape.rank = node->shape.rank;
    free(node->inputs);
    free(node->scale);
    free(node->offset);
    *node = moved;
    p->inputs = NULL;
    p->scale = p->offset = NULL;
    p->n_inputs = 0;
    p->needed = false;
}

/* x * s1 + o1 followed by x * s2 + o2; the node may have neither yet. Takes over the arrays it lacks from `after`. */
static void compose(struct ft_node *node, struct ft_node *after)
{
    for (int c = 0; c < node->shape.c; c++) {
        const float s = after->scale[c], o = after->offset[c];
        after->scale[c] = node->scale ? node->scale[c] * s : s;
        after->offset[c] = node->offset ? node->offset[c] * s + o : o;
    }
    float *scale = node->scale, *offset = node->offset;
    node->scale = after->scale;
    node->offset = after->offset;
    after->scale = scale;
    after->offset = offset;
}

static bool fold_affine(struct ft_nodes *nodes, int i)
{
    struct ft_node *node = &nodes->node[i], *p = &nodes->node[node->inputs[0]];
    const bool can = weighted(p) || p->kind == FT_LAYER_RESCALING || p->kind == FT_LAYER_INPUT;
    if (!can || p->uses != 1 || p->activation != FT_ACT_LINEAR || p->residual)
        return false;
    compose(p, node);
    absorb(nodes, node->inputs[0], i);
    return true;
}

static bool fuse_activation(struct ft_nodes *nodes, int i)
{
    struct ft_node *node = &nodes->node[i], *p = &nodes->node[node->inputs[0]];
    const bool can = weighted(p) || p->kind == FT_LAYER_RESCALING || p->kind == FT_LAYER_ADD || p->kind == FT_LAYER_MULTIPLY;
    const enum ft_activation activation = node->activation;
    if (!can || p->uses != 1 || p->activation != FT_ACT_LINEAR)
        return false;
    absorb(nodes, node->inputs[0], i);
    nodes->node[i].activation = activation;
    return true;
}

/* A sum of two equal shapes of which one is a convolution's that nobody else wants. */
static bool fuse_sum(struct ft_nodes *nodes, int i)
{
    const struct ft_node *node = &nodes->node[i];
    const enum ft_activation activation = node->activation;
    if (node->n_inputs != 2)
        return false;
    const int a = node->inputs[0], b = node->inputs[1], later = a > b ? a : b;
    for (int turn = 0; turn < 2; turn++) {
        const int producer = turn ? a + b - later : later, other = a + b - producer;
        const struct ft_node *p = &nodes->node[producer], *o = &nodes->node[other];
        if (!weighted(p) || p->uses != 1 || p->activation != FT_ACT_LINEAR || p->residual || p->shape.h != o->shape.h ||
            p->shape.w != o->shape.w || p->shape.c != o->shape.c)
            continue;
        absorb(nodes, producer, i);
        nodes->node[i].inputs[nodes->node[i].n_inputs++] = other;
        nodes->node[i].residual = true;
        nodes->node[i].activation = activation;
        return true;
    }
    return false;
}

void ft_nodes_fold(struct ft_nodes *nodes)
{
    for (int i = 0; i < nodes->n; i++) { /* in order: what stands before i is folded already */
        struct ft_node *node = &nodes->node[i];
        if (!node->needed)
            continue;
        const bool nothing = node->kind == FT_LAYER_IDENTITY || (node->kind == FT_LAYER_ACTIVATION && node->activation == FT_ACT_LINEAR);
        if (nothing) {
            forward(nodes, i, node->inputs[0]);
            continue;
        }
        count_uses(nodes);
        if (node->kind == FT_LAYER_RESCALING)
            fold_affine(nodes, i);
        else if (node->kind == FT_LAYER_ACTIVATION)
            fuse_activation(nodes, i);
        else if (node->kind == FT_LAYER_ADD)
            fuse_sum(nodes, i);
    }
}
