/* Values and layers of a graph that is being read. */
#include "onnx/import.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

enum { MOST_LAYERS = 1 << 14, NAME = 200 };

int ft_onnx_refuse(const struct ft_import *x, const char *format, ...)
{
    va_list arguments;
    char text[400];
    const char *name = x->node->name && *x->node->name ? x->node->name
                       : x->node->n_output             ? x->node->output[0]
                                                       : "";
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return ft_error_set(x->err, FT_EUNSUPPORTED, "node '%.100s': operator '%.40s': %s", name,
                        x->node->op_type, text);
}

int ft_onnx_spend(struct ft_import *x, size_t bytes)
{
    if (bytes > x->budget)
        return ft_error_set(x->err, FT_ELIMIT,
                            "its constants need much more memory than the file is large");
    x->budget -= bytes;
    return 0;
}

int ft_onnx_new(struct ft_import *x, struct ft_constant *c, bool integer)
{
    size_t bytes = integer ? sizeof(int64_t) : sizeof(float);
    for (int d = 0; d < c->rank; d++)
        if (c->dims[d] < 0 || !ft_size_mul(bytes, (size_t)c->dims[d], &bytes))
            return ft_error_set(x->err, FT_ELIMIT, "a tensor is too large");
    const int rc = ft_onnx_spend(x, bytes);
    return rc ? rc : ft_constant_new(c, integer, &x->network->storage, x->err);
}

