/* Layers with several inputs: sums, products, concatenation. */
#include <limits.h>
#include <math.h>

#include "base/error.h"
#include "graph/kinds.h"

static bool same_shape(const struct ft_shape *a, const struct ft_shape *b)
{
    return a->h == b->h && a->w == b->w && a->c == b->c;
}

/* Every input has the shape of the output, or is one value for each channel. */
static int merge_shape(const struct ft_nodes *nodes, struct ft_node *node, struct ft_error *err)
{
    node->shape = *ft_node_input(nodes, node, 0);
    for (int i = 1; i < node->n_inputs; i++) {
        const struct ft_shape *in = ft_node_input(nodes, node, i);
        if (in->h >= node->shape.h && in->w >= node->shape.w)
            node->shape = *in;
    }
    for (int i = 0; i < node->n_inputs; i++) {
        const struct ft_shape *in = ft_node_input(nodes, node, i);
        if (!same_shape(in, &node->shape) && !(in->h == 1 && in->w == 1 && in->c == node->shape.c))
            return ft_error_set(
                err, FT_EUNSUPPORTED,
                "layer '%s': its inputs differ in shape: %d x %d x %d and %d x %d x %d",
                node->layer->name, in->h, in->w, in->c, node->shape.h, node->shape.w,
                node->shape.c);
    }
    return 0;
}

/* The order of the inputs matters, so none may be repeated over a map. */
static int subtract_shape(const struct ft_nodes *nodes, struct ft_node *node, struct ft_error *err)
{
    if (!same_shape(ft_node_input(nodes, node, 0), ft_node_input(nodes, node, 1)))
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "layer '%s': a difference of two shapes is not supported",
                            node->layer->name);
    return merge_shape(nodes, node, err);
}

/* The mean is a sum, then a multiplication. */
static int average_weights(const struct ft_nodes *nodes, struct ft_node *node, struct ft_error *err)
{
    (void)nodes;
    const int rc = ft_node_new_affine(node, err);
    for (int i = 0; !rc && i < node->shape.c; i++) {
        node->scale[i] = 1.0f / (float)node->n_inputs;
        node->offset[i] = 0;
    }
    return rc;
}

static bool is_map_of(const struct ft_value *v, const struct ft_value *out)
{
    return v->h == out->h && v->w == out->w;
}

/* Two inputs at a time, the later ones with the result so far. The first one is a whole map; only
 * the last result is clamped. */
static void emit_merge(struct ft_emitter *e, const struct ft_node *node, struct ft_value in,
                       struct ft_value out)
{
    const bool average = node->kind == FT_LAYER_AVERAGE;
    int first = 0;
    while (!is_map_of(&e->values[node->inputs[first]], &out))
        first++;
    in = e->values[node->inputs[first]];
    if (node->n_inputs == 1)
        ft_emit_step(e, FT_OP_COPY, node, in, ft_value_none, out);
    int left = node->n_inputs - 1;
    for (int i = 0; i < node->n_inputs; i++) {
        if (i == first)
            continue;
        struct ft_value other = e->values[node->inputs[i]];
        other.broadcast = !is_map_of(&other, &out);
        struct ft_step *s = ft_emit_step(e, node->row->operation, node, in, other, out);
        if (--left > 0 || average) {
            s->work.lo = -INFINITY;
            s->work.hi = INFINITY;
        }
        in = out;
    }
    if (average)
        ft_emit_step(e, FT_OP_AFFINE, node, out, ft_value_none, out);
}

static int concatenate_shape(const struct ft_nodes *nodes, struct ft_node *node,
                             struct ft_error *err)
{
    long long channels = 0;
    node->shape = *ft_node_input(nodes, node, 0);
    for (int i = 0; i < node->n_inputs; i++) {
        const struct ft_shape *in = ft_node_input(nodes, node, i);
        if (in->h != node->shape.h || in->w != node->shape.w)
            return ft_error_set(err, FT_EFORMAT,
                                "layer '%s': its inputs differ in size: %d x %d and %d x %d",
                                node->layer->name, in->h, in->w, node->shape.h, node->shape.w);
        channels += in->c;
    }
    if (channels > INT_MAX / 4)
        return ft_error_set(err, FT_ELIMIT, "layer '%s': too many channels", node->layer->name);
    node->shape.c = (int)channels;
    return 0;
}

static void emit_concatenate(struct ft_emitter *e, const struct ft_node *node, struct ft_value in,
                             struct ft_value out)
{
    for (int i = 0; i < node->n_inputs; i++) {
        in = e->values[node->inputs[i]];
        out.c = in.c;
        ft_emit_step(e, FT_OP_COPY, node, in, ft_value_none, out);
        out.channel += in.c;
    }
}

const struct ft_kind ft_kinds_merges[] = {
    { .kind = FT_LAYER_ADD, .shape = merge_shape, .emit = emit_merge, .operation = FT_OP_ADD },
    { .kind = FT_LAYER_MULTIPLY,
      .shape = merge_shape,
      .emit = emit_merge,
      .operation = FT_OP_MULTIPLY },
    { .kind = FT_LAYER_AVERAGE,
      .shape = merge_shape,
      .weights = average_weights,
      .emit = emit_merge,
      .operation = FT_OP_ADD },
    { .kind = FT_LAYER_MAXIMUM,
      .shape = merge_shape,
      .emit = emit_merge,
      .operation = FT_OP_MAXIMUM },
    { .kind = FT_LAYER_MINIMUM,
      .shape = merge_shape,
      .emit = emit_merge,
      .operation = FT_OP_MINIMUM },
    { .kind = FT_LAYER_SUBTRACT,
      .shape = subtract_shape,
      .emit = emit_merge,
      .operation = FT_OP_SUBTRACT },
    { .kind = FT_LAYER_CONCATENATE, .shape = concatenate_shape, .emit = emit_concatenate },
    { .kind = FT_LAYER_KINDS },
};
