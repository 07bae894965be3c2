/* Convolutional families of KerasHub with inverted residuals: EfficientNet and MobileNet. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "presets/convnet.h"

/* What a block of either family needs. */
struct inverted {
    int input, output, filters;   /* channels: in, out, between */
    int kernel, stride, squeezed; /* squeezed: channels of the gate, 0: no gate */
    enum ft_activation activation, projection;
    bool residual;
};

static int conv_norm(struct ft_convnet *x, const char *conv, const char *norm, int at, int filters,
                     int kernel, int stride, bool same)
{
    return ft_convnet_norm(x, norm, ft_convnet_conv(x, conv, at, filters, kernel, stride, same));
}

static int add_input(struct ft_convnet *x, const struct inverted *v, int at, int input)
{
    return v->residual ? ft_convnet_two(x, FT_LAYER_ADD, "add", at, input) : at;
}

/* ---- EfficientNet and EfficientNetV2 (M. Tan and Q. Le, 2019 and 2021) ----------------------- */

static int expanded(struct ft_convnet *x, const struct inverted *v, const char *conv,
                    const char *norm, int at)
{
    if (v->filters == v->input)
        return at;
    at = conv_norm(x, conv, norm, at, v->filters, 1, 1, true);
    return ft_convnet_activate(x, "expand_activation", at, v->activation);
}

static int gated(struct ft_convnet *x, const struct inverted *v, const char *reduce,
                 const char *expand, int at)
{
    return v->squeezed ? ft_convnet_excite(x, at, reduce, expand, v->squeezed, v->filters,
                                           v->activation, FT_ACT_SIGMOID)
                       : at;
}

/* "v1": layers of Keras. */
static int plain_block(struct ft_convnet *x, const struct inverted *v, int input)
{
    int at = expanded(x, v, "expand_conv", "expand_bn", input);
    at = ft_convnet_pad(x, "dwconv_pad", at, v->kernel / 2);
    at = ft_convnet_window(x, FT_LAYER_DEPTHWISE_CONV2D, "dwconv", at, v->kernel, v->stride, false);
    at = ft_convnet_norm(x, "dwconv_bn", at);
    at = ft_convnet_activate(x, "dwconv_activation", at, v->activation);
    at = gated(x, v, "se_reduce", "se_expand", at);
    at = conv_norm(x, "project", "project_bn", at, v->output, 1, 1, true);
    if (v->projection != FT_ACT_LINEAR)
        at = ft_convnet_activate(x, "projection_activation", at, v->projection);
    return add_input(x, v, at, input);
}

/* "unfused": a layer of its own. Without an expansion the projection is as large as the kernel. */
static int unfused_block(struct ft_convnet *x, const struct inverted *v, int input)
{
    const int kernel = v->filters == v->input ? v->kernel : 1;
    int at = expanded(x, v, "conv1", "bn1", input);
    at = ft_convnet_window(x, FT_LAYER_DEPTHWISE_CONV2D, "depthwise", at, v->kernel, v->stride,
                           true);
    at = ft_convnet_activate(x, "activation", ft_convnet_norm(x, "bn2", at), v->activation);
    at = gated(x, v, "se_conv1", "se_conv2", at);
    if (kernel > 1)
        at = ft_convnet_pad(x, "pad", at, kernel / 2);
    at = conv_norm(x, "output_conv", "bn3", at, v->output, kernel, 1, false);
    return add_input(x, v, at, input);
}

/* "fused": expansion and depthwise convolution are one. */
static int fused_block(struct ft_convnet *x, const struct inverted *v, int input)
{
    int at = ft_convnet_pad(x, "expand_pad", input, v->kernel / 2);
    at = conv_norm(x, "conv1", "bn1", at, v->filters, v->kernel, v->stride, false);
    at = ft_convnet_activate(x, "expand_activation", at, v->activation);
    at = gated(x, v, "se_conv1", "se_conv2", at);
    at = conv_norm(x, "output_conv", "bn2", at, v->output, 1, 1, false);
    if (v->filters == v->input && v->projection != FT_ACT_LINEAR)
        at = ft_convnet_activate(x, "projection_activation", at, v->projection);
    return add_input(x, v, at, input);
}

