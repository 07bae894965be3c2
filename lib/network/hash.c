#include "network/hash.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/error.h"
#include "network/kinds.h"

static void add(XXH3_state_t *state, const void *data, size_t size)
{
    XXH3_128bits_update(state, data, size);
}

/* Names are hashed instead of the values of enumerations, because these change when a kind is
 * inserted. */
static void add_name(XXH3_state_t *state, const char *name)
{
    add(state, name, strlen(name) + 1);
}

static void add_float(XXH3_state_t *state, float value)
{
    value += 0.0f; /* -0 becomes 0 */
    add(state, &value, sizeof value);
}

static void add_activation(XXH3_state_t *state, const struct ft_layer_params *p)
{
    const bool shaped = p->activation == FT_ACT_RELU_SHAPED;
    add_name(state, ft_activation_name(p->activation));
    if (shaped || p->activation == FT_ACT_LEAKY_RELU || p->activation == FT_ACT_ELU ||
        p->activation == FT_ACT_POWER)
        add_float(state, p->alpha);
    if (shaped) {
        add_float(state, p->most);
        add_float(state, p->threshold);
    }
}

/* Only parameters that have a meaning for this kind of layer are hashed. Readers leave different
 * values in the others. */
static void add_params(XXH3_state_t *state, const struct ft_layer_params *p, unsigned used)
{
    const struct {
        unsigned param;
        const int *values;
        size_t n;
    } numbers[] = {
        { FT_PARAM_FILTERS, &p->filters, 1 },
        { FT_PARAM_UNITS, &p->units, 1 },
        { FT_PARAM_GROUPS, &p->groups, 1 },
        { FT_PARAM_MULTIPLIER, &p->multiplier, 1 },
        { FT_PARAM_KERNEL, p->kernel, 2 },
        { FT_PARAM_STRIDE, p->stride, 2 },
        { FT_PARAM_DILATION, p->dilation, 2 },
        { FT_PARAM_PAD, p->pad, 4 },
        { FT_PARAM_SHAPE, p->shape, (size_t)p->rank },
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (used & numbers[i].param) {
            add(state, &numbers[i].n, sizeof numbers[i].n);
            add(state, numbers[i].values, numbers[i].n * sizeof(int));
        }
    if (used & FT_PARAM_PADDING)
        add_name(state, p->padding == FT_PAD_SAME ? "same" : "valid");
    if (used & FT_PARAM_ACTIVATION)
        add_activation(state, p);
    if (used & FT_PARAM_EPSILON)
        add_float(state, p->epsilon);
    if (used & FT_PARAM_BILINEAR)
        add_name(state, p->bilinear ? "bilinear" : "nearest");
    if (used & FT_PARAM_CROP)
        add(state, &p->crop, sizeof p->crop);
    if (used & FT_PARAM_WINDOWS && p->windows)
        add_name(state, "windows");
    if (used & FT_PARAM_KEEP_DIMS)
        add_name(state, p->keep_dims ? "map" : "vector");
}

/* place: the position of each layer in the order of hashing. */
static void add_layer(XXH3_state_t *state, const struct ft_layer *layer, const int *place)
{
    static const struct ft_layer_params linear = { .activation = FT_ACT_LINEAR };
    const bool nothing = layer->kind == FT_LAYER_IDENTITY;
    const enum ft_layer_kind kind = nothing ? FT_LAYER_ACTIVATION : layer->kind;
    add_name(state, ft_layer_kind_name(kind));
    add_params(state, nothing ? &linear : &layer->params, ft_layer_kind_info(kind)->params);
    add(state, &layer->n_inputs, sizeof layer->n_inputs);
    for (int i = 0; i < layer->n_inputs; i++)
        add(state, &place[layer->inputs[i]], sizeof *place);
    for (int w = 0; w < FT_MAX_WEIGHTS; w++) {
        const struct ft_tensor *t = &layer->weights[w];
        if (w >= FT_W_SCORE_SCALE && !t->data) /* added later: the hashes of before stay */
            continue;
        add(state, &t->rank, sizeof t->rank);
        add(state, t->shape, (size_t)t->rank * sizeof *t->shape);
        if (t->data)
            add(state, t->data, t->count * sizeof *t->data);
    }
}

int ft_network_hash(const struct ft_network *network, int last, uint64_t out[2],
                    struct ft_error *err)
{
    const size_t n = (size_t)last + 1;
    int *order = malloc(n * sizeof *order), *place = calloc(n, sizeof *place);
    XXH3_state_t *state = XXH3_createState();
    const int count = order && place && state ? ft_network_order(network, last, order) : FT_ENOMEM;
    int rc = count < 0 ? ft_error_nomem(err, "the hash of the network") : 0;
    if (!rc)
        XXH3_128bits_reset(state);
    for (int i = 0; !rc && i < count; i++) {
        place[order[i]] = i;
        rc = ft_network_load(network, order[i], err);
        if (rc)
            break;
        add_layer(state, &network->layers[order[i]], place);
        ft_network_unload(network, order[i]);
    }
    if (!rc) {
        const XXH128_hash_t h = XXH3_128bits_digest(state);
        out[0] = h.high64;
        out[1] = h.low64;
    }
    XXH3_freeState(state);
    free(order);
    free(place);
    return rc;
}
