#include <math.h>

#include "onnx/write_layers.h"

/* x * f(g(x)); g may be NULL */
static const char *gated(struct ft_message *m, const char *x, const char *f, const char *g)
{
    const char *inner = g ? ft_message_node(m, g, x, NULL, NULL, NULL) : x;
    return ft_message_node(m, "Mul", x, ft_message_node(m, f, inner, NULL, NULL, NULL), NULL, NULL);
}

/* x * (1 + erf(x / sqrt 2)) / 2: opset 17 has no Gelu */
static const char *gelu(struct ft_message *m, const char *x)
{
    const char *y = ft_message_node(m, "Div", x, ft_message_number(m, sqrtf(2)), NULL, NULL);
    y = ft_message_node(m, "Erf", y, NULL, NULL, NULL);
    y = ft_message_node(m, "Add", y, ft_message_number(m, 1), NULL, NULL);
    y = ft_message_node(m, "Mul", x, y, NULL, NULL);
    return ft_message_node(m, "Mul", y, ft_message_number(m, 0.5f), NULL, NULL);
}

static const char *limited(struct ft_message *m, const struct ft_layer_params *p, const char *x)
{
    return isinf(p->most) ? x
                          : ft_message_node(m, "Min", x, ft_message_number(m, p->most), NULL, NULL);
}

/* x, or alpha * (x - threshold) below the threshold */
static const char *above_threshold(struct ft_message *m, const struct ft_layer_params *p,
                                   const char *x)
{
    const char *threshold = ft_message_number(m, p->threshold),
               *below = ft_message_node(m, "Less", x, threshold, NULL, NULL);
    const char *y = ft_message_node(m, "Sub", x, threshold, NULL, NULL);
    y = ft_message_node(m, "Mul", y, ft_message_number(m, p->alpha), NULL, NULL);
    return limited(m, p, ft_message_node(m, "Where", below, y, x, NULL));
}

/* The ReLU layer: below 0 a slope, above a limit. */
static const char *shaped(struct ft_message *m, const struct ft_layer_params *p, const char *x)
{
    if (p->threshold != 0)
        return above_threshold(m, p, x);
    if (p->alpha == 0 && isinf(p->most))
        return ft_message_node(m, "Relu", x, NULL, NULL, NULL);
    if (p->alpha == 0)
        return ft_message_node(m, "Clip", x, ft_message_number(m, 0), ft_message_number(m, p->most),
                               NULL);
    const char *y = ft_message_node(m, "LeakyRelu", x, NULL, NULL, NULL);
    ft_message_float(m, "alpha", p->alpha);
    return limited(m, p, y);
}

const char *ft_message_activation(struct ft_message *m, const struct ft_layer_params *p,
                                  const char *x)
{
    static const char *const simple[FT_ACTIVATIONS] = {
        [FT_ACT_RELU] = "Relu",
        [FT_ACT_SIGMOID] = "Sigmoid",
        [FT_ACT_TANH] = "Tanh",
        [FT_ACT_HARD_SWISH] = "HardSwish",
        [FT_ACT_SELU] = "Selu",
        [FT_ACT_SOFTPLUS] = "Softplus",
        [FT_ACT_SOFTSIGN] = "Softsign",
        [FT_ACT_EXPONENTIAL] = "Exp",
        [FT_ACT_SOFTMAX] = "Softmax",
        [FT_ACT_HARD_SIGMOID] = "HardSigmoid",
        [FT_ACT_LEAKY_RELU] = "LeakyRelu",
        [FT_ACT_ELU] = "Elu",
    };
    const char *y;
    switch (p->activation) {
    case FT_ACT_LINEAR:
        return x;
    case FT_ACT_RELU6:
        return ft_message_node(m, "Clip", x, ft_message_number(m, 0), ft_message_number(m, 6),
                               NULL);
    case FT_ACT_SWISH:
        return gated(m, x, "Sigmoid", NULL);
    case FT_ACT_MISH:
        return gated(m, x, "Tanh", "Softplus");
    case FT_ACT_GELU:
        return gelu(m, x);
    case FT_ACT_RELU_SHAPED:
        return shaped(m, p, x);
    case FT_ACT_POWER:
        return ft_message_node(m, "Pow", x, ft_message_number(m, p->alpha), NULL, NULL);
    default:
        break;
    }
    if ((unsigned)p->activation >= FT_ACTIVATIONS || !simple[p->activation]) {
        ft_message_fail(m, FT_EUNSUPPORTED, "its activation cannot be written");
        return "";
    }
    y = ft_message_node(m, simple[p->activation], x, NULL, NULL, NULL);
    if (p->activation == FT_ACT_SOFTMAX)
        ft_message_int(m, "axis", 1);
    if (p->activation == FT_ACT_HARD_SIGMOID) {
        ft_message_float(m, "alpha", 1.0f / 6);
        ft_message_float(m, "beta", 0.5f);
    }
    if (p->activation == FT_ACT_LEAKY_RELU || p->activation == FT_ACT_ELU)
        ft_message_float(m, "alpha", p->alpha);
    return y;
}
