#include "presets/transformer_parts.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

enum { PATH = FT_TOWER_PATH, NAME = FT_TOWER_NAME };

/* "TOWER/GROUP/REST"; group or rest may be "". */
const char *ft_tower_path(const struct ft_tower *x, const char *group, const char *rest, char *to)
{
    const bool both = *group && *rest;
    if (snprintf(to, PATH, "%s%s%s%s", x->root, group, both ? "/" : "", rest) >= PATH)
        ft_build_fail(x->b, FT_EFORMAT, "a name in the preset is too long");
    return to;
}

/* ---- parts ----------------------------------------------------------------------------------- */

/* A weight times `factor`, and times gamma [last axis] if that has data. */
void ft_tower_scale(struct ft_tower *x, int layer, int w, const struct ft_tensor *gamma,
                    double factor)
{
    if (x->b->rc || (!gamma->data && factor == 1))
        return;
    const struct ft_tensor from = ft_build_at(x->b, layer)->weights[w];
    if (!from.data)
        return;
    const size_t n = from.rank > 0 ? (size_t)from.shape[from.rank - 1] : 0;
    if (gamma->data && (!n || gamma->count != n)) {
        ft_build_fail(x->b, FT_EFORMAT, "a layer scale has %zu values, but its layer %zu",
                      gamma->count, n);
        return;
    }
    float *to = ft_build_weight(x->b, layer, w, from.rank, from.shape);
    for (size_t i = 0; to && i < from.count; i++)
        to[i] =
            (float)((double)from.data[i] * factor * (gamma->data ? (double)gamma->data[i % n] : 1));
}

struct ft_tensor ft_tower_layer_scale(struct ft_tower *x, const char *block, const char *name)
{
    char group[PATH], path[PATH];
    if (!name)
        return (struct ft_tensor){ 0 };
    snprintf(group, sizeof group, "%s/%s", block, name);
    return ft_build_tensor(x->b, ft_tower_path(x, group, "vars/0", path), true);
}

int ft_tower_attention(struct ft_tower *x, const char *name, const int *inputs, int n,
                       const char *group)
{
    static const struct {
        int w;
        const char *place;
    } parts[] = { { FT_W_QUERY, "query_dense" },
                  { FT_W_KEY, "key_dense" },
                  { FT_W_VALUE, "value_dense" },
                  { FT_W_OUTPUT, "output_dense" } };
    const int at = ft_build_layer(x->b, FT_LAYER_ATTENTION, name, inputs, n);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char rest[NAME], path[PATH];
        snprintf(rest, sizeof rest, "%s/vars/0", parts[i].place);
        ft_build_read(x->b, at, parts[i].w, ft_tower_path(x, group, rest, path));
        snprintf(rest, sizeof rest, "%s/vars/1", parts[i].place);
        const struct ft_tensor bias =
            ft_build_tensor(x->b, ft_tower_path(x, group, rest, path), false);
        if (!x->b->rc)
            ft_build_at(x->b, at)->weights[parts[i].w + 1] = bias;
    }
    if (x->b->rc)
        return 0;
    struct ft_layer *layer = ft_build_at(x->b, at);
    const struct ft_tensor *key = &layer->weights[FT_W_KEY], *value = &layer->weights[FT_W_VALUE];
    if (key->rank != 3 || value->rank != 3) {
        ft_build_fail(x->b, FT_EFORMAT, "the attention of '%s' has no heads", name);
        return 0;
    }
    layer->params.groups = (int)key->shape[1];
    layer->params.units = (int)key->shape[2];
    layer->params.filters = (int)value->shape[2];
    return at;
}

int ft_tower_heads(struct ft_tower *x, int at, int heads)
{
    if (x->b->rc)
        return x->b->rc;
    struct ft_layer *layer = ft_build_at(x->b, at);
    struct ft_tensor *w = layer->weights;
    const int64_t c = w[FT_W_QUERY].shape[0], d = w[FT_W_OUTPUT].shape[0];
    for (int i = FT_W_QUERY; i <= FT_W_OUTPUT; i += FT_W_KEY) {
        const int64_t rows = i == FT_W_OUTPUT ? d : c,
                      columns = i == FT_W_OUTPUT ? w[i].shape[1] : d;
        if (w[i].rank != 2 || w[i].shape[0] != rows || w[i].shape[1] != columns || d % heads ||
            (w[i + 1].data && w[i + 1].count != (size_t)columns))
            return ft_build_fail(x->b, FT_EFORMAT,
                                 "the attention of '%s' cannot be divided into %d heads",
                                 layer->name, heads);
        const bool out = i == FT_W_OUTPUT;
        w[i].rank = 3;
        w[i].shape[0] = out ? heads : rows;
        w[i].shape[1] = out ? d / heads : heads;
        w[i].shape[2] = out ? columns : d / heads;
        if (out || !w[i + 1].data)
            continue;
        w[i + 1].rank = 2;
        w[i + 1].shape[0] = heads;
        w[i + 1].shape[1] = d / heads;
    }
    layer->params.groups = heads;
    layer->params.units = layer->params.filters = (int)(d / heads);
    return 0;
}

