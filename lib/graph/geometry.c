/* Layers that change the size or the order of a map: input, pools, padding, reshaping. */
#include <limits.h>

#include "base/error.h"
#include "graph/kinds.h"

/* ---- InputLayer ------------------------------------------------------------------------------ */

/* The shape is the network's, unless the caller has chosen another size. */
static int input_shape(const struct ft_nodes *nodes, struct ft_node *node, struct ft_error *err)
{
    const struct ft_layer_params *p = &node->params;
    if (p->rank != 3)
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "layer '%s': an input of rank %d is not supported: pictures are "
                            "[height, width, channels]",
                            node->layer->name, p->rank);
    node->shape = (struct ft_shape){ 3, nodes->height ? nodes->height : p->shape[0],
                                     nodes->width ? nodes->width : p->shape[1], p->shape[2] };
    if (node->shape.h <= 0 || node->shape.w <= 0)
        return ft_error_set(err, FT_EARG,
                            "layer '%s': the network does not say the size of its input: give one",
                            node->layer->name);
    if (node->shape.c != 3 && node->shape.c != 1)
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "layer '%s': an input of %d channels is not supported: only 3 (colour) "
                            "and 1 (grey) are",
                            node->layer->name, node->shape.c);
    return 0;
}

/* The pixels are loaded before the first step. */
static void emit_input(struct ft_emitter *e, const struct ft_node *node, struct ft_value in,
                       struct ft_value out)
{
    (void)in;
    struct ft_plan *p = e->plan;
    p->input = node->shape;
    p->pixels = out;
    for (int i = 0; i < FT_PIXEL_PERIOD; i++) {
        p->scale[i] = node->scale ? node->scale[i % node->shape.c] : 1;
        p->offset[i] = node->offset ? node->offset[i % node->shape.c] : 0;
    }
}

/* ---- pools ----------------------------------------------------------------------------------- */

static int pool_shape(const struct ft_nodes *nodes, struct ft_node *node, struct ft_error *err)
{
    const struct ft_shape *in = ft_node_input(nodes, node, 0);
    return ft_window_shape(in, node, in->c, false, err);
}

static void pool_settings(struct ft_step *step, const struct ft_node *node)
{
    ft_window_settings(step, node, false);
}

static int global_pool_shape(const struct ft_nodes *nodes, struct ft_node *node,
                             struct ft_error *err)
{
    (void)err;
    node->shape =
        (struct ft_shape){ node->params.keep_dims ? 3 : 1, 1, 1, ft_node_input(nodes, node, 0)->c };
    return 0;
}

/* ---- ZeroPadding2D, Cropping2D --------------------------------------------------------------- */

static int pad_shape(const struct ft_nodes *nodes, struct ft_node *node, struct ft_error *err)
{
    const struct ft_shape *in = ft_node_input(nodes, node, 0);
    const int *pad = node->params.pad;
    for (int i = 0; i < 4; i++)
        if (pad[i] < 0 || pad[i] > 1 << 14)
            return ft_error_set(err, FT_EUNSUPPORTED, "layer '%s': padding by %d is not supported",
                                node->layer->name, pad[i]);
    const int rc = ft_check_picture(node, in, err);
    if (!rc)
        node->shape =
            (struct ft_shape){ 3, in->h + pad[0] + pad[1], in->w + pad[2] + pad[3], in->c };
    return rc;
}

/* The output is a window on the input's buffer that includes part of its border of zeros. */
static bool pad_view(const struct ft_node *node, struct ft_value in, struct ft_value *out)
{
    *out = in;
    out->y -= node->params.pad[0];
    out->x -= node->params.pad[2];
    out->h = node->shape.h;
    out->w = node->shape.w;
    return true;
}

