/* The blocks of MobileNetV5 (keras_hub/src/models/mobilenetv5; they are those of MobileNetV4: D.
 * Qin et al., 2024). Weights are read with each layer; how many channels it has, and how many
 * heads, is in their shapes. A layer scale becomes part of the layer before it.
 *
 * The blocks "ir" and "mha", and squeeze and excitation, are refused: keras_hub 0.32 cannot build
 * the first and the last, and of "mha" it mixes rows, columns and channels.
 */
#include "presets/mobilenet_v5.h"

#include <stdio.h>
#include <string.h>

enum { PATH = FT_TOWER_PATH, NAME = FT_TOWER_NAME };

/* ---- layers ---------------------------------------------------------------------------------- */

static void read_weight(struct ft_v5 *v, int layer, int w, const char *part, int variable,
                        bool required)
{
    char path[2 * PATH];
    snprintf(path, sizeof path, "%s/%s/vars/%d", v->group, part, variable);
    const struct ft_tensor t = ft_build_tensor(v->x->b, path, required);
    if (!v->x->b->rc)
        ft_build_at(v->x->b, layer)->weights[w] = t;
}

/* A convolution of the last map with padding "same". `each`: Keras's DepthwiseConv2D. */
static void convolve(struct ft_v5 *v, const char *name, const char *part, int stride, bool each)
{
    struct ft_builder *b = v->x->b;
    struct ft_v5_map *m = &v->map;
    const int at = ft_convnet_window(v->x, each ? FT_LAYER_DEPTHWISE_CONV2D : FT_LAYER_CONV2D, name,
                                     m->at, 1, stride, true);
    read_weight(v, at, FT_W_KERNEL, part, 0, true);
    read_weight(v, at, FT_W_BIAS, part, 1, false);
    if (b->rc)
        return;
    struct ft_layer_params *p = &ft_build_at(b, at)->params;
    const struct ft_tensor *kernel = &ft_build_at(b, at)->weights[FT_W_KERNEL];
    const int inputs = kernel->rank == 4 ? (int)kernel->shape[2] : 0;
    if (!inputs || m->channels % inputs ||
        (each && (inputs != m->channels || kernel->shape[3] != 1))) {
        ft_build_fail(b, FT_EFORMAT, "the kernel of '%s' does not fit a map of %d channels",
                      ft_build_at(b, at)->name, m->channels);
        return;
    }
    for (int i = 0; i < 2; i++) {
        p->kernel[i] = (int)kernel->shape[i];
        p->dilation[i] = v->dilation;
    }
    if (!each) {
        p->groups = m->channels / inputs;
        p->filters = m->channels = (int)kernel->shape[3];
    }
    m->height = (m->height + stride - 1) / stride;
    m->width = (m->width + stride - 1) / stride;
    m->at = at;
}

void ft_v5_normalise(struct ft_v5 *v, const char *name, const char *part, double epsilon)
{
    const int at =
        ft_convnet_one(v->x, v->rms ? FT_LAYER_RMS_NORM : FT_LAYER_BATCH_NORM, name, v->map.at);
    for (int w = 0; w < (v->rms ? 1 : 4); w++)
        read_weight(v, at, w, part, w, true);
    if (v->x->b->rc)
        return;
    ft_build_at(v->x->b, at)->params.epsilon = v->rms ? 1e-6F : (float)epsilon;
    v->map.at = at;
}

/* ConvNormAct of keras_hub. */
void ft_v5_conv_norm(struct ft_v5 *v, const char *part, int stride)
{
    char name[NAME], group[NAME];
    snprintf(name, sizeof name, "%s_conv", part);
    snprintf(group, sizeof group, "%s%sconv", part, *part ? "/" : "");
    convolve(v, name, group, stride, false);
    snprintf(name, sizeof name, "%s_norm", part);
    snprintf(group, sizeof group, "%s%snorm", part, *part ? "/" : "");
    ft_v5_normalise(v, name, group, 1e-5);
}

void ft_v5_activate(struct ft_v5 *v, const char *name, enum ft_activation activation)
{
    v->map.at = ft_convnet_activate(v->x, name, v->map.at, activation);
}

/* The weights first .. last of the last layer times the layer scale of the block. */
static void scale(struct ft_v5 *v, int layer, int first, int last)
{
    const struct ft_tensor gamma = ft_tower_layer_scale(&v->tower, v->group, "layer_scale");
    for (int w = first; w <= last; w++)
        ft_tower_scale(&v->tower, layer, w, &gamma, 1);
}

