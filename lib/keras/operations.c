/* Keras stores x + 3.0 in the code of a model as an operation. Keras 3 (keras.ops) writes
 * {"class_name": "Add", "module": "keras.src.ops.numpy", "inbound_nodes": [{"args": [tensor, 3.0],
 * "kwargs": {}}]}. Keras 2 (TFOpLambda) writes {"function": "__operators__.add"} and the nodes
 * [["x", 0, 0, {"y": 3.0, "name": null}]], or ["_CONSTANT_VALUE", -1, 3.0, {"y": ["x", 0, 0]}] if
 * the number comes first. */
#include "keras/operations.h"

#include <string.h>

#include "base/error.h"
#include "keras/fields.h"
#include "keras/patterns.h"

enum meaning { ADD, SUBTRACT, MULTIPLY, DIVIDE, MAXIMUM, MINIMUM, ACTIVATE };

static const struct operation {
    const char *names; /* Keras 3's class | Keras 2's functions, as a pattern */
    enum meaning meaning;
    enum ft_activation activation;
} operations[] = {
    { "Add|__operators__.add|math.add", ADD, 0 },
    { "Subtract|__operators__.sub|math.subtract", SUBTRACT, 0 },
    { "Multiply|__operators__.mul|math.multiply", MULTIPLY, 0 },
    { "Divide|TrueDivide|__operators__.truediv|math.truediv|math.divide", DIVIDE, 0 },
    { "Maximum|math.maximum", MAXIMUM, 0 },
    { "Minimum|math.minimum", MINIMUM, 0 },
    { "Relu|nn.relu", ACTIVATE, FT_ACT_RELU },
    { "Relu6|nn.relu6", ACTIVATE, FT_ACT_RELU6 },
    { "Sigmoid|math.sigmoid|nn.sigmoid", ACTIVATE, FT_ACT_SIGMOID },
    { "Silu|nn.silu|nn.swish", ACTIVATE, FT_ACT_SWISH },
    { "HardSigmoid", ACTIVATE, FT_ACT_HARD_SIGMOID },
    { "HardSilu", ACTIVATE, FT_ACT_HARD_SWISH },
    { "Tanh|math.tanh", ACTIVATE, FT_ACT_TANH },
    { "Softplus|math.softplus", ACTIVATE, FT_ACT_SOFTPLUS },
};

struct operand {
    bool number;
    double value;
};

/* A layer with a number among its arguments is an operation, whatever its module. */
static bool takes_number(const cJSON *nodes)
{
    const cJSON *args = ft_field(nodes ? nodes->child : NULL, "args");
    for (const cJSON *item = args ? args->child : NULL; item; item = item->next)
        if (cJSON_IsNumber(item))
            return true;
    return false;
}

bool ft_is_operation(const cJSON *entry)
{
    const char *kind = cJSON_GetStringValue(ft_field(entry, "class_name")),
               *module = cJSON_GetStringValue(ft_field(entry, "module"));
    return takes_number(ft_field(entry, "inbound_nodes")) ||
           (kind && (!strcmp(kind, "TFOpLambda") || !strcmp(kind, "SlicingOpLambda"))) ||
           (module && strstr(module, ".ops."));
}

/* ["name", node, tensor, {"y": operand}] */
static void add_keras2(const cJSON *node, struct operand *operands, int *n)
{
    const cJSON *index = node->child->next, *value = index ? index->next : NULL,
                *more = value ? value->next : NULL;
    const bool number = cJSON_IsNumber(index) && index->valuedouble == -1 && cJSON_IsNumber(value);
    operands[(*n)++] = (struct operand){ number, number ? value->valuedouble : 0 };
    const cJSON *second = ft_field(more, "y");
    if (second)
        operands[(*n)++] = (struct operand){ cJSON_IsNumber(second), second->valuedouble };
}

static int add_keras3(const cJSON *values, struct operand *operands, int n)
{
    for (const cJSON *item = values ? values->child : NULL; item && n < 2; item = item->next)
        if (cJSON_IsNumber(item) || cJSON_IsObject(item))
            operands[n++] = (struct operand){ cJSON_IsNumber(item), item->valuedouble };
    return n;
}

/* The operands of a call, in order. Returns their number, at most 2. */
static int find_operands(const cJSON *node, struct operand operands[2])
{
    int n = 0;
    while (cJSON_IsArray(node) && cJSON_IsArray(node->child))
        node = node->child;
    if (cJSON_IsArray(node) && cJSON_IsString(node->child))
        add_keras2(node, operands, &n);
    else if (cJSON_IsObject(node))
        n = add_keras3(ft_field(node, "kwargs"), operands,
                       add_keras3(ft_field(node, "args"), operands, 0));
    return n;
}

/* x * scale + offset */
static int set_rescaling(struct ft_draft_layer *out, double scale, double offset,
                         struct ft_error *err)
{
    return ft_draft_rescaling(out, (float)scale, (float)offset) ? ft_error_nomem(err, "a constant")
                                                                : 0;
}

static int with_number(const struct operation *o, const struct operand *operands,
                       struct ft_draft_layer *out, struct ft_error *err)
{
    const bool first = operands[0].number;
    const double v = operands[first ? 0 : 1].value;
    switch (o->meaning) {
    case ADD:
        return set_rescaling(out, 1, v, err);
    case SUBTRACT:
        return first ? set_rescaling(out, -1, v, err) : set_rescaling(out, 1, -v, err);
    case MULTIPLY:
        return set_rescaling(out, v, 0, err);
    case DIVIDE:
        if (!first && v != 0)
            return set_rescaling(out, 1 / v, 0, err);
        break;
    default:
        break;
    }
    return ft_error_set(
        err, FT_EUNSUPPORTED,
        "this operation on a number (%g) is not supported: write it as a layer and save again", v);
}

int ft_operation_parse(const cJSON *entry, struct ft_draft_layer *out, struct ft_error *err)
{
    static const enum ft_layer_kind kinds[] = {
        [ADD] = FT_LAYER_ADD,           [SUBTRACT] = FT_LAYER_SUBTRACT,
        [MULTIPLY] = FT_LAYER_MULTIPLY, [MAXIMUM] = FT_LAYER_MAXIMUM,
        [MINIMUM] = FT_LAYER_MINIMUM,   [ACTIVATE] = FT_LAYER_ACTIVATION
    };
    const char *function = cJSON_GetStringValue(ft_field(ft_field(entry, "config"), "function"));
    const char *name = function ? function : cJSON_GetStringValue(ft_field(entry, "class_name"));
    struct operand operands[2] = { { 0 } };
    const struct operation *found = NULL;
    for (size_t i = 0; i < sizeof operations / sizeof *operations && !found; i++)
        if (ft_pattern_matches(operations[i].names, name, strlen(name)))
            found = &operations[i];
    if (!found)
        return ft_error_set(
            err, FT_EUNSUPPORTED,
            "the operation '%s' is not supported: write it as a layer and save again", name);
    out->operation = true;
    const int n = find_operands(out->node, operands);
    if (found->meaning == ACTIVATE) {
        out->layer.params.activation = found->activation;
        out->layer.params.alpha = 1;
    } else if (n == 2 && operands[0].number != operands[1].number) {
        return with_number(found, operands, out, err);
    } else if (n != 2 || operands[0].number || found->meaning == DIVIDE) {
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "the operation '%s' on these operands is not supported: write it as a "
                            "layer and save again",
                            name);
    }
    out->layer.kind = kinds[found->meaning];
    return 0;
}
