#define _GNU_SOURCE
#include "presets/presets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "keras/fields.h"
#include "presets/convnet.h"
#include "presets/preset_files.h"
#include "presets/transformers.h"

static const char config_name[] = "config.json", converter_name[] = "image_converter.json";

char *ft_preset_weights(const char *path)
{
    struct stat s;
    char *inside = NULL, *weights = NULL;
    const char *name = strrchr(path, '/');
    if (!stat(path, &s) && S_ISDIR(s.st_mode) && asprintf(&inside, "%s/%s", path, config_name) < 0)
        return NULL;
    if (inside || !strcmp(name ? name + 1 : path, config_name))
        for (int i = 0; i < 2 && !weights; i++) {
            weights =
                ft_preset_beside(inside ? inside : path, i ? FT_PRESET_SHARD : FT_PRESET_WEIGHTS);
            if (weights && stat(weights, &s)) {
                free(weights);
                weights = NULL;
            }
        }
    free(inside);
    return weights;
}

static bool has_config(const char *path)
{
    char *config = ft_preset_beside(path, config_name);
    struct stat s;
    const bool has = config && !stat(config, &s);
    free(config);
    return has;
}

static bool is_weights(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    return !strcmp(name, FT_PRESET_WEIGHTS) || !strcmp(name, FT_PRESET_SHARD);
}

static bool recognises(const char *path, const uint8_t *start, size_t n)
{
    return ft_h5_is(start, n) && is_weights(path) && has_config(path);
}

static int count_files(const char *path, int *n, struct ft_error *err)
{
    *n = 1;
    return has_config(path) ? ft_preset_count(path, n, err) : 0;
}

static uint64_t bytes_beside(const char *path)
{
    const char *const names[] = { config_name, converter_name };
    if (!is_weights(path))
        return 0;
    uint64_t bytes = ft_preset_list_bytes(path);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *file = ft_preset_beside(path, names[i]);
        struct stat s;
        if (file && !stat(file, &s))
            bytes += s.st_size < FT_PRESET_JSON ? (uint64_t)s.st_size : FT_PRESET_JSON;
        free(file);
    }
    return bytes;
}

/* ---- the input ------------------------------------------------------------------------------- */

/* A number, or a list of three. */
static int read_channels(const cJSON *value, float otherwise, float out[3], struct ft_error *err)
{
    for (int i = 0; i < 3; i++) {
        const cJSON *item = cJSON_IsArray(value) ? cJSON_GetArrayItem(value, i) : value;
        if (item && !cJSON_IsNumber(item))
            return ft_error_set(err, FT_EFORMAT, "'%s' has an unexpected scale or offset",
                                converter_name);
        out[i] = item ? (float)item->valuedouble : otherwise;
    }
    return 0;
}

/* A Rescaling layer after the input, as image_converter.json says. Without that file, the caller
 * has to find out what the network expects. */
static int scaled(struct ft_builder *b, const cJSON *converter, int input)
{
    const cJSON *config = ft_field(converter, "config");
    float scale[3], offset[3];
    const int64_t three = 3;
    if (!config || (!ft_field(config, "scale") && !ft_field(config, "offset")))
        return input;
    const int at = ft_build_layer(b, FT_LAYER_RESCALING, "rescaling", &input, 1);
    if (!b->rc)
        b->rc = read_channels(ft_field(config, "scale"), 1, scale, b->err);
    if (!b->rc)
        b->rc = read_channels(ft_field(config, "offset"), 0, offset, b->err);
    float *s = b->rc ? NULL : ft_build_weight(b, at, FT_W_SCALE, 1, &three),
          *o = b->rc ? NULL : ft_build_weight(b, at, FT_W_OFFSET, 1, &three);
    if (s && o) {
        memcpy(s, scale, sizeof scale);
        memcpy(o, offset, sizeof offset);
    }
    return at;
}

