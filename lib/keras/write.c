/* Writing: the full-model legacy layout in the dialect of Keras 2. Configurations hold only the
 * settings that differ from the defaults, so that Keras 2 and 3 both open the file. Tensors are
 * written to contiguous datasets, aligned to 64 bytes, without a copy. Object headers have the
 * first format and no time stamps, so that equal input gives equal bytes. */
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "keras/fields.h"
#include "keras/h5.h"
#include "keras/keras.h"
#include "keras/layer_classes.h"
#include "keras/patterns.h"
#include "keras/write.h"

/* Keras's HDF5_OBJECT_HEADER_LIMIT: longer lists of names are divided among several attributes. */
#define HEADER_LIMIT 64512

/* ---- configuration --------------------------------------------------------------------------- */

/* A tensor as Keras 3 refers to it. */
static cJSON *tensor(const struct ft_network *network, int layer)
{
    cJSON *object = cJSON_CreateObject(), *config = cJSON_CreateObject(),
          *shape = cJSON_CreateArray();
    for (int i = 0; i <= ft_network_rank(network, layer); i++)
        cJSON_AddItemToArray(shape, cJSON_CreateNull());
    cJSON_AddStringToObject(object, "class_name", "__keras_tensor__");
    cJSON_AddItemToObject(object, "config", config);
    cJSON_AddItemToObject(config, "shape", shape);
    cJSON_AddStringToObject(config, "dtype", "float32");
    cJSON_AddItemToObject(config, "keras_history", ft_make_reference(network->layers[layer].name));
    return object;
}

/* keras.ops.power */
static bool is_operation(const struct ft_layer *layer)
{
    return layer->kind == FT_LAYER_ACTIVATION && layer->params.activation == FT_ACT_POWER;
}

/* The call of a layer that takes its inputs as arguments, not as a list: in the dialect of Keras 3,
 * as that of Keras 2 cannot express it in a way that Keras 3 reads. */
static cJSON *call_with_arguments(const struct ft_network *network, const struct ft_layer *layer)
{
    cJSON *node = cJSON_CreateObject(), *arguments = cJSON_AddArrayToObject(node, "args");
    cJSON_AddItemToArray(arguments, tensor(network, layer->inputs[0]));
    /* the values are its second input */
    const bool itself = layer->kind == FT_LAYER_ATTENTION && !layer->weights[FT_W_POSITIONS].data;
    for (int i = 1; i < layer->n_inputs || (itself && i < 2); i++)
        cJSON_AddItemToArray(arguments,
                             tensor(network, layer->inputs[i < layer->n_inputs ? i : 0]));
    if (is_operation(layer))
        cJSON_AddItemToArray(arguments, ft_json_float(layer->params.alpha));
    cJSON_AddObjectToObject(node, "kwargs");
    return node;
}

static void add_layer(cJSON *layers, const struct ft_network *network, const struct ft_layer *layer)
{
    cJSON *entry = cJSON_CreateObject();
    cJSON_AddItemToArray(layers, entry);
    cJSON_AddStringToObject(entry, "class_name", ft_layer_class_of(layer)->name);
    cJSON_AddStringToObject(entry, "name", layer->name);
    cJSON_AddItemToObject(entry, "config", ft_layer_config(layer, layer->name));
    cJSON *nodes = cJSON_AddArrayToObject(entry, "inbound_nodes");
    if (is_operation(layer)) {
        cJSON_AddStringToObject(entry, "module", "keras.src.ops.numpy");
        cJSON_AddNullToObject(entry, "registered_name");
    }
    if (layer->kind == FT_LAYER_ATTENTION || is_operation(layer)) {
        cJSON_AddItemToArray(nodes, call_with_arguments(network, layer));
        return;
    }
    cJSON *node = layer->n_inputs ? cJSON_CreateArray() : NULL;
    for (int i = 0; i < layer->n_inputs; i++) {
        cJSON *input = ft_make_reference(network->layers[layer->inputs[i]].name);
        cJSON_AddItemToArray(input, cJSON_CreateObject());
        cJSON_AddItemToArray(node, input);
    }
    if (node)
        cJSON_AddItemToArray(nodes, node);
}

static void add_end(cJSON *config, const char *key, const char *name)
{
    cJSON_AddItemToObject(config, key, ft_make_reference(name));
}

