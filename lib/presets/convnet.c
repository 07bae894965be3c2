#include "presets/convnet.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

enum { NAME = FT_CONVNET_NAME, PATH = 2 * NAME };

/* ---- settings -------------------------------------------------------------------------------- */

int ft_convnet_count(const cJSON *list)
{
    return cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
}

static bool in_range(const cJSON *item, int least)
{
    return item && cJSON_IsNumber(item) && item->valuedouble >= least &&
           item->valuedouble <= 1 << 16;
}

int ft_convnet_item(struct ft_convnet *x, const cJSON *list, int i, int least)
{
    const cJSON *item = cJSON_IsArray(list) ? cJSON_GetArrayItem(list, i) : NULL;
    if (in_range(item, least))
        return (int)item->valuedouble;
    ft_build_fail(x->b, FT_EFORMAT, "item %d of '%s' in 'config.json' is not valid", i,
                  list && list->string ? list->string : "a list");
    return 0;
}

const cJSON *ft_convnet_list(struct ft_convnet *x, const char *key)
{
    const cJSON *list = ft_field(x->config, key);
    if (!cJSON_IsArray(list) || !ft_convnet_count(list))
        ft_build_fail(x->b, FT_EFORMAT, "'config.json' has no list '%s'", key);
    return cJSON_IsArray(list) ? list : NULL;
}

const cJSON *ft_convnet_cell(struct ft_convnet *x, const char *key, int row, int i)
{
    return cJSON_GetArrayItem(cJSON_GetArrayItem(ft_convnet_list(x, key), row), i);
}

int ft_convnet_cell_int(struct ft_convnet *x, const char *key, int row, int i, int least)
{
    const cJSON *item = ft_convnet_cell(x, key, row, i);
    if (in_range(item, least))
        return (int)item->valuedouble;
    ft_build_fail(x->b, FT_EFORMAT, "item %d of row %d of '%s' in 'config.json' is not valid", i,
                  row, key);
    return 0;
}

double ft_convnet_number(struct ft_convnet *x, const cJSON *value, double otherwise)
{
    if (!value || cJSON_IsNull(value))
        return otherwise;
    if (cJSON_IsNumber(value) && value->valuedouble >= 0 && value->valuedouble <= 1 << 16)
        return value->valuedouble;
    ft_build_fail(x->b, FT_EFORMAT, "'%s' in 'config.json' is not valid",
                  value->string ? value->string : "a number");
    return otherwise;
}

bool ft_convnet_bool(struct ft_convnet *x, const char *key, bool otherwise)
{
    const int rc = ft_field_bool(x->config, key, &otherwise, x->b->err);
    x->b->rc = x->b->rc ? x->b->rc : rc;
    return otherwise;
}

enum ft_activation ft_convnet_activation(struct ft_convnet *x, const cJSON *value)
{
    static const struct {
        const char *name;
        enum ft_activation activation;
    } names[] = {
        { "relu", FT_ACT_RELU },       { "relu6", FT_ACT_RELU6 },
        { "swish", FT_ACT_SWISH },     { "silu", FT_ACT_SWISH },
        { "sigmoid", FT_ACT_SIGMOID }, { "hard_swish", FT_ACT_HARD_SWISH },
        { "gelu", FT_ACT_GELU },       { "hard_silu", FT_ACT_HARD_SWISH },
        { "linear", FT_ACT_LINEAR },
    };
    const char *name = cJSON_GetStringValue(value);
    if (!value || cJSON_IsNull(value))
        return FT_ACT_LINEAR;
    for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i].name, name))
            return names[i].activation;
    ft_build_fail(x->b, FT_EUNSUPPORTED, "the activation '%.60s' is not supported",
                  name ? name : "in 'config.json'");
    return FT_ACT_LINEAR;
}

/* ---- layers ---------------------------------------------------------------------------------- */

void ft_convnet_prefix(struct ft_convnet *x, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(x->prefix, sizeof x->prefix, format, arguments);
    va_end(arguments);
}

int ft_convnet_merge(struct ft_convnet *x, enum ft_layer_kind kind, const char *name,
                     const int *inputs, int n)
{
    char whole[PATH];
    snprintf(whole, sizeof whole, "%s%s", x->prefix, name);
    const int at = ft_build_layer(x->b, kind, whole, inputs, n);
    while (!x->b->rc && x->capacity <= (size_t)at) {
        const size_t before = x->capacity;
        if (!ft_grow((void **)&x->places, &x->capacity, x->capacity, sizeof *x->places))
            x->b->rc = ft_error_nomem(x->b->err, "layers");
        else
            memset(x->places + before, 0, (x->capacity - before) * sizeof *x->places);
    }
    if (!x->b->rc && *x->block &&
        snprintf(x->places[at].group, NAME, "%s/%s", x->block, name) >= NAME)
        ft_build_fail(x->b, FT_EFORMAT, "a name in the preset is too long");
    return x->b->rc ? 0 : at;
}

