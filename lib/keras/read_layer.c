#include "keras/read_layer.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "keras/fields.h"
#include "keras/layer_classes.h"
#include "keras/operations.h"

/* Layers whose weights are numbers with a scale (model.quantize). `name` is a dtype or a policy:
 * "float32", "mixed_bfloat16", "int8_from_float32". An input may be of any type: pixels are 0 to
 * 255 in all of them. */
static int check_dtype(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const cJSON *dtype = ft_field(config, "dtype"), *policy = ft_field(dtype, "config");
    const char *name = cJSON_IsObject(dtype) ? cJSON_GetStringValue(ft_field(policy, "name"))
                                             : cJSON_GetStringValue(dtype);
    const char *mode = cJSON_GetStringValue(ft_field(policy, "mode"));
    if (out->layer.kind == FT_LAYER_INPUT || !dtype)
        return 0;
    if (!name && !mode) {
        const char *class = cJSON_GetStringValue(ft_field(dtype, "class_name"));
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "its dtype policy '%s' has no name: expected one such as 'float32', "
                            "'mixed_float16' or 'int8_from_float32'",
                            class ? class : "of no class");
    }
    name = mode ? mode : name;
    const bool quantized = mode || (name && strstr(name, "_from_"));
    if (quantized)
        out->quantized = !strncmp(name, "int8", 4)     ? FT_QUANTIZED_INT8
                         : !strncmp(name, "float8", 6) ? FT_QUANTIZED_FLOAT8
                                                       : FT_QUANTIZED_NOT;
    if (quantized && !out->quantized)
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "weights quantized by '%s' are not supported: only int8 and float8 are",
                            name);
    if (!quantized && name && (strstr(name, "int") || strstr(name, "float8")))
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "dtype '%s' is not supported: only floating point is", name);
    return 0;
}

int ft_draft_layer_parse(const struct ft_member *member, const cJSON *node,
                         struct ft_draft_layer *out, struct ft_error *err)
{
    ft_draft_layer_init(out);
    out->config = ft_field(member->entry, "config");
    out->node = node;
    out->layer.name = ft_strdup(member->name);
    if (!out->layer.name)
        return ft_error_nomem(err, "the names of layers");
    const struct ft_layer_class *class = ft_layer_class_find(member->kind);
    int rc;
    if (ft_is_operation(member->entry)) {
        rc = ft_operation_parse(member->entry, out, err);
    } else if (class) {
        out->class = class;
        out->layer.kind = class->kind;
        rc = check_dtype(out->config, out, err);
        if (!rc && class->parse)
            rc = class->parse(out->config, out, err);
    } else
        rc = ft_error_set(err, FT_EUNSUPPORTED, "layers of class '%s' are not supported",
                          member->kind);
    return rc ? ft_error_prefix(err, rc, "layer '%s'", member->name) : 0;
}

/* The shape of the input of a model without an input layer: a setting of its first layer, or of the
 * first layer of a model inside it. */
static const cJSON *implied_shape(const struct ft_model_config *m)
{
    const cJSON *shape = ft_field(m->config, "build_input_shape");
    if (shape)
        return shape;
    for (;;) {
        const struct ft_member *first = &m->members[0];
        for (int i = 0; !m->sequential && i < m->n && strcmp(first->kind, "InputLayer"); i++)
            first = &m->members[i];
        const cJSON *config = ft_field(first->entry, "config");
        shape = ft_field(config, "batch_shape");
        shape = shape ? shape : ft_field(config, "batch_input_shape");
        shape = shape ? shape : ft_field(config, "build_input_shape");
        if (shape || !first->inner)
            return shape;
        m = first->inner;
    }
}

int ft_draft_layer_input(const struct ft_model_config *m, struct ft_draft_layer *out,
                         struct ft_error *err)
{
    const char *name = m->members[0].name;
    const cJSON *shape = implied_shape(m);
    cJSON *config = cJSON_CreateObject();
    ft_draft_layer_init(out);
    out->layer.kind = FT_LAYER_INPUT;
    out->layer.name = malloc(strlen(name) + sizeof "_input");
    if (!out->layer.name || !config ||
        (shape &&
         !cJSON_AddItemReferenceToObject(config, "batch_input_shape", (cJSON *)(uintptr_t)shape))) {
        cJSON_Delete(config);
        return ft_error_nomem(err, "the names of layers");
    }
    strcpy(out->layer.name, name);
    strcat(out->layer.name, "_input");
    const int rc = ft_layer_class_find("InputLayer")->parse(config, out, err);
    cJSON_Delete(config);
    return rc ? ft_error_prefix(err, rc, "layer '%s'", name) : 0;
}
