/* Classes for tokens, which are a map of one row here: windows and changes of shape along them. */
#include <string.h>

#include "base/error.h"
#include "keras/axes.h"
#include "keras/fields.h"
#include "keras/layer_classes.h"

enum { MOST_PADDING = 1 << 20 };

/* 2 or [2] */
static int read_length(const cJSON *config, const char *key, int *out, struct ft_error *err)
{
    const cJSON *value = ft_field(config, key);
    if (cJSON_IsArray(value) && cJSON_GetArraySize(value) == 1)
        value = value->child;
    if (value &&
        (!cJSON_IsNumber(value) || !(value->valuedouble >= 1 && value->valuedouble <= 1 << 14)))
        return ft_error_set(err, FT_EFORMAT, "setting '%s' has an unexpected value", key);
    *out = value ? (int)value->valuedouble : *out;
    return 0;
}

static int parse_pool(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    struct ft_layer_params *p = &out->layer.params;
    p->kernel[1] = 2;
    int rc = read_length(config, "pool_size", &p->kernel[1], err);
    p->stride[1] = p->kernel[1];
    rc = rc ? rc : read_length(config, "strides", &p->stride[1], err);
    rc = rc ? rc : ft_field_padding(config, &p->padding, err);
    return rc ? rc : ft_field_channels_last(config, err);
}

/* With keepdims the average is one token. */
static int parse_global_pool(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    int rc = ft_field_channels_last(config, err);
    rc = rc ? rc : ft_field_bool(config, "keepdims", &out->layer.params.keep_dims, err);
    out->tokens = out->layer.params.keep_dims;
    return rc;
}

static bool is_causal(const cJSON *config)
{
    const char *padding = cJSON_GetStringValue(ft_field(config, "padding"));
    return padding && !strcmp(padding, "causal");
}

static int parse_convolution(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    struct ft_layer_params *p = &out->layer.params;
    int rc = ft_field_int(config, "filters", 1, &p->filters, err);
    rc = rc ? rc : ft_field_channels_last(config, err);
    rc = rc ? rc : read_length(config, "kernel_size", &p->kernel[1], err);
    rc = rc ? rc : read_length(config, "strides", &p->stride[1], err);
    rc = rc ? rc : read_length(config, "dilation_rate", &p->dilation[1], err);
    rc = rc ? rc : ft_field_int(config, "groups", 1, &p->groups, err);
    if (!rc && !is_causal(config))
        rc = ft_field_padding(config, &p->padding, err);
    return rc ? rc : ft_parse_bias(config, out, err);
}

/* Causal: a token depends on itself and those before it. */
static int build_convolution(struct ft_build *b, int *last)
{
    *last = b->layer;
    if (!is_causal(b->config))
        return 0;
    const struct ft_layer_params p = ft_step_layer(b, b->layer)->params;
    const int before = (p.kernel[1] - 1) * p.dilation[1];
    int padded;
    if (before > MOST_PADDING)
        return ft_step_unsupported(b, "a causal convolution over so many tokens");
    const int rc = ft_step_add(b, FT_LAYER_ZERO_PAD, &b->x, 1, &padded);
    if (rc)
        return rc;
    ft_step_layer(b, padded)->params.pad[2] = before;
    ft_step_layer(b, b->layer)->inputs[0] = padded;
    return 0;
}

/* [k, channels, filters] becomes [1, k, channels, filters]. */
static int finish_convolution(struct ft_draft_layer *layer, struct ft_error *err)
{
    struct ft_tensor *t = &layer->layer.weights[FT_W_KERNEL];
    if (t->rank != 3)
        return ft_error_set(err, FT_EFORMAT, "its kernel has %d axes", t->rank);
    memmove(t->shape + 1, t->shape, 3 * sizeof *t->shape);
    t->shape[0] = 1;
    t->rank = 4;
    return 0;
}

/* 1 or [1, 2] */
static int parse_ends(const cJSON *config, const char *key, struct ft_draft_layer *out,
                      struct ft_error *err)
{
    out->layer.params.pad[2] = out->layer.params.pad[3] = 1;
    return ft_field_pair(config, key, 0, &out->layer.params.pad[2], err);
}

static int parse_zero_pad(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    return parse_ends(config, "padding", out, err);
}

static int parse_cropping(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    return parse_ends(config, "cropping", out, err);
}

static int parse_upsampling(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    out->layer.params.kernel[1] = 2;
    return read_length(config, "size", &out->layer.params.kernel[1], err);
}

/* A vector becomes a token, which is repeated. */
static int parse_repeat(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    return read_length(config, "n", &out->layer.params.kernel[1], err);
}

static int build_repeat(struct ft_build *b, int *last)
{
    int token;
    const int rc = ft_axes_reshape(b, b->x, (int[]){ 1, -1 }, 2, &token);
    if (!rc)
        ft_step_layer(b, b->layer)->inputs[0] = token;
    *last = b->layer;
    return rc;
}

const struct ft_layer_class ft_tokens_classes[] = {
    { "Conv1D", FT_LAYER_CONV2D, parse_convolution, .weights = { "kernel", "bias" },
      .finish = finish_convolution, .build = build_convolution },
    { "MaxPooling1D", FT_LAYER_MAX_POOL, .parse = parse_pool },
    { "AveragePooling1D", FT_LAYER_AVERAGE_POOL, .parse = parse_pool },
    { "GlobalAveragePooling1D", FT_LAYER_GLOBAL_AVERAGE_POOL, .parse = parse_global_pool },
    { "GlobalMaxPooling1D", FT_LAYER_GLOBAL_MAX_POOL, .parse = parse_global_pool },
    { "ZeroPadding1D", FT_LAYER_ZERO_PAD, .parse = parse_zero_pad },
    { "Cropping1D", FT_LAYER_CROPPING, .parse = parse_cropping },
    { "UpSampling1D", FT_LAYER_UPSAMPLING, .parse = parse_upsampling },
    { "RepeatVector", FT_LAYER_UPSAMPLING, parse_repeat, .build = build_repeat },
    { 0 },
};
