/* HGNetV2 (C. Cui et al., Beyond Self-Supervision, 2021; PaddlePaddle's HGNetV2). In keras_hub each
 * convolution with its normalisation is a layer of its own, inside blocks inside stages.
 */
#include <stdio.h>
#include <string.h>

#include "presets/convnet.h"

enum { NAME = FT_CONVNET_NAME };

struct hgnet {
    struct ft_convnet *x;
    bool affine;                   /* a scale and an offset follow each activation */
    enum ft_activation activation; /* of the stem */
};

/* x * scale + offset, one number each, from group GROUP/lab. */
static int affine(struct ft_convnet *x, const char *name, int input)
{
    static const enum ft_weight weights[] = { FT_W_SCALE, FT_W_OFFSET };
    const int at = ft_convnet_one(x, FT_LAYER_RESCALING, name, input);
    for (int i = 0; i < 2; i++) {
        char path[NAME + 16];
        snprintf(path, sizeof path, "%s/lab/vars/%d", x->block, i);
        const struct ft_tensor t = ft_build_tensor(x->b, path, true);
        float *to = ft_build_weight(x->b, at, (int)weights[i], 1, (int64_t[]){ 1 });
        if (to)
            *to = t.data[0];
    }
    return at;
}

/* A convolution from the group GROUP/NAME: padding, kernel, normalisation, activation. */
struct convolution {
    const char *group, *name;
    int filters, kernel, stride, groups;
    enum ft_activation activation;
    bool affine;
};

static int convolve(struct ft_convnet *x, const struct convolution *c, int at)
{
    char prefix[NAME];
    memcpy(prefix, x->prefix, sizeof prefix);
    if (snprintf(x->block, sizeof x->block, "%s/%s", c->group, c->name) >= NAME)
        ft_build_fail(x->b, FT_EFORMAT, "a name in the preset is too long");
    ft_convnet_prefix(x, "%.60s%.60s_", prefix, c->name);
    if (c->kernel > 2)
        at = ft_convnet_pad(x, "pad", at, (c->kernel - 1) / 2);
    at = ft_convnet_conv(x, "convolution", at, c->filters, c->kernel, c->stride, false);
    if (!x->b->rc)
        ft_build_at(x->b, at)->params.groups = c->groups;
    at = ft_convnet_norm(x, "normalization", at);
    if (c->activation != FT_ACT_LINEAR)
        at = ft_convnet_activate(x, "activation", at, c->activation);
    if (c->affine)
        at = affine(x, "affine", at);
    *x->block = 0;
    memcpy(x->prefix, prefix, sizeof prefix);
    return at;
}

static int pad_end(struct ft_convnet *x, const char *name, int at)
{
    at = ft_convnet_pad(x, name, at, 0);
    if (!x->b->rc)
        ft_build_at(x->b, at)->params.pad[1] = ft_build_at(x->b, at)->params.pad[3] = 1;
    return at;
}

static int stem(const struct hgnet *h, int at)
{
    struct ft_convnet *x = h->x;
    const cJSON *channels = ft_convnet_list(x, "stem_channels");
    const int wide = ft_convnet_item(x, channels, 1, 2), out = ft_convnet_item(x, channels, 2, 1);
    struct convolution c = { .group = "layers/hg_net_v2_embeddings",
                             .name = "stem1_layer",
                             .filters = wide,
                             .kernel = 3,
                             .stride = 2,
                             .groups = 1,
                             .activation = h->activation,
                             .affine = h->affine };
    ft_convnet_prefix(x, "%s", "");
    const int padded = pad_end(x, "stem_pad_1", convolve(x, &c, at));
    c.name = "stem2a_layer";
    c.filters = wide / 2;
    c.kernel = 2;
    c.stride = 1;
    at = pad_end(x, "stem_pad_2", convolve(x, &c, padded));
    c.name = "stem2b_layer";
    c.filters = wide;
    at = convolve(x, &c, at);
    const int pooled = ft_convnet_window(x, FT_LAYER_MAX_POOL, "stem_pool", padded, 2, 1, false);
    at = ft_convnet_two(x, FT_LAYER_CONCATENATE, "stem_concat", pooled, at);
    c.name = "stem3_layer";
    c.kernel = 3;
    c.stride = 2;
    at = convolve(x, &c, at);
    c.name = "stem4_layer";
    c.filters = out;
    c.kernel = c.stride = 1;
    return convolve(x, &c, at);
}

/* What the blocks of a stage share. */
struct stage {
    int input, middle, output, blocks, layers, kernel;
    bool downsamples, light;
    char group[NAME];
};