char *ft_write_config(const struct ft_network *network, const int *order, int n, bool archive)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "class_name", "Functional");
    if (archive) {
        cJSON_AddStringToObject(root, "module", "keras.src.models.functional");
        cJSON_AddStringToObject(root, "registered_name", "Functional");
    }
    cJSON *config = cJSON_AddObjectToObject(root, "config");
    cJSON_AddStringToObject(config, "name", network->name);
    cJSON *layers = cJSON_AddArrayToObject(config, "layers");
    for (int i = 0; i < n; i++) {
        /* the only weights that are part of a configuration */
        const enum ft_layer_kind kind = network->layers[order[i]].kind;
        const bool scale = kind == FT_LAYER_RESCALING || kind == FT_LAYER_MAP_RESCALING;
        if (scale && ft_network_load(network, order[i], NULL)) {
            cJSON_Delete(root);
            return NULL;
        }
        add_layer(layers, network, &network->layers[order[i]]);
        if (scale)
            ft_network_unload(network, order[i]);
    }
    add_end(config, "input_layers", network->layers[order[0]].name);
    add_end(config, "output_layers", network->layers[network->output].name);
    return ft_json_text(root, false);
}

/* ---- attributes: 0 or FT_EIO ----------------------------------------------------------------- */

/* n strings of `size` bytes each, NUL-padded; n < 0: one scalar. */
static int put_strings(hid_t at, const char *name, const char *data, size_t size, int n)
{
    const hsize_t count = n < 0 ? 1 : (hsize_t)n;
    const hid_t type = H5Tcopy(H5T_C_S1),
                space = n < 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &count, NULL);
    H5Tset_size(type, size ? size : 1);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    const hid_t attribute = H5Acreate2(at, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    const int rc = attribute >= 0 && (!n || H5Awrite(attribute, type, data) >= 0) ? 0 : FT_EIO;
    if (attribute >= 0)
        H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
    return rc;
}

/* A variable-length string is stored outside the object header, which holds at most 64 KB. */
int ft_write_text(int64_t at, const char *name, const char *text)
{
    const hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    const hid_t attribute = H5Acreate2(at, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    const int rc = attribute >= 0 && H5Awrite(attribute, type, &text) >= 0 ? 0 : FT_EIO;
    if (attribute >= 0)
        H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
    return rc;
}

static int put_list(hid_t at, const char *name, const char *const *strings, int n)
{
    size_t size = 1, per;
    for (int i = 0; i < n; i++)
        size = strlen(strings[i]) > size ? strlen(strings[i]) : size;
    if (size > HEADER_LIMIT)
        return FT_EIO;
    per = HEADER_LIMIT / size;
    char *data = calloc((size_t)n + 1, size);
    int rc = data ? 0 : FT_ENOMEM;
    for (int i = 0; !rc && i < n; i++)
        memcpy(data + (size_t)i * size, strings[i], strlen(strings[i]));
    if (!rc && (size_t)n <= per)
        rc = put_strings(at, name, data, size, n);
    for (int i = 0, chunk = 0; !rc && (size_t)n > per && i < n; i += (int)per, chunk++) {
        char cut[64];
        const int left = n - i < (int)per ? n - i : (int)per;
        snprintf(cut, sizeof cut, "%s%d", name, chunk);
        rc = put_strings(at, cut, data + (size_t)i * size, size, left);
    }
    free(data);
    return rc;
}

/* ---- weights --------------------------------------------------------------------------------- */

int ft_write_tensor(int64_t group, const char *name, const struct ft_tensor *t)
{
    hsize_t shape[5];
    for (int i = 0; i < t->rank; i++)
        shape[i] = (hsize_t)t->shape[i];
    const hid_t space = H5Screate_simple(t->rank, shape, NULL),
                properties = H5Pcreate(H5P_DATASET_CREATE), links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1); /* "query/kernel:0" */
    H5Pset_obj_track_times(properties, false);
    const hid_t dataset =
        H5Dcreate2(group, name, H5T_IEEE_F32LE, space, links, properties, H5P_DEFAULT);
    const int rc = dataset >= 0 && H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL,
                                            H5P_DEFAULT, t->data) >= 0
                       ? 0
                       : FT_EIO;
    if (dataset >= 0)
        H5Dclose(dataset);
    H5Pclose(links);
    H5Pclose(properties);
    H5Sclose(space);
    return rc;
}

