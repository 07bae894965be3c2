/* A frozen network ready to run: found by name or path, cut at the layer that gives the features,
 * and planned for its input size. */
#include "backbone/backbone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/blas.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "image/icc.h"
#include "network/edit.h"

/* Returns whether the output of `layer` has one pixel: because of global pooling, or because it was
 * reshaped. */
static bool one_pixel(const struct ft_network *n, int layer)
{
    for (;;) {
        const struct ft_layer *l = &n->layers[layer];
        switch (l->kind) {
        case FT_LAYER_GLOBAL_AVERAGE_POOL:
        case FT_LAYER_GLOBAL_MAX_POOL:
            return true;
        case FT_LAYER_RESHAPE:
            return l->params.rank == 3 && l->params.shape[0] == 1 && l->params.shape[1] == 1;
        case FT_LAYER_CONV2D:
        case FT_LAYER_BATCH_NORM:
        case FT_LAYER_ACTIVATION:
        case FT_LAYER_IDENTITY:
        case FT_LAYER_RESCALING:
        case FT_LAYER_ADD:
        case FT_LAYER_MULTIPLY:
            layer = l->inputs[0];
            break;
        default:
            return false;
        }
    }
}

int ft_network_head(const struct ft_network *n, enum ft_activation *activation)
{
    enum ft_activation found = FT_ACT_LINEAR;
    bool flat = false;
    for (int i = n->output;; i = n->layers[i].inputs[0]) { /* the activation may be a layer */
        const struct ft_layer *l = &n->layers[i];
        const enum ft_activation own = l->params.activation;
        const bool dense = l->kind == FT_LAYER_DENSE && !flat && ft_network_rank(n, i) == 1,
                   pixel = l->kind == FT_LAYER_CONV2D && flat && l->params.kernel[0] == 1 &&
                           l->params.kernel[1] == 1 && l->params.groups == 1 &&
                           one_pixel(n, l->inputs[0]);
        const bool passes = l->kind == FT_LAYER_ACTIVATION || l->kind == FT_LAYER_IDENTITY ||
                            l->kind == FT_LAYER_RESHAPE || l->kind == FT_LAYER_FLATTEN;
        if (!dense && !pixel && !passes)
            return -1;
        flat |= l->kind == FT_LAYER_RESHAPE || l->kind == FT_LAYER_FLATTEN;
        if (own != FT_ACT_LINEAR && (dense || pixel || l->kind == FT_LAYER_ACTIVATION)) {
            if (activation && found != FT_ACT_LINEAR)
                return -1;
            found = own;
        }
        if (!dense && !pixel)
            continue;
        if (activation && found != FT_ACT_LINEAR && found != FT_ACT_SOFTMAX &&
            found != FT_ACT_SIGMOID)
            return -1;
        if (activation)
            *activation = found;
        return i;
    }
}

int ft_weights_folders(const char *weights_dir, const char *dirs[4])
{
    const char *all[] = { weights_dir, getenv("FINETUNE_WEIGHTS"), FT_DATADIR, FT_SOURCE_WEIGHTS };
    int n = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i])
            dirs[n++] = all[i];
    return n;
}

bool ft_architectures_folder(const char *weights_dir, char *path, size_t size)
{
    const char *dirs[4];
    const int n = ft_weights_folders(weights_dir, dirs);
    for (int i = 0; i < n; i++) {
        snprintf(path, size, "%s/architectures", dirs[i]);
        if (!access(path, R_OK))
            return true;
    }
    return false;
}

int ft_backbone_network(const char *path, const struct ft_backbone_options *o,
                        struct ft_network **out, struct ft_error *err)
{
    char folder[4096];
    ft_blas_alone(); /* early: its threads take the time of who reads the network */
    const bool there = ft_architectures_folder(o ? o->weights_dir : NULL, folder, sizeof folder);
    const struct ft_reader_options options = { .architectures = there ? folder : NULL,
                                               .architecture = o ? o->architecture : NULL,
                                               .size = o ? o->size : 0 };
    return ft_network_open(path, &options, out, err);
}

