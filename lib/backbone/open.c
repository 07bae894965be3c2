/* Opening a backbone by name or path: one network, or two side by side. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backbone/backbone.h"
#include "base/error.h"
#include "base/memory.h"
#include "network/edit.h"

#define DEFAULT_BACKBONE "efficientnet-lite0"

/* ---- one network ----------------------------------------------------------------------------- */

static int not_found(const char *name, const char *weights_dir, const char *folder,
                     struct ft_error *err)
{
    char path[4096], known[4400];
    const bool folders = ft_architectures_folder(weights_dir, path, sizeof path);
    snprintf(known, sizeof known, "%s/%.256s.txt", path, name);
    if (folders && *name && !access(known, R_OK))
        return ft_error_set(err, FT_EIO,
                            "backbone '%s' is known, but its weights are not installed: "
                            "scripts/fetch_backbone %s downloads them",
                            name, name);
    return ft_error_set(err, FT_EIO,
                        "no backbone '%s': neither a file, nor in the weights folder '%s'; give "
                        "the path of a network file, or set FINETUNE_WEIGHTS",
                        name, folder);
}

/* A name without a slash that is not a file in the working directory is searched in the weights
 * folders. */
static int find_file(const char *name, const char *weights_dir, char *path, size_t size,
                     struct ft_error *err)
{
    static const char *const endings[] = { ".h5", "", ".keras" };
    const char *dirs[4];
    const int n = ft_weights_folders(weights_dir, dirs);
    snprintf(path, size, "%s", name);
    if (strchr(name, '/') || !access(path, R_OK))
        return 0;
    for (int i = 0; *name && i < n; i++)
        for (size_t e = 0; e < sizeof endings / sizeof *endings; e++) {
            snprintf(path, size, "%s/%s%s", dirs[i], name, endings[e]);
            if (!access(path, R_OK))
                return 0;
        }
    return not_found(name, weights_dir, dirs[0], err);
}

/* The convolution whose filters are the classes, if its map is averaged and a softmax ends the
 * network, as in SqueezeNet; else -1. */
static int averaged_classes(const struct ft_network *n)
{
    bool softmax = false, averaged = false;
    for (int i = n->output;; i = n->layers[i].inputs[0]) {
        const struct ft_layer *l = &n->layers[i];
        const bool passes = l->kind == FT_LAYER_ACTIVATION || l->kind == FT_LAYER_IDENTITY ||
                            l->kind == FT_LAYER_RESHAPE || l->kind == FT_LAYER_FLATTEN;
        if (l->kind == FT_LAYER_CONV2D)
            return softmax && averaged ? i : -1;
        if (!passes && (l->kind != FT_LAYER_GLOBAL_AVERAGE_POOL || averaged))
            return -1;
        softmax |= l->kind == FT_LAYER_ACTIVATION && l->params.activation == FT_ACT_SOFTMAX;
        averaged |= l->kind == FT_LAYER_GLOBAL_AVERAGE_POOL;
    }
}

/* Without a name: what enters the classifier; of a network without one, its output. */
static int find_layer(const struct ft_network *network, const char *name, int *out,
                      struct ft_error *err)
{
    const int dense = ft_network_head(network, NULL),
              head = dense >= 0 ? dense : averaged_classes(network);
    *out = name        ? ft_network_find(network, name)
           : head >= 0 ? network->layers[head].inputs[0]
                       : network->output;
    return *out >= 0
               ? 0
               : ft_error_set(err, FT_EARG,
                              "there is no layer '%s': finetune info --layers lists them", name);
}

/* A network that was read, and what its file says. */
struct part {
    char path[4096];
    char warning[1000]; /* lines; "": none */
    struct ft_network *network;
    cJSON *json; /* the parsed attribute; NULL: none */
    int last;    /* the layer whose output is the feature */
};

static void part_release(struct part *p)
{
    ft_network_free(p->network);
    cJSON_Delete(p->json);
}

