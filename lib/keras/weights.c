/* Weights by name: the group of a layer lists the names of its datasets in `weight_names`; their last part says which they are. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "keras/draft.h"

/* The shape that weight w of a layer has; 0 where the parameters do not say. Returns the rank, 0 for any. */
static int weight_shape(const struct ft_layer *layer, int w, int64_t shape[5])
{
    const struct ft_layer_params *p = &layer->params;
    const struct ft_tensor *kernel = &layer->weights[FT_W_KERNEL];
    const bool is_kernel = w == FT_W_KERNEL;
    switch (layer->kind) {
    case FT_LAYER_CONV2D:
        memcpy(shape, is_kernel ? (int64_t[]){ p->kernel[0], p->kernel[1], 0, p->filters } : (int64_t[]){ p->filters, 0, 0, 0 }, 4 * sizeof *shape);
        return is_kernel ? 4 : 1;
    case FT_LAYER_DEPTHWISE_CONV2D:
        memcpy(shape, is_kernel ? (int64_t[]){ p->kernel[0], p->kernel[1], 0, p->multiplier } : (int64_t[]){ kernel->shape[2] * p->multiplier, 0, 0, 0 },
               4 * sizeof *shape);
        return is_kernel ? 4 : 1;
    case FT_LAYER_DENSE:
        memcpy(shape, is_kernel ? (int64_t[]){ 0, p->units } : (int64_t[]){ p->units, 0 }, 2 * sizeof *shape);
        return is_kernel ? 2 : 1;
    case FT_LAYER_BATCH_NORM:
        shape[0] = layer->weights[FT_W_VARIANCE].shape[0];
        return 1;
    default: return 0;
    }
}

int ft_layer_check(const struct ft_layer *layer, struct ft_error *err)
{
    for (int w = 0; w < FT_MAX_WEIGHTS; w++) {
        const struct ft_tensor *t = &layer->weights[w];
        int64_t shape[5] = { 0 };
        const int rank = t->data ? weight_shape(layer, w, shape) : 0;
        bool right = !rank || rank == t->rank;
        for (int i = 0; i < rank; i++)
            right &= !shape[i] || shape[i] == t->shape[i];
        if (!right)
            return ft_error_set(err, FT_EFORMAT, "layer '%s': the shape of '%s' does not fit its settings", layer->name,
                                ft_layer_class_of(layer)->weights[w]);
    }
    if (layer->kind == FT_LAYER_CONV2D && layer->params.filters % layer->params.groups)
        return ft_error_set(err, FT_EFORMAT, "layer '%s': filters %d cannot be divided into groups %d", layer->name, layer->params.filters,
                            layer->params.groups);
    return 0;
}

/* The weights of a layer usually lie in one group below the layer's: it stays open from one to the next. */
struct folder {
    const char *path; /* [length] lent */
    size_t length;
    int64_t group; /* 0: the layer's own */
};

/* Opens the group at `path` [length] below `top`, part by part. */
static int folder_move(struct folder *folder, int64_t top, const char *path, size_t length, struct ft_error *err)
{
    if (length == folder->length && !memcmp(path, folder->path, length))
        return 0;
    char part[512];
    int rc = 0;
    ft_h5_group_close(folder->group);
    *folder = (struct folder){ 0 };
    for (size_t at = 0; at < length;) {
        const char *slash = memchr(path + at, '/', length - at);
        const size_t n = slash ? (size_t)(slash - path) - at : length - at;
        int64_t below = 0;
        if (n >= sizeof part)
            return ft_error_set(err, FT_ELIMIT, "the name of a weight is too long");
        memcpy(part, path + at, n);
        part[n] = 0;
        rc = ft_h5_group_open(folder->group ? folder->group : top, part, &below, err);
        if (!rc && !below)
            rc = ft_error_set(err, FT_EFORMAT, "the group '%s' of its weights is missing: the file is damaged", part);
        ft_h5_group_close(folder->group);
        folder->group = below;
        if (rc)
            return rc;
        at += n + 1;
    }
    folder->path = path;
    folder->length = length;
    return 0;
}

static int read_weight(const struct ft_h5 *h5, int64_t top, struct folder *folder, const char *path, struct ft_tensor *out,
                       struct ft_heap *heap, struct ft_error *err)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    void *block;
    int rc = folder_move(folder, top, path, slash ? (size_t)(slash - path) : 0, err);
    if (rc)
        return rc;
    if (!ft_grow((void **)&heap->blocks, &heap->capacity, heap->n, sizeof *heap->blocks))
        return ft_error_nomem(err, "weights");
    rc = ft_h5_tensor(h5, folder->group ? folder->group : top, name, out, &block, err);
    if (block)
        heap->blocks[heap->n++] = block;
    return rc;
}

static int read_layer(const struct ft_h5 *h5, int64_t parent, struct ft_draft_layer *draft, struct ft_heap *heap, struct ft_error *err)
{
    struct ft_layer *layer = &draft->layer;
    const struct ft_layer_class *class = ft_layer_class_of(layer);
    struct ft_names names = { 0 };
    struct folder folder = { 0 };
    int64_t group = 0;
    unsigned missing = draft->needs;
    int rc = ft_h5_group_open(parent, layer->name, &group, err);
    if (!rc && group)
        rc = ft_h5_names(h5, group, "weight_names", &names, err);
    for (int i = 0; !rc && i < names.n; i++) {
        const int w = ft_layer_class_weight(class, names.names[i]);
        if (w < 0 || !(draft->needs >> w & 1))
            rc = ft_error_set(err, FT_EUNSUPPORTED, "weight '%s' does not belong to a layer with these settings", names.names[i]);
        else if (!(missing >> w & 1))
            rc = ft_error_set(err, FT_EFORMAT, "weight '%s' is there twice", names.names[i]);
        else
            rc = read_weight(h5, group, &folder, names.names[i], &layer->weights[w], heap, err);
        missing &= ~(w < 0 ? 0u : 1u << w);
    }
    for (int w = 0; !rc && w < FT_MAX_WEIGHTS; w++)
        if (missing >> w & 1)
            rc = ft_error_set(err, FT_EFORMAT, "weight '%.*s' is missing", (int)strcspn(class->weights[w], "|"), class->weights[w]);
    ft_h5_group_close(folder.group);
    ft_names_release(&names);
    ft_h5_group_close(group);
    if (rc)
        return ft_error_prefix(err, rc, "layer '%s'", layer->name);
    return ft_layer_check(layer, err);
}

int ft_weights_read(const struct ft_h5 *h5, int64_t group, struct ft_draft *draft, struct ft_heap *heap, struct ft_error *err)
{
    int rc = 0;
    for (int i = 0; !rc && i < draft->n; i++)
        if (draft->layers[i].needs)
            rc = read_layer(h5, group, &draft->layers[i], heap, err);
    return rc;
}
