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
    for (int i = 0; i < draft->n; i++) {
        struct ft_draft_layer *d = &draft->layers[i];
        if (d->constants && !ft_grow((void **)&s->heap.blocks, &s->heap.capacity, s->heap.n, sizeof *s->heap.blocks))
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

static int read_network(const struct ft_h5 *h5, struct ft_network *network, struct ft_error *err)
{
    struct storage *s = network->storage;
    struct ft_draft draft = { 0 };
    char *text = NULL;
    int64_t group = 0;
    int rc = ft_h5_text(h5, h5->file, "model_config", &text, err);
    if (!rc)
        rc = ft_h5_group_open(h5->file, "model_weights", &group, err);
    if (!rc && !text)
        rc = ft_error_set(err, FT_EUNSUPPORTED, "no attribute 'model_config': a weights-only file does not say what the network is; "
                                                "save the whole model with Keras (model.save('model.h5'))");
    if (!rc && !group)
        rc = ft_error_set(err, FT_EFORMAT, "no group 'model_weights': the file holds no weights");
    if (!rc)
        rc = ft_h5_text(h5, h5->file, "finetune", &network->attribute, err);
    if (!rc)
        rc = ft_draft_parse(text, &draft, err);
    if (!rc)
        rc = ft_draft_sort(&draft, err);
    if (!rc)
        rc = ft_draft_name(&draft, err);
    if (!rc)
        rc = ft_weights_read(h5, group, &draft, &s->heap, err);
    if (!rc)
        rc = take_draft(network, &draft, err);
    ft_h5_group_close(group);
    ft_draft_release(&draft);
    free(text);
    return rc;
}

int ft_network_open(const char *path, struct ft_network **out, struct ft_error *err)
{
    struct ft_network *network = calloc(1, sizeof *network);
    struct storage *s = calloc(1, sizeof *s);
    struct ft_h5 h5 = { .file = -1 };
    int rc = network && s ? 0 : ft_error_nomem(err, "the network");
    if (network)
        network->storage = s;
    if (!rc)
        rc = ft_h5_open(path, &h5, err);
    if (!rc) {
        s->map = h5.map;
        s->size = h5.size;
        rc = read_network(&h5, network, err);
    }
    ft_h5_close(&h5);
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

/* ---- with a head --------------------------------------------------------------------------------------------------------- */

static bool has_name(const struct ft_network *network, const char *name)
{
    for (int i = 0; i < network->n_layers; i++)
        if (network->layers[i].name && !strcmp(network->layers[i].name, name))
            return true;
    return false;
}

/* `name`, or name_2, name_3, ... where that is taken. */
static char *free_name(const struct ft_network *network, const char *name)
{
    char *unique = ft_strdup(name);
    for (int i = 2; unique && has_name(network, unique); i++) {
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

static bool add_head(struct ft_network *network, const char *name, int d, int k, const float *w, const float *b)
{
    struct ft_layer *head = &network->layers[network->n_layers];
    head->kind = FT_LAYER_DENSE;
    head->params = (struct ft_layer_params){ .units = k, .groups = 1, .multiplier = 1, .kernel = { 1, 1 }, .stride = { 1, 1 },
                                             .dilation = { 1, 1 }, .activation = FT_ACT_SOFTMAX };
    head->weights[FT_W_KERNEL] = (struct ft_tensor){ 2, { d, k }, (size_t)d * (size_t)k, w };
    head->weights[FT_W_BIAS] = (struct ft_tensor){ 1, { k }, (size_t)k, b };
    head->name = free_name(network, name);
    head->inputs = malloc(sizeof *head->inputs);
    if (head->inputs)
        head->inputs[0] = network->n_layers - 1;
    head->n_inputs = 1;
    network->output = network->n_layers++;
    return head->name && head->inputs;
}

int ft_network_with_head(const struct ft_network *network, int last, const char *name, int d, int k, const float *w, const float *b,
                         struct ft_network **out, struct ft_error *err)
{
    if (last < 0 || last >= network->n_layers || d < 1 || k < 1)
        return ft_error_set(err, FT_EARG, "a head of %d classes on %d features of layer %d makes no sense", k, d, last);
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
    done = done && add_head(copy, name, d, k, w, b);
    free(order);
    free(place);
    if (!done) {
        ft_network_free(copy);
        return ft_error_nomem(err, "the network with its head");
    }
    *out = copy;
    return 0;
}

/* ---- hash ------------------------------------------------------------------------------------------------------------------ */

static void hash_layer(XXH3_state_t *state, const struct ft_layer *layer, const int *place)
{
    cJSON *config = ft_layer_config(layer, NULL);
    char *text = cJSON_PrintUnformatted(config);
    const char *kind = ft_layer_class_of(layer)->name; /* what the file would say: dropout equals a linear activation */
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
