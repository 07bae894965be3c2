/* What model/ knows of a backbone: the network as read, how pictures enter it, and its plan. */
#ifndef FT_MODEL_BACKBONE_H
#define FT_MODEL_BACKBONE_H

#include <cjson/cJSON.h>

#include "finetune.h"
#include "graph/plan.h"
#include "network/reader.h"

struct ft_backbone {
    char *path, *name;
    char warning[300];
    struct ft_network *network;
    int last; /* the layer whose output is the feature */
    struct ft_geometry geometry;
    struct ft_plan *plan;
};

/* Takes `network` (freed on failure too), as ft_preprocess left it: cuts it at layer `last`,
 * averages a map, and plans it. `json` is its parsed `finetune` attribute, or NULL. */
int ft_backbone_new(struct ft_network *network, int last, const char *path, const cJSON *json,
                    const struct ft_backbone_options *options, struct ft_backbone **out,
                    struct ft_error *err);

/* The network's parsed `finetune` attribute, cJSON_Delete() it; NULL: it has none. */
int ft_attribute_read(const struct ft_network *network, cJSON **out, struct ft_error *err);
/* One Keras file with that attribute and, unless NULL, the gallery; replaced atomically. bytes (may
 * be NULL): its size. */
int ft_network_save(const struct ft_network *network, const char *attribute,
                    const struct ft_gallery *gallery, const char *path, uint64_t *bytes,
                    struct ft_error *err);

/* The "input" object of a `finetune` attribute; what `json` (may be NULL) does not say is filled in
 * for an input of width x height; out->crop holds the default. */
int ft_geometry_read(const cJSON *json, int width, int height, const char *rule,
                     struct ft_geometry *out, struct ft_error *err);
cJSON *ft_geometry_write(const struct ft_geometry *geometry);

/* Folders where networks are looked for, first to last: returns how many. */
int ft_weights_folders(const char *weights_dir, const char *dirs[4]);
/* The first of them that has descriptions of architectures. */
bool ft_architectures_folder(const char *weights_dir, char *path, size_t size);

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

/* Names of k classes from the file labels.txt beside `path`, "0 Cat" a line, as Teachable Machine
 * exports them; *out is NULL when there is no such file. Each and the list are the caller's to
 * free. */
int ft_labels_read(const char *path, int k, char ***out, struct ft_error *err);

/* The Dense layer (or convolution of one pixel) that the network ends in, with a softmax where that
 * is wanted; -1: it does not end so. */
int ft_network_head(const struct ft_network *network, bool softmax);

#endif
