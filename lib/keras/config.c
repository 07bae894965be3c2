/* model_config to a draft. The dialects of Keras 1.2, 2 (lists of [name, node, tensor, {}]) and 3 (__keras_tensor__ objects), Functional
 * and Sequential: tf_keras/engine/functional.py, keras/src/models/functional.py. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "keras/draft.h"
#include "keras/fields.h"

enum { LAYERS_LIMIT = 1 << 14, INPUTS_LIMIT = 1 << 10 };

static const char *text_of(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

void ft_draft_release(struct ft_draft *draft)
{
    for (int i = 0; i < draft->n; i++) {
        free(draft->layers[i].layer.name);
        free(draft->layers[i].layer.inputs);
        free(draft->layers[i].constants);
    }
    free(draft->layers);
    free(draft->name);
    cJSON_Delete(draft->json);
    *draft = (struct ft_draft){ 0 };
}

/* ---- names ------------------------------------------------------------------------------------------------------------ */

struct entry {
    const char *name;
    int layer;
};

struct index {
    int n;
    struct entry *sorted; /* [n] by name */
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static int index_new(const struct ft_draft *draft, struct index *out, struct ft_error *err)
{
    struct entry *sorted = malloc(((size_t)draft->n + 1) * sizeof *sorted);
    if (!sorted)
        return ft_error_nomem(err, "the names of layers");
    for (int i = 0; i < draft->n; i++)
        sorted[i] = (struct entry){ draft->layers[i].layer.name, i };
    qsort(sorted, (size_t)draft->n, sizeof *sorted, by_name);
    for (int i = 1; i < draft->n; i++)
        if (!by_name(&sorted[i - 1], &sorted[i])) {
            ft_error_set(err, FT_EFORMAT, "two layers are called '%s'", sorted[i].name);
            free(sorted);
            return FT_EFORMAT;
        }
    *out = (struct index){ draft->n, sorted };
    return 0;
}

static int index_find(const struct index *index, const char *name)
{
    const struct entry key = { name, 0 };
    const struct entry *found = bsearch(&key, index->sorted, (size_t)index->n, sizeof key, by_name);
    return found ? found->layer : -1;
}

/* ---- references to other layers ----------------------------------------------------------------------------------------- */

struct references {
    const struct index *index;
    int *inputs;
    int n;
    size_t capacity;
};

static int reference_add(struct references *r, const char *name, const cJSON *node, const cJSON *tensor, struct ft_error *err)
{
    const int input = index_find(r->index, name);
    if (input < 0)
        return ft_error_set(err, FT_EFORMAT, "its input '%s' is not in the network", name);
    if (!cJSON_IsNumber(node) || node->valuedouble != 0)
        return ft_error_set(err, FT_EUNSUPPORTED, "its input '%s' is a shared layer, which is not supported", name);
    if (!cJSON_IsNumber(tensor) || tensor->valuedouble != 0)
        return ft_error_set(err, FT_EUNSUPPORTED, "its input '%s' has several outputs, which is not supported", name);
    if (r->n >= INPUTS_LIMIT)
        return ft_error_set(err, FT_ELIMIT, "more than %d inputs", INPUTS_LIMIT);
    if (!ft_grow((void **)&r->inputs, &r->capacity, (size_t)r->n, sizeof *r->inputs))
        return ft_error_nomem(err, "its inputs");
    r->inputs[r->n++] = input;
    return 0;
}

/* ["name", node, tensor, {}] and its lists of lists; {"args": ...}; {"class_name": "__keras_tensor__", ...}. Depth is bounded by cJSON's. */
static int references_collect(struct references *r, const cJSON *value, struct ft_error *err)
{
    if (cJSON_IsObject(value)) {
        const cJSON *config = ft_field(value, "config"), *history = ft_field(config, "keras_history"), *args = ft_field(value, "args");
        return references_collect(r, history ? history : args, err);
    }
    if (!cJSON_IsArray(value))
        return ft_error_set(err, FT_EUNSUPPORTED, "an input that is not a layer is not supported");
    const cJSON *first = value->child;
    if (cJSON_IsString(first))
        return reference_add(r, first->valuestring, first->next, first->next ? first->next->next : NULL, err);
    for (const cJSON *item = first; item; item = item->next) {
        const int rc = references_collect(r, item, err);
        if (rc)
            return rc;
    }
    return 0;
}

static int layer_inputs(const struct index *index, struct ft_draft_layer *out, const cJSON *entry, struct ft_error *err)
{
    const cJSON *nodes = ft_field(entry, "inbound_nodes");
    struct references r = { .index = index };
    const int n = cJSON_GetArraySize(nodes);
    if (n > 1)
        return ft_error_set(err, FT_EUNSUPPORTED, "it is used %d times (a shared layer), which is not supported", n);
    int rc = n ? references_collect(&r, nodes->child, err) : 0;
    if (!rc && !r.n && out->layer.kind != FT_LAYER_INPUT)
        rc = ft_error_set(err, FT_EFORMAT, "it has no input");
    if (!rc && r.n && out->layer.kind == FT_LAYER_INPUT)
        rc = ft_error_set(err, FT_EFORMAT, "an input layer has an input");
    out->layer.inputs = r.inputs;
    out->layer.n_inputs = r.n;
    return rc;
}

/* ---- layers ------------------------------------------------------------------------------------------------------------- */

static int check_dtype(const cJSON *config, struct ft_error *err)
{
    const cJSON *dtype = ft_field(config, "dtype");
    const char *name = cJSON_IsObject(dtype) ? text_of(ft_field(dtype, "config"), "name") : cJSON_GetStringValue(dtype);
    if (name && (strstr(name, "int") || strstr(name, "float8")))
        return ft_error_set(err, FT_EUNSUPPORTED, "dtype '%s' is not supported: save the network in float32", name);
    return 0;
}

static void layer_defaults(struct ft_draft_layer *out)
{
    struct ft_layer_params *p = &out->layer.params;
    p->groups = p->multiplier = 1;
    for (int i = 0; i < 2; i++)
        p->kernel[i] = p->stride[i] = p->dilation[i] = 1;
    out->axis = -1;
}

static int parse_layer(const cJSON *entry, struct ft_draft_layer *out, struct ft_error *err)
{
    const char *kind = text_of(entry, "class_name"), *name = text_of(entry, "name");
    const cJSON *config = ft_field(entry, "config");
    if (!name)
        name = text_of(config, "name");
    if (!kind || !name || !*name || !cJSON_IsObject(config))
        return ft_error_set(err, FT_EFORMAT, "a layer has no class, name or settings");
    layer_defaults(out);
    out->config = config;
    out->layer.name = ft_strdup(name);
    if (!out->layer.name)
        return ft_error_nomem(err, "the names of layers");
    const struct ft_layer_class *class = ft_layer_class_find(kind);
    int rc;
    if (class) {
        out->layer.kind = class->kind;
        rc = check_dtype(config, err);
        rc = rc ? rc : class->parse(config, out, err);
    } else if (!strcmp(kind, "Sequential") || !strcmp(kind, "Functional") || !strcmp(kind, "Model"))
        rc = ft_error_set(err, FT_EUNSUPPORTED, "a model inside a model is not supported: save it with its layers at the top");
    else
        rc = ft_error_set(err, FT_EUNSUPPORTED, "layers of class '%s' are not supported", kind);
    return rc ? ft_error_prefix(err, rc, "layer '%s'", name) : 0;
}

static int parse_functional(const cJSON *config, struct ft_draft *draft, struct ft_error *err)
{
    const cJSON *entry;
    struct index index = { 0 };
    int i = 0, rc = index_new(draft, &index, err);
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(config, "layers")) {
        struct ft_draft_layer *layer = &draft->layers[i++];
        rc = rc ? rc : layer_inputs(&index, layer, entry, err);
        if (rc && index.sorted) {
            ft_error_prefix(err, rc, "layer '%s'", layer->layer.name);
            break;
        }
    }
    struct references ends = { .index = &index };
    const cJSON *outputs = ft_field(config, "output_layers");
    if (!rc && (!outputs || references_collect(&ends, outputs, err)))
        rc = outputs ? ft_error_prefix(err, FT_EUNSUPPORTED, "the network's output") : ft_error_set(err, FT_EFORMAT, "the network has no output");
    if (!rc && ends.n != 1)
        rc = ft_error_set(err, FT_EUNSUPPORTED, "the network has %d outputs: only one is supported", ends.n);
    if (!rc)
        draft->output = ends.inputs[0];
    free(ends.inputs);
    free(index.sorted);
    return rc;
}

