/* Multi-head attention as exporters write it: Softmax(Q K * factor + constants) V, where Q, K and V
 * are views of Dense layers. Their kernels become those of one layer. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "onnx/attention_parts.h"
#include "onnx/scores.h"

/* ---- queries of some pixels ------------------------------------------------------------------ */

/* The layers that select some pixels of the map of keys for the queries (LeViT): positions need
 * attention of one map, whose other queries are removed afterwards. */
struct selection {
    enum { SELECTION_LAYERS = 8 } most;
    int n, layers[SELECTION_LAYERS]; /* from the queries back to the keys */
    int base;                        /* of both */
};

static bool selects_pixels(const struct ft_import *x, int layer)
{
    const struct ft_layer *l = ft_onnx_at(x, layer);
    const struct ft_layer_params *p = &l->params;
    const bool pool = l->kind == FT_LAYER_MAX_POOL && p->kernel[0] == 1 && p->kernel[1] == 1 &&
                      p->padding == FT_PAD_VALID,
               shape =
                   l->kind == FT_LAYER_RESHAPE && x->shapes[layer][2] == x->shapes[l->inputs[0]][2];
    return pool || shape || l->kind == FT_LAYER_CROPPING;
}

static bool find_selection(const struct ft_import *x, int queries, int keys, struct selection *s)
{
    s->n = 0;
    s->base = keys;
    while (ft_onnx_at(x, s->base)->kind == FT_LAYER_RESHAPE && selects_pixels(x, s->base))
        s->base = ft_onnx_at(x, s->base)->inputs[0];
    for (int at = queries; at != s->base; at = ft_onnx_at(x, at)->inputs[0]) {
        if (s->n == SELECTION_LAYERS || !selects_pixels(x, at))
            return false;
        s->layers[s->n++] = at;
    }
    return true;
}

/* The pixel of the map of keys that is pixel i of the queries. */
static int64_t pixel_of(const struct ft_import *x, const struct selection *s, int64_t i)
{
    for (int k = 0; k < s->n; k++) {
        const struct ft_layer *l = ft_onnx_at(x, s->layers[k]);
        const struct ft_layer_params *p = &l->params;
        const int64_t w = x->shapes[s->layers[k]][1], from = x->shapes[l->inputs[0]][1];
        if (l->kind == FT_LAYER_CROPPING)
            i = (i / w + p->pad[0]) * from + i % w + p->pad[2];
        else if (l->kind == FT_LAYER_MAX_POOL)
            i = i / w * p->stride[0] * from + i % w * p->stride[1];
    }
    return i;
}

/* The same selection of another map of as many pixels. */
static int select_pixels(struct ft_import *x, const struct selection *s, int *layer)
{
    const int64_t c = x->shapes[*layer][2], *base = x->shapes[s->base];
    int rc = ft_onnx_reshape(x, *layer, (int64_t[]){ base[0], base[1], c }, layer);
    for (int k = s->n - 1; !rc && k >= 0; k--) {
        const int from = s->layers[k];
        const int64_t shape[FT_AXES] = { x->shapes[from][0], x->shapes[from][1], c };
        if (ft_onnx_at(x, from)->kind == FT_LAYER_RESHAPE) {
            rc = ft_onnx_reshape(x, *layer, shape, layer);
            continue;
        }
        rc = ft_onnx_layer(x, ft_onnx_at(x, from)->kind, layer, 1, shape, layer);
        if (!rc)
            ft_onnx_at(x, *layer)->params = ft_onnx_at(x, from)->params;
    }
    return rc;
}

/* ---- the layer ------------------------------------------------------------------------------- */

/* The output kernel that changes nothing: [heads, each, heads * each]. */
static int set_identity(struct ft_import *x, int layer, const struct ft_attention_part *v)
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

/* POSITIONS [windows, heads, i, j], or [heads, i, j] if all windows have the same, and SCORE_SCALE.
 * `sum` has the queries q; the layer has as many as keys, and zeros for the others. */
static int set_positions(struct ft_import *x, int layer, const struct ft_attention_part *q,
                         const struct selection *s, int64_t keys, const struct ft_constant *sum,
                         double factor)
{
    const int64_t shape[] = { q->windows, q->heads, keys, keys };
    const size_t each = sum->count / (size_t)q->windows;
    bool same = true;
    for (int64_t w = 1; same && w < q->windows; w++)
        same = !memcmp(sum->f, sum->f + (size_t)w * each, each * sizeof *sum->f);
    float *to = ft_onnx_weight(x, layer, FT_W_POSITIONS, same ? 3 : 4, same ? shape + 1 : shape),
          *scale = to ? ft_onnx_weight(x, layer, FT_W_SCORE_SCALE, 1, &q->heads) : NULL;
    if (!scale)
        return FT_ENOMEM;
    for (int64_t h = 0; h < q->heads; h++)
        scale[h] = (float)factor;
    memset(to, 0, ft_onnx_at(x, layer)->weights[FT_W_POSITIONS].count * sizeof *to);
    for (int64_t w = 0; w < (same ? 1 : q->windows) * q->heads; w++)
        for (int64_t i = 0; i < q->tokens; i++)
            memcpy(to + (w * keys + pixel_of(x, s, i)) * keys, sum->f + (w * q->tokens + i) * keys,
                   (size_t)keys * sizeof *to);
    return 0;
}

