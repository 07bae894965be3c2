/* Classes that change the shape of their input: input, padding, cropping, reshaping. */
#include <string.h>

#include "base/error.h"
#include "keras/fields.h"
#include "keras/layer_classes.h"

/* [null, h, w, c] -> h, w, c with -1 for null. */
static int parse_shape(const cJSON *list, bool with_batch, struct ft_layer_params *p,
                       struct ft_error *err)
{
    const int n = cJSON_GetArraySize(list) - with_batch;
    if (!cJSON_IsArray(list) || n < 1 || n > 4)
        return ft_error_set(err, FT_EUNSUPPORTED, "a shape of %d axes is not supported",
                            n < 0 ? 0 : n);
    p->rank = n;
    const cJSON *item = with_batch ? list->child->next : list->child;
    for (int i = 0; i < n; i++, item = item->next) {
        const double v = cJSON_IsNull(item) ? -1 : cJSON_IsNumber(item) ? item->valuedouble : 0;
        if (v != -1 && !(v >= 1 && v <= 1 << 24 && v == (int)v))
            return ft_error_set(err, FT_EFORMAT, "a shape holds an unexpected value");
        p->shape[i] = (int)v;
    }
    return 0;
}

static void add_shape(cJSON *config, const char *key, bool with_batch,
                      const struct ft_layer_params *p)
{
    cJSON *list = cJSON_AddArrayToObject(config, key);
    if (with_batch)
        cJSON_AddItemToArray(list, cJSON_CreateNull());
    for (int i = 0; i < p->rank; i++)
        cJSON_AddItemToArray(list, p->shape[i] < 0 && with_batch ? cJSON_CreateNull()
                                                                 : cJSON_CreateNumber(p->shape[i]));
}

static int parse_input(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const cJSON *shape = ft_field(config, "batch_shape");
    if (!shape)
        shape = ft_field(config, "batch_input_shape");
    if (!shape)
        return ft_error_set(
            err, FT_EUNSUPPORTED,
            "the input has no shape: build the model with an input shape before saving it");
    return parse_shape(shape, true, &out->layer.params, err);
}

static void write_input(const struct ft_layer *layer, cJSON *config)
{
    add_shape(config, "batch_input_shape", true, &layer->params);
}

/* 1, [1, 2] or [[0, 1], [0, 1]] */
static int parse_sides(const cJSON *config, const char *key, int otherwise,
                       struct ft_draft_layer *out, struct ft_error *err)
{
    int *pad = out->layer.params.pad, rc = ft_field_channels_last(config, err);
    const cJSON *value = ft_field(config, key), *rows = cJSON_IsArray(value) ? value->child : NULL;
    int sides[2] = { otherwise, otherwise };
    if (rc)
        return rc;
    if (rows && cJSON_IsArray(rows) && cJSON_GetArraySize(value) == 2 &&
        cJSON_IsArray(rows->next)) {
        for (int i = 0; i < 4; i++) {
            const cJSON *side = cJSON_GetArrayItem(i < 2 ? rows : rows->next, i % 2);
            if (!cJSON_IsNumber(side) || !(side->valuedouble >= 0 && side->valuedouble <= 1 << 20))
                return ft_error_set(err, FT_EFORMAT, "setting '%s' has an unexpected value", key);
            pad[i] = (int)side->valuedouble;
        }
        return 0;
    }
    rc = ft_field_pair(config, key, 0, sides, err);
    pad[0] = pad[1] = sides[0];
    pad[2] = pad[3] = sides[1];
    return rc;
}

static void add_sides(cJSON *config, const char *key, const int *pad)
{
    cJSON *list = cJSON_AddArrayToObject(config, key);
    cJSON_AddItemToArray(list, cJSON_CreateIntArray(pad, 2));
    cJSON_AddItemToArray(list, cJSON_CreateIntArray(pad + 2, 2));
}

static int parse_zero_pad(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    return parse_sides(config, "padding", 1, out, err);
}

static void write_zero_pad(const struct ft_layer *layer, cJSON *config)
{
    add_sides(config, "padding", layer->params.pad);
}

static int parse_cropping(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    return parse_sides(config, "cropping", 0, out, err);
}

static void write_cropping(const struct ft_layer *layer, cJSON *config)
{
    add_sides(config, "cropping", layer->params.pad);
}

static int parse_interpolation(const cJSON *config, const char *otherwise, bool *bilinear,
                               struct ft_error *err)
{
    const cJSON *how = ft_field(config, "interpolation");
    const char *name = how ? cJSON_GetStringValue(how) : otherwise;
    *bilinear = name && !strcmp(name, "bilinear");
    return *bilinear || (name && !strcmp(name, "nearest"))
               ? 0
               : ft_error_set(err, FT_EUNSUPPORTED,
                              "interpolation '%s' is not supported: only nearest and bilinear are",
                              name ? name : "?");
}

static int parse_upsampling(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    out->layer.params.kernel[0] = out->layer.params.kernel[1] = 2;
    int rc = ft_field_channels_last(config, err);
    if (!rc)
        rc = ft_field_pair(config, "size", 1, out->layer.params.kernel, err);
    return rc ? rc : parse_interpolation(config, "nearest", &out->layer.params.bilinear, err);
}

static void write_upsampling(const struct ft_layer *layer, cJSON *config)
{
    ft_add_ints(config, "size", layer->params.kernel, 2);
    if (layer->params.bilinear)
        cJSON_AddStringToObject(config, "interpolation", "bilinear");
}

