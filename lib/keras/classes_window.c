/* Classes that slide a window, or weigh all inputs: convolutions, pools, dense layers. */
#include <string.h>

#include "base/error.h"
#include "keras/fields.h"
#include "keras/layer_classes.h"

static int parse_window(const cJSON *config, const char *size, struct ft_layer_params *p,
                        struct ft_error *err)
{
    int rc = ft_field_channels_last(config, err);
    if (!rc)
        rc = ft_field_pair(config, size, 1, p->kernel, err);
    if (!rc)
        rc = ft_field_pair(config, "strides", 1, p->stride, err);
    if (!rc)
        rc = ft_field_padding(config, &p->padding, err);
    return rc;
}

static void write_window(const struct ft_layer_params *p, const char *size, cJSON *config)
{
    ft_add_ints(config, size, p->kernel, 2);
    ft_add_ints(config, "strides", p->stride, 2);
    if (p->padding == FT_PAD_SAME)
        cJSON_AddStringToObject(config, "padding", "same");
}

int ft_parse_bias(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    bool bias = true;
    int rc = ft_field_bool(config, "use_bias", &bias, err);
    out->needs = FT_NEEDS(FT_W_KERNEL) | (bias ? FT_NEEDS(FT_W_BIAS) : 0);
    return rc ? rc : ft_parse_activation(config, out, err);
}

static void write_bias(const struct ft_layer *layer, cJSON *config)
{
    if (!layer->weights[FT_W_BIAS].data)
        cJSON_AddFalseToObject(config, "use_bias");
    ft_add_activation(config, layer->params.activation);
}

static int parse_convolution(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    struct ft_layer_params *p = &out->layer.params;
    int rc = parse_window(config, "kernel_size", p, err);
    if (!rc)
        rc = ft_field_pair(config, "dilation_rate", 1, p->dilation, err);
    if (!rc)
        rc = ft_field_int(config, "groups", 1, &p->groups, err);
    if (!rc)
        rc = ft_parse_bias(config, out, err);
    return rc;
}

static void write_convolution(const struct ft_layer *layer, cJSON *config)
{
    const struct ft_layer_params *p = &layer->params;
    write_window(p, "kernel_size", config);
    if (p->dilation[0] != 1 || p->dilation[1] != 1)
        ft_add_ints(config, "dilation_rate", p->dilation, 2);
    write_bias(layer, config);
}

static int parse_conv2d(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const int rc = parse_convolution(config, out, err);
    return rc ? rc : ft_field_int(config, "filters", 1, &out->layer.params.filters, err);
}

static void write_conv2d(const struct ft_layer *layer, cJSON *config)
{
    cJSON_AddNumberToObject(config, "filters", layer->params.filters);
    if (layer->params.groups != 1)
        cJSON_AddNumberToObject(config, "groups", layer->params.groups);
    write_convolution(layer, config);
}

static int parse_depthwise(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    struct ft_layer_params *p = &out->layer.params;
    int rc = parse_convolution(config, out, err);
    if (!rc && p->groups != 1)
        rc = ft_error_set(err, FT_EUNSUPPORTED,
                          "groups %d in a depthwise convolution is not supported", p->groups);
    return rc ? rc : ft_field_int(config, "depth_multiplier", 1, &p->multiplier, err);
}

static void write_depthwise(const struct ft_layer *layer, cJSON *config)
{
    if (layer->params.multiplier != 1)
        cJSON_AddNumberToObject(config, "depth_multiplier", layer->params.multiplier);
    write_convolution(layer, config);
}

static int parse_separable(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const bool bias = !cJSON_IsFalse(ft_field(config, "use_bias"));
    int rc = parse_depthwise(config, out, err);
    if (!rc)
        rc = ft_field_int(config, "filters", 1, &out->layer.params.filters, err);
    out->needs = FT_NEEDS(FT_W_KERNEL) | FT_NEEDS(FT_W_POINTWISE) |
                 (bias ? FT_NEEDS(FT_W_SEPARABLE_BIAS) : 0);
    return rc;
}

