/* KerasHub presets: a folder with config.json, which names the class and the settings of a
 * backbone, model.weights.h5 or several files of weights (shards, which model.weights.json lists),
 * and image_converter.json, which says how pixels are scaled. A preset has no graph: each family of
 * backbones is a description here (families.c).
 */
#ifndef FT_PRESETS_PRESETS_H
#define FT_PRESETS_PRESETS_H

#include "network/reader.h"

/* Reads model.weights.h5 of a preset, or model_00000.weights.h5; the other files must be in the
 * same folder. */
extern const struct ft_reader ft_preset_reader;

/* The weights of the preset that `path` names by its folder or by its config.json. Returns NULL if
 * it names none, or if memory runs out. Must be freed with free(). */
char *ft_preset_weights(const char *path);

#endif
