/* A vision transformer from its family's row (families.c) and its settings.
 *
 * Tokens are the pixels of a map [1, t, c]. The tokens in front of the patches (class, registers)
 * are made by padding on the left; their values are added together with the positions. Factors that
 * follow a product (layer scale) are multiplied into its weights.
 */
#include "presets/transformers.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "keras/fields.h"
#include "presets/families.h"
#include "presets/positions.h"
#include "presets/rotary.h"
#include "presets/transformer_parts.h"

enum { PATH = FT_TOWER_PATH, NAME = FT_TOWER_NAME, MOST_BLOCKS = 1000 };

/* A transformer that is being built. */
struct build {
    struct ft_builder *b;
    struct ft_tower tower;
    const struct ft_family *family;
    const cJSON *config;
    int blocks, patch[2];
    int from[2], height, width; /* rows and columns of the input: in the settings, and as wanted */
    int tokens;                 /* in front of the patches */
    struct ft_rotary rotary;
};

/* The layers after attention: plain, or with a gate if the settings say so. */
static int mlp(struct build *x, const char *name, int input, const char *group)
{
    const struct ft_family *f = x->family;
    const char *setting = f->gated ? "use_swiglu_ffn" : "use_gated_mlp";
    bool gated = false;
    if ((f->gated || f->gate) && ft_field_bool(x->config, setting, &gated, x->b->err))
        ft_build_fail(x->b, FT_EFORMAT, "'%s' has an unexpected value", setting);
    if (!gated)
        return ft_tower_mlp(&x->tower, name, input, group, f->up, f->down);
    return f->gate ? ft_tower_gated_pair(&x->tower, name, input, group, f->gate, f->up, f->down)
                   : ft_tower_gated_mlp(&x->tower, name, input, group, f->gated, f->gated_down);
}

static int block(struct build *x, int i, int input)
{
    const struct ft_family *f = x->family;
    char group[PATH], name[NAME], of[NAME], path[PATH];
    snprintf(group, sizeof group, i ? "%s_%d" : "%s", f->block, i);
    snprintf(name, sizeof name, "block_%d", i + 1);
    snprintf(of, sizeof of, "%s_norm_1", name);
    const int normed = ft_tower_norm(&x->tower, of, input, group, f->norm1);
    const struct ft_tensor scale1 = ft_tower_layer_scale(&x->tower, group, f->scale1),
                           scale2 = ft_tower_layer_scale(&x->tower, group, f->scale2);
    snprintf(of, sizeof of, "%s_attention", name);
    snprintf(path, sizeof path, "%s/%s", group, f->attention);
    const int attended = f->rotary ? ft_rotary_attention(&x->rotary, &x->tower, of, normed, path)
                                   : ft_tower_attention(&x->tower, of, &normed, 1, path);
    ft_tower_scale(&x->tower, attended, FT_W_OUTPUT, &scale1, 1);
    ft_tower_scale(&x->tower, attended, FT_W_OUTPUT_BIAS, &scale1, 1);
    const int sum = ft_tower_two(&x->tower, FT_LAYER_ADD, name, "sum_1", input, attended);
    snprintf(of, sizeof of, "%s_norm_2", name);
    const int again = ft_tower_norm(&x->tower, of, sum, group, f->norm2);
    const int down = mlp(x, name, again, group);
    ft_tower_scale(&x->tower, down, FT_W_KERNEL, &scale2, 1);
    ft_tower_scale(&x->tower, down, FT_W_BIAS, &scale2, 1);
    return ft_tower_two(&x->tower, FT_LAYER_ADD, name, "sum_2", sum, down);
}

/* ---- input and output ------------------------------------------------------------------------ */

/* What is added to the tokens in front of the patches, and to the patches. */
struct embedding {
    struct ft_tensor tokens[2], positions;
    int positioned; /* tokens in front that have a position; the others come after them */
};

/* Positions of another input size: [front + rows * columns, c] become those of the wanted size;
 * those in front stay. DINOv2 says for which size they are (position_embedding_shape). keras_hub
 * has no rule for the other families: theirs are interpolated in the same way. */
