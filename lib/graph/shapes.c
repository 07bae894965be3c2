/* Output shapes, layer by layer, as Keras computes them. Padding `same` follows TensorFlow: as many
 * outputs as ceil(n / stride), the odd row or column of zeros after the picture. */
#include "graph/nodes.h"

#include <limits.h>

#include "base/error.h"
#include "network/kinds.h"

static const struct ft_shape *input_of(const struct ft_nodes *nodes, const struct ft_node *node,
                                       int i)
{
    return &nodes->node[node->inputs[i]].shape;
}

/* One axis of a sliding window: outputs and leading padding; 0 outputs when the window does not
 * fit. */
static int slide(int n, int kernel, int stride, int dilation, enum ft_padding padding, int *pad)
{
    const long long span = (long long)(kernel - 1) * dilation + 1;
    *pad = 0;
    if (padding == FT_PAD_VALID)
        return span > n ? 0 : (int)((n - span) / stride) + 1;
    const int outputs = (n - 1) / stride + 1;
    const long long lacking = (long long)(outputs - 1) * stride + span - n;
    *pad = lacking > 0 ? (int)(lacking / 2) : 0;
    return outputs;
}

static int window_shape(const struct ft_shape *in, struct ft_node *node, int channels, bool dilated,
                        struct ft_error *err)
{
    const struct ft_layer_params *p = &node->params;
    const int dy = dilated ? p->dilation[0] : 1, dx = dilated ? p->dilation[1] : 1;
    const int limit = 1 << 14;
    if (p->kernel[0] < 1 || p->kernel[1] < 1 || p->stride[0] < 1 || p->stride[1] < 1 || dy < 1 ||
        dx < 1 || p->kernel[0] > limit || p->kernel[1] > limit || p->stride[0] > limit ||
        p->stride[1] > limit || dy > limit || dx > limit)
        return ft_error_set(
            err, FT_EFORMAT, "layer '%s': a window of %d x %d with strides %d, %d makes no sense",
            node->layer->name, p->kernel[0], p->kernel[1], p->stride[0], p->stride[1]);
    if (in->rank != 3)
        return ft_error_set(err, FT_EFORMAT,
                            "layer '%s': %s needs a picture, but its input is a vector",
                            node->layer->name, ft_layer_kind_name(node->kind));
    node->shape = (struct ft_shape){
        3, slide(in->h, p->kernel[0], p->stride[0], dy, p->padding, &node->pad[0]),
        slide(in->w, p->kernel[1], p->stride[1], dx, p->padding, &node->pad[1]), channels
    };
    if (!node->shape.h || !node->shape.w)
        return ft_error_set(err, FT_EARG,
                            "layer '%s': its window of %d x %d does not fit an input of %d x %d: "
                            "give a larger input size",
                            node->layer->name, p->kernel[0], p->kernel[1], in->h, in->w);
    return 0;
}

static int pad_shape(const struct ft_shape *in, struct ft_node *node, struct ft_error *err)
{
    const int *pad = node->params.pad;
    for (int i = 0; i < 4; i++)
        if (pad[i] < 0 || pad[i] > 1 << 14)
            return ft_error_set(err, FT_EUNSUPPORTED, "layer '%s': padding by %d is not supported",
                                node->layer->name, pad[i]);
    if (in->rank != 3)
        return ft_error_set(err, FT_EFORMAT,
                            "layer '%s': padding needs a picture, but its input is a vector",
                            node->layer->name);
    node->shape = (struct ft_shape){ 3, in->h + pad[0] + pad[1], in->w + pad[2] + pad[3], in->c };
    return 0;
}

static int crop_shape(const struct ft_shape *in, struct ft_node *node, struct ft_error *err)
{
    const int *crop = node->params.pad;
    const long long h = (long long)in->h - crop[0] - crop[1],
                    w = (long long)in->w - crop[2] - crop[3];
    if (in->rank != 3 || crop[0] < 0 || crop[1] < 0 || crop[2] < 0 || crop[3] < 0 || h < 1 || w < 1)
        return ft_error_set(
            err, FT_EARG,
            "layer '%s': nothing is left of an input of %d x %d: give a larger input size",
            node->layer->name, in->h, in->w);
    node->shape = (struct ft_shape){ 3, (int)h, (int)w, in->c };
    return 0;
}

