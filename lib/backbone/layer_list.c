/* The layers of a backbone, and how the plan computes each. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "backbone/backbone.h"

static void mark_used(const struct ft_network *n, int last, struct ft_layer_info *layers)
{
    for (int i = 0; i < n->n_layers; i++)
        layers[i].place = i == last ? FT_LAYER_FUSED : FT_LAYER_UNUSED;
    for (int i = last; i >= 0; i--) /* inputs come before */
        for (int k = 0; layers[i].place == FT_LAYER_FUSED && k < n->layers[i].n_inputs; k++)
            layers[n->layers[i].inputs[k]].place = FT_LAYER_FUSED;
}

/* Steps run in the order of the layers that they are named after. */
static void mark_steps(const struct ft_backbone *b, struct ft_layer_info *layers)
{
    const int steps = ft_plan_steps(b->plan);
    for (int i = 0, at = 0; i < steps; i++) {
        struct ft_layer_info step;
        ft_plan_step(b->plan, i, &step);
        for (int k = 0; k < b->network->n_layers; k++, at = (at + 1) % b->network->n_layers)
            if (!strcmp(layers[at].name, step.name)) {
                layers[at].place = FT_LAYER_STEP;
                layers[at].kernel = step.kernel;
                break;
            }
    }
}

int ft_backbone_layers(const struct ft_backbone *b, struct ft_layer_info **out, int *n,
                       struct ft_error *err)
{
    const struct ft_shape in = ft_plan_input(b->plan);
    struct ft_layer_info *layers = ft_alloc_zero((size_t)b->network->n_layers, sizeof *layers);
    const int rc = layers ? ft_network_layers(b->network, in.h, in.w, layers, err)
                          : ft_error_nomem(err, "layers");
    if (rc) {
        free(layers);
        return rc;
    }
    mark_used(b->network, b->last, layers);
    mark_steps(b, layers);
    *out = layers;
    *n = b->network->n_layers;
    return 0;
}

int ft_backbone_transformer(const struct ft_backbone *b, struct ft_transformer_info *out,
                            struct ft_error *err)
{
    struct ft_layer_info *layers = NULL;
    struct ft_transformer_info t = { 0 };
    int n = 0;
    const int rc = ft_backbone_layers(b, &layers, &n, err);
    if (rc)
        return rc;
    for (int i = 0; i < n; i++) {
        const struct ft_layer *l = &b->network->layers[i];
        const struct ft_layer_params *p = &l->params;
        if (layers[i].place == FT_LAYER_UNUSED)
            continue;
        if (l->kind == FT_LAYER_ATTENTION && !t.blocks++) {
            t.heads = p->groups;
            t.head_channels = p->units;
            t.tokens = layers[i].height * layers[i].width;
        }
        if (l->kind == FT_LAYER_CONV2D && !t.blocks && !t.patch[0] && p->kernel[0] > 1 &&
            p->kernel[0] == p->stride[0] && p->kernel[1] == p->stride[1]) {
            t.patch[0] = p->kernel[0];
            t.patch[1] = p->kernel[1];
        }
    }
    free(layers);
    *out = t.blocks ? t : (struct ft_transformer_info){ 0 };
    return 0;
}
