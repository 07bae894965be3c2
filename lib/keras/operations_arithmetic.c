/* Arithmetic, activations and casts as layers. */
#include "keras/axes.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "keras/fields.h"

enum { DIVIDE = FT_LAYER_KINDS };

/* max(x, v) = relu(x - v) + v; min(x, v) = v - relu(v - x) */
static int add_bound(struct ft_build *b, int x, bool upper, const struct ft_keras_constant *v,
                     int *last)
{
    const double direction = upper ? -1 : 1;
    int rc = ft_step_rescaling(b, x, direction, NULL, -direction, v, last);
    if (!rc)
        rc = ft_step_relu(b, *last, INFINITY, last);
    if (!rc)
        rc = ft_step_rescaling(b, *last, direction, NULL, 1, v, last);
    return rc;
}

static int build_with_constant(struct ft_build *b, int kind, bool first,
                               const struct ft_keras_constant *v, int *last)
{
    switch (kind) {
    case FT_LAYER_ADD:
        return ft_step_rescaling(b, b->x, 1, NULL, 1, v, last);
    case FT_LAYER_SUBTRACT:
        return ft_step_rescaling(b, b->x, first ? -1 : 1, NULL, first ? 1 : -1, v, last);
    case FT_LAYER_MULTIPLY:
        return ft_step_rescaling(b, b->x, 1, v, 1, NULL, last);
    case FT_LAYER_MAXIMUM:
    case FT_LAYER_MINIMUM:
        return add_bound(b, b->x, kind == FT_LAYER_MINIMUM, v, last);
    default:
        for (size_t i = 0; i < v->count; i++)
            if (v->values[i] == 0)
                return ft_step_unsupported(b, "a division by zero");
        return first ? ft_step_unsupported(b, "a division of a constant by a tensor")
                     : ft_step_rescaling(b, b->x, 0, v, 1, NULL, last);
    }
}

static int build_arithmetic(struct ft_build *b, const struct ft_keras_operation *operation,
                            int *last)
{
    struct ft_argument v[2] = { { 0 } };
    int rc = ft_arguments_operands(b->node, v, b->err);
    const struct ft_layer *own = ft_step_layer(b, b->layer);
    const bool constant[2] = { v[0].kind == FT_ARGUMENT_CONSTANT,
                               v[1].kind == FT_ARGUMENT_CONSTANT };
    if (!rc && own->n_inputs == 1 && constant[0] != constant[1])
        rc =
            build_with_constant(b, operation->detail, constant[0], &v[!constant[0]].constant, last);
    else if (!rc && own->n_inputs == 2 && !constant[0] && !constant[1] &&
             operation->detail != DIVIDE)
        rc = ft_step_add(b, (enum ft_layer_kind)operation->detail,
                         (int[]){ own->inputs[0], own->inputs[1] }, 2, last);
    else if (!rc)
        rc = ft_step_unsupported(b, own->n_inputs == 2 ? "a quotient of two tensors"
                                                       : "this operation on these operands");
    ft_constant_release(&v[0].constant);
    ft_constant_release(&v[1].constant);
    return rc;
}

static int build_negative(struct ft_build *b, const struct ft_keras_operation *operation, int *last)
{
    (void)operation;
    return ft_step_rescaling(b, b->x, -1, NULL, 1, NULL, last);
}

/* |x| = max(-x, x) */
static int build_absolute(struct ft_build *b, const struct ft_keras_operation *operation, int *last)
{
    (void)operation;
    const int rc = ft_step_rescaling(b, b->x, -1, NULL, 1, NULL, last);
    return rc ? rc : ft_step_add(b, FT_LAYER_MAXIMUM, (int[]){ *last, b->x }, 2, last);
}

static int build_square(struct ft_build *b, const struct ft_keras_operation *operation, int *last)
{
    (void)operation;
    return ft_step_add(b, FT_LAYER_MULTIPLY, (int[]){ b->x, b->x }, 2, last);
}

static int add_power(struct ft_build *b, float exponent, int *last)
{
    const int rc = ft_step_add(b, FT_LAYER_ACTIVATION, &b->x, 1, last);
    if (rc)
        return rc;
    ft_step_layer(b, *last)->params.activation = FT_ACT_POWER;
    ft_step_layer(b, *last)->params.alpha = exponent;
    return 0;
}

static int build_root(struct ft_build *b, const struct ft_keras_operation *operation, int *last)
{
    return add_power(b, operation->detail > 0 ? 0.5f : -0.5f, last);
}

