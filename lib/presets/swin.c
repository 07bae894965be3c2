/* Swin (Z. Liu et al., Swin Transformer: Hierarchical Vision Transformer using Shifted Windows,
 * 2021). Attention is within windows of size x size pixels, in every second block after the map has
 * been shifted by half a window. Core layers say it: a shift is a crop and a concatenation, windows
 * are reshaped and permuted maps [columns * rows of windows, size * size, c], one window a row.
 *
 * keras_hub pads a map that is no multiple of the window after the shift, and shifts back before it
 * cuts the padding off. This does the same.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "presets/convnet.h"
#include "presets/transformer_parts.h"

enum { PATH = FT_TOWER_PATH, NAME = FT_TOWER_NAME };

struct swin {
    struct ft_tower tower;
    int size;            /* of a window */
    int height, width;   /* of the maps of this stage */
    int channels, heads; /* of this stage */
};

/* ---- maps ------------------------------------------------------------------------------------ */

static int reshape(const struct swin *x, const char *block, const char *suffix, int at, int h,
                   int w, int c)
{
    struct ft_tower tower = x->tower;
    at = ft_tower_one(&tower, FT_LAYER_RESHAPE, block, suffix, at);
    if (x->tower.b->rc)
        return 0;
    struct ft_layer_params *p = &ft_build_at(x->tower.b, at)->params;
    p->rank = 3;
    p->shape[0] = h;
    p->shape[1] = w;
    p->shape[2] = c;
    return at;
}

/* Rows become columns. */
static int swap(const struct swin *x, const char *block, const char *suffix, int at)
{
    struct ft_tower tower = x->tower;
    at = ft_tower_one(&tower, FT_LAYER_PERMUTE, block, suffix, at);
    if (x->tower.b->rc)
        return 0;
    struct ft_layer_params *p = &ft_build_at(x->tower.b, at)->params;
    p->rank = 3;
    p->shape[0] = 2;
    p->shape[1] = 1;
    p->shape[2] = 3;
    return at;
}

/* kind: ZERO_PAD or CROPPING */
static int border(const struct swin *x, enum ft_layer_kind kind, const char *block,
                  const char *suffix, int at, const int pad[4])
{
    struct ft_tower tower = x->tower;
    if (!pad[0] && !pad[1] && !pad[2] && !pad[3])
        return at;
    at = ft_tower_one(&tower, kind, block, suffix, at);
    if (!x->tower.b->rc)
        memcpy(ft_build_at(x->tower.b, at)->params.pad, pad, 4 * sizeof *pad);
    return at;
}

/* Along one axis of a map [h, w, c], the first `by` rows (axis 0) or columns (1) become the last.
 */
static int roll_axis(const struct swin *x, const char *block, const char *way, int at, int axis,
                     int by, int h, int w)
{
    struct ft_tower tower = x->tower;
    const int n = axis ? w : h, c = x->channels;
    int sides[2];
    char of[NAME];
    for (int i = 0; i < 2; i++) {
        int pad[4] = { 0 };
        pad[2 * axis + i] = i ? n - by : by; /* side 0: the later ones; side 1: the first */
        const int length = i ? by : n - by;
        snprintf(of, sizeof of, "%s_%s_%d", way, axis ? "columns" : "rows", i + 1);
        sides[i] = border(x, FT_LAYER_CROPPING, block, of, at, pad);
        snprintf(of, sizeof of, "%s_%s_%d_flat", way, axis ? "columns" : "rows", i + 1);
        sides[i] = axis ? reshape(x, block, of, sides[i], h, 1, length * c)
                        : reshape(x, block, of, sides[i], 1, 1, length * w * c);
    }
    snprintf(of, sizeof of, "%s_%s_joined", way, axis ? "columns" : "rows");
    at = ft_tower_two(&tower, FT_LAYER_CONCATENATE, block, of, sides[0], sides[1]);
    snprintf(of, sizeof of, "%s_%s", way, axis ? "columns" : "rows");
    return reshape(x, block, of, at, h, w, c);
}

