#include "keras/draft_edit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Layers looked at for one answer: a graph may have more paths than layers. */
enum { VISITS = 1 << 16 };

static bool taken(const struct ft_draft *draft, const char *name)
{
    for (int i = 0; i < draft->n; i++)
        if (draft->layers[i].layer.name && !strcmp(draft->layers[i].layer.name, name))
            return true;
    return false;
}

int ft_draft_append(struct ft_draft *draft, int of, const char *suffix, enum ft_layer_kind kind,
                    const int *inputs, int n)
{
    struct ft_draft_layer *grown = realloc(draft->layers, ((size_t)draft->n + 2) * sizeof *grown);
    if (!grown)
        return FT_ENOMEM;
    draft->layers = grown;
    struct ft_draft_layer *layer = &draft->layers[draft->n];
    *layer = (struct ft_draft_layer){ .origin = -1, .stands_for = -1 };
    ft_draft_layer_init(layer);
    const size_t size = strlen(draft->layers[of].layer.name) + strlen(suffix) + 16;
    layer->layer.kind = kind;
    layer->layer.n_inputs = n;
    layer->layer.name = malloc(size);
    layer->layer.inputs = malloc((size_t)n * sizeof *inputs);
    draft->n++; /* even half-built: the draft frees it */
    if (!layer->layer.name || !layer->layer.inputs)
        return FT_ENOMEM;
    memcpy(layer->layer.inputs, inputs, (size_t)n * sizeof *inputs);
    char *name = layer->layer.name;
    layer->layer.name = NULL;
    snprintf(name, size, "%s_%s", draft->layers[of].layer.name, suffix);
    for (int i = 2; taken(draft, name); i++)
        snprintf(name, size, "%s_%s_%d", draft->layers[of].layer.name, suffix, i);
    layer->layer.name = name;
    return draft->n - 1;
}

int ft_draft_replace(struct ft_draft *draft, int i, enum ft_layer_kind kind, const int *inputs,
                     int n)
{
    struct ft_layer *layer = &draft->layers[i].layer;
    int *own = malloc((size_t)n * sizeof *own);
    if (!own)
        return FT_ENOMEM;
    memcpy(own, inputs, (size_t)n * sizeof *own);
    free(layer->inputs);
    layer->inputs = own;
    layer->n_inputs = n;
    layer->kind = kind;
    return i;
}

void ft_draft_redirect(struct ft_draft *draft, int n, int from, int to)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < draft->layers[i].layer.n_inputs; k++)
            if (draft->layers[i].layer.inputs[k] == from)
                draft->layers[i].layer.inputs[k] = to;
    if (draft->output == from)
        draft->output = to;
}

/* ---- what a layer gives ---------------------------------------------------------------------- */

/* The first layer, from `layer` back along first inputs, whose rank does not depend on its input;
 * -1 if there is a circle. */
static int origin_of_rank(const struct ft_draft *draft, int layer)
{
    int visits = 0, i = layer;
    while (visits++ < draft->n && draft->layers[i].layer.n_inputs &&
           ft_layer_rank(&draft->layers[i].layer, 1) != ft_layer_rank(&draft->layers[i].layer, 3))
        i = draft->layers[i].layer.inputs[0];
    return visits > draft->n ? -1 : i;
}

int ft_draft_rank(const struct ft_draft *draft, int layer)
{
    const int origin = origin_of_rank(draft, layer);
    return origin < 0 ? 0 : ft_layer_rank(&draft->layers[origin].layer, 1);
}

bool ft_draft_tokens(const struct ft_draft *draft, int layer)
{
    const int origin = origin_of_rank(draft, layer);
    return origin >= 0 && draft->layers[origin].tokens;
}

/* Rows (axis 0) or columns (1) after a layer that has n before it; 0: not known. */
static int length_after(const struct ft_layer *l, int axis, int n)
{
    const struct ft_layer_params *p = &l->params;
    const struct ft_layer_kind_info *info = ft_layer_kind_info(l->kind);
    const int *pad = &p->pad[2 * axis], span = (p->kernel[axis] - 1) * p->dilation[axis] + 1;
    switch (l->kind) {
    case FT_LAYER_CONV2D:
    case FT_LAYER_SEPARABLE_CONV2D:
    case FT_LAYER_DEPTHWISE_CONV2D:
    case FT_LAYER_MAX_POOL:
    case FT_LAYER_AVERAGE_POOL:
        return p->padding == FT_PAD_SAME ? (n - 1) / p->stride[axis] + 1
               : span > n                ? 0
                                         : (n - span) / p->stride[axis] + 1;
    case FT_LAYER_ZERO_PAD:
        return n + pad[0] + pad[1];
    case FT_LAYER_UPSAMPLING:
        return n <= (1 << 24) / p->kernel[axis] ? n * p->kernel[axis] : 0;
    case FT_LAYER_CROPPING:
        return n - pad[0] - pad[1];
    case FT_LAYER_RESCALING:
    case FT_LAYER_MAP_RESCALING:
    case FT_LAYER_ACTIVATION:
    case FT_LAYER_IDENTITY:
    case FT_LAYER_BATCH_NORM:
    case FT_LAYER_LAYER_NORM:
    case FT_LAYER_RMS_NORM:
    case FT_LAYER_GROUP_NORM:
    case FT_LAYER_UNIT_NORM:
    case FT_LAYER_DENSE:
    case FT_LAYER_ATTENTION:
    case FT_LAYER_PRELU:
    case FT_LAYER_CONCATENATE:
        return n;
    default:
        return info->flags & FT_KIND_MERGES ? n : 0;
    }
}

