/* Networks: opened from a file, given a head, hashed, freed. */
#define _GNU_SOURCE
#include "keras/network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xxhash.h>

#include "base/error.h"
#include "base/memory.h"
#include "keras/architecture.h"
#include "keras/archive.h"
#include "keras/draft.h"

/* What the tensors of a network point into. */
struct storage {
    uint8_t *map;
    size_t size;
    struct ft_heap heap;
};

static void storage_free(struct storage *s)
{
    if (!s)
        return;
    if (s->map)
        munmap(s->map, s->size);
    for (size_t i = 0; i < s->heap.n; i++)
        free(s->heap.blocks[i]);
    free(s->heap.blocks);
    free(s);
}

void ft_network_free(struct ft_network *network)
{
    if (!network)
        return;
    for (int i = 0; network->layers && i < network->n_layers; i++) {
        free(network->layers[i].name);
        free(network->layers[i].inputs);
    }
    free(network->layers);
    free(network->name);
    free(network->preprocess);
    free(network->attribute);
    storage_free(network->storage);
    free(network);
}

void ft_network_unload(const struct ft_network *network)
{
    const struct storage *s = network->storage;
    if (s && s->map)
        madvise(s->map, s->size, MADV_DONTNEED);
}

float *ft_network_keep(struct ft_network *network, size_t n)
{
    struct storage *s = network->storage;
    float *data = ft_alloc(n, sizeof *data);
    if (!data ||
        !ft_grow((void **)&s->heap.blocks, &s->heap.capacity, s->heap.n, sizeof *s->heap.blocks)) {
        free(data);
        return NULL;
    }
    s->heap.blocks[s->heap.n++] = data;
    return data;
}

/* Moves what the draft owns into the network. */
static int take_draft(struct ft_network *network, struct ft_draft *draft, struct ft_error *err)
{
    struct storage *s = network->storage;
    network->layers = calloc((size_t)draft->n, sizeof *network->layers);
    if (!network->layers)
        return ft_error_nomem(err, "layers");
    network->n_layers = draft->n;
    network->output = draft->output;
    network->name = draft->name;
    draft->name = NULL;
    network->preprocess = draft->preprocess;
    draft->preprocess = NULL;
    for (int i = 0; i < draft->n; i++) {
        struct ft_draft_layer *d = &draft->layers[i];
        const int rc = d->class && d->class->finish ? d->class->finish(d, err) : 0;
        if (rc)
            return ft_error_prefix(err, rc, "layer '%s'", d->layer.name);
        if (d->constants && !ft_grow((void **)&s->heap.blocks, &s->heap.capacity, s->heap.n,
                                     sizeof *s->heap.blocks))
            return ft_error_nomem(err, "weights");
        if (d->constants)
            s->heap.blocks[s->heap.n++] = d->constants;
        network->layers[i] = d->layer;
        d->layer.name = NULL;
        d->layer.inputs = NULL;
        d->constants = NULL;
    }
    return 0;
}

/* What was found in a file: where the configuration is, and in which layout the weights. */
struct source {
    struct ft_h5 h5;
    char *config;  /* JSON, owned; NULL: a weights-only file */
    int64_t group; /* of a legacy layout, owned; 0: the layout of Keras 3 */
};

static void source_release(struct source *s)
{
    ft_h5_group_close(s->group);
    ft_h5_close(&s->h5);
    free(s->config);
}

/* keras/src/legacy/saving/legacy_h5_format.py: weights are in model_weights, or at the root. */
static int find_weights(struct source *s, struct ft_error *err)
{
    struct ft_names names = { 0 };
    int64_t layers = 0;
    int rc = ft_h5_group_open(s->h5.file, "model_weights", &s->group, err);
    if (rc || s->group)
        return rc;
    rc = ft_h5_names(&s->h5, s->h5.file, "layer_names", &names, err);
    if (!rc && names.n)
        return ft_names_release(&names), ft_h5_root_open(&s->h5, &s->group, err);
    ft_names_release(&names);
    if (!rc)
        rc = ft_h5_group_open(s->h5.file, "layers", &layers, err);
    if (!rc && !layers)
        rc = ft_h5_group_open(s->h5.file, "_layer_checkpoint_dependencies", &layers, err);
    ft_h5_group_close(layers);
    if (!rc && !layers)
        rc = ft_error_set(
            err, FT_EFORMAT,
            "not a Keras file: neither 'model_config' nor weights of layers are in it");
    return rc;
}