static int build_reciprocal(struct ft_build *b, const struct ft_keras_operation *operation,
                            int *last)
{
    (void)operation;
    return add_power(b, -1, last);
}

static int build_power(struct ft_build *b, const struct ft_keras_operation *operation, int *last)
{
    struct ft_argument v[2] = { { 0 } };
    int rc = ft_arguments_operands(b->node, v, b->err);
    const bool fits = !rc && v[1].kind == FT_ARGUMENT_CONSTANT && v[1].constant.count == 1 &&
                      v[0].kind == FT_ARGUMENT_TENSOR;
    if (!rc && !fits)
        rc = ft_step_unsupported(b, "a power that is no number");
    else if (!rc && v[1].constant.values[0] == 2)
        rc = build_square(b, operation, last);
    else if (!rc)
        rc = add_power(b, v[1].constant.values[0], last);
    ft_constant_release(&v[0].constant);
    ft_constant_release(&v[1].constant);
    return rc;
}

/* The number `name`, or `other_name`, as a constant; `count` stays 0 where it is absent. */
static int number_argument(const struct ft_build *b, const char *name, const char *other_name,
                           int position, struct ft_keras_constant *out)
{
    const cJSON *value = ft_argument_find(b->node, b->config, name, position);
    value = value ? value : ft_argument_find(b->node, b->config, other_name, -1);
    return value ? ft_constant_parse(value, out, b->err) : 0;
}

static int build_clip(struct ft_build *b, const struct ft_keras_operation *operation, int *last)
{
    struct ft_keras_constant low = { 0 }, high = { 0 };
    (void)operation;
    int rc = number_argument(b, "x_min", "clip_value_min", 1, &low);
    if (!rc)
        rc = number_argument(b, "x_max", "clip_value_max", 2, &high);
    if (!rc && (!low.count || !high.count))
        rc = ft_step_unsupported(b, "clipping without two bounds");
    if (!rc && low.count == 1 && low.values[0] == 0 && high.count == 1)
        rc = ft_step_relu(b, b->x, (double)high.values[0], last);
    else if (!rc) {
        rc = add_bound(b, b->x, false, &low, last);
        rc = rc ? rc : add_bound(b, *last, true, &high, last);
    }
    ft_constant_release(&low);
    ft_constant_release(&high);
    return rc;
}

/* ---- activations and casts ------------------------------------------------------------------- */

/* gelu by tanh: x * sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3)) (D. Hendrycks and K. Gimpel, 2016).
 */
static int build_gelu_approximate(struct ft_build *b, int *last)
{
    const double factor = 1.5957691216057308;
    float one = (float)factor;
    const struct ft_keras_constant offset = { .count = 1, .values = &one };
    int square, cubic, inner;
    int rc = ft_step_add(b, FT_LAYER_MULTIPLY, (int[]){ b->x, b->x }, 2, &square);
    rc = rc ? rc : ft_step_rescaling(b, square, 0.044715 * factor, NULL, 1, &offset, &cubic);
    rc = rc ? rc : ft_step_add(b, FT_LAYER_MULTIPLY, (int[]){ b->x, cubic }, 2, &inner);
    rc = rc ? rc : ft_step_add(b, FT_LAYER_ACTIVATION, &inner, 1, &inner);
    if (rc)
        return rc;
    ft_step_layer(b, inner)->params.activation = FT_ACT_SIGMOID;
    return ft_step_add(b, FT_LAYER_MULTIPLY, (int[]){ b->x, inner }, 2, last);
}

static int build_activation(struct ft_build *b, const struct ft_keras_operation *operation,
                            int *last)
{
    const enum ft_activation activation = (enum ft_activation)operation->detail;
    const cJSON *approximate = ft_argument_find(b->node, b->config, "approximate", 1);
    const cJSON *slope = ft_argument_find(b->node, b->config, "negative_slope", 1);
    slope = slope ? slope : ft_argument_find(b->node, b->config, "alpha", 1);
    if (activation == FT_ACT_GELU && cJSON_IsTrue(approximate))
        return build_gelu_approximate(b, last);
    const int rc = ft_step_add(b, FT_LAYER_ACTIVATION, &b->x, 1, last);
    if (rc)
        return rc;
    struct ft_layer_params *p = &ft_step_layer(b, *last)->params;
    p->activation = activation;
    p->alpha = cJSON_IsNumber(slope)             ? (float)slope->valuedouble
               : activation == FT_ACT_LEAKY_RELU ? 0.2f
                                                 : 1;
    if (activation != FT_ACT_SOFTMAX)
        return 0;
    b->draft->layers[*last].axis =
        ft_step_integer(ft_argument_find(b->node, b->config, "axis", 1), -1);
    return ft_axes_move(b, *last, last);
}

