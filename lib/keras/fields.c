#include "keras/fields.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "network/kinds.h"

const cJSON *ft_field(const cJSON *config, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(config, key);
    return cJSON_IsNull(value) ? NULL : value;
}

static int wrong(const char *key, struct ft_error *err)
{
    return ft_error_set(err, FT_EFORMAT, "setting '%s' has an unexpected value", key);
}

static bool whole(const cJSON *value, int least, int *out)
{
    if (!cJSON_IsNumber(value) || value->valuedouble != floor(value->valuedouble) ||
        value->valuedouble < least || value->valuedouble > 1 << 24)
        return false;
    *out = (int)value->valuedouble;
    return true;
}

int ft_field_int(const cJSON *config, const char *key, int least, int *out, struct ft_error *err)
{
    const cJSON *value = ft_field(config, key);
    return !value || whole(value, least, out) ? 0 : wrong(key, err);
}

int ft_field_pair(const cJSON *config, const char *key, int least, int out[2], struct ft_error *err)
{
    const cJSON *value = ft_field(config, key);
    int pair[2];
    if (!value)
        return 0;
    if (whole(value, least, &pair[0]))
        pair[1] = pair[0];
    else if (!cJSON_IsArray(value) || cJSON_GetArraySize(value) != 2 ||
             !whole(value->child, least, &pair[0]) || !whole(value->child->next, least, &pair[1]))
        return wrong(key, err);
    memcpy(out, pair, sizeof pair);
    return 0;
}

int ft_field_bool(const cJSON *config, const char *key, bool *out, struct ft_error *err)
{
    const cJSON *value = ft_field(config, key);
    if (!value)
        return 0;
    if (!cJSON_IsBool(value))
        return wrong(key, err);
    *out = cJSON_IsTrue(value);
    return 0;
}

int ft_field_number(const cJSON *config, const char *key, double *out, struct ft_error *err)
{
    const cJSON *value = ft_field(config, key);
    if (!value)
        return 0;
    if (!cJSON_IsNumber(value) || !isfinite(value->valuedouble))
        return wrong(key, err);
    *out = value->valuedouble;
    return 0;
}

int ft_field_padding(const cJSON *config, enum ft_padding *out, struct ft_error *err)
{
    const cJSON *value = ft_field(config, "padding");
    if (!value)
        return 0;
    if (!cJSON_IsString(value))
        return wrong("padding", err);
    if (!strcmp(value->valuestring, "same"))
        *out = FT_PAD_SAME;
    else if (!strcmp(value->valuestring, "valid"))
        *out = FT_PAD_VALID;
    else
        return ft_error_set(err, FT_EUNSUPPORTED, "padding '%s' is not supported",
                            value->valuestring);
    return 0;
}

/* "relu", or what Keras 3 writes for a function or a layer: {"class_name": "function", "config":
 * "relu"}, {"class_name": "ReLU"}. */
static const char *activation_text(const cJSON *value)
{
    if (cJSON_IsObject(value)) {
        const cJSON *config = ft_field(value, "config");
        value = cJSON_IsString(config) ? config : ft_field(value, "class_name");
    }
    return cJSON_IsString(value) ? value->valuestring : NULL;
}

int ft_field_activation(const cJSON *config, enum ft_activation *out, struct ft_error *err)
{
    const cJSON *value = ft_field(config, "activation");
    if (!value)
        return 0;
    const char *text = activation_text(value);
    if (!text)
        return wrong("activation", err);
    if (!strcmp(text, "silu"))
        text = "swish";
    if (!strcmp(text, "hard_silu"))
        text = "hard_swish";
    for (int i = 0; i < FT_ACTIVATIONS; i++)
        if (!strcmp(text, ft_activation_name((enum ft_activation)i))) {
            *out = (enum ft_activation)i;
            return 0;
        }
    return ft_error_set(
        err, FT_EUNSUPPORTED,
        "activation '%s' is not supported: put one of Keras's usual ones in its place", text);
}

int ft_field_axes(const cJSON *config, int *out, int *n, struct ft_error *err)
{
    const cJSON *value = ft_field(config, "axis");
    int axis = -1, next;
    if (cJSON_IsObject(value)) /* {"class_name": "ListWrapper", "items": [3]} and its kind */
        for (const cJSON *item = value->child; item; item = item->next)
            if (cJSON_IsArray(item)) {
                value = item;
                break;
            }
    const cJSON *first = cJSON_IsArray(value) ? value->child : value;
    if (first && !whole(first, -8, &axis))
        return wrong("axis", err);
    *n = 1;
    for (const cJSON *item = cJSON_IsArray(value) && first ? first->next : NULL; item;
         item = item->next, ++*n)
        if (!whole(item, -8, &next) || next != axis + *n)
            return ft_error_set(err, FT_EUNSUPPORTED,
                                "axes that do not follow one another are not supported");
    *out = axis;
    return 0;
}

int ft_field_axis(const cJSON *config, int *out, struct ft_error *err)
{
    int n, rc = ft_field_axes(config, out, &n, err);
    if (!rc && n > 1)
        rc = ft_error_set(err, FT_EUNSUPPORTED,
                          "several axes at once are not supported: only the last (channels) is");
    return rc;
}

int ft_field_channels_last(const cJSON *config, struct ft_error *err)
{
    const cJSON *value = ft_field(config, "data_format");
    if (!value || (cJSON_IsString(value) && !strcmp(value->valuestring, "channels_last")))
        return 0;
    return ft_error_set(err, FT_EUNSUPPORTED,
                        "data_format '%s' is not supported: only channels_last is",
                        cJSON_IsString(value) ? value->valuestring : "?");
}

cJSON *ft_json_float(float value)
{
    char text[40];
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    if (!strpbrk(text, ".en"))
        strcat(text, ".0");
    return cJSON_CreateRaw(text);
}

void ft_add_float(cJSON *config, const char *key, float value)
{
    cJSON_AddItemToObject(config, key, ft_json_float(value));
}

void ft_add_ints(cJSON *config, const char *key, const int *values, int n)
{
    cJSON_AddItemToObject(config, key, cJSON_CreateIntArray(values, n));
}

void ft_add_activation(cJSON *config, enum ft_activation activation)
{
    if (activation != FT_ACT_LINEAR)
        cJSON_AddStringToObject(config, "activation", ft_activation_name(activation));
}

cJSON *ft_make_reference(const char *name)
{
    cJSON *list = cJSON_CreateArray();
    cJSON_AddItemToArray(list, cJSON_CreateString(name));
    cJSON_AddItemToArray(list, cJSON_CreateNumber(0));
    cJSON_AddItemToArray(list, cJSON_CreateNumber(0));
    return list;
}
