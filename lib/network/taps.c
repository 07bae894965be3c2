#include "network/taps.h"

#include <stdlib.h>

enum { LEAST = 3 }; /* maps that a rule must find */

/* Who reads each layer, of the layers that `last` needs. */
struct readers {
    const struct ft_network *network;
    int last;
    int *count;  /* [last + 1] */
    int *reader; /* [last + 1] the last reader */
};

static bool readers_init(struct readers *r, const struct ft_network *network, int last)
{
    const size_t n = (size_t)last + 1;
    *r = (struct readers){ network, last, calloc(n, sizeof *r->count),
                           calloc(n, sizeof *r->reader) };
    if (!r->count || !r->reader)
        return false;
    for (int i = last; i >= 0; i--) /* readers come after the layers that they read */
        for (int j = 0; (i == last || r->count[i]) && j < network->layers[i].n_inputs; j++) {
            const int input = network->layers[i].inputs[j];
            if (!r->count[input]++)
                r->reader[input] = i;
        }
    return true;
}

static bool passes(const struct ft_layer *l)
{
    return l->kind == FT_LAYER_BATCH_NORM || l->kind == FT_LAYER_ACTIVATION ||
           l->kind == FT_LAYER_PRELU || l->kind == FT_LAYER_IDENTITY;
}

static bool convolves(const struct ft_layer *l)
{
    return l->kind == FT_LAYER_CONV2D || l->kind == FT_LAYER_DEPTHWISE_CONV2D ||
           l->kind == FT_LAYER_SEPARABLE_CONV2D;
}

static bool activates(const struct ft_layer *l)
{
    return l->params.activation != FT_ACT_LINEAR &&
           (l->kind == FT_LAYER_ACTIVATION || convolves(l));
}

/* The layer itself, or the last of the normalisations and activations that only follow it. */
static int activated(const struct readers *r, int layer)
{
    while (layer < r->last && r->count[layer] == 1 && passes(&r->network->layers[r->reader[layer]]))
        layer = r->reader[layer];
    return layer;
}

/* ---- the rules: the map for layer i, or -1 --------------------------------------------------- */

static int after_depthwise(const struct readers *r, int i)
{
    return r->network->layers[i].kind == FT_LAYER_DEPTHWISE_CONV2D ? activated(r, i) : -1;
}

/* Walks up the branch that ends in `layer`, to the activation before its last convolution. */
static int middle(const struct readers *r, int layer)
{
    for (bool behind = false; r->count[layer] == 1; layer = r->network->layers[layer].inputs[0]) {
        const struct ft_layer *l = &r->network->layers[layer];
        if (behind && activates(l))
            return layer;
        behind = behind || convolves(l);
        if (l->n_inputs != 1)
            break;
    }
    return -1;
}

static int in_residual_block(const struct readers *r, int i)
{
    const struct ft_layer *l = &r->network->layers[i];
    for (int j = 0; l->kind == FT_LAYER_ADD && j < l->n_inputs; j++) {
        const int found = middle(r, l->inputs[j]);
        if (found >= 0)
            return found;
    }
    return l->kind == FT_LAYER_ADD ? activated(r, i) : -1;
}

static int before_smaller_map(const struct readers *r, int i)
{
    const struct ft_layer *l = &r->network->layers[i];
    const bool pools = l->kind == FT_LAYER_MAX_POOL || l->kind == FT_LAYER_AVERAGE_POOL;
    if ((!pools && !convolves(l)) || l->params.stride[0] < 2)
        return -1;
    do {
        i = l->inputs[0];
        l = &r->network->layers[i];
    } while (l->kind == FT_LAYER_ZERO_PAD || l->kind == FT_LAYER_IDENTITY);
    return l->kind == FT_LAYER_INPUT || l->kind == FT_LAYER_RESCALING ? -1 : i;
}

/* ---- transformers ---------------------------------------------------------------------------- */

static bool attends(const struct readers *r, int i)
{
    return r->count[i] && r->network->layers[i].kind == FT_LAYER_ATTENTION;
}

/* A layer that reads tokens and gives as many; the first input has them. */
static bool keeps_tokens(const struct ft_layer *l)
{
    return passes(l) || l->kind == FT_LAYER_ADD || l->kind == FT_LAYER_ATTENTION ||
           l->kind == FT_LAYER_LAYER_NORM || l->kind == FT_LAYER_RMS_NORM ||
           l->kind == FT_LAYER_DENSE || l->kind == FT_LAYER_RESCALING ||
           l->kind == FT_LAYER_MAP_RESCALING;
}

