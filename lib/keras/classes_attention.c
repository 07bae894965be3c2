/* Attention. Its weights are in sublayers: query, key, value and attention_output. */
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "keras/fields.h"
#include "keras/layer_classes.h"

/* Settings that change the result, and that are not supported. */
static int refuse_settings(const cJSON *config, struct ft_error *err)
{
    bool gated = false;
    const int rc = ft_field_bool(config, "use_gate", &gated, err);
    if (!rc && (gated || ft_field(config, "sliding_window")))
        return ft_error_set(err, FT_EUNSUPPORTED, "attention with %s is not supported",
                            gated ? "use_gate" : "sliding_window");
    return rc;
}

/* null, 20 or [20] */
static int read_output_shape(const cJSON *config, int *channels, struct ft_error *err)
{
    const cJSON *shape = ft_field(config, "output_shape");
    if (cJSON_IsObject(shape))
        shape = ft_field(shape, "items");
    if (cJSON_IsArray(shape) && cJSON_GetArraySize(shape) == 1)
        shape = shape->child;
    if (!shape)
        return 0;
    if (!cJSON_IsNumber(shape) || !(shape->valuedouble >= 1 && shape->valuedouble <= 1 << 20))
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "an output_shape of several axes is not supported");
    *channels = (int)shape->valuedouble;
    return 0;
}

static int parse_attention(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    struct ft_layer_params *p = &out->layer.params;
    bool biased = true;
    int rc = refuse_settings(config, err);
    rc = rc ? rc : ft_field_int(config, "num_heads", 1, &p->groups, err);
    rc = rc ? rc : ft_field_int(config, "key_dim", 1, &p->units, err);
    p->filters = p->units;
    rc = rc ? rc : ft_field_int(config, "value_dim", 1, &p->filters, err);
    rc = rc ? rc : ft_field_bool(config, "use_bias", &biased, err);
    rc = rc ? rc : read_output_shape(config, &out->channels, err);
    const cJSON *axes = ft_field(config, "attention_axes");
    const cJSON *axis = cJSON_IsArray(axes) ? axes->child : axes;
    out->attention_axes = cJSON_IsArray(axes) ? cJSON_GetArraySize(axes) : axes ? 1 : 0;
    /* the columns of a map: each row by itself; a row of tokens is all of them */
    p->windows = out->attention_axes == 1 && cJSON_IsNumber(axis) &&
                 (axis->valuedouble == 2 || axis->valuedouble == -2);
    if (p->windows)
        out->attention_axes = 0;
    for (int w = FT_W_QUERY; w <= FT_W_OUTPUT; w += FT_W_KEY)
        out->needs |= FT_NEEDS(w) | (biased ? FT_NEEDS(w + 1) : 0);
    return rc;
}

/* GroupedQueryAttention, which Keras saves as GroupQueryAttention: each key and value serves
 * several queries. */
static int parse_grouped(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    struct ft_layer_params *p = &out->layer.params;
    bool biased = true;
    int rc = refuse_settings(config, err);
    rc = rc ? rc : ft_field_int(config, "num_query_heads", 1, &p->groups, err);
    rc = rc ? rc : ft_field_int(config, "head_dim", 1, &p->units, err);
    rc = rc ? rc : ft_field_bool(config, "use_bias", &biased, err);
    p->filters = p->units;
    for (int w = FT_W_QUERY; w <= FT_W_OUTPUT; w += FT_W_KEY)
        out->needs |= FT_NEEDS(w) | (biased ? FT_NEEDS(w + 1) : 0);
    return rc;
}

/* Copies the rows of a tensor [n, heads, units] or [heads, units] so that it has `groups` heads. */
static bool repeat_heads(struct ft_tensor *t, int groups, float **to)
{
    const int axis = t->rank - 2;
    const int64_t heads = axis >= 0 ? t->shape[axis] : 0;
    if (axis < 0 || axis > 1 || heads < 1 || groups % heads)
        return false;
    const size_t units = (size_t)t->shape[axis + 1], times = (size_t)(groups / heads),
                 rows = t->count / (units ? units : 1);
    const float *from = t->data;
    t->data = *to;
    t->shape[axis] = groups;
    t->count *= times;
    for (size_t r = 0; r < rows; r++, from += units)
        for (size_t k = 0; k < times; k++, *to += units)
            memcpy(*to, from, units * sizeof **to);
    return true;
}

/* Keys and values of their own for each query, as in MultiHeadAttention. */
static int finish_grouped(struct ft_draft_layer *d, struct ft_error *err)
{
    struct ft_tensor *w = d->layer.weights;
    const size_t groups = (size_t)d->layer.params.groups;
    size_t count = 0;
    for (int i = FT_W_KEY; i < FT_W_OUTPUT; i++)
        if (w[i].data && !ft_size_mul(w[i].count, groups, &count))
            return ft_error_set(err, FT_ELIMIT, "it has too many heads");
    count = 0;
    for (int i = FT_W_KEY; i < FT_W_OUTPUT; i++)
        count += w[i].data ? w[i].count * groups : 0;
    float *to = ft_draft_constants(d, count);
    if (!to)
        return ft_error_nomem(err, "weights");
    for (int i = FT_W_KEY; i < FT_W_OUTPUT; i++)
        if (w[i].data && !repeat_heads(&w[i], (int)groups, &to))
            return ft_error_set(err, FT_EFORMAT, "the heads of its keys do not fit its settings");
    return 0;
}

