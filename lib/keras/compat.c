#include "keras/compat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "keras/layer_classes.h"

/* Whether Keras 2 and 3 both accept this activation inside another layer. */
static bool universal(const struct ft_layer_params *p)
{
    switch (p->activation) {
    case FT_ACT_HARD_SIGMOID:
    case FT_ACT_HARD_SWISH:
    case FT_ACT_RELU6:
    case FT_ACT_LEAKY_RELU:
    case FT_ACT_RELU_SHAPED:
        return false;
    case FT_ACT_ELU:
        return p->alpha == 1;
    default:
        return true;
    }
}

static bool hard(enum ft_activation activation)
{
    return activation == FT_ACT_HARD_SIGMOID || activation == FT_ACT_HARD_SWISH;
}

static bool taken(const struct ft_draft *draft, const char *name)
{
    for (int i = 0; i < draft->n; i++)
        if (draft->layers[i].layer.name && !strcmp(draft->layers[i].layer.name, name))
            return true;
    return false;
}

/* Appends a layer called "of_suffix". Returns its index, or FT_ENOMEM. */
static int append(struct ft_draft *draft, int of, const char *suffix, enum ft_layer_kind kind,
                  const int *inputs, int n_inputs)
{
    struct ft_draft_layer *grown = realloc(draft->layers, ((size_t)draft->n + 2) * sizeof *grown);
    if (!grown)
        return FT_ENOMEM;
    draft->layers = grown;
    struct ft_draft_layer *layer = &draft->layers[draft->n];
    *layer = (struct ft_draft_layer){ .axis = -1, .origin = -1, .stands_for = -1 };
    struct ft_layer_params *p = &layer->layer.params;
    p->groups = p->multiplier = 1;
    for (int i = 0; i < 2; i++)
        p->kernel[i] = p->stride[i] = p->dilation[i] = 1;
    const size_t size = strlen(draft->layers[of].layer.name) + strlen(suffix) + 16;
    layer->layer = (struct ft_layer){ .kind = kind, .n_inputs = n_inputs, .params = *p };
    layer->layer.name = malloc(size);
    layer->layer.inputs = malloc((size_t)n_inputs * sizeof *inputs);
    draft->n++; /* before it is complete, so that the draft frees it */
    if (!layer->layer.name || !layer->layer.inputs)
        return FT_ENOMEM;
    memcpy(layer->layer.inputs, inputs, (size_t)n_inputs * sizeof *inputs);
    char *name = layer->layer.name;
    layer->layer.name = NULL;
    snprintf(name, size, "%s_%s", draft->layers[of].layer.name, suffix);
    for (int i = 2; taken(draft, name); i++)
        snprintf(name, size, "%s_%s_%d", draft->layers[of].layer.name, suffix, i);
    layer->layer.name = name;
    return draft->n - 1;
}

/* Makes the layer x * scale + offset. */
static bool make_rescaling(struct ft_draft_layer *layer, float scale, float offset)
{
    layer->class = NULL;
    return !ft_draft_rescaling(layer, scale, offset);
}

/* Layers 0..n-1 and the output use `to` instead of `from`. */
static void redirect(struct ft_draft *draft, int n, int from, int to)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < draft->layers[i].layer.n_inputs; k++)
            if (draft->layers[i].layer.inputs[k] == from)
                draft->layers[i].layer.inputs[k] = to;
    if (draft->output == from)
        draft->output = to;
}

/* clip(x / 6 + 1/2, 0, 1), in Keras 2 clip(x / 5 + 1/2, 0, 1); times x for hard_swish. Layer
 * `scaled` becomes the scaling of x. */
static int append_hard(struct ft_draft *draft, int of, int x, int scaled, bool swish, bool keras3)
{
    if (!make_rescaling(&draft->layers[scaled], keras3 || swish ? 1.0f / 6 : 0.2f, 0.5f))
        return FT_ENOMEM;
    const int clipped = append(draft, of, "clipped", FT_LAYER_ACTIVATION, &scaled, 1);
    if (clipped < 0)
        return FT_ENOMEM;
    struct ft_layer_params *p = &draft->layers[clipped].layer.params;
    p->activation = FT_ACT_RELU_SHAPED;
    p->most = 1;
    return swish ? append(draft, of, "product", FT_LAYER_MULTIPLY, (int[]){ x, clipped }, 2)
                 : clipped;
}

/* Moves the activation of layer i to layers of its own, or replaces layer i if it is nothing but
 * the activation. Returns the index of the last new layer, or FT_ENOMEM. */
static int split_activation(struct ft_draft *draft, int i, bool keras3)
{
    const struct ft_layer_params p = draft->layers[i].layer.params;
    const bool alone = draft->layers[i].layer.kind == FT_LAYER_ACTIVATION,
               swish = p.activation == FT_ACT_HARD_SWISH;
    if (alone)
        return append_hard(draft, i, draft->layers[i].layer.inputs[0], i, swish, keras3);
    draft->layers[i].layer.params.activation = FT_ACT_LINEAR;
    const int next =
        append(draft, i, hard(p.activation) ? "scaled" : "activation", FT_LAYER_ACTIVATION, &i, 1);
    if (next < 0 || hard(p.activation))
        return next < 0 ? next : append_hard(draft, i, i, next, swish, keras3);
    struct ft_layer_params *to = &draft->layers[next].layer.params;
    to->activation = p.activation;
    to->alpha = p.alpha;
    to->most = p.most;
    to->threshold = p.threshold;
    return next;
}

/* x0 + x1 * scale */
static int split_scaled_sum(struct ft_draft *draft, int i, struct ft_error *err)
{
    if (draft->layers[i].layer.n_inputs != 2)
        return ft_error_set(err, FT_EFORMAT, "layer '%s': a scaled sum needs two inputs",
                            draft->layers[i].layer.name);
    const int scaled =
        append(draft, i, "scaled", FT_LAYER_RESCALING, &draft->layers[i].layer.inputs[1], 1);
    if (scaled < 0 ||
        !make_rescaling(&draft->layers[scaled], draft->layers[i].layer.params.alpha, 0))
        return ft_error_nomem(err, "layers");
    draft->layers[i].layer.inputs[1] = scaled;
    return 0;
}

/* Keras 3 gives an input a batch_shape, Keras 2 a batch_input_shape. */
static bool from_keras3(const struct ft_draft *draft)
{
    for (int i = 0; i < draft->n; i++)
        if (draft->layers[i].layer.kind == FT_LAYER_INPUT &&
            cJSON_GetObjectItemCaseSensitive(draft->layers[i].config, "batch_shape"))
            return true;
    return false;
}

int ft_draft_make_compatible(struct ft_draft *draft, struct ft_error *err)
{
    const int n = draft->n;
    const bool keras3 = from_keras3(draft);
    for (int i = 0; i < n; i++) {
        const struct ft_draft_layer *d = &draft->layers[i];
        const bool alone = d->layer.kind == FT_LAYER_ACTIVATION;
        if (d->class && d->class->scaled_sum) {
            const int rc = split_scaled_sum(draft, i, err);
            if (rc)
                return rc;
        } else if (alone ? hard(d->layer.params.activation) : !universal(&d->layer.params)) {
            const int first = draft->n, last = split_activation(draft, i, keras3);
            if (last < 0)
                return ft_error_nomem(err, "layers");
            redirect(draft, first, i, last);
        }
    }
    return 0;
}
