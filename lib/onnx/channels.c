/* Operators that keep the shape: activations, normalisation. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "onnx/import.h"

static int activate(struct ft_import *x, const struct ft_onnx_operator *row)
{
    const struct ft_layer_params p = { .activation = (enum ft_activation)row->detail };
    return ft_onnx_activate(x, &ft_onnx_input(x, 0)->view, &p, 0);
}

/* Activations with a slope below zero. */
static int sloped(struct ft_import *x, const struct ft_onnx_operator *row)
{
    const bool leaky = row->detail == FT_ACT_LEAKY_RELU;
    const struct ft_layer_params p = { .activation = (enum ft_activation)row->detail,
                                       .alpha = (float)ft_onnx_float(x->node, "alpha",
                                                                     leaky ? 0.01 : 1) };
    return ft_onnx_activate(x, &ft_onnx_input(x, 0)->view, &p, 0);
}

static int selu(struct ft_import *x, const struct ft_onnx_operator *row)
{
    const double alpha = ft_onnx_float(x->node, "alpha", 1.6732632),
                 gamma = ft_onnx_float(x->node, "gamma", 1.0507010);
    if (fabs(alpha - 1.6732632) > 1e-5 || fabs(gamma - 1.0507010) > 1e-5)
        return ft_onnx_refuse(x, "alpha and gamma other than those of the paper are not supported");
    return activate(x, row);
}

static int multiplied(struct ft_import *x, int first, int second, int *out)
{
    return ft_onnx_layer(x, FT_LAYER_MULTIPLY, (int[]){ first, second }, 2, x->shapes[first], out);
}

/* x * sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3)) (D. Hendrycks and K. Gimpel, 2016), from layers
 * that Keras has. */
static int gelu_by_tanh(struct ft_import *x)
{
    const double factor = 1.5957691216057308;
    struct ft_view view = ft_onnx_input(x, 0)->view;
    int square, cubic, inner, gate, out;
    int rc = multiplied(x, view.layer, view.layer, &square);
    rc = rc ? rc : ft_onnx_scaled(x, square, 0.044715 * factor, factor, &cubic);
    rc = rc ? rc : multiplied(x, view.layer, cubic, &inner);
    rc = rc ? rc : ft_onnx_layer(x, FT_LAYER_ACTIVATION, &inner, 1, x->shapes[view.layer], &gate);
    if (rc)
        return rc;
    ft_onnx_at(x, gate)->params.activation = FT_ACT_SIGMOID;
    rc = multiplied(x, view.layer, gate, &out);
    if (rc)
        return rc;
    view.layer = out;
    return ft_onnx_set_view(x, 0, &view);
}

static int gelu(struct ft_import *x, const struct ft_onnx_operator *row)
{
    return ft_onnx_text_is(x->node, "approximate", "tanh") ? gelu_by_tanh(x) : activate(x, row);
}

/* ---- over the channels: the layer must have them as its last axis ---------------------------- */

/* Places the input so that axis `axis` of it becomes the channels. */
static int place_axis(struct ft_import *x, int64_t axis, int *layer, struct ft_view *view)
{
    const struct ft_view *in = &ft_onnx_input(x, 0)->view;
    enum ft_axis roles[FT_ONNX_RANK];
    const int rank = in->rank, d = (int)(axis < 0 ? axis + rank : axis);
    const bool vector = ft_view_is_vector(in);
    if (axis < -rank || axis >= rank || d < 1)
        return ft_onnx_refuse(x, "axis %lld is not supported", (long long)axis);
    ft_onnx_roles(in, roles);
    if (roles[d] != FT_AXIS_CHANNELS)
        ft_onnx_roles_of(in, d, roles);
    const int rc = ft_onnx_place(x, in, roles, vector, layer);
    if (rc)
        return rc;
    *view = vector                ? ft_view_vector(*layer, x->shapes[*layer][2])
            : d == 1 && rank == 4 ? ft_view_first(*layer, x->shapes[*layer])
                                  : ft_view_last(*layer, x->shapes[*layer]);
    if (rank != 2 && d == 1 && rank == 3)
        *view = ft_view_first(*layer, x->shapes[*layer]);
    if (!ft_view_reshape(view, rank, in->dims))
        return ft_onnx_refuse(x, "this order of axes is not supported");
    return 0;
}

static int softmax(struct ft_import *x, const struct ft_onnx_operator *row)
{
    int layer;
    struct ft_view view;
    const int64_t axis = ft_onnx_int(x->node, "axis", x->opset < 13 ? 1 : -1);
    const struct ft_layer_params p = { .activation = (enum ft_activation)row->detail };
    const int rank = ft_onnx_input(x, 0)->view.rank;
    if (x->opset < 13 && axis != rank - 1 && axis != -1)
        return ft_onnx_refuse(x, "a softmax over several axes is not supported");
    const int rc = place_axis(x, axis, &layer, &view);
    return rc ? rc : ft_onnx_activate(x, &view, &p, 0);
}

