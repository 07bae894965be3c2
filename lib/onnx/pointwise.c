/* Layers that several operators make: an activation, and a scale and an offset. */
#include <string.h>

#include "onnx/import.h"

static int add_activation(struct ft_import *x, int input, const struct ft_layer_params *p, int *out)
{
    const int rc = ft_onnx_layer(x, FT_LAYER_ACTIVATION, &input, 1, x->shapes[input], out);
    if (rc)
        return rc;
    struct ft_layer_params *q = &ft_onnx_at(x, *out)->params;
    q->activation = p->activation;
    q->alpha = p->alpha;
    q->most = p->most;
    q->threshold = p->threshold;
    return 0;
}

int ft_onnx_scaled(struct ft_import *x, int input, double scale, double offset, int *out)
{
    const double values[] = { scale, offset };
    const int rc = ft_onnx_layer(x, FT_LAYER_RESCALING, &input, 1, x->shapes[input], out);
    for (int w = 0; !rc && w < 2; w++) {
        float *value = ft_onnx_weight(x, *out, w ? FT_W_OFFSET : FT_W_SCALE, 1, (int64_t[]){ 1 });
        if (!value)
            return FT_ENOMEM;
        *value = (float)values[w];
    }
    return rc;
}

/* clip(x / 6 + 1/2, 0, 1), times x for hard_swish, as three layers: Keras 2 and 3 do not agree on
 * hard_sigmoid, so it cannot be written to a Keras file. The plan of a network makes it one step.
 */
static int add_hard(struct ft_import *x, int input, bool swish, int *out)
{
    const struct ft_layer_params clip = { .activation = FT_ACT_RELU_SHAPED, .most = 1 };
    int scaled, clipped;
    int rc = ft_onnx_scaled(x, input, 1.0 / 6, 0.5, &scaled);
    rc = rc ? rc : add_activation(x, scaled, &clip, &clipped);
    if (rc || !swish) {
        if (!rc)
            *out = clipped;
        return rc;
    }
    return ft_onnx_layer(x, FT_LAYER_MULTIPLY, (int[]){ input, clipped }, 2, x->shapes[input], out);
}

int ft_onnx_activate(struct ft_import *x, const struct ft_view *view,
                     const struct ft_layer_params *p, size_t output)
{
    struct ft_view to = *view;
    const bool swish = p->activation == FT_ACT_HARD_SWISH;
    const int rc = swish || p->activation == FT_ACT_HARD_SIGMOID
                       ? add_hard(x, view->layer, swish, &to.layer)
                       : add_activation(x, view->layer, p, &to.layer);
    return rc ? rc : ft_onnx_set_view(x, output, &to);
}

int ft_onnx_invert(struct ft_import *x, const struct ft_view *view, struct ft_view *out)
{
    const struct ft_layer_params p = { .activation = FT_ACT_POWER, .alpha = -1 };
    *out = *view;
    return add_activation(x, view->layer, &p, &out->layer);
}

/* ---- view * scale + offset ------------------------------------------------------------------- */

/* Which axes of the layer a constant varies over. */
static unsigned varies(const struct ft_view *v, const int *first, const struct ft_constant *c)
{
    unsigned axes = 0;
    for (int d = 0; c && d < c->rank; d++)
        if (c->dims[d] > 1 && v->rank - c->rank + d >= 0)
            axes |= ft_view_axes(v, first, v->rank - c->rank + d);
    return axes;
}

/* A weight [h, w, c] of the layer, each 1 if it is not in `axes`, filled from the constant. Without
 * a constant, and where the view has no values, it is `otherwise`. */
static int spread(struct ft_import *x, const struct ft_view *v, const int *first,
                  const struct ft_constant *c, unsigned axes, int layer, int w, float otherwise)
{
    if (!c) {
        float *to = ft_onnx_weight(x, layer, w, 1, (int64_t[]){ 1 });
        if (!to)
            return FT_ENOMEM;
        *to = otherwise;
        return 0;
    }
    const int64_t *full = x->shapes[layer];
    int64_t shape[FT_AXES], at[FT_ONNX_RANK] = { 0 };
    for (int a = 0; a < FT_AXES; a++)
        shape[a] = axes & 1u << a ? full[a] : 1;
    const bool channels_only = !(axes & ~(1u << FT_AXIS_CHANNELS));
    float *to = channels_only ? ft_onnx_weight(x, layer, w, 1, &shape[2])
                              : ft_onnx_weight(x, layer, w, 3, shape);
    if (!to)
        return FT_ENOMEM;
    for (int64_t i = 0; i < shape[0] * shape[1] * shape[2]; i++)
        to[i] = otherwise;
    int64_t count = 1, lengths[FT_ONNX_RANK]; /* 1: the constant does not vary over this axis */
    for (int d = 0; d < v->rank; d++) {
        lengths[d] = ft_view_axes(v, first, d) & axes ? v->dims[d] : 1;
        count *= lengths[d];
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t rest = i, place[FT_AXES] = { v->from[0], v->from[1], v->from[2] };
        for (int d = v->rank; d-- > 0;) {
            at[d] = rest % lengths[d];
            rest /= lengths[d];
            int64_t in = at[d];
            for (int k = first[d + 1] - 1; k >= first[d]; k--) {
                place[v->atoms[k].axis] += in % v->atoms[k].size * v->atoms[k].stride;
                in /= v->atoms[k].size;
            }
        }
        for (int a = 0; a < FT_AXES; a++)
            place[a] = axes & 1u << a ? place[a] : 0;
        to[(place[0] * shape[1] + place[1]) * shape[2] + place[2]] =
            (float)ft_constant_at(c, ft_constant_index(c, v->rank, at));
    }
    return 0;
}

