/* A frozen network ready to run: found by name or path, cut where the features are, planned for its input size. */
#include "model/backbone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/file.h"
#include "features/cache.h"
#include "features/extract.h"

#define DEFAULT_BACKBONE "efficientnet-lite0"

int ft_network_head_input(const struct ft_network *n)
{
    int i = n->output;
    bool softmax = false;
    for (;;) { /* upwards through the softmax, where it stands as a layer of its own */
        const struct ft_layer *l = &n->layers[i];
        softmax |= l->params.activation == FT_ACT_SOFTMAX && (l->kind == FT_LAYER_ACTIVATION || l->kind == FT_LAYER_DENSE);
        if (l->kind == FT_LAYER_DENSE)
            return softmax ? l->inputs[0] : -1;
        if (l->kind != FT_LAYER_ACTIVATION && l->kind != FT_LAYER_IDENTITY)
            return -1;
        i = l->inputs[0];
    }
}

/* A name without a slash that is no file here is looked for in the weights folders. */
static int find_file(const char *name, const char *weights_dir, char *path, size_t size, struct ft_error *err)
{
    snprintf(path, size, "%s", name);
    if (strchr(name, '/') || !access(path, R_OK))
        return 0;
    const char *dirs[] = { weights_dir, getenv("FINETUNE_WEIGHTS"), FT_DATADIR, FT_SOURCE_WEIGHTS };
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
        if (!dirs[i])
            continue;
        for (int bare = 0; bare < 2; bare++) {
            snprintf(path, size, "%s/%s%s", dirs[i], name, bare ? "" : ".h5");
            if (!access(path, R_OK))
                return 0;
        }
    }
    return ft_error_set(err, FT_EIO, "no backbone '%s': neither a file, nor in the weights folder '%s'; give the path of a Keras .h5 file, or set FINETUNE_WEIGHTS",
                        name, dirs[0] ? dirs[0] : dirs[1] ? dirs[1] : FT_DATADIR);
}

static char *name_of(const char *path, const cJSON *json)
{
    const cJSON *backbone = cJSON_GetObjectItemCaseSensitive(json, "backbone");
    const char *given = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(backbone, "name"));
    if (given)
        return ft_strdup(given);
    const char *slash = strrchr(path, '/');
    char *name = ft_strdup(slash ? slash + 1 : path);
    char *dot = name ? strrchr(name, '.') : NULL;
    if (dot && dot != name)
        *dot = 0;
    return name;
}

/* The network's own input size; where it leaves it open, what the attribute says, else 224. */
static void input_size(const struct ft_network *network, const cJSON *input, int *height, int *width)
{
    const struct ft_layer_params *p = &network->layers[0].params;
    const cJSON *w = cJSON_GetObjectItemCaseSensitive(input, "width"), *h = cJSON_GetObjectItemCaseSensitive(input, "height");
    const bool spatial = network->layers[0].kind == FT_LAYER_INPUT && p->rank == 3;
    *height = spatial && p->shape[0] > 0 ? p->shape[0] : h && h->valueint > 0 ? h->valueint : 224;
    *width = spatial && p->shape[1] > 0 ? p->shape[1] : w && w->valueint > 0 ? w->valueint : 224;
}

int ft_backbone_new(struct ft_network *network, int last, const char *path, const cJSON *json, const struct ft_backbone_options *options,
                    struct ft_backbone **out, struct ft_error *err)
{
    const cJSON *input = cJSON_GetObjectItemCaseSensitive(json, "input");
    int height, width;
    struct ft_backbone *b = calloc(1, sizeof *b);
    if (!b) {
        ft_network_free(network);
        return ft_error_nomem(err, path);
    }
    b->network = network;
    b->last = last;
    b->path = ft_strdup(path);
    b->name = name_of(path, json);
    int rc = b->path && b->name ? 0 : ft_error_nomem(err, path);
    input_size(network, input, &height, &width);
    if (!rc)
        rc = ft_geometry_read(input, width, height, options ? options->rule : NULL, &b->geometry, err);
    if (!rc)
        rc = ft_plan_new(network, &(struct ft_plan_options){ .height = height, .width = width, .layer = last }, &b->plan, err);
    if (!rc && ft_plan_output(b->plan).rank != 1)
        rc = ft_error_set(err, FT_EUNSUPPORTED, "layer '%s' gives a map, not a vector of features: name a network that ends in global pooling",
                          network->layers[last].name);
    if (rc) {
        ft_backbone_free(b);
        return ft_error_prefix(err, rc, "'%s'", path);
    }
    *out = b;
    return 0;
}

int ft_backbone_open(const char *name, const struct ft_backbone_options *options, struct ft_backbone **out, struct ft_error *err)
{
    char path[4096];
    struct ft_network *network;
    int rc = find_file(name ? name : DEFAULT_BACKBONE, options ? options->weights_dir : NULL, path, sizeof path, err);
    if (!rc)
        rc = ft_network_open(path, NULL, &network, err);
    if (rc)
        return rc;
    const int head = ft_network_head_input(network);
    cJSON *json = network->attribute ? cJSON_Parse(network->attribute) : NULL;
    rc = ft_backbone_new(network, head >= 0 ? head : network->output, path, json, options, out, err);
    cJSON_Delete(json);
    return rc;
}

void ft_backbone_free(struct ft_backbone *b)
{
    if (!b)
        return;
    ft_plan_free(b->plan);
    ft_network_free(b->network);
    free(b->path);
    free(b->name);
    free(b);
}

const char *ft_backbone_name(const struct ft_backbone *b)
{
    return b->name;
}

int ft_backbone_features(const struct ft_backbone *b)
{
    return ft_plan_output(b->plan).c;
}

const struct ft_geometry *ft_backbone_geometry(const struct ft_backbone *b)
{
    return &b->geometry;
}

int ft_backbone_layers(const struct ft_backbone *b)
{
    return ft_plan_steps(b->plan);
}

void ft_backbone_layer(const struct ft_backbone *b, int i, struct ft_layer_info *out)
{
    ft_plan_step(b->plan, i, out);
}

/* Everything beside the picture that its feature depends on: the network, how a picture enters it, and which kernels round how. Raise
 * RECIPE when decoding, resizing or a kernel changes what comes out. */
static void cache_key(const struct ft_backbone *b, uint64_t key[2])
{
    enum { RECIPE = 1 };
    const struct ft_geometry *g = &b->geometry;
    uint64_t network[2];
    char text[300];
    ft_network_hash(b->network, b->last, network);
    const int n = snprintf(text, sizeof text, "%d %016llx%016llx %dx%d %d %d %a %s", RECIPE, (unsigned long long)network[0], (unsigned long long)network[1],
                           g->width, g->height, g->rule, g->filter, g->rule == FT_RESIZE_CROP ? g->crop : 1.0, ft_cpu_name());
    ft_hash(text, (size_t)n, key);
}

int ft_extract(const struct ft_backbone *b, const struct ft_extract_options *options, const char *(*next)(void *),
               int (*emit)(void *, const struct ft_row *), void *user, struct ft_error *err)
{
    if (options->cache) {
        uint64_t key[2];
        cache_key(b, key);
        ft_cache_select(options->cache, key, ft_backbone_features(b));
    }
    return ft_extract_plan(b->plan, &b->geometry, options, next, emit, user, err);
}
