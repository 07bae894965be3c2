/* From nodes to steps: which operation, on which values. */
#include "graph/steps.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

struct emitter {
    struct ft_plan *plan;
    const struct ft_nodes *nodes;
    struct ft_value *values; /* [nodes->n] */
    bool failed;             /* out of memory */
};

static struct ft_value new_value(struct emitter *e, struct ft_shape s)
{
    struct ft_plan *p = e->plan;
    if (!ft_grow((void **)&p->buffers, &p->buffer_capacity, (size_t)p->n_buffers,
                 sizeof *p->buffers)) {
        e->failed = true;
        return (struct ft_value){ .buffer = -1 };
    }
    p->buffers[p->n_buffers] =
        (struct ft_buffer){ .h = s.h, .w = s.w, .c = s.c, .first = -2, .last = -2 };
    return (struct ft_value){ .buffer = p->n_buffers++, .h = s.h, .w = s.w, .c = s.c };
}

static struct ft_step *emit(struct emitter *e, enum ft_operation operation,
                            const struct ft_node *node, struct ft_value in, struct ft_value other,
                            struct ft_value out)
{
    struct ft_plan *p = e->plan;
    static struct ft_step nowhere;
    if (e->failed ||
        !ft_grow((void **)&p->steps, &p->step_capacity, (size_t)p->n_steps, sizeof *p->steps)) {
        e->failed = true;
        return &nowhere;
    }
    struct ft_step *s = &p->steps[p->n_steps++];
    *s = (struct ft_step){ .operation = operation,
                           .in = in,
                           .other = other,
                           .out = out,
                           .clear = -1,
                           .node = node,
                           .kind = node->kind };
    s->work.kernel[0] = s->work.kernel[1] = s->work.stride[0] = s->work.stride[1] =
        s->work.dilation[0] = s->work.dilation[1] = 1;
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

static const struct ft_value none = { .buffer = -1 };

/* The geometry of a window, from the layer. */
static void set_window(struct ft_step *s, const struct ft_node *node)
{
    const struct ft_layer_params *p = &node->params;
    const bool pool = node->kind == FT_LAYER_MAX_POOL || node->kind == FT_LAYER_AVERAGE_POOL;
    for (int i = 0; i < 2; i++) {
        s->work.kernel[i] = p->kernel[i];
        s->work.stride[i] = p->stride[i];
        s->work.dilation[i] = pool ? 1 : p->dilation[i];
        s->work.pad[i] = node->pad[i];
    }
}

/* Does the step itself apply the activation? Softmax must see all channels, which parts of a step
 * do not have. */
static bool activates(const struct ft_node *node)
{
    return (node->kind == FT_LAYER_CONV2D || node->kind == FT_LAYER_DEPTHWISE_CONV2D ||
            node->kind == FT_LAYER_DENSE) &&
           node->activation != FT_ACT_SOFTMAX;
}

static void emit_weighted(struct emitter *e, const struct ft_node *node, struct ft_value in,
                          struct ft_value out)
{
    const struct ft_layer_params *p = &node->params;
    const struct ft_value other =
        node->residual ? e->values[node->inputs[node->n_inputs - 1]] : none;
    const bool depthwise = node->kind == FT_LAYER_DEPTHWISE_CONV2D;
    struct ft_step *s =
        emit(e, depthwise ? FT_OP_DEPTHWISE : FT_OP_CONVOLUTION, node, in, other, out);
    if (node->kind != FT_LAYER_DENSE)
        set_window(s, node);
    if (node->kind == FT_LAYER_CONV2D)
        s->work.groups = p->groups;
    if (depthwise)
        s->work.multiplier = p->multiplier;
    if (!activates(node))
        s->work.activation = FT_ACT_LINEAR;
    s->parameters = node->kernel->count + (uint64_t)node->shape.c;
    s->multiply_adds = (uint64_t)out.h * (uint64_t)out.w * node->kernel->count;
}

/* Inputs two at a time, the later ones onto the result; only the last sum is clamped. */
static void emit_merge(struct emitter *e, const struct ft_node *node, struct ft_value out)
{
    static const enum ft_operation operations[FT_LAYER_KINDS] = {
        [FT_LAYER_ADD] = FT_OP_ADD,           [FT_LAYER_MULTIPLY] = FT_OP_MULTIPLY,
        [FT_LAYER_SUBTRACT] = FT_OP_SUBTRACT, [FT_LAYER_AVERAGE] = FT_OP_ADD,
        [FT_LAYER_MAXIMUM] = FT_OP_MAXIMUM,   [FT_LAYER_MINIMUM] = FT_OP_MINIMUM,
    };
    const bool average = node->kind == FT_LAYER_AVERAGE;
    struct ft_value so_far = e->values[node->inputs[0]];
    int k = 1;
    if (so_far.h != out.h || so_far.w != out.w) { /* a map goes first, what is repeated second */
        for (k = 1; e->values[node->inputs[k]].h != out.h || e->values[node->inputs[k]].w != out.w;
             k++)
            ;
        so_far = e->values[node->inputs[k]];
    } else {
        k = 0;
    }
    if (node->n_inputs == 1)
        emit(e, FT_OP_COPY, node, so_far, none, out);
    int left = node->n_inputs - 1;
    for (int i = 0; i < node->n_inputs; i++) {
        if (i == k)
            continue;
        struct ft_value other = e->values[node->inputs[i]];
        other.broadcast = other.h != out.h || other.w != out.w;
        struct ft_step *s = emit(e, operations[node->kind], node, so_far, other, out);
        if (--left > 0 || average) {
            s->work.lo = -INFINITY;
            s->work.hi = INFINITY;
        }
        so_far = out;
    }
    if (average)
        emit(e, FT_OP_AFFINE, node, out, none, out);
}

static void emit_concatenate(struct emitter *e, const struct ft_node *node, struct ft_value out)
{
    struct ft_value slice = out;
    for (int i = 0; i < node->n_inputs; i++) {
        const struct ft_value in = e->values[node->inputs[i]];
        slice.c = in.c;
        emit(e, FT_OP_COPY, node, in, none, slice);
        slice.channel += in.c;
    }
}

/* Layers that only look at their input differently; false when values must move. */
static bool view(const struct ft_node *node, struct ft_value in, struct ft_value *out)
{
    *out = in;
    if (node->kind == FT_LAYER_ZERO_PAD) {
        out->y -= node->params.pad[0];
        out->x -= node->params.pad[2];
    } else if (node->kind == FT_LAYER_PERMUTE && in.h * in.w * in.c == in.c &&
               node->shape.c == in.c) {
        return true;
    } else if (node->kind == FT_LAYER_FLATTEN || node->kind == FT_LAYER_RESHAPE) {
        if (in.h * in.w != 1 || node->shape.h * node->shape.w != 1)
            return in.h == node->shape.h && in.w == node->shape.w;
    } else {
        return false;
    }
    out->h = node->shape.h;
    out->w = node->shape.w;
    return true;
}

/* Convolutions read zeros around their input, so a window on a map that goes on around it is
 * copied. */
static void emit_crop(struct emitter *e, const struct ft_node *node, struct ft_value in,
                      struct ft_value out)
{
    in.y += node->params.pad[0];
    in.x += node->params.pad[2];
    in.h = out.h;
    in.w = out.w;
    emit(e, FT_OP_COPY, node, in, none, out);
}

static void emit_simple(struct emitter *e, const struct ft_node *node, struct ft_value in,
                        struct ft_value out)
{
    static const enum ft_operation simple[FT_LAYER_KINDS] = {
        [FT_LAYER_RESCALING] = FT_OP_AFFINE,
        [FT_LAYER_ACTIVATION] = FT_OP_ACTIVATE,
        [FT_LAYER_FLATTEN] = FT_OP_FLATTEN,
        [FT_LAYER_RESHAPE] = FT_OP_FLATTEN,
        [FT_LAYER_MAX_POOL] = FT_OP_MAX_POOL,
        [FT_LAYER_AVERAGE_POOL] = FT_OP_AVERAGE_POOL,
        [FT_LAYER_GLOBAL_MAX_POOL] = FT_OP_GLOBAL_MAX,
        [FT_LAYER_GLOBAL_AVERAGE_POOL] = FT_OP_GLOBAL_AVERAGE,
        [FT_LAYER_LAYER_NORM] = FT_OP_LAYER_NORM,
        [FT_LAYER_GROUP_NORM] = FT_OP_GROUP_NORM,
        [FT_LAYER_UNIT_NORM] = FT_OP_UNIT_NORM,
        [FT_LAYER_PRELU] = FT_OP_PRELU,
        [FT_LAYER_UPSAMPLING] = FT_OP_UPSAMPLE,
        [FT_LAYER_PERMUTE] = FT_OP_PERMUTE,
        [FT_LAYER_CONV2D_TRANSPOSE] = FT_OP_TRANSPOSE,
    };
    const struct ft_layer_params *p = &node->params;
    struct ft_step *s = emit(e, simple[node->kind], node, in, none, out);
    if (node->kind == FT_LAYER_MAX_POOL || node->kind == FT_LAYER_AVERAGE_POOL ||
        node->kind == FT_LAYER_UPSAMPLING || node->kind == FT_LAYER_CONV2D_TRANSPOSE)
        set_window(s, node);
    s->work.groups = p->groups;
    s->work.bilinear = p->bilinear;
    s->work.whole =
        node->kind == FT_LAYER_PRELU && node->layer->weights[FT_W_ALPHA].count > (size_t)out.c;
    for (int i = 0; node->kind == FT_LAYER_PERMUTE && i < p->rank; i++)
        s->work.permute[i] = p->shape[i] - 1;
    if (node->kind == FT_LAYER_CONV2D_TRANSPOSE) {
        s->parameters = node->kernel->count + (uint64_t)out.c;
        s->multiply_adds = (uint64_t)in.h * (uint64_t)in.w * node->kernel->count;
    }
}

static void emit_input(struct emitter *e, const struct ft_node *node, struct ft_value out)
{
    struct ft_plan *p = e->plan;
    p->input = node->shape;
    p->pixels = out;
    for (int i = 0; i < FT_PIXEL_PERIOD; i++) {
        p->scale[i] = node->scale ? node->scale[i % node->shape.c] : 1;
        p->offset[i] = node->offset ? node->offset[i % node->shape.c] : 0;
    }
}

static void emit_node(struct emitter *e, int i)
{
    const struct ft_node *node = &e->nodes->node[i];
    const struct ft_value in = node->n_inputs ? e->values[node->inputs[0]] : none;
    if (node->n_inputs && view(node, in, &e->values[i]))
        return;
    const struct ft_value out = e->values[i] = new_value(e, node->shape);
    switch (node->kind) {
    case FT_LAYER_INPUT:
        emit_input(e, node, out);
        break;
    case FT_LAYER_CONV2D:
    case FT_LAYER_DEPTHWISE_CONV2D:
    case FT_LAYER_DENSE:
        emit_weighted(e, node, in, out);
        break;
    case FT_LAYER_CONCATENATE:
        emit_concatenate(e, node, out);
        break;
    case FT_LAYER_CROPPING:
        emit_crop(e, node, in, out);
        break;
    default:
        if (ft_node_merges(node->kind))
            emit_merge(e, node, out);
        else
            emit_simple(e, node, in, out);
    }
    if (node->activation != FT_ACT_LINEAR && node->kind != FT_LAYER_ACTIVATION && !activates(node))
        emit(e, FT_OP_ACTIVATE, node, out, none, out);
}

static void touch(struct ft_plan *p, const struct ft_value *v, int step)
{
    if (v->buffer < 0)
        return;
    struct ft_buffer *b = &p->buffers[v->buffer];
    b->first = b->first == -2 ? step : b->first;
    b->last = step;
}

static void find_lifetimes(struct ft_plan *p)
{
    touch(p, &p->pixels, -1);
    for (int i = 0; i < p->n_steps; i++) {
        struct ft_step *s = &p->steps[i];
        if (p->buffers[s->out.buffer].first == -2)
            s->clear = s->out.buffer;
        touch(p, &s->in, i);
        touch(p, &s->other, i);
        touch(p, &s->out, i);
    }
    touch(p, &p->result, p->n_steps);
}

int ft_plan_emit(struct ft_plan *plan, const struct ft_nodes *nodes, struct ft_error *err)
{
    struct emitter e = { .plan = plan, .nodes = nodes };
    e.values = ft_alloc_zero((size_t)nodes->n, sizeof *e.values);
    e.failed = !e.values;
    for (int i = 0; !e.failed && i < nodes->n; i++)
        if (nodes->node[i].needed)
            emit_node(&e, i);
    if (!e.failed) {
        plan->result = e.values[nodes->output];
        plan->output = nodes->node[nodes->output].shape;
        find_lifetimes(plan);
    }
    free(e.values);
    return e.failed ? ft_error_nomem(err, "the plan of a network") : 0;
}
