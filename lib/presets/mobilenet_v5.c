/* MobileNetV5, the image encoder of Gemma 3n: stacks of blocks, and an adapter that fuses their
 * last maps. */
#include "presets/mobilenet_v5.h"

#include <stdio.h>
#include <string.h>

enum { NAME = FT_TOWER_NAME, OUTPUT_STRIDE = 32, UNKNOWN_SIZE = 224, MOST_MAPS = 8 };

/* Beyond 1 / 32 of the rows, a stride becomes a dilation of the blocks after it. */
static void make_stack(struct ft_v5 *v, int s, int n)
{
    for (int i = 0; i < n && !v->x->b->rc; i++) {
        struct ft_v5_block k = {
            .type = cJSON_GetStringValue(ft_convnet_cell(v->x, "stackwise_block_types", s, i)),
            .stack = s,
            .i = i,
            .stride = i ? 1 : ft_convnet_cell_int(v->x, "stackwise_strides", s, i, 0),
            .activation =
                ft_convnet_activation(v->x, ft_convnet_cell(v->x, "stackwise_act_layers", s, i))
        };
        const int next = k.stride > 1 && v->stride * k.stride > OUTPUT_STRIDE
                             ? v->dilation * k.stride
                             : v->dilation;
        if (k.stride < 1 || k.stride > 2) {
            ft_build_fail(v->x->b, FT_EFORMAT, "the stride of a block must be 1 or 2");
            return;
        }
        if (next != v->dilation)
            k.stride = 1;
        v->stride *= k.stride;
        ft_convnet_prefix(v->x, "stage_%d_block_%d_", s + 1, i + 1);
        ft_v5_make_block(v, &k);
        v->dilation = next;
    }
}

/* ---- fusion of the last maps ----------------------------------------------------------------- */

static void resize(struct ft_v5 *v, const char *name, int height, int width, bool bilinear)
{
    struct ft_v5_map *m = &v->map;
    if (m->height == height && m->width == width)
        return;
    m->at = ft_convnet_one(v->x, FT_LAYER_RESIZE, name, m->at);
    m->height = height;
    m->width = width;
    if (v->x->b->rc)
        return;
    struct ft_layer_params *p = &ft_build_at(v->x->b, m->at)->params;
    p->rank = 2;
    p->shape[0] = height;
    p->shape[1] = width;
    p->bilinear = bilinear;
}

/* The last map becomes as large as the settings say: a mean of whole windows if that is possible.
 */
static void fit_output(struct ft_v5 *v)
{
    const cJSON *wanted = ft_field(v->x->config, "msfa_output_resolution");
    struct ft_v5_map *m = &v->map;
    int to[2];
    for (int i = 0; i < 2; i++)
        to[i] = cJSON_IsArray(wanted) ? ft_convnet_item(v->x, wanted, i, 1)
                                      : (int)ft_convnet_number(v->x, wanted, 16);
    if (v->x->b->rc || to[0] < 1 || to[1] < 1 || m->height % to[0] || m->width % to[1]) {
        resize(v, "resized", to[0], to[1], true);
        return;
    }
    const int window[2] = { m->height / to[0], m->width / to[1] };
    if (window[0] == 1 && window[1] == 1)
        return;
    m->at = ft_convnet_window(v->x, FT_LAYER_AVERAGE_POOL, "pooled", m->at, 1, 1, false);
    for (int i = 0; i < 2 && !v->x->b->rc; i++) {
        struct ft_layer_params *p = &ft_build_at(v->x->b, m->at)->params;
        p->kernel[i] = p->stride[i] = window[i];
    }
}

/* The maps [n], as large as the first, side by side. */
static void fuse(struct ft_v5 *v, const struct ft_v5_map *maps, int n)
{
    static const char group[] = "layers/mobile_net_v5_multi_scale_fusion_adapter";
    int inputs[MOST_MAPS], channels = 0;
    if (v->x->b->rc)
        return;
    ft_convnet_prefix(v->x, "fusion_");
    for (int i = 0; i < n; i++) {
        char name[NAME];
        snprintf(name, sizeof name, "resize_%d", i + 1);
        v->map = maps[i];
        resize(v, name, maps[0].height, maps[0].width, false);
        inputs[i] = v->map.at;
        channels += maps[i].channels;
    }
    if (n > 1)
        v->map.at = ft_convnet_merge(v->x, FT_LAYER_CONCATENATE, "maps", inputs, n);
    v->map.channels = channels;
    v->dilation = 1;
    snprintf(v->group, sizeof v->group, "%s/ffn", group);
    ft_v5_conv_norm(v, "pw_exp", 1);
    ft_v5_activate(v, "pw_exp_act",
                   ft_convnet_activation(v->x, ft_field(v->x->config, "act_layer")));
    ft_v5_conv_norm(v, "pw_proj", 1);
    fit_output(v);
    snprintf(v->group, sizeof v->group, "%s", group);
    ft_v5_normalise(v, "norm", "norm", 1e-3);
}