int ft_convnet_one(struct ft_convnet *x, enum ft_layer_kind kind, const char *name, int input)
{
    return ft_convnet_merge(x, kind, name, &input, 1);
}

int ft_convnet_two(struct ft_convnet *x, enum ft_layer_kind kind, const char *name, int first,
                   int second)
{
    return ft_convnet_merge(x, kind, name, (int[]){ first, second }, 2);
}

int ft_convnet_window(struct ft_convnet *x, enum ft_layer_kind kind, const char *name, int input,
                      int kernel, int stride, bool same)
{
    const int at = ft_convnet_one(x, kind, name, input);
    if (x->b->rc)
        return 0;
    struct ft_layer_params *p = &ft_build_at(x->b, at)->params;
    p->kernel[0] = p->kernel[1] = kernel;
    p->stride[0] = p->stride[1] = stride;
    p->padding = same ? FT_PAD_SAME : FT_PAD_VALID;
    return at;
}

int ft_convnet_conv(struct ft_convnet *x, const char *name, int input, int filters, int kernel,
                    int stride, bool same)
{
    const int at = ft_convnet_window(x, FT_LAYER_CONV2D, name, input, kernel, stride, same);
    if (!x->b->rc)
        ft_build_at(x->b, at)->params.filters = filters;
    return at;
}

int ft_convnet_norm(struct ft_convnet *x, const char *name, int input)
{
    const int at = ft_convnet_one(x, FT_LAYER_BATCH_NORM, name, input);
    if (!x->b->rc)
        ft_build_at(x->b, at)->params.epsilon = (float)x->epsilon;
    return at;
}

static int activate(struct ft_convnet *x, const char *name, int input,
                    enum ft_activation activation)
{
    const int at = ft_convnet_one(x, FT_LAYER_ACTIVATION, name, input);
    if (!x->b->rc)
        ft_build_at(x->b, at)->params.activation = activation;
    return at;
}

/* clip(x / 6 + 1 / 2, 0, 1). Keras 2 calls another function by its name. */
static int hard_sigmoid(struct ft_convnet *x, const char *scaled, const char *clipped, int input)
{
    int at = ft_convnet_one(x, FT_LAYER_RESCALING, scaled, input);
    float *scale = ft_build_weight(x->b, at, FT_W_SCALE, 1, (int64_t[]){ 1 }),
          *offset = ft_build_weight(x->b, at, FT_W_OFFSET, 1, (int64_t[]){ 1 });
    if (!scale || !offset)
        return 0;
    *scale = 1.0f / 6;
    *offset = 0.5f;
    at = activate(x, clipped, at, FT_ACT_RELU_SHAPED);
    if (!x->b->rc)
        ft_build_at(x->b, at)->params.most = 1;
    return at;
}

int ft_convnet_activate(struct ft_convnet *x, const char *name, int input,
                        enum ft_activation activation)
{
    char scaled[NAME], clipped[NAME];
    snprintf(scaled, sizeof scaled, "%.100s_scaled", name);
    snprintf(clipped, sizeof clipped, "%.100s_clipped", name);
    if (activation == FT_ACT_HARD_SIGMOID)
        return hard_sigmoid(x, scaled, name, input);
    if (activation != FT_ACT_HARD_SWISH)
        return activate(x, name, input, activation);
    return ft_convnet_two(x, FT_LAYER_MULTIPLY, name, input,
                          hard_sigmoid(x, scaled, clipped, input));
}

int ft_convnet_max_pool(struct ft_convnet *x, const char *name, int input)
{
    char of[NAME];
    snprintf(of, sizeof of, "%.100s_stride", name);
    const int at = ft_convnet_window(x, FT_LAYER_MAX_POOL, name, input, 3, 1, true);
    return ft_convnet_window(x, FT_LAYER_MAX_POOL, of, at, 1, 2, false);
}

int ft_convnet_pad(struct ft_convnet *x, const char *name, int input, int pixels)
{
    const int at = ft_convnet_one(x, FT_LAYER_ZERO_PAD, name, input);
    for (int i = 0; !x->b->rc && i < 4; i++)
        ft_build_at(x->b, at)->params.pad[i] = pixels;
    return at;
}

