/* A model file is a Keras file: backbone, then a Dense softmax. What Keras has no place for stands
 * in the root attribute `finetune`:
 *
 *     {"format": 1, "classes": [...], "input": {...}, "backbone": {"name", "hash"}, "training":
 *         {...}}
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backbone/backbone.h"
#include "base/error.h"
#include "base/memory.h"
#include "model/gallery.h"
#include "model/label_file.h"
#include "network/edit.h"
#include "network/hash.h"

#define FORMAT 1

struct ft_model {
    struct ft_backbone *backbone;
    struct ft_head head;
    char **classes;             /* [head.k] */
    char *record;               /* JSON; NULL: none */
    double threshold, accuracy; /* of the record, or NOT_KNOWN */
    bool in_memory;             /* not read from a file: the gallery is here */
    struct ft_gallery *gallery; /* NULL: none, or in the file */
};

#define NOT_KNOWN (-1.0)

/* *out must be freed with cJSON_Delete(). */
static int make_attribute(const struct ft_model *m, cJSON **out, struct ft_error *err)
{
    const struct ft_backbone *b = m->backbone;
    uint64_t hash[2];
    char hex[40];
    const int rc = ft_network_hash(b->network, b->last, hash, err);
    if (rc)
        return rc;
    cJSON *json = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(json, "classes"), *from;
    cJSON_AddNumberToObject(json, "format", FORMAT);
    for (int i = 0; i < m->head.k; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(m->classes[i]));
    cJSON_AddItemToObject(json, "input", ft_geometry_write(&b->geometry));
    from = cJSON_AddObjectToObject(json, "backbone");
    snprintf(hex, sizeof hex, "%016llx%016llx", (unsigned long long)hash[0],
             (unsigned long long)hash[1]);
    cJSON_AddStringToObject(from, "name", b->name);
    cJSON_AddStringToObject(from, "hash", hex);
    cJSON *training = m->record ? cJSON_Parse(m->record) : NULL;
    if (training)
        cJSON_AddItemToObject(json, "training", training);
    *out = json;
    return 0;
}

int ft_model_save(const struct ft_model *m, const char *path, uint64_t *bytes, struct ft_error *err)
{
    const struct ft_backbone *b = m->backbone;
    const struct ft_head *head = &m->head;
    struct ft_network *network = NULL;
    struct ft_gallery *gallery = NULL;
    struct ft_extra extra = { .name = FT_GALLERY_NAME };
    uint8_t *encoded = NULL;
    cJSON *json = NULL;
    char *text = NULL;
    int rc = make_attribute(m, &json, err);
    if (!rc && !(text = ft_json_text(json, false)))
        rc = ft_error_nomem(err, "the description of the model");
    json = NULL;
    if (!rc)
        rc = ft_model_gallery(m, &gallery, err);
    if (!rc && gallery)
        rc = ft_gallery_encode(gallery, &encoded, &extra.size, err);
    extra.data = encoded;
    if (!rc)
        rc = ft_network_with_head(b->network, b->last, "head", head->d, head->k, head->w, head->b,
                                  &network, err);
    if (!rc)
        rc = ft_network_save(network, text, gallery ? &extra : NULL, path, bytes, err);
    ft_network_free(network);
    ft_gallery_free(gallery);
    free(encoded);
    cJSON_free(text);
    cJSON_Delete(json);
    return rc;
}

/* The record's threshold and accuracy; values that it does not have stay as they are. */
static void read_record(struct ft_model *m, const cJSON *record)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(record, "threshold"), "value");
    const cJSON *accuracy = cJSON_GetObjectItemCaseSensitive(record, "accuracy");
    if (cJSON_IsNumber(value))
        m->threshold = value->valuedouble;
    if (cJSON_IsNumber(accuracy))
        m->accuracy = accuracy->valuedouble;
}

static struct ft_model *model_alloc(void)
{
    struct ft_model *m = ft_alloc_zero(1, sizeof *m);
    if (m)
        m->threshold = m->accuracy = NOT_KNOWN;
    return m;
}

static bool copy_head(struct ft_model *m, const struct ft_head *head, char *const *classes)
{
    const size_t weights = (size_t)head->d * (size_t)head->k;
    m->head = (struct ft_head){ .d = head->d, .k = head->k };
    m->head.w = ft_alloc(weights, sizeof(float));
    m->head.b = ft_alloc((size_t)head->k, sizeof(float));
    m->classes = ft_alloc_zero((size_t)head->k, sizeof *m->classes);
    if (!m->head.w || !m->head.b || !m->classes)
        return false;
    memcpy(m->head.w, head->w, weights * sizeof(float));
    memcpy(m->head.b, head->b, (size_t)head->k * sizeof(float));
    for (int i = 0; i < head->k; i++)
        if (!(m->classes[i] = ft_strdup(classes[i])))
            return false;
    return true;
}