static int crop_shape(const struct ft_nodes *nodes, struct ft_node *node, struct ft_error *err)
{
    const struct ft_shape *in = ft_node_input(nodes, node, 0);
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

/* Not a view: convolutions read zeros around their input, but around this window is the rest of the
 * map. */
static void emit_crop(struct ft_emitter *e, const struct ft_node *node, struct ft_value in,
                      struct ft_value out)
{
    in.y += node->params.pad[0];
    in.x += node->params.pad[2];
    in.h = out.h;
    in.w = out.w;
    ft_emit_step(e, FT_OP_COPY, node, in, ft_value_none, out);
}

/* ---- UpSampling2D: every pixel becomes a block, as large as the kernel ------------------------
 */

static int upsample_shape(const struct ft_nodes *nodes, struct ft_node *node, struct ft_error *err)
{
    const struct ft_shape *in = ft_node_input(nodes, node, 0);
    const long long h = (long long)in->h * node->params.kernel[0],
                    w = (long long)in->w * node->params.kernel[1];
    int rc = ft_check_picture(node, in, err);
    rc = rc ? rc : ft_check_length(node, h, err);
    rc = rc ? rc : ft_check_length(node, w, err);
    if (!rc)
        node->shape = (struct ft_shape){ 3, (int)h, (int)w, in->c };
    return rc;
}

static void upsample_settings(struct ft_step *step, const struct ft_node *node)
{
    step->work.kernel[0] = step->in.h;
    step->work.kernel[1] = step->in.w;
    step->work.bilinear = node->params.bilinear;
}

/* ---- Resizing -------------------------------------------------------------------------------- */

static int resize_shape(const struct ft_nodes *nodes, struct ft_node *node, struct ft_error *err)
{
    const struct ft_shape *in = ft_node_input(nodes, node, 0);
    const int *to = node->params.shape;
    int rc = ft_check_picture(node, in, err);
    rc = rc ? rc : ft_check_length(node, to[0], err);
    rc = rc ? rc : ft_check_length(node, to[1], err);
    if (!rc)
        node->shape = (struct ft_shape){ 3, to[0], to[1], in->c };
    return rc;
}

/* The part with the aspect of the output, as Keras rounds it (resize in
 * keras/src/backend/tensorflow/image.py); `to` is the output's size. */
static void aspect_window(const int in[2], const int to[2], int size[2])
{
    for (int i = 0; i < 2; i++) {
        const int j = 1 - i, n = (int)((float)in[j] * (float)to[i] / (float)to[j]);
        size[i] = n < 1 ? 1 : n > in[i] ? in[i] : n;
    }
}

static void resize_settings(struct ft_step *step, const struct ft_node *node)
{
    const int in[2] = { step->in.h, step->in.w }, *to = node->params.shape;
    const enum ft_crop crop = node->params.crop;
    int *size = step->work.kernel;
    size[0] = in[0];
    size[1] = in[1];
    if (crop == FT_CROP_CENTRE && in[0] >= to[0] && in[1] >= to[1]) {
        size[0] = to[0];
        size[1] = to[1];
    } else if (crop != FT_CROP_NONE) {
        aspect_window(in, to, size);
    }
    for (int i = 0; i < 2; i++)
        step->work.pad[i] = (in[i] - size[i]) / 2;
    step->work.bilinear = node->params.bilinear;
}

/* ---- Permute, Flatten, Reshape --------------------------------------------------------------- */

static int permute_shape(const struct ft_nodes *nodes, struct ft_node *node, struct ft_error *err)
{
    const struct ft_shape *in = ft_node_input(nodes, node, 0);
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

static bool permute_view(const struct ft_node *node, struct ft_value in, struct ft_value *out)
{
    *out = in;
    return in.h == 1 && in.w == 1 && node->shape.c == in.c;
}

static void permute_settings(struct ft_step *step, const struct ft_node *node)
{
    for (int i = 0; i < node->params.rank; i++)
        step->work.permute[i] = node->params.shape[i] - 1;
}

static int flatten_shape(const struct ft_nodes *nodes, struct ft_node *node, struct ft_error *err)
{
    const struct ft_shape *in = ft_node_input(nodes, node, 0);
    const long long count = (long long)in->h * in->w * in->c;
    if (count > INT_MAX)
        return ft_error_set(err, FT_ELIMIT, "layer '%s': a vector of %lld values is too large",
                            node->layer->name, count);
    node->shape = (struct ft_shape){ 1, 1, 1, (int)count };
    return 0;
}

/* One of the sizes may be -1: it takes what the others leave. */
static int reshape_shape(const struct ft_nodes *nodes, struct ft_node *node, struct ft_error *err)
{
    const struct ft_shape *in = ft_node_input(nodes, node, 0);
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
                            "layer '%s': %lld values cannot take the shape in its settings",
                            node->layer->name, count);
    node->shape = (struct ft_shape){ p->rank, shape[0], shape[1], shape[2] };
    return 0;
}

/* A single pixel stays one, and so does a map whose rows and columns stay. */
static bool reshape_view(const struct ft_node *node, struct ft_value in, struct ft_value *out)
{
    *out = in;
    return in.h == node->shape.h && in.w == node->shape.w;
}

const struct ft_kind ft_kinds_geometry[] = {
    { .kind = FT_LAYER_INPUT, .shape = input_shape, .emit = emit_input },
    { .kind = FT_LAYER_MAX_POOL,
      .shape = pool_shape,
      .operation = FT_OP_MAX_POOL,
      .settings = pool_settings },
    { .kind = FT_LAYER_AVERAGE_POOL,
      .shape = pool_shape,
      .operation = FT_OP_AVERAGE_POOL,
      .settings = pool_settings },
    { .kind = FT_LAYER_GLOBAL_AVERAGE_POOL,
      .shape = global_pool_shape,
      .operation = FT_OP_GLOBAL_AVERAGE },
    { .kind = FT_LAYER_GLOBAL_MAX_POOL, .shape = global_pool_shape, .operation = FT_OP_GLOBAL_MAX },
    { .kind = FT_LAYER_ZERO_PAD, .shape = pad_shape, .view = pad_view },
    { .kind = FT_LAYER_CROPPING, .shape = crop_shape, .emit = emit_crop },
    { .kind = FT_LAYER_UPSAMPLING,
      .shape = upsample_shape,
      .operation = FT_OP_RESIZE,
      .settings = upsample_settings },
    { .kind = FT_LAYER_RESIZE,
      .shape = resize_shape,
      .operation = FT_OP_RESIZE,
      .settings = resize_settings },
    { .kind = FT_LAYER_PERMUTE,
      .shape = permute_shape,
      .view = permute_view,
      .operation = FT_OP_PERMUTE,
      .settings = permute_settings },
    { .kind = FT_LAYER_FLATTEN,
      .shape = flatten_shape,
      .view = reshape_view,
      .operation = FT_OP_FLATTEN },
    { .kind = FT_LAYER_RESHAPE,
      .shape = reshape_shape,
      .view = reshape_view,
      .operation = FT_OP_FLATTEN },
    { .kind = FT_LAYER_KINDS },
};