/* Layer 0 of a draft is free for an input that the first layer's batch_input_shape implies. */
static int parse_sequential(struct ft_draft *draft, struct ft_error *err)
{
    struct index index = { 0 };
    int rc = index_new(draft, &index, err);
    free(index.sorted);
    for (int i = 1; !rc && i < draft->n; i++) {
        struct ft_layer *layer = &draft->layers[i].layer;
        layer->inputs = malloc(sizeof *layer->inputs);
        if (!layer->inputs)
            return ft_error_nomem(err, "inputs");
        layer->inputs[0] = i - 1;
        layer->n_inputs = 1;
        if (layer->kind == FT_LAYER_INPUT)
            rc = ft_error_set(err, FT_EFORMAT, "layer '%s': an input in the middle of a sequence", layer->name);
    }
    draft->output = draft->n - 1;
    return rc;
}

static int implied_input(const cJSON *first, struct ft_draft_layer *out, struct ft_error *err)
{
    const cJSON *config = ft_field(first, "config");
    const char *name = text_of(config, "name");
    layer_defaults(out);
    out->layer.kind = FT_LAYER_INPUT;
    out->layer.name = malloc((name ? strlen(name) : 0) + sizeof "_input");
    if (!out->layer.name)
        return ft_error_nomem(err, "the names of layers");
    strcpy(out->layer.name, name ? name : "");
    strcat(out->layer.name, "_input");
    const int rc = ft_layer_class_find("InputLayer")->parse(config, out, err);
    return rc ? ft_error_prefix(err, rc, "layer '%s'", name ? name : "") : 0;
}

