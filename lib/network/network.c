#define _GNU_SOURCE
#include "network/network.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "network/kinds.h"

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
    ft_storage_release(&network->storage);
    free(network);
}

void ft_network_want(const struct ft_network *network, const struct ft_tensor *t)
{
    const struct ft_storage *s = &network->storage;
    if (s->reading && t->data)
        s->reading->want(s->source, t->data, t->count * sizeof *t->data);
}

int ft_network_read(const struct ft_network *network, struct ft_error *err)
{
    const struct ft_storage *s = &network->storage;
    return s->reading ? s->reading->load(s->source, err) : 0;
}

void ft_network_done(const struct ft_network *network, const struct ft_tensor *t)
{
    const struct ft_storage *s = &network->storage;
    if (s->reading && t->data)
        s->reading->done(s->source, t->data, t->count * sizeof *t->data);
}

void ft_network_trim(const struct ft_network *network)
{
    if (network->storage.reading)
        network->storage.reading->trim(network->storage.source);
}

int ft_network_load(const struct ft_network *network, int layer, struct ft_error *err)
{
    for (int w = 0; w < FT_MAX_WEIGHTS; w++)
        ft_network_want(network, &network->layers[layer].weights[w]);
    const int rc = ft_network_read(network, err);
    if (rc)
        ft_network_unload(network, layer);
    return rc;
}

void ft_network_unload(const struct ft_network *network, int layer)
{
    for (int w = 0; w < FT_MAX_WEIGHTS; w++)
        ft_network_done(network, &network->layers[layer].weights[w]);
}

static int check_finite(const struct ft_layer *layer, struct ft_error *err)
{
    for (int w = 0; w < FT_MAX_WEIGHTS; w++) {
        const struct ft_tensor *t = &layer->weights[w];
        for (size_t k = 0; t->data && k < t->count; k++)
            if (!isfinite(t->data[k]))
                return ft_error_set(err, FT_EFORMAT,
                                    "layer '%s' has weights that are not finite (%s): the file is "
                                    "damaged, or its training diverged",
                                    layer->name, isnan(t->data[k]) ? "NaN" : "infinity");
    }
    return 0;
}

int ft_network_check_finite(const struct ft_network *network, struct ft_error *err)
{
    int rc = 0;
    for (int i = 0; !rc && i < network->n_layers; i++) {
        rc = ft_network_load(network, i, err);
        if (rc)
            return rc;
        rc = check_finite(&network->layers[i], err);
        ft_network_unload(network, i);
    }
    return rc;
}

int ft_network_find(const struct ft_network *n, const char *name)
{
    for (int i = 0; i < n->n_layers; i++)
        if (!strcmp(n->layers[i].name, name))
            return i;
    return -1;
}

int ft_network_rank(const struct ft_network *n, int layer)
{
    for (;;) {
        const struct ft_layer *l = &n->layers[layer];
        const int rank = ft_layer_rank(l, 0);
        if (rank || !l->n_inputs)
            return rank;
        layer = l->inputs[0];
    }
}

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