/* An offset for each channel, added to a layer that can have one and has none, and a scale
 * likewise: the layer is made again with it. Which of its weights that is; -1: none. */
static int absorbs(const struct ft_layer *l, bool scale)
{
    const bool free_bias = !l->weights[FT_W_BIAS].data && l->params.activation == FT_ACT_LINEAR;
    switch (l->kind) {
    case FT_LAYER_LAYER_NORM:
    case FT_LAYER_GROUP_NORM:
        if (scale)
            return l->weights[FT_W_GAMMA].data || l->weights[FT_W_BETA].data ? -1 : FT_W_GAMMA;
        return l->weights[FT_W_BETA].data ? -1 : FT_W_BETA;
    case FT_LAYER_CONV2D:
    case FT_LAYER_DEPTHWISE_CONV2D:
    case FT_LAYER_DENSE:
        return !scale && free_bias ? FT_W_BIAS : -1;
    case FT_LAYER_ATTENTION:
        return scale || l->weights[FT_W_OUTPUT_BIAS].data ? -1 : FT_W_OUTPUT_BIAS;
    default:
        return -1;
    }
}

int ft_onnx_again(struct ft_import *x, int layer, int *out)
{
    const struct ft_layer *l = ft_onnx_at(x, layer);
    const int from[] = { l->inputs[0], l->inputs[l->n_inputs - 1] };
    const int rc = ft_onnx_layer(x, l->kind, from, l->n_inputs, x->shapes[layer], out);
    if (rc)
        return rc;
    ft_onnx_at(x, *out)->params = ft_onnx_at(x, layer)->params;
    memcpy(ft_onnx_at(x, *out)->weights, ft_onnx_at(x, layer)->weights,
           sizeof ft_onnx_at(x, layer)->weights);
    return 0;
}

int ft_onnx_rescale(struct ft_import *x, const struct ft_view *view,
                    const struct ft_constant *scale, const struct ft_constant *offset,
                    struct ft_view *out)
{
    struct ft_view v = *view;
    int first[FT_ONNX_RANK + 1];
    const struct ft_constant *given[] = { scale, offset };
    if (!ft_view_align(&v, first))
        return ft_onnx_refuse(x, "this shape of its input is not supported");
    const unsigned axes = varies(&v, first, scale) | varies(&v, first, offset);
    const bool channels_only = !(axes & ~(1u << FT_AXIS_CHANNELS)), whole = axes != 0;
    const int w = scale && offset ? -1 : absorbs(ft_onnx_at(x, v.layer), scale != NULL);
    int layer, rc;
    if (w >= 0 && channels_only && whole) {
        rc = ft_onnx_again(x, v.layer, &layer);
        rc = rc ? rc : spread(x, &v, first, scale ? scale : offset, axes, layer, w, scale ? 1 : 0);
    } else {
        rc = ft_onnx_layer(x, channels_only ? FT_LAYER_RESCALING : FT_LAYER_MAP_RESCALING, &v.layer,
                           1, x->shapes[v.layer], &layer);
        for (int k = 0; !rc && k < 2; k++)
            rc = spread(x, &v, first, given[k], varies(&v, first, given[k]), layer, k, !k);
    }
    if (rc)
        return rc;
    v.layer = layer;
    ft_view_normalise(&v);
    *out = v;
    return 0;
}

/* max(x, c) = relu(x - c) + c; min(x, c) = c - relu(c - x) */
int ft_onnx_limit(struct ft_import *x, const struct ft_view *view, const struct ft_constant *c,
                  bool most, struct ft_view *out)
{
    float sign = most ? -1 : 1;
    struct ft_constant opposite = *c;
    const struct ft_constant scale = { .count = 1, .f = &sign };
    struct ft_view v = *view;
    int layer, rc = ft_onnx_new(x, &opposite, false);
    for (size_t i = 0; !rc && i < c->count; i++)
        opposite.f[i] = (float)(-(double)sign * ft_constant_at(c, i));
    rc = rc ? rc : ft_onnx_rescale(x, &v, most ? &scale : NULL, &opposite, &v);
    rc = rc ? rc : ft_onnx_layer(x, FT_LAYER_ACTIVATION, &v.layer, 1, x->shapes[v.layer], &layer);
    if (rc)
        return rc;
    ft_onnx_at(x, layer)->params.activation = FT_ACT_RELU;
    v.layer = layer;
    return ft_onnx_rescale(x, &v, most ? &scale : NULL, c, out);
}
