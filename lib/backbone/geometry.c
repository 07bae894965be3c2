/* The `input` object of a model file: {"width", "height", "resize", "filter", "crop",
 * "icc"}, the last only if true. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "backbone/backbone.h"

static const char *const rules[] = {
    [FT_RESIZE_CROP] = "crop", [FT_RESIZE_SQUASH] = "squash", [FT_RESIZE_PAD] = "pad"
};
static const char *const filters[] = {
    [FT_FILTER_BILINEAR] = "bilinear", [FT_FILTER_BICUBIC] = "bicubic"
};

/* The index of `word` among n words, or -1. */
static int find(const char *word, const char *const *words, int n)
{
    for (int i = 0; i < n; i++)
        if (word && !strcmp(word, words[i]))
            return i;
    return -1;
}

int ft_geometry_read(const cJSON *json, int width, int height, const char *rule,
                     struct ft_geometry *out, struct ft_error *err)
{
    struct ft_geometry g = { .width = width,
                             .height = height,
                             .rule = out->rule,
                             .filter = out->filter,
                             .crop = out->crop,
                             .icc = out->icc };
    const cJSON *resize = cJSON_GetObjectItemCaseSensitive(json, "resize"),
                *filter = cJSON_GetObjectItemCaseSensitive(json, "filter");
    const cJSON *crop = cJSON_GetObjectItemCaseSensitive(json, "crop");
    const char *wanted = rule ? rule : cJSON_GetStringValue(resize);
    if (wanted) {
        const int found = find(wanted, rules, 3);
        if (found < 0)
            return ft_error_set(err, FT_EFORMAT,
                                "resize rule '%s' is not known: use crop, squash or pad", wanted);
        g.rule = (enum ft_resize_rule)found;
    }
    if (filter) {
        const int found = find(cJSON_GetStringValue(filter), filters, 2);
        if (found < 0)
            return ft_error_set(err, FT_EFORMAT,
                                "resize filter is neither 'bilinear' nor 'bicubic'");
        g.filter = (enum ft_resize_filter)found;
    }
    if (crop) {
        if (!cJSON_IsNumber(crop) || !(crop->valuedouble > 0.01 && crop->valuedouble <= 1))
            return ft_error_set(err, FT_EFORMAT, "'crop' of the input is not a number in (0, 1]");
        g.crop = crop->valuedouble;
    }
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "icc")))
        g.icc = true;
    *out = g;
    return 0;
}

cJSON *ft_geometry_write(const struct ft_geometry *g)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "width", g->width);
    cJSON_AddNumberToObject(json, "height", g->height);
    cJSON_AddStringToObject(json, "resize", rules[g->rule]);
    cJSON_AddNumberToObject(json, "crop", g->crop);
    cJSON_AddStringToObject(json, "filter", filters[g->filter]);
    if (g->icc)
        cJSON_AddBoolToObject(json, "icc", true);
    return json;
}