char *ft_backbone_name_of(const struct ft_network *network, const char *path, const cJSON *json)
{
    const cJSON *backbone = cJSON_GetObjectItemCaseSensitive(json, "backbone");
    const char *given = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(backbone, "name"));
    if (given)
        return ft_strdup(given);
    if (network->preprocess) /* of a file that has weights only */
        return ft_strdup(network->name);
    const char *slash = strrchr(path, '/');
    char *name = ft_strdup(slash ? slash + 1 : path);
    char *dot = name ? strrchr(name, '.') : NULL;
    if (dot && dot != name)
        *dot = 0;
    return name;
}

void ft_input_size(struct ft_network *network, const cJSON *input, int asked, int *height,
                   int *width)
{
    struct ft_layer_params *p = &network->layers[0].params;
    const cJSON *w = cJSON_GetObjectItemCaseSensitive(input, "width"),
                *h = cJSON_GetObjectItemCaseSensitive(input, "height");
    const bool spatial = network->layers[0].kind == FT_LAYER_INPUT && p->rank == 3;
    for (int i = 0; asked && spatial && i < 2; i++)
        if (p->shape[i] > 0)
            p->shape[i] = asked;
    *height = asked                        ? asked
              : spatial && p->shape[0] > 0 ? p->shape[0]
              : h && h->valueint > 0       ? h->valueint
                                           : 224;
    *width = asked                        ? asked
             : spatial && p->shape[1] > 0 ? p->shape[1]
             : w && w->valueint > 0       ? w->valueint
                                          : 224;
}

/* The defaults if the file does not give a rule. Teachable Machine crops pictures to the largest
 * square. The data loaders of Keras (image_dataset_from_directory, load_img) squash the picture. */
static struct ft_geometry default_geometry(const struct ft_network *network, bool foreign)
{
    const bool teachable = ft_network_find(network, "dense_Dense2") >= 0,
               loaders = foreign && !teachable;
    return (struct ft_geometry){ .rule = loaders ? FT_RESIZE_SQUASH : FT_RESIZE_CROP,
                                 .filter = loaders ? FT_FILTER_BILINEAR : FT_FILTER_BICUBIC,
                                 .crop = teachable ? 1 : 0.875 };
}

/* `whole`: a backbone with the same network, whose last block is the feature; NULL: none. */
static int make(struct ft_network *network, int last, const char *path, const cJSON *json,
                bool foreign, const struct ft_backbone_options *options,
                const struct ft_backbone *whole, struct ft_backbone **out, struct ft_error *err)
{
    const cJSON *input = cJSON_GetObjectItemCaseSensitive(json, "input");
    int height, width;
    struct ft_backbone *b = calloc(1, sizeof *b);
    if (!b) {
        ft_network_free(network);
        return ft_error_nomem(err, path);
    }
    atomic_init(&b->owners, 1);
    b->workspaces = ft_workspaces_new();
    b->network = network;
    b->last = last;
    b->path = ft_strdup(path);
    b->name = ft_backbone_name_of(network, path, json);
    int rc = b->path && b->name && b->workspaces ? 0 : ft_error_nomem(err, path);
    enum ft_precision precision;
    if (!rc)
        rc = ft_precision_choose(options ? options->precision : NULL, json, &precision, &b->ranges,
                                 err);
    ft_input_size(network, input, options ? options->size : 0, &height, &width);
    b->geometry = default_geometry(network, foreign);
    b->geometry.icc = options && options->icc;
    if (!rc)
        rc = ft_geometry_read(input, width, height, options ? options->rule : NULL, &b->geometry,
                              err);
    if (!rc && b->geometry.icc)
        rc = ft_icc_check(err);
    if (!rc && ft_network_rank(network, last) == 3)
        rc = ft_network_pool(network, last, &b->last, err);
    const bool blocks = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(json, "backbone"), "blocks");
    if (!rc)
        rc = ft_backbone_add_layers(b, options ? options->layers : NULL, err);
    if (!rc && whole)
        rc = ft_plan_tail(whole->plan, whole->widths[whole->n_blocks - 1], &b->plan, err);
    else if (!rc)
        rc = ft_plan_new(network,
                         &(struct ft_plan_options){ .height = height,
                                                    .width = width,
                                                    .layer = b->last,
                                                    .precision = precision,
                                                    .ranges = &b->ranges },
                         &b->plan, err);
    if (!rc && options && !options->size)
        rc = ft_workspace_check(b->plan, network, err);
    if (!rc && ft_plan_output(b->plan).rank != 1)
        rc = ft_error_set(err, FT_EUNSUPPORTED,
                          "layer '%s' gives neither a map nor a vector of features",
                          network->layers[b->last].name);
    if (!rc && blocks && b->top == b->last && network->layers[b->last].kind == FT_LAYER_CONCATENATE)
        b->top = network->layers[b->last].inputs[network->layers[b->last].n_inputs - 1];
    if (!rc)
        rc = ft_backbone_find_blocks(b, err);
    if (rc) {
        ft_backbone_free(b);
        return ft_error_prefix(err, rc, "'%s'", path);
    }
    *out = b;
    return 0;
}

