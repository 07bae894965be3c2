/* Classes that scale and normalise: rescaling, normalisations. */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/error.h"
#include "keras/arguments.h"
#include "keras/fields.h"
#include "keras/layer_classes.h"

/* One or two settings that are numbers or nested lists; absent ones stay empty. */
static int parse_constants(const cJSON *config, const char *const keys[2],
                           struct ft_keras_constant out[2], struct ft_error *err)
{
    for (int i = 0; i < 2; i++) {
        const cJSON *value = ft_field(config, keys[i]);
        const int rc = value ? ft_constant_parse(value, &out[i], err) : 0;
        if (rc)
            return ft_error_prefix(err, rc, "setting '%s'", keys[i]);
    }
    return 0;
}

/* A tensor of lists, as deep as it has axes. */
static cJSON *nested(const struct ft_tensor *t, int axis, const float **at)
{
    if (axis == t->rank)
        return ft_json_float(*(*at)++);
    cJSON *list = cJSON_CreateArray();
    for (int64_t i = 0; i < t->shape[axis]; i++)
        cJSON_AddItemToArray(list, nested(t, axis + 1, at));
    return list;
}

static void add_constant(cJSON *config, const char *key, const struct ft_tensor *t)
{
    const float *at = t->data;
    cJSON_AddItemToObject(config, key, nested(t, t->count == 1 ? t->rank : 0, &at));
}

static int parse_rescaling(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    struct ft_keras_constant of[2] = { { 0 } };
    int rc = parse_constants(config, (const char *const[]){ "scale", "offset" }, of, err);
    if (!rc)
        rc = ft_constants_apply(out, 1, &of[0], 1, &of[1], err);
    ft_constant_release(&of[0]);
    ft_constant_release(&of[1]);
    return rc;
}

static void write_rescaling(const struct ft_layer *layer, cJSON *config)
{
    add_constant(config, "scale", &layer->weights[FT_W_SCALE]);
    if (layer->weights[FT_W_OFFSET].data)
        add_constant(config, "offset", &layer->weights[FT_W_OFFSET]);
}

/* The settings that all normalisations have: axis, scale, center and epsilon. */
static int parse_affine_norm(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    bool scale = true, centre = true;
    double epsilon = 1e-3;
    int rc = ft_field_axes(config, &out->axis, &out->n_axes, err);
    if (!rc && out->n_axes > 1 && out->layer.kind != FT_LAYER_LAYER_NORM)
        rc = ft_error_set(err, FT_EUNSUPPORTED, "several axes at once are not supported here");
    if (!rc)
        rc = ft_field_bool(config, "scale", &scale, err);
    if (!rc)
        rc = ft_field_bool(config, "center", &centre, err);
    if (!rc)
        rc = ft_field_number(config, "epsilon", &epsilon, err);
    out->layer.params.epsilon = (float)epsilon;
    out->needs = (scale ? FT_NEEDS(FT_W_GAMMA) : 0) | (centre ? FT_NEEDS(FT_W_BETA) : 0);
    return rc;
}

static void write_affine_norm(const struct ft_layer *layer, cJSON *config)
{
    cJSON_AddItemToObject(config, "epsilon", ft_json_float(layer->params.epsilon));
    if (!layer->weights[FT_W_GAMMA].data)
        cJSON_AddFalseToObject(config, "scale");
    if (!layer->weights[FT_W_BETA].data)
        cJSON_AddFalseToObject(config, "center");
}

static int parse_batch_norm(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const int rc = parse_affine_norm(config, out, err);
    out->needs |= FT_NEEDS(FT_W_MEAN) | FT_NEEDS(FT_W_VARIANCE);
    return rc;
}

static int parse_layer_norm(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    bool rms = false;
    int rc = ft_field_bool(config, "rms_scaling", &rms, err);
    if (!rc && rms)
        rc = ft_error_set(err, FT_EUNSUPPORTED, "rms_scaling is not supported");
    return rc ? rc : parse_affine_norm(config, out, err);
}

static int parse_rms_norm(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    double epsilon = 1e-6;
    int rc = ft_field_axes(config, &out->axis, &out->n_axes, err);
    rc = rc ? rc : ft_field_number(config, "epsilon", &epsilon, err);
    out->layer.params.epsilon = (float)epsilon;
    out->needs = FT_NEEDS(FT_W_GAMMA);
    return rc;
}

static void write_rms_norm(const struct ft_layer *layer, cJSON *config)
{
    cJSON_AddItemToObject(config, "epsilon", ft_json_float(layer->params.epsilon));
}

static int parse_group_norm(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    out->layer.params.groups = 32;
    const int rc = ft_field_int(config, "groups", -1, &out->layer.params.groups, err);
    return rc ? rc : parse_affine_norm(config, out, err);
}

static void write_group_norm(const struct ft_layer *layer, cJSON *config)
{
    cJSON_AddNumberToObject(config, "groups", layer->params.groups);
    write_affine_norm(layer, config);
}

static int parse_unit_norm(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    return ft_field_axis(config, &out->axis, err);
}

/* (x - mean) / sqrt(variance), or its inverse with `invert`. The statistics are settings or
 * weights. */
