/* The range of pixels that a network expects. In Keras the preprocessing is a function outside the
 * network (preprocess_input in keras/src/applications/imagenet_utils.py). Here it is recognised by
 * layers that only one family has, and becomes a layer of the network. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "backbone/backbone.h"
#include "network/edit.h"

struct mode {
    const char *name;
    float scale[3], offset[3]; /* red, green, blue */
    bool reversed;
};

static const struct mode modes[] = {
    { "none", { 1, 1, 1 }, { 0, 0, 0 }, false },
    { "tf", { 1 / 127.5f, 1 / 127.5f, 1 / 127.5f }, { -1, -1, -1 }, false },
    { "torch",
      { 1 / (255 * 0.229f), 1 / (255 * 0.224f), 1 / (255 * 0.225f) },
      { -0.485f / 0.229f, -0.456f / 0.224f, -0.406f / 0.225f },
      false },
    { "caffe", { 1, 1, 1 }, { -123.68f, -116.779f, -103.939f }, true },
    { "lite",
      { 1 / 128.f, 1 / 128.f, 1 / 128.f },
      { -127 / 128.f, -127 / 128.f, -127 / 128.f },
      false },
};

/* The first row whose layer exists decides. The last row but one has the names of
 * sebastian-sz/efficientnet-lite-keras. */
static const struct {
    const char *layer, *without, *mode;
} families[] = {
    { "block2_sepconv1", NULL, "tf" },        /* Xception, which has a block1_conv1 too */
    { "block5_conv3", NULL, "caffe" },        /* VGG */
    { "conv2_block1_preact_bn", NULL, "tf" }, /* ResNet V2 */
    { "conv2_block1_0_bn", "conv2_block1_add", "torch" }, /* DenseNet */
    { "conv2_block1_1_conv", "conv2_block1_add", "torch" },
    { "conv2_block1_1_conv", NULL, "caffe" }, /* ResNet */
    { "res2a_branch2a", NULL, "caffe" },      /* ResNet of Keras 2.0 */
    { "conv_7b", NULL, "tf" },                /* InceptionResNetV2 */
    { "mixed10", NULL, "tf" },                /* InceptionV3 */
    { "conv_dw_1", NULL, "tf" },              /* MobileNet */
    { "block_1_expand", NULL, "tf" },         /* MobileNetV2 */
    { "normal_conv_1_0", NULL, "tf" },        /* NASNet */
    { "normal_conv_1_1", NULL, "tf" },
    { "block1a_dwconv", "block1a_se_reduce", "lite" }, /* EfficientNet-Lite */
};

static const struct mode *find_mode(const char *name)
{
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (!strcmp(modes[i].name, name))
            return &modes[i];
    return NULL;
}

/* A mode's name, or SCALE,OFFSET. */
static int parse(const char *text, struct mode *out, struct ft_error *err)
{
    const struct mode *known = find_mode(text);
    char *end, *last;
    if (known) {
        *out = *known;
        return 0;
    }
    const float scale = strtof(text, &end), offset = *end == ',' ? strtof(end + 1, &last) : 0;
    if (end == text || *end != ',' || last == end + 1 || *last || !(scale - scale == 0) ||
        !(offset - offset == 0) || scale == 0)
        return ft_error_set(err, FT_EARG,
                            "preprocessing '%s' is not known: tf, torch, caffe, none, or "
                            "SCALE,OFFSET as in 0.00784,-1",
                            text);
    *out = (struct mode){ "scale", { scale, scale, scale }, { offset, offset, offset }, false };
    return 0;
}

static const char *recognise(const struct ft_network *n)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (ft_network_find(n, families[i].layer) >= 0 &&
            (!families[i].without || ft_network_find(n, families[i].without) < 0))
            return families[i].mode;
    return NULL;
}

/* Returns whether the output of a layer is still pixels: it is the input, or a layer that only
 * mixes or moves its colours (a 1 x 1 convolution without a bias). */
static bool on_pixels(const struct ft_layer *l)
{
    switch (l->kind) {
    case FT_LAYER_INPUT:
    case FT_LAYER_RESCALING:
    case FT_LAYER_MAP_RESCALING:
    case FT_LAYER_IDENTITY:
    case FT_LAYER_ACTIVATION:
    case FT_LAYER_ZERO_PAD:
    case FT_LAYER_CROPPING:
    case FT_LAYER_RESIZE:
    case FT_LAYER_CONCATENATE:
        return true;
    case FT_LAYER_CONV2D:
        return l->params.kernel[0] == 1 && l->params.kernel[1] == 1 && l->params.filters <= 3 &&
               !l->weights[FT_W_BIAS].data && l->params.activation == FT_ACT_LINEAR;
    default:
        return false;
    }
}

/* Returns whether the network scales pixels itself, before its first convolution. */
static int scales(const struct ft_network *n, bool *out, struct ft_error *err)
{
    bool *pixels = calloc((size_t)n->n_layers, sizeof *pixels);
    if (!pixels)
        return ft_error_nomem(err, "layers");
    *out = n->n_layers > 1 && n->layers[1].kind == FT_LAYER_BATCH_NORM;
    for (int i = 0; i < n->n_layers; i++) {
        const struct ft_layer *l = &n->layers[i];
        bool all = on_pixels(l);
        for (int k = 0; all && k < l->n_inputs; k++)
            all = pixels[l->inputs[k]];
        pixels[i] = all;
        *out |= all && (l->kind == FT_LAYER_RESCALING || l->kind == FT_LAYER_MAP_RESCALING);
    }
    free(pixels);
    return 0;
}

static int apply(struct ft_network *n, const struct mode *m, struct ft_error *err)
{
    const struct ft_layer_params *p = &n->layers[0].params;
    const int channels = p->rank == 3 ? p->shape[2] : 0;
    if (!strcmp(m->name, "none"))
        return 0;
    if (channels == 3)
        return ft_network_scale(n, 3, m->scale, m->offset, m->reversed, err);
    if (channels != 1 || m->reversed || m->scale[0] != m->scale[1])
        return ft_error_set(
            err, FT_EARG, "preprocessing '%s' needs 3 colours, but the input of the network has %d",
            m->name, channels);
    return ft_network_scale(n, 1, m->scale, m->offset, false, err);
}

int ft_preprocess(struct ft_network *n, const char *wanted, char *warning, size_t size,
                  struct ft_error *err)
{
    struct mode mode;
    const char *name = wanted;
    *warning = 0;
    if (n->attribute) /* written by this program, so its input is RGB 0-255 */
        return wanted ? ft_error_set(err, FT_EARG,
                                     "preprocessing cannot be changed: it is part of this file")
                      : 0;
    if (!name)
        name = n->preprocess;
    bool scaled = false;
    const int rc_scales = name ? 0 : scales(n, &scaled, err);
    if (rc_scales || scaled)
        return rc_scales;
    if (!name && (name = recognise(n)))
        snprintf(warning, size,
                 "the names of its layers are those of a published network, so pixels are scaled "
                 "as for that network ('%s'); if it was trained otherwise, set "
                 "--preprocess (0.00392157,0 for pixels / 255)",
                 name);
    if (!name) {
        snprintf(warning, size,
                 "the pixel scaling that the network expects is not known, so its input is 0-255: "
                 "set the scaling with --preprocess (tf, torch, caffe, none, or SCALE,OFFSET)");
        return 0;
    }
    const int rc = parse(name, &mode, err);
    return rc ? rc : apply(n, &mode, err);
}