static int set_constants(struct ft_import *x, int layer, const int *inputs, int n, int64_t c)
{
    for (int w = 0; w < n; w++) {
        if (!ft_onnx_input(x, (size_t)inputs[w]))
            continue;
        const struct ft_constant *t = ft_onnx_constant(x, (size_t)inputs[w], (size_t)c);
        if (!t || !t->f)
            return ft_onnx_refuse(x, "input %d is not a constant of %lld values", inputs[w],
                                  (long long)c);
        ft_onnx_at(x, layer)->weights[w] = (struct ft_tensor){ 1, { c }, (size_t)c, t->f };
    }
    return 0;
}

static int normalise(struct ft_import *x, enum ft_layer_kind kind, int64_t axis, int n, int groups)
{
    static const int inputs[] = { 1, 2, 3, 4 };
    int from = 0, layer;
    struct ft_view view = { 0 };
    int rc = place_axis(x, axis, &from, &view);
    rc = rc ? rc : ft_onnx_layer(x, kind, &from, 1, x->shapes[from], &layer);
    if (rc)
        return rc;
    ft_onnx_at(x, layer)->params.epsilon = (float)ft_onnx_float(x->node, "epsilon", 1e-5);
    ft_onnx_at(x, layer)->params.groups = groups;
    view.layer = layer;
    rc = set_constants(x, layer, inputs, n, x->shapes[layer][2]);
    return rc ? rc : ft_onnx_set_view(x, 0, &view);
}

static int batch_norm(struct ft_import *x, const struct ft_onnx_operator *row)
{
    (void)row;
    if (ft_onnx_int(x->node, "training_mode", 0))
        return ft_onnx_refuse(x, "it is in training mode: export the network in evaluation mode");
    return normalise(x, FT_LAYER_BATCH_NORM, 1, 4, 1);
}

static int layer_norm(struct ft_import *x, const struct ft_onnx_operator *row)
{
    (void)row;
    const int64_t axis = ft_onnx_int(x->node, "axis", -1);
    const int rank = ft_onnx_input(x, 0)->view.rank;
    if (axis != -1 && axis != rank - 1)
        return ft_onnx_refuse(x, "a norm over several axes is not supported");
    return normalise(x, FT_LAYER_LAYER_NORM, axis, 2, 1);
}

static int instance_norm(struct ft_import *x, const struct ft_onnx_operator *row)
{
    (void)row;
    return normalise(x, FT_LAYER_GROUP_NORM, 1, 2, -1);
}

static int group_norm(struct ft_import *x, const struct ft_onnx_operator *row)
{
    (void)row;
    const int64_t groups = ft_onnx_int(x->node, "num_groups", 0);
    if (groups < 1 || groups > 1 << 14 || x->opset < 21)
        return ft_onnx_refuse(x, "its 'num_groups' is not valid, or its opset is less than 21");
    return normalise(x, FT_LAYER_GROUP_NORM, 1, 2, (int)groups);
}

static int prelu(struct ft_import *x, const struct ft_onnx_operator *row)
{
    (void)row;
    const struct ft_constant *slope = ft_onnx_constant(x, 1, 0);
    int from = 0, layer;
    struct ft_view view = { 0 };
    int rc = place_axis(x, 1, &from, &view);
    if (rc)
        return rc;
    const int64_t c = x->shapes[from][2];
    if (!slope || !slope->f || (slope->count != 1 && slope->count != (size_t)c) ||
        (slope->count > 1 && slope->rank != view.rank - 1 && slope->rank != view.rank))
        return ft_onnx_refuse(x, "its slope is not one constant for each channel");
    rc = ft_onnx_layer(x, FT_LAYER_PRELU, &from, 1, x->shapes[from], &layer);
    if (rc)
        return rc;
    ft_onnx_at(x, layer)->weights[FT_W_ALPHA] =
        (struct ft_tensor){ 3, { 1, 1, (int64_t)slope->count }, slope->count, slope->f };
    view.layer = layer;
    return ft_onnx_set_view(x, 0, &view);
}

const struct ft_onnx_operator ft_onnx_channels[] = {
    { "Relu", activate, FT_ACT_RELU },
    { "Sigmoid", activate, FT_ACT_SIGMOID },
    { "Tanh", activate, FT_ACT_TANH },
    { "Softplus", activate, FT_ACT_SOFTPLUS },
    { "Softsign", activate, FT_ACT_SOFTSIGN },
    { "Mish", activate, FT_ACT_MISH },
    { "Exp", activate, FT_ACT_EXPONENTIAL },
    { "HardSwish", activate, FT_ACT_HARD_SWISH },
    { "Swish", activate, FT_ACT_SWISH },
    { "Elu", sloped, FT_ACT_ELU },
    { "LeakyRelu", sloped, FT_ACT_LEAKY_RELU },
    { "Selu", selu, FT_ACT_SELU },
    { "Gelu", gelu, FT_ACT_GELU },
    { "PRelu", prelu, 0 },
    { "Softmax", softmax, FT_ACT_SOFTMAX },
    { "BatchNormalization", batch_norm, 0 },
    { "LayerNormalization", layer_norm, 0 },
    { "InstanceNormalization", instance_norm, 0 },
    { "GroupNormalization", group_norm, 0 },
    { 0 },
};