/* Every pixel becomes a block: kernel for upsampling, stride for transposed convolutions, whose
 * last block is a whole kernel where padding is `valid`. */
static int enlarge_shape(const struct ft_shape *in, struct ft_node *node, struct ft_error *err)
{
    const struct ft_layer_params *p = &node->params;
    const bool transpose = node->kind == FT_LAYER_CONV2D_TRANSPOSE;
    long long size[2];
    if (in->rank != 3)
        return ft_error_set(err, FT_EFORMAT,
                            "layer '%s': %s needs a picture, but its input is a vector",
                            node->layer->name, ft_layer_kind_name(node->kind));
    for (int i = 0; i < 2; i++) {
        const long long n = i ? in->w : in->h,
                        over = p->kernel[i] > p->stride[i] ? p->kernel[i] - p->stride[i] : 0;
        size[i] = n * (transpose ? p->stride[i] : p->kernel[i]);
        if (transpose && p->padding == FT_PAD_VALID)
            size[i] += over;
        node->pad[i] = transpose && p->padding == FT_PAD_SAME ? (int)(over / 2) : 0;
        if (size[i] < 1 || size[i] > 1 << 20)
            return ft_error_set(err, FT_ELIMIT,
                                "layer '%s': an output of %lld rows or columns is too large",
                                node->layer->name, size[i]);
    }
    node->shape =
        (struct ft_shape){ 3, (int)size[0], (int)size[1], transpose ? p->filters : in->c };
    return 0;
}

static int permute_shape(const struct ft_shape *in, struct ft_node *node, struct ft_error *err)
{
    const struct ft_layer_params *p = &node->params;
    const int from[3] = { in->h, in->w, in->c };
    int seen = 0;
    for (int i = 0; i < p->rank && i < 3; i++)
        seen |= p->shape[i] >= 1 && p->shape[i] <= 3 ? 1 << p->shape[i] : 0;
    if (in->rank == 1 && p->rank == 1 && p->shape[0] == 1) {
        node->shape = *in;
        return 0;
    }
    if (in->rank != 3 || p->rank != 3 || seen != 14)
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "layer '%s': a permutation that is not one of rows, columns and "
                            "channels is not supported",
                            node->layer->name);
    node->shape =
        (struct ft_shape){ 3, from[p->shape[0] - 1], from[p->shape[1] - 1], from[p->shape[2] - 1] };
    return 0;
}

/* One of the sizes may be -1: whatever is left. */
static int reshape_shape(const struct ft_shape *in, struct ft_node *node, struct ft_error *err)
{
    const struct ft_layer_params *p = &node->params;
    const long long count = (long long)in->h * in->w * in->c;
    int shape[3] = { 1, 1, 1 }, open = -1;
    long long product = 1;
    if (p->rank != 1 && p->rank != 3)
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "layer '%s': a reshape to rank %d is not supported: only 1 and 3 are",
                            node->layer->name, p->rank);
    for (int i = 0; i < p->rank; i++) {
        const int axis = 3 - p->rank + i;
        shape[axis] = p->shape[i];
        if (p->shape[i] < 0)
            open = axis;
        else if (__builtin_mul_overflow(product, p->shape[i], &product))
            product = 0;
    }
    if (open >= 0 && product > 0 && count % product == 0)
        shape[open] = (int)(count / product);
    if (product <= 0 || shape[0] <= 0 || shape[1] <= 0 || shape[2] <= 0 ||
        (long long)shape[0] * shape[1] * shape[2] != count)
        return ft_error_set(err, FT_EFORMAT,
                            "layer '%s': %lld values cannot take the shape that it asks for",
                            node->layer->name, count);
    node->shape = (struct ft_shape){ p->rank, shape[0], shape[1], shape[2] };
    return 0;
}