static int parse_target(const cJSON *config, struct ft_layer_params *p, struct ft_error *err)
{
    int rc = ft_field_channels_last(config, err);
    p->rank = 2;
    p->shape[0] = p->shape[1] = 0;
    if (!rc)
        rc = ft_field_int(config, "height", 1, &p->shape[0], err);
    if (!rc)
        rc = ft_field_int(config, "width", 1, &p->shape[1], err);
    return rc || (p->shape[0] && p->shape[1])
               ? rc
               : ft_error_set(err, FT_EFORMAT, "the settings 'height' and 'width' are missing");
}

/* keras.layers.Resizing: bilinear or nearest with half-pixel centres, no antialiasing. */
static int parse_resizing(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    struct ft_layer_params *p = &out->layer.params;
    bool crop = false, pad = false, antialias = false;
    int rc = parse_target(config, p, err);
    rc = rc ? rc : parse_interpolation(config, "bilinear", &p->bilinear, err);
    rc = rc ? rc : ft_field_bool(config, "crop_to_aspect_ratio", &crop, err);
    rc = rc ? rc : ft_field_bool(config, "pad_to_aspect_ratio", &pad, err);
    rc = rc ? rc : ft_field_bool(config, "antialias", &antialias, err);
    if (!rc && (pad || antialias))
        rc = ft_error_set(err, FT_EUNSUPPORTED, "resizing with %s is not supported",
                          pad ? "pad_to_aspect_ratio" : "antialias");
    p->crop = crop ? FT_CROP_ASPECT : FT_CROP_NONE;
    return rc;
}

static int parse_centre_crop(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    out->layer.params.crop = FT_CROP_CENTRE;
    out->layer.params.bilinear = true;
    return parse_target(config, &out->layer.params, err);
}

/* At inference RandomCrop of tf.keras resizes as Resizing does with crop_to_aspect_ratio, that of
 * Keras 3 (whose settings have a data_format) does nothing. */
static int parse_random_crop(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    if (ft_field(config, "data_format")) {
        out->layer.kind = FT_LAYER_IDENTITY;
        return 0;
    }
    out->layer.params.crop = FT_CROP_ASPECT;
    out->layer.params.bilinear = true;
    return parse_target(config, &out->layer.params, err);
}

static void write_resize(const struct ft_layer *layer, cJSON *config)
{
    const struct ft_layer_params *p = &layer->params;
    cJSON_AddNumberToObject(config, "height", p->shape[0]);
    cJSON_AddNumberToObject(config, "width", p->shape[1]);
    if (p->crop == FT_CROP_CENTRE)
        return;
    if (!p->bilinear)
        cJSON_AddStringToObject(config, "interpolation", "nearest");
    if (p->crop == FT_CROP_ASPECT)
        cJSON_AddTrueToObject(config, "crop_to_aspect_ratio");
}

/* A shape or a permutation of [t, c] becomes one of [1, t, c]: axes move by `moved`. */
static void tokens_to_map(struct ft_draft_layer *out, int moved)
{
    struct ft_layer_params *p = &out->layer.params;
    p->rank = 3;
    p->shape[2] = p->shape[1] + moved;
    p->shape[1] = p->shape[0] + moved;
    p->shape[0] = 1;
    out->tokens = true;
}

/* Axes count from 1; the batch is axis 0. */
static int parse_permute(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const cJSON *dims = ft_field(config, "dims");
    if (cJSON_IsObject(dims))
        dims = ft_field(dims, "items");
    const int rc = parse_shape(dims, false, &out->layer.params, err);
    if (!rc && out->layer.params.rank == 2)
        tokens_to_map(out, 1);
    return rc;
}

static void write_permute(const struct ft_layer *layer, cJSON *config)
{
    add_shape(config, "dims", false, &layer->params);
}

static int parse_reshape(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const cJSON *shape = ft_field(config, "target_shape");
    if (cJSON_IsObject(shape)) /* {"class_name": "__tuple__", "items": [...]} */
        shape = ft_field(shape, "items");
    const int rc = parse_shape(shape, false, &out->layer.params, err);
    if (!rc && out->layer.params.rank == 2)
        tokens_to_map(out, 0);
    return rc;
}

static void write_reshape(const struct ft_layer *layer, cJSON *config)
{
    add_shape(config, "target_shape", false, &layer->params);
}

static int parse_flatten(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    (void)out;
    return ft_field_channels_last(config, err);
}

const struct ft_layer_class ft_shape_classes[] = {
    { "InputLayer", FT_LAYER_INPUT, parse_input, .write = write_input },
    { "ZeroPadding2D", FT_LAYER_ZERO_PAD, parse_zero_pad, .write = write_zero_pad },
    { "Cropping2D", FT_LAYER_CROPPING, parse_cropping, .write = write_cropping },
    { "UpSampling2D", FT_LAYER_UPSAMPLING, parse_upsampling, .write = write_upsampling },
    { "Resizing", FT_LAYER_RESIZE, parse_resizing, .write = write_resize },
    { "CenterCrop", FT_LAYER_RESIZE, parse_centre_crop, write_resize, .crop = FT_CROP_CENTRE },
    { "RandomCrop", FT_LAYER_RESIZE, .parse = parse_random_crop },
    { "Permute", FT_LAYER_PERMUTE, parse_permute, .write = write_permute },
    { "Reshape", FT_LAYER_RESHAPE, parse_reshape, .write = write_reshape },
    { "Flatten", FT_LAYER_FLATTEN, parse_flatten, .write = ft_write_nothing },
    { 0 },
};
