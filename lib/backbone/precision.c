/* The precision of a network's products: its name, in an option and in a file's attribute. */
#include <string.h>

#include "backbone/backbone.h"
#include "base/error.h"

static const char *const precisions[FT_PRECISIONS] = { "f32", "bf16" };

const char *ft_precision_name(enum ft_precision precision)
{
    return precisions[precision];
}

const char *ft_precision_read(const cJSON *json)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(json, "backbone"), "precision"));
}

void ft_precision_write(const struct ft_backbone *backbone, cJSON *object)
{
    const enum ft_precision precision = ft_backbone_precision(backbone);
    if (precision != FT_PRECISION_F32)
        cJSON_AddStringToObject(object, "precision", precisions[precision]);
}

int ft_precision_choose(const char *wanted, const cJSON *json, enum ft_precision *out,
                        struct ft_error *err)
{
    const char *name = wanted ? wanted : ft_precision_read(json);
    for (int i = 0; i < FT_PRECISIONS; i++)
        if (!strcmp(name ? name : precisions[FT_PRECISION_F32], precisions[i])) {
            *out = (enum ft_precision)i;
            return 0;
        }
    return ft_error_set(err, wanted ? FT_EARG : FT_EUNSUPPORTED,
                        "the precision '%.40s' is not supported: use f32 or bf16", name);
}

enum ft_precision ft_backbone_precision(const struct ft_backbone *b)
{
    return ft_plan_precision(b->plan);
}