/* Item i of a list of lengths; -1 if it is none. */
static int length(const cJSON *list, int i)
{
    const cJSON *n = cJSON_GetArrayItem(list, i);
    return cJSON_IsNumber(n) && n->valuedouble >= 1 && n->valuedouble <= 1 << 14
               ? (int)n->valuedouble
               : -1;
}

/* The input of the wanted size, or of the size in the settings. If they do not say it, the image
 * converter does. */
static int add_input(struct ft_builder *b, const cJSON *settings, const cJSON *converter, int size)
{
    const cJSON *image = ft_field(settings, "image_shape"),
                *shape = image ? image : ft_field(settings, "input_shape"),
                *made = ft_field(ft_field(converter, "config"), "image_size");
    const int at = ft_build_layer(b, FT_LAYER_INPUT, "images", NULL, 0);
    if (b->rc)
        return 0;
    struct ft_layer_params *p = &ft_build_at(b, at)->params;
    p->rank = 3;
    for (int i = 0; i < 3; i++) {
        p->shape[i] = length(shape, i);
        if (i < 2 && (size || p->shape[i] < 0))
            p->shape[i] = size ? size : length(made, i);
    }
    return at;
}

/* ---- the network ----------------------------------------------------------------------------- */

static int build(struct ft_builder *b, const cJSON *config, const cJSON *converter, int size)
{
    const char *class = cJSON_GetStringValue(ft_field(config, "class_name"));
    const bool transformer = class && ft_transformer_find(class);
    if (!class || (!transformer && !ft_convnet_find(class)))
        return ft_build_fail(b, FT_EUNSUPPORTED,
                             "the KerasHub backbone '%.100s' is not supported: convert it to a "
                             "functional Keras model of core layers",
                             class ? class : "without a class_name");
    const int input = add_input(b, ft_transformer_settings(config), converter, size);
    const int pixels = scaled(b, converter, input);
    b->network->output = transformer ? ft_transformer_build(b, config, size, pixels)
                                     : ft_convnet_build(b, config, pixels);
    b->network->name = strdup(class);
    return b->rc || b->network->name ? b->rc : ft_error_nomem(b->err, "the network");
}

static int read_preset(const char *path, int wanted, struct ft_network *network,
                       struct ft_preset_store *store, struct ft_error *err)
{
    cJSON *config = NULL, *converter = NULL;
    int rc = ft_preset_json(path, config_name, &config, err);
    if (!rc && !config)
        rc = ft_error_set(err, FT_EFORMAT, "there is no '%s' in its folder", config_name);
    rc = rc ? rc : ft_preset_json(path, converter_name, &converter, err);
    rc = rc ? rc : ft_preset_open(path, store, err);
    for (int i = 0; !rc && i < store->n; i++)
        if (ft_storage_add_file(&network->storage, store->maps[i].map, store->maps[i].size))
            rc = ft_error_nomem(err, "weights");
    if (!rc) {
        struct ft_builder b = { .network = network, .h5 = store->h5, .n_h5 = store->n, .err = err };
        rc = build(&b, config, converter, wanted);
    }
    ft_preset_close(store);
    cJSON_Delete(config);
    cJSON_Delete(converter);
    return rc;
}

static int open_preset(const char *path, const struct ft_reader_options *options,
                       struct ft_network **out, struct ft_error *err)
{
    struct ft_network *network = calloc(1, sizeof *network);
    struct ft_preset_store *store = calloc(1, sizeof *store);
    int rc = network && store ? 0 : ft_error_nomem(err, "the network");
    if (rc) {
        free(store);
        free(network);
        return rc;
    }
    network->storage = (struct ft_storage){ .source = store, .release = ft_preset_store_free };
    rc = read_preset(path, options ? options->size : 0, network, store, err);
    if (rc) {
        ft_network_free(network);
        return ft_error_prefix(err, rc, "'%s'", path);
    }
    *out = network;
    return 0;
}

const struct ft_reader ft_preset_reader = { .name = "KerasHub preset",
                                            .recognises = recognises,
                                            .bytes_beside = bytes_beside,
                                            .count_files = count_files,
                                            .file = ft_preset_file,
                                            .open = open_preset };
