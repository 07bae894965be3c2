/* Features of several layers: blocks of one vector. */
#include <stdlib.h>
#include <string.h>

#include "backbone/backbone.h"
#include "base/error.h"
#include "base/memory.h"
#include "network/edit.h"
#include "network/taps.h"

/* Writes the layers with the names "NAME,NAME" to taps, and their number to *n. */
static int named_layers(const struct ft_network *network, const char *names, int *taps, int *n,
                        struct ft_error *err)
{
    for (const char *at = names; *at;) {
        const size_t length = strcspn(at, ",");
        char *name = strndup(at, length);
        const int layer = name ? ft_network_find(network, name) : -1;
        const int rc =
            !name ? ft_error_nomem(err, "the names of layers")
            : layer < 0
                ? ft_error_set(err, FT_EARG,
                               "there is no layer '%s': finetune info --layers lists them", name)
                : 0;
        free(name);
        if (rc)
            return rc;
        taps[(*n)++] = layer;
        at += length + (at[length] == ',');
    }
    return 0;
}

/* The maps of all depths. Of a transformer with a class token, these are the class tokens of its
 * blocks. */
static int find_taps(struct ft_network *network, int last, int *taps, int *n, struct ft_error *err)
{
    *n = ft_network_taps(network, last, taps);
    const int class = *n < 0 ? *n : ft_network_class_token(network, last, taps, *n);
    if (class == FT_ENOMEM)
        return ft_error_nomem(err, "the layers of the features");
    int rc = 0;
    for (int i = 0; !rc && class >= 0 && i < *n; i++)
        rc = ft_network_repeat(network, class, taps[i], &taps[i], err);
    return rc;
}

int ft_backbone_add_layers(struct ft_backbone *b, const char *layers, struct ft_error *err)
{
    b->top = b->last;
    if (!layers || !strcmp(layers, "last"))
        return 0;
    const size_t most = (size_t)b->last + strlen(layers) + 2; /* names take a character each */
    int *taps = ft_alloc(most, sizeof *taps), n = 0, rc = 0;
    if (!taps)
        return ft_error_nomem(err, "the layers of the features");
    if (strcmp(layers, "all") && strcmp(layers, "auto"))
        rc = named_layers(b->network, layers, taps, &n, err);
    else
        rc = find_taps(b->network, b->last, taps, &n, err);
    if (!rc && n > 0) {
        taps[n] = b->top;
        rc = ft_network_concatenate(b->network, taps, n + 1, &b->last, err);
    }
    free(taps);
    return rc;
}

/* Sets the names and widths of the blocks that layers [n] give. The width is that of the averaged
 * map: layers that follow a Dense layer of another input size have no known shape. */
static int set_blocks(struct ft_backbone *b, const int *layers, int n, struct ft_error *err)
{
    const struct ft_network *network = b->network;
    struct ft_layer_info *info = ft_alloc((size_t)network->n_layers, sizeof *info);
    b->blocks = ft_alloc((size_t)n, sizeof *b->blocks);
    b->widths = ft_alloc((size_t)n, sizeof *b->widths);
    const int rc =
        info && b->blocks && b->widths
            ? ft_network_layers(network, b->geometry.height, b->geometry.width, info, err)
            : ft_error_nomem(err, "the layers of the features");
    for (int i = 0, from = 0; !rc && i < n; i++) {
        const int map = ft_network_averaged(network, layers[i]);
        int at = map < 0 ? layers[i] : map;
        if (network->layers[at].kind == FT_LAYER_CROPPING) /* a class token */
            at = network->layers[at].inputs[0];
        b->blocks[i] = (struct ft_block){ network->layers[at].name, from, info[at].channels };
        from += b->widths[i] = b->blocks[i].width;
    }
    free(info);
    b->n_blocks = n;
    return rc;
}

int ft_backbone_find_blocks(struct ft_backbone *b, struct ft_error *err)
{
    const struct ft_layer *all = &b->network->layers[b->last];
    if (b->top == b->last)
        return set_blocks(b, &b->last, 1, err);
    return set_blocks(b, all->inputs, all->n_inputs, err);
}

const struct ft_block *ft_backbone_blocks(const struct ft_backbone *b, int *n)
{
    *n = b->n_blocks;
    return b->blocks;
}

const int *ft_backbone_widths(const struct ft_backbone *b, int *n)
{
    *n = b->n_blocks;
    return b->widths;
}