static void interpolate(struct build *x, struct ft_tensor *positions, size_t front)
{
    const cJSON *shape = ft_field(x->config, "position_embedding_shape");
    const int to[2] = { x->height / x->patch[0], x->width / x->patch[1] };
    int from[2];
    for (int i = 0; i < 2; i++) {
        const cJSON *n = cJSON_GetArrayItem(shape, i);
        from[i] = cJSON_IsNumber(n) && n->valuedouble >= 1 && n->valuedouble <= 1 << 14
                      ? (int)n->valuedouble / x->patch[i]
                      : x->from[i] / x->patch[i];
    }
    if (x->b->rc || (from[0] == to[0] && from[1] == to[1]))
        return;
    const size_t rows = (size_t)from[0] * (size_t)from[1] + front,
                 n = (size_t)to[0] * (size_t)to[1] + front, c = positions->count / rows;
    if (!c || positions->count != rows * c || !n) {
        ft_build_fail(
            x->b, FT_EFORMAT,
            "the position embedding has %zu values, but the input size in 'config.json' needs "
            "%zu tokens",
            positions->count, rows);
        return;
    }
    float *values = ft_storage_alloc(&x->b->network->storage, n * c);
    if (!values) {
        x->b->rc = ft_error_nomem(x->b->err, "weights");
        return;
    }
    memcpy(values, positions->data, front * c * sizeof *values);
    ft_resize_positions(positions->data + front * c, from, values + front * c, to, (int)c);
    positions->data = values;
    positions->count = n * c;
}

static struct embedding read_embedding(struct build *x, int64_t c)
{
    const struct ft_family *f = x->family;
    struct embedding e = { .positioned = 2 };
    char path[PATH], rest[NAME];
    if (!f->variables) {
        for (int i = 0; i < 2; i++)
            if (f->tokens[i])
                e.tokens[i] =
                    ft_build_tensor(x->b, ft_tower_path(&x->tower, f->tokens[i], "", path), true);
        e.positions = ft_build_tensor(x->b, ft_tower_path(&x->tower, f->positions, "", path), true);
        interpolate(x, &e.positions, (e.tokens[0].count + e.tokens[1].count) / (size_t)c);
        return e;
    }
    int at = 0, registers = 0;
    bool masked = true;
    if (ft_field_bool(x->config, "use_mask_token", &masked, x->b->err) ||
        ft_field_int(x->config, "num_register_tokens", 0, &registers, x->b->err))
        ft_build_fail(x->b, FT_EFORMAT, "the number of tokens has an unexpected value");
    e.positioned = 1;
    e.tokens[0] =
        ft_build_tensor(x->b, ft_tower_path(&x->tower, f->variables, "vars/0", path), true);
    at = masked ? 2 : 1;
    if (registers) {
        snprintf(rest, sizeof rest, "vars/%d", at++);
        e.tokens[1] =
            ft_build_tensor(x->b, ft_tower_path(&x->tower, f->variables, rest, path), true);
    }
    if (f->rotary)
        return e;
    /* After them are the positions for this input, which Keras computes again, and the original. */
    snprintf(rest, sizeof rest, "vars/%d", at + 1);
    e.positions = ft_build_tensor(x->b, ft_tower_path(&x->tower, f->variables, rest, path), true);
    interpolate(x, &e.positions, 1);
    return e;
}

/* [patches, c] to [1, tokens + patches, c], with tokens and positions. */
static int embed(struct build *x, int input, int64_t c)
{
    const struct embedding e = read_embedding(x, c);
    const int64_t patches = (int64_t)(x->height / x->patch[0]) * (x->width / x->patch[1]);
    int64_t front = 0, positioned = 0;
    for (int i = 0; i < 2; i++) {
        front += (int64_t)e.tokens[i].count / c;
        positioned += i < e.positioned ? (int64_t)e.tokens[i].count / c : 0;
    }
    const bool added = !x->family->rotary;
    if (!x->b->rc && added && (int64_t)e.positions.count != (positioned + patches) * c)
        ft_build_fail(x->b, FT_EUNSUPPORTED,
                      "the position embedding has %zu values, but an input of %d x %d needs %zu",
                      e.positions.count, x->height, x->width,
                      (size_t)(positioned + patches) * (size_t)c);
    x->tokens = (int)front;
    if (front) {
        input = ft_build_layer(x->b, FT_LAYER_ZERO_PAD, "tokens", &input, 1);
        if (!x->b->rc)
            ft_build_at(x->b, input)->params.pad[2] = (int)front;
    }
    const int at = ft_build_layer(x->b, FT_LAYER_MAP_RESCALING, "positions", &input, 1);
    float *to = ft_build_weight(x->b, at, FT_W_OFFSET, 3, (int64_t[]){ 1, front + patches, c }),
          *one = ft_build_weight(x->b, at, FT_W_SCALE, 1, (int64_t[]){ 1 });
    if (!to || !one)
        return 0;
    *one = 1;
    size_t n = 0;
    for (int i = 0; i < 2; i++)
        if (e.tokens[i].data) {
            memcpy(to + n, e.tokens[i].data, e.tokens[i].count * sizeof *to);
            n += e.tokens[i].count;
        }
    if (!added) {
        memset(to + n, 0, (size_t)(patches * c) * sizeof *to);
        return at;
    }
    for (int64_t i = 0; i < positioned * c; i++)
        to[i] += e.positions.data[i];
    memcpy(to + n, e.positions.data + positioned * c, (size_t)(patches * c) * sizeof *to);
    return at;
}

