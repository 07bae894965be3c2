/* A backbone: the network as it was read, how pictures become its input, and its plan. */
#ifndef FT_BACKBONE_BACKBONE_H
#define FT_BACKBONE_BACKBONE_H

#include <cjson/cJSON.h>
#include <stdatomic.h>

#include "backbone/workspace.h"
#include "finetune-tools.h"
#include "graph/plan.h"
#include "network/reader.h"

struct ft_backbone {
    atomic_int owners; /* ft_backbone_free by the last of them frees the memory */
    struct ft_workspaces *workspaces;
    char *path, *name;
    char warning[300];
    struct ft_network *network;
    int last; /* the layer whose output is the feature */
    struct ft_geometry geometry;
    struct ft_plan *plan;
};

/* Everything except the picture that a feature depends on: the network, the geometry, and which
 * kernels compute it. */
int ft_backbone_key(const struct ft_backbone *backbone, uint64_t key[2], struct ft_error *err);

/* Takes `network` (freed on failure too), as ft_preprocess left it: cuts it at layer `last`,
 * averages a map, and plans it. `json` is its parsed `finetune` attribute, or NULL. `foreign`: the
 * network was trained as a classifier by another program. */
int ft_backbone_new(struct ft_network *network, int last, const char *path, const cJSON *json,
                    bool foreign, const struct ft_backbone_options *options,
                    struct ft_backbone **out, struct ft_error *err);

/* Adds an owner, who must call ft_backbone_free as well. Returns `backbone`. */
struct ft_backbone *ft_backbone_share(struct ft_backbone *backbone);

/* The network's parsed `finetune` attribute, cJSON_Delete() it; NULL: it has none. */
int ft_attribute_read(const struct ft_network *network, cJSON **out, struct ft_error *err);
/* A root dataset of bytes that a file carries beside its network. */
struct ft_extra {
    const char *name;
    const void *data;
    size_t size;
};
/* Writes a Keras file with the network, its `finetune` attribute and `extra` (nullable). The file
 * is replaced atomically. `bytes` (nullable) receives its size. */
int ft_network_save(const struct ft_network *network, const char *attribute,
                    const struct ft_extra *extra, const char *path, uint64_t *bytes,
                    struct ft_error *err);

/* The "input" object of a `finetune` attribute; what `json` (may be NULL) does not say is filled in
 * for an input of width x height. *out holds the defaults of rule, filter and crop. */
int ft_geometry_read(const cJSON *json, int width, int height, const char *rule,
                     struct ft_geometry *out, struct ft_error *err);
cJSON *ft_geometry_write(const struct ft_geometry *geometry);

/* Folders where networks are looked for, first to last: returns how many. */
int ft_weights_folders(const char *weights_dir, const char *dirs[4]);
/* The first of them that has descriptions of architectures. */
bool ft_architectures_folder(const char *weights_dir, char *path, size_t size);

/* What a file or folder of another program is and what opens it ("a GGUF file, ..."), by its
 * content. Static; NULL: not recognised. */
const char *ft_foreign_format(const char *path);
/* Opens a network file of any format that this program reads; the contract is that of
 * ft_reader.open. */
int ft_network_open(const char *path, const struct ft_reader_options *options,
                    struct ft_network **out, struct ft_error *err);
/* Opens a file with what the options say of its architecture. */
int ft_backbone_network(const char *path, const struct ft_backbone_options *options,
                        struct ft_network **out, struct ft_error *err);

/* Puts the network's preprocessing in front of it, as `wanted` (may be NULL) or its family says;
 * `warning` [size] is "" or what the user should know. Indices of layers move. */
int ft_preprocess(struct ft_network *network, const char *wanted, char *warning, size_t size,
                  struct ft_error *err);

/* The Dense layer (or convolution of one pixel) that the network ends in; -1: it does not end in
 * one. *activation (nullable) receives what follows it: FT_ACT_SOFTMAX, FT_ACT_SIGMOID or
 * FT_ACT_LINEAR. Other activations are not those of a classifier: if `activation` is not NULL, they
 * give -1. */
int ft_network_head(const struct ft_network *network, enum ft_activation *activation);

#endif
