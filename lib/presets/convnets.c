/* Convolutional families of KerasHub without blocks of their own: VGG, ResNet, DenseNet, Xception.
 */
#include <stdio.h>
#include <string.h>

#include "presets/convnet.h"

/* ---- VGG (K. Simonyan and A. Zisserman, 2015) ------------------------------------------------ */

int ft_convnet_vgg(struct ft_convnet *x, int at)
{
    const cJSON *repeats = ft_convnet_list(x, "stackwise_num_repeats"),
                *filters = ft_convnet_list(x, "stackwise_num_filters");
    for (int i = 0; i < ft_convnet_count(repeats) && !x->b->rc; i++) {
        const int n = ft_convnet_item(x, repeats, i, 1), c = ft_convnet_item(x, filters, i, 1);
        ft_convnet_prefix(x, "block%d_", i + 1);
        for (int k = 1; k <= n && !x->b->rc; k++) {
            char name[16];
            snprintf(name, sizeof name, "conv%d", k);
            at = ft_convnet_conv(x, name, at, c, 3, 1, true);
            if (!x->b->rc)
                ft_build_at(x->b, at)->params.activation = FT_ACT_RELU;
        }
        at = ft_convnet_window(x, FT_LAYER_MAX_POOL, "pool", at, 2, 2, false);
    }
    return at;
}

/* ---- ResNet, its second version, and "vd" (K. He et al., 2016; T. He et al., 2019) ----------- */

struct residual {
    bool bottleneck, averages, before; /* vd: averages; before: normalises before convolutions */
};

static int normed(struct ft_convnet *x, const char *name, int at)
{
    char of[32];
    snprintf(of, sizeof of, "%s_bn", name);
    at = ft_convnet_norm(x, of, at);
    snprintf(of, sizeof of, "%s_relu", name);
    return ft_convnet_activate(x, of, at, FT_ACT_RELU);
}

/* 3 x 3; with a stride Keras pads on all sides. */
static int spatial(struct ft_convnet *x, const char *name, int at, int filters, int stride)
{
    char of[32];
    snprintf(of, sizeof of, "%s_pad", name);
    if (stride > 1)
        at = ft_convnet_pad(x, of, at, 1);
    snprintf(of, sizeof of, "%s_conv", name);
    return ft_convnet_conv(x, of, at, filters, 3, stride, stride == 1);
}

static int shortcut(struct ft_convnet *x, const struct residual *r, int input, int active,
                    int filters, int stride)
{
    int at = r->before ? active : input;
    if (r->averages && !r->before && stride > 1)
        at = ft_convnet_window(x, FT_LAYER_AVERAGE_POOL, "0_pool", at, 2, stride, true);
    at = ft_convnet_conv(x, "0_conv", at, filters, 1, r->averages ? 1 : stride, false);
    return r->before ? at : ft_convnet_norm(x, "0_bn", at);
}

static int residual(struct ft_convnet *x, const struct residual *r, int input, int filters,
                    int stride, bool projected)
{
    const int active = r->before ? normed(x, "pre_activation", input) : input,
              wide = r->bottleneck ? 4 * filters : filters,
              side = projected ? shortcut(x, r, input, active, wide, stride) : input;
    int at = active;
    if (r->bottleneck) {
        at = normed(x, "1", ft_convnet_conv(x, "1_conv", at, filters, 1, 1, false));
        at = normed(x, "2", spatial(x, "2", at, filters, stride));
        at = ft_convnet_conv(x, "3_conv", at, wide, 1, 1, false);
    } else {
        at = normed(x, "1", spatial(x, "1", at, filters, stride));
        at = spatial(x, "2", at, filters, 1);
    }
    if (r->before)
        return ft_convnet_two(x, FT_LAYER_ADD, "out", side, at);
    at = ft_convnet_norm(x, r->bottleneck ? "3_bn" : "2_bn", at);
    at = ft_convnet_two(x, FT_LAYER_ADD, "add", side, at);
    return ft_convnet_activate(x, "out", at, FT_ACT_RELU);
}

static int resnet_stem(struct ft_convnet *x, const struct residual *r, int at)
{
    const cJSON *filters = ft_convnet_list(x, "input_conv_filters"),
                *kernels = ft_convnet_list(x, "input_conv_kernel_sizes");
    const int n = ft_convnet_count(filters);
    at = ft_convnet_pad(x, "conv1_pad", at, (ft_convnet_item(x, kernels, 0, 1) - 1) / 2);
    for (int i = 0; i < n && !x->b->rc; i++) {
        char name[32];
        snprintf(name, sizeof name, "conv%d", i);
        if (i)
            at = normed(x, name, at);
        snprintf(name, sizeof name, "conv%d_conv", i + 1);
        at = ft_convnet_conv(x, name, at, ft_convnet_item(x, filters, i, 1),
                             ft_convnet_item(x, kernels, i, 1), i ? 1 : 2, i > 0);
    }
    if (r->before)
        return ft_convnet_max_pool(x, "pool1_pool", at);
    at = ft_convnet_pad(x, "pool1_pad", normed(x, "conv_last", at), 1);
    return ft_convnet_window(x, FT_LAYER_MAX_POOL, "pool1_pool", at, 3, 2, false);
}