int ft_tower_dense(struct ft_tower *x, const char *name, int input, const char *block,
                   const char *group)
{
    char whole[PATH], path[PATH], bias[PATH];
    snprintf(whole, sizeof whole, "%s/%s", block, group);
    ft_tower_path(x, whole, "vars/1", bias);
    const bool biased = ft_build_tensor(x->b, bias, false).data;
    return ft_build_dense(x->b, name, input, ft_tower_path(x, whole, "", path), biased);
}

int ft_tower_norm(struct ft_tower *x, const char *name, int input, const char *block,
                  const char *group)
{
    char whole[PATH], path[PATH];
    snprintf(whole, sizeof whole, "%s%s%s", block, *block ? "/" : "", group);
    return ft_build_norm(x->b, name, input, ft_tower_path(x, whole, "", path), x->epsilon);
}

int ft_tower_one(struct ft_tower *x, enum ft_layer_kind kind, const char *block, const char *suffix,
                 int input)
{
    char name[NAME];
    snprintf(name, sizeof name, "%s_%s", block, suffix);
    return ft_build_layer(x->b, kind, name, &input, 1);
}

int ft_tower_two(struct ft_tower *x, enum ft_layer_kind kind, const char *block, const char *suffix,
                 int first, int second)
{
    char name[NAME];
    snprintf(name, sizeof name, "%s_%s", block, suffix);
    return ft_build_layer(x->b, kind, name, (int[]){ first, second }, 2);
}

static int activation(struct ft_tower *x, const char *block, const char *suffix, int input,
                      enum ft_activation which)
{
    const int at = ft_tower_one(x, FT_LAYER_ACTIVATION, block, suffix, input);
    if (!x->b->rc)
        ft_build_at(x->b, at)->params.activation = which;
    return at;
}

int ft_tower_gelu_approximate(struct ft_tower *x, const char *block, int input)
{
    const double factor = 1.5957691216057308;
    const int square = ft_tower_two(x, FT_LAYER_MULTIPLY, block, "square", input, input),
              cubic = ft_tower_one(x, FT_LAYER_RESCALING, block, "cubic", square);
    float *scale = ft_build_weight(x->b, cubic, FT_W_SCALE, 1, (int64_t[]){ 1 }),
          *offset = ft_build_weight(x->b, cubic, FT_W_OFFSET, 1, (int64_t[]){ 1 });
    if (offset) {
        *scale = (float)(0.044715 * factor);
        *offset = (float)factor;
    }
    const int inner = ft_tower_two(x, FT_LAYER_MULTIPLY, block, "inner", input, cubic),
              gate = activation(x, block, "gate", inner, FT_ACT_SIGMOID);
    return ft_tower_two(x, FT_LAYER_MULTIPLY, block, "gelu", input, gate);
}

/* ---- the two layers after attention ---------------------------------------------------------- */

/* quick_gelu(z) = z sigmoid(1.702 z) = swish(1.702 z) / 1.702: both factors go into the weights. */
int ft_tower_mlp(struct ft_tower *x, const char *name, int input, const char *block,
                 const char *up_group, const char *down_group)
{
    static const struct ft_tensor none;
    const bool quick = !strcmp(x->activation, "quick_gelu"),
               approximate = !strcmp(x->activation, "gelu_approximate");
    const double factor = quick ? 1.702 : 1;
    char of[NAME];
    snprintf(of, sizeof of, "%s_up", name);
    const int up = ft_tower_dense(x, of, input, block, up_group);
    ft_tower_scale(x, up, FT_W_KERNEL, &none, factor);
    ft_tower_scale(x, up, FT_W_BIAS, &none, factor);
    int at = up;
    if (approximate)
        at = ft_tower_gelu_approximate(x, name, up);
    else if (!x->b->rc)
        ft_build_at(x->b, up)->params.activation = quick ? FT_ACT_SWISH : FT_ACT_GELU;
    if (!quick && !approximate && strcmp(x->activation, "gelu"))
        ft_build_fail(x->b, FT_EUNSUPPORTED, "the activation '%.60s' is not supported",
                      x->activation);
    snprintf(of, sizeof of, "%s_down", name);
    at = ft_tower_dense(x, of, at, block, down_group);
    ft_tower_scale(x, at, FT_W_KERNEL, &none, 1 / factor);
    return at;
}

