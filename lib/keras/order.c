/* The order of layers: what the output needs, inputs before their users; and the order that Keras itself gives to a network when it
 * opens a file, in which it hands out weights (map_graph in keras/src/ops/function.py): far from the output first, then as met by a
 * walk from the output. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "keras/draft.h"

/* ---- of a draft --------------------------------------------------------------------------------------------------------- */

enum { NEW, OPEN, DONE };

/* Depth-first from the output without recursion, cycles found; needed[i] becomes DONE. post [*n] receives layers, inputs first. */
static int walk(const struct ft_draft *draft, int root, int *next, unsigned char *state, int *stack, int *post, int *n, struct ft_error *err)
{
    int depth = 0;
    stack[depth++] = root;
    state[root] = OPEN;
    while (depth) {
        const int at = stack[depth - 1];
        const struct ft_layer *layer = &draft->layers[at].layer;
        if (next[at] == layer->n_inputs) {
            state[at] = DONE;
            post[(*n)++] = at;
            depth--;
            continue;
        }
        const int input = layer->inputs[next[at]++];
        if (state[input] == OPEN)
            return ft_error_set(err, FT_EFORMAT, "layer '%s': its input depends on itself", layer->name);
        if (state[input] == NEW) {
            state[input] = OPEN;
            stack[depth++] = input;
        }
    }
    return 0;
}

/* Rearranges layers to order [n]; the others are freed. */
static int rearrange(struct ft_draft *draft, const int *order, int n, struct ft_error *err)
{
    struct ft_draft_layer *kept = calloc((size_t)n + 1, sizeof *kept);
    int *place = malloc(((size_t)draft->n + 1) * sizeof *place);
    if (!kept || !place) {
        free(kept);
        free(place);
        return ft_error_nomem(err, "layers");
    }
    for (int i = 0; i < n; i++)
        place[order[i]] = i;
    for (int i = 0; i < n; i++) {
        kept[i] = draft->layers[order[i]];
        draft->layers[order[i]] = (struct ft_draft_layer){ 0 };
        for (int j = 0; j < kept[i].layer.n_inputs; j++)
            kept[i].layer.inputs[j] = place[kept[i].layer.inputs[j]];
    }
    for (int i = 0; i < draft->n; i++)
        ft_draft_layer_release(&draft->layers[i]);
    draft->output = place[draft->output];
    free(draft->layers);
    free(place);
    draft->layers = kept;
    draft->n = n;
    return 0;
}

/* Only the last axis can be normalised or joined; which number that is depends on the rank. */
static int check_axes(const struct ft_draft *draft, struct ft_error *err)
{
    int *rank = calloc((size_t)draft->n + 1, sizeof *rank), rc = 0;
    if (!rank)
        return ft_error_nomem(err, "layers");
    for (int i = 0; i < draft->n && !rc; i++) {
        const struct ft_draft_layer *d = &draft->layers[i];
        const struct ft_layer *layer = &d->layer;
        rank[i] = layer->n_inputs ? rank[layer->inputs[0]] : layer->params.rank;
        const bool pool = layer->kind == FT_LAYER_GLOBAL_AVERAGE_POOL || layer->kind == FT_LAYER_GLOBAL_MAX_POOL;
        if (layer->kind == FT_LAYER_FLATTEN || (pool && !layer->params.keep_dims))
            rank[i] = 1;
        if (layer->kind == FT_LAYER_RESHAPE)
            rank[i] = layer->params.rank;
        if (d->axis != -1 && d->axis != rank[i])
            rc = ft_error_set(err, FT_EUNSUPPORTED, "layer '%s': axis %d is not supported: only the last (channels) is", layer->name, d->axis);
        if (layer->kind == FT_LAYER_INPUT && i)
            rc = ft_error_set(err, FT_EUNSUPPORTED, "layer '%s': a second input is not supported", layer->name);
    }
    free(rank);
    return rc;
}

int ft_draft_sort_file(struct ft_draft *draft, struct ft_error *err)
{
    const size_t n = (size_t)draft->n;
    unsigned char *state = calloc(n, 1);
    int *next = calloc(n, sizeof *next), *stack = malloc(n * sizeof *stack), *post = malloc(n * sizeof *post), count = 0, rc;
    if (!state || !next || !stack || !post)
        rc = ft_error_nomem(err, "layers");
    else
        rc = walk(draft, draft->output, next, state, stack, post, &count, err);
    if (!rc) {
        count = 0;
        for (int i = 0; i < draft->n; i++)
            if (state[i] == DONE)
                post[count++] = i;
        rc = rearrange(draft, post, count, err);
    }
    free(state);
    free(next);
    free(stack);
    free(post);
    return rc;
}

