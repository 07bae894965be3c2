#include "presets/builder.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

enum { MOST_LAYERS = 1 << 14, PATH = 512 };

int ft_build_fail(struct ft_builder *b, int code, const char *format, ...)
{
    if (b->rc)
        return b->rc;
    va_list arguments;
    char text[400];
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    b->rc = ft_error_set(b->err, code, "%s", text);
    return b->rc;
}

struct ft_layer *ft_build_at(struct ft_builder *b, int layer)
{
    return &b->network->layers[layer];
}

static bool reserve(struct ft_builder *b)
{
    if (b->network->n_layers < b->capacity)
        return true;
    const int wanted = b->capacity ? 2 * b->capacity : 64;
    struct ft_layer *more =
        wanted > MOST_LAYERS
            ? NULL
            : realloc(b->network->layers, (size_t)wanted * sizeof *b->network->layers);
    if (!more)
        return false;
    b->network->layers = more;
    b->capacity = wanted;
    return true;
}

int ft_build_layer(struct ft_builder *b, enum ft_layer_kind kind, const char *name,
                   const int *inputs, int n)
{
    if (b->rc)
        return 0;
    if (!reserve(b)) {
        b->rc = ft_error_nomem(b->err, "layers");
        return 0;
    }
    const int at = b->network->n_layers;
    struct ft_layer *layer = &b->network->layers[at];
    *layer = (struct ft_layer){ .kind = kind,
                                .n_inputs = n,
                                .params = (struct ft_layer_params){ FT_LAYER_PARAMS } };
    b->network->n_layers++;
    layer->name = ft_strdup(name);
    layer->inputs = malloc(((size_t)n + 1) * sizeof *layer->inputs);
    if (!layer->name || !layer->inputs) {
        b->rc = ft_error_nomem(b->err, "layers");
        return 0;
    }
    for (int i = 0; i < n; i++)
        layer->inputs[i] = inputs[i];
    return at;
}

/* The dataset `name` of the group `folder`; *found: the file has it. */
static struct ft_tensor read_from(struct ft_builder *b, const struct ft_h5 *h5, const char *folder,
                                  const char *name, bool *found)
{
    struct ft_tensor t = { 0 };
    int64_t group = 0, dataset = 0;
    b->rc = ft_h5_path_open(h5->file, folder, &group, b->err);
    if (!b->rc && group)
        b->rc = ft_h5_object_open(group, name, &dataset, b->err);
    if (!b->rc && dataset)
        b->rc = ft_h5_tensor(h5, group, name, false, &b->network->storage, &t, b->err);
    *found = dataset != 0;
    ft_h5_group_close(dataset);
    ft_h5_group_close(group);
    if (b->rc)
        t = (struct ft_tensor){ 0 };
    return t;
}

struct ft_tensor ft_build_tensor(struct ft_builder *b, const char *path, bool required)
{
    struct ft_tensor t = { 0 };
    char folder[PATH];
    const char *slash = strrchr(path, '/');
    bool found = false;
    if (b->rc || !slash || (size_t)(slash - path) >= sizeof folder)
        return t;
    memcpy(folder, path, (size_t)(slash - path));
    folder[slash - path] = 0;
    for (int i = 0; i < b->n_h5 && !found && !b->rc; i++)
        t = read_from(b, &b->h5[i], folder, slash + 1, &found);
    if (!found && required)
        ft_build_fail(b, FT_EFORMAT, "the weights '%s' are missing from 'model.weights.h5'", path);
    return t;
}

void ft_build_read(struct ft_builder *b, int layer, int w, const char *path)
{
    const struct ft_tensor t = ft_build_tensor(b, path, true);
    if (!b->rc)
        ft_build_at(b, layer)->weights[w] = t;
}

float *ft_build_weight(struct ft_builder *b, int layer, int w, int rank, const int64_t *shape)
{
    if (b->rc)
        return NULL;
    struct ft_tensor *t = &ft_build_at(b, layer)->weights[w];
    *t = (struct ft_tensor){ .rank = rank, .count = 1 };
    for (int i = 0; i < rank; i++) {
        t->shape[i] = shape[i];
        t->count *= (size_t)shape[i];
    }
    float *values = ft_storage_alloc(&b->network->storage, t->count);
    t->data = values;
    if (!values)
        b->rc = ft_error_nomem(b->err, "weights");
    return values;
}

/* "PATH/vars/0" and "PATH/vars/1" */
static void read_pair(struct ft_builder *b, int layer, int first, int second, const char *path)
{
    char at[PATH];
    snprintf(at, sizeof at, "%s/vars/0", path);
    ft_build_read(b, layer, first, at);
    if (second < 0)
        return;
    snprintf(at, sizeof at, "%s/vars/1", path);
    ft_build_read(b, layer, second, at);
}

int ft_build_dense(struct ft_builder *b, const char *name, int input, const char *path, bool biased)
{
    const int at = ft_build_layer(b, FT_LAYER_DENSE, name, &input, 1);
    read_pair(b, at, FT_W_KERNEL, biased ? FT_W_BIAS : -1, path);
    if (!b->rc)
        ft_build_at(b, at)->params.units = (int)ft_build_at(b, at)->weights[FT_W_KERNEL].shape[1];
    return at;
}

int ft_build_norm(struct ft_builder *b, const char *name, int input, const char *path,
                  double epsilon)
{
    const int at = ft_build_layer(b, FT_LAYER_LAYER_NORM, name, &input, 1);
    read_pair(b, at, FT_W_GAMMA, FT_W_BETA, path);
    if (!b->rc)
        ft_build_at(b, at)->params.epsilon = (float)epsilon;
    return at;
}