static int parse_model(struct ft_draft *draft, struct ft_error *err)
{
    const cJSON *config = ft_field(draft->json, "config"), *list = cJSON_IsArray(config) ? config : ft_field(config, "layers"), *entry;
    const char *kind = text_of(draft->json, "class_name"), *name = text_of(config, "name");
    const bool sequential = kind && !strcmp(kind, "Sequential");
    if (!kind || !cJSON_IsArray(list))
        return ft_error_set(err, FT_EFORMAT, "attribute 'model_config' does not describe a network");
    if (!sequential && strcmp(kind, "Functional") && strcmp(kind, "Model"))
        return ft_error_set(err, FT_EUNSUPPORTED, "a network of class '%s' is not supported: only Functional and Sequential are", kind);
    const int n = cJSON_GetArraySize(list);
    if (n < 1 || n > LAYERS_LIMIT)
        return ft_error_set(err, FT_ELIMIT, "the network has %d layers: 1 to %d are supported", n, LAYERS_LIMIT);
    draft->name = ft_strdup(name ? name : "model");
    draft->layers = calloc((size_t)n + 1, sizeof *draft->layers);
    if (!draft->name || !draft->layers)
        return ft_error_nomem(err, "layers");
    const char *first = text_of(list->child, "class_name");
    int rc = 0;
    if (sequential && (!first || strcmp(first, "InputLayer")))
        rc = implied_input(list->child, &draft->layers[draft->n++], err);
    cJSON_ArrayForEach(entry, list) {
        if (rc)
            return rc;
        rc = parse_layer(entry, &draft->layers[draft->n++], err);
    }
    if (rc)
        return rc;
    return sequential ? parse_sequential(draft, err) : parse_functional(config, draft, err);
}

int ft_draft_parse(const char *text, struct ft_draft *out, struct ft_error *err)
{
    struct ft_draft draft = { .json = cJSON_Parse(text) };
    if (!draft.json)
        return ft_error_set(err, FT_EFORMAT, "attribute 'model_config' is not JSON: the file is damaged");
    const int rc = parse_model(&draft, err);
    if (rc)
        ft_draft_release(&draft);
    else
        *out = draft;
    return rc;
}
