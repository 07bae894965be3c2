/* Multi-head attention as exporters write it: Softmax(Q K * factor) V, where Q, K and V are views
 * of Dense layers. Their kernels become those of one layer. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "onnx/import.h"

/* One of Q, K, V: the columns of a Dense layer, times a factor. */
struct part {
    const struct ft_view *view;
    int dense, input; /* layers */
    double factor;
    int64_t heads, each, tokens;
};

static const Ft__Onnx__Node *producer(const struct ft_import *x, const Ft__Onnx__Node *node,
                                      size_t input)
{
    const struct ft_onnx_value *v =
        input < node->n_input ? ft_onnx_find(x, node->input[input]) : NULL;
    return v ? v->node : NULL;
}

/* The matrix product before a Softmax; *factor is multiplied by what stands between them. */
static const Ft__Onnx__Node *find_product(const struct ft_import *x, const Ft__Onnx__Node *node,
                                          double *factor)
{
    for (int steps = 0; node && steps < 4; steps++) {
        if (!strcmp(node->op_type, "MatMul"))
            return node;
        const bool divides = !strcmp(node->op_type, "Div");
        const struct ft_onnx_value *v = node->n_input == 2 ? ft_onnx_find(x, node->input[1]) : NULL;
        if ((!divides && strcmp(node->op_type, "Mul")) || !v || v->kind != FT_ONNX_CONSTANT ||
            v->constant.count != 1)
            return NULL;
        const double value = ft_constant_at(&v->constant, 0);
        *factor *= divides ? 1 / value : value;
        node = producer(x, node, 0);
    }
    return NULL;
}

/* Axis d of an aligned view counts all pixels of its layer in order. */
static bool counts_pixels(const struct ft_import *x, const struct ft_view *v, const int *first,
                          int d)
{
    const int64_t *shape = x->shapes[v->layer];
    struct ft_view all = { .n = 2,
                           .atoms = { { FT_AXIS_ROWS, shape[0], 1 },
                                      { FT_AXIS_COLUMNS, shape[1], 1 } } },
                   found = { .n = first[d + 1] - first[d],
                             .from = { v->from[FT_AXIS_ROWS], v->from[FT_AXIS_COLUMNS] } };
    memcpy(found.atoms, v->atoms + first[d], (size_t)found.n * sizeof *found.atoms);
    ft_view_normalise(&all);
    ft_view_normalise(&found);
    return ft_view_congruent(&all, &found);
}

/* A view [.., tokens, each] (`turned`: [.., each, tokens]) of a Dense layer, perhaps scaled. */
static bool read_part(const struct ft_import *x, const char *name, bool turned, struct part *p)
{
    const struct ft_onnx_value *value = ft_onnx_find(x, name);
    int first[FT_ONNX_RANK + 1];
    if (!value || value->kind != FT_ONNX_VIEW || value->view.rank < 3)
        return false;
    struct ft_view v = value->view;
    const int rank = v.rank, t = turned ? rank - 1 : rank - 2, u = turned ? rank - 2 : rank - 1;
    *p = (struct part){ .view = &value->view,
                        .factor = 1,
                        .heads = 1,
                        .each = v.dims[u],
                        .tokens = v.dims[t],
                        .dense = v.layer };
    if (!ft_view_align(&v, first) || !counts_pixels(x, &v, first, t))
        return false;
    for (int d = 0; d < rank; d++) {
        if (d != t && ft_view_axes(&v, first, d) & ~(1u << FT_AXIS_CHANNELS))
            return false;
        p->heads *= d == t || d == u ? 1 : v.dims[d];
    }
    for (const struct ft_layer *l = ft_onnx_at(x, p->dense); l->kind == FT_LAYER_RESCALING;
         l = ft_onnx_at(x, p->dense)) {
        const struct ft_tensor *scale = &l->weights[FT_W_SCALE], *offset = &l->weights[FT_W_OFFSET];
        if (scale->count != 1 || offset->count != 1 || offset->data[0] != 0)
            return false;
        p->factor *= (double)scale->data[0];
        p->dense = l->inputs[0];
    }
    const struct ft_layer *l = ft_onnx_at(x, p->dense);
    p->input = l->kind == FT_LAYER_DENSE ? l->inputs[0] : -1;
    return l->kind == FT_LAYER_DENSE && l->params.activation == FT_ACT_LINEAR;
}

/* The column of the Dense layer that is channel `each` of a head. */
static int64_t column(const struct part *p, bool turned, int64_t head, int64_t each)
{
    struct ft_view v = *p->view;
    int first[FT_ONNX_RANK + 1];
    int64_t at = v.from[FT_AXIS_CHANNELS];
    const int rank = v.rank, t = turned ? rank - 1 : rank - 2, u = turned ? rank - 2 : rank - 1;
    ft_view_align(&v, first);
    for (int d = rank - 1; d >= 0; d--) {
        int64_t *rest = d == u ? &each : &head;
        for (int k = first[d + 1] - 1; d != t && k >= first[d]; k--) {
            at += *rest % v.atoms[k].size * v.atoms[k].stride;
            *rest /= v.atoms[k].size;
        }
    }
    return at;
}