static int patches(struct build *x, int input)
{
    char path[PATH];
    const int at = ft_build_layer(x->b, FT_LAYER_CONV2D, "patches", &input, 1);
    ft_build_read(x->b, at, FT_W_KERNEL,
                  ft_tower_path(&x->tower, x->family->patches, "vars/0", path));
    const struct ft_tensor bias =
        ft_build_tensor(x->b, ft_tower_path(&x->tower, x->family->patches, "vars/1", path), false);
    if (x->b->rc)
        return 0;
    struct ft_layer *layer = ft_build_at(x->b, at);
    const struct ft_tensor *kernel = &layer->weights[FT_W_KERNEL];
    if (kernel->rank != 4) {
        ft_build_fail(x->b, FT_EFORMAT, "the kernel of the patches has %d axes", kernel->rank);
        return 0;
    }
    layer->weights[FT_W_BIAS] = bias;
    layer->params.filters = (int)kernel->shape[3];
    for (int i = 0; i < 2; i++)
        x->patch[i] = layer->params.kernel[i] = layer->params.stride[i] = (int)kernel->shape[i];
    const int64_t c = kernel->shape[3];
    const int n = (x->height / x->patch[0]) * (x->width / x->patch[1]);
    const int flat = ft_build_layer(x->b, FT_LAYER_RESHAPE, "tokens_of_patches", &at, 1);
    if (x->b->rc)
        return 0;
    struct ft_layer_params *p = &ft_build_at(x->b, flat)->params;
    p->rank = 3;
    p->shape[0] = 1;
    p->shape[1] = n;
    p->shape[2] = (int)c;
    return embed(x, flat, c);
}

/* Tokens first .. first + n - 1. */
static int take_tokens(struct build *x, const char *name, int input, int first, int n, int all)
{
    const int at = ft_build_layer(x->b, FT_LAYER_CROPPING, name, &input, 1);
    if (x->b->rc)
        return 0;
    int *pad = ft_build_at(x->b, at)->params.pad;
    pad[2] = first;
    pad[3] = all - first - n;
    return at;
}

/* A learned query attends over all tokens; then norm, two dense layers and a sum. */
static int pool(struct build *x, int input, int all)
{
    const char *group = x->family->pool;
    char path[PATH];
    const struct ft_tensor probe =
        ft_build_tensor(x->b, ft_tower_path(&x->tower, group, "vars/0", path), true);
    const int first = take_tokens(x, "pool_slot", input, 0, 1, all),
              query = ft_build_layer(x->b, FT_LAYER_RESCALING, "pool_query", &first, 1);
    const int64_t c = (int64_t)probe.count;
    float *scale = c ? ft_build_weight(x->b, query, FT_W_SCALE, 1, &c) : NULL,
          *offset = c ? ft_build_weight(x->b, query, FT_W_OFFSET, 1, &c) : NULL;
    if (!scale || !offset)
        return 0;
    memset(scale, 0, (size_t)c * sizeof *scale);
    memcpy(offset, probe.data, (size_t)c * sizeof *offset);
    snprintf(path, sizeof path, "%s/attention", group);
    const int attended =
                  ft_tower_attention(&x->tower, "pool_attention", (int[]){ query, input }, 2, path),
              normed = ft_tower_norm(&x->tower, "pool_norm", attended, group, "layer_norm"),
              down = ft_tower_mlp(&x->tower, "pool", normed, group, "mlp/fc1", "mlp/fc2");
    return ft_tower_two(&x->tower, FT_LAYER_ADD, "pool", "sum", attended, down);
}

static int vector(struct build *x, const char *name, int input)
{
    return ft_build_layer(x->b, FT_LAYER_FLATTEN, name, &input, 1);
}