/* Pixel (y, x) of the output is ((y + by) % h, (x + by) % w); by < 0: the other way. */
static int roll(const struct swin *x, const char *block, const char *way, int at, int by, int h,
                int w)
{
    at = roll_axis(x, block, way, at, 0, by < 0 ? h + by : by, h, w);
    return roll_axis(x, block, way, at, 1, by < 0 ? w + by : by, h, w);
}

/* ---- attention in windows -------------------------------------------------------------------- */

/* The part of a shifted map that a row or column belongs to: parts were not neighbours before the
 * shift. Padding counts as part 0. */
static int part_of(int y, int n, int size, int shift)
{
    return y >= n || y < n - size ? 0 : y < n - shift ? 1 : 2;
}

struct grid {
    int rows, columns, shift; /* windows; shift: of the map */
};

/* Which pixels of window `window` belong together, [size * size] numbers. */
static void parts_of(const struct swin *x, const struct grid *g, int window, int *parts)
{
    const int s = x->size, top = window % g->rows * s, left = window / g->rows * s;
    for (int i = 0; i < s * s; i++) {
        const int y = top + i / s, z = left + i % s;
        const bool outside = y >= x->height || z >= x->width;
        parts[i] = outside
                       ? 0
                       : 3 * part_of(y, x->height, s, g->shift) + part_of(z, x->width, s, g->shift);
    }
}

/* POSITIONS from a table [(2 size - 1)^2, heads] of relative positions; -100 is added where pixels
 * do not belong together. */
static void fill_positions(const struct swin *x, const struct grid *g,
                           const struct ft_tensor *table, int *parts, float *to)
{
    const int s = x->size, n = s * s, windows = g->shift ? g->rows * g->columns : 1;
    for (int w = 0; w < windows; w++) {
        if (g->shift)
            parts_of(x, g, w, parts);
        for (int h = 0; h < x->heads; h++)
            for (int i = 0; i < n; i++)
                for (int j = 0; j < n; j++) {
                    const int down = i / s - j / s + s - 1, right = i % s - j % s + s - 1;
                    *to++ = table->data[(down * (2 * s - 1) + right) * x->heads + h] +
                            (parts[i] == parts[j] ? 0 : -100);
                }
    }
}

static void add_positions(struct swin *x, int layer, const struct grid *g, const char *group)
{
    struct ft_builder *b = x->tower.b;
    char path[PATH];
    snprintf(path, sizeof path, "%s/attn/vars/0", group);
    const struct ft_tensor table = ft_build_tensor(b, path, true);
    const int64_t s = x->size, n = s * s, heads = x->heads, windows = (int64_t)g->rows * g->columns;
    const size_t wanted = (size_t)((2 * s - 1) * (2 * s - 1) * heads);
    if (b->rc)
        return;
    if (table.count != wanted) {
        ft_build_fail(b, FT_EFORMAT,
                      "'%s' has %zu values, but 'window_size' and 'num_heads' need %zu", path,
                      table.count, wanted);
        return;
    }
    if (windows * heads * n * n > 1 << 27) {
        ft_build_fail(b, FT_ELIMIT, "an input of this size has too many windows");
        return;
    }
    float *to = g->shift ? ft_build_weight(b, layer, FT_W_POSITIONS, 4,
                                           (int64_t[]){ windows, heads, n, n })
                         : ft_build_weight(b, layer, FT_W_POSITIONS, 3, (int64_t[]){ heads, n, n }),
          *scale = to ? ft_build_weight(b, layer, FT_W_SCORE_SCALE, 1, &heads) : NULL;
    int *parts = ft_alloc_zero((size_t)n, sizeof *parts);
    if (!parts)
        ft_build_fail(b, FT_ENOMEM, "out of memory for weights");
    for (int h = 0; scale && h < heads; h++)
        scale[h] = (float)(1 / sqrt((double)x->channels / (double)heads));
    if (scale && parts)
        fill_positions(x, g, &table, parts, to);
    free(parts);
}

