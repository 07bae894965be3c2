/* Opening a Keras file: the container, the configuration, then the weights. */
#define _GNU_SOURCE
#include "keras/keras.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/memory.h"
#include "keras/architecture_match.h"
#include "keras/archive.h"
#include "keras/layer_classes.h"
#include "keras/read_config.h"
#include "keras/read_weights.h"
#include "keras/sort.h"

/* Moves what the draft owns into the network. */
static int take_draft(struct ft_network *network, struct ft_draft *draft, struct ft_error *err)
{
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
        float *constants = d->constants;
        d->constants = NULL;
        if (ft_storage_add(&network->storage, constants))
            return ft_error_nomem(err, "weights");
        network->layers[i] = d->layer;
        d->layer.name = NULL;
        d->layer.inputs = NULL;
    }
    return 0;
}

/* The configuration of a file, and the layout of its weights. */
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
    if (!rc && !layers && !s->config) /* else the configuration says what is missing */
        rc = ft_error_set(
            err, FT_EFORMAT,
            "not a Keras file: neither 'model_config' nor weights of layers are in it");
    return rc;
}

static int open_source(const char *path, struct ft_storage *storage, struct source *s,
                       struct ft_error *err)
{
    struct ft_h5_mapping *mapping = storage->source;
    uint8_t *weights = NULL;
    size_t size = 0;
    int rc = ft_h5_map(path, &mapping->map, &mapping->size, err);
    if (rc)
        return rc;
    if (ft_archive_is(mapping->map, mapping->size)) {
        rc = ft_archive_read(mapping->map, mapping->size, &s->config, &weights, &size, err);
        if (rc)
            return rc;
        munmap(mapping->map, mapping->size);
        mapping->map = weights;
        mapping->size = size;
    } else if (ft_storage_add_file(storage, mapping->map, mapping->size))
        return ft_error_nomem(err, "the file");
    rc = ft_h5_open(path, mapping->map, mapping->size, &s->h5, err);
    if (!rc && !s->config)
        rc = ft_h5_text(&s->h5, s->h5.file, "model_config", &s->config, err);
    return rc ? rc : find_weights(s, err);
}

static int make_draft(const struct source *s, const struct ft_reader_options *options,
                      struct ft_draft *draft, struct ft_error *err)
{
    int rc;
    if (s->config && options && options->architecture)
        rc = ft_error_set(
            err, FT_EARG,
            "the file contains its architecture: '%s' is for files of weights alone (--arch)",
            options->architecture);
    else if (s->config)
        rc = ft_draft_parse(s->config, draft, err);
    else
        rc = ft_architecture_draft(&s->h5, s->group, options, draft, err);
    if (!rc)
        rc = ft_draft_sort(draft, err);
    return rc ? rc : ft_draft_name(draft, err);
}

static int read_network(const char *path, const struct ft_reader_options *options,
                        struct ft_network *network, struct ft_error *err)
{
    struct source s = { .h5.file = -1 };
    struct ft_draft draft = { 0 };
    int rc = open_source(path, &network->storage, &s, err);
    if (!rc)
        rc = ft_h5_text(&s.h5, s.h5.file, "finetune", &network->attribute, err);
    if (!rc)
        rc = make_draft(&s, options, &draft, err);
    if (!rc)
        rc = ft_weights_read(&s.h5, s.group, &draft, &network->storage, err);
    if (!rc)
        rc = take_draft(network, &draft, err);
    ft_draft_release(&draft);
    if (!options || !options->leave_open)
        source_release(&s);
    return rc;
}

int ft_keras_open(const char *path, const struct ft_reader_options *options,
                  struct ft_network **out, struct ft_error *err)
{
    struct ft_network *network = calloc(1, sizeof *network);
    struct ft_h5_mapping *mapping = calloc(1, sizeof *mapping);
    int rc = network && mapping ? 0 : ft_error_nomem(err, "the network");
    if (rc) {
        free(mapping);
        goto fail;
    }
    network->storage = (struct ft_storage){ .source = mapping, .release = ft_h5_mapping_free };
    rc = read_network(path, options, network, err);
    if (rc)
        goto fail;
    *out = network;
    return 0;
fail:
    ft_network_free(network);
    return ft_error_prefix(err, rc, "'%s'", path);
}

static bool recognises(const char *path, const uint8_t *start, size_t n)
{
    (void)path;
    return ft_h5_is(start, n) || ft_archive_is(start, n);
}

const struct ft_reader ft_keras_reader = { .name = "Keras",
                                           .recognises = recognises,
                                           .open = ft_keras_open };