static bool same_shape(const struct ft_shape *a, const struct ft_shape *b)
{
    return a->h == b->h && a->w == b->w && a->c == b->c;
}

/* Sums and products: every input has the output's shape, or is one value a channel. */
static int merge_shape(const struct ft_nodes *nodes, struct ft_node *node, struct ft_error *err)
{
    node->shape = *input_of(nodes, node, 0);
    if (node->kind == FT_LAYER_SUBTRACT && !same_shape(input_of(nodes, node, 1), &node->shape))
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "layer '%s': a difference of two shapes is not supported",
                            node->layer->name);
    for (int i = 1; i < node->n_inputs; i++) {
        const struct ft_shape *in = input_of(nodes, node, i);
        if (in->h >= node->shape.h && in->w >= node->shape.w)
            node->shape = *in;
    }
    for (int i = 0; i < node->n_inputs; i++) {
        const struct ft_shape *in = input_of(nodes, node, i);
        if (!same_shape(in, &node->shape) && !(in->h == 1 && in->w == 1 && in->c == node->shape.c))
            return ft_error_set(
                err, FT_EUNSUPPORTED,
                "layer '%s': its inputs differ in shape: %d x %d x %d and %d x %d x %d",
                node->layer->name, in->h, in->w, in->c, node->shape.h, node->shape.w,
                node->shape.c);
    }
    return 0;
}

static int concatenate_shape(const struct ft_nodes *nodes, struct ft_node *node,
                             struct ft_error *err)
{
    long long channels = 0;
    node->shape = *input_of(nodes, node, 0);
    for (int i = 0; i < node->n_inputs; i++) {
        const struct ft_shape *in = input_of(nodes, node, i);
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

int ft_node_shape(const struct ft_nodes *nodes, struct ft_node *node, struct ft_error *err)
{
    const struct ft_layer_params *p = &node->params;
    const struct ft_shape *in = input_of(nodes, node, 0);
    switch (node->kind) {
    case FT_LAYER_CONV2D:
        return window_shape(in, node, p->filters, true, err);
    case FT_LAYER_DEPTHWISE_CONV2D:
        if (p->multiplier < 1 || p->multiplier > INT_MAX / 4 / in->c)
            return ft_error_set(err, FT_EFORMAT,
                                "layer '%s': a depth multiplier of %d makes no sense",
                                node->layer->name, p->multiplier);
        return window_shape(in, node, in->c * p->multiplier, true, err);
    case FT_LAYER_MAX_POOL:
    case FT_LAYER_AVERAGE_POOL:
        return window_shape(in, node, in->c, false, err);
    case FT_LAYER_GLOBAL_AVERAGE_POOL:
    case FT_LAYER_GLOBAL_MAX_POOL:
        node->shape = (struct ft_shape){ p->keep_dims ? 3 : 1, 1, 1, in->c };
        return 0;
    case FT_LAYER_ZERO_PAD:
        return pad_shape(in, node, err);
    case FT_LAYER_DENSE:
        node->shape = (struct ft_shape){ in->rank, in->h, in->w, p->units };
        return 0;
    case FT_LAYER_CROPPING:
        return crop_shape(in, node, err);
    case FT_LAYER_UPSAMPLING:
    case FT_LAYER_CONV2D_TRANSPOSE:
        return enlarge_shape(in, node, err);
    case FT_LAYER_PERMUTE:
        return permute_shape(in, node, err);
    case FT_LAYER_ADD:
    case FT_LAYER_SUBTRACT:
    case FT_LAYER_AVERAGE:
    case FT_LAYER_MAXIMUM:
    case FT_LAYER_MINIMUM:
    case FT_LAYER_MULTIPLY:
        return merge_shape(nodes, node, err);
    case FT_LAYER_CONCATENATE:
        return concatenate_shape(nodes, node, err);
    case FT_LAYER_FLATTEN:
        node->shape = (struct ft_shape){ 1, 1, 1, in->h * in->w * in->c };
        return 0;
    case FT_LAYER_RESHAPE:
        return reshape_shape(in, node, err);
    default:
        node->shape = *in;
        return 0;
    }
}
