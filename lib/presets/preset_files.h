/* The files of a preset: JSON beside the weights, and weights in one HDF5 file or in several
 * (shards). Private to presets/.
 */
#ifndef FT_PRESETS_PRESET_FILES_H
#define FT_PRESETS_PRESET_FILES_H

#include <cjson/cJSON.h>

#include "keras/h5.h"

#define FT_PRESET_WEIGHTS "model.weights.h5"
#define FT_PRESET_SHARD   "model_00000.weights.h5" /* the first of several */

enum { FT_PRESET_JSON = 1 << 22 }; /* bytes of a JSON file, at most */

/* The path of `name` in the folder of `path`. Must be freed with free(). Returns NULL if memory
 * runs out. */
char *ft_preset_beside(const char *path, const char *name);
/* *out is NULL if there is no such file, else it must be freed with cJSON_Delete(). */
int ft_preset_json(const char *path, const char *name, cJSON **out, struct ft_error *err);

/* The weights while they are read. Zeroed: none. */
struct ft_preset_store {
    int n;
    struct ft_h5_mapping *maps; /* [n] tensors point into them */
    struct ft_h5 *h5;           /* [n] */
};

/* In how many files the weights are: 1, or as many as model.weights.json names if `path` is the
 * first of several. */
int ft_preset_count(const char *path, int *n, struct ft_error *err);
/* The path of file i of the weights, whose first is `path`. Must be freed with free(). Returns NULL
 * if memory runs out. */
char *ft_preset_file(const char *path, int i);

/* Opens the file at `path`; if it is the first of several, all that model.weights.json names.
 * After an error, what was opened must be closed, too. */
int ft_preset_open(const char *path, struct ft_preset_store *out, struct ft_error *err);
/* Closes the files; the mappings stay. */
void ft_preset_close(struct ft_preset_store *weights);
/* Unmaps and frees a struct ft_preset_store from malloc: for ft_storage.release. */
void ft_preset_store_free(void *weights);
/* Bytes of model.weights.json; 0 for weights in one file. */
uint64_t ft_preset_list_bytes(const char *path);

#endif
