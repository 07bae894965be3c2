#include "keras/draft.h"

#include <stdlib.h>

#include "base/memory.h"

void ft_draft_layer_init(struct ft_draft_layer *layer)
{
    layer->layer.params = (struct ft_layer_params){ FT_LAYER_PARAMS };
    layer->axis = -1;
    layer->n_axes = 1;
}

float *ft_draft_constants(struct ft_draft_layer *layer, size_t n)
{
    free(layer->constants);
    layer->constants = ft_alloc(n, sizeof(float));
    return layer->constants;
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