void ft_tower_columns(struct ft_tower *x, int layer, int w, const struct ft_tensor *from,
                      int64_t first, int64_t n)
{
    int64_t shape[2] = { from->rank > 1 ? from->shape[0] : n, n };
    const int64_t columns = from->shape[from->rank - 1], rows = from->rank > 1 ? shape[0] : 1;
    if (x->b->rc)
        return;
    if (from->rank < 1 || from->rank > 2 || first + n > columns) {
        ft_build_fail(x->b, FT_EFORMAT, "the weights of '%s' have an unexpected shape",
                      ft_build_at(x->b, layer)->name);
        return;
    }
    float *to = ft_build_weight(x->b, layer, w, from->rank, shape);
    for (int64_t r = 0; to && r < rows; r++)
        memcpy(to + r * n, from->data + r * columns + first, (size_t)n * sizeof *to);
}

/* SwiGLU: swish(first half) * second half (N. Shazeer, GLU Variants Improve Transformer, 2020). */
int ft_tower_gated_mlp(struct ft_tower *x, const char *name, int input, const char *block,
                       const char *gated, const char *down)
{
    char of[NAME], whole[PATH], path[PATH];
    struct ft_tensor weights[2];
    int half[2];
    for (int w = 0; w < 2; w++) {
        snprintf(whole, sizeof whole, "%s/%s", block, gated);
        weights[w] =
            ft_build_tensor(x->b, ft_tower_path(x, whole, w ? "vars/1" : "vars/0", path), true);
    }
    if (!x->b->rc && (weights[0].rank != 2 || weights[1].rank != 1 ||
                      weights[0].shape[1] != weights[1].shape[0] || weights[1].shape[0] % 2))
        ft_build_fail(x->b, FT_EFORMAT, "the weights '%s' have an unexpected shape", whole);
    for (int i = 0; i < 2; i++) {
        snprintf(of, sizeof of, "%s_%s", name, i ? "up" : "gate");
        half[i] = ft_build_layer(x->b, FT_LAYER_DENSE, of, &input, 1);
        if (x->b->rc)
            return 0;
        const int64_t n = weights[1].shape[0] / 2;
        ft_tower_columns(x, half[i], FT_W_KERNEL, &weights[0], i * n, n);
        ft_tower_columns(x, half[i], FT_W_BIAS, &weights[1], i * n, n);
        ft_build_at(x->b, half[i])->params.units = (int)n;
        ft_build_at(x->b, half[i])->params.activation = i ? FT_ACT_LINEAR : FT_ACT_SWISH;
    }
    const int product = ft_tower_two(x, FT_LAYER_MULTIPLY, name, "product", half[0], half[1]);
    snprintf(of, sizeof of, "%s_down", name);
    return ft_tower_dense(x, of, product, block, down);
}

int ft_tower_gated_pair(struct ft_tower *x, const char *name, int input, const char *block,
                        const char *gate, const char *up, const char *down)
{
    const char *groups[] = { gate, up };
    char of[NAME];
    int half[2];
    const bool swish = !strcmp(x->activation, "silu") || !strcmp(x->activation, "swish");
    if (!swish && strcmp(x->activation, "gelu"))
        ft_build_fail(x->b, FT_EUNSUPPORTED, "the activation '%.60s' is not supported",
                      x->activation);
    for (int i = 0; i < 2; i++) {
        snprintf(of, sizeof of, "%s_%s", name, i ? "up" : "gate");
        half[i] = ft_tower_dense(x, of, input, block, groups[i]);
    }
    if (!x->b->rc)
        ft_build_at(x->b, half[0])->params.activation = swish ? FT_ACT_SWISH : FT_ACT_GELU;
    const int product = ft_tower_two(x, FT_LAYER_MULTIPLY, name, "product", half[0], half[1]);
    snprintf(of, sizeof of, "%s_down", name);
    return ft_tower_dense(x, of, product, block, down);
}
