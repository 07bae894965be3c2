/* Weights to layers. In the legacy layout the group of a layer lists the names of its datasets in
 * `weight_names`, and the last part of a name tells which weight it is. In a Keras 3 file the
 * weights are numbered datasets in a group that is named after the class and the position of the
 * layer. */
#include "keras/read_weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "keras/layer_classes.h"
#include "keras/patterns.h"
#include "network/kinds.h"

/* Takes from the weights what an architecture does not specify. */
static int derive(struct ft_layer *layer, struct ft_error *err)
{
    const struct ft_tensor *kernel = &layer->weights[FT_W_KERNEL];
    if (layer->kind == FT_LAYER_CONV2D && kernel->rank == 4) {
        layer->params.filters = (int)kernel->shape[3];
        if (layer->params.groups > 1 &&
            kernel->shape[2] == 1) /* depthwise, as ConvNeXt writes it */
            layer->params.groups = layer->params.filters;
    } else if (layer->kind == FT_LAYER_SEPARABLE_CONV2D && layer->weights[FT_W_POINTWISE].rank == 4)
        layer->params.filters = (int)layer->weights[FT_W_POINTWISE].shape[3];
    else if (layer->kind == FT_LAYER_DENSE && kernel->rank == 2)
        layer->params.units = (int)kernel->shape[1];
    else if (layer->kind == FT_LAYER_CONV2D || layer->kind == FT_LAYER_DENSE)
        return ft_error_set(err, FT_EFORMAT, "layer '%s': its kernel has %d axes", layer->name,
                            kernel->rank);
    return 0;
}

static const struct ft_layer_class *class_of(const struct ft_draft_layer *d)
{
    return d->class ? d->class : ft_layer_class_of(&d->layer);
}

/* The weights of a layer are usually in one group below the group of the layer: it is kept open
 * between weights. */
struct folder {
    const char *path; /* [length] borrowed */
    size_t length;
    int64_t group; /* 0: the layer's own */
};

/* Opens the group at `path` [length] below `top`, part by part. */
static int folder_move(struct folder *folder, int64_t top, const char *path, size_t length,
                       struct ft_error *err)
{
    if (length == folder->length && (!length || !memcmp(path, folder->path, length)))
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
            rc =
                ft_error_set(err, FT_EFORMAT,
                             "the group '%s' of its weights is missing: the file is damaged", part);
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

static int read_weight(const struct ft_h5 *h5, int64_t top, struct folder *folder, const char *path,
                       bool integers, struct ft_tensor *out, struct ft_storage *storage,
                       struct ft_error *err)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    int rc = folder_move(folder, top, path, slash ? (size_t)(slash - path) : 0, err);
    return rc ? rc
              : ft_h5_tensor(h5, folder->group ? folder->group : top, name, integers, storage, out,
                             err);
}

/* kernel / scale, with a scale for each output (model.quantize("int8"), keras/src/layers/core/
 * dense.py). Of float8 the kernel is stored in float32 and needs nothing. */
static int dequantize(struct ft_draft_layer *d, const struct ft_tensor *scale,
                      struct ft_storage *storage, struct ft_error *err)
{
    struct ft_tensor *kernel = &d->layer.weights[FT_W_KERNEL];
    const size_t n = kernel->rank ? (size_t)kernel->shape[kernel->rank - 1] : 0;
    if (!n || scale->count != n)
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "its quantized kernel does not have one scale for each output");
    float *values = ft_storage_alloc(storage, kernel->count);
    if (!values)
        return ft_error_nomem(err, "weights");
    for (size_t i = 0; i < kernel->count; i++)
        values[i] = kernel->data[i] / scale->data[i % n];
    kernel->data = values;
    return 0;
}

static bool has_scale(const struct ft_draft_layer *d)
{
    return d->quantized == FT_QUANTIZED_INT8 && d->needs & FT_NEEDS(FT_W_KERNEL);
}

/* ---- legacy: a group a layer, with a list of its weights ------------------------------------- */

