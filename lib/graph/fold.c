/* Reduces the number of nodes without changing what they compute. */
#include "graph/kinds.h"
#include "network/kinds.h"

#include <math.h>
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

/* Makes every user of node `from` use `to` instead. */
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

static bool merges(const struct ft_node *node)
{
    return ft_layer_kind_info(node->kind)->flags & FT_KIND_MERGES;
}

/* Returns whether a node has neither a clamp nor an activation. */
static bool plain(const struct ft_node *node)
{
    return node->activation == FT_ACT_LINEAR && isinf(node->lo) && isinf(node->hi);
}

/* The producer of node i's input replaces node i, at i. */
static void absorb(struct ft_nodes *nodes, int producer, int i)
{
    struct ft_node *p = &nodes->node[producer], *node = &nodes->node[i];
    struct ft_node moved = *p;
    moved.uses = node->uses;
    moved.result = node->result;
    moved.shape.rank = node->shape.rank;
    free(node->inputs);
    free(node->scale);
    free(node->offset);
    free(node->joined);
    *node = moved;
    p->inputs = NULL;
    p->scale = p->offset = NULL;
    p->joined = NULL;
    p->n_inputs = 0;
    p->needed = false;
}

/* Composes x * s1 + o1 of the node, which may have neither, with x * s2 + o2 of `after`. The result
 * is written to the arrays of `after`, which the node then owns. */
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

/* clamp(x, lo, hi) * s is clamp(x * s, lo * s, hi * s) if s > 0 is the same for all channels. An
 * example is x / 6 after relu6. */
static bool fold_through_clamp(struct ft_node *node, struct ft_node *p, struct ft_nodes *nodes,
                               int i)
{
    const bool can = p->row->foldable || p->kind == FT_LAYER_RESCALING;
    const float s = node->scale[0];
    if (!can || p->uses != 1 || p->activation != FT_ACT_LINEAR || p->residual || !(s > 0))
        return false;
    for (int c = 0; c < node->shape.c; c++)
        if (node->scale[c] != s || node->offset[c] != 0)
            return false;
    const float lo = p->lo * s, hi = p->hi * s;
    compose(p, node);
    absorb(nodes, node->inputs[0], i);
    nodes->node[i].lo = lo;
    nodes->node[i].hi = hi;
    return true;
}

static bool fold_affine(struct ft_nodes *nodes, int i)
{
    struct ft_node *node = &nodes->node[i], *p = &nodes->node[node->inputs[0]];
    const bool can = p->row->foldable || p->kind == FT_LAYER_RESCALING || p->kind == FT_LAYER_INPUT;
    if (!can || p->uses != 1 || !plain(p) || p->residual)
        return fold_through_clamp(node, p, nodes, i);
    compose(p, node);
    absorb(nodes, node->inputs[0], i);
    return true;
}

/* Copies the clamp and the activation of the later of two fused nodes. */
static void set_end(struct ft_node *to, const struct ft_node *from)
{
    to->activation = from->activation;
    to->lo = from->lo;
    to->hi = from->hi;
    to->params.activation = from->params.activation;
    to->params.alpha = from->params.alpha;
    to->params.most = from->params.most;
    to->params.threshold = from->params.threshold;
}

static bool fuse_activation(struct ft_nodes *nodes, int i)
{
    struct ft_node *node = &nodes->node[i], *p = &nodes->node[node->inputs[0]];
    const bool can = p->row->foldable || p->kind == FT_LAYER_RESCALING || merges(p);
    const struct ft_node before = *node;
    if (!can || p->uses != 1 || !plain(p))
        return false;
    absorb(nodes, node->inputs[0], i);
    set_end(&nodes->node[i], &before);
    return true;
}

/* Fuses a sum of two equal shapes into a convolution that makes one of them for no other user. */
static bool fuse_sum(struct ft_nodes *nodes, int i)
{
    const struct ft_node *node = &nodes->node[i];
    const struct ft_node before = *node;
    if (node->n_inputs != 2)
        return false;
    const int a = node->inputs[0], b = node->inputs[1], later = a > b ? a : b;
    for (int turn = 0; turn < 2; turn++) {
        const int producer = turn ? a + b - later : later, other = a + b - producer;
        const struct ft_node *p = &nodes->node[producer], *o = &nodes->node[other];
        if (!p->row->foldable || p->uses != 1 || !plain(p) || p->residual ||
            p->shape.h != o->shape.h || p->shape.w != o->shape.w || p->shape.c != o->shape.c)
            continue;
        absorb(nodes, producer, i);
        nodes->node[i].inputs[nodes->node[i].n_inputs++] = other;
        nodes->node[i].residual = true;
        set_end(&nodes->node[i], &before);
        return true;
    }
    return false;
}

/* Recognises x * clamp(x / 6 + 1/2, 0, 1), however it is written in the file: it is hard_swish. */
static bool find_hard_swish(struct ft_nodes *nodes, int i)
{
    struct ft_node *node = &nodes->node[i];
    if (node->n_inputs != 2)
        return false;
    for (int turn = 0; turn < 2; turn++) {
        const int x = node->inputs[turn], g = node->inputs[1 - turn];
        struct ft_node *gate = &nodes->node[g];
        bool same = gate->kind == FT_LAYER_RESCALING && gate->n_inputs == 1 &&
                    gate->inputs[0] == x && gate->activation == FT_ACT_LINEAR && gate->uses == 1 &&
                    fabsf(gate->lo) < 1e-6f && fabsf(gate->hi - 1) < 1e-6f;
        for (int c = 0; same && c < gate->shape.c; c++)
            same =
                fabsf(gate->scale[c] - 1.0f / 6) < 1e-6f && fabsf(gate->offset[c] - 0.5f) < 1e-6f;
        if (!same)
            continue;
        ft_node_become(node, FT_LAYER_ACTIVATION);
        node->activation = FT_ACT_HARD_SWISH;
        node->n_inputs = 1;
        node->inputs[0] = x;
        gate->needed = false;
        return true;
    }
    return false;
}

