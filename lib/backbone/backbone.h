/* A backbone: a network, how pictures become its input, and its plan. */
#ifndef FT_BACKBONE_BACKBONE_H
#define FT_BACKBONE_BACKBONE_H

#include <cjson/cJSON.h>
#include <stdatomic.h>

#include "backbone/workspace.h"
#include "finetune-tools.h"
#include "graph/plan.h"
#include "network/reader.h"

struct ft_backbone {
    atomic_int owners; /* owners; the last call of ft_backbone_free frees the memory */
    struct ft_workspaces *workspaces;
    char *path, *name;
    char warning[1000]; /* lines; "": none */
    struct ft_network *network;
    int last; /* the layer whose output is the feature */
    int top;  /* the layer whose output is the last block of the feature */
    int n_blocks;
    struct ft_block *blocks;    /* [n_blocks] */
    int *widths;                /* [n_blocks] theirs */
    struct ft_backbone *parent; /* an owner of the tensors of `network`; NULL: `network` has them */
    struct ft_geometry geometry;
    struct ft_plan *plan;
    struct ft_ranges ranges; /* of int8 */
};

/* Everything except the picture that a feature depends on: the network, the geometry, and which
 * kernels compute it. */
int ft_backbone_key(const struct ft_backbone *backbone, uint64_t key[2], struct ft_error *err);

/* Makes a backbone from `network` after ft_preprocess: cuts it at layer `last`, adds a global
 * average if the output is a map and the layers of options->layers, and plans it. Takes ownership
 * of `network`, also on failure. `json` is its parsed `finetune` attribute, or NULL. `foreign`: the
 * network was trained as a classifier by another program. `options`: NULL if the network comes from
 * another backbone; its memory is then not limited. */
int ft_backbone_new(struct ft_network *network, int last, const char *path, const cJSON *json,
                    bool foreign, const struct ft_backbone_options *options,
                    struct ft_backbone **out, struct ft_error *err);

/* The name in the attribute `json` (nullable), else that of the architecture if the file has
 * weights only, else that of the file. Must be freed with free(). Returns NULL if memory runs out.
 */
char *ft_backbone_name_of(const struct ft_network *network, const char *path, const cJSON *json);
/* The size of the input: `asked`, unless it is 0; else the network's size. If the network leaves it
 * open, the size in the object `input` of the attribute (nullable), else 224. `asked` also becomes
 * the size of the network's input layer, if that has one. */
void ft_input_size(struct ft_network *network, const cJSON *input, int asked, int *height,
                   int *width);

/* Appends the layers that `layers` names (ft_backbone_options.layers) to the feature of `b`, whose
 * network and geometry are known. Sets last and top. */
int ft_backbone_add_layers(struct ft_backbone *b, const char *layers, struct ft_error *err);
/* Sets the blocks of a backbone from its network. */
int ft_backbone_find_blocks(struct ft_backbone *b, struct ft_error *err);

/* The precision in a `finetune` attribute; NULL: it has none. Owned by `json`, which is nullable.
 */
const char *ft_precision_read(const cJSON *json);
/* The precision that `wanted` names, else the attribute `json`, else float32. Both are nullable.
 * Reads the ranges of int8 from `json`; *ranges must be freed with ft_ranges_release. */
int ft_precision_choose(const char *wanted, const cJSON *json, enum ft_precision *out,
                        struct ft_ranges *ranges, struct ft_error *err);
/* Adds the precision, unless it is float32, and ranges to the object `backbone` of an attribute. */
void ft_precision_write(const struct ft_backbone *backbone, cJSON *object);

/* Ranges that are kept between runs: <ranges_dir>/ranges/<key>.ranges. */
#define FT_RANGES_SUBFOLDER "ranges"
#define FT_RANGES_ENDING    ".ranges"
/* Fails if there are none under `key`, or if the file is damaged. *out must be freed with
 * ft_ranges_release. */
int ft_ranges_load(const char *dir, const uint64_t key[2], struct ft_ranges *out,
                   struct ft_error *err);
int ft_ranges_keep(const char *dir, const uint64_t key[2], const struct ft_ranges *ranges,
                   struct ft_error *err);
/* The attribute {"backbone": {"ranges": [[layer, lowest, highest], ...]}}; a balanced layer has
 * [layer, lowest, highest, balance, lowest, highest]. */
int ft_ranges_read(const cJSON *json, struct ft_ranges *out, struct ft_error *err);
void ft_ranges_write(const struct ft_ranges *ranges, cJSON *backbone);

/* Adds an owner, who must call ft_backbone_free as well. Returns `backbone`. */
struct ft_backbone *ft_backbone_share(struct ft_backbone *backbone);

/* The network's parsed `finetune` attribute, freed with cJSON_Delete(). NULL: it has none. */
int ft_attribute_read(const struct ft_network *network, cJSON **out, struct ft_error *err);
/* A dataset of bytes in the root of a file, beside the network. */
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
/* The same as a .keras archive of Keras 3, which has no place for `extra`. Returns FT_EUNSUPPORTED
 * if the program was built without libzip. */
int ft_network_save_archive(const struct ft_network *network, const char *attribute,
                            const char *path, uint64_t *bytes, struct ft_error *err);

/* Reads the "input" object of a `finetune` attribute. `json` is nullable; values that it does not
 * give are set for an input of width x height. On entry, *out has the defaults of rule, filter and
 * crop. */
int ft_geometry_read(const cJSON *json, int width, int height, const char *rule,
                     struct ft_geometry *out, struct ft_error *err);
cJSON *ft_geometry_write(const struct ft_geometry *geometry);

/* Writes the folders where networks are searched, in the order of the search. Returns their
 * number. */
int ft_weights_folders(const char *weights_dir, const char *dirs[4]);
/* The first of these folders that has descriptions of architectures. */
bool ft_architectures_folder(const char *weights_dir, char *path, size_t size);

/* Recognises a file or folder of another program by its content. Returns a static text: what it is,
 * and what opens it ("a GGUF file, ..."). Returns NULL if it is not recognised. */
const char *ft_foreign_format(const char *path);
/* Opens a network file of any format that this program reads; the contract is that of
 * ft_reader.open. */
int ft_network_open(const char *path, const struct ft_reader_options *options,
                    struct ft_network **out, struct ft_error *err);
/* Opens a file with the architecture that the options give, if they give one. */
int ft_backbone_network(const char *path, const struct ft_backbone_options *options,
                        struct ft_network **out, struct ft_error *err);

/* Adds the network's preprocessing as its first layer: the one that `wanted` (nullable) names, else
 * that of its family. `warning` [size] receives a message for the user, or "". Indices of layers
 * change. */
int ft_preprocess(struct ft_network *network, const char *wanted, char *warning, size_t size,
                  struct ft_error *err);

/* The last layer of the network, if that is a Dense layer or a 1 x 1 convolution, else -1.
 * *activation (nullable) receives the activation after it: FT_ACT_SOFTMAX, FT_ACT_SIGMOID or
 * FT_ACT_LINEAR. If `activation` is not NULL, other activations give -1, because classifiers do not
 * have them. */
int ft_network_head(const struct ft_network *network, enum ft_activation *activation);

#endif
