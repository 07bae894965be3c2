/* From nodes to steps: which operation, on which values. */
#include <assert.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "graph/kinds.h"
#include "network/kinds.h"

static struct ft_value new_value(struct ft_emitter *e, const struct ft_node *node)
{
    struct ft_plan *p = e->plan;
    const struct ft_shape s = node->shape;
    assert(p->n_buffers < e->nodes->n);
    p->buffers[p->n_buffers] = (struct ft_buffer){
        .h = s.h, .w = s.w, .c = s.c, .bytes = sizeof(float), .layer = node->result->name
    };
    return (struct ft_value){ .buffer = p->n_buffers++, .h = s.h, .w = s.w, .c = s.c };
}

struct ft_step *ft_emit_step(struct ft_emitter *e, enum ft_operation operation,
                             const struct ft_node *node, struct ft_value in, struct ft_value other,
                             struct ft_value out)
{
    struct ft_plan *p = e->plan;
    assert((size_t)p->n_steps < e->step_capacity);
    struct ft_step *s = &p->steps[p->n_steps++];
    *s = (struct ft_step){ .operation = operation,
                           .in = in,
                           .other = other,
                           .out = out,
                           .clear = -1,
                           .node = node,
                           .kind = node->kind };
    for (int i = 0; i < 2; i++)
        s->work.kernel[i] = s->work.stride[i] = s->work.dilation[i] = 1;
    s->work.groups = s->work.multiplier = s->work.pictures = 1;
    s->work.lo = node->lo;
    s->work.hi = node->hi;
    s->work.activation = node->activation;
    s->work.alpha = node->params.alpha;
    s->work.most = node->params.most;
    s->work.threshold = node->params.threshold;
    s->work.epsilon = node->params.epsilon;
    return s;
}

static void count_work(struct ft_step *s, const struct ft_node *node)
{
    const bool per_input = ft_layer_kind_info(node->kind)->flags & FT_KIND_PER_INPUT;
    const struct ft_value *v = per_input ? &s->in : &s->out;
    s->parameters = node->kernel->count + (uint64_t)node->shape.c;
    s->multiply_adds = (uint64_t)v->h * (uint64_t)v->w * node->kernel->count;
}

static void emit_node(struct ft_emitter *e, int i)
{
    const struct ft_node *node = &e->nodes->node[i];
    const struct ft_kind *row = node->row;
    const struct ft_value in = node->n_inputs ? e->values[node->inputs[0]] : ft_value_none;
    if (row->view && row->view(node, in, &e->values[i]))
        return;
    const struct ft_value out = e->values[i] = new_value(e, node);
    const int first = e->plan->n_steps;
    if (row->emit) {
        row->emit(e, node, in, out);
    } else {
        struct ft_step *s = ft_emit_step(e, row->operation, node, in, ft_value_none, out);
        if (row->settings)
            row->settings(s, node);
    }
    if (row->kernel)
        count_work(&e->plan->steps[first], node);
    if (node->activation != FT_ACT_LINEAR && !ft_node_activates(node))
        ft_emit_step(e, FT_OP_ACTIVATE, node, out, ft_value_none, out);
}

static void touch(struct ft_plan *p, const struct ft_value *v, int step)
{
    if (v->buffer < 0)
        return;
    struct ft_buffer *b = &p->buffers[v->buffer];
    b->first = b->first == -2 ? step : b->first;
    b->last = step;
}

void ft_plan_lifetimes(struct ft_plan *p)
{
    for (int i = 0; i < p->n_buffers; i++)
        p->buffers[i].first = p->buffers[i].last = -2;
    touch(p, &p->pixels, -1);
    for (int i = 0; i < p->n_steps; i++) {
        struct ft_step *s = &p->steps[i];
        s->clear = p->buffers[s->out.buffer].first == -2 ? s->out.buffer : -1;
        touch(p, &s->in, i);
        touch(p, &s->other, i);
        touch(p, &s->out, i);
    }
    touch(p, &p->result, p->n_steps);
}

static bool pools_globally(const struct ft_node *node)
{
    return node->needed && ft_layer_kind_info(node->kind)->flags & FT_KIND_GLOBAL_POOL;
}

/* Returns whether node i is a global pool that is emitted out of order. A pool of a single pixel,
 * which another one has made, is not. */
static bool comes_early(const struct ft_nodes *nodes, int i)
{
    return pools_globally(&nodes->node[i]) &&
           !pools_globally(&nodes->node[nodes->node[i].inputs[0]]);
}

/* Emits the nodes in their order, but a global pool directly after the node that it reads. So the
 * memory of a map that is averaged for the features of all depths is free when the network has
 * passed it, wherever a file lists the pool. */
static void emit_nodes(struct ft_emitter *e)
{
    const struct ft_nodes *nodes = e->nodes;
    for (int i = 0; i < nodes->n; i++) {
        if (!nodes->node[i].needed || comes_early(nodes, i))
            continue;
        emit_node(e, i);
        for (int j = i + 1; j < nodes->n; j++)
            if (comes_early(nodes, j) && nodes->node[j].inputs[0] == i)
                emit_node(e, j);
    }
}

/* A step for each input, one for a mean or a copy, and one for the activation. */
static size_t most_steps(const struct ft_nodes *nodes)
{
    size_t n = 0;
    for (int i = 0; i < nodes->n; i++)
        n += nodes->node[i].needed ? (size_t)nodes->node[i].n_inputs + 2 : 0;
    return n;
}

int ft_plan_emit(struct ft_plan *plan, const struct ft_nodes *nodes, struct ft_error *err)
{
    struct ft_emitter e = { .plan = plan, .nodes = nodes, .step_capacity = most_steps(nodes) };
    e.values = ft_alloc_zero((size_t)nodes->n, sizeof *e.values);
    plan->steps = ft_alloc(e.step_capacity, sizeof *plan->steps);
    plan->buffers = ft_alloc((size_t)nodes->n, sizeof *plan->buffers);
    if (!e.values || !plan->steps || !plan->buffers) {
        free(e.values);
        return ft_error_nomem(err, "the plan of a network");
    }
    emit_nodes(&e);
    plan->result = e.values[nodes->output];
    plan->output = nodes->node[nodes->output].shape;
    ft_plan_lifetimes(plan);
    free(e.values);
    return 0;
}