static int open_source(const char *path, struct storage *storage, struct source *s,
                       struct ft_error *err)
{
    uint8_t *weights = NULL;
    size_t size = 0;
    int rc = ft_h5_map(path, &storage->map, &storage->size, err);
    if (rc)
        return rc;
    if (ft_archive_is(storage->map, storage->size)) {
        rc = ft_archive_read(storage->map, storage->size, &s->config, &weights, &size, err);
        if (rc)
            return rc;
        munmap(storage->map, storage->size);
        storage->map = weights;
        storage->size = size;
    }
    rc = ft_h5_open(path, storage->map, storage->size, &s->h5, err);
    if (!rc && !s->config)
        rc = ft_h5_text(&s->h5, s->h5.file, "model_config", &s->config, err);
    return rc ? rc : find_weights(s, err);
}

static int make_draft(const struct source *s, const struct ft_network_options *options,
                      struct ft_draft *draft, struct ft_error *err)
{
    int rc;
    if (s->config && options && options->architecture)
        rc = ft_error_set(
            err, FT_EARG,
            "the file says itself what the network is: '%s' is for files of weights alone (--arch)",
            options->architecture);
    else if (s->config)
        rc = ft_draft_parse(s->config, draft, err);
    else
        rc = ft_architecture_draft(&s->h5, s->group, options, draft, err);
    if (!rc)
        rc = ft_draft_sort(draft, err);
    return rc ? rc : ft_draft_name(draft, err);
}

static int read_network(const char *path, const struct ft_network_options *options,
                        struct ft_network *network, struct ft_error *err)
{
    struct storage *storage = network->storage;
    struct source s = { .h5.file = -1 };
    struct ft_draft draft = { 0 };
    int rc = open_source(path, storage, &s, err);
    if (!rc)
        rc = ft_h5_text(&s.h5, s.h5.file, "finetune", &network->attribute, err);
    if (!rc)
        rc = make_draft(&s, options, &draft, err);
    if (!rc && s.group)
        rc = ft_weights_read(&s.h5, s.group, &draft, &storage->heap, err);
    else if (!rc)
        rc = ft_weights_read_store(&s.h5, &draft, &storage->heap, err);
    if (!rc)
        rc = take_draft(network, &draft, err);
    ft_draft_release(&draft);
    source_release(&s);
    return rc;
}

int ft_network_open(const char *path, const struct ft_network_options *options,
                    struct ft_network **out, struct ft_error *err)
{
    struct ft_network *network = calloc(1, sizeof *network);
    struct storage *s = calloc(1, sizeof *s);
    int rc = network && s ? 0 : ft_error_nomem(err, "the network");
    if (network)
        network->storage = s;
    if (!rc)
        rc = read_network(path, options, network, err);
    if (!rc) {
        *out = network;
        return 0;
    }
    if (network)
        ft_network_free(network);
    else
        free(s);
    return ft_error_prefix(err, rc, "'%s'", path);
}

/* ---- with a head ----------------------------------------------------------------------------- */

char *ft_network_free_name(const struct ft_network *network, const char *name)
{
    char *unique = ft_strdup(name);
    for (int i = 2; unique && ft_network_find(network, unique) >= 0; i++) {
        free(unique);
        if (asprintf(&unique, "%s_%d", name, i) < 0)
            return NULL;
    }
    return unique;
}

static bool copy_layer(const struct ft_layer *from, const int *place, struct ft_layer *to)
{
    *to = *from;
    to->name = ft_strdup(from->name);
    to->inputs = malloc((size_t)(from->n_inputs + 1) * sizeof *to->inputs);
    if (!to->name || !to->inputs)
        return false;
    for (int i = 0; i < from->n_inputs; i++)
        to->inputs[i] = place[from->inputs[i]];
    return true;
}