static int part_open(const char *name, const struct ft_backbone_options *o, struct part *p,
                     struct ft_error *err)
{
    int rc = find_file(name, o->weights_dir, p->path, sizeof p->path, err);
    if (!rc)
        rc = ft_backbone_network(p->path, o, &p->network, err);
    if (rc)
        return rc;
    rc = ft_preprocess(p->network, o->preprocess, p->warning, sizeof p->warning, err);
    if (!rc)
        rc = find_layer(p->network, o->layer, &p->last, err);
    if (!rc)
        rc = ft_attribute_read(p->network, &p->json, err);
    return rc ? ft_error_prefix(err, rc, "'%s'", p->path) : 0;
}

/* ---- two networks ---------------------------------------------------------------------------- */

/* The size [height, width] of the input that a network has on its own, and its channels. */
static void input_of(const struct part *p, int shape[3])
{
    const struct ft_layer_params *input = &p->network->layers[0].params;
    ft_input_size(p->network, cJSON_GetObjectItemCaseSensitive(p->json, "input"), 0, &shape[0],
                  &shape[1]);
    shape[2] = input->rank == 3 ? input->shape[2] : 0;
}

/* Chooses the size of an input that two networks share: the one that was given, else the larger
 * one. */
static int shared_size(const struct part *a, const struct part *b, int *size, struct ft_error *err)
{
    int first[3], second[3];
    input_of(a, first);
    input_of(b, second);
    if (first[2] != second[2])
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "'%s' and '%s' cannot share an input: they take %d and %d channels",
                            a->path, b->path, first[2], second[2]);
    if (*size || (first[0] == second[0] && first[1] == second[1]))
        return 0;
    if (first[0] != first[1] || second[0] != second[1])
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "'%s' and '%s' cannot share an input of %dx%d and %dx%d pixels: give "
                            "--size",
                            a->path, b->path, first[1], first[0], second[1], second[0]);
    *size = first[0] > second[0] ? first[0] : second[0];
    return 0;
}

/* Writes "FIRST+SECOND" as the name of the network to the attribute of the first. */
static int join_names(struct part *a, const struct part *b, struct ft_error *err)
{
    char *first = ft_backbone_name_of(a->network, a->path, a->json),
         *second = ft_backbone_name_of(b->network, b->path, b->json), name[400];
    if (!a->json)
        a->json = cJSON_CreateObject();
    cJSON *backbone = cJSON_GetObjectItemCaseSensitive(a->json, "backbone");
    if (!backbone)
        backbone = cJSON_AddObjectToObject(a->json, "backbone");
    const bool complete = first && second && backbone;
    if (complete) {
        snprintf(name, sizeof name, "%.190s+%.190s", first, second);
        cJSON_DeleteItemFromObjectCaseSensitive(backbone, "name");
        cJSON_AddStringToObject(backbone, "name", name);
    }
    free(first);
    free(second);
    return complete ? 0 : ft_error_nomem(err, a->path);
}

static int open_beside(struct part *a, const struct ft_backbone_options *o, int *size,
                       struct ft_error *err)
{
    struct part b = { 0 };
    int rc = part_open(o->beside, o, &b, err);
    const size_t said = strlen(a->warning);
    if (!rc && *b.warning)
        snprintf(a->warning + said, sizeof a->warning - said, "%s%s", said ? "\n" : "", b.warning);
    if (!rc)
        rc = shared_size(a, &b, size, err);
    if (!rc)
        rc = join_names(a, &b, err);
    if (!rc)
        rc = ft_network_join(a->network, a->last, b.network, b.last, &a->last, err);
    part_release(&b);
    return rc;
}

int ft_backbone_open(const char *name, const struct ft_backbone_options *options,
                     struct ft_backbone **out, struct ft_error *err)
{
    struct ft_backbone_options o =
        options ? *options : (struct ft_backbone_options)FT_BACKBONE_DEFAULTS;
    struct part p = { 0 };
    int rc = part_open(name ? name : DEFAULT_BACKBONE, &o, &p, err);
    if (!rc && o.beside)
        rc = open_beside(&p, &o, &o.size, err);
    if (rc) {
        part_release(&p);
        return rc;
    }
    rc = ft_backbone_new(p.network, p.last, p.path, p.json, false, &o, out, err);
    if (!rc)
        strcpy((*out)->warning, p.warning);
    cJSON_Delete(p.json);
    return rc;
}