int ft_backbone_new(struct ft_network *network, int last, const char *path, const cJSON *json,
                    bool foreign, const struct ft_backbone_options *options,
                    struct ft_backbone **out, struct ft_error *err)
{
    return make(network, last, path, json, foreign, options, NULL, out, err);
}

const char *ft_backbone_warning(const struct ft_backbone *b)
{
    return *b->warning ? b->warning : NULL;
}

/* Writes the attribute of a model without classes: how pictures become the input, and that
 * preprocessing is part of the network. */
int ft_backbone_save(const struct ft_backbone *b, const char *path, uint64_t *bytes,
                     struct ft_error *err)
{
    struct ft_network *network = NULL;
    cJSON *json = cJSON_CreateObject(), *from;
    cJSON_AddNumberToObject(json, "format", 1);
    cJSON_AddItemToObject(json, "input", ft_geometry_write(&b->geometry));
    from = cJSON_AddObjectToObject(json, "backbone");
    cJSON_AddStringToObject(from, "name", b->name);
    ft_precision_write(b, from);
    char *text = ft_json_text(json, false);
    int rc = text ? ft_network_cut(b->network, b->last, &network, err) : ft_error_nomem(err, path);
    if (!rc)
        rc = ft_network_save(network, text, NULL, path, bytes, err);
    ft_network_free(network);
    cJSON_free(text);
    return rc;
}

struct ft_backbone *ft_backbone_share(struct ft_backbone *b)
{
    atomic_fetch_add(&b->owners, 1);
    return b;
}

void ft_backbone_free(struct ft_backbone *b)
{
    if (!b || atomic_fetch_sub(&b->owners, 1) > 1)
        return;
    ft_workspaces_free(b->workspaces);
    ft_plan_free(b->plan);
    ft_ranges_release(&b->ranges);
    ft_network_free(b->network);
    ft_backbone_free(b->parent);
    free(b->blocks);
    free(b->widths);
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

int ft_backbone_steps(const struct ft_backbone *b)
{
    return ft_plan_steps(b->plan);
}

void ft_backbone_step(const struct ft_backbone *b, int i, struct ft_layer_info *out)
{
    ft_plan_step(b->plan, i, out);
    out->place = FT_LAYER_STEP;
}

int ft_backbone_last_block(struct ft_backbone *b, struct ft_backbone **out, struct ft_error *err)
{
    if (b->top == b->last) {
        *out = ft_backbone_share(b);
        return 0;
    }
    struct ft_network *network = NULL;
    struct ft_backbone *cut = NULL;
    int rc = ft_network_cut(b->network, b->top, &network, err);
    if (rc)
        return rc;
    const int last = network->output;
    cJSON *json = cJSON_CreateObject(), *from = cJSON_AddObjectToObject(json, "backbone");
    cJSON_AddStringToObject(from, "name", b->name);
    ft_precision_write(b, from);
    cJSON_AddItemToObject(json, "input", ft_geometry_write(&b->geometry));
    rc = make(network, last, b->path, json, false, NULL, b, &cut, err);
    cJSON_Delete(json);
    if (rc)
        return rc;
    strcpy(cut->warning, b->warning);
    cut->parent = ft_backbone_share(b);
    *out = cut;
    return 0;
}