/* "cba": convolution, normalisation, activation. */
static int cba_block(struct ft_convnet *x, const struct inverted *v, int input)
{
    int at = ft_convnet_pad(x, "conv_pad", input, v->kernel / 2);
    at = conv_norm(x, "conv1", "bn1", at, v->output, v->kernel, v->stride, false);
    return add_input(x, v, ft_convnet_activate(x, "activation", at, v->activation), input);
}

static const struct block_type {
    const char *name, *group;
    int (*build)(struct ft_convnet *x, const struct inverted *v, int input);
} block_types[] = {
    { "v1", NULL, plain_block },
    { "unfused", "mb_conv_block", unfused_block },
    { "fused", "fused_mb_conv_block", fused_block },
    { "cba", "cba_block", cba_block },
};

enum { BLOCK_TYPES = sizeof block_types / sizeof *block_types };

struct efficientnet {
    double divisor, least;
    bool divisor_is_least, capped;
    int made[BLOCK_TYPES]; /* blocks of each type */
};

static int round_filters(const struct efficientnet *e, double filters, double width)
{
    filters *= width;
    const double least = e->divisor_is_least ? e->divisor : e->least,
                 rounded = floor(trunc(filters + e->divisor / 2) / e->divisor) * e->divisor,
                 most = rounded < least ? least : rounded;
    return (int)(e->capped && most < 0.9 * filters ? most + e->divisor : most);
}

/* Item i of a list of factors; 1 without a list. */
static double factor(struct ft_convnet *x, const char *key, int i)
{
    const cJSON *list = ft_field(x->config, key);
    return ft_convnet_number(x, cJSON_IsArray(list) ? cJSON_GetArrayItem(list, i) : NULL, 1);
}

static int item_of(struct ft_convnet *x, const char *key, int i)
{
    return ft_convnet_item(x, ft_convnet_list(x, key), i, 0);
}

static int efficientnet_block(struct ft_convnet *x, struct efficientnet *e, int stack,
                              const struct inverted *v, int at)
{
    const char *type = cJSON_GetStringValue(
        cJSON_GetArrayItem(ft_convnet_list(x, "stackwise_block_types"), stack));
    for (int t = 0; type && t < BLOCK_TYPES; t++) {
        const struct block_type *row = &block_types[t];
        if (strcmp(row->name, type) != 0)
            continue;
        *x->block = 0;
        if (row->group)
            snprintf(x->block, sizeof x->block, e->made[t] ? "layers/%s_%d" : "layers/%s",
                     row->group, e->made[t]);
        e->made[t]++;
        at = row->build(x, v, at);
        *x->block = 0;
        return at;
    }
    return ft_build_fail(x->b, FT_EUNSUPPORTED, "the block type '%.60s' is not supported",
                         type ? type : "null");
}

static int efficientnet_stack(struct ft_convnet *x, struct efficientnet *e, int s, int at)
{
    const double width = factor(x, "stackwise_width_coefficients", s),
                 squeeze = ft_convnet_number(
                     x,
                     cJSON_GetArrayItem(ft_convnet_list(x, "stackwise_squeeze_and_excite_ratios"),
                                        s),
                     0);
    const cJSON *forced = ft_field(x->config, "stackwise_force_input_filters");
    const int repeats = (int)ceil(factor(x, "stackwise_depth_coefficients", s) *
                                  item_of(x, "stackwise_num_repeats", s)),
              force = forced ? ft_convnet_item(x, forced, s, 0) : 0,
              expansion = item_of(x, "stackwise_expansion_ratios", s);
    struct inverted v = {
        .input = round_filters(e, item_of(x, "stackwise_input_filters", s), width),
        .output = round_filters(e, item_of(x, "stackwise_output_filters", s), width),
        .kernel = item_of(x, "stackwise_kernel_sizes", s),
        .stride = item_of(x, "stackwise_strides", s),
        .activation = ft_convnet_activation(x, ft_field(x->config, "activation")),
        .projection = ft_convnet_activation(x, ft_field(x->config, "projection_activation")),
    };
    for (int i = 0; i < repeats && !x->b->rc; i++) {
        if (i) {
            v.stride = 1;
            v.input = v.output;
        }
        if (force)
            v.input = round_filters(e, force, width);
        v.filters = v.input * expansion;
        v.squeezed = squeeze > 0 && squeeze <= 1 ? (int)fmax(1, v.input * squeeze) : 0;
        v.residual = v.stride == 1 && v.input == v.output;
        ft_convnet_prefix(x, "block%d_%d_", s + 1, i + 1);
        at = efficientnet_block(x, e, s, &v, at);
    }
    ft_convnet_prefix(x, "%s", "");
    return at;
}

