/* Families of vision transformers. Private to presets/. */
#ifndef FT_PRESETS_TRANSFORMERS_H
#define FT_PRESETS_TRANSFORMERS_H

#include <cjson/cJSON.h>

#include "presets/builder.h"

/* Whether the class of a backbone, "ViTBackbone", is one of the families. */
bool ft_transformer_find(const char *class);
/* The settings of the part that takes pictures, borrowed from config.json, whose class is known. */
const cJSON *ft_transformer_settings(const cJSON *json);
/* Appends the layers of a backbone after layer `input`, for an input of size x size pixels (0: as
 * the settings say). Returns the layer of the features, or 0 after an error. */
int ft_transformer_build(struct ft_builder *b, const cJSON *json, int size, int input);

#endif