static int output(struct build *x, int input)
{
    if (x->b->rc)
        return 0;
    const int n = (x->height / x->patch[0]) * (x->width / x->patch[1]), all = x->tokens + n;
    if (x->family->features == FT_POOLED)
        return vector(x, "features", pool(x, input, all));
    const int class = vector(x, "class_token", take_tokens(x, "class_slot", input, 0, 1, all));
    if (x->family->features == FT_CLASS_TOKEN)
        return class;
    const int rest = take_tokens(x, "patch_tokens", input, x->tokens, n, all),
              mean = ft_build_layer(x->b, FT_LAYER_GLOBAL_AVERAGE_POOL, "mean_token", &rest, 1);
    return ft_build_layer(x->b, FT_LAYER_CONCATENATE, "features", (int[]){ class, mean }, 2);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int read_settings(struct build *x, int wanted)
{
    const cJSON *shape = ft_field(x->config, "image_shape"),
                *activation = ft_field(x->config, "intermediate_activation");
    if (!activation)
        activation = ft_field(x->config, "hidden_activation");
    struct ft_error *err = x->b->err;
    x->tower.epsilon = x->family->epsilon;
    x->tower.activation = activation ? cJSON_GetStringValue(activation) : "gelu";
    int size[2] = { 0 }, rc = ft_field_int(x->config, "num_layers", 1, &x->blocks, err);
    rc = rc ? rc : ft_field_number(x->config, "layer_norm_epsilon", &x->tower.epsilon, err);
    rc = rc ? rc : ft_field_number(x->config, "layer_norm_eps", &x->tower.epsilon, err);
    for (int i = 0; i < 2; i++) {
        const cJSON *n = cJSON_GetArrayItem(shape, i);
        size[i] = cJSON_IsNumber(n) && n->valuedouble >= 1 && n->valuedouble <= 1 << 14
                      ? (int)n->valuedouble
                      : 0;
    }
    if (!rc &&
        (!size[0] || !size[1] || !x->tower.activation || x->blocks < 1 || x->blocks > MOST_BLOCKS))
        rc = ft_error_set(err, FT_EFORMAT,
                          "'config.json' has no valid 'image_shape', 'num_layers' or activation");
    for (int i = 0; i < 2; i++)
        x->from[i] = size[i];
    x->height = wanted ? wanted : size[0];
    x->width = wanted ? wanted : size[1];
    x->b->rc = x->b->rc ? x->b->rc : rc;
    return x->b->rc;
}

/* Rotary positions for the tokens `input`. */
static void rotary(struct build *x, int input)
{
    double theta = 100;
    int channels = 0;
    struct ft_error *err = x->b->err;
    if (x->b->rc)
        return;
    x->b->rc = ft_field_int(x->config, "num_heads", 0, &x->rotary.heads, err);
    if (!x->b->rc)
        x->b->rc = ft_field_int(x->config, "hidden_dim", 0, &channels, err);
    if (!x->b->rc)
        x->b->rc = ft_field_number(x->config, "rope_theta", &theta, err);
    if (!x->b->rc && (x->rotary.heads < 1 || channels < 1 || channels > 1 << 13 || !(theta > 0)))
        ft_build_fail(x->b, FT_EFORMAT,
                      "'config.json' has no valid 'num_heads', 'hidden_dim' or 'rope_theta'");
    x->rotary.channels = channels;
    if (x->b->rc)
        return;
    ft_rotary_init(&x->rotary, &x->tower, input, x->tokens, x->height / x->patch[0],
                   x->width / x->patch[1], theta);
}

bool ft_transformer_find(const char *class)
{
    return ft_family_find(class, false) || ft_family_find(class, true);
}

const cJSON *ft_transformer_settings(const cJSON *json)
{
    const char *class = cJSON_GetStringValue(ft_field(json, "class_name"));
    const cJSON *config = ft_field(json, "config");
    return class && ft_family_find(class, true)
               ? ft_field(ft_field(config, "vision_encoder"), "config")
               : config;
}

int ft_transformer_build(struct ft_builder *b, const cJSON *json, int size, int input)
{
    const char *class = cJSON_GetStringValue(ft_field(json, "class_name"));
    const bool joint = ft_family_find(class, true);
    struct build x = { .b = b,
                       .family = ft_family_find(class, joint),
                       .config = ft_transformer_settings(json),
                       .tower = { .b = b,
                                  .root = joint ? ft_family_find(class, true)->tower : "" } };
    if (read_settings(&x, size))
        return 0;
    int at = patches(&x, input);
    if (x.family->norm_before)
        at = ft_tower_norm(&x.tower, "norm_before", at, "", x.family->norm_before);
    if (x.family->rotary)
        rotary(&x, at);
    for (int i = 0; i < x.blocks && !b->rc; i++)
        at = block(&x, i, at);
    if (joint && x.family->norm_joint)
        x.tower.root = "";
    const char *norm = joint && x.family->norm_joint ? x.family->norm_joint : x.family->norm_after;
    if (norm)
        at = ft_tower_norm(&x.tower, "norm_after", at, "", norm);
    return output(&x, at);
}