int ft_model_new(struct ft_backbone *backbone, const struct ft_model_parts *parts,
                 struct ft_model **out, struct ft_error *err)
{
    const struct ft_head *head = parts->head;
    const char *record = parts->record;
    if (head->d != ft_backbone_features(backbone))
        return ft_error_set(err, FT_EARG, "the head takes %d features, but the backbone gives %d",
                            head->d, ft_backbone_features(backbone));
    cJSON *json = record ? cJSON_Parse(record) : NULL;
    if (record && !json)
        return ft_error_set(err, FT_EARG, "the record of the training is not JSON");
    struct ft_model *m = model_alloc();
    int rc = 0;
    if (!m || !copy_head(m, head, parts->classes) || (record && !(m->record = ft_strdup(record))))
        rc = ft_error_nomem(err, "the model");
    else if (parts->gallery)
        rc = ft_gallery_copy(parts->gallery, &m->gallery, err);
    if (rc)
        goto fail;
    m->backbone = ft_backbone_share(backbone);
    m->in_memory = true;
    read_record(m, json);
    cJSON_Delete(json);
    *out = m;
    return 0;
fail:
    cJSON_Delete(json);
    ft_model_free(m);
    return rc;
}

/* Class names from the attribute; a Keras file without any has those of a labels.txt beside it,
 * else "0", "1", ... */
static int read_classes(struct ft_model *m, const char *path, const cJSON *json,
                        struct ft_error *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "classes");
    int rc = list ? 0 : ft_label_file_read(path, m->head.k, &m->classes, err);
    if (rc || m->classes)
        return rc;
    if (list && cJSON_GetArraySize(list) != m->head.k)
        return ft_error_set(err, FT_EFORMAT, "has %d class names for %d classes",
                            cJSON_GetArraySize(list), m->head.k);
    m->classes = calloc((size_t)m->head.k, sizeof *m->classes);
    if (!m->classes)
        return ft_error_nomem(err, "class names");
    const cJSON *item = list ? list->child : NULL;
    for (int i = 0; i < m->head.k; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        const char *name = list ? cJSON_GetStringValue(item) : number;
        if (!name)
            return ft_error_set(err, FT_EFORMAT, "class name %d is not a string", i);
        if (!(m->classes[i] = ft_strdup(name)))
            return ft_error_nomem(err, "class names");
        item = item ? item->next : NULL;
    }
    return 0;
}

static int keep_record(struct ft_model *m, const cJSON *json, struct ft_error *err)
{
    const cJSON *training = cJSON_GetObjectItemCaseSensitive(json, "training");
    if (training && !(m->record = cJSON_PrintUnformatted(training)))
        return ft_error_nomem(err, "the training record");
    read_record(m, training);
    return 0;
}

static bool all_finite(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

/* One output with a sigmoid is the probability of the second class of two: the softmax of (0, z).
 */
static int read_binary(struct ft_model *m, const struct ft_tensor *kernel,
                       const struct ft_tensor *bias, struct ft_error *err)
{
    m->head.k = 2;
    m->head.w = ft_alloc_zero(2 * kernel->count, sizeof(float));
    m->head.b = ft_alloc_zero(2, sizeof(float));
    if (!m->head.w || !m->head.b)
        return ft_error_nomem(err, "the head");
    for (size_t i = 0; i < kernel->count; i++)
        m->head.w[2 * i + 1] = kernel->data[i];
    m->head.b[1] = bias->data ? bias->data[0] : 0;
    return 0;
}

static int read_softmax(struct ft_model *m, const struct ft_tensor *kernel,
                        const struct ft_tensor *bias, struct ft_error *err)
{
    m->head.w = ft_alloc(kernel->count, sizeof(float));
    m->head.b = ft_alloc_zero((size_t)m->head.k, sizeof(float));
    if (!m->head.w || !m->head.b)
        return ft_error_nomem(err, "the head");
    memcpy(m->head.w, kernel->data, kernel->count * sizeof(float));
    if (bias->data)
        memcpy(m->head.b, bias->data, bias->count * sizeof(float));
    return 0;
}

/* The head is the network's last layer: Dense [d, k], or a convolution [1, 1, d, k] of one pixel.
 * Outputs without an activation are logits. */
static int read_head(struct ft_model *m, const struct ft_layer *layer,
                     enum ft_activation activation, struct ft_error *err)
{
    const struct ft_tensor *kernel = &layer->weights[FT_W_KERNEL],
                           *bias = &layer->weights[FT_W_BIAS];
    m->head.d = (int)kernel->shape[kernel->rank - 2];
    m->head.k = (int)kernel->shape[kernel->rank - 1];
    if (activation == FT_ACT_SIGMOID && m->head.k > 1)
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "ends in %d independent sigmoids (several labels for a picture), which "
                            "is not supported: only one sigmoid or a softmax is",
                            m->head.k);
    const bool binary = m->head.k == 1 && activation != FT_ACT_SOFTMAX;
    const int rc = binary ? read_binary(m, kernel, bias, err) : read_softmax(m, kernel, bias, err);
    if (rc)
        return rc;
    const size_t k = (size_t)m->head.k;
    return all_finite(m->head.w, (size_t)m->head.d * k) && all_finite(m->head.b, k)
               ? 0
               : ft_error_set(err, FT_EFORMAT,
                              "the weights of its last layer are not finite: the file is damaged, "
                              "or its training diverged");
}