/* Values stay as they are, unless they would be cut to whole numbers. */
static int build_cast(struct ft_build *b, const struct ft_keras_operation *operation, int *last)
{
    (void)operation;
    const char *to = cJSON_GetStringValue(ft_argument_find(b->node, b->config, "dtype", 1));
    if (to && !strstr(to, "float"))
        return ft_step_unsupported(b, "a cast to whole numbers");
    return ft_step_add(b, FT_LAYER_IDENTITY, &b->x, 1, last);
}

const struct ft_keras_operation ft_arithmetic_operations[] = {
    { "Add|__operators__.add|math.add|nn.bias_add|math.add_n", build_arithmetic, FT_SQUEEZED_KEPT,
      FT_LAYER_ADD },
    { "Subtract|__operators__.sub|math.subtract", build_arithmetic, FT_SQUEEZED_KEPT,
      FT_LAYER_SUBTRACT },
    { "Multiply|__operators__.mul|math.multiply", build_arithmetic, FT_SQUEEZED_KEPT,
      FT_LAYER_MULTIPLY },
    { "Divide|TrueDivide|__operators__.truediv|math.truediv|math.divide|realdiv", build_arithmetic,
      FT_SQUEEZED_KEPT, DIVIDE },
    { "Maximum|math.maximum", build_arithmetic, FT_SQUEEZED_KEPT, FT_LAYER_MAXIMUM },
    { "Minimum|math.minimum", build_arithmetic, FT_SQUEEZED_KEPT, FT_LAYER_MINIMUM },
    { "Negative|math.negative|__operators__.neg", build_negative, FT_SQUEEZED_KEPT, 0 },
    { "Absolute|Abs|math.abs", build_absolute, FT_SQUEEZED_KEPT, 0 },
    { "Square|math.square", build_square, FT_SQUEEZED_KEPT, 0 },
    { "Power|math.pow|__operators__.pow", build_power, FT_SQUEEZED_KEPT, 0 },
    { "Sqrt|math.sqrt", build_root, FT_SQUEEZED_KEPT, 1 },
    { "Rsqrt|math.rsqrt", build_root, FT_SQUEEZED_KEPT, -1 },
    { "Reciprocal|math.reciprocal", build_reciprocal, FT_SQUEEZED_KEPT, 0 },
    { "Clip|clip_by_value", build_clip, FT_SQUEEZED_KEPT, 0 },
    { "Relu|nn.relu", build_activation, FT_SQUEEZED_KEPT, FT_ACT_RELU },
    { "Relu6|nn.relu6", build_activation, FT_SQUEEZED_KEPT, FT_ACT_RELU6 },
    { "LeakyRelu|nn.leaky_relu", build_activation, FT_SQUEEZED_KEPT, FT_ACT_LEAKY_RELU },
    { "Elu|nn.elu", build_activation, FT_SQUEEZED_KEPT, FT_ACT_ELU },
    { "Selu|nn.selu", build_activation, FT_SQUEEZED_KEPT, FT_ACT_SELU },
    { "Gelu|nn.gelu", build_activation, FT_SQUEEZED_KEPT, FT_ACT_GELU },
    { "Sigmoid|math.sigmoid|nn.sigmoid", build_activation, FT_SQUEEZED_KEPT, FT_ACT_SIGMOID },
    { "Silu|nn.silu|nn.swish", build_activation, FT_SQUEEZED_KEPT, FT_ACT_SWISH },
    { "HardSigmoid", build_activation, FT_SQUEEZED_KEPT, FT_ACT_HARD_SIGMOID },
    { "HardSilu", build_activation, FT_SQUEEZED_KEPT, FT_ACT_HARD_SWISH },
    { "Tanh|math.tanh", build_activation, FT_SQUEEZED_KEPT, FT_ACT_TANH },
    { "Softplus|math.softplus", build_activation, FT_SQUEEZED_KEPT, FT_ACT_SOFTPLUS },
    { "Softsign|nn.softsign", build_activation, FT_SQUEEZED_KEPT, FT_ACT_SOFTSIGN },
    { "Softmax|nn.softmax", build_activation, FT_SQUEEZED_KEPT, FT_ACT_SOFTMAX },
    { "Exp|math.exp", build_activation, FT_SQUEEZED_KEPT, FT_ACT_EXPONENTIAL },
    { "Cast|cast|StopGradient|stop_gradient|identity", build_cast, FT_SQUEEZED_KEPT, 0 },
    { 0 },
};
