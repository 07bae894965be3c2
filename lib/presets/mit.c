/* The encoder of SegFormer (E. Xie et al., SegFormer, 2021): stages of smaller and smaller maps.
 * The patches of a stage overlap, keys and values come from a smaller map, and a convolution of
 * each channel between the two dense layers stands for positions.
 */
#include <stdio.h>
#include <string.h>

#include "presets/convnet.h"
#include "presets/transformer_parts.h"

enum { PATH = FT_TOWER_PATH, NAME = FT_TOWER_NAME };

/* A convolution from GROUP, with padding on all sides. `each`: of each channel by itself. */
static int convolve(struct ft_tower *x, const char *name, int input, const char *group, int stride,
                    int pad, bool each)
{
    char path[PATH], of[NAME];
    snprintf(of, sizeof of, "%.48s_pad", name);
    if (pad) {
        input = ft_build_layer(x->b, FT_LAYER_ZERO_PAD, of, &input, 1);
        for (int i = 0; i < 4 && !x->b->rc; i++)
            ft_build_at(x->b, input)->params.pad[i] = pad;
    }
    const int at =
        ft_build_layer(x->b, each ? FT_LAYER_DEPTHWISE_CONV2D : FT_LAYER_CONV2D, name, &input, 1);
    ft_build_read(x->b, at, FT_W_KERNEL, ft_tower_path(x, group, "vars/0", path));
    ft_build_read(x->b, at, FT_W_BIAS, ft_tower_path(x, group, "vars/1", path));
    if (x->b->rc)
        return 0;
    struct ft_layer *layer = ft_build_at(x->b, at);
    const struct ft_tensor *kernel = &layer->weights[FT_W_KERNEL];
    if (kernel->rank != 4)
        return ft_build_fail(x->b, FT_EFORMAT, "the kernel of '%s' has %d axes", name,
                             kernel->rank);
    for (int i = 0; i < 2; i++) {
        layer->params.kernel[i] = (int)kernel->shape[i];
        layer->params.stride[i] = stride;
    }
    if (!each)
        layer->params.filters = (int)kernel->shape[3];
    return at;
}

/* Keys and values come from a map with 1 / `reduction` of the rows and columns. */
static int attention(struct ft_tower *x, const char *name, int input, const char *block, int heads,
                     int reduction)
{
    static const char *const parts[] = { "q", "k", "v", "proj" };
    char of[NAME], group[PATH];
    int inputs[2] = { input, input };
    snprintf(of, sizeof of, "%s_reduction", name);
    snprintf(group, sizeof group, "%s/attn/sr", block);
    if (reduction > 1) {
        inputs[1] = convolve(x, of, input, group, reduction, 0, false);
        snprintf(of, sizeof of, "%s_norm_reduced", name);
        snprintf(group, sizeof group, "%s/attn/norm", block);
        inputs[1] = ft_build_norm(x->b, of, inputs[1], group, 1e-5);
    }
    snprintf(of, sizeof of, "%s_attention", name);
    const int at = ft_build_layer(x->b, FT_LAYER_ATTENTION, of, inputs, reduction > 1 ? 2 : 1);
    for (int i = 0; i < 4; i++) {
        snprintf(group, sizeof group, "%s/attn/%s/vars/0", block, parts[i]);
        ft_build_read(x->b, at, FT_W_QUERY + 2 * i, group);
        snprintf(group, sizeof group, "%s/attn/%s/vars/1", block, parts[i]);
        ft_build_read(x->b, at, FT_W_QUERY + 2 * i + 1, group);
    }
    return ft_tower_heads(x, at, heads) ? 0 : at;
}

static int mlp(struct ft_tower *x, const char *name, int input, const char *block)
{
    char of[NAME], group[PATH];
    snprintf(of, sizeof of, "%s_up", name);
    int at = ft_tower_dense(x, of, input, block, "mlp/fc1");
    snprintf(of, sizeof of, "%s_depthwise", name);
    snprintf(group, sizeof group, "%s/mlp/dwconv", block);
    at = convolve(x, of, at, group, 1, 0, true);
    if (!x->b->rc)
        ft_build_at(x->b, at)->params.padding = FT_PAD_SAME;
    at = ft_tower_gelu_approximate(x, name, at); /* the default of keras.ops.gelu */
    snprintf(of, sizeof of, "%s_down", name);
    return ft_tower_dense(x, of, at, block, "mlp/fc2");
}

static int block(struct ft_tower *x, int number, int input, int heads, int reduction)
{
    char group[PATH], name[NAME], of[NAME];
    snprintf(group, sizeof group,
             number ? "layers/hierarchical_transformer_encoder_%d"
                    : "layers/hierarchical_transformer_encoder",
             number);
    snprintf(name, sizeof name, "block_%d", number + 1);
    snprintf(of, sizeof of, "%s_norm_1", name);
    int at = ft_tower_norm(x, of, input, group, "norm1");
    at = attention(x, name, at, group, heads, reduction);
    const int sum = ft_tower_two(x, FT_LAYER_ADD, name, "sum_1", input, at);
    snprintf(of, sizeof of, "%s_norm_2", name);
    at = mlp(x, name, ft_tower_norm(x, of, sum, group, "norm2"), group);
    return ft_tower_two(x, FT_LAYER_ADD, name, "sum_2", sum, at);
}

/* "layers/STEM" or "layers/STEM_i" */
static const char *numbered(char to[PATH], const char *stem, int i, const char *rest)
{
    if (i)
        snprintf(to, PATH, "layers/%s_%d%s", stem, i, rest);
    else
        snprintf(to, PATH, "layers/%s%s", stem, rest);
    return to;
}

int ft_convnet_mit(struct ft_convnet *x, int at)
{
    static const char patching[] = "overlapping_patching_and_embedding";
    const cJSON *depths = ft_convnet_list(x, "layerwise_depths"),
                *heads = ft_convnet_list(x, "layerwise_num_heads"),
                *reductions = ft_convnet_list(x, "layerwise_sr_ratios"),
                *patches = ft_convnet_list(x, "layerwise_patch_sizes"),
                *strides = ft_convnet_list(x, "layerwise_strides");
    struct ft_tower tower = { .b = x->b, .root = "", .epsilon = 1e-6, .activation = "gelu" };
    int made = 0;
    for (int s = 0; s < ft_convnet_count(depths) && !x->b->rc; s++) {
        const int n = ft_convnet_item(x, depths, s, 1), h = ft_convnet_item(x, heads, s, 1),
                  reduction = ft_convnet_item(x, reductions, s, 1),
                  patch = ft_convnet_item(x, patches, s, 1),
                  stride = ft_convnet_item(x, strides, s, 1);
        char name[NAME], group[PATH];
        snprintf(name, sizeof name, "stage_%d_patches", s + 1);
        at = convolve(&tower, name, at, numbered(group, patching, s, "/proj"), stride, patch / 2,
                      false);
        snprintf(name, sizeof name, "stage_%d_norm_before", s + 1);
        at = ft_build_norm(x->b, name, at, numbered(group, patching, s, "/norm"), 1e-5);
        for (int i = 0; i < n && !x->b->rc; i++)
            at = block(&tower, made++, at, h, reduction);
        snprintf(name, sizeof name, "stage_%d_norm", s + 1);
        at = ft_build_norm(x->b, name, at, numbered(group, "layer_normalization", s, ""), 1e-5);
    }
    return at;
}