struct ft_onnx_value *ft_onnx_find(const struct ft_import *x, const char *name)
{
    size_t low = 0, high = x->n_values;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        const int order = strcmp(name, x->names[middle]);
        if (!order)
            return &x->values[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

struct ft_onnx_value *ft_onnx_input(const struct ft_import *x, size_t k)
{
    if (k >= x->node->n_input || !*x->node->input[k])
        return NULL;
    return ft_onnx_find(x, x->node->input[k]);
}

const struct ft_constant *ft_onnx_constant(const struct ft_import *x, size_t k, size_t count)
{
    const struct ft_onnx_value *v = ft_onnx_input(x, k);
    return v && v->kind == FT_ONNX_CONSTANT && (!count || v->constant.count == count) ? &v->constant
                                                                                      : NULL;
}

int ft_onnx_set(struct ft_import *x, size_t k, const struct ft_onnx_value *value)
{
    if (k >= x->node->n_output || !*x->node->output[k])
        return 0;
    struct ft_onnx_value *v = ft_onnx_find(x, x->node->output[k]);
    if (!v || v->kind != FT_ONNX_ABSENT)
        return ft_error_set(x->err, FT_EFORMAT, "two nodes compute '%.200s'", x->node->output[k]);
    *v = *value;
    v->node = x->node;
    return 0;
}

int ft_onnx_set_view(struct ft_import *x, size_t k, const struct ft_view *view)
{
    return ft_onnx_set(x, k, &(struct ft_onnx_value){ .kind = FT_ONNX_VIEW, .view = *view });
}

const Ft__Onnx__Attribute *ft_onnx_attribute(const Ft__Onnx__Node *node, const char *name)
{
    for (size_t i = 0; i < node->n_attribute; i++)
        if (node->attribute[i]->name && !strcmp(node->attribute[i]->name, name))
            return node->attribute[i];
    return NULL;
}

int64_t ft_onnx_int(const Ft__Onnx__Node *node, const char *name, int64_t otherwise)
{
    const Ft__Onnx__Attribute *a = ft_onnx_attribute(node, name);
    return a && a->has_i ? a->i : otherwise;
}

double ft_onnx_float(const Ft__Onnx__Node *node, const char *name, double otherwise)
{
    const Ft__Onnx__Attribute *a = ft_onnx_attribute(node, name);
    return a && a->has_f ? (double)a->f : otherwise;
}

bool ft_onnx_text_is(const Ft__Onnx__Node *node, const char *name, const char *value)
{
    const Ft__Onnx__Attribute *a = ft_onnx_attribute(node, name);
    return a && a->has_s && a->s.len == strlen(value) && !memcmp(a->s.data, value, a->s.len);
}

int ft_onnx_ints(const struct ft_import *x, const char *name, int k, int64_t *out, int most)
{
    const Ft__Onnx__Attribute *a = ft_onnx_attribute(x->node, name);
    const struct ft_onnx_value *v = k < 0 ? NULL : ft_onnx_input(x, (size_t)k);
    if (a) {
        if (a->n_ints > (size_t)most)
            return -2;
        for (size_t i = 0; i < a->n_ints; i++)
            out[i] = a->ints[i];
        return (int)a->n_ints;
    }
    if (!v)
        return -1;
    if (v->kind != FT_ONNX_CONSTANT || !v->constant.i || v->constant.count > (size_t)most)
        return -2;
    for (size_t i = 0; i < v->constant.count; i++)
        out[i] = v->constant.i[i];
    return (int)v->constant.count;
}

/* ---- layers ---------------------------------------------------------------------------------- */

struct ft_layer *ft_onnx_at(const struct ft_import *x, int layer)
{
    return &x->network->layers[layer];
}

bool ft_onnx_is_vector(const struct ft_import *x, int layer)
{
    return ft_network_rank(x->network, layer) == 1;
}

static bool reserve(struct ft_import *x)
{
    struct ft_network *n = x->network;
    if (n->n_layers < x->capacity)
        return true;
    const size_t wanted = x->capacity ? 2 * (size_t)x->capacity : 64;
    if (wanted > MOST_LAYERS)
        return false;
    struct ft_layer *layers = realloc(n->layers, wanted * sizeof *layers);
    if (layers)
        n->layers = layers;
    int64_t(*shapes)[FT_AXES] = realloc(x->shapes, wanted * sizeof *shapes);
    if (shapes)
        x->shapes = shapes;
    if (!layers || !shapes)
        return false;
    x->capacity = (int)wanted;
    return true;
}

/* "/layer1/layer1.0/conv1/Conv" becomes "layer1.layer1.0.conv1.Conv". */
static void layer_name(const struct ft_import *x, char *to)
{
    const Ft__Onnx__Node *node = x->node;
    const char *from = node && node->name && *node->name ? node->name
                       : node && node->n_output          ? node->output[0]
                                                         : "image";
    size_t n = 0;
    for (; *from && n + 1 < NAME; from++) {
        const bool plain = isalnum((unsigned char)*from) || *from == '_' || *from == '.';
        if (plain)
            to[n++] = *from;
        else if (n)
            to[n++] = *from == '/' ? '.' : '_';
    }
    while (n && to[n - 1] == '.')
        n--;
    to[n] = 0;
    if (!n || *to == '.')
        snprintf(to, NAME, "layer");
}

int ft_onnx_layer(struct ft_import *x, enum ft_layer_kind kind, const int *inputs, int n,
                  const int64_t shape[FT_AXES], int *out)
{
    char name[NAME];
    struct ft_network *network = x->network;
    int64_t own[FT_AXES]; /* `shape` may point into x->shapes, which moves */
    memcpy(own, shape, sizeof own);
    for (int i = 0; i < FT_AXES; i++)
        if (shape[i] < 1 || shape[i] > INT32_MAX / 4)
            return ft_onnx_refuse(x, "its output has no values, or too many");
    if (network->n_layers >= MOST_LAYERS)
        return ft_error_set(x->err, FT_ELIMIT, "the network has more than %d layers", MOST_LAYERS);
    layer_name(x, name);
    char *unique = ft_network_free_name(network, name);
    int *copy = malloc(((size_t)n + 1) * sizeof *copy);
    if (!unique || !copy || !reserve(x)) {
        free(unique);
        free(copy);
        return ft_error_nomem(x->err, "layers");
    }
    for (int i = 0; i < n; i++)
        copy[i] = inputs[i];
    *out = network->n_layers++;
    network->layers[*out] = (struct ft_layer){
        .kind = kind, .name = unique, .inputs = copy, .n_inputs = n, .params = { FT_LAYER_PARAMS }
    };
    memcpy(x->shapes[*out], own, sizeof own);
    return 0;
}

float *ft_onnx_weight(struct ft_import *x, int layer, int w, int rank, const int64_t *shape)
{
    struct ft_tensor t = { .rank = rank, .count = 1 };
    for (int i = 0; i < rank; i++) {
        t.shape[i] = shape[i];
        if (shape[i] < 1 || !ft_size_mul(t.count, (size_t)shape[i], &t.count)) {
            ft_error_nomem(x->err, "weights");
            return NULL;
        }
    }
    if (t.count > SIZE_MAX / sizeof(float) || ft_onnx_spend(x, t.count * sizeof(float)))
        return NULL;
    float *values = ft_storage_alloc(&x->network->storage, t.count);
    if (!values)
        ft_error_nomem(x->err, "weights");
    t.data = values;
    if (values)
        ft_onnx_at(x, layer)->weights[w] = t;
    return values;
}