int ft_convnet_resnet(struct ft_convnet *x, int at)
{
    const cJSON *filters = ft_convnet_list(x, "stackwise_num_filters"),
                *blocks = ft_convnet_list(x, "stackwise_num_blocks"),
                *strides = ft_convnet_list(x, "stackwise_num_strides");
    const char *type = cJSON_GetStringValue(ft_field(x->config, "block_type"));
    const char *const types[] = { "basic_block", "bottleneck_block", "basic_block_vd",
                                  "bottleneck_block_vd" };
    int t = 0;
    while (t < 4 && (!type || strcmp(type, types[t])))
        t++;
    if (t == 4)
        ft_build_fail(x->b, FT_EUNSUPPORTED, "the block_type '%.60s' is not supported",
                      type ? type : "null");
    const struct residual r = { .bottleneck = t % 2,
                                .averages = t > 1,
                                .before = ft_convnet_bool(x, "use_pre_activation", false) };
    x->epsilon = 1e-5;
    at = resnet_stem(x, &r, at);
    for (int s = 0; s < ft_convnet_count(filters) && !x->b->rc; s++) {
        const int c = ft_convnet_item(x, filters, s, 1), n = ft_convnet_item(x, blocks, s, 1),
                  stride = ft_convnet_item(x, strides, s, 1);
        for (int i = 0; i < n && !x->b->rc; i++) {
            ft_convnet_prefix(x, "stack%d_block%d_", s, i);
            at = residual(x, &r, at, c, i ? 1 : stride, !i && (t || s));
        }
    }
    ft_convnet_prefix(x, "%s", "");
    return r.before ? normed(x, "post", at) : at;
}

/* ---- DenseNet (G. Huang et al., 2017) -------------------------------------------------------- */

int ft_convnet_densenet(struct ft_convnet *x, int at)
{
    const cJSON *repeats = ft_convnet_list(x, "stackwise_num_repeats");
    const double compression = ft_convnet_number(x, ft_field(x->config, "compression_ratio"), 0.5);
    const int growth = (int)ft_convnet_number(x, ft_field(x->config, "growth_rate"), 32),
              stacks = ft_convnet_count(repeats);
    int channels = 64;
    x->epsilon = 1.001e-5;
    at = normed(x, "conv1", ft_convnet_conv(x, "conv1_conv", at, channels, 7, 2, true));
    at = ft_convnet_window(x, FT_LAYER_MAX_POOL, "pool1", at, 3, 2, true);
    for (int s = 0; s < stacks && !x->b->rc; s++) {
        const int n = ft_convnet_item(x, repeats, s, 1);
        for (int i = 0; i < n && !x->b->rc; i++) {
            ft_convnet_prefix(x, "stack%d_block%d_", s + 1, i + 1);
            int side = normed(x, "1", at);
            side = normed(x, "2", ft_convnet_conv(x, "1_conv", side, 4 * growth, 1, 1, false));
            side = ft_convnet_conv(x, "2_conv", side, growth, 3, 1, true);
            at = ft_convnet_two(x, FT_LAYER_CONCATENATE, "concat", at, side);
            channels += growth;
        }
        if (s + 1 == stacks)
            break;
        ft_convnet_prefix(x, "transition%d_", s + 1);
        channels = (int)(channels * compression);
        at = ft_convnet_conv(x, "conv", normed(x, "1", at), channels, 1, 1, false);
        at = ft_convnet_window(x, FT_LAYER_AVERAGE_POOL, "pool", at, 2, 2, false);
    }
    ft_convnet_prefix(x, "%s", "");
    return normed(x, "last", at);
}

/* ---- Xception (F. Chollet, 2017) ------------------------------------------------------------- */

static int separable(struct ft_convnet *x, const char *name, int at, int filters)
{
    at = ft_convnet_window(x, FT_LAYER_SEPARABLE_CONV2D, name, at, 3, 1, true);
    if (!x->b->rc)
        ft_build_at(x->b, at)->params.filters = filters;
    return at;
}

/* The convolutions of block b of n. */
static int xception_block(struct ft_convnet *x, const cJSON *filters, int b, int n, int at)
{
    const bool middle = b > 0 && b < n - 1;
    for (int i = 0; i < ft_convnet_count(filters) && !x->b->rc; i++) {
        const int c = ft_convnet_item(x, filters, i, 1);
        ft_convnet_prefix(x, "block%d_conv%d_", b + 1, i + 1);
        if (middle && (b > 1 || i > 0))
            at = ft_convnet_activate(x, "act", at, FT_ACT_RELU);
        at = b ? separable(x, "sepconv", at, c)
               : ft_convnet_conv(x, "conv", at, c, 3, i ? 1 : 2, false);
        at = ft_convnet_norm(x, "bn", at);
        if (!middle)
            at = ft_convnet_activate(x, "act", at, FT_ACT_RELU);
    }
    return at;
}

int ft_convnet_xception(struct ft_convnet *x, int at)
{
    const cJSON *blocks = ft_convnet_list(x, "stackwise_conv_filters"),
                *pooling = ft_convnet_list(x, "stackwise_pooling");
    const int n = ft_convnet_count(blocks);
    int channels = 0;
    for (int b = 0; b < n && !x->b->rc; b++) {
        const cJSON *filters = cJSON_GetArrayItem(blocks, b);
        const int input = at, count = ft_convnet_count(filters),
                  last = count ? ft_convnet_item(x, filters, count - 1, 1) : channels;
        at = xception_block(x, filters, b, n, at);
        ft_convnet_prefix(x, "block%d_", b + 1);
        if (cJSON_IsTrue(cJSON_GetArrayItem(pooling, b)))
            at = ft_convnet_window(x, FT_LAYER_MAX_POOL, "pool", at, 3, 2, true);
        if (b > 0 && b < n - 1) {
            int side = input;
            if (last != channels) {
                side = ft_convnet_conv(x, "residual_conv", input, last, 1, 2, true);
                side = ft_convnet_norm(x, "residual_bn", side);
            }
            at = ft_convnet_two(x, FT_LAYER_ADD, "residual_add", at, side);
        }
        channels = last;
    }
    return at;
}