int ft_convnet_efficientnet(struct ft_convnet *x, int at)
{
    const int stacks = ft_convnet_count(ft_convnet_list(x, "stackwise_kernel_sizes"));
    const char *padding = cJSON_GetStringValue(ft_field(x->config, "stem_conv_padding"));
    const enum ft_activation activation =
        ft_convnet_activation(x, ft_field(x->config, "activation"));
    struct efficientnet e = {
        .divisor = ft_convnet_number(x, ft_field(x->config, "depth_divisor"), 8),
        .least = ft_convnet_number(x, ft_field(x->config, "min_depth"), 8),
        .divisor_is_least = ft_convnet_bool(x, "use_depth_divisor_as_min_depth", false),
        .capped = ft_convnet_bool(x, "cap_round_filter_decrease", false),
    };
    if (e.divisor < 1 || x->b->rc)
        return ft_build_fail(x->b, FT_EFORMAT, "'depth_divisor' in 'config.json' is not valid");
    x->epsilon = ft_convnet_number(x, ft_field(x->config, "batch_norm_epsilon"), 1e-5);
    if (ft_convnet_bool(x, "include_stem_padding", true))
        at = ft_convnet_pad(x, "stem_pad", at, 1);
    const int stem = round_filters(&e, item_of(x, "stackwise_input_filters", 0),
                                   factor(x, "stackwise_width_coefficients", 0));
    at = conv_norm(x, "stem_conv", "stem_bn", at, stem, 3, 2, padding && !strcmp(padding, "same"));
    at = ft_convnet_activate(x, "stem_activation", at, activation);
    for (int s = 0; s < stacks && !x->b->rc; s++)
        at = efficientnet_stack(x, &e, s, at);
    /* keras_hub does not store the number of features */
    const double features = ft_convnet_number(x, ft_field(x->config, "num_features"), 1280);
    at = conv_norm(
        x, "top_conv", "top_bn", at,
        round_filters(&e, features, factor(x, "stackwise_width_coefficients", stacks - 1)), 1, 1,
        true);
    return ft_convnet_activate(x, "top_activation", at, activation);
}

/* ---- MobileNetV3 (A. Howard et al., 2019) ---------------------------------------------------- */

static int adjust(double channels)
{
    const double rounded = fmax(8, floor(trunc(channels + 4) / 8) * 8);
    return (int)(rounded < 0.9 * channels ? rounded + 8 : rounded);
}

/* Each channel by itself, padded on all sides. */
static int depthwise(struct ft_convnet *x, const char *conv, const char *norm, int at, int channels,
                     int kernel, int stride, int pad)
{
    at = ft_convnet_conv(x, conv, pad ? ft_convnet_pad(x, "pad", at, pad) : at, channels, kernel,
                         stride, false);
    if (!x->b->rc)
        ft_build_at(x->b, at)->params.groups = channels;
    return ft_convnet_norm(x, norm, at);
}

static int mobile_gate(struct ft_convnet *x, const char *group, const struct inverted *v, int at)
{
    char block[FT_CONVNET_NAME];
    if (!v->squeezed)
        return at;
    memcpy(block, x->block, sizeof block);
    if (snprintf(x->block, sizeof x->block, "%.100s/%s", block, group) >= FT_CONVNET_NAME)
        ft_build_fail(x->b, FT_EFORMAT, "a name in the preset is too long");
    at = ft_convnet_excite(x, at, "conv_reduce", "conv_expand", v->squeezed, v->filters,
                           FT_ACT_RELU, FT_ACT_HARD_SIGMOID);
    memcpy(x->block, block, sizeof block);
    return at;
}