/* The number of its blocks of attention; 0 if the network has more convolutions. */
static int attention_blocks(const struct readers *r)
{
    int blocks = 0, convolutions = 0;
    for (int i = 0; i < r->last; i++) {
        blocks += attends(r, i);
        convolutions += r->count[i] && convolves(&r->network->layers[i]);
    }
    return convolutions > blocks ? 0 : blocks;
}

/* Chooses the sums that end blocks: a block ends with the last sum before the next attention.
 * Returns their number. */
static int after_attention(const struct readers *r, int blocks, bool *chosen)
{
    enum { EACH = 4 };
    int n = 0;
    for (int i = 0, block = 0, sum = -1; i < r->last; i++) {
        if (r->count[i] && block && r->network->layers[i].kind == FT_LAYER_ADD &&
            ft_network_rank(r->network, i) == 3)
            sum = i;
        if (!attends(r, i))
            continue;
        if (sum >= 0 && (blocks <= EACH || block % EACH == 0)) {
            chosen[sum] = true;
            n++;
        }
        block++;
        sum = -1;
    }
    return n;
}

/* Marks the layers whose tokens are those of `layer`, of the layers that it needs. */
static void mark_tokens(const struct ft_network *n, int layer, bool *marked)
{
    marked[layer] = true;
    for (int i = layer; i > 0; i--) {
        const struct ft_layer *l = &n->layers[i];
        if (!marked[i] || !keeps_tokens(l))
            continue;
        for (int j = 0; j < (l->kind == FT_LAYER_ADD ? l->n_inputs : 1); j++)
            marked[l->inputs[j]] = true;
    }
}

int ft_network_class_token(const struct ft_network *network, int last, const int *taps, int n)
{
    struct readers r;
    int found = -1;
    bool *marked = calloc((size_t)last + 1, sizeof *marked);
    if (!readers_init(&r, network, last) || !marked)
        found = FT_ENOMEM;
    for (int i = last; found == -1 && i > 0; i--) {
        const struct ft_layer *l = &network->layers[i];
        if (!r.count[i] || l->kind != FT_LAYER_CROPPING || l->params.pad[0] || l->params.pad[1] ||
            l->params.pad[2] || !l->params.pad[3])
            continue;
        for (int j = 0; j < i; j++)
            marked[j] = false;
        mark_tokens(network, l->inputs[0], marked);
        bool all = n > 0;
        for (int j = 0; j < n; j++)
            all = all && taps[j] < i && marked[taps[j]];
        if (all)
            found = i;
    }
    free(marked);
    free(r.count);
    free(r.reader);
    return found;
}

/* ---------------------------------------------------------------------------------------------- */

int ft_network_averaged(const struct ft_network *n, int layer)
{
    while (n->layers[layer].kind == FT_LAYER_IDENTITY ||
           n->layers[layer].kind == FT_LAYER_FLATTEN ||
           (n->layers[layer].kind == FT_LAYER_ACTIVATION &&
            n->layers[layer].params.activation == FT_ACT_LINEAR))
        layer = n->layers[layer].inputs[0];
    const struct ft_layer *l = &n->layers[layer];
    return l->kind == FT_LAYER_GLOBAL_AVERAGE_POOL ? l->inputs[0] : -1;
}

int ft_network_taps(const struct ft_network *network, int last, int *taps)
{
    static int (*const rules[])(const struct readers *, int) = { after_depthwise, in_residual_block,
                                                                 before_smaller_map };
    struct readers r;
    const int averaged = ft_network_averaged(network, last);
    int n = 0, blocks = 0;
    bool *chosen = calloc((size_t)last + 1, sizeof *chosen);
    if (!readers_init(&r, network, last) || !chosen)
        n = FT_ENOMEM;
    else
        blocks = attention_blocks(&r);
    if (blocks)
        n = after_attention(&r, blocks, chosen);
    for (size_t rule = 0; !n && !blocks && rule < sizeof rules / sizeof *rules; rule++) {
        for (int i = 0; i < last; i++) {
            const int tap = r.count[i] ? rules[rule](&r, i) : -1;
            if (tap >= 0 && tap != averaged && tap != last && !chosen[tap] &&
                ft_network_rank(network, tap) == 3) {
                chosen[tap] = true;
                n++;
            }
        }
        for (int i = 0; n < LEAST && i < last; i++)
            chosen[i] = false;
        n = n < LEAST ? 0 : n;
    }
    for (int i = 0, at = 0; n > 0 && i < last; i++)
        if (chosen[i])
            taps[at++] = i;
    free(chosen);
    free(r.count);
    free(r.reader);
    return n;
}
