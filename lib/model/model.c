/* Models in memory, and writing their files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "model/gallery.h"
#include "model/model.h"
#include "network/edit.h"
#include "network/hash.h"

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
    cJSON_AddNumberToObject(json, "format",
                            ft_backbone_precision(b) == FT_PRECISION_F32 ? 1 : FT_MODEL_FORMAT);
    for (int i = 0; i < m->head.k; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(m->classes[i]));
    cJSON_AddItemToObject(json, "input", ft_geometry_write(&b->geometry));
    from = cJSON_AddObjectToObject(json, "backbone");
    snprintf(hex, sizeof hex, "%016llx%016llx", (unsigned long long)hash[0],
             (unsigned long long)hash[1]);
    cJSON_AddStringToObject(from, "name", b->name);
    cJSON_AddStringToObject(from, "hash", hex);
    ft_precision_write(b, from);
    for (int i = 0; b->n_blocks > 1 && i < b->n_blocks; i++) {
        cJSON *blocks = i ? cJSON_GetObjectItemCaseSensitive(from, "blocks")
                          : cJSON_AddArrayToObject(from, "blocks"),
              *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "layer", b->blocks[i].layer);
        cJSON_AddNumberToObject(one, "features", b->blocks[i].width);
        cJSON_AddItemToArray(blocks, one);
    }
    cJSON *training = m->record ? cJSON_Parse(m->record) : NULL;
    if (training)
        cJSON_AddItemToObject(json, "training", training);
    *out = json;
    return 0;
}

int ft_model_attribute(const struct ft_model *m, char **out, struct ft_error *err)
{
    cJSON *json = NULL;
    const int rc = make_attribute(m, &json, err);
    if (rc)
        return rc;
    char *text = ft_json_text(json, false); /* deletes json */
    if (!text)
        return ft_error_nomem(err, "the description of the model");
    *out = text;
    return 0;
}

/* The gallery as it is in a file; *bytes must be freed with free(). *bytes is unchanged if there is
 * no gallery. */
static int gallery_bytes(const struct ft_model *m, uint8_t **bytes, size_t *size,
                         struct ft_error *err)
{
    struct ft_gallery *gallery = NULL;
    int rc = ft_model_gallery(m, &gallery, err);
    if (!rc && gallery)
        rc = ft_gallery_encode(gallery, bytes, size, err);
    ft_gallery_free(gallery);
    return rc;
}

int ft_model_save(const struct ft_model *m, const char *path, uint64_t *bytes, struct ft_error *err)
{
    const struct ft_backbone *b = m->backbone;
    const struct ft_head *head = &m->head;
    struct ft_network *network = NULL;
    struct ft_extra extra = { .name = FT_GALLERY_NAME };
    uint8_t *gallery = NULL;
    char *text = NULL;
    int rc = ft_model_attribute(m, &text, err);
    if (rc)
        goto done;
    rc = gallery_bytes(m, &gallery, &extra.size, err);
    if (rc)
        goto done;
    rc = ft_network_with_head(b->network, b->last, "head", head->d, head->k, head->w, head->b,
                              &network, err);
    if (rc)
        goto done;
    if (head->independent)
        network->layers[network->output].params.activation = FT_ACT_SIGMOID;
    extra.data = gallery;
    rc = ft_network_save(network, text, gallery ? &extra : NULL, path, bytes, err);
done:
    ft_network_free(network);
    free(gallery);
    free(text);
    return rc;
}

void ft_model_read_record(struct ft_model *m, const cJSON *record)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(record, "threshold"), "value");
    const cJSON *accuracy = cJSON_GetObjectItemCaseSensitive(record, "accuracy");
    if (cJSON_IsNumber(value))
        m->threshold = value->valuedouble;
    if (cJSON_IsNumber(accuracy))
        m->accuracy = accuracy->valuedouble;
}

struct ft_model *ft_model_alloc(void)
{
    struct ft_model *m = ft_alloc_zero(1, sizeof *m);
    if (m)
        m->threshold = m->accuracy = -1;
    return m;
}

static bool copy_head(struct ft_model *m, const struct ft_head *head, char *const *classes)
{
    const size_t weights = (size_t)head->d * (size_t)head->k;
    m->head = (struct ft_head){ .d = head->d, .k = head->k, .independent = head->independent };
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
    cJSON *json = NULL;
    int rc = record ? ft_json_parse(record, strlen(record), &json, err) : 0;
    if (rc)
        return rc == FT_ENOMEM
                   ? rc
                   : ft_error_set(err, FT_EARG, "the record of the training is not JSON");
    struct ft_model *m = ft_model_alloc();
    if (!m || !copy_head(m, head, parts->classes) || (record && !(m->record = ft_strdup(record))))
        rc = ft_error_nomem(err, "the model");
    else if (parts->gallery)
        rc = ft_gallery_copy(parts->gallery, &m->gallery, err);
    if (rc)
        goto fail;
    m->backbone = ft_backbone_share(backbone);
    m->in_memory = true;
    ft_model_read_record(m, json);
    cJSON_Delete(json);
    *out = m;
    return 0;
fail:
    cJSON_Delete(json);
    ft_model_free(m);
    return rc;
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

bool ft_model_independent(const struct ft_model *m)
{
    return m->head.independent;
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
