#include "keras/operation_steps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/numbers.h"

struct ft_layer *ft_step_layer(const struct ft_build *b, int i)
{
    return &b->draft->layers[i].layer;
}

int ft_step_unsupported(const struct ft_build *b, const char *what)
{
    return ft_error_set(b->err, FT_EUNSUPPORTED,
                        "%s is not supported: write it as a layer and save again", what);
}

int ft_step_add(struct ft_build *b, enum ft_layer_kind kind, const int *inputs, int n, int *out)
{
    *out = b->used ? ft_draft_append(b->draft, b->layer, "step", kind, inputs, n)
                   : ft_draft_replace(b->draft, b->layer, kind, inputs, n);
    b->used = true;
    return *out < 0 ? ft_error_nomem(b->err, "layers") : 0;
}

int ft_step_relu(struct ft_build *b, int x, double most, int *out)
{
    const int rc = ft_step_add(b, FT_LAYER_ACTIVATION, &x, 1, out);
    if (!rc) {
        ft_step_layer(b, *out)->params.activation = isinf(most) ? FT_ACT_RELU : FT_ACT_RELU_SHAPED;
        ft_step_layer(b, *out)->params.most = (float)most;
    }
    return rc;
}

/* The number of channels that a constant has values for; 1: it is the same for all. */
static int constant_channels(const struct ft_keras_constant *c)
{
    return c->rank == 1 ? (int)c->shape[0] : c->rank == 3 ? (int)c->shape[2] : 1;
}

/* A tensor of one channel is repeated where a constant has several, as numpy broadcasts it. */
static int broadcast(struct ft_build *b, int x, int channels, int *out)
{
    *out = x;
    if (channels < 2 || ft_draft_channels(b->draft, x) != 1)
        return 0;
    int *from = calloc((size_t)channels, sizeof *from);
    const int rc = from ? ft_step_selection(b, x, from, channels, 1, out)
                        : ft_error_nomem(b->err, "a constant");
    free(from);
    return rc;
}

int ft_step_rescaling(struct ft_build *b, int x, double factor,
                      const struct ft_keras_constant *scale, double sign,
                      const struct ft_keras_constant *offset, int *out)
{
    static const struct ft_keras_constant none = { 0 };
    scale = scale ? scale : &none;
    offset = offset ? offset : &none;
    if (b->squeezed && (scale->count > 1 || offset->count > 1))
        return ft_step_unsupported(b, "a constant for each column");
    const int channels = ft_max(constant_channels(scale), constant_channels(offset));
    int rc = b->squeezed ? 0 : broadcast(b, x, channels, &x);
    if (!rc)
        rc = ft_step_add(b, FT_LAYER_RESCALING, &x, 1, out);
    return rc ? rc
              : ft_constants_apply(&b->draft->layers[*out], factor, scale, sign, offset, b->err);
}

/* A step over channels: out[j] = x[from[j]], as a convolution of one pixel. */
int ft_step_selection(struct ft_build *b, int x, const int *from, int n, int channels, int *out)
{
    bool all = n == channels;
    for (int j = 0; j < n; j++)
        all = all && from[j] == j;
    if (all)
        return ft_step_add(b, FT_LAYER_IDENTITY, &x, 1, out);
    const bool map = ft_draft_rank(b->draft, x) == 3;
    int rc = ft_step_add(b, map ? FT_LAYER_CONV2D : FT_LAYER_DENSE, &x, 1, out);
    if (rc)
        return rc;
    struct ft_draft_layer *layer = &b->draft->layers[*out];
    const size_t count = (size_t)channels * (size_t)n;
    float *kernel = ft_draft_constants(layer, count);
    if (!kernel)
        return ft_error_nomem(b->err, "a constant");
    memset(kernel, 0, count * sizeof *kernel);
    for (int j = 0; j < n; j++)
        kernel[(size_t)from[j] * (size_t)n + (size_t)j] = 1;
    layer->layer.params.filters = layer->layer.params.units = n;
    layer->layer.weights[FT_W_KERNEL] =
        map ? (struct ft_tensor){ 4, { 1, 1, channels, n }, count, kernel }
            : (struct ft_tensor){ 2, { channels, n }, count, kernel };
    return 0;
}

int ft_step_integer(const cJSON *value, int otherwise)
{
    return value && cJSON_IsNumber(value) && fabs(value->valuedouble) < 1 << 20
               ? (int)value->valuedouble
               : otherwise;
}

bool ft_step_last_axis(const struct ft_build *b, const cJSON *axis)
{
    const cJSON *one = cJSON_IsArray(axis) && cJSON_GetArraySize(axis) == 1 ? axis->child : axis;
    const int last = ft_draft_tokens(b->draft, b->x) ? 2 : ft_draft_rank(b->draft, b->x);
    return cJSON_IsNumber(one) && (one->valuedouble == -1 || one->valuedouble == last);
}
