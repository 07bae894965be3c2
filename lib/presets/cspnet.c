/* Cross-stage partial networks (C.-Y. Wang et al., CSPNet, 2020) and the DarkNets that they are
 * made from. A stage divides its channels into two halves, and only one of them passes the blocks.
 * Here each half has a convolution of its own, with half of the kernel.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "presets/convnet.h"

enum stage_type { DARK, CSP, CS3 };
enum block_type { DARK_BLOCK, EDGE_BLOCK, BOTTLENECK_BLOCK };

struct cspnet {
    struct ft_convnet *x;
    enum stage_type stage;
    enum block_type block;
    enum ft_activation activation;
    int groups;
    bool averages, grows, linear; /* avg_down, down_growth, cross_linear */
};

/* The channels and sizes of one stage. */
struct stage {
    int filters, depth, stride, expanded, inside;
    double bottle;
};

static int activate(const struct cspnet *n, const char *name, int at)
{
    at = ft_convnet_activate(n->x, name, at, n->activation);
    if (!n->x->b->rc && n->activation == FT_ACT_LEAKY_RELU)
        ft_build_at(n->x->b, at)->params.alpha = 0.01F;
    return at;
}

/* Convolution and normalisation, and the activation if it is `active`. */
static int convolve(const struct cspnet *n, const char *name, int at, int filters, int kernel,
                    int stride, bool same, bool grouped, bool active)
{
    char of[48];
    snprintf(of, sizeof of, "%.32s_conv", name);
    at = ft_convnet_conv(n->x, of, at, filters, kernel, stride, same);
    if (grouped && !n->x->b->rc)
        ft_build_at(n->x->b, at)->params.groups = n->groups;
    snprintf(of, sizeof of, "%.32s_bn", name);
    at = ft_convnet_norm(n->x, of, at);
    snprintf(of, sizeof of, "%.32s_act", name);
    return active ? activate(n, of, at) : at;
}

static int block(const struct cspnet *n, const struct stage *s, int input)
{
    const int hidden = (int)rint(s->inside * s->bottle);
    const bool edge = n->block == EDGE_BLOCK, three = n->block == BOTTLENECK_BLOCK;
    int at = convolve(n, "1", input, hidden, edge ? 3 : 1, 1, edge, edge, true);
    at = convolve(n, "2", at, three ? hidden : s->inside, edge ? 1 : 3, 1, !edge, !edge, true);
    if (three)
        at = convolve(n, "3", at, s->inside, 1, 1, false, false, false);
    at = ft_convnet_two(n->x, FT_LAYER_ADD, "add", at, input);
    return three ? activate(n, "out", at) : at;
}

static int blocks(const struct cspnet *n, const struct stage *s, int number, int at)
{
    for (int i = 0; i < s->depth && !n->x->b->rc; i++) {
        ft_convnet_prefix(n->x, "stage%d_block%d_", number, i + 1);
        at = block(n, s, at);
    }
    ft_convnet_prefix(n->x, "stage%d_", number);
    return at;
}

/* Half the rows and columns, by a convolution or by an average before one of 1 x 1. */
static int downsample(const struct cspnet *n, const struct stage *s, int filters, int at)
{
    struct ft_convnet *x = n->x;
    if (!n->averages) {
        if (s->stride > 1)
            at = ft_convnet_pad(x, "down_pad", at, 1);
        return convolve(n, "down", at, filters, 3, s->stride, false, true, true);
    }
    if (s->stride == 2)
        at = ft_convnet_window(x, FT_LAYER_AVERAGE_POOL, "down_pool", at, 2, 2, false);
    return convolve(n, "down", at, s->filters, 1, 1, false, true, true);
}

/* Half `second` of the channels of the convolution "expand". *norm is the normalisation of the
 * other half, or 0 if there is none yet; it becomes that of this half. */
static int half(const struct cspnet *n, const struct stage *s, bool second, int input, int *norm)
{
    const char *name = second ? "expand_2" : "expand_1";
    const int size = s->expanded / 2, twin = *norm,
              at = convolve(n, name, input, size, 1, 1, false, false, false);
    *norm = at;
    for (int i = 0; i < 2; i++)
        ft_convnet_part(n->x, at - i, twin ? twin - i : 0, second ? size : 0, size);
    return n->linear ? at : activate(n, second ? "expand_2_act" : "expand_1_act", at);
}

static int stage(const struct cspnet *n, const struct stage *s, int number, int channels, int at)
{
    struct ft_convnet *x = n->x;
    ft_convnet_prefix(x, "stage%d_", number);
    if (n->stage == DARK)
        return blocks(n, s, number, downsample(n, s, s->filters, at));
    if (s->stride != 1)
        at = downsample(n, s, n->grows ? s->filters : channels, at);
    if (s->expanded % 2)
        return ft_build_fail(x->b, FT_EFORMAT, "%d channels cannot be divided in two", s->expanded);
    /* CSP sends the second half through the blocks, CS3 the first */
    const bool second = n->stage == CSP;
    int norm = 0;
    const int through = half(n, s, second, at, &norm), around = half(n, s, !second, at, &norm);
    at = blocks(n, s, number, through);
    if (n->stage == CS3) {
        at = ft_convnet_two(x, FT_LAYER_CONCATENATE, "concat", at, around);
        return convolve(n, "transition", at, s->expanded / 2, 1, 1, false, false, true);
    }
    at = convolve(n, "transition_b", at, s->expanded / 2, 1, 1, false, false, true);
    at = ft_convnet_two(x, FT_LAYER_CONCATENATE, "concat", around, at);
    return convolve(n, "transition", at, s->filters, 1, 1, false, false, true);
}

