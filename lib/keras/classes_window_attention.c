/* Attention in windows with a number for each pair of pixels. Keras has no layer for it, so it is a
 * model of core layers inside the network: dense layers for queries, keys and values, two products
 * by keras.ops.einsum, and between them an EinsumDense whose bias is the positions. A model with
 * exactly these layers is read as one layer. Keras 3 only.
 */
#include <string.h>

#include "base/error.h"
#include "keras/fields.h"
#include "keras/layer_classes.h"

/* The layers of the model, in order. Axes: a batch, b windows. */
static const struct part {
    const char *name, *class, *equation;
    const char *from[2];
    int weight; /* its kernel, which the bias follows; -1: none */
} parts[] = {
    { "query", "EinsumDense", "abcd,def->abcef", { "pixels" }, FT_W_QUERY },
    { "key", "EinsumDense", "abcd,def->abcef", { "pixels" }, FT_W_KEY },
    { "scores", "Einsum", "abcef,abdef->abecd", { "query", "key" }, -1 },
    { "positions", "EinsumDense", "abcde,c->abcde", { "scores" }, FT_W_SCORE_SCALE },
    { "weights", "Softmax", NULL, { "positions" }, -1 },
    { "value", "EinsumDense", "abcd,def->abcef", { "pixels" }, FT_W_VALUE },
    { "means", "Einsum", "abecd,abdef->abcef", { "weights", "value" }, -1 },
    { "attention_output", "EinsumDense", "abcde,def->abcf", { "means" }, FT_W_OUTPUT },
};

enum { PARTS = sizeof parts / sizeof *parts };

/* ---- writing --------------------------------------------------------------------------------- */

/* A list without its first axis, the batch; 0 is null. */
static cJSON *axes(const int64_t *n, int count)
{
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < count; i++)
        cJSON_AddItemToArray(list, n[i] ? cJSON_CreateNumber((double)n[i]) : cJSON_CreateNull());
    return list;
}

static cJSON *add_part(cJSON *layers, const char *class, const char *name)
{
    cJSON *entry = cJSON_CreateObject(), *config;
    cJSON_AddItemToArray(layers, entry);
    cJSON_AddStringToObject(entry, "class_name", class);
    cJSON_AddStringToObject(entry, "name", name);
    config = cJSON_AddObjectToObject(entry, "config");
    cJSON_AddStringToObject(config, "name", name);
    return entry;
}

static void add_call(cJSON *entry, const char *const from[2])
{
    cJSON *nodes = cJSON_AddArrayToObject(entry, "inbound_nodes"), *node = cJSON_CreateObject(),
          *arguments = cJSON_AddArrayToObject(node, "args");
    cJSON_AddItemToArray(nodes, node);
    for (int i = 0; i < 2 && from[i]; i++) {
        cJSON *tensor = cJSON_CreateObject(), *config = cJSON_CreateObject();
        cJSON_AddStringToObject(tensor, "class_name", "__keras_tensor__");
        cJSON_AddItemToObject(tensor, "config", config);
        cJSON_AddItemToObject(config, "shape",
                              axes((int64_t[5]){ 0 }, strcmp(from[i], "pixels") ? 5 : 4));
        cJSON_AddStringToObject(config, "dtype", "float32");
        cJSON_AddItemToObject(config, "keras_history", ft_make_reference(from[i]));
        cJSON_AddItemToArray(arguments, tensor);
    }
    cJSON_AddObjectToObject(node, "kwargs");
}

/* The settings of the EinsumDense whose kernel is weight `w`. */
static void write_dense(const struct ft_layer *l, int w, const char *equation, cJSON *config)
{
    const struct ft_tensor *kernel = &l->weights[w], *positions = &l->weights[FT_W_POSITIONS];
    const bool by_window = positions->rank == 4;
    const int64_t windows = by_window ? positions->shape[0] : 0,
                  pixels = positions->shape[positions->rank - 1], heads = l->params.groups;
    const char *bias = w == FT_W_OUTPUT        ? "f"
                       : w != FT_W_SCORE_SCALE ? "ef"
                       : by_window             ? "bcde"
                                               : "cde";
    cJSON_AddStringToObject(config, "equation", equation);
    if (w == FT_W_SCORE_SCALE)
        cJSON_AddItemToObject(config, "output_shape",
                              axes((int64_t[]){ windows, heads, pixels, pixels }, 4));
    else if (w == FT_W_OUTPUT)
        cJSON_AddItemToObject(config, "output_shape",
                              axes((int64_t[]){ windows, pixels, kernel->shape[2] }, 3));
    else
        cJSON_AddItemToObject(config, "output_shape",
                              axes((int64_t[]){ windows, pixels, heads, kernel->shape[2] }, 4));
    if (l->weights[w + 1].data)
        cJSON_AddStringToObject(config, "bias_axes", bias);
}