/* The group of an outermost layer. A model inside the network has all its weights in one list. The
 * group is kept open between layers. */
struct shelf {
    const char *top;
    int64_t group; /* 0: there is none */
    struct ft_names names;
    bool *taken; /* [names.n] */
    struct folder folder;
};

static void shelf_close(struct shelf *s)
{
    ft_h5_group_close(s->folder.group);
    ft_h5_group_close(s->group);
    ft_names_release(&s->names);
    free(s->taken);
    *s = (struct shelf){ 0 };
}

static int shelf_open(const struct ft_h5 *h5, int64_t parent, const char *top, struct shelf *s,
                      struct ft_error *err)
{
    struct folder at = { 0 };
    if (s->top && !strcmp(s->top, top))
        return 0;
    shelf_close(s);
    int rc = folder_move(&at, parent, top, strlen(top), err);
    if (rc)
        return rc;
    s->group = at.group;
    s->top = top;
    rc = ft_h5_names(h5, s->group, "weight_names", &s->names, err);
    s->taken = rc ? NULL : calloc((size_t)s->names.n + 1, sizeof *s->taken);
    return rc || s->taken ? rc : ft_error_nomem(err, "weights");
}

/* For a group that belongs to one layer: finds its weights by name, or in order if no name is known
 * (Keras 1: "block1_conv1_W_1:0"). places [FT_MAX_WEIGHTS] are indices of names, -1: none. */
static int own_places(const struct shelf *s, const struct ft_layer_class *class, unsigned needs,
                      bool quantized, int *places, struct ft_error *err)
{
    int known = 0, wanted = 0;
    for (int w = 0; w < FT_MAX_WEIGHTS; w++)
        wanted += (needs >> w & 1) != 0;
    for (int i = 0; i < s->names.n; i++)
        known += ft_layer_class_weight(class, s->names.names[i]) >= 0;
    if (!known && s->names.n == wanted) {
        for (int w = 0, i = 0; w < FT_MAX_WEIGHTS; w++)
            if (needs >> w & 1)
                places[w] = i++;
        return 0;
    }
    for (int i = 0; i < s->names.n; i++) {
        const int w = ft_layer_class_weight(class, s->names.names[i]);
        if (w < 0 && quantized) /* scales and their history */
            continue;
        if (w >= 0 && (class->ignored & ~needs) >> w & 1)
            continue;
        if (w < 0 || !(needs >> w & 1))
            return ft_error_set(err, FT_EUNSUPPORTED,
                                "weight '%s' does not belong to a layer with these settings",
                                s->names.names[i]);
        if (places[w] >= 0)
            return ft_error_set(err, FT_EFORMAT, "weight '%s' is there twice", s->names.names[i]);
        places[w] = i;
    }
    return 0;
}

/* The number of last parts that the path of a weight and the scope have in common: 2 for
 * "x/stem/conv/kernel:0" and "base/stem/conv". */
static int parts_alike(const struct ft_layer_class *class, const char *weight, const char *scope)
{
    size_t a = ft_layer_class_path(class, weight), b = strlen(scope);
    int parts = 0;
    while (a && b && weight[a - 1] == scope[b - 1]) {
        a--;
        b--;
        parts += (!a || weight[a - 1] == '/') && (!b || scope[b - 1] == '/');
    }
    return parts;
}

/* For a layer inside a model: its weights are those whose path ends in its name. Of several, the
 * one with most parts in common is taken, then the first. */
static void inner_places(const struct shelf *s, const struct ft_layer_class *class,
                         const char *scope, unsigned needs, int *places)
{
    int best[FT_MAX_WEIGHTS] = { 0 };
    for (int i = 0; i < s->names.n; i++) {
        const int parts = s->taken[i] ? 0 : parts_alike(class, s->names.names[i], scope);
        const int w = parts ? ft_layer_class_weight(class, s->names.names[i]) : -1;
        if (w < 0 || !(needs >> w & 1) || parts <= best[w])
            continue;
        best[w] = parts;
        places[w] = i;
    }
}