/* Returns whether both inputs of a product are these nodes. */
static bool multiplies(const struct ft_node *node, int a, int b)
{
    return node->kind == FT_LAYER_MULTIPLY && node->n_inputs == 2 && isinf(node->lo) &&
           isinf(node->hi) &&
           ((node->inputs[0] == a && node->inputs[1] == b) ||
            (node->inputs[0] == b && node->inputs[1] == a));
}

/* Returns whether every channel is multiplied by `scale` and then `offset` is added. */
static bool rescales(const struct ft_node *node, float scale, float offset)
{
    bool same = node->kind == FT_LAYER_RESCALING && node->n_inputs == 1 && plain(node);
    for (int c = 0; same && c < node->shape.c; c++)
        same = fabsf(node->scale[c] - scale) < 1e-6f && fabsf(node->offset[c] - offset) < 1e-6f;
    return same;
}

/* Recognises x * sigmoid(x * (a x^2 + b)): gelu with tanh, which Keras has no name for. */
static bool find_gelu_tanh(struct ft_nodes *nodes, int i)
{
    struct ft_node *node = &nodes->node[i], *all = nodes->node;
    for (int turn = 0; node->n_inputs == 2 && turn < 2; turn++) {
        const int x = node->inputs[turn], g = node->inputs[1 - turn];
        struct ft_node *gate = &all[g];
        if (gate->activation != FT_ACT_SIGMOID || gate->uses != 1 || gate->n_inputs != 2)
            continue;
        const int c = gate->inputs[gate->inputs[0] == x];
        struct ft_node *cubic = &all[c], *square = &all[cubic->inputs ? cubic->inputs[0] : x];
        if (!multiplies(gate, x, c) || cubic->uses != 1 ||
            !rescales(cubic, 0.0713548163f, 1.59576912f) || square->uses != 1 || !plain(square) ||
            !multiplies(square, x, x))
            continue;
        ft_node_become(node, FT_LAYER_ACTIVATION);
        node->activation = FT_ACT_GELU_TANH;
        node->n_inputs = 1;
        node->inputs[0] = x;
        gate->needed = cubic->needed = square->needed = false;
        return true;
    }
    return false;
}

/* If only every n-th pixel of a pool with a stride of 1 is read, it is a pool with a stride of n.
 * ONNX files become such layers (a pool, a crop, a pool of single pixels), because the pools of
 * Keras have only its own paddings. */
static bool find_strided_pool(struct ft_nodes *nodes, int i)
{
    struct ft_node *node = &nodes->node[i];
    int from = node->inputs[0], crop[2] = { 0, 0 };
    if (node->params.kernel[0] != 1 || node->params.kernel[1] != 1)
        return false;
    struct ft_node *cropping = &nodes->node[from];
    if (cropping->kind == FT_LAYER_CROPPING && cropping->uses == 1) {
        crop[0] = cropping->params.pad[0];
        crop[1] = cropping->params.pad[2];
        from = cropping->inputs[0];
    }
    struct ft_node *p = &nodes->node[from];
    if ((p->kind != FT_LAYER_MAX_POOL && p->kind != FT_LAYER_AVERAGE_POOL) || p->uses != 1 ||
        p->params.stride[0] != 1 || p->params.stride[1] != 1 || p->pad[0] < crop[0] ||
        p->pad[1] < crop[1])
        return false;
    for (int a = 0; a < 2; a++) {
        p->params.stride[a] = node->params.stride[a];
        p->pad[a] -= crop[a];
    }
    p->shape = node->shape;
    absorb(nodes, from, i);
    cropping->needed = false; /* or it was the pool itself, which has moved */
    return true;
}

void ft_nodes_fold(struct ft_nodes *nodes)
{
    for (int i = 0; i < nodes->n; i++) { /* in order: all nodes before i are folded already */
        struct ft_node *node = &nodes->node[i];
        if (!node->needed)
            continue;
        const bool nothing =
            node->kind == FT_LAYER_IDENTITY || (node->kind == FT_LAYER_ACTIVATION && plain(node));
        if (nothing) {
            forward(nodes, i, node->inputs[0]);
            continue;
        }
        count_uses(nodes);
        if (node->kind == FT_LAYER_MULTIPLY && plain(node) &&
            (find_hard_swish(nodes, i) || find_gelu_tanh(nodes, i)))
            count_uses(nodes);
        if (node->kind == FT_LAYER_RESCALING)
            fold_affine(nodes, i);
        else if (node->kind == FT_LAYER_ACTIVATION)
            fuse_activation(nodes, i);
        else if (node->kind == FT_LAYER_ADD)
            fuse_sum(nodes, i);
        else if (node->kind == FT_LAYER_MAX_POOL)
            find_strided_pool(nodes, i);
    }
}
