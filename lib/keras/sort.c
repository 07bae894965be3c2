#define _GNU_SOURCE
#include "keras/sort.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "keras/layer_classes.h"

/* ---- order ----------------------------------------------------------------------------------- */

enum { NEW, OPEN, DONE };

struct walk {
    unsigned char *state; /* [layers] */
    int *next, *stack;
    int *post, n; /* visited layers, inputs first */
};

static void walk_release(struct walk *w)
{
    free(w->state);
    free(w->next);
    free(w->stack);
    free(w->post);
}

static int walk_init(struct walk *w, const struct ft_draft *draft, struct ft_error *err)
{
    const size_t n = (size_t)draft->n;
    *w = (struct walk){ calloc(n, 1), calloc(n, sizeof *w->next), malloc(n * sizeof *w->stack),
                        malloc(n * sizeof *w->post), 0 };
    return w->state && w->next && w->stack && w->post ? 0 : ft_error_nomem(err, "layers");
}

/* Walks depth-first from `root`, without recursion, and finds cycles. Layers that `root` needs
 * become DONE and are added to `post`. */
static int walk_from(struct walk *w, const struct ft_draft *draft, int root, struct ft_error *err)
{
    int *stack = w->stack, *next = w->next, depth = 0;
    unsigned char *state = w->state;
    stack[depth++] = root;
    state[root] = OPEN;
    while (depth) {
        const int at = stack[depth - 1];
        const struct ft_layer *layer = &draft->layers[at].layer;
        if (next[at] == layer->n_inputs) {
            state[at] = DONE;
            w->post[w->n++] = at;
            depth--;
            continue;
        }
        const int input = layer->inputs[next[at]++];
        if (state[input] == OPEN)
            return ft_error_set(err, FT_EFORMAT, "layer '%s': its input depends on itself",
                                layer->name);
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

/* Only the last axis can be normalised or concatenated (axes.c moved the others). Its number
 * depends on the rank. */
static int check_axes(const struct ft_draft_layer *d, int rank, struct ft_error *err)
{
    if (d->axis != -1 && d->axis != (d->tokens ? 2 : rank))
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "layer '%s': axis %d is not supported: only the last (channels) is",
                            d->layer.name, d->axis);
    if (d->scores)
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "layer '%s': a product of two tensors is supported only in attention: "
                            "softmax(q k) v",
                            d->layer.name);
    if (d->attention_axes && d->attention_axes != (d->tokens ? 1 : 2))
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "layer '%s': attention over some of the axes is not supported",
                            d->layer.name);
    return 0;
}

/* Finds out which layers give tokens, and checks what depends on the rank of the inputs. */
static int check_ranks(struct ft_draft *draft, struct ft_error *err)
{
    int *rank = calloc((size_t)draft->n + 1, sizeof *rank), rc = 0;
    if (!rank)
        return ft_error_nomem(err, "layers");
    for (int i = 0; i < draft->n && !rc; i++) {
        struct ft_draft_layer *d = &draft->layers[i];
        const struct ft_layer *layer = &d->layer;
        const int first = layer->n_inputs ? layer->inputs[0] : -1;
        rank[i] = ft_layer_rank(layer, first < 0 ? 0 : rank[first]);
        if (layer->kind != FT_LAYER_RESHAPE && first >= 0)
            d->tokens = rank[i] == 3 && draft->layers[first].tokens;
        rc = check_axes(d, rank[i], err);
        if (!rc && layer->kind == FT_LAYER_ATTENTION)
            rc = ft_attention_inputs(d, err);
        if (!rc && layer->kind == FT_LAYER_INPUT && i)
            rc = ft_error_set(err, FT_EUNSUPPORTED,
                              "layer '%s' is a second input: only networks with one input, a "
                              "picture, are supported",
                              layer->name);
    }
    free(rank);
    return rc;
}

int ft_draft_sort_file(struct ft_draft *draft, struct ft_error *err)
{
    struct walk w;
    int rc = walk_init(&w, draft, err);
    rc = rc ? rc : walk_from(&w, draft, draft->output, err);
    if (!rc) {
        w.n = 0;
        for (int i = 0; i < draft->n; i++)
            if (w.state[i] == DONE)
                w.post[w.n++] = i;
        rc = rearrange(draft, w.post, w.n, err);
    }
    walk_release(&w);
    return rc;
}

/* Moves the input to the front. */
static void input_first(const struct ft_draft *draft, int *order, int n)
{
    for (int i = 0; i < n; i++)
        if (draft->layers[order[i]].layer.kind == FT_LAYER_INPUT) {
            const int input = order[i];
            memmove(order + 1, order, (size_t)i * sizeof *order);
            order[0] = input;
            return;
        }
}

int ft_draft_sort(struct ft_draft *draft, struct ft_error *err)
{
    const size_t n = (size_t)draft->n;
    struct walk w;
    int rc = walk_init(&w, draft, err);
    rc = rc ? rc : walk_from(&w, draft, draft->output, err);
    /* Walk again, in the order of the file, among the needed layers: a valid order does not change.
     */
    if (!rc) {
        memset(w.next, 0, n * sizeof *w.next);
        for (size_t i = 0; i < n; i++)
            w.state[i] = w.state[i] == DONE ? NEW : DONE;
        w.n = 0;
        for (int i = 0; i < draft->n && !rc; i++)
            if (w.state[i] == NEW)
                rc = walk_from(&w, draft, i, err);
    }
    if (!rc) {
        input_first(draft, w.post, w.n);
        rc = rearrange(draft, w.post, w.n, err);
    }
    rc = rc ? rc : check_ranks(draft, err);
    walk_release(&w);
    return rc;
}

/* ---- names ----------------------------------------------------------------------------------- */

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
    bool complete = sorted && renamed;
    for (int i = 0; complete && i < n; i++) {
        sorted[i] = &draft->layers[i].layer;
        for (char *slash = sorted[i]->name; (slash = strchr(slash, '/'));)
            *slash = '_';
    }
    if (complete)
        qsort(sorted, (size_t)n, sizeof *sorted, by_name);
    for (int i = 1, number = 2; complete && i < n; i++) {
        if (strcmp(sorted[i]->name, sorted[i - 1]->name)) {
            number = 2;
            continue;
        }
        do {
            free(renamed[i]);
            if (asprintf(&renamed[i], "%s_%d", sorted[i]->name, number++) < 0)
                renamed[i] = NULL;
        } while (renamed[i] && taken(sorted, n, renamed[i]));
        complete = renamed[i];
    }
    for (int i = 0; complete && i < n; i++)
        if (renamed[i]) {
            free(sorted[i]->name);
            sorted[i]->name = renamed[i];
            renamed[i] = NULL;
        }
    for (int i = 0; renamed && i < n; i++)
        free(renamed[i]);
    free(renamed);
    free(sorted);
    return complete ? 0 : ft_error_nomem(err, "the names of layers");
}