/* Sets a kernel [c, heads, each] and its bias. */
static int set_part(struct ft_import *x, int layer, int w, const struct part *p, bool turned,
                    double factor)
{
    const struct ft_tensor kernel = ft_onnx_at(x, p->dense)->weights[FT_W_KERNEL],
                           bias = ft_onnx_at(x, p->dense)->weights[FT_W_BIAS];
    const int64_t c = kernel.shape[0], n = kernel.shape[1], shape[] = { c, p->heads, p->each },
                  all = p->heads * p->each;
    float *to = ft_onnx_weight(x, layer, w, 3, shape),
          *offset = to && bias.data ? ft_onnx_weight(x, layer, w + 1, 2, shape + 1) : NULL;
    if (!to || (bias.data && !offset))
        return FT_ENOMEM;
    for (int64_t j = 0; j < all; j++) {
        const int64_t from = column(p, turned, j / p->each, j % p->each);
        for (int64_t i = 0; i < c; i++)
            to[i * all + j] = (float)(factor * (double)kernel.data[i * n + from]);
        if (offset)
            offset[j] = (float)(factor * (double)bias.data[from]);
    }
    return 0;
}

/* The output kernel that changes nothing: [heads, each, heads * each]. */
static int set_identity(struct ft_import *x, int layer, const struct part *v)
{
    const int64_t all = v->heads * v->each;
    float *to = ft_onnx_weight(x, layer, FT_W_OUTPUT, 3, (int64_t[]){ v->heads, v->each, all });
    if (!to)
        return FT_ENOMEM;
    memset(to, 0, (size_t)(all * all) * sizeof *to);
    for (int64_t i = 0; i < all; i++)
        to[i * all + i] = 1;
    return 0;
}

bool ft_onnx_is_bare_attention(const struct ft_layer *l)
{
    const struct ft_tensor *w = &l->weights[FT_W_OUTPUT];
    if (l->kind != FT_LAYER_ATTENTION || l->weights[FT_W_OUTPUT_BIAS].data ||
        w->shape[0] * w->shape[1] != w->shape[2])
        return false;
    for (int64_t i = 0; i < w->shape[2]; i++)
        for (int64_t j = 0; j < w->shape[2]; j++)
            if (w->data[i * w->shape[2] + j] != (i == j ? 1 : 0))
                return false;
    return true;
}

static int build(struct ft_import *x, const struct part *q, const struct part *k,
                 const struct part *v, double factor)
{
    const int inputs[] = { q->input, k->input };
    const int64_t *of = x->shapes[q->input], all = v->heads * v->each;
    const int64_t shape[FT_AXES] = { of[0], of[1], all };
    int layer;
    int rc =
        ft_onnx_layer(x, FT_LAYER_ATTENTION, inputs, k->input == q->input ? 1 : 2, shape, &layer);
    if (rc)
        return rc;
    struct ft_layer_params *p = &ft_onnx_at(x, layer)->params;
    p->groups = (int)q->heads;
    p->units = (int)q->each;
    p->filters = (int)v->each;
    factor *= q->factor * k->factor * sqrt((double)q->each); /* the layer divides by the root */
    rc = set_part(x, layer, FT_W_QUERY, q, false, factor);
    rc = rc ? rc : set_part(x, layer, FT_W_KEY, k, true, 1);
    rc = rc ? rc : set_part(x, layer, FT_W_VALUE, v, false, v->factor);
    rc = rc ? rc : set_identity(x, layer, v);
    if (rc)
        return rc;
    struct ft_view out = { .layer = layer,
                           .rank = v->view->rank,
                           .n = 4,
                           .atoms = { { FT_AXIS_CHANNELS, v->heads, v->each },
                                      { FT_AXIS_ROWS, shape[0], 1 },
                                      { FT_AXIS_COLUMNS, shape[1], 1 },
                                      { FT_AXIS_CHANNELS, v->each, 1 } } };
    memcpy(out.dims, v->view->dims, sizeof out.dims);
    out.dims[out.rank - 2] = q->tokens;
    ft_view_normalise(&out);
    return ft_onnx_set_view(x, 0, &out);
}

int ft_onnx_match_attention(struct ft_import *x, bool *done)
{
    const Ft__Onnx__Node *softmax =
        strcmp(x->node->op_type, "MatMul") ? NULL : producer(x, x->node, 0);
    struct part q, k, v;
    double factor = 1;
    *done = false;
    if (!softmax || strcmp(softmax->op_type, "Softmax") || x->node->n_input != 2)
        return 0;
    const Ft__Onnx__Node *product = find_product(x, producer(x, softmax, 0), &factor);
    if (!product || product->n_input != 2 || !read_part(x, product->input[0], false, &q) ||
        !read_part(x, product->input[1], true, &k) || !read_part(x, x->node->input[1], false, &v))
        return 0;
    const int64_t axis = ft_onnx_int(softmax, "axis", x->opset < 13 ? 1 : -1);
    if ((axis != -1 && axis != q.view->rank - 1) || q.heads != k.heads || q.heads != v.heads ||
        q.each != k.each || k.tokens != v.tokens || k.input != v.input)
        return 0;
    *done = true;
    return build(x, &q, &k, &v, factor);
}

int ft_onnx_complete_attention(struct ft_import *x)
{
    for (int i = 0; i < x->network->n_layers; i++) {
        struct ft_layer *l = ft_onnx_at(x, i);
        bool biased = false;
        for (int w = FT_W_QUERY; w <= FT_W_OUTPUT; w += FT_W_KEY)
            biased = biased || (l->kind == FT_LAYER_ATTENTION && l->weights[w + 1].data);
        for (int w = FT_W_QUERY; biased && w <= FT_W_OUTPUT; w += FT_W_KEY) {
            if (l->weights[w + 1].data)
                continue;
            const struct ft_tensor *kernel = &l->weights[w];
            float *zeros = w == FT_W_OUTPUT ? ft_onnx_weight(x, i, w + 1, 1, &kernel->shape[2])
                                            : ft_onnx_weight(x, i, w + 1, 2, &kernel->shape[1]);
            if (!zeros)
                return FT_ENOMEM;
            memset(zeros, 0, l->weights[w + 1].count * sizeof *zeros);
        }
    }
    return 0;
}