static int check_format(const cJSON *json, struct ft_error *err)
{
    const cJSON *format = cJSON_GetObjectItemCaseSensitive(json, "format");
    if (json && !(cJSON_IsNumber(format) && format->valueint >= 1))
        return ft_error_set(err, FT_EFORMAT,
                            "its attribute 'finetune' has no format: the file is damaged");
    if (json && format->valueint > FORMAT)
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "was written by a newer finetune (format %d): update this one",
                            format->valueint);
    return 0;
}

int ft_model_open(const char *path, const struct ft_backbone_options *options,
                  struct ft_model **out, struct ft_error *err)
{
    struct ft_network *network;
    struct ft_error deeper = { 0 };
    int rc = ft_backbone_network(path, options, &network, err);
    if (rc)
        return rc;
    struct ft_model *m = model_alloc();
    cJSON *json = NULL;
    char warning[sizeof m->backbone->warning];
    rc = m ? ft_attribute_read(network, &json, &deeper) : ft_error_nomem(&deeper, path);
    if (!rc)
        rc = ft_preprocess(network, options ? options->preprocess : NULL, warning, sizeof warning,
                           &deeper);
    if (!rc && json && options && options->rule)
        rc = ft_error_set(&deeper, FT_EARG,
                          "the resize rule cannot be changed: the model was trained with its own");
    enum ft_activation activation = FT_ACT_LINEAR;
    const int head = rc ? -1 : ft_network_head(network, &activation);
    if (!rc && head < 0)
        rc = ft_error_set(&deeper, FT_EARG,
                          "does not end in a Dense layer with a softmax or sigmoid: it is a "
                          "backbone, not a trained model (finetune train makes one)");
    if (!rc)
        rc = check_format(json, &deeper);
    if (!rc)
        rc = read_head(m, &network->layers[head], activation, &deeper);
    if (!rc)
        rc = read_classes(m, path, json, &deeper);
    if (!rc)
        rc = keep_record(m, json, &deeper);
    if (rc) {
        ft_network_free(network);
        if (err)
            *err = deeper;
        ft_error_prefix(err, rc, "'%s'", path);
    } else
        rc = ft_backbone_new(network, network->layers[head].inputs[0], path, json, !json, options,
                             &m->backbone, err);
    if (!rc && ft_backbone_features(m->backbone) != m->head.d)
        rc = ft_error_set(err, FT_EFORMAT, "'%s': its last layer takes %d values, but %d come in",
                          path, m->head.d, ft_backbone_features(m->backbone));
    if (!rc)
        strcpy(m->backbone->warning, warning);
    cJSON_Delete(json);
    if (rc) {
        ft_model_free(m);
        return rc;
    }
    *out = m;
    return 0;
}

void ft_model_free(struct ft_model *m)
{
    if (!m)
        return;
    for (int i = 0; m->classes && i < m->head.k; i++)
        free(m->classes[i]);
    free(m->classes);
    free(m->head.w);
    free(m->head.b);
    cJSON_free(m->record);
    ft_gallery_free(m->gallery);
    ft_backbone_free(m->backbone);
    free(m);
}

const struct ft_backbone *ft_model_backbone(const struct ft_model *m)
{
    return m->backbone;
}

const struct ft_head *ft_model_head(const struct ft_model *m)
{
    return &m->head;
}

char *const *ft_model_class_names(const struct ft_model *m)
{
    return m->classes;
}

const char *ft_model_record(const struct ft_model *m)
{
    return m->record;
}

double ft_model_threshold(const struct ft_model *m)
{
    return m->threshold;
}

double ft_model_accuracy(const struct ft_model *m)
{
    return m->accuracy;
}

int ft_model_classes(const struct ft_model *m)
{
    return m->head.k;
}

int ft_model_gallery(const struct ft_model *m, struct ft_gallery **out, struct ft_error *err)
{
    if (!m->in_memory)
        return ft_gallery_read(m->backbone->path, m->head.k, out, err);
    struct ft_gallery *copy = NULL;
    const int rc = m->gallery ? ft_gallery_copy(m->gallery, &copy, err) : 0;
    if (!rc)
        *out = copy;
    return rc;
}

char *ft_model_settings(const struct ft_model *m)
{
    cJSON *json = NULL;
    return make_attribute(m, &json, NULL) ? NULL : ft_json_text(json, true);
}
