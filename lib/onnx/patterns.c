/* Expressions that exporters spell out, and that are one layer here. A pattern is an expression
 * over x; a number stands for a constant with this value, e for any small constant. The arguments
 * of Add and Mul may be in any order. A pattern names the leading arguments only. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "onnx/import.h"

struct pattern {
    const char *text;
    enum ft_layer_kind kind;
    enum ft_activation activation;
};

#define GELU(inner)                                                                                \
    { "Mul(Mul(x,Add(Erf(" inner "),1)),0.5)", FT_LAYER_ACTIVATION, FT_ACT_GELU },                 \
        { "Mul(Mul(x,0.5),Add(Erf(" inner "),1))", FT_LAYER_ACTIVATION, FT_ACT_GELU },             \
    {                                                                                              \
        "Mul(x,Mul(Add(Erf(" inner "),1),0.5))", FT_LAYER_ACTIVATION, FT_ACT_GELU                  \
    }
#define CENTRED "Sub(x,ReduceMean(x))"
#define NORM(square)                                                                               \
    { "Div(" CENTRED ",Sqrt(Add(ReduceMean(" square "),e)))", FT_LAYER_LAYER_NORM, 0 },            \
    {                                                                                              \
        "Mul(" CENTRED ",Reciprocal(Sqrt(Add(ReduceMean(" square "),e))))", FT_LAYER_LAYER_NORM, 0 \
    }

static const struct pattern patterns[] = {
    { "Mul(x,Sigmoid(x))", FT_LAYER_ACTIVATION, FT_ACT_SWISH },
    { "Mul(x,HardSigmoid(x))", FT_LAYER_ACTIVATION, FT_ACT_HARD_SWISH },
    { "Mul(x,Tanh(Softplus(x)))", FT_LAYER_ACTIVATION, FT_ACT_MISH },
    { "Div(Mul(x,Clip(Add(x,3))),6)", FT_LAYER_ACTIVATION, FT_ACT_HARD_SWISH },
    { "Mul(Mul(x,Clip(Add(x,3))),0.16666667)", FT_LAYER_ACTIVATION, FT_ACT_HARD_SWISH },
    { "Mul(x,Div(Clip(Add(x,3)),6))", FT_LAYER_ACTIVATION, FT_ACT_HARD_SWISH },
    { "Mul(x,Mul(Clip(Add(x,3)),0.16666667))", FT_LAYER_ACTIVATION, FT_ACT_HARD_SWISH },
    { "Div(Clip(Add(x,3)),6)", FT_LAYER_ACTIVATION, FT_ACT_HARD_SIGMOID },
    { "Mul(Clip(Add(x,3)),0.16666667)", FT_LAYER_ACTIVATION, FT_ACT_HARD_SIGMOID },
    { "Div(x,Add(Abs(x),1))", FT_LAYER_ACTIVATION, FT_ACT_SOFTSIGN },
    GELU("Div(x,1.41421356)"),
    GELU("Mul(x,0.70710678)"),
    NORM("Pow(" CENTRED ",2)"),
    NORM("Mul(" CENTRED "," CENTRED ")"),
};

struct match {
    const struct ft_import *x;
    const struct ft_onnx_value *bound; /* of x, or NULL */
    int64_t axis;                      /* of means: from the end, -1 the last; 0: none so far */
    double epsilon;
};

static bool match_value(struct match *m, const char **text, const char *name);

/* Skips one expression. */
static void skip(const char **text)
{
    int depth = 0;
    for (; **text && (depth || (**text != ',' && **text != ')')); (*text)++)
        depth += **text == '(' ? 1 : **text == ')' ? -1 : 0;
}

/* A mean over one axis, the same one in all of the pattern. */
static bool match_mean(struct match *m, const Ft__Onnx__Node *node)
{
    struct ft_import at = *m->x;
    int64_t axis;
    at.node = node;
    if (ft_onnx_ints(&at, "axes", 1, &axis, 1) != 1 || !ft_onnx_int(node, "keepdims", 1))
        return false;
    if (axis > 0 && m->bound)
        axis -= m->bound->view.rank;
    if (m->axis && m->axis != axis)
        return false;
    m->axis = axis;
    return true;
}

/* What a pattern assumes of an operator beyond its arguments. */
static bool check_operator(struct match *m, const Ft__Onnx__Node *node)
{
    const struct ft_onnx_value *v = node->n_output ? ft_onnx_find(m->x, node->output[0]) : NULL;
    if (!strcmp(node->op_type, "ReduceMean"))
        return match_mean(m, node);
    if (!strcmp(node->op_type, "HardSigmoid"))
        return fabs(ft_onnx_float(node, "alpha", 0.2) - 1.0 / 6) < 1e-5 &&
               ft_onnx_float(node, "beta", 0.5) == 0.5;
    if (!strcmp(node->op_type, "Clip"))
        return v && v->kind == FT_ONNX_VIEW &&
               ft_onnx_at(m->x, v->view.layer)->params.activation == FT_ACT_RELU6;
    return true;
}

