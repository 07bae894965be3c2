/* A canonical order of layers: layers far from the output come first; layers at the same distance
 * are in the order of a walk from the output through the inputs of each layer. */
#include <stdlib.h>

#include "network/network.h"

struct rank {
    int layer, depth, met;
};

static int by_rank(const void *a, const void *b)
{
    const struct rank *x = a, *y = b;
    return x->depth != y->depth ? (x->depth < y->depth) - (x->depth > y->depth)
                                : (x->met > y->met) - (x->met < y->met);
}

int ft_network_order(const struct ft_network *network, int last, int *order)
{
    const size_t n = (size_t)last + 1;
    struct rank *rank = calloc(n, sizeof *rank);
    int *next = calloc(n, sizeof *next), *stack = malloc(n * sizeof *stack), depth = 0, met = 0,
        count = 0;
    if (!rank || !next || !stack) {
        count = FT_ENOMEM;
        goto done;
    }
    for (size_t i = 0; i < n; i++)
        rank[i] = (struct rank){ (int)i, -1, 0 };
    stack[depth++] = last;
    rank[last] = (struct rank){ last, 0, met++ };
    while (depth) { /* numbers layers in the order of the walk; depth -1: not needed */
        const int at = stack[depth - 1];
        const struct ft_layer *layer = &network->layers[at];
        if (next[at] == layer->n_inputs) {
            depth--;
            continue;
        }
        const int input = layer->inputs[next[at]++];
        if (rank[input].depth < 0) {
            rank[input] = (struct rank){ input, 0, met++ };
            stack[depth++] = input;
        }
    }
    /* users come after their inputs, so the depth of layer i is final here */
    for (int i = last; i >= 0; i--)
        for (int j = 0; rank[i].depth >= 0 && j < network->layers[i].n_inputs; j++) {
            struct rank *input = &rank[network->layers[i].inputs[j]];
            input->depth = input->depth > rank[i].depth + 1 ? input->depth : rank[i].depth + 1;
        }
    qsort(rank, n, sizeof *rank, by_rank);
    while (count < (int)n && rank[count].depth >= 0) {
        order[count] = rank[count].layer;
        count++;
    }
done:
    free(rank);
    free(next);
    free(stack);
    return count;
}
