/* What model/ knows of a backbone: the network as read, how pictures enter it, and its plan. */
#ifndef FT_MODEL_BACKBONE_H
#define FT_MODEL_BACKBONE_H

#include <cjson/cJSON.h>

#include "finetune.h"
#include "graph/plan.h"
#include "keras/network.h"

struct ft_backbone {
    char *path, *name;
    struct ft_network *network;
    int last; /* the layer whose output is the feature */
    struct ft_geometry geometry;
    struct ft_plan *plan;
};

/* Takes `network` (freed on failure too): cuts it at layer `last` and plans it. `json` is its parsed `finetune` attribute, or NULL. */
int ft_backbone_new(struct ft_network *network, int last, const char *path, const cJSON *json, const struct ft_backbone_options *options,
                    struct ft_backbone **out, struct ft_error *err);

/* The "input" object of a `finetune` attribute; what `json` (may be NULL) does not say is filled in for an input of width x height. */
int ft_geometry_read(const cJSON *json, int width, int height, const char *rule, struct ft_geometry *out, struct ft_error *err);
cJSON *ft_geometry_write(const struct ft_geometry *geometry);

/* The layer that a Dense softmax at the network's end reads from; -1: the network does not end so. */
int ft_network_head_input(const struct ft_network *network);

#endif