/* The layer, without what is added to its scores. */
static int attend(struct ft_import *x, const int *inputs, int n, bool windows,
                  const struct ft_attention_part *q, const struct ft_attention_part *k,
                  const struct ft_attention_part *v, double factor, int *layer)
{
    const int64_t *of = x->shapes[inputs[0]], shape[] = { of[0], of[1], v->heads * v->each };
    int rc = ft_onnx_layer(x, FT_LAYER_ATTENTION, inputs, n, shape, layer);
    if (rc)
        return rc;
    struct ft_layer_params *p = &ft_onnx_at(x, *layer)->params;
    p->groups = (int)q->heads;
    p->units = (int)q->each;
    p->filters = (int)v->each;
    p->windows = windows;
    rc = ft_attention_part_set(x, *layer, FT_W_QUERY, q, factor);
    rc = rc ? rc : ft_attention_part_set(x, *layer, FT_W_KEY, k, 1);
    rc = rc ? rc : ft_attention_part_set(x, *layer, FT_W_VALUE, v, 1);
    return rc ? rc : set_identity(x, *layer, v);
}

/* Attention whose scores have constants: of one map, its tokens in one row for each window. */
static int attend_positions(struct ft_import *x, const struct ft_scores *scores,
                            const struct ft_attention_part *q, const struct ft_attention_part *k,
                            const struct ft_attention_part *v, int *layer)
{
    struct selection s;
    struct ft_constant sum = { .rank = q->view->rank };
    const int64_t c = x->shapes[k->input][2];
    if (!find_selection(x, q->input, k->input, &s))
        return ft_onnx_refuse(x, "constants are added to the scores of attention between two maps");
    memcpy(sum.dims, q->view->dims, sizeof sum.dims);
    sum.dims[sum.rank - 2] = q->tokens;
    sum.dims[sum.rank - 1] = k->tokens;
    int input, rc = ft_scores_sum(x, scores, &sum);
    if (!rc && sum.count != (size_t)(q->windows * q->heads * q->tokens * k->tokens))
        rc = ft_onnx_refuse(x, "the constants that are added to its scores have another shape");
    rc = rc ? rc : ft_onnx_reshape(x, k->input, (int64_t[]){ k->windows, k->tokens, c }, &input);
    rc = rc ? rc : attend(x, &input, 1, true, q, k, v, 1, layer);
    rc = rc ? rc : set_positions(x, *layer, q, &s, k->tokens, &sum, scores->factor);
    return rc || q->input == k->input ? rc : select_pixels(x, &s, layer);
}

static int build(struct ft_import *x, const struct ft_scores *scores,
                 const struct ft_attention_part *q, const struct ft_attention_part *k,
                 const struct ft_attention_part *v)
{
    const int inputs[] = { q->input, k->input }, n = k->input == q->input ? 1 : 2;
    int layer = 0, rc;
    if (scores->added)
        rc = attend_positions(x, scores, q, k, v, &layer);
    else /* the layer divides by the root */
        rc = attend(x, inputs, n, q->windows > 1, q, k, v, scores->factor * sqrt((double)q->each),
                    &layer);
    if (rc)
        return rc;
    const int64_t *shape = x->shapes[layer];
    struct ft_view out = { .layer = layer, .rank = v->view->rank };
    if (q->windows > 1)
        ft_view_append(&out, (struct ft_atom){ FT_AXIS_ROWS, shape[0], 1 });
    ft_view_append(&out, (struct ft_atom){ FT_AXIS_CHANNELS, v->heads, v->each });
    if (q->windows == 1)
        ft_view_append(&out, (struct ft_atom){ FT_AXIS_ROWS, shape[0], 1 });
    ft_view_append(&out, (struct ft_atom){ FT_AXIS_COLUMNS, shape[1], 1 });
    ft_view_append(&out, (struct ft_atom){ FT_AXIS_CHANNELS, v->each, 1 });
    memcpy(out.dims, v->view->dims, sizeof out.dims);
    out.dims[out.rank - 2] = q->tokens;
    ft_view_normalise(&out);
    return ft_onnx_set_view(x, 0, &out);
}

int ft_onnx_match_attention(struct ft_import *x, bool *done)
{
    bool turned;
    const struct ft_onnx_value *weights =
        ft_onnx_is_product(x->node, &turned) && !turned ? ft_onnx_input(x, 0) : NULL;
    const Ft__Onnx__Node *softmax = weights ? weights->node : NULL;
    struct ft_attention_part q, k, v;
    struct ft_scores scores;
    *done = false;
    if (!softmax || strcmp(softmax->op_type, "Softmax") || !ft_scores_find(x, softmax, &scores) ||
        !ft_attention_part_read(x, scores.product->input[0], false, &q) ||
        !ft_attention_part_read(x, scores.product->input[1], !scores.turned, &k) ||
        !ft_attention_part_read(x, x->node->input[1], false, &v))
        return 0;
    const int64_t axis = ft_onnx_int(softmax, "axis", x->opset < 13 ? 1 : -1);
    if ((axis != -1 && axis != q.view->rank - 1) || q.heads != k.heads || q.heads != v.heads ||
        q.each != k.each || k.tokens != v.tokens || k.input != v.input || q.windows != k.windows ||
        k.windows != v.windows)
        return 0;
    *done = true;
    return build(x, &scores, &q, &k, &v);
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