int ft_convnet_excite(struct ft_convnet *x, int input, const char *reduce, const char *expand,
                      int squeezed, int channels, enum ft_activation inner, enum ft_activation gate)
{
    int at = ft_convnet_one(x, FT_LAYER_GLOBAL_AVERAGE_POOL, "se_squeeze", input);
    if (!x->b->rc)
        ft_build_at(x->b, at)->params.keep_dims = true;
    at = ft_convnet_conv(x, reduce, at, squeezed, 1, 1, true);
    at = ft_convnet_activate(x, "se_activation", at, inner);
    at = ft_convnet_conv(x, expand, at, channels, 1, 1, true);
    at = ft_convnet_activate(x, "se_gate", at, gate);
    return ft_convnet_two(x, FT_LAYER_MULTIPLY, "se_excite", input, at);
}

/* ---- weights --------------------------------------------------------------------------------- */

static const struct {
    enum ft_layer_kind kind;
    const char *group;
    int required, n; /* variables, the first of which must be there */
} weighted[] = {
    { FT_LAYER_CONV2D, "conv2d", 1, 2 },
    { FT_LAYER_DEPTHWISE_CONV2D, "depthwise_conv2d", 1, 2 },
    { FT_LAYER_SEPARABLE_CONV2D, "separable_conv2d", 2, 3 },
    { FT_LAYER_BATCH_NORM, "batch_normalization", 4, 4 },
};

enum { WEIGHTED = sizeof weighted / sizeof *weighted };

void ft_convnet_part(struct ft_convnet *x, int layer, int twin, int first, int n)
{
    if (x->b->rc)
        return;
    x->places[layer].twin = twin;
    x->places[layer].first = first;
    x->places[layer].n = n;
}

/* The row of `weighted`; WEIGHTED: the layer has no weights, or has them already. */
static int row_of(const struct ft_convnet *x, int layer)
{
    int k = 0;
    while (k < WEIGHTED && weighted[k].kind != ft_build_at(x->b, layer)->kind)
        k++;
    return (size_t)layer < x->capacity && !ft_build_at(x->b, layer)->weights[0].data ? k : WEIGHTED;
}

/* Names the groups that are named after class and number. */
static void number(struct ft_convnet *x, const int *order, int n)
{
    int count[WEIGHTED] = { 0 };
    for (int i = 0; i < n; i++) {
        const int k = row_of(x, order[i]);
        if (k == WEIGHTED || *x->places[order[i]].group || x->places[order[i]].twin)
            continue;
        snprintf(x->places[order[i]].group, NAME, count[k] ? "layers/%s_%d" : "layers/%s",
                 weighted[k].group, count[k]);
        count[k]++;
    }
}

/* Channels place->first and later of a weight whose last axis has them all. */
static void take_channels(struct ft_convnet *x, const struct ft_convnet_place *place, int layer,
                          int w, const struct ft_tensor *from)
{
    int64_t shape[5];
    if (x->b->rc || from->rank < 1)
        return;
    const int64_t all = from->shape[from->rank - 1], n = place->n;
    if (all < place->first + n) {
        ft_build_fail(x->b, FT_EFORMAT, "the weights of '%.60s' have too few channels",
                      place->group);
        return;
    }
    memcpy(shape, from->shape, sizeof shape);
    shape[from->rank - 1] = n;
    float *to = ft_build_weight(x->b, layer, w, from->rank, shape);
    for (size_t i = 0; to && i < from->count / (size_t)all; i++)
        memcpy(to + i * (size_t)n, from->data + i * (size_t)all + place->first,
               (size_t)n * sizeof *to);
}

static void read_layer(struct ft_convnet *x, int layer)
{
    const int k = row_of(x, layer);
    if (k == WEIGHTED)
        return;
    const struct ft_convnet_place *place = &x->places[layer];
    for (int w = 0; w < weighted[k].n && !x->b->rc; w++) {
        char path[PATH];
        snprintf(path, sizeof path, "%s/vars/%d",
                 x->places[place->twin ? place->twin : layer].group, w);
        const struct ft_tensor t = ft_build_tensor(x->b, path, w < weighted[k].required);
        if (!x->b->rc && place->n && t.data)
            take_channels(x, place, layer, w, &t);
        else if (!x->b->rc)
            ft_build_at(x->b, layer)->weights[w] = t;
    }
}

void ft_convnet_weights(struct ft_convnet *x, int output)
{
    int *order = x->b->rc ? NULL : malloc(((size_t)output + 1) * sizeof *order);
    int n = order ? ft_network_order(x->b->network, output, order) : 0;
    if (!x->b->rc && (!order || n < 0))
        x->b->rc = ft_error_nomem(x->b->err, "layers");
    if (!x->b->rc)
        number(x, order, n);
    for (int i = 0; i < n && !x->b->rc; i++)
        read_layer(x, order[i]);
    free(order);
}