static void write_windows(const struct ft_layer *l, cJSON *config)
{
    const struct ft_tensor *positions = &l->weights[FT_W_POSITIONS];
    cJSON *layers = cJSON_AddArrayToObject(config, "layers");
    cJSON *entry = add_part(layers, "InputLayer", "pixels");
    cJSON_AddItemToObject(
        cJSON_GetObjectItem(entry, "config"), "batch_shape",
        axes((int64_t[]){ 0, positions->rank == 4 ? positions->shape[0] : 0,
                          positions->shape[positions->rank - 1], l->weights[FT_W_QUERY].shape[0] },
             4));
    cJSON_AddArrayToObject(entry, "inbound_nodes");
    for (int i = 0; i < PARTS; i++) {
        const struct part *p = &parts[i];
        const bool product = !strcmp(p->class, "Einsum");
        entry = add_part(layers, p->class, p->name);
        cJSON *settings = cJSON_GetObjectItem(entry, "config");
        if (product) {
            cJSON_AddStringToObject(entry, "module", "keras.src.ops.numpy");
            cJSON_AddNullToObject(entry, "registered_name");
            cJSON_AddStringToObject(settings, "subscripts", p->equation);
        } else if (p->equation) {
            write_dense(l, p->weight, p->equation, settings);
        } else {
            cJSON_AddNumberToObject(settings, "axis", -1);
        }
        add_call(entry, p->from);
    }
    cJSON *input = cJSON_AddArrayToObject(config, "input_layers"),
          *output = cJSON_AddArrayToObject(config, "output_layers");
    cJSON_AddItemToArray(input, ft_make_reference("pixels"));
    cJSON_AddItemToArray(output, ft_make_reference(parts[PARTS - 1].name));
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The layers that `value` refers to, by ["name", 0, 0] at any depth, must be those of names [n].
 * Returns how many there are, or a number above n. The depth is bounded by that of the text. */
static int refers_to(const cJSON *value, const char *const *names, int n, int found)
{
    const cJSON *name = cJSON_IsArray(value) ? value->child : NULL;
    if (name && cJSON_IsString(name) && cJSON_IsNumber(name->next))
        return found < n && names[found] && !strcmp(names[found], name->valuestring) ? found + 1
                                                                                     : n + 1;
    if (cJSON_IsArray(value) || cJSON_IsObject(value))
        for (const cJSON *item = value->child; item && found <= n; item = item->next)
            found = refers_to(item, names, n, found);
    return found;
}

static const cJSON *find(const cJSON *layers, const char *name)
{
    for (const cJSON *entry = layers ? layers->child : NULL; entry; entry = entry->next) {
        const char *own = cJSON_GetStringValue(ft_field(entry, "name"));
        own = own ? own : cJSON_GetStringValue(ft_field(ft_field(entry, "config"), "name"));
        if (own && !strcmp(own, name))
            return entry;
    }
    return NULL;
}

static bool says(const cJSON *config, const char *key, const char *text)
{
    const char *value = cJSON_GetStringValue(ft_field(config, key));
    return value && !strcmp(value, text);
}

static bool is_part(const struct part *p, const cJSON *layers)
{
    const cJSON *entry = find(layers, p->name), *config = ft_field(entry, "config"),
                *axis = ft_field(config, "axis"), *activation = ft_field(config, "activation");
    const int inputs = p->from[1] ? 2 : 1;
    const bool product = !strcmp(p->class, "Einsum");
    if (!entry || !says(entry, "class_name", p->class) ||
        refers_to(ft_field(entry, "inbound_nodes"), p->from, inputs, 0) != inputs)
        return false;
    if (p->equation)
        return says(config, product ? "subscripts" : "equation", p->equation) &&
               (!activation || cJSON_IsNull(activation) || says(config, "activation", "linear"));
    return !axis || (cJSON_IsNumber(axis) && axis->valuedouble == -1);
}

bool ft_is_windows_attention(const cJSON *entry)
{
    static const char *const input[] = { "pixels" }, *const output[] = { "attention_output" };
    const cJSON *config = ft_field(entry, "config"), *layers = ft_field(config, "layers");
    if (!says(entry, "class_name", "Functional") || !cJSON_IsArray(layers) ||
        cJSON_GetArraySize(layers) != PARTS + 1)
        return false;
    for (int i = 0; i < PARTS; i++)
        if (!is_part(&parts[i], layers))
            return false;
    return refers_to(ft_field(config, "input_layers"), input, 1, 0) == 1 &&
           refers_to(ft_field(config, "output_layers"), output, 1, 0) == 1;
}

/* Axis `axis` of an output_shape, counted from its end; 0 if it is not a length. */
static int length_of(const cJSON *config, int axis)
{
    const cJSON *shape = ft_field(config, "output_shape");
    if (cJSON_IsObject(shape))
        shape = ft_field(shape, "items");
    const cJSON *n =
        cJSON_IsArray(shape) ? cJSON_GetArrayItem(shape, cJSON_GetArraySize(shape) - axis) : NULL;
    return n && cJSON_IsNumber(n) && n->valuedouble >= 1 && n->valuedouble <= 1 << 20
               ? (int)n->valuedouble
               : 0;
}

static int parse_windows(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const cJSON *layers = ft_field(config, "layers");
    struct ft_layer_params *p = &out->layer.params;
    for (int i = 0; i < PARTS; i++) {
        const cJSON *settings = ft_field(find(layers, parts[i].name), "config"),
                    *bias = ft_field(settings, "bias_axes");
        if (parts[i].weight < 0)
            continue;
        out->needs |= FT_NEEDS(parts[i].weight);
        if (bias && !cJSON_IsNull(bias))
            out->needs |= FT_NEEDS(parts[i].weight + 1);
        if (parts[i].weight == FT_W_QUERY) {
            p->groups = length_of(settings, 2);
            p->units = length_of(settings, 1);
        } else if (parts[i].weight == FT_W_VALUE)
            p->filters = length_of(settings, 1);
        else if (parts[i].weight == FT_W_OUTPUT)
            out->channels = length_of(settings, 1);
    }
    p->windows = true;
    return p->groups && p->units && p->filters && out->channels &&
                   out->needs & FT_NEEDS(FT_W_POSITIONS)
               ? 0
               : ft_error_set(err, FT_EFORMAT, "the settings of its attention are not valid");
}

/* [heads, q, q] or [windows, heads, q, q] */
static int check_positions(struct ft_draft_layer *d, struct ft_error *err)
{
    const struct ft_tensor *t = &d->layer.weights[FT_W_POSITIONS];
    const int n = t->rank;
    if ((n == 3 || n == 4) && t->shape[n - 1] == t->shape[n - 2] &&
        t->shape[n - 3] == d->layer.params.groups)
        return 0;
    return ft_error_set(err, FT_EFORMAT, "the shape of its positions does not fit its settings");
}

static const char *const stores[FT_MAX_WEIGHTS] = {
    "layers/einsum_dense/vars/0",   "layers/einsum_dense/vars/1",   "layers/einsum_dense_1/vars/0",
    "layers/einsum_dense_1/vars/1", "layers/einsum_dense_3/vars/0", "layers/einsum_dense_3/vars/1",
    "layers/einsum_dense_4/vars/0", "layers/einsum_dense_4/vars/1", "layers/einsum_dense_2/vars/0",
    "layers/einsum_dense_2/vars/1",
};

/* As the layers of the model come in Keras. */
static const int order[FT_MAX_WEIGHTS] = { FT_W_QUERY,      FT_W_QUERY + 1,   FT_W_KEY,
                                           FT_W_KEY + 1,    FT_W_SCORE_SCALE, FT_W_POSITIONS,
                                           FT_W_VALUE,      FT_W_VALUE + 1,   FT_W_OUTPUT,
                                           FT_W_OUTPUT_BIAS };

const struct ft_layer_class ft_windows_classes[] = {
    { "Functional", FT_LAYER_ATTENTION, parse_windows, write_windows,
      .weights = { "query/kernel", "query/bias", "key/kernel", "key/bias", "value/kernel",
                   "value/bias", "attention_output/kernel", "attention_output/bias",
                   "positions/kernel", "positions/bias" },
      .stores = stores, .order = order, .positions = true, .finish = check_positions },
    { 0 },
};
