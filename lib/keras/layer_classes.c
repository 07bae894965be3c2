#include "keras/layer_classes.h"

#include <string.h>

#include "keras/axes.h"
#include "keras/patterns.h"

/* Searched in this order: "Activation" is the name of a row in two of the families. */
static const struct ft_layer_class *const families[] = {
    ft_shape_classes,  ft_window_classes,    ft_norm_classes,     ft_activation_classes,
    ft_merge_classes,  ft_attention_classes, ft_windows_classes,  ft_tokens_classes,
    ft_einsum_classes, ft_product_classes,   ft_inactive_classes,
};
#define N_FAMILIES (sizeof families / sizeof *families)

const struct ft_layer_class *ft_layer_class_find(const char *name)
{
    const char *package = strchr(name, '>');
    name = package ? package + 1 : name;
    for (size_t i = 0; i < N_FAMILIES; i++)
        for (const struct ft_layer_class *class = families[i]; class->name; class ++)
            if (!strcmp(class->name, name))
                return class;
    return NULL;
}

/* Of several rows of one kind, the first with a writer writes, unless one is for this activation.
 */
const struct ft_layer_class *ft_layer_class_of(const struct ft_layer *layer)
{
    const struct ft_layer_class *general = NULL;
    for (size_t i = 0; i < N_FAMILIES; i++)
        for (const struct ft_layer_class *class = families[i]; class->name; class ++) {
            if (class->kind != layer->kind || !class->write)
                continue;
            const bool special = class->activation || class->crop || class->positions;
            if (special && class->activation == layer->params.activation &&
                class->crop == layer->params.crop &&
                class->positions == (layer->weights[FT_W_POSITIONS].data != NULL))
                return class;
            general = general || special ? general : class;
        }
    return general;
}

static bool in_sublayer(const struct ft_layer_class *class)
{
    return class->weights[0] && strchr(class->weights[0], '/');
}

/* Start of the last `parts` parts of a path. */
static const char *last_parts(const char *path, int parts)
{
    const char *at = path + strlen(path);
    while (at > path && (at[-1] != '/' || --parts > 0))
        at--;
    return at;
}

int ft_layer_class_weight(const struct ft_layer_class *class, const char *name)
{
    const char *last = last_parts(name, in_sublayer(class) ? 2 : 1);
    const size_t length = strcspn(last, ":");
    for (int w = 0; w < FT_MAX_WEIGHTS && class->weights[w]; w++)
        if (ft_pattern_matches(class->weights[w], last, length))
            return w;
    return -1;
}

size_t ft_layer_class_path(const struct ft_layer_class *class, const char *weight)
{
    const char *last = last_parts(weight, in_sublayer(class) ? 2 : 1);
    return last > weight ? (size_t)(last - weight) - 1 : 0;
}

cJSON *ft_layer_config(const struct ft_layer *layer, const char *name)
{
    cJSON *config = cJSON_CreateObject();
    if (!config)
        return NULL;
    cJSON_AddStringToObject(config, "name", name);
    ft_layer_class_of(layer)->write(layer, config);
    if (layer->kind == FT_LAYER_IDENTITY)
        cJSON_AddStringToObject(config, "activation", "linear");
    return config;
}

int ft_build_axes(struct ft_build *b, int *last)
{
    return ft_axes_move(b, b->layer, last);
}

void ft_write_nothing(const struct ft_layer *layer, cJSON *config)
{
    (void)layer, (void)config;
}
