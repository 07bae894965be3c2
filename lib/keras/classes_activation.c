/* Classes that apply an activation. */
#include <math.h>

#include "base/error.h"
#include "keras/fields.h"
#include "keras/layer_classes.h"

/* "relu", a function as Keras 3 writes it, or a whole layer: {"class_name": "LeakyReLU", "config":
 * {...}}. */
int ft_parse_activation(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const cJSON *value = ft_field(config, "activation"),
                *settings = cJSON_IsObject(value) ? ft_field(value, "config") : NULL;
    const char *name = settings ? cJSON_GetStringValue(ft_field(value, "class_name")) : NULL;
    const struct ft_layer_class *class =
        name && cJSON_IsObject(settings) ? ft_layer_class_find(name) : NULL;
    if (class && class->kind == FT_LAYER_ACTIVATION && class->parse != ft_parse_activation)
        return class->parse(settings, out, err);
    struct ft_layer_params *p = &out->layer.params;
    p->alpha = 1;
    const int rc = ft_field_activation(config, &p->activation, err);
    if (!rc && p->activation == FT_ACT_LEAKY_RELU)
        p->alpha = 0.2f; /* the function's default; the layer's is 0.3 */
    return rc;
}

static void write_activation(const struct ft_layer *layer, cJSON *config)
{
    cJSON_AddStringToObject(config, "activation", ft_activation_name(layer->params.activation));
}

static int parse_alpha(const cJSON *config, const char *key, double alpha,
                       struct ft_draft_layer *out, struct ft_error *err)
{
    const int rc = ft_field_number(config, key, &alpha, err);
    out->layer.params.alpha = (float)alpha;
    return rc;
}

/* Keras 2 knows only "alpha"; Keras 3 accepts it for its "negative_slope". */
static void write_alpha(const struct ft_layer *layer, cJSON *config)
{
    ft_add_float(config, "alpha", layer->params.alpha);
}

static int parse_leaky_relu(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    out->layer.params.activation = FT_ACT_LEAKY_RELU;
    return parse_alpha(config, ft_field(config, "alpha") ? "alpha" : "negative_slope", 0.3, out,
                       err);
}

static int parse_elu(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    out->layer.params.activation = FT_ACT_ELU;
    return parse_alpha(config, "alpha", 1, out, err);
}

static int parse_prelu(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    (void)config, (void)err;
    out->needs = FT_NEEDS(FT_W_ALPHA);
    return 0;
}

/* Keras calls the axes shared along which alpha has length 1. */
static void write_prelu(const struct ft_layer *layer, cJSON *config)
{
    const struct ft_tensor *t = &layer->weights[FT_W_ALPHA];
    cJSON *shared = NULL;
    for (int i = 0; i < t->rank && t->rank > 1; i++)
        if (t->shape[i] == 1) {
            shared = shared ? shared : cJSON_AddArrayToObject(config, "shared_axes");
            cJSON_AddItemToArray(shared, cJSON_CreateNumber(i + 1));
        }
}

static int parse_relu(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    struct ft_layer_params *p = &out->layer.params;
    double most = INFINITY, threshold = 0;
    int rc = parse_alpha(config, "negative_slope", 0, out, err);
    if (!rc)
        rc = ft_field_number(config, "threshold", &threshold, err);
    if (!rc)
        rc = ft_field_number(config, "max_value", &most, err);
    p->most = (float)most;
    p->threshold = (float)threshold;
    p->activation = FT_ACT_RELU_SHAPED;
    if (p->alpha == 0 && threshold == 0 && (most == 6 || most == INFINITY))
        p->activation = most == 6 ? FT_ACT_RELU6 : FT_ACT_RELU;
    else if (threshold == 0 && most == INFINITY)
        p->activation = FT_ACT_LEAKY_RELU;
    return rc;
}

static void write_relu(const struct ft_layer *layer, cJSON *config)
{
    const struct ft_layer_params *p = &layer->params;
    if (!isinf(p->most))
        ft_add_float(config, "max_value", p->most);
    if (p->alpha != 0)
        ft_add_float(config, "negative_slope", p->alpha);
    if (p->threshold != 0)
        ft_add_float(config, "threshold", p->threshold);
}

static void write_relu6(const struct ft_layer *layer, cJSON *config)
{
    (void)layer;
    cJSON_AddItemToObject(config, "max_value", ft_json_float(6));
}

static int parse_softmax(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    out->layer.params.activation = FT_ACT_SOFTMAX;
    return ft_field_axis(config, &out->axis, err);
}

/* Not a layer, but an operation; its exponent is an argument of the call (write.c). */
static void write_power(const struct ft_layer *layer, cJSON *config)
{
    (void)layer, (void)config;
}

const struct ft_layer_class ft_activation_classes[] = {
    { "PReLU", FT_LAYER_PRELU, parse_prelu, write_prelu, .weights = { "alpha" } },
    { "Activation", FT_LAYER_ACTIVATION, ft_parse_activation, .write = write_activation },
    { "ReLU", FT_LAYER_ACTIVATION, parse_relu, write_relu6, .activation = FT_ACT_RELU6 },
    { "ReLU", FT_LAYER_ACTIVATION, parse_relu, write_relu, .activation = FT_ACT_RELU_SHAPED },
    { "LeakyReLU", FT_LAYER_ACTIVATION, parse_leaky_relu, write_alpha,
      .activation = FT_ACT_LEAKY_RELU },
    { "ELU", FT_LAYER_ACTIVATION, parse_elu, write_alpha, .activation = FT_ACT_ELU },
    { "Power", FT_LAYER_ACTIVATION, .write = write_power, .activation = FT_ACT_POWER },
    { "Softmax", FT_LAYER_ACTIVATION, .parse = parse_softmax, .build = ft_build_axes },
    { 0 },
};
