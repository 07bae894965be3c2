/* The precision of a network's products: its name, in an option and in a file's attribute. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backbone/backbone.h"
#include "base/error.h"
#include "base/memory.h"

static const char *const precisions[FT_PRECISIONS] = { "f32", "bf16", "int8" };

const char *ft_precision_name(enum ft_precision precision)
{
    return precisions[precision];
}

const char *ft_precision_read(const cJSON *json)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(json, "backbone"), "precision"));
}

/* Ranges have four digits (graph/calibrate.c). */
static cJSON *number(float x)
{
    char text[32];
    snprintf(text, sizeof text, "%.4g", (double)x);
    return cJSON_CreateNumber(strtod(text, NULL));
}

void ft_ranges_write(const struct ft_ranges *ranges, cJSON *backbone)
{
    cJSON *list = cJSON_AddArrayToObject(backbone, "ranges");
    for (int i = 0; list && i < ranges->n; i++) {
        cJSON *one = cJSON_CreateArray();
        cJSON_AddItemToArray(one, cJSON_CreateString(ranges->range[i].layer));
        cJSON_AddItemToArray(one, number(ranges->range[i].lo));
        cJSON_AddItemToArray(one, number(ranges->range[i].hi));
        if (ranges->range[i].balance) {
            cJSON_AddItemToArray(one, cJSON_CreateString(ranges->range[i].balance));
            cJSON_AddItemToArray(one, number(ranges->range[i].even_lo));
            cJSON_AddItemToArray(one, number(ranges->range[i].even_hi));
        }
        cJSON_AddItemToArray(list, one);
    }
}

static bool read_numbers(const cJSON *one, int at, float *lo, float *hi)
{
    const cJSON *a = cJSON_GetArrayItem(one, at), *b = cJSON_GetArrayItem(one, at + 1);
    if (!cJSON_IsNumber(a) || !cJSON_IsNumber(b) || !(a->valuedouble >= -1e30) ||
        !(b->valuedouble <= 1e30))
        return false;
    *lo = (float)a->valuedouble;
    *hi = (float)b->valuedouble;
    return true;
}

static int read_range(const cJSON *one, struct ft_range *out, struct ft_error *err)
{
    enum { PLAIN = 3, BALANCED = 6 };
    const char *layer = cJSON_GetStringValue(cJSON_GetArrayItem(one, 0)),
               *balance = cJSON_GetStringValue(cJSON_GetArrayItem(one, PLAIN));
    const int n = cJSON_GetArraySize(one);
    if (!layer || !read_numbers(one, 1, &out->lo, &out->hi) ||
        (n != PLAIN && (n != BALANCED || !balance ||
                        !read_numbers(one, PLAIN + 1, &out->even_lo, &out->even_hi))))
        return ft_error_set(err, FT_EFORMAT,
                            "its attribute 'finetune' has a range that is no layer and two numbers "
                            "(and a balance and two more)");
    out->layer = ft_strdup(layer);
    out->balance = balance ? ft_strdup(balance) : NULL;
    return out->layer && (out->balance || !balance)
               ? 0
               : ft_error_nomem(err, "the ranges of a network");
}

int ft_ranges_read(const cJSON *json, struct ft_ranges *out, struct ft_error *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(json, "backbone"), "ranges");
    const int n = cJSON_GetArraySize(list);
    struct ft_ranges r = { .range = ft_alloc_zero((size_t)n + 1, sizeof *r.range) };
    int rc = r.range ? 0 : ft_error_nomem(err, "the ranges of a network");
    for (const cJSON *one = list ? list->child : NULL; !rc && one; one = one->next) {
        rc = read_range(one, &r.range[r.n++], err);
    }
    if (!rc && !n)
        rc = ft_error_set(err, FT_EARG,
                          "int8 needs the ranges of activations, which are measured when a model "
                          "is trained: finetune train --precision int8");
    if (rc)
        ft_ranges_release(&r);
    else
        *out = r;
    return rc;
}

void ft_precision_write(const struct ft_backbone *backbone, cJSON *object)
{
    const enum ft_precision precision = ft_backbone_precision(backbone);
    if (precision != FT_PRECISION_F32)
        cJSON_AddStringToObject(object, "precision", precisions[precision]);
    if (precision == FT_PRECISION_INT8)
        ft_ranges_write(&backbone->ranges, object);
}

int ft_precision_choose(const char *wanted, const cJSON *json, enum ft_precision *out,
                        struct ft_ranges *ranges, struct ft_error *err)
{
    const char *name = wanted ? wanted : ft_precision_read(json);
    for (int i = 0; i < FT_PRECISIONS; i++)
        if (!strcmp(name ? name : precisions[FT_PRECISION_F32], precisions[i])) {
            const int rc = i == FT_PRECISION_INT8 ? ft_ranges_read(json, ranges, err) : 0;
            if (!rc)
                *out = (enum ft_precision)i;
            return rc;
        }
    return ft_error_set(err, wanted ? FT_EARG : FT_EUNSUPPORTED,
                        "the precision '%.40s' is not supported: use f32, bf16 or int8", name);
}

bool ft_backbone_portable(const struct ft_backbone *b)
{
    return ft_plan_portable(b->plan);
}

enum ft_precision ft_backbone_precision(const struct ft_backbone *b)
{
    return ft_plan_precision(b->plan);
}
