#include "keras/draft.h"

#include <stdlib.h>

#include "base/memory.h"

void ft_draft_layer_init(struct ft_draft_layer *layer)
{
    layer->layer.params = (struct ft_layer_params){ FT_LAYER_PARAMS };
    layer->axis = -1;
}

float *ft_draft_constants(struct ft_draft_layer *layer, size_t n)
{
    free(layer->constants);
    layer->constants = ft_alloc(n, sizeof(float));
    return layer->constants;
}

int ft_draft_rescaling(struct ft_draft_layer *layer, float scale, float offset)
{
    float *values = ft_draft_constants(layer, 2);
    if (!values)
        return FT_ENOMEM;
    values[0] = scale;
    values[1] = offset;
    layer->layer.kind = FT_LAYER_RESCALING;
    layer->layer.params.activation = FT_ACT_LINEAR;
    layer->layer.weights[FT_W_SCALE] = (struct ft_tensor){ 1, { 1 }, 1, values };
    layer->layer.weights[FT_W_OFFSET] = (struct ft_tensor){ 1, { 1 }, 1, values + 1 };
    return 0;
}

void ft_draft_layer_release(struct ft_draft_layer *d)
{
    free(d->layer.name);
    free(d->layer.inputs);
    free(d->constants);
    free(d->scope);
    free(d->store);
}

void ft_draft_release(struct ft_draft *draft)
{
    for (int i = 0; i < draft->n; i++)
        ft_draft_layer_release(&draft->layers[i]);
    free(draft->layers);
    free(draft->name);
    free(draft->preprocess);
    ft_names_release(&draft->groups);
    cJSON_Delete(draft->json);
    *draft = (struct ft_draft){ 0 };
}