int ft_draft_sort(struct ft_draft *draft, struct ft_error *err)
{
    const size_t n = (size_t)draft->n;
    unsigned char *state = calloc(n, 1);
    int *next = calloc(n, sizeof *next), *stack = malloc(n * sizeof *stack), *post = malloc(n * sizeof *post), count = 0, rc;
    if (!state || !next || !stack || !post) {
        rc = ft_error_nomem(err, "layers");
        goto done;
    }
    rc = walk(draft, draft->output, next, state, stack, post, &count, err);
    if (rc)
        goto done;
    /* Again, in the order of the file, among what is needed: an order that is right already stays. */
    memset(next, 0, n * sizeof *next);
    for (size_t i = 0; i < n; i++)
        state[i] = state[i] == DONE ? NEW : DONE;
    count = 0;
    for (int i = 0; i < draft->n && !rc; i++)
        if (state[i] == NEW)
            rc = walk(draft, i, next, state, stack, post, &count, err);
    for (int i = 0; !rc && i < count; i++) /* the input comes first, wherever the file has it */
        if (draft->layers[post[i]].layer.kind == FT_LAYER_INPUT) {
            const int input = post[i];
            memmove(post + 1, post, (size_t)i * sizeof *post);
            post[0] = input;
            break;
        }
    if (!rc)
        rc = rearrange(draft, post, count, err);
    if (!rc)
        rc = check_axes(draft, err);
done:
    free(state);
    free(next);
    free(stack);
    free(post);
    return rc;
}

/* ---- names --------------------------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    const struct ft_layer *const *x = a, *const *y = b;
    const int order = strcmp((*x)->name, (*y)->name);
    return order ? order : (*x > *y) - (*x < *y);
}

static bool taken(struct ft_layer *const *sorted, int n, const char *name)
{
    int low = 0, high = n;
    while (low < high) {
        const int middle = (low + high) / 2, order = strcmp(sorted[middle]->name, name);
        if (!order)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

int ft_draft_name(struct ft_draft *draft, struct ft_error *err)
{
    const int n = draft->n;
    struct ft_layer **sorted = malloc(((size_t)n + 1) * sizeof *sorted);
    char **renamed = calloc((size_t)n + 1, sizeof *renamed);
    bool done = sorted && renamed;
    for (int i = 0; done && i < n; i++) {
        sorted[i] = &draft->layers[i].layer;
        for (char *slash = sorted[i]->name; (slash = strchr(slash, '/'));)
            *slash = '_';
    }
    if (done)
        qsort(sorted, (size_t)n, sizeof *sorted, by_name);
    for (int i = 1, number = 2; done && i < n; i++) {
        if (strcmp(sorted[i]->name, sorted[i - 1]->name)) {
            number = 2;
            continue;
        }
        do {
            free(renamed[i]);
            if (asprintf(&renamed[i], "%s_%d", sorted[i]->name, number++) < 0)
                renamed[i] = NULL;
        } while (renamed[i] && taken(sorted, n, renamed[i]));
        done = renamed[i];
    }
    for (int i = 0; done && i < n; i++)
        if (renamed[i]) {
            free(sorted[i]->name);
            sorted[i]->name = renamed[i];
            renamed[i] = NULL;
        }
    for (int i = 0; renamed && i < n; i++)
        free(renamed[i]);
    free(renamed);
    free(sorted);
    return done ? 0 : ft_error_nomem(err, "the names of layers");
}

/* ---- Keras's --------------------------------------------------------------------------------------------------------------- */

struct rank {
    int layer, depth, met;
};

static int by_rank(const void *a, const void *b)
{
    const struct rank *x = a, *y = b;
    return x->depth != y->depth ? (x->depth < y->depth) - (x->depth > y->depth) : (x->met > y->met) - (x->met < y->met);
}

int ft_network_order(const struct ft_network *network, int last, int *order)
{
    const size_t n = (size_t)last + 1;
    struct rank *rank = calloc(n, sizeof *rank);
    int *next = calloc(n, sizeof *next), *stack = malloc(n * sizeof *stack), depth = 0, met = 0, count = 0;
    if (!rank || !next || !stack) {
        count = -1;
        goto done;
    }
    for (size_t i = 0; i < n; i++)
        rank[i] = (struct rank){ (int)i, -1, 0 };
    stack[depth++] = last;
    rank[last] = (struct rank){ last, 0, met++ };
    while (depth) { /* numbers layers as they are met; depth -1 marks those that are not */
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
    for (int i = last; i >= 0; i--) /* users come after their inputs: each depth is final when it is handed on */
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