static void write_attention(const struct ft_layer *layer, cJSON *config)
{
    const struct ft_layer_params *p = &layer->params;
    const int64_t in = layer->weights[FT_W_QUERY].shape[0],
                  out = layer->weights[FT_W_OUTPUT].shape[2];
    cJSON_AddNumberToObject(config, "num_heads", p->groups);
    cJSON_AddNumberToObject(config, "key_dim", p->units);
    if (p->filters != p->units)
        cJSON_AddNumberToObject(config, "value_dim", p->filters);
    if (in != out)
        cJSON_AddNumberToObject(config, "output_shape", (double)out);
    if (p->windows) {
        const int columns = 2;
        cJSON_AddItemToObject(config, "attention_axes", cJSON_CreateIntArray(&columns, 1));
    }
    if (!layer->weights[FT_W_OUTPUT_BIAS].data)
        cJSON_AddFalseToObject(config, "use_bias");
}

enum { QUERY, VALUE, KEY, MAPS }; /* in the order of the arguments */

/* Which of them a keyword gives; MAPS: another argument, for example a mask. */
static int map_of(const cJSON *argument)
{
    static const char *const maps[] = { "query", "value", "key" };
    int m = QUERY;
    while (m < MAPS && strcmp(argument->string, maps[m]) != 0)
        m++;
    return m;
}

/* The keywords of the call: of Keras 3, or the last item of tf.keras's first reference. */
static const cJSON *keywords_of(const cJSON *node)
{
    const cJSON *keywords = ft_field(node, "kwargs"), *reference = node ? node->child : NULL;
    if (!keywords && cJSON_IsArray(reference))
        keywords = cJSON_GetArrayItem(reference, 3);
    return keywords;
}

int ft_attention_inputs(struct ft_draft_layer *d, struct ft_error *err)
{
    struct ft_layer *layer = &d->layer;
    int named[MAPS], n_named = 0, at[MAPS] = { -1, -1, -1 };
    const cJSON *keywords = keywords_of(d->node);
    for (const cJSON *k = keywords ? keywords->child : NULL; k; k = k->next) {
        const int m = k->string ? map_of(k) : MAPS;
        if (cJSON_IsNull(k) || cJSON_IsFalse(k) || !k->string || !strcmp(k->string, "training"))
            continue;
        if (m == MAPS)
            return ft_error_set(err, FT_EUNSUPPORTED,
                                "layer '%s': attention with '%s' is not supported", layer->name,
                                k->string);
        if (n_named < MAPS)
            named[n_named++] = m;
    }
    /* Arguments without a name come first. */
    for (int i = 0; i < layer->n_inputs && i < MAPS; i++) {
        const int first = layer->n_inputs - n_named;
        at[i < first ? i : named[i - first]] = layer->inputs[i];
    }
    if (layer->n_inputs > MAPS || at[QUERY] < 0)
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "layer '%s': attention with a mask is not supported", layer->name);
    if (at[VALUE] < 0) /* the layer is called on one map */
        at[VALUE] = at[KEY] < 0 ? at[QUERY] : at[KEY];
    if (at[KEY] < 0)
        at[KEY] = at[VALUE];
    const bool three = at[KEY] != at[VALUE];
    layer->n_inputs = three ? 3 : at[VALUE] != at[QUERY] ? 2 : 1;
    for (int i = 0; i < layer->n_inputs; i++)
        layer->inputs[i] = at[i];
    return 0;
}

static const char *const stores[FT_MAX_WEIGHTS] = {
    "query_dense/vars/0", "query_dense/vars/1", "key_dense/vars/0",    "key_dense/vars/1",
    "value_dense/vars/0", "value_dense/vars/1", "output_dense/vars/0", "output_dense/vars/1",
};

static const char *const grouped_stores[FT_MAX_WEIGHTS] = {
    "_query_dense/vars/0", "_query_dense/vars/1", "_key_dense/vars/0",    "_key_dense/vars/1",
    "_value_dense/vars/0", "_value_dense/vars/1", "_output_dense/vars/0", "_output_dense/vars/1",
};

const struct ft_layer_class ft_attention_classes[] = {
    { "MultiHeadAttention", FT_LAYER_ATTENTION, parse_attention, write_attention,
      .weights = { "query/kernel", "query/bias", "key/kernel", "key/bias", "value/kernel",
                   "value/bias", "attention_output/kernel", "attention_output/bias" },
      .stores = stores },
    { "GroupedQueryAttention", FT_LAYER_ATTENTION, parse_grouped, NULL,
      .weights = { "query/kernel", "query/bias", "key/kernel", "key/bias", "value/kernel",
                   "value/bias", "attention_output/kernel", "attention_output/bias" },
      .stores = grouped_stores, .finish = finish_grouped },
    { "GroupQueryAttention", FT_LAYER_ATTENTION, parse_grouped, NULL,
      .weights = { "query/kernel", "query/bias", "key/kernel", "key/bias", "value/kernel",
                   "value/bias", "attention_output/kernel", "attention_output/bias" },
      .stores = grouped_stores, .finish = finish_grouped },
    { 0 },
};
