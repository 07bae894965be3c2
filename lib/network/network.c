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

void ft_network_unload(const struct ft_network *network)
{
    if (network->storage.unload)
        network->storage.unload(network->storage.source);
}

int ft_network_load(const struct ft_network *network, int last, struct ft_error *err)
{
    const struct ft_storage *s = &network->storage;
    if (!s->load)
        return 0;
    int *order = malloc(((size_t)last + 1) * sizeof *order);
    const int n = order ? ft_network_order(network, last, order) : FT_ENOMEM;
    for (int i = 0; i < n; i++)
        for (int w = 0; w < FT_MAX_WEIGHTS; w++) {
            const struct ft_tensor *t = &network->layers[order[i]].weights[w];
            if (t->data)
                s->want(s->source, t->data, t->count * sizeof *t->data);
        }
    free(order);
    return n < 0 ? ft_error_nomem(err, "the network") : s->load(s->source, err);
}

int ft_network_check_finite(const struct ft_network *network, struct ft_error *err)
{
    for (int i = 0; i < network->n_layers; i++) {
        const int rc = ft_network_load(network, i, err);
        if (rc)
            return rc;
        for (int w = 0; w < FT_MAX_WEIGHTS; w++) {
            const struct ft_tensor *t = &network->layers[i].weights[w];
            for (size_t k = 0; t->data && k < t->count; k++)
                if (!isfinite(t->data[k]))
                    return ft_error_set(err, FT_EFORMAT,
                                        "layer '%s' has weights that are not finite (%s): the "
                                        "file is damaged, or its training diverged",
                                        network->layers[i].name,
                                        isnan(t->data[k]) ? "NaN" : "infinity");
        }
    }
    return 0;
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