static int parse_normalization(const cJSON *config, struct ft_draft_layer *out,
                               struct ft_error *err)
{
    const cJSON *mean = ft_field(config, "mean"), *variance = ft_field(config, "variance");
    const cJSON *axis = cJSON_GetObjectItemCaseSensitive(config, "axis");
    const bool none = cJSON_IsNull(axis) || (cJSON_IsArray(axis) && !axis->child);
    /* axis=None: one mean and one variance for all values */
    int rc = none ? 0 : ft_field_axis(config, &out->axis, err);
    if (rc || !mean != !variance)
        return rc ? rc : ft_error_set(err, FT_EFORMAT, "mean and variance must be given together");
    if (!mean) {
        out->needs = FT_NEEDS(FT_W_NORM_MEAN) | FT_NEEDS(FT_W_NORM_VARIANCE);
        return 0;
    }
    struct ft_keras_constant of[2] = { { 0 } };
    rc = parse_constants(config, (const char *const[]){ "mean", "variance" }, of, err);
    if (!rc)
        rc = ft_constants_apply(out, 1, &of[0], 1, &of[1], err);
    ft_constant_release(&of[0]);
    ft_constant_release(&of[1]);
    if (!rc && out->layer.kind == FT_LAYER_MAP_RESCALING)
        rc = ft_error_set(err, FT_EUNSUPPORTED,
                          "statistics for rows or columns are not supported: only for channels");
    return rc;
}

/* Normalization divides by the standard deviation, at least keras.backend.epsilon(). */
static int finish_normalization(struct ft_draft_layer *layer, struct ft_error *err)
{
    struct ft_tensor *w = layer->layer.weights;
    const size_t n = w[FT_W_NORM_MEAN].count;
    const bool invert = cJSON_IsTrue(ft_field(layer->config, "invert"));
    if (!n || w[FT_W_NORM_VARIANCE].count != n)
        return ft_error_set(err, FT_EFORMAT, "its mean and variance differ in length");
    float *values = ft_alloc(2 * n, sizeof *values);
    if (!values)
        return ft_error_nomem(err, "the statistics of pixels");
    for (size_t i = 0; i < n; i++) {
        const double mean = w[FT_W_NORM_MEAN].data[i],
                     deviation = fmax(sqrt((double)w[FT_W_NORM_VARIANCE].data[i]), 1e-7);
        values[i] = (float)(invert ? deviation : 1 / deviation);
        values[n + i] = (float)(invert ? mean : -mean / deviation);
    }
    free(layer->constants);
    layer->constants = values;
    w[FT_W_SCALE] = (struct ft_tensor){ 1, { (int64_t)n }, n, values };
    w[FT_W_OFFSET] = (struct ft_tensor){ 1, { (int64_t)n }, n, values + n };
    return 0;
}

static int parse_layer_scale(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    (void)config, (void)err;
    out->needs = FT_NEEDS(FT_W_SCALE);
    return 0;
}

static int finish_layer_scale(struct ft_draft_layer *layer, struct ft_error *err)
{
    float *zero = ft_draft_constants(layer, 1);
    if (!zero)
        return ft_error_nomem(err, "a constant");
    *zero = 0;
    layer->layer.weights[FT_W_OFFSET] = (struct ft_tensor){ 1, { 1 }, 1, zero };
    return 0;
}

/* Weights over several axes are those of one, as the input is then (axes.c). */
static int finish_norm(struct ft_draft_layer *layer, struct ft_error *err)
{
    (void)err;
    for (int w = FT_W_GAMMA; w <= FT_W_BETA; w++) {
        struct ft_tensor *t = &layer->layer.weights[w];
        if (t->rank > 1)
            *t = (struct ft_tensor){ 1, { (int64_t)t->count }, t->count, t->data };
    }
    return 0;
}

const struct ft_layer_class ft_norm_classes[] = {
    { "Rescaling", FT_LAYER_RESCALING, parse_rescaling, .write = write_rescaling },
    { "Rescaling", FT_LAYER_MAP_RESCALING, parse_rescaling, .write = write_rescaling },
    { "BatchNormalization", FT_LAYER_BATCH_NORM, parse_batch_norm, write_affine_norm,
      .weights = { "gamma", "beta", "moving_mean", "moving_variance" }, .build = ft_build_axes },
    { "LayerNormalization", FT_LAYER_LAYER_NORM, parse_layer_norm, write_affine_norm,
      .weights = { "gamma", "beta" }, .finish = finish_norm, .build = ft_build_axes },
    { "GroupNormalization", FT_LAYER_GROUP_NORM, parse_group_norm, write_group_norm,
      .weights = { "gamma", "beta" }, .build = ft_build_axes },
    { "RMSNormalization", FT_LAYER_RMS_NORM, parse_rms_norm, write_rms_norm, .weights = { "scale" },
      .finish = finish_norm, .build = ft_build_axes },
    { "UnitNormalization", FT_LAYER_UNIT_NORM, parse_unit_norm, ft_write_nothing,
      .build = ft_build_axes },
    { "Normalization", FT_LAYER_RESCALING, parse_normalization, NULL,
      .weights = { "mean", "variance", "count" }, .ignored = 1u << 2,
      .finish = finish_normalization },
    { "LayerScale", FT_LAYER_RESCALING, parse_layer_scale, NULL,
      .weights = { "gamma|variable*|Variable*" }, .finish = finish_layer_scale },
    { 0 },
};
