#include "keras/compat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "keras/arguments.h"
#include "keras/draft_edit.h"
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

/* Makes the layer x * scale + offset. */
static bool make_rescaling(struct ft_draft_layer *layer, float scale, float offset)
{
    const struct ft_keras_constant a = { .count = 1, .values = &scale },
                                   b = { .count = 1, .values = &offset };
    layer->class = NULL;
    layer->layer.params.activation = FT_ACT_LINEAR;
    return !ft_constants_apply(layer, 1, &a, 1, &b, NULL);
}

/* clip(x / 6 + 1/2, 0, 1), in Keras 2 clip(x / 5 + 1/2, 0, 1); times x for hard_swish. Layer
 * `scaled` becomes the scaling of x. */
static int append_hard(struct ft_draft *draft, int of, int x, int scaled, bool swish, bool keras3)
{
    if (!make_rescaling(&draft->layers[scaled], keras3 || swish ? 1.0f / 6 : 0.2f, 0.5f))
        return FT_ENOMEM;
    const int clipped = ft_draft_append(draft, of, "clipped", FT_LAYER_ACTIVATION, &scaled, 1);
    if (clipped < 0)
        return FT_ENOMEM;
    struct ft_layer_params *p = &draft->layers[clipped].layer.params;
    p->activation = FT_ACT_RELU_SHAPED;
    p->most = 1;
    return swish
               ? ft_draft_append(draft, of, "product", FT_LAYER_MULTIPLY, (int[]){ x, clipped }, 2)
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
    const int next = ft_draft_append(draft, i, hard(p.activation) ? "scaled" : "activation",
                                     FT_LAYER_ACTIVATION, &i, 1);
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
    const int scaled = ft_draft_append(draft, i, "scaled", FT_LAYER_RESCALING,
                                       &draft->layers[i].layer.inputs[1], 1);
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
            ft_draft_redirect(draft, first, i, last);
        }
    }
    return 0;
}