static int first_block(struct ft_convnet *x, int channels, int input)
{
    const double squeeze = ft_convnet_number(x, ft_field(x->config, "squeeze_and_excite"), 0);
    const struct inverted v = {
        .filters = channels,
        .output = (int)ft_convnet_number(x, ft_field(x->config, "depthwise_filters"), 0),
        .stride = (int)ft_convnet_number(x, ft_field(x->config, "depthwise_stride"), 1),
        .squeezed = squeeze > 0 ? adjust(channels * squeeze) : 0,
        .residual = ft_convnet_bool(x, "depthwise_residual", false),
    };
    snprintf(x->block, sizeof x->block, "layers/depthwise_conv_block");
    ft_convnet_prefix(x, "block_0_");
    int at = depthwise(x, "conv1", "batch_normalization1", input, channels, 3, v.stride, 1);
    at = ft_convnet_activate(x, "activation1", at, FT_ACT_RELU);
    at = mobile_gate(x, "se_layer", &v, at);
    at = conv_norm(x, "conv2", "batch_normalization2", at, v.output, 1, 1, false);
    return add_input(x, &v, at, input);
}

static int mobile_block(struct ft_convnet *x, const struct inverted *v, int pad, int input)
{
    int at = conv_norm(x, "conv1", "batch_normalization1", input, v->filters, 1, 1, false);
    at = ft_convnet_activate(x, "activation1", at, v->activation);
    at = depthwise(x, "conv2", "batch_normalization2", at, v->filters, v->kernel, v->stride, pad);
    at = ft_convnet_activate(x, "activation2", at, v->activation);
    at = mobile_gate(x, "squeeze_excite", v, at);
    at = conv_norm(x, "conv3", "batch_normalization3", at, v->output, 1, 1, false);
    return add_input(x, v, at, input);
}

int ft_convnet_mobilenet(struct ft_convnet *x, int at)
{
    const cJSON *blocks = ft_convnet_list(x, "stackwise_num_blocks");
    const int stem = adjust(ft_convnet_number(x, ft_field(x->config, "input_num_filters"), 16));
    int channels = (int)ft_convnet_number(x, ft_field(x->config, "depthwise_filters"), 0), made = 0;
    x->epsilon = 1e-5;
    at = ft_convnet_pad(x, "input_pad", at, 1);
    at = conv_norm(x, "input_conv", "input_batch_norm", at, stem, 3, 2, false);
    at = ft_convnet_activate(x, "input_activation", at,
                             ft_convnet_activation(x, ft_field(x->config, "input_activation")));
    at = first_block(x, stem, at);
    for (int s = 0; s < ft_convnet_count(blocks) && !x->b->rc; s++) {
        const int n = ft_convnet_item(x, blocks, s, 1);
        for (int i = 0; i < n && !x->b->rc; i++, made++) {
            struct inverted v = {
                .input = channels,
                .output = adjust(ft_convnet_cell_int(x, "stackwise_num_filters", s, i, 0)),
                .filters = adjust(ft_convnet_cell_int(x, "stackwise_expansion", s, i, 0)),
                .kernel = ft_convnet_cell_int(x, "stackwise_kernel_size", s, i, 0),
                .stride = ft_convnet_cell_int(x, "stackwise_num_strides", s, i, 0),
                .activation =
                    ft_convnet_activation(x, ft_convnet_cell(x, "stackwise_activation", s, i)),
            };
            const double squeeze =
                ft_convnet_number(x, ft_convnet_cell(x, "stackwise_se_ratio", s, i), 0);
            v.squeezed = squeeze > 0 ? adjust(v.filters * squeeze) : 0;
            v.residual = v.stride == 1 && v.input == v.output;
            snprintf(x->block, sizeof x->block,
                     made ? "layers/inverted_residual_block_%d" : "layers/inverted_residual_block",
                     made);
            ft_convnet_prefix(x, "block_%d_%d_", s + 1, i);
            at = mobile_block(x, &v, ft_convnet_cell_int(x, "stackwise_padding", s, i, 0), at);
            channels = v.output;
        }
    }
    snprintf(x->block, sizeof x->block, "layers/conv_bn_act_block");
    ft_convnet_prefix(x, "last_");
    at = conv_norm(x, "conv", "batch_normalization", at,
                   adjust(ft_convnet_number(x, ft_field(x->config, "last_layer_filter"), 0)), 1, 1,
                   false);
    at = ft_convnet_activate(x, "activation", at, FT_ACT_HARD_SWISH);
    *x->block = 0;
    ft_convnet_prefix(x, "%s", "");
    return at;
}