static void add(struct ft_v5 *v, const char *name, const struct ft_v5_map *input)
{
    v->map.at = ft_convnet_two(v->x, FT_LAYER_ADD, name, v->map.at, input->at);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* "layers/STEM" or "layers/STEM_n" becomes the group. */
static void enter(struct ft_v5 *v, const char *stem, int n)
{
    snprintf(v->group, sizeof v->group, n ? "layers/%s_%d" : "layers/%s", stem, n);
}

/* A size that may be 0: no layer. */
static bool has(struct ft_v5 *v, const struct ft_v5_block *k, const char *key)
{
    const cJSON *size = ft_convnet_cell(v->x, key, k->stack, k->i);
    return cJSON_IsArray(size) || ft_convnet_number(v->x, size, 0) > 0;
}

/* The inverted residual with up to three convolutions of each channel. */
static void universal_block(struct ft_v5 *v, const struct ft_v5_block *k)
{
    const struct ft_v5_map input = v->map;
    const bool start = has(v, k, "stackwise_dw_start_kernel_sizes"),
               mid = has(v, k, "stackwise_dw_kernel_sizes"),
               end = has(v, k, "stackwise_dw_end_kernel_sizes");
    enter(v, "universal_inverted_residual", v->residuals++);
    if (start)
        ft_v5_conv_norm(v, "dw_start", mid ? 1 : k->stride);
    ft_v5_conv_norm(v, "pw_exp", 1);
    ft_v5_activate(v, "pw_exp_act", k->activation);
    if (mid) {
        ft_v5_conv_norm(v, "dw_mid", k->stride);
        ft_v5_activate(v, "dw_mid_act", k->activation);
    }
    ft_v5_conv_norm(v, "pw_proj", 1);
    if (end)
        ft_v5_conv_norm(v, "dw_end", start || mid ? 1 : k->stride);
    if (v->scaled)
        scale(v, v->map.at, FT_W_GAMMA, v->rms ? FT_W_GAMMA : FT_W_BETA);
    if (k->stride == 1 && input.channels == v->map.channels)
        add(v, "add", &input);
}

static void edge_block(struct ft_v5 *v, const struct ft_v5_block *k)
{
    const struct ft_v5_map input = v->map;
    enter(v, "edge_residual", v->edges++);
    ft_v5_conv_norm(v, "conv_exp", k->stride);
    ft_v5_activate(v, "conv_exp_act", k->activation);
    const int dilation = v->dilation;
    v->dilation = 1;
    ft_v5_conv_norm(v, "conv_pwl", 1);
    v->dilation = dilation;
    if (k->stride == 1 && input.channels == v->map.channels)
        add(v, "add", &input);
}

/* The map of keys or values ("key", "value"), of fewer rows and columns. */
static int reduced(struct ft_v5 *v, const char *which, int stride)
{
    const struct ft_v5_map map = v->map;
    char name[NAME], part[PATH];
    snprintf(name, sizeof name, "%s_reduction", which);
    snprintf(part, sizeof part, "attn/%s_layers/depthwise_conv2d", which);
    convolve(v, name, part, stride, true);
    snprintf(name, sizeof name, "%s_norm", which);
    snprintf(part, sizeof part, "attn/%s_layers/%s", which,
             v->rms ? "rms_norm2d" : "batch_normalization");
    ft_v5_normalise(v, name, part, 1e-3);
    const int at = v->map.at;
    v->map = map;
    return at;
}

/* Without data after an error. */
static struct ft_tensor weight_of(struct ft_v5 *v, int layer, int w)
{
    struct ft_tensor t = { 0 };
    if (!v->x->b->rc)
        t = ft_build_at(v->x->b, layer)->weights[w];
    return t;
}

/* The kernel of a 1 x 1 convolution, [c, n] of [1, 1, c, n]; its bias becomes weight w + 1. */
static struct ft_tensor projection(struct ft_v5 *v, int layer, int w, const char *which)
{
    char part[PATH];
    snprintf(part, sizeof part, "attn/%s_layers/conv2d", which);
    read_weight(v, layer, w, part, 0, true);
    read_weight(v, layer, w + 1, part, 1, false);
    struct ft_tensor t = weight_of(v, layer, w);
    const struct ft_tensor bias = weight_of(v, layer, w + 1);
    if (!v->x->b->rc && (t.rank != 4 || t.shape[0] != 1 || t.shape[1] != 1 ||
                         (bias.data && (bias.rank != 1 || bias.shape[0] != t.shape[3]))))
        ft_build_fail(v->x->b, FT_EFORMAT, "the kernel of '%s' is not that of a dense layer",
                      ft_build_at(v->x->b, layer)->name);
    t.rank = 2;
    t.shape[0] = t.shape[2];
    t.shape[1] = t.shape[3];
    return t;
}

/* Weight w [rows, n] as [rows, heads, n]: all heads have the same. rows 1: a bias. */
static void repeat(struct ft_v5 *v, int layer, int w, int heads)
{
    if (v->x->b->rc)
        return;
    const struct ft_tensor t = ft_build_at(v->x->b, layer)->weights[w];
    const int64_t n = t.data ? t.shape[t.rank - 1] : 1, rows = (int64_t)t.count / n,
                  shape[] = { rows, heads, n };
    const bool bias = t.rank == 1;
    float *to =
        t.data ? ft_build_weight(v->x->b, layer, w, bias ? 2 : 3, bias ? shape + 1 : shape) : NULL;
    for (int64_t i = 0; to && i < rows * heads; i++)
        memcpy(to + i * n, t.data + i / heads * n, (size_t)n * sizeof *to);
}

/* All heads have the same keys and values (N. Shazeer, Fast Transformer Decoding, 2019). */
static void share(struct ft_v5 *v, int layer, const struct ft_tensor of[4])
{
    if (v->x->b->rc)
        return;
    struct ft_layer *l = ft_build_at(v->x->b, layer);
    const int64_t c = of[0].shape[0], units = of[1].shape[1], filters = of[2].shape[1],
                  heads = of[0].shape[1] / units;
    if (of[0].shape[1] != heads * units || of[3].shape[0] != heads * filters) {
        ft_build_fail(v->x->b, FT_EFORMAT, "the attention of '%s' cannot be divided into %d heads",
                      l->name, (int)heads);
        return;
    }
    l->params.groups = (int)heads;
    l->params.units = (int)units;
    l->params.filters = (int)filters;
    for (int i = 0; i < 4; i++)
        l->weights[FT_W_QUERY + 2 * i] = of[i];
    struct ft_tensor *query = &l->weights[FT_W_QUERY], *bias = &l->weights[FT_W_QUERY + 1],
                     *output = &l->weights[FT_W_OUTPUT];
    *query = (struct ft_tensor){ 3, { c, heads, units }, query->count, query->data };
    *output =
        (struct ft_tensor){ 3, { heads, filters, of[3].shape[1] }, output->count, output->data };
    if (bias->data)
        *bias = (struct ft_tensor){ 2, { heads, units }, bias->count, bias->data };
    for (int w = FT_W_KEY; w < FT_W_OUTPUT; w++)
        repeat(v, layer, w, (int)heads);
}

static void attention_block(struct ft_v5 *v, const struct ft_v5_block *k)
{
    static const char *const parts[] = { "query", "key", "value", "output_proj" };
    struct ft_builder *b = v->x->b;
    const int stride = ft_convnet_cell_int(v->x, "stackwise_kv_strides", k->stack, k->i, 0);
    struct ft_v5_map input = v->map;
    struct ft_tensor of[4];
    enter(v, "mobile_attention", v->attentions++);
    if (cJSON_IsTrue(ft_convnet_cell(v->x, "stackwise_use_cpe", k->stack, k->i))) {
        convolve(v, "positions", "conv_cpe_dw", 1, true);
        add(v, "positioned", &input);
        input = v->map;
    }
    ft_v5_normalise(v, "norm", "norm", 1e-3);
    int inputs[3] = { v->map.at, 0, 0 };
    if (stride > 1) {
        inputs[1] = reduced(v, "value", stride);
        inputs[2] = reduced(v, "key", stride);
    }
    const int at =
        ft_convnet_merge(v->x, FT_LAYER_ATTENTION, "attention", inputs, stride > 1 ? 3 : 1);
    for (int i = 0; i < 4; i++)
        of[i] = projection(v, at, FT_W_QUERY + 2 * i, parts[i]);
    share(v, at, of);
    if (v->scaled)
        scale(v, at, FT_W_OUTPUT, FT_W_OUTPUT_BIAS);
    v->map.at = at;
    v->map.channels = b->rc ? 1 : (int)of[3].shape[1];
    if (k->stride == 1 && input.channels == v->map.channels)
        add(v, "add", &input);
}

void ft_v5_make_block(struct ft_v5 *v, const struct ft_v5_block *k)
{
    static const struct {
        const char *type;
        void (*build)(struct ft_v5 *v, const struct ft_v5_block *k);
    } types[] = { { "uir", universal_block }, { "er", edge_block }, { "mqa", attention_block } };
    size_t t = 0;
    while (k->type && t < sizeof types / sizeof *types && strcmp(types[t].type, k->type) != 0)
        t++;
    if (!k->type || t == sizeof types / sizeof *types)
        ft_build_fail(v->x->b, FT_EUNSUPPORTED,
                      "the block type '%.60s' of MobileNetV5 is not supported: only 'uir', 'er' "
                      "and 'mqa' are",
                      k->type ? k->type : "null");
    else if (strcmp(k->type, "mqa") != 0 && has(v, k, "stackwise_se_ratios"))
        ft_build_fail(v->x->b, FT_EUNSUPPORTED,
                      "squeeze and excitation in MobileNetV5 is not supported");
    else
        types[t].build(v, k);
}