/* Layer i of a block: one convolution, or (light) one of the channels and one of each channel. */
static int block_layer(const struct hgnet *h, const struct stage *s, const char *group, int i,
                       int at)
{
    char inside[NAME], name[NAME];
    struct convolution c = { .filters = s->middle,
                             .kernel = s->kernel,
                             .stride = 1,
                             .groups = 1,
                             .activation = FT_ACT_RELU,
                             .affine = h->affine };
    const char *class = s->light ? "hg_net_v2_conv_layer_light" : "hg_net_v2_conv_layer";
    snprintf(name, sizeof name, i ? "%.60s_%d" : "%.60s", class, i);
    c.group = inside;
    c.name = name;
    if (!s->light) {
        snprintf(inside, sizeof inside, "%.200s/layer_list", group);
        return convolve(h->x, &c, at);
    }
    char prefix[NAME];
    struct convolution mix = c;
    memcpy(prefix, h->x->prefix, sizeof prefix);
    snprintf(inside, sizeof inside, "%.150s/layer_list/%.80s", group, name);
    ft_convnet_prefix(h->x, "%.60s%d_", prefix, i + 1);
    mix.name = "conv1_layer";
    mix.kernel = 1;
    mix.activation = FT_ACT_LINEAR;
    mix.affine = false;
    at = convolve(h->x, &mix, at);
    c.name = "conv2_layer";
    c.groups = s->middle;
    at = convolve(h->x, &c, at);
    memcpy(h->x->prefix, prefix, sizeof prefix);
    return at;
}

static int block(const struct hgnet *h, const struct stage *s, int b, int input)
{
    struct ft_convnet *x = h->x;
    enum { MOST_LAYERS = 64 };
    char group[NAME];
    int parts[MOST_LAYERS + 1] = { input }, at = input;
    snprintf(group, sizeof group,
             b ? "%.180s/blocks_list/hg_net_v2_basic_layer_%d"
               : "%.180s/blocks_list/hg_net_v2_basic_layer",
             s->group, b);
    if (s->layers > MOST_LAYERS)
        return ft_build_fail(x->b, FT_ELIMIT, "a block of %d layers is not supported", s->layers);
    for (int i = 0; i < s->layers && !x->b->rc; i++)
        parts[i + 1] = at = block_layer(h, s, group, i, at);
    at = ft_convnet_merge(x, FT_LAYER_CONCATENATE, "concat", parts, s->layers + 1);
    struct convolution c = { .group = group,
                             .name = "aggregation_squeeze_conv",
                             .filters = s->output / 2,
                             .kernel = 1,
                             .stride = 1,
                             .groups = 1,
                             .activation = FT_ACT_RELU,
                             .affine = h->affine };
    at = convolve(x, &c, at);
    c.name = "aggregation_excitation_conv";
    c.filters = s->output;
    at = convolve(x, &c, at);
    return b ? ft_convnet_two(x, FT_LAYER_ADD, "add", at, input) : at;
}

static int stage(const struct hgnet *h, const struct stage *s, int i, int at)
{
    struct ft_convnet *x = h->x;
    ft_convnet_prefix(x, "stage_%d_", i + 1);
    if (s->downsamples) {
        const struct convolution c = { .group = s->group,
                                       .name = "downsample_layer",
                                       .filters = s->input,
                                       .kernel = 3,
                                       .stride = 2,
                                       .groups = s->input };
        at = convolve(x, &c, at);
    }
    for (int b = 0; b < s->blocks && !x->b->rc; b++) {
        ft_convnet_prefix(x, "stage_%d_block_%d_", i + 1, b + 1);
        at = block(h, s, b, at);
    }
    return at;
}

int ft_convnet_hgnet(struct ft_convnet *x, int at)
{
    static const char key[] = "stackwise_stage_filters";
    const cJSON *stages = ft_convnet_list(x, key),
                *downsample = ft_convnet_list(x, "apply_downsample"),
                *light = ft_convnet_list(x, "use_lightweight_conv_block");
    const struct hgnet h = { .x = x,
                             .affine = ft_convnet_bool(x, "use_learnable_affine_block", false),
                             .activation =
                                 ft_convnet_activation(x, ft_field(x->config, "hidden_act")) };
    x->epsilon = 1e-5;
    at = stem(&h, at);
    for (int i = 0; i < ft_convnet_count(stages) && !x->b->rc; i++) {
        struct stage s = { .input = ft_convnet_cell_int(x, key, i, 0, 1),
                           .middle = ft_convnet_cell_int(x, key, i, 1, 1),
                           .output = ft_convnet_cell_int(x, key, i, 2, 2),
                           .blocks = ft_convnet_cell_int(x, key, i, 3, 1),
                           .layers = ft_convnet_cell_int(x, key, i, 4, 1),
                           .kernel = ft_convnet_cell_int(x, key, i, 5, 1),
                           .downsamples = cJSON_IsTrue(cJSON_GetArrayItem(downsample, i)),
                           .light = cJSON_IsTrue(cJSON_GetArrayItem(light, i)) };
        snprintf(s.group, sizeof s.group,
                 i ? "layers/hg_net_v2_encoder/stages_list/hg_net_v2_stage_%d"
                   : "layers/hg_net_v2_encoder/stages_list/hg_net_v2_stage",
                 i);
        at = stage(&h, &s, i, at);
    }
    ft_convnet_prefix(x, "%s", "");
    return at;
}