static bool trained(const struct ft_draft_layer *d, int w)
{
    return d->layer.kind != FT_LAYER_BATCH_NORM || w < FT_W_MEAN;
}

/* Layers inside a model of an architecture may have other names in the file. Then their weights are
 * taken in order, as in Keras: weights that are not trained come after all others (`split`), or
 * each layer has its weights together. Returns false if numbers or names do not agree. */
static bool ordered_places(const struct shelf *s, const struct ft_draft *draft, int i, bool split,
                           int *places)
{
    const struct ft_draft_layer *wanted = &draft->layers[i];
    const struct ft_layer_class *class = class_of(wanted);
    int n = 0;
    for (int pass = 0; pass < 1 + split; pass++)
        for (int k = 0; k < draft->n; k++) {
            const struct ft_draft_layer *d = &draft->layers[k];
            for (int w = 0;
                 d->needs && d->inner && !strcmp(d->top, wanted->top) && w < FT_MAX_WEIGHTS; w++) {
                if (!(d->needs >> w & 1) || (split && trained(d, w) != !pass))
                    continue;
                if (k == i)
                    places[w] = n;
                n++;
            }
        }
    bool agrees = n == s->names.n;
    for (int w = 0; agrees && w < FT_MAX_WEIGHTS; w++) {
        const int named =
            places[w] < 0 ? -1 : ft_layer_class_weight(class, s->names.names[places[w]]);
        agrees = named < 0 || named == w;
    }
    return agrees;
}

static bool complete(unsigned needs, const int *places)
{
    bool all = true;
    for (int w = 0; w < FT_MAX_WEIGHTS; w++)
        all &= !(needs >> w & 1) || places[w] >= 0;
    return all;
}

/* The scale of a quantized kernel stands beside it: "dense/kernel", "dense/kernel_scale". */
static int read_layer_scale(const struct ft_h5 *h5, struct shelf *shelf, struct ft_draft_layer *d,
                            struct ft_storage *storage, struct ft_error *err)
{
    struct ft_tensor scale;
    for (int i = 0; i < shelf->names.n; i++) {
        const char *name = shelf->names.names[i], *last = strrchr(name, '/');
        last = last ? last + 1 : name;
        if (strncmp(last, "kernel_scale", 12) ||
            (d->inner && !parts_alike(class_of(d), name, d->scope)))
            continue;
        const int rc =
            read_weight(h5, shelf->group, &shelf->folder, name, false, &scale, storage, err);
        return rc ? rc : dequantize(d, &scale, storage, err);
    }
    return ft_error_set(err, FT_EFORMAT, "the scale of its quantized kernel is missing");
}

static int read_layer(const struct ft_h5 *h5, int64_t parent, struct shelf *shelf,
                      struct ft_draft *network, int i, struct ft_storage *storage,
                      struct ft_error *err)
{
    struct ft_draft_layer *draft = &network->layers[i];
    struct ft_layer *layer = &draft->layer;
    const struct ft_layer_class *class = class_of(draft);
    int places[FT_MAX_WEIGHTS], rc = shelf_open(h5, parent, draft->top, shelf, err);
    for (int w = 0; w < FT_MAX_WEIGHTS; w++)
        places[w] = -1;
    if (!rc && draft->inner)
        inner_places(shelf, class, draft->scope, draft->needs, places);
    else if (!rc)
        rc = own_places(shelf, class, draft->needs, draft->quantized, places, err);
    if (!rc && draft->inner && draft->derived && !complete(draft->needs, places) &&
        !ordered_places(shelf, network, i, true, places) &&
        !ordered_places(shelf, network, i, false, places))
        rc = ft_error_set(err, FT_EFORMAT, "the weights of '%s' are not those of its layers",
                          draft->top);
    for (int w = 0; !rc && w < FT_MAX_WEIGHTS; w++) {
        if (!(draft->needs >> w & 1))
            continue;
        if (places[w] < 0)
            rc = ft_error_set(err, FT_EFORMAT, "weight '%.*s' is missing",
                              ft_pattern_first(class->weights[w]), class->weights[w]);
        else {
            shelf->taken[places[w]] = true;
            rc =
                read_weight(h5, shelf->group, &shelf->folder, shelf->names.names[places[w]],
                            w == FT_W_KERNEL && has_scale(draft), &layer->weights[w], storage, err);
        }
    }
    return rc || !has_scale(draft) ? rc : read_layer_scale(h5, shelf, draft, storage, err);
}