static int channels(const struct ft_draft *draft, int i, int *visits);
static int values(const struct ft_draft *draft, int i, int *visits);

/* Axis `axis` of a RESHAPE, which may be what the others leave (-1). */
static int reshaped(const struct ft_draft *draft, const struct ft_layer *l, int axis, int *visits)
{
    long long others = 1;
    if (l->params.shape[axis] > 0)
        return l->params.shape[axis];
    for (int i = 0; i < l->params.rank; i++)
        if (i != axis && (l->params.shape[i] < 1 || others > 1 << 24))
            return 0;
        else if (i != axis)
            others *= l->params.shape[i];
    return l->n_inputs ? (int)(values(draft, l->inputs[0], visits) / others) : 0;
}

/* Length of an axis of a map: 0 rows, 1 columns, 2 channels. */
static int length(const struct ft_draft *draft, int layer, int axis, int *visits)
{
    const struct ft_layer *l = &draft->layers[layer].layer;
    const int *shape = l->params.shape;
    if (--*visits < 0)
        return 0;
    if (axis == 2)
        return channels(draft, layer, visits);
    if (l->kind == FT_LAYER_RESHAPE)
        return l->params.rank > axis ? reshaped(draft, l, axis, visits) : 0;
    if (l->kind == FT_LAYER_INPUT || l->kind == FT_LAYER_RESIZE)
        return l->params.rank > axis && shape[axis] > 0 ? shape[axis] : 0;
    if (ft_layer_kind_info(l->kind)->flags & FT_KIND_GLOBAL_POOL)
        return 1;
    if (!l->n_inputs)
        return 0;
    if (l->kind == FT_LAYER_PERMUTE)
        return l->params.rank == 3 && shape[axis] >= 1 && shape[axis] <= 3
                   ? length(draft, l->inputs[0], shape[axis] - 1, visits)
                   : 0;
    const int n = length(draft, l->inputs[0], axis, visits),
              after = n > 0 ? length_after(l, axis, n) : 0;
    return after > 0 ? after : 0;
}

static void size_of(const struct ft_draft *draft, int layer, int size[2], int *visits)
{
    for (int axis = 0; axis < 2; axis++)
        size[axis] = length(draft, layer, axis, visits);
}

void ft_draft_size(const struct ft_draft *draft, int layer, int size[2])
{
    int visits = VISITS;
    size_of(draft, layer, size, &visits);
}

/* How many values a layer gives: of a vector, its channels. */
static int values(const struct ft_draft *draft, int i, int *visits)
{
    int size[2] = { 1, 1 };
    if (ft_draft_rank(draft, i) == 3)
        size_of(draft, i, size, visits);
    const double n = (double)size[0] * size[1] * channels(draft, i, visits);
    return n <= 1 << 24 ? (int)n : 0;
}

static int channels(const struct ft_draft *draft, int i, int *visits)
{
    const struct ft_layer *l = &draft->layers[i].layer;
    const struct ft_layer_params *p = &l->params;
    int sum = 0;
    if (--*visits < 0)
        return 0;
    switch (l->kind) {
    case FT_LAYER_RESHAPE:
        return p->rank > 0 ? reshaped(draft, l, p->rank - 1, visits) : 0;
    case FT_LAYER_INPUT:
        return p->rank > 0 && p->shape[p->rank - 1] > 0 ? p->shape[p->rank - 1] : 0;
    case FT_LAYER_CONV2D:
    case FT_LAYER_CONV2D_TRANSPOSE:
    case FT_LAYER_SEPARABLE_CONV2D:
        return p->filters;
    case FT_LAYER_DENSE:
        return p->units;
    case FT_LAYER_PERMUTE:
        return p->rank == 3 && l->n_inputs && p->shape[2] >= 1 && p->shape[2] <= 3
                   ? length(draft, l->inputs[0], p->shape[2] - 1, visits)
                   : 0;
    case FT_LAYER_ATTENTION:
        if (draft->layers[i].channels)
            return draft->layers[i].channels;
        return l->n_inputs ? channels(draft, l->inputs[0], visits) : 0;
    case FT_LAYER_FLATTEN:
        return l->n_inputs ? values(draft, l->inputs[0], visits) : 0;
    case FT_LAYER_DEPTHWISE_CONV2D:
        return l->n_inputs ? p->multiplier * channels(draft, l->inputs[0], visits) : 0;
    case FT_LAYER_CONCATENATE:
        for (int k = 0; k < l->n_inputs; k++) {
            const int c = channels(draft, l->inputs[k], visits);
            if (!c || sum > 1 << 20)
                return 0;
            sum += c;
        }
        return sum;
    default:
        return l->n_inputs ? channels(draft, l->inputs[0], visits) : 0;
    }
}

int ft_draft_channels(const struct ft_draft *draft, int layer)
{
    int visits = VISITS;
    const int c = channels(draft, layer, &visits);
    return visits < 0 ? 0 : c;
}