static bool add_head(struct ft_network *network, const char *name, int d, int k, const float *w,
                     const float *b)
{
    struct ft_layer *head = &network->layers[network->n_layers];
    head->kind = FT_LAYER_DENSE;
    head->params = (struct ft_layer_params){ .units = k,
                                             .groups = 1,
                                             .multiplier = 1,
                                             .kernel = { 1, 1 },
                                             .stride = { 1, 1 },
                                             .dilation = { 1, 1 },
                                             .activation = FT_ACT_SOFTMAX };
    head->weights[FT_W_KERNEL] = (struct ft_tensor){ 2, { d, k }, (size_t)d * (size_t)k, w };
    head->weights[FT_W_BIAS] = (struct ft_tensor){ 1, { k }, (size_t)k, b };
    head->name = ft_network_free_name(network, name);
    head->inputs = malloc(sizeof *head->inputs);
    if (head->inputs)
        head->inputs[0] = network->n_layers - 1;
    head->n_inputs = 1;
    network->output = network->n_layers++;
    return head->name && head->inputs;
}

/* The layers that `last` needs, in Keras's order, with room for one more. */
static struct ft_network *copy_below(const struct ft_network *network, int last)
{
    const size_t n = (size_t)last + 1;
    struct ft_network *copy = calloc(1, sizeof *copy);
    int *order = malloc(n * sizeof *order), *place = calloc(n, sizeof *place);
    const int count = order ? ft_network_order(network, last, order) : -1;
    bool done = copy && place && count > 0;
    if (done) {
        copy->layers = calloc((size_t)count + 1, sizeof *copy->layers);
        copy->name = ft_strdup(network->name);
        done = copy->layers && copy->name;
    }
    for (int i = 0; done && i < count; i++) {
        place[order[i]] = i;
        copy->n_layers++;
        done = copy_layer(&network->layers[order[i]], place, &copy->layers[i]);
    }
    free(order);
    free(place);
    if (!done) {
        ft_network_free(copy);
        return NULL;
    }
    copy->output = count - 1;
    return copy;
}

int ft_network_cut(const struct ft_network *network, int last, struct ft_network **out,
                   struct ft_error *err)
{
    *out = copy_below(network, last);
    return *out ? 0 : ft_error_nomem(err, "the network");
}

int ft_network_with_head(const struct ft_network *network, int last, const char *name, int d, int k,
                         const float *w, const float *b, struct ft_network **out,
                         struct ft_error *err)
{
    if (last < 0 || last >= network->n_layers || d < 1 || k < 1)
        return ft_error_set(err, FT_EARG,
                            "a head of %d classes on %d features of layer %d makes no sense", k, d,
                            last);
    struct ft_network *copy = copy_below(network, last);
    if (!copy || !add_head(copy, name, d, k, w, b)) {
        ft_network_free(copy);
        return ft_error_nomem(err, "the network with its head");
    }
    *out = copy;
    return 0;
}

/* ---- hash ------------------------------------------------------------------------------------ */

static void hash_layer(XXH3_state_t *state, const struct ft_layer *layer, const int *place)
{
    cJSON *config = ft_layer_config(layer, NULL);
    char *text = cJSON_PrintUnformatted(config);
    /* what the file would say: dropout equals a linear activation */
    const char *kind = ft_layer_class_of(layer)->name;
    XXH3_128bits_update(state, kind, strlen(kind) + 1);
    if (text)
        XXH3_128bits_update(state, text, strlen(text) + 1);
    for (int i = 0; i < layer->n_inputs; i++)
        XXH3_128bits_update(state, &place[layer->inputs[i]], sizeof *place);
    for (int w = 0; w < FT_MAX_WEIGHTS; w++) {
        const struct ft_tensor *t = &layer->weights[w];
        XXH3_128bits_update(state, &t->rank, sizeof t->rank);
        XXH3_128bits_update(state, t->shape, (size_t)t->rank * sizeof *t->shape);
        if (t->data)
            XXH3_128bits_update(state, t->data, t->count * sizeof *t->data);
    }
    cJSON_free(text);
    cJSON_Delete(config);
}

void ft_network_hash(const struct ft_network *network, int last, uint64_t out[2])
{
    const size_t n = (size_t)last + 1;
    int *order = malloc(n * sizeof *order), *place = calloc(n, sizeof *place);
    XXH3_state_t *state = XXH3_createState();
    const int count = order && place && state ? ft_network_order(network, last, order) : -1;
    out[0] = out[1] = 0;
    if (count > 0) {
        XXH3_128bits_reset(state);
        for (int i = 0; i < count; i++) {
            place[order[i]] = i;
            hash_layer(state, &network->layers[order[i]], place);
        }
        const XXH128_hash_t h = XXH3_128bits_digest(state);
        out[0] = h.high64;
        out[1] = h.low64;
    }
    XXH3_freeState(state);
    free(order);
    free(place);
}
