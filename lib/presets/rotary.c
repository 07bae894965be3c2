#include "presets/rotary.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PATH = FT_TOWER_PATH, NAME = FT_TOWER_NAME };

/* A constant map: the input times 0, plus values [1, tokens, channels], which are returned. */
static float *constant_map(struct ft_tower *x, const char *name, int input, int64_t tokens,
                           int64_t channels, int *layer)
{
    *layer = ft_build_layer(x->b, FT_LAYER_MAP_RESCALING, name, &input, 1);
    float *zero = ft_build_weight(x->b, *layer, FT_W_SCALE, 1, (int64_t[]){ 1 }),
          *to = ft_build_weight(x->b, *layer, FT_W_OFFSET, 3, (int64_t[]){ 1, tokens, channels });
    if (zero)
        *zero = 0;
    return zero ? to : NULL;
}

void ft_rotary_init(struct ft_rotary *r, struct ft_tower *x, int input, int front, int rows,
                    int columns, double theta)
{
    const int64_t c = r->channels, tokens = front + (int64_t)rows * columns;
    const int each = r->channels / r->heads, quarter = each / 4;
    if (x->b->rc || each % 4 || r->channels % r->heads) {
        ft_build_fail(x->b, FT_EUNSUPPORTED,
                      "rotary positions need heads of 4, 8, 12, ... channels");
        return;
    }
    float *cosines = constant_map(x, "cosines", input, tokens, c, &r->cos),
          *sines = constant_map(x, "sines", input, tokens, c, &r->sin);
    float *one = ft_storage_alloc(&x->b->network->storage, (size_t)(c * c));
    if (!cosines || !sines || !one) {
        ft_build_fail(x->b, FT_ENOMEM, "out of memory for the positions");
        return;
    }
    for (int64_t t = 0; t < tokens; t++)
        for (int64_t i = 0; i < c; i++) {
            const int64_t patch = t - front, k = i % each % (each / 2);
            const bool row = k < quarter;
            const int64_t place = row ? patch / columns : patch % columns;
            const double angle = 2 * M_PI * ((2 * (double)place + 1) / (row ? rows : columns) - 1) /
                                 pow(theta, 4 * (double)(k % quarter) / each);
            cosines[t * c + i] = patch < 0 ? 1 : (float)cos(angle);
            sines[t * c + i] = patch < 0 ? 0 : (float)sin(angle);
        }
    for (int64_t i = 0; i < c * c; i++)
        one[i] = i % (c + 1) ? 0 : 1;
    r->identity = (struct ft_tensor){
        .rank = 3, .shape = { c, r->heads, each }, .count = (size_t)(c * c), .data = one
    };
}

/* Replaces a weight [rows, channels] or [channels] by that whose product is turned. */
static void turn(const struct ft_rotary *r, struct ft_tower *x, int layer, int w)
{
    if (x->b->rc || !ft_build_at(x->b, layer)->weights[w].data)
        return;
    const struct ft_tensor from = ft_build_at(x->b, layer)->weights[w];
    const size_t c = (size_t)r->channels, each = c / (size_t)r->heads, half = each / 2;
    if ((size_t)from.shape[from.rank - 1] != c) {
        ft_build_fail(x->b, FT_EFORMAT, "an attention has %lld channels instead of %zu",
                      (long long)from.shape[from.rank - 1], c);
        return;
    }
    float *to = ft_build_weight(x->b, layer, w, from.rank, from.shape);
    for (size_t i = 0; to && i < from.count; i++)
        to[i] = i % each < half ? -from.data[i + half] : from.data[i - half];
}

