/* Writing a .keras archive of Keras 3: metadata.json, config.json and model.weights.h5. Weights are
 * numbered datasets in "layers/conv2d_1/vars", a group that is named after the class of the layer
 * and its number among the layers of that class (keras/src/saving/saving_lib.py). Keras numbers
 * them in the order of ft_network_order. Entries are stored uncompressed and have no time, so that
 * equal input gives equal bytes. */
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "keras/archive.h"
#include "keras/config.h"
#include "keras/h5.h"
#include "keras/keras.h"
#include "keras/layer_classes.h"
#include "keras/write.h"

#define BLOCK ((size_t)16 << 20) /* by which a file in memory grows */

/* ---- model.weights.h5 ------------------------------------------------------------------------ */

static int put_layer(hid_t file, const struct ft_layer *layer, int number)
{
    const struct ft_layer_class *class = ft_layer_class_of(layer);
    char group[FT_GROUP_SIZE], part[16] = "", path[600];
    int rc = 0, count = 0;
    ft_group_name(class->name, group, sizeof group);
    if (number)
        snprintf(part, sizeof part, "_%d", number);
    for (int w = 0; !rc && w < FT_MAX_WEIGHTS && class->weights[w]; w++) {
        if (!layer->weights[w].data)
            continue;
        if (class->stores)
            snprintf(path, sizeof path, "layers/%s%s/%s", group, part, class->stores[w]);
        else
            snprintf(path, sizeof path, "layers/%s%s/vars/%d", group, part, count++);
        rc = ft_write_tensor(file, path, &layer->weights[w]);
    }
    return rc;
}

/* How many layers before order[i] have its class. */
static int number_of(const struct ft_network *network, const int *order, int i)
{
    const struct ft_layer_class *class = ft_layer_class_of(&network->layers[order[i]]);
    int number = 0;
    for (int k = 0; k < i; k++)
        number += !strcmp(ft_layer_class_of(&network->layers[order[k]])->name, class->name);
    return number;
}

/* *image [*size] receives the bytes of the file and must be freed with free(). */
static int take_image(hid_t file, uint8_t **image, size_t *size, struct ft_error *err)
{
    const ssize_t n = H5Fflush(file, H5F_SCOPE_GLOBAL) < 0 ? -1 : H5Fget_file_image(file, NULL, 0);
    uint8_t *bytes = n > 0 ? malloc((size_t)n) : NULL;
    if (!bytes || H5Fget_file_image(file, bytes, (size_t)n) != n) {
        free(bytes);
        return ft_error_nomem(err, "the weights");
    }
    *image = bytes;
    *size = (size_t)n;
    return 0;
}

static int make_weights(const struct ft_network *network, const int *order, int n,
                        const char *attribute, uint8_t **image, size_t *size, struct ft_error *err)
{
    const hid_t access = ft_write_access();
    H5Pset_fapl_core(access, BLOCK, false);
    const hid_t file = H5Fcreate("model.weights.h5", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    H5Pclose(access);
    if (file < 0)
        return ft_error_nomem(err, "the weights");
    int rc = attribute ? ft_write_text(file, "finetune", attribute) : 0;
    for (int i = 0; !rc && i < n; i++)
        rc = put_layer(file, &network->layers[order[i]], number_of(network, order, i));
    rc = rc ? ft_error_nomem(err, "the weights") : take_image(file, image, size, err);
    H5Fclose(file);
    return rc;
}

/* ---- the archive ----------------------------------------------------------------------------- */

int ft_keras_write_archive(const struct ft_network *network, const char *attribute,
                           const char *path, struct ft_error *err)
{
    static char metadata[] = "{\"keras_version\": \"3.0.0\"}";
    int *order = malloc((size_t)network->n_layers * sizeof *order);
    const int n = order ? ft_network_order(network, network->output, order) : -1;
    char *config = n > 0 ? ft_write_config(network, order, n, true) : NULL;
    uint8_t *weights = NULL;
    size_t size = 0;
    int rc = config ? ft_write_check_names(network, err)
                    : ft_error_nomem(err, "the configuration of the network");
    ft_h5_begin();
    rc = rc ? rc : make_weights(network, order, n, attribute, &weights, &size, err);
    if (!rc) {
        const struct ft_archive_entry entries[] = { { "metadata.json", metadata, strlen(metadata) },
                                                    { "config.json", config, strlen(config) },
                                                    { "model.weights.h5", weights, size } };
        rc = ft_archive_write(path, entries, 3, err);
    }
    free(weights);
    cJSON_free(config);
    free(order);
    return rc;
}