static bool match_arguments(struct match *m, const char **text, const Ft__Onnx__Node *node,
                            bool swapped)
{
    for (size_t k = 0;; k++) {
        const size_t at = swapped ? 1 - k : k;
        if (at >= node->n_input || !match_value(m, text, node->input[at]))
            return false;
        if (**text != ',')
            break;
        ++*text;
    }
    return *(*text)++ == ')';
}

static bool match_node(struct match *m, const char **text, const Ft__Onnx__Node *node)
{
    const size_t length = strcspn(*text, "(");
    const struct match before = *m;
    const char *arguments = *text + length + 1;
    if (!node || strlen(node->op_type) != length || memcmp(node->op_type, *text, length))
        return false;
    const bool commutes = !strcmp(node->op_type, "Add") || !strcmp(node->op_type, "Mul");
    for (int way = 0; way < (commutes && node->n_input == 2 ? 2 : 1); way++) {
        *m = before;
        *text = arguments;
        if (match_arguments(m, text, node, way) && check_operator(m, node))
            return true;
    }
    return false;
}

static bool match_value(struct match *m, const char **text, const char *name)
{
    const struct ft_onnx_value *v = ft_onnx_find(m->x, name);
    if (!v)
        return false;
    if (**text == 'x' && (text[0][1] == ',' || text[0][1] == ')')) {
        ++*text;
        const bool same = m->bound && v->kind == FT_ONNX_VIEW &&
                          m->bound->view.layer == v->view.layer &&
                          ft_view_congruent(&m->bound->view, &v->view);
        if (!m->bound && v->kind == FT_ONNX_VIEW)
            m->bound = v;
        return same || m->bound == v;
    }
    const bool number = isdigit((unsigned char)**text);
    if (number || (**text == 'e' && text[0][1] == ')')) {
        const double wanted = number ? strtod(*text, NULL) : 0;
        if (v->kind != FT_ONNX_CONSTANT || v->constant.count != 1)
            return false;
        const double value = ft_constant_at(&v->constant, 0);
        skip(text);
        if (!number)
            m->epsilon = value;
        return number ? fabs(value - wanted) <= 1e-5 * (1 + wanted) : value >= 0 && value < 0.1;
    }
    return match_node(m, text, v->node);
}

/* A norm over one axis, made of a view. */
static int normalise(struct ft_import *x, const struct ft_view *v, int64_t axis, double epsilon)
{
    enum ft_axis roles[FT_ONNX_RANK];
    const int rank = v->rank, d = (int)(axis < 0 ? rank + axis : axis);
    int from, layer;
    if (d < 1 || d >= rank)
        return ft_onnx_refuse(x, "a norm over axis %d is not supported", d);
    ft_onnx_roles(v, roles);
    if (roles[d] != FT_AXIS_CHANNELS)
        return ft_onnx_refuse(x, "a norm over rows or columns is not supported");
    int rc = ft_onnx_place(x, v, roles, ft_view_is_vector(v), &from);
    rc = rc ? rc : ft_onnx_layer(x, FT_LAYER_LAYER_NORM, &from, 1, x->shapes[from], &layer);
    if (rc)
        return rc;
    ft_onnx_at(x, layer)->params.epsilon = (float)epsilon;
    struct ft_view out = ft_view_is_vector(v) ? ft_view_vector(layer, x->shapes[layer][2])
                         : d == 1             ? ft_view_first(layer, x->shapes[layer])
                                              : ft_view_last(layer, x->shapes[layer]);
    return ft_view_reshape(&out, rank, v->dims)
               ? ft_onnx_set_view(x, 0, &out)
               : ft_onnx_refuse(x, "this order of axes is not supported");
}

int ft_onnx_match(struct ft_import *x, bool *done)
{
    *done = false;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        const char *text = patterns[i].text;
        struct match m = { .x = x };
        if (!match_node(&m, &text, x->node) || !m.bound)
            continue;
        *done = true;
        if (patterns[i].kind == FT_LAYER_LAYER_NORM)
            return normalise(x, &m.bound->view, m.axis, m.epsilon);
        const struct ft_layer_params p = { .activation = patterns[i].activation };
        return ft_onnx_activate(x, &m.bound->view, &p, 0);
    }
    return 0;
}