/* ---- Keras 3: numbered weights --------------------------------------------------------------- */

static int read_stored(const struct ft_h5 *h5, struct folder *folder, struct ft_draft_layer *draft,
                       struct ft_storage *storage, struct ft_error *err)
{
    struct ft_layer *layer = &draft->layer;
    struct ft_tensor scale;
    const char *const *stores = class_of(draft)->stores;
    char path[1024];
    int number = 0, rc = 0;
    for (int w = 0; !rc && w <= FT_MAX_WEIGHTS; w++) {
        const bool last = w == FT_MAX_WEIGHTS; /* the scale of a quantized kernel */
        if (last ? !has_scale(draft) : !(draft->needs >> w & 1))
            continue;
        const int length = stores
                               ? snprintf(path, sizeof path, "%s/%s", draft->store, stores[w])
                               : snprintf(path, sizeof path, "%s/vars/%d", draft->store, number++);
        if (length >= (int)sizeof path)
            return ft_error_set(err, FT_ELIMIT, "the name of a weight is too long");
        folder->path = NULL; /* `path` is reused */
        folder->length = 0;
        rc = read_weight(h5, h5->file, folder, path, w == FT_W_KERNEL && has_scale(draft),
                         last ? &scale : &layer->weights[w], storage, err);
        if (!rc && last)
            rc = dequantize(draft, &scale, storage, err);
        folder->path = NULL;
    }
    return rc;
}

/* ---- all layers ------------------------------------------------------------------------------ */

/* Calls of a shared layer share its weights. first [n_origins]: the first call of each layer, or
 * -1.
 */
static bool read_before(struct ft_draft *draft, int i, int *first)
{
    struct ft_draft_layer *d = &draft->layers[i];
    const int origin = d->origin, before = origin < 0 ? -1 : first[origin];
    if (before >= 0)
        for (int w = 0; w < FT_MAX_WEIGHTS; w++)
            d->layer.weights[w] = draft->layers[before].layer.weights[w];
    if (before < 0 && origin >= 0)
        first[origin] = i;
    return before >= 0;
}

int ft_weights_read(const struct ft_h5 *h5, int64_t group, struct ft_draft *draft,
                    struct ft_storage *storage, struct ft_error *err)
{
    int rc = 0, *first = malloc(((size_t)draft->n_origins + 1) * sizeof *first);
    struct shelf shelf = { 0 };
    struct folder folder = { 0 };
    if (!first)
        return ft_error_nomem(err, "weights");
    for (int i = 0; i < draft->n_origins; i++)
        first[i] = -1;
    for (int i = 0; !rc && i < draft->n; i++) {
        struct ft_draft_layer *d = &draft->layers[i];
        const bool before = d->needs && read_before(draft, i, first);
        if (d->needs && !before)
            rc = group ? read_layer(h5, group, &shelf, draft, i, storage, err)
                       : read_stored(h5, &folder, d, storage, err);
        if (!rc && !before && d->class && d->class->finish)
            rc = d->class->finish(d, err);
        if (rc)
            ft_error_prefix(err, rc, "layer '%s'", d->layer.name);
        if (!rc && d->derived)
            rc = derive(&d->layer, err);
        if (!rc && d->needs)
            rc = ft_layer_check(&d->layer, err);
    }
    ft_h5_group_close(folder.group);
    shelf_close(&shelf);
    free(first);
    return rc;
}