static void write_separable(const struct ft_layer *layer, cJSON *config)
{
    const struct ft_layer_params *p = &layer->params;
    cJSON_AddNumberToObject(config, "filters", p->filters);
    if (p->multiplier != 1)
        cJSON_AddNumberToObject(config, "depth_multiplier", p->multiplier);
    write_window(p, "kernel_size", config);
    if (p->dilation[0] != 1 || p->dilation[1] != 1)
        ft_add_ints(config, "dilation_rate", p->dilation, 2);
    if (!layer->weights[FT_W_SEPARABLE_BIAS].data)
        cJSON_AddFalseToObject(config, "use_bias");
    ft_add_activation(config, p->activation);
}

static int parse_transpose(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    if (ft_field(config, "output_padding"))
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "output_padding is not supported: save the layer without it");
    int rc = parse_conv2d(config, out, err);
    const struct ft_layer_params *p = &out->layer.params;
    if (!rc && (p->groups != 1 || p->dilation[0] != 1 || p->dilation[1] != 1))
        rc = ft_error_set(err, FT_EUNSUPPORTED,
                          "groups or dilation_rate in a transposed convolution is not supported");
    return rc;
}

static int parse_pool(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    struct ft_layer_params *p = &out->layer.params;
    p->kernel[0] = p->kernel[1] = 2;
    int rc = ft_field_pair(config, "pool_size", 1, p->kernel, err);
    memcpy(p->stride, p->kernel, sizeof p->stride);
    return rc ? rc : parse_window(config, "pool_size", p, err);
}

static void write_pool(const struct ft_layer *layer, cJSON *config)
{
    write_window(&layer->params, "pool_size", config);
}

static int parse_global_pool(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const int rc = ft_field_channels_last(config, err);
    return rc ? rc : ft_field_bool(config, "keepdims", &out->layer.params.keep_dims, err);
}

static void write_global_pool(const struct ft_layer *layer, cJSON *config)
{
    if (layer->params.keep_dims)
        cJSON_AddTrueToObject(config, "keepdims");
}

static int parse_dense(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    int rc = ft_field_int(config, "units", 1, &out->layer.params.units, err);
    return rc ? rc : ft_parse_bias(config, out, err);
}

static void write_dense(const struct ft_layer *layer, cJSON *config)
{
    cJSON_AddNumberToObject(config, "units", layer->params.units);
    write_bias(layer, config);
}

const struct ft_layer_class ft_window_classes[] = {
    { "Conv2D", FT_LAYER_CONV2D, parse_conv2d, write_conv2d, .weights = { "kernel", "bias" } },
    { "SeparableConv2D", FT_LAYER_SEPARABLE_CONV2D, parse_separable, write_separable,
      .weights = { "depthwise_kernel", "pointwise_kernel", "bias" } },
    { "Conv2DTranspose", FT_LAYER_CONV2D_TRANSPOSE, parse_transpose, write_conv2d,
      .weights = { "kernel", "bias" } },
    { "DepthwiseConv2D", FT_LAYER_DEPTHWISE_CONV2D, parse_depthwise, write_depthwise,
      .weights = { "depthwise_kernel|kernel", "bias" } },
    { "MaxPooling2D", FT_LAYER_MAX_POOL, parse_pool, .write = write_pool },
    { "AveragePooling2D", FT_LAYER_AVERAGE_POOL, parse_pool, .write = write_pool },
    { "GlobalAveragePooling2D", FT_LAYER_GLOBAL_AVERAGE_POOL, parse_global_pool,
      .write = write_global_pool },
    { "GlobalMaxPooling2D", FT_LAYER_GLOBAL_MAX_POOL, parse_global_pool,
      .write = write_global_pool },
    { "Dense", FT_LAYER_DENSE, parse_dense, write_dense, .weights = { "kernel", "bias" } },
    { 0 },
};