/* Queries or keys with their positions. */
static int rotated(const struct ft_rotary *r, struct ft_tower *x, const char *name,
                   const char *part, int input, const char *group)
{
    char of[NAME], dense[NAME];
    int side[2];
    snprintf(dense, sizeof dense, "%s_dense", part);
    for (int i = 0; i < 2; i++) {
        snprintf(of, sizeof of, "%s_%s%s", name, part, i ? "_turned" : "");
        side[i] = ft_tower_dense(x, of, input, group, dense);
        if (i) {
            turn(r, x, side[i], FT_W_KERNEL);
            turn(r, x, side[i], FT_W_BIAS);
        }
        snprintf(of, sizeof of, "%s_%s", part, i ? "sin" : "cos");
        side[i] = ft_tower_two(x, FT_LAYER_MULTIPLY, name, of, side[i], i ? r->sin : r->cos);
    }
    snprintf(of, sizeof of, "%s_rotated", part);
    return ft_tower_two(x, FT_LAYER_ADD, name, of, side[0], side[1]);
}

/* A Dense of the file as projection `w` of the attention: its kernel gets the axes of the heads. */
static void take_projection(const struct ft_rotary *r, struct ft_tower *x, int layer, int w,
                            const char *group, const char *part)
{
    const int64_t c = r->channels, each = c / r->heads;
    char rest[NAME], path[PATH];
    struct ft_tensor t[2];
    for (int i = 0; i < 2; i++) {
        snprintf(rest, sizeof rest, "%s/vars/%d", part, i);
        t[i] = ft_build_tensor(x->b, ft_tower_path(x, group, rest, path), !i);
    }
    if (x->b->rc)
        return;
    if (t[0].rank != 2 || t[0].shape[0] != c || t[0].shape[1] != c ||
        (t[1].data && t[1].count != (size_t)c)) {
        ft_build_fail(x->b, FT_EFORMAT, "'%s' has an unexpected shape", path);
        return;
    }
    const bool output = w == FT_W_OUTPUT;
    t[0].rank = 3;
    t[0].shape[0] = output ? r->heads : c;
    t[0].shape[1] = output ? each : r->heads;
    t[0].shape[2] = output ? c : each;
    ft_build_at(x->b, layer)->weights[w] = t[0];
    if (t[1].data && !output) {
        t[1].rank = 2;
        t[1].shape[0] = r->heads;
        t[1].shape[1] = each;
    }
    ft_build_at(x->b, layer)->weights[w + 1] = t[1];
}

/* Keras has biases for all four projections or for none. */
static void complete_biases(const struct ft_rotary *r, struct ft_tower *x, int layer)
{
    bool any = false;
    for (int w = FT_W_QUERY; !x->b->rc && w <= FT_W_OUTPUT; w += FT_W_KEY)
        any = any || ft_build_at(x->b, layer)->weights[w + 1].data;
    for (int w = FT_W_QUERY; any && w <= FT_W_OUTPUT; w += FT_W_KEY) {
        if (ft_build_at(x->b, layer)->weights[w + 1].data)
            continue;
        const int64_t shape[] = { r->heads, r->channels / r->heads }, all = r->channels;
        float *to = ft_build_weight(x->b, layer, w + 1, w == FT_W_OUTPUT ? 1 : 2,
                                    w == FT_W_OUTPUT ? &all : shape);
        if (to)
            memset(to, 0, (size_t)all * sizeof *to);
    }
}

int ft_rotary_attention(const struct ft_rotary *r, struct ft_tower *x, const char *name, int input,
                        const char *group)
{
    const int query = rotated(r, x, name, "query", input, group),
              key = rotated(r, x, name, "key", input, group),
              at = ft_build_layer(x->b, FT_LAYER_ATTENTION, name, (int[]){ query, input, key }, 3);
    if (x->b->rc)
        return 0;
    struct ft_layer *layer = ft_build_at(x->b, at);
    layer->weights[FT_W_QUERY] = layer->weights[FT_W_KEY] = r->identity;
    layer->params.groups = r->heads;
    layer->params.units = layer->params.filters = r->channels / r->heads;
    take_projection(r, x, at, FT_W_VALUE, group, "value_dense");
    take_projection(r, x, at, FT_W_OUTPUT, group, "output_dense");
    complete_biases(r, x, at);
    return at;
}
