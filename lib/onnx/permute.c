/* Any order of the values of a layer, by permutations of three axes. The values are seen as blocks:
 * factors of the axes that stay together. Each step reshapes the layer to three groups of
 * neighbouring blocks and exchanges the groups. A map in windows takes two steps. */
#include <string.h>

#include "onnx/import.h"

enum { MOST_BLOCKS = 8, MOST_STEPS = 3, ORDERS = 5 };

/* Each way to exchange three groups; the first also exchanges two. */
static const int orders[ORDERS][FT_AXES] = {
    { 1, 0, 2 }, { 0, 2, 1 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 }
};

struct step {
    int64_t shape[FT_AXES]; /* before it */
    const int *order;
};

/* Blocks are numbered in the wanted order. */
struct search {
    int n;
    int64_t sizes[MOST_BLOCKS];
    struct step steps[MOST_STEPS];
    size_t tries;
};

/* Exchanges the groups [0, i), [i, j), [j, n) of `from`. */
static void exchange(const struct search *s, const int *from, int i, int j, struct step *step,
                     int *to)
{
    const int borders[FT_AXES + 1] = { 0, i, j, s->n };
    int n = 0;
    for (int a = 0; a < FT_AXES; a++) {
        const int group = step->order[a];
        step->shape[group] = 1;
        for (int k = borders[group]; k < borders[group + 1]; k++) {
            step->shape[group] *= s->sizes[from[k]];
            to[n++] = from[k];
        }
    }
}

/* Finds `left` steps from the order `from` to the wanted one. */
static bool find(struct search *s, const int *from, int done, int left)
{
    int to[MOST_BLOCKS], k = 0;
    while (k < s->n && from[k] == k)
        k++;
    if (!left)
        return k == s->n;
    for (int i = 1; i < s->n; i++)
        for (int j = i + 1; j <= s->n; j++)
            for (k = 0; k < (j == s->n ? 1 : ORDERS); k++) {
                s->steps[done].order = orders[k];
                s->tries++;
                exchange(s, from, i, j, &s->steps[done], to);
                if (find(s, to, done + 1, left - 1))
                    return true;
            }
    return false;
}

/* Whether atom a is before atom b in the memory of a layer. */
static bool is_before(const struct ft_atom *a, const struct ft_atom *b)
{
    return a->axis != b->axis ? a->axis < b->axis : a->stride > b->stride;
}

/* Blocks of a view, and their order in memory. Returns false if there are too many. */
static bool collect(const struct ft_view *v, struct search *s, int *memory)
{
    int places[FT_VIEW_ATOMS] = { 0 }, first[MOST_BLOCKS];
    for (int i = 0; i < v->n; i++)
        for (int k = 0; k < v->n; k++)
            places[i] += is_before(&v->atoms[k], &v->atoms[i]);
    s->n = 0;
    for (int i = 0; i < v->n; i++) {
        if (i && places[i] == places[i - 1] + 1) {
            s->sizes[s->n - 1] *= v->atoms[i].size;
            continue;
        }
        if (s->n == MOST_BLOCKS)
            return false;
        first[s->n] = places[i];
        s->sizes[s->n++] = v->atoms[i].size;
    }
    for (int b = 0; b < s->n; b++) {
        int before = 0;
        for (int c = 0; c < s->n; c++)
            before += first[c] < first[b];
        memory[before] = b;
    }
    return true;
}

int ft_onnx_shaped(struct ft_import *x, enum ft_layer_kind kind, int input,
                   const int wanted[FT_AXES], const int64_t shape[FT_AXES], int *out)
{
    for (int i = input + 1; i < x->network->n_layers; i++) {
        const struct ft_layer *l = ft_onnx_at(x, i);
        if (l->kind == kind && l->inputs[0] == input &&
            !memcmp(l->params.shape, wanted, FT_AXES * sizeof *wanted)) {
            *out = i;
            return 0;
        }
    }
    const int rc = ft_onnx_layer(x, kind, &input, 1, shape, out);
    if (rc)
        return rc;
    struct ft_layer_params *p = &ft_onnx_at(x, *out)->params;
    p->rank = FT_AXES;
    memcpy(p->shape, wanted, FT_AXES * sizeof *wanted);
    return 0;
}

int ft_onnx_reshape(struct ft_import *x, int layer, const int64_t shape[FT_AXES], int *out)
{
    const int64_t *now = x->shapes[layer];
    const int wanted[FT_AXES] = { (int)shape[0], (int)shape[1], (int)shape[2] };
    *out = layer;
    if (!ft_onnx_is_vector(x, layer) && !memcmp(now, shape, FT_AXES * sizeof *now))
        return 0;
    return ft_onnx_shaped(x, FT_LAYER_RESHAPE, layer, wanted, shape, out);
}

int ft_onnx_reorder(struct ft_import *x, struct ft_view *v)
{
    struct search s = { 0 };
    int memory[MOST_BLOCKS], n = 0;
    bool found = false;
    if (collect(v, &s, memory))
        while (!(found = find(&s, memory, 0, n)) && n < MOST_STEPS)
            n++;
    int rc = ft_onnx_spend(x, 32 * s.tries);
    if (rc)
        return rc;
    if (!found)
        return ft_onnx_refuse(x, "this mixture of rows, columns and channels is not supported");
    for (int k = 0; k < n; k++) {
        const int64_t *in = s.steps[k].shape;
        const int *order = s.steps[k].order,
                  wanted[FT_AXES] = { order[0] + 1, order[1] + 1, order[2] + 1 };
        const int64_t shape[FT_AXES] = { in[order[0]], in[order[1]], in[order[2]] };
        rc = ft_onnx_reshape(x, v->layer, in, &v->layer);
        rc = rc ? rc : ft_onnx_shaped(x, FT_LAYER_PERMUTE, v->layer, wanted, shape, &v->layer);
        if (rc)
            return rc;
    }
    return 0;
}