/* Sets *strides and *channels of its output. */
static int stem(const struct cspnet *n, int *strides, int *channels, int at)
{
    struct ft_convnet *x = n->x;
    const cJSON *filters = ft_field(x->config, "stem_filters");
    const char *padding = cJSON_GetStringValue(ft_field(x->config, "stem_padding")),
               *pooling = cJSON_GetStringValue(ft_field(x->config, "stem_pooling"));
    const int count = cJSON_IsArray(filters) ? ft_convnet_count(filters) : 1,
              wanted = (int)ft_convnet_number(x, ft_field(x->config, "stem_strides"), 2),
              kernel = (int)ft_convnet_number(x, ft_field(x->config, "stem_kernel_size"), 3);
    *strides = 1;
    for (int i = 0; i < count && !x->b->rc; i++) {
        const int c = cJSON_IsArray(filters) ? ft_convnet_item(x, filters, i, 1)
                                             : (int)ft_convnet_number(x, filters, 32),
                  stride = (!i && wanted > 1) || (i == count - 1 && wanted > 2 && !pooling) ? 2 : 1;
        char name[24];
        ft_convnet_prefix(x, "stem_");
        if (stride > 1) {
            snprintf(name, sizeof name, "%d_pad", i + 1);
            at = ft_convnet_pad(x, name, at, (kernel - 1) / 2);
        }
        snprintf(name, sizeof name, "%d", i + 1);
        at = convolve(n, name, at, c, kernel, stride, !i && padding && !strcmp(padding, "same"),
                      false, true);
        *strides *= stride;
        *channels = c;
    }
    if (!pooling)
        return at;
    *strides *= 2;
    return ft_convnet_max_pool(x, "pool", at);
}

/* Item i of a list that repeats its last; a number counts for all stages. */
static double repeated(struct ft_convnet *x, const char *key, int i)
{
    const cJSON *value = ft_field(x->config, key);
    const int count = ft_convnet_count(value);
    if (count)
        value = cJSON_GetArrayItem(value, i < count ? i : count - 1);
    return ft_convnet_number(x, value, 1);
}

static int choose(struct ft_convnet *x, const char *key, const char *const names[3])
{
    const char *name = cJSON_GetStringValue(ft_field(x->config, key));
    for (int i = 0; i < 3; i++)
        if (name && !strcmp(name, names[i]))
            return i;
    ft_build_fail(x->b, FT_EUNSUPPORTED, "the %s '%.60s' is not supported", key,
                  name ? name : "null");
    return 0;
}

int ft_convnet_cspnet(struct ft_convnet *x, int at)
{
    const cJSON *depths = ft_convnet_list(x, "stackwise_depth"),
                *filters = ft_convnet_list(x, "stackwise_num_filters"),
                *activation = ft_field(x->config, "activation");
    const char *name = cJSON_GetStringValue(activation);
    const bool leaky = !activation || (name && !strcmp(name, "leaky_relu"));
    const struct cspnet n = {
        .x = x,
        .stage =
            (enum stage_type)choose(x, "stage_type", (const char *const[]){ "dark", "csp", "cs3" }),
        .block = (enum block_type)choose(
            x, "block_type",
            (const char *const[]){ "dark_block", "edge_block", "bottleneck_block" }),
        .activation = leaky ? FT_ACT_LEAKY_RELU : ft_convnet_activation(x, activation),
        .groups = (int)fmax(1, ft_convnet_number(x, ft_field(x->config, "groups"), 1)),
        .averages = ft_convnet_bool(x, "avg_down", false),
        .grows = ft_convnet_bool(x, "down_growth", false),
        .linear = ft_convnet_bool(x, "cross_linear", false),
    };
    const double most = ft_convnet_number(x, ft_field(x->config, "output_strides"), 32);
    int strides = 1, channels = 0;
    x->epsilon = 1e-5;
    at = stem(&n, &strides, &channels, at);
    for (int i = 0; i < ft_convnet_count(depths) && !x->b->rc; i++) {
        struct stage s = { .filters = ft_convnet_item(x, filters, i, 1),
                           .depth = ft_convnet_item(x, depths, i, 0),
                           .stride = (int)fmax(1, repeated(x, "stackwise_strides", i)),
                           .bottle = repeated(x, "bottle_ratio", i) };
        s.expanded = (int)rint(s.filters * repeated(x, "expand_ratio", i));
        s.inside = (int)rint(s.filters * repeated(x, "block_ratio", i));
        if (strides >= most && s.stride > 1)
            ft_build_fail(x->b, FT_EUNSUPPORTED, "'output_strides' of %g is not supported", most);
        strides *= s.stride;
        at = stage(&n, &s, i + 1, channels, at);
        channels = n.stage == CS3 ? s.expanded / 2 : s.filters;
    }
    ft_convnet_prefix(x, "%s", "");
    return at;
}