static int put_layer(hid_t parent, const struct ft_layer *layer)
{
    const struct ft_layer_class *class = ft_layer_class_of(layer);
    char paths[FT_MAX_WEIGHTS][600], *place[FT_MAX_WEIGHTS];
    const char *names[FT_MAX_WEIGHTS];
    const struct ft_tensor *tensors[FT_MAX_WEIGHTS];
    int n = 0, rc = 0;
    const hid_t outer = H5Gcreate2(parent, layer->name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    hid_t inner = -1;
    for (int i = 0; i < FT_MAX_WEIGHTS; i++) {
        const int w = class->order ? class->order[i] : i;
        if (class->weights[w] && layer->weights[w].data) {
            const int length = snprintf(paths[n], sizeof paths[n], "%s/%.*s:0", layer->name,
                                        ft_pattern_first(class->weights[w]), class->weights[w]);
            rc |= length >= (int)sizeof paths[n] ? FT_EIO : 0;
            place[n] = paths[n] + strlen(layer->name) + 1;
            names[n] = paths[n];
            tensors[n++] = &layer->weights[w];
        }
    }
    if (outer < 0 || rc || put_list(outer, "weight_names", names, n) ||
        (n && (inner = H5Gcreate2(outer, layer->name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT)) < 0))
        rc = FT_EIO;
    for (int i = 0; !rc && i < n; i++)
        rc = ft_write_tensor(inner, place[i], tensors[i]);
    if (inner >= 0)
        H5Gclose(inner);
    if (outer >= 0)
        H5Gclose(outer);
    return rc;
}

static int put_version(hid_t at)
{
    return put_strings(at, "backend", "tensorflow", 10, -1) ||
                   put_strings(at, "keras_version", "2.15.0", 6, -1)
               ? FT_EIO
               : 0;
}

static int put_network(hid_t file, const struct ft_network *network, const int *order, int n,
                       const char *config, const char *attribute)
{
    const char **names = malloc((size_t)n * sizeof *names);
    hid_t group = -1;
    int rc = names ? FT_EIO : FT_ENOMEM;
    if (!names || put_version(file) || ft_write_text(file, "model_config", config) ||
        (attribute && ft_write_text(file, "finetune", attribute)))
        goto done;
    group = H5Gcreate2(file, "model_weights", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    for (int i = 0; i < n; i++)
        names[i] = network->layers[order[i]].name;
    if (group < 0 || put_version(group) || put_list(group, "layer_names", names, n))
        goto done;
    rc = 0;
    for (int i = 0; !rc && i < n; i++) {
        rc = ft_network_load(network, order[i], NULL);
        if (rc)
            break;
        rc = put_layer(group, &network->layers[order[i]]);
        ft_network_unload(network, order[i]);
    }
done:
    if (group >= 0)
        H5Gclose(group);
    free(names);
    return rc;
}

/* HDF5 searches the gaps that alignment leaves, one by one, for each new object. If the small
 * objects were aligned as well, the time would grow with the square of the number of layers. */
#define LEAST_ALIGNED 1024

int64_t ft_write_access(void)
{
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18);
    H5Pset_alignment(access, LEAST_ALIGNED, FT_ALIGN);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    return access;
}

static hid_t create(const char *path)
{
    const hid_t access = ft_write_access();
    const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    H5Pclose(access);
    return file;
}

/* A layer becomes a group, so its name must be one part of a path. */
int ft_write_check_names(const struct ft_network *network, struct ft_error *err)
{
    for (int i = 0; i < network->n_layers; i++) {
        const char *name = network->layers[i].name;
        if (!*name || strchr(name, '/') || !strcmp(name, ".") || strlen(name) > 500)
            return ft_error_set(err, FT_EUNSUPPORTED, "the layer name '%.100s' cannot be written",
                                name);
    }
    return 0;
}

int ft_keras_write(const struct ft_network *network, const char *attribute, const char *path,
                   struct ft_error *err)
{
    int rc = ft_write_check_names(network, err);
    if (rc)
        return rc;
    int *order = malloc((size_t)network->n_layers * sizeof *order);
    const int n = order ? ft_network_order(network, network->output, order) : -1;
    char *config = n > 0 ? ft_write_config(network, order, n, false) : NULL;
    ft_h5_begin();
    const hid_t file = config ? create(path) : -1;
    if (!config)
        rc = ft_error_nomem(err, "the configuration of the network");
    else if (file < 0)
        rc = ft_error_set(err, FT_EIO, "cannot create '%s'", path);
    else {
        rc = put_network(file, network, order, n, config, attribute);
        const bool flushed = H5Fflush(file, H5F_SCOPE_GLOBAL) >= 0, closed = H5Fclose(file) >= 0;
        if (rc == FT_ENOMEM)
            ft_error_nomem(err, "the names of layers");
        else if (rc || !flushed || !closed)
            rc = ft_error_set(err, FT_EIO, "cannot write '%s': is the disk full?", path);
    }
    cJSON_free(config);
    free(order);
    return rc;
}
