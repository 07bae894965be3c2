#include "onnx/attention_parts.h"

#include <math.h>
#include <string.h>

#include "base/error.h"

/* Whether atoms select all of the layer's axes `from`..`to` in order. */
static bool counts_all(const struct ft_import *x, const struct ft_view *v,
                       const struct ft_atom *atoms, int n, enum ft_axis from, enum ft_axis to)
{
    struct ft_view all = { 0 }, found = { .n = n };
    for (int a = (int)from; a <= (int)to; a++) {
        all.atoms[all.n++] = (struct ft_atom){ (enum ft_axis)a, x->shapes[v->layer][a], 1 };
        found.from[a] = v->from[a];
    }
    memcpy(found.atoms, atoms, (size_t)n * sizeof *atoms);
    ft_view_normalise(&all);
    ft_view_normalise(&found);
    return ft_view_congruent(&all, &found);
}

static int token_axis(const struct ft_attention_part *p)
{
    return p->turned ? p->view->rank - 1 : p->view->rank - 2;
}

/* Windows, heads and tokens of an aligned view: the tokens are all pixels, or those of a row. */
static bool read_axes(const struct ft_import *x, const struct ft_view *v, const int *first,
                      struct ft_attention_part *p)
{
    const int t = token_axis(p), u = p->turned ? v->rank - 2 : v->rank - 1;
    const struct ft_atom *tokens = v->atoms + first[t];
    const int n_tokens = first[t + 1] - first[t];
    struct ft_atom rows[FT_VIEW_ATOMS];
    int n = 0;
    p->windows = p->heads = 1;
    for (int d = 0; d < v->rank; d++)
        for (int i = first[d]; d != t && i < first[d + 1]; i++) {
            const struct ft_atom *a = &v->atoms[i];
            const bool row = a->axis == FT_AXIS_ROWS && d != u && p->heads == 1;
            if (a->axis != FT_AXIS_CHANNELS && !row)
                return false;
            if (row)
                rows[n++] = *a;
            *(row ? &p->windows : &p->heads) *= d == u ? 1 : a->size;
        }
    if (!n && counts_all(x, v, tokens, n_tokens, FT_AXIS_ROWS, FT_AXIS_COLUMNS))
        return true;
    return counts_all(x, v, tokens, n_tokens, FT_AXIS_COLUMNS, FT_AXIS_COLUMNS) &&
           counts_all(x, v, rows, n, FT_AXIS_ROWS, FT_AXIS_ROWS);
}

/* value of a tensor of one value or one for each channel */
static double at(const struct ft_tensor *t, int64_t channel, double otherwise)
{
    return t->data ? (double)t->data[t->count > 1 ? channel : 0] : otherwise;
}

/* y = scale * x + offset in a channel of a layer. Returns false for another kind of layer. */
static bool affine(const struct ft_layer *l, int64_t channel, double *scale, double *offset)
{
    if (l->kind == FT_LAYER_RESCALING) {
        *scale = at(&l->weights[FT_W_SCALE], channel, 1);
        *offset = at(&l->weights[FT_W_OFFSET], channel, 0);
        return true;
    }
    if (l->kind != FT_LAYER_BATCH_NORM)
        return false;
    *scale = at(&l->weights[FT_W_GAMMA], channel, 1) /
             sqrt(at(&l->weights[FT_W_VARIANCE], channel, 1) + (double)l->params.epsilon);
    *offset =
        at(&l->weights[FT_W_BETA], channel, 0) - *scale * at(&l->weights[FT_W_MEAN], channel, 0);
    return true;
}

bool ft_attention_part_read(const struct ft_import *x, const char *name, bool turned,
                            struct ft_attention_part *p)
{
    const struct ft_onnx_value *value = ft_onnx_find(x, name);
    int first[FT_ONNX_RANK + 1];
    if (!value || value->kind != FT_ONNX_VIEW || value->view.rank < 3)
        return false;
    struct ft_view v = value->view;
    *p = (struct ft_attention_part){ .view = &value->view, .turned = turned, .dense = v.layer };
    p->tokens = v.dims[token_axis(p)];
    p->each = v.dims[turned ? v.rank - 2 : v.rank - 1];
    if (!ft_view_align(&v, first) || !read_axes(x, &v, first, p))
        return false;
    const struct ft_layer *l = ft_onnx_at(x, p->dense);
    for (double scale, offset; affine(l, 0, &scale, &offset); l = ft_onnx_at(x, p->dense)) {
        p->offset = p->offset || l->kind == FT_LAYER_BATCH_NORM || offset != 0;
        p->dense = l->inputs[0];
    }
    p->input = l->kind == FT_LAYER_DENSE ? l->inputs[0] : -1;
    return l->kind == FT_LAYER_DENSE && l->params.activation == FT_ACT_LINEAR;
}

/* The column of the Dense layer that is channel `each` of a head. */
static int64_t column(const struct ft_attention_part *p, int64_t head, int64_t each)
{
    struct ft_view v = *p->view;
    int first[FT_ONNX_RANK + 1];
    int64_t place = v.from[FT_AXIS_CHANNELS];
    const int rank = v.rank, t = token_axis(p), u = p->turned ? rank - 2 : rank - 1;
    ft_view_align(&v, first);
    for (int d = rank - 1; d >= 0; d--) {
        int64_t *rest = d == u ? &each : &head;
        for (int k = first[d + 1] - 1; d != t && k >= first[d]; k--) {
            if (v.atoms[k].axis != FT_AXIS_CHANNELS)
                continue;
            place += *rest % v.atoms[k].size * v.atoms[k].stride;
            *rest /= v.atoms[k].size;
        }
    }
    return place;
}

int ft_attention_part_set(struct ft_import *x, int layer, int w, const struct ft_attention_part *p,
                          double factor)
{
    const struct ft_tensor kernel = ft_onnx_at(x, p->dense)->weights[FT_W_KERNEL],
                           bias = ft_onnx_at(x, p->dense)->weights[FT_W_BIAS];
    const int64_t c = kernel.shape[0], n = kernel.shape[1], shape[] = { c, p->heads, p->each },
                  all = p->heads * p->each;
    const bool biased = bias.data || p->offset;
    float *to = ft_onnx_weight(x, layer, w, 3, shape),
          *added = to && biased ? ft_onnx_weight(x, layer, w + 1, 2, shape + 1) : NULL;
    if (!to || (biased && !added))
        return FT_ENOMEM;
    for (int64_t j = 0; j < all; j++) {
        const int64_t from = column(p, j / p->each, j % p->each);
        double scale = factor, offset = 0, s, o;
        for (int l = p->view->layer; affine(ft_onnx_at(x, l), from, &s, &o);
             l = ft_onnx_at(x, l)->inputs[0]) {
            offset += scale * o;
            scale *= s;
        }
        for (int64_t i = 0; i < c; i++)
            to[i * all + j] = (float)(scale * (double)kernel.data[i * n + from]);
        if (added)
            added[j] = (float)(offset + scale * at(&bias, from, 0));
    }
    return 0;
}
