/* Finding the row of a kind, and what the rows share. */
#include "graph/kinds.h"
#include "network/kinds.h"

#include <math.h>

#include "base/error.h"
#include "base/memory.h"

const struct ft_kind *ft_kind_find(enum ft_layer_kind kind)
{
    const struct ft_kind *const families[] = { ft_kinds_convolutions, ft_kinds_merges,
                                               ft_kinds_channels, ft_kinds_geometry,
                                               ft_kinds_attention };
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        for (const struct ft_kind *row = families[i]; row->kind != FT_LAYER_KINDS; row++)
            if (row->kind == kind)
                return row;
    return NULL;
}

void ft_node_become(struct ft_node *node, enum ft_layer_kind kind)
{
    node->kind = kind;
    node->row = ft_kind_find(kind);
}

void ft_node_activate(struct ft_node *node, const struct ft_layer_params *p)
{
    const bool capped = p->activation == FT_ACT_RELU_SHAPED && p->alpha == 0 && p->threshold == 0;
    node->lo = -INFINITY;
    node->hi = INFINITY;
    node->activation = FT_ACT_LINEAR;
    if (p->activation == FT_ACT_RELU || p->activation == FT_ACT_RELU6 || capped)
        node->lo = 0;
    else
        node->activation = p->activation;
    if (node->lo == 0 && p->activation != FT_ACT_RELU)
        node->hi = capped ? p->most : 6;
}

int ft_node_init(const struct ft_layer *layer, const int *inputs, int n, struct ft_node *node)
{
    const struct ft_layer_params linear = { .activation = FT_ACT_LINEAR };
    *node =
        (struct ft_node){ .layer = layer, .result = layer, .n_inputs = n, .params = layer->params };
    node->kernel = &layer->weights[FT_W_KERNEL];
    node->bias = &layer->weights[FT_W_BIAS];
    ft_node_become(node, layer->kind);
    const bool activated = ft_layer_kind_info(layer->kind)->params & FT_PARAM_ACTIVATION;
    ft_node_activate(node, activated ? &layer->params : &linear);
    node->inputs = ft_alloc((size_t)n + 1, sizeof *node->inputs);
    if (!node->inputs)
        return FT_ENOMEM;
    for (int i = 0; i < n; i++)
        node->inputs[i] = inputs[i];
    return 0;
}

int ft_node_new_affine(struct ft_node *node, struct ft_error *err)
{
    node->scale = ft_alloc((size_t)node->shape.c, sizeof *node->scale);
    node->offset = ft_alloc((size_t)node->shape.c, sizeof *node->offset);
    return node->scale && node->offset ? 0 : ft_error_nomem(err, "the plan of a network");
}

int ft_check_tensor(const struct ft_node *node, const struct ft_tensor *t, const char *what,
                    size_t count, bool required, struct ft_error *err)
{
    if (!t->data && required)
        return ft_error_set(err, FT_EFORMAT, "layer '%s': its %s is missing from the file",
                            node->layer->name, what);
    if (t->data && t->count != count)
        return ft_error_set(err, FT_EFORMAT,
                            "layer '%s': its %s has %zu values, but its settings need %zu",
                            node->layer->name, what, t->count, count);
    return 0;
}

int ft_check_picture(const struct ft_node *node, const struct ft_shape *in, struct ft_error *err)
{
    if (in->rank == 3)
        return 0;
    return ft_error_set(err, FT_EFORMAT,
                        "layer '%s': %s needs a picture, but its input is a vector",
                        node->layer->name, ft_layer_kind_name(node->kind));
}

static bool in_range(int n)
{
    return n >= 1 && n <= 1 << 14;
}

int ft_check_window(const struct ft_node *node, bool dilated, struct ft_error *err)
{
    const struct ft_layer_params *p = &node->params;
    for (int i = 0; i < 2; i++)
        if (!in_range(p->kernel[i]) || !in_range(p->stride[i]) ||
            (dilated && !in_range(p->dilation[i])))
            return ft_error_set(
                err, FT_EFORMAT, "layer '%s': a window of %d x %d with strides %d, %d is not valid",
                node->layer->name, p->kernel[0], p->kernel[1], p->stride[0], p->stride[1]);
    return 0;
}

int ft_check_length(const struct ft_node *node, long long length, struct ft_error *err)
{
    if (length >= 1 && length <= 1 << 20)
        return 0;
    return ft_error_set(err, FT_ELIMIT,
                        "layer '%s': an output of %lld rows or columns is not supported",
                        node->layer->name, length);
}

/* One axis of a sliding window: returns the number of outputs and sets the padding before the
 * first. 0 outputs: the window does not fit. Padding `same` follows TensorFlow: ceil(n / stride)
 * outputs, and an odd row or column of zeros comes after the picture. */
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

int ft_window_shape(const struct ft_shape *in, struct ft_node *node, int channels, bool dilated,
                    struct ft_error *err)
{
    const struct ft_layer_params *p = &node->params;
    const int dilation[2] = { dilated ? p->dilation[0] : 1, dilated ? p->dilation[1] : 1 };
    int rc = ft_check_window(node, dilated, err);
    rc = rc ? rc : ft_check_picture(node, in, err);
    if (rc)
        return rc;
    node->shape = (struct ft_shape){
        3, slide(in->h, p->kernel[0], p->stride[0], dilation[0], p->padding, &node->pad[0]),
        slide(in->w, p->kernel[1], p->stride[1], dilation[1], p->padding, &node->pad[1]), channels
    };
    if (!node->shape.h || !node->shape.w)
        return ft_error_set(err, FT_EARG,
                            "layer '%s': its window of %d x %d does not fit an input of %d x %d: "
                            "give a larger input size",
                            node->layer->name, p->kernel[0], p->kernel[1], in->h, in->w);
    return 0;
}

void ft_window_settings(struct ft_step *step, const struct ft_node *node, bool dilated)
{
    const struct ft_layer_params *p = &node->params;
    for (int i = 0; i < 2; i++) {
        step->work.kernel[i] = p->kernel[i];
        step->work.stride[i] = p->stride[i];
        step->work.dilation[i] = dilated ? p->dilation[i] : 1;
        step->work.pad[i] = node->pad[i];
    }
}