/* Whether msfa_indices has map i of n: 0 is that of the stem. */
static bool wanted(struct ft_v5 *v, int i, int n)
{
    const cJSON *list = ft_field(v->x->config, "msfa_indices");
    for (int k = 0; k < ft_convnet_count(list); k++) {
        const cJSON *item = cJSON_GetArrayItem(list, k);
        const double at = cJSON_IsNumber(item) ? item->valuedouble : -n - 1;
        if ((at < 0 ? n + at : at) == i)
            return true;
    }
    return false;
}

/* How many maps keras_hub counts: before each stride, and the last. */
static int count_maps(struct ft_v5 *v, int stacks)
{
    int n = 1;
    for (int s = 0; s < stacks; s++)
        n += ft_convnet_cell_int(v->x, "stackwise_strides", s, 0, 0) > 1;
    return n;
}

/* ---- the network ----------------------------------------------------------------------------- */

/* Returns a setting that is a name: `otherwise` if it is absent or null, "(not a name)" if it is
 * no string. */
static const char *name_of(const struct ft_v5 *v, const char *key, const char *otherwise)
{
    const cJSON *value = ft_field(v->x->config, key);
    if (!value || cJSON_IsNull(value))
        return otherwise;
    return cJSON_IsString(value) ? value->valuestring : "(not a name)";
}

static void check(struct ft_v5 *v)
{
    const char *norm = name_of(v, "norm_layer", "rms_norm"),
               *padding = name_of(v, "pad_type", "same");
    v->rms = !strcmp(norm, "rms_norm");
    v->scaled = ft_field(v->x->config, "layer_scale_init_value") != NULL;
    if (!v->rms && strcmp(norm, "batch_norm") != 0)
        ft_build_fail(
            v->x->b, FT_EUNSUPPORTED,
            "the normalisation '%.60s' is not supported: only 'rms_norm' and 'batch_norm' are",
            norm);
    if (*padding && strcmp(padding, "same") != 0)
        ft_build_fail(v->x->b, FT_EUNSUPPORTED,
                      "the padding '%.60s' is not supported: only 'same' is", padding);
}

int ft_convnet_mobilenet_v5(struct ft_convnet *x, int at)
{
    const cJSON *stacks = ft_convnet_list(x, "stackwise_num_blocks");
    const bool fused = ft_convnet_bool(x, "use_msfa", true);
    if (x->b->rc)
        return 0;
    int *shape = ft_build_at(x->b, 0)->params.shape;
    for (int i = 0; i < 2 && fused; i++)
        shape[i] = shape[i] > 0 ? shape[i] : UNKNOWN_SIZE;
    struct ft_v5 v = { .x = x,
                       .tower = { .b = x->b, .root = "" },
                       .map = { at, shape[0], shape[1], 3 },
                       .stride = 2,
                       .dilation = 1 };
    struct ft_v5_map maps[MOST_MAPS];
    const int n = ft_convnet_count(stacks), counted = count_maps(&v, n);
    int kept = 0, last = n; /* layers after the last map that is used are not in the file */
    while (fused && last >= 0 && !wanted(&v, last, counted))
        last--;
    if (last < 0)
        return ft_build_fail(x->b, FT_EFORMAT, "'msfa_indices' in 'config.json' is not valid");
    check(&v);
    snprintf(v.group, sizeof v.group, "layers/conv_norm_act");
    ft_convnet_prefix(x, "stem");
    ft_v5_conv_norm(&v, "", 2);
    ft_v5_activate(&v, "_act", ft_convnet_activation(x, ft_field(x->config, "act_layer")));
    for (int s = 0; s <= last && !x->b->rc; s++) {
        if (s)
            make_stack(&v, s - 1, ft_convnet_item(x, stacks, s - 1, 1));
        if (fused && wanted(&v, s, counted) && kept == MOST_MAPS)
            ft_build_fail(x->b, FT_ELIMIT, "the fusion of more than %d maps is not supported",
                          MOST_MAPS);
        else if (fused && wanted(&v, s, counted))
            maps[kept++] = v.map;
    }
    if (fused)
        fuse(&v, maps, kept);
    ft_convnet_prefix(x, "%s", "");
    return v.map.at;
}
