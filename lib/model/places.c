#include "model/places.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "graph/plan.h"
#include "network/taps.h"

struct search {
    const struct ft_network *network;
    const struct ft_layer_info *info; /* [n_layers] */
    struct ft_part *parts;            /* [n] */
    size_t n, capacity;
    int features;
};

/* Follows the tokens [1, n] of a layer back to the map of patches that they were made of. Returns
 * the layer of that map and the token of its first patch in *first, or -1. *attends: the tokens
 * depend on one another. */
static int patches_of(const struct search *s, int layer, int *first, bool *attends)
{
    *first = 0;
    *attends = false;
    for (;; layer = s->network->layers[layer].inputs[0]) {
        const struct ft_layer *l = &s->network->layers[layer];
        if (!l->n_inputs)
            return -1;
        const struct ft_layer_info *in = &s->info[l->inputs[0]];
        switch (l->kind) {
        case FT_LAYER_CROPPING:
            *first -= l->params.pad[2];
            break;
        case FT_LAYER_ZERO_PAD:
            *first += l->params.pad[2];
            break;
        case FT_LAYER_RESHAPE:
            if (in->channels != s->info[layer].channels)
                return -1;
            if (in->height > 1)
                return l->inputs[0];
            break;
        case FT_LAYER_ATTENTION:
            *attends = true;
            break;
        case FT_LAYER_ADD:
        case FT_LAYER_DENSE:
        case FT_LAYER_LAYER_NORM:
        case FT_LAYER_RMS_NORM:
        case FT_LAYER_BATCH_NORM:
        case FT_LAYER_ACTIVATION:
        case FT_LAYER_IDENTITY:
        case FT_LAYER_RESCALING:
        case FT_LAYER_MAP_RESCALING:
            break;
        default:
            return -1;
        }
    }
}

/* Where the cells of a part's map are. Tokens without a known place make it a vector. */
static void place(const struct search *s, struct ft_part *part)
{
    const struct ft_layer_info *map = &s->info[part->layer];
    int first = 0;
    bool attends = false;
    part->rows = map->height;
    part->columns = map->width;
    part->n_tokens = map->height * map->width;
    if (map->height != 1)
        return;
    const int patches = patches_of(s, part->layer, &first, &attends);
    const int rows = patches < 0 ? 0 : s->info[patches].height,
              columns = patches < 0 ? 0 : s->info[patches].width;
    if (patches >= 0 && first >= 0 && first + rows * columns <= part->n_tokens) {
        part->rows = rows;
        part->columns = columns;
        part->first = first;
    } else if (patches >= 0 || attends)
        part->layer = -1;
}

static int collect(struct search *s, int layer, struct ft_error *err)
{
    const struct ft_layer *l = &s->network->layers[layer];
    int rc = 0;
    if (l->kind == FT_LAYER_CONCATENATE && ft_network_rank(s->network, layer) == 1) {
        for (int i = 0; !rc && i < l->n_inputs; i++)
            rc = collect(s, l->inputs[i], err);
        return rc;
    }
    if (s->n >= (size_t)s->network->n_layers)
        return ft_error_set(err, FT_ELIMIT, "its features are concatenated too often");
    if (!ft_grow((void **)&s->parts, &s->capacity, s->n, sizeof *s->parts))
        return ft_error_nomem(err, "the explanation");
    const int map = ft_network_averaged(s->network, layer);
    struct ft_part *part = &s->parts[s->n++];
    *part = (struct ft_part){ .layer = map,
                              .from = s->features,
                              .d = s->info[map < 0 ? layer : map].channels };
    s->features += part->d;
    if (map >= 0)
        place(s, part);
    return 0;
}

int ft_parts_find(const struct ft_network *network, int height, int width, struct ft_part **out,
                  int *n, struct ft_error *err)
{
    struct ft_layer_info *info = ft_alloc((size_t)network->n_layers, sizeof *info);
    struct search s = { .network = network, .info = info };
    int rc = info ? ft_network_layers(network, height, width, info, err)
                  : ft_error_nomem(err, "the explanation");
    rc = rc ? rc : collect(&s, network->output, err);
    free(info);
    if (rc) {
        free(s.parts);
        return rc;
    }
    *out = s.parts;
    *n = (int)s.n;
    return 0;
}
