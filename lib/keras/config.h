/* A configuration as models with members, which call each other; layers are not looked into.
 * Private to keras/. */
#ifndef FT_KERAS_CONFIG_H
#define FT_KERAS_CONFIG_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "finetune-tools.h"

/* layers of a network; shared and nested layers count once for each use */
enum { FT_DRAFT_LIMIT = 1 << 14, FT_GROUP_SIZE = 64 };

struct ft_model_config;

/* A layer, or a model inside a model. */
struct ft_member {
    const char *name, *kind; /* borrowed from the JSON */
    const cJSON *entry;
    const cJSON *nodes;            /* the first inbound node, or NULL; one node is one call */
    int n_calls, first;            /* first: index of its first call among all calls of the model */
    int highest;                   /* the highest call that anything in the model refers to */
    struct ft_model_config *inner; /* NULL: a layer */
    char group[FT_GROUP_SIZE];     /* in a Keras 3 file: "conv2d", followed by "_number" unless 0 */
    int number;
};

struct ft_model_config {
    const cJSON *json, *config;
    bool sequential;
    int n, n_calls;
    struct ft_member *members, **sorted; /* [n]; sorted by name */
};

/* `total` counts calls over all models, against FT_DRAFT_LIMIT. */
int ft_model_config_parse(const cJSON *json, int depth, int *total, struct ft_model_config **out,
                          struct ft_error *err);
void ft_model_config_free(struct ft_model_config *m);
/* Writes the name of the group of a class in a Keras 3 file: "batch_normalization" for
 * "BatchNormalization". */
void ft_group_name(const char *class_name, char *out, size_t size);
/* NULL: no member is called `name`. */
struct ft_member *ft_member_find(const struct ft_model_config *m, const char *name);

#endif