/* A map [windows, size * size, c]. */
static int attend(struct swin *x, const char *name, int at, const struct grid *g, const char *group)
{
    struct ft_builder *b = x->tower.b;
    char of[NAME], path[PATH];
    struct ft_tensor qkv[2];
    snprintf(of, sizeof of, "%s_attention", name);
    at = ft_build_layer(b, FT_LAYER_ATTENTION, of, &at, 1);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/attn/qkv/vars/%d", group, i);
        qkv[i] = ft_build_tensor(b, path, !i);
        for (int k = 0; k < 3 && qkv[i].data && !b->rc; k++)
            ft_tower_columns(&x->tower, at, FT_W_QUERY + 2 * k + i, &qkv[i],
                             (int64_t)k * x->channels, x->channels);
        snprintf(path, sizeof path, "%s/attn/proj/vars/%d", group, i);
        ft_build_read(b, at, FT_W_OUTPUT + i, path);
    }
    add_positions(x, at, g, group);
    if (ft_tower_heads(&x->tower, at, x->heads))
        return 0;
    ft_build_at(b, at)->params.windows = true;
    return at;
}

/* Attention of a block: the map in, and out. */
static int windows(struct swin *x, const char *name, int at, int shift, const char *group)
{
    const int s = x->size, c = x->channels,
              pad[4] = { 0, (s - x->height % s) % s, 0, (s - x->width % s) % s },
              h = x->height + pad[1], w = x->width + pad[3];
    const struct grid g = { .rows = h / s, .columns = w / s, .shift = shift };
    if (shift)
        at = roll(x, name, "shift", at, shift, x->height, x->width);
    at = border(x, FT_LAYER_ZERO_PAD, name, "pad", at, pad);
    at = reshape(x, name, "strips", at, h, g.columns, s * c);
    at = swap(x, name, "strips_by_column", at);
    at = reshape(x, name, "windows", at, g.rows * g.columns, s * s, c);
    at = attend(x, name, at, &g, group);
    at = reshape(x, name, "strips_attended", at, g.columns, h, s * c);
    at = swap(x, name, "strips_by_row", at);
    at = reshape(x, name, "map", at, h, w, c);
    if (shift)
        at = roll(x, name, "back", at, -shift, h, w);
    return border(x, FT_LAYER_CROPPING, name, "crop", at, pad);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int block(struct swin *x, const char *stage, int number, int i, int input)
{
    char group[PATH], name[NAME], of[NAME];
    const bool whole = (x->height < x->width ? x->height : x->width) <= x->size;
    snprintf(group, sizeof group,
             i ? "%s/blocks/swin_transformer_block_%d" : "%s/blocks/swin_transformer_block", stage,
             i);
    snprintf(name, sizeof name, "block_%d", number);
    snprintf(of, sizeof of, "%s_norm_1", name);
    int at = ft_tower_norm(&x->tower, of, input, group, "norm1");
    at = windows(x, name, at, i % 2 && !whole ? x->size / 2 : 0, group);
    const int sum = ft_tower_two(&x->tower, FT_LAYER_ADD, name, "sum_1", input, at);
    snprintf(of, sizeof of, "%s_norm_2", name);
    at = ft_tower_norm(&x->tower, of, sum, group, "norm2");
    at = ft_tower_mlp(&x->tower, name, at, group, "mlp/fc1", "mlp/fc2");
    return ft_tower_two(&x->tower, FT_LAYER_ADD, name, "sum_2", sum, at);
}

/* Exchanges the two middle quarters of the rows of a weight [4 c, ...]. */
static void exchange(struct swin *x, int layer, int w)
{
    struct ft_builder *b = x->tower.b;
    if (b->rc)
        return;
    const struct ft_tensor from = ft_build_at(b, layer)->weights[w];
    float *to = from.data ? ft_build_weight(b, layer, w, from.rank, from.shape) : NULL;
    const size_t quarter = from.count / 4;
    if (!to)
        return;
    memcpy(to, from.data, from.count * sizeof *to);
    memcpy(to + quarter, from.data + 2 * quarter, quarter * sizeof *to);
    memcpy(to + 2 * quarter, from.data + quarter, quarter * sizeof *to);
}

/* Four neighbours become one pixel with their channels side by side, in the order left, right, then
 * the next row; keras_hub has the left column first. A norm and half of the channels follow. */
static int merge(struct swin *x, const char *stage, int number, int at)
{
    char name[NAME], of[NAME];
    const int h = x->height / 2, w = x->width / 2, c = x->channels;
    if (x->height % 2 || x->width % 2)
        return ft_build_fail(x->tower.b, FT_EARG,
                             "a map of %d x %d cannot be halved: give an input size that is a "
                             "multiple of 32",
                             x->height, x->width);
    snprintf(name, sizeof name, "merge_%d", number);
    at = reshape(x, name, "pairs", at, x->height, w, 2 * c);
    at = swap(x, name, "by_column", at);
    at = reshape(x, name, "fours", at, w, h, 4 * c);
    at = swap(x, name, "by_row", at);
    snprintf(of, sizeof of, "%s_norm", name);
    at = ft_tower_norm(&x->tower, of, at, stage, "downsample/norm");
    exchange(x, at, FT_W_GAMMA);
    exchange(x, at, FT_W_BETA);
    snprintf(of, sizeof of, "%s_reduction", name);
    at = ft_tower_dense(&x->tower, of, at, stage, "downsample/reduction");
    exchange(x, at, FT_W_KERNEL);
    x->height = h;
    x->width = w;
    x->channels = 2 * c;
    return at;
}

static int patches(struct swin *x, struct ft_convnet *settings, int at)
{
    struct ft_builder *b = x->tower.b;
    const struct ft_layer_params *input = &ft_build_at(b, 0)->params;
    const int h = input->shape[0], w = input->shape[1],
              patch = (int)ft_convnet_number(settings, ft_field(settings->config, "patch_size"), 4);
    at = ft_build_layer(b, FT_LAYER_CONV2D, "patches", &at, 1);
    ft_build_read(b, at, FT_W_KERNEL, "layers/patch_embedding/proj/vars/0");
    ft_build_read(b, at, FT_W_BIAS, "layers/patch_embedding/proj/vars/1");
    if (b->rc)
        return 0;
    struct ft_layer_params *p = &ft_build_at(b, at)->params;
    p->filters = x->channels;
    p->kernel[0] = p->kernel[1] = p->stride[0] = p->stride[1] = patch;
    if (patch < 1 || h < patch || w < patch)
        return ft_build_fail(b, FT_EFORMAT,
                             "'config.json' has no valid 'image_shape' or "
                             "'patch_size'");
    x->height = h / patch;
    x->width = w / patch;
    return ft_convnet_bool(settings, "patch_norm", true)
               ? ft_tower_norm(&x->tower, "norm_before", at, "layers/patch_embedding", "norm")
               : at;
}

int ft_convnet_swin(struct ft_convnet *settings, int at)
{
    struct ft_builder *b = settings->b;
    const cJSON *depths = ft_convnet_list(settings, "depths"),
                *heads = ft_convnet_list(settings, "num_heads");
    struct swin x = {
        .tower = { .b = b, .root = "", .epsilon = 1e-5, .activation = "gelu" },
        .size = (int)ft_convnet_number(settings, ft_field(settings->config, "window_size"), 7),
        .channels = (int)ft_convnet_number(settings, ft_field(settings->config, "embed_dim"), 96),
    };
    const int stages = ft_convnet_count(depths);
    int made = 0;
    if (x.size < 1 || x.size > 64 || x.channels < 1 || x.channels > 1 << 13)
        return ft_build_fail(b, FT_EFORMAT,
                             "'config.json' has no valid 'window_size' or "
                             "'embed_dim'");
    at = patches(&x, settings, at);
    for (int s = 0; s < stages && !b->rc; s++) {
        const int n = ft_convnet_item(settings, depths, s, 1);
        char stage[NAME];
        snprintf(stage, sizeof stage,
                 s ? "layers/swin_transformer_stage_%d" : "layers/swin_transformer_stage", s);
        x.heads = ft_convnet_item(settings, heads, s, 1);
        if (x.height < x.size || x.width < x.size)
            return ft_build_fail(b, FT_EARG,
                                 "a map of %d x %d is smaller than a window of %d: give a larger "
                                 "input size",
                                 x.height, x.width, x.size);
        for (int i = 0; i < n && !b->rc; i++)
            at = block(&x, stage, ++made, i, at);
        if (s + 1 < stages)
            at = merge(&x, stage, s + 1, at);
    }
    return ft_tower_norm(&x.tower, "norm_after", at, "", "layers/layer_normalization");
}
