/* The maps that features of all depths average: found by the structure of three kinds of networks.
 */
#include "net.h"

#include "network/taps.h"

enum { BLOCKS = 3 };

static void begin(struct net *net)
{
    memset(net, 0, sizeof *net);
    net->network.layers = net->layers;
    net->network.name = (char *)"taps";
    add_layer(net, FT_LAYER_INPUT)->params.rank = 3;
}

/* Appends a layer that reads layer `input`; returns its index. */
static int follow(struct net *net, enum ft_layer_kind kind, int input)
{
    struct ft_layer *l = add_layer(net, kind);
    l->n_inputs = 1;
    l->inputs[0] = input;
    if (kind == FT_LAYER_ACTIVATION)
        l->params.activation = FT_ACT_RELU;
    return net->network.output;
}

static int sum(struct net *net, int a, int b)
{
    const int i = follow(net, FT_LAYER_ADD, a);
    net->layers[i].n_inputs = 2;
    net->layers[i].inputs[1] = b;
    return i;
}

static int activated(struct net *net, enum ft_layer_kind kind, int input)
{
    return follow(net, FT_LAYER_ACTIVATION,
                  follow(net, FT_LAYER_BATCH_NORM, follow(net, kind, input)));
}

static void check_taps(const struct net *net, const int *want, int n)
{
    int taps[MAX_LAYERS];
    CHECK(ft_network_taps(&net->network, net->network.output, taps) == n);
    for (int i = 0; i < n; i++)
        CHECK(taps[i] == want[i]);
}

static void inverted_residuals_are_tapped_after_the_depthwise_convolution(void)
{
    static struct net net;
    int want[BLOCKS], at;
    begin(&net);
    at = activated(&net, FT_LAYER_CONV2D, 0);
    for (int i = 0; i < BLOCKS; i++) {
        const int before = at;
        at = activated(&net, FT_LAYER_CONV2D, at);
        want[i] = activated(&net, FT_LAYER_DEPTHWISE_CONV2D, at);
        at = follow(&net, FT_LAYER_BATCH_NORM, follow(&net, FT_LAYER_CONV2D, want[i]));
        at = sum(&net, before, at);
    }
    follow(&net, FT_LAYER_GLOBAL_AVERAGE_POOL, activated(&net, FT_LAYER_CONV2D, at));
    check_taps(&net, want, BLOCKS);
}

static void residual_blocks_are_tapped_before_their_last_convolution(void)
{
    static struct net net;
    int want[BLOCKS], at;
    begin(&net);
    at = activated(&net, FT_LAYER_CONV2D, 0);
    for (int i = 0; i < BLOCKS; i++) {
        const int shortcut = i == 1 ? follow(&net, FT_LAYER_CONV2D, at) : at;
        want[i] = activated(&net, FT_LAYER_CONV2D, at);
        const int end = follow(&net, FT_LAYER_BATCH_NORM, follow(&net, FT_LAYER_CONV2D, want[i]));
        at = i == 2 ? sum(&net, shortcut, end) : sum(&net, end, shortcut);
        at = follow(&net, FT_LAYER_ACTIVATION, at);
    }
    follow(&net, FT_LAYER_GLOBAL_AVERAGE_POOL, at);
    check_taps(&net, want, BLOCKS);
}

static void residual_blocks_without_activation_are_tapped_at_their_sum(void)
{
    static struct net net;
    int want[BLOCKS], at;
    begin(&net);
    at = activated(&net, FT_LAYER_CONV2D, 0);
    for (int i = 0; i < BLOCKS; i++) {
        at = sum(&net, at, follow(&net, FT_LAYER_CONV2D, at));
        at = want[i] = follow(&net, FT_LAYER_ACTIVATION, at);
    }
    follow(&net, FT_LAYER_GLOBAL_AVERAGE_POOL, activated(&net, FT_LAYER_CONV2D, at));
    check_taps(&net, want, BLOCKS);
}

static void plain_networks_are_tapped_before_each_smaller_map(void)
{
    static struct net net;
    int want[BLOCKS], at = 0;
    begin(&net);
    net.layers[follow(&net, FT_LAYER_CONV2D, 0)].params.stride[0] = 2; /* reads the pixels */
    at = net.network.output;
    for (int i = 0; i < BLOCKS; i++) {
        at = want[i] = activated(&net, FT_LAYER_CONV2D, at);
        at = follow(&net, FT_LAYER_MAX_POOL, at);
        net.layers[at].params.stride[0] = 2;
    }
    const int map = activated(&net, FT_LAYER_CONV2D, at);
    const int averaged = follow(&net, FT_LAYER_GLOBAL_AVERAGE_POOL, map);
    check_taps(&net, want, BLOCKS);
    CHECK(ft_network_averaged(&net.network, averaged) == map);
    CHECK(ft_network_averaged(&net.network, follow(&net, FT_LAYER_IDENTITY, averaged)) == map);
    CHECK(ft_network_averaged(&net.network, map) == -1);
}

static void the_map_of_the_last_layer_and_unused_layers_are_not_tapped(void)
{
    static struct net net;
    int want[BLOCKS], at;
    begin(&net);
    at = activated(&net, FT_LAYER_CONV2D, 0);
    for (int i = 0; i < BLOCKS + 1; i++) {
        at = activated(&net, FT_LAYER_DEPTHWISE_CONV2D, at);
        if (i < BLOCKS)
            want[i] = at;
    }
    const int last = follow(&net, FT_LAYER_GLOBAL_AVERAGE_POOL, at);
    activated(&net, FT_LAYER_DEPTHWISE_CONV2D, at); /* after the features */
    net.network.output = last;
    check_taps(&net, want, BLOCKS);
}

static void too_few_maps_are_none(void)
{
    static struct net net;
    begin(&net);
    int at = 0;
    for (int i = 0; i < BLOCKS; i++) /* the last is averaged by the last layer */
        at = activated(&net, FT_LAYER_DEPTHWISE_CONV2D, at);
    follow(&net, FT_LAYER_GLOBAL_AVERAGE_POOL, at);
    check_taps(&net, NULL, 0);
}

/* Patches, a token in front, and blocks of attention and two dense layers. ends [blocks] receives
 * the sums. Returns the layer of the tokens. */
static int transformer(struct net *net, int blocks, int *ends)
{
    begin(net);
    int at = follow(net, FT_LAYER_RESHAPE, follow(net, FT_LAYER_CONV2D, 0));
    net->layers[at].params.rank = 3;
    at = follow(net, FT_LAYER_ZERO_PAD, at);
    at = sum(net, at, follow(net, FT_LAYER_MAP_RESCALING, at)); /* not a block */
    for (int i = 0; i < blocks; i++) {
        at = sum(net, at, follow(net, FT_LAYER_ATTENTION, follow(net, FT_LAYER_LAYER_NORM, at)));
        at = ends[i] =
            sum(net, follow(net, FT_LAYER_DENSE, follow(net, FT_LAYER_LAYER_NORM, at)), at);
    }
    return follow(net, FT_LAYER_LAYER_NORM, at);
}

static void every_fourth_block_of_a_transformer_is_tapped(void)
{
    static struct net net;
    enum { DEEP = 9 };
    int ends[DEEP], want[] = { 0, 0 };
    follow(&net, FT_LAYER_GLOBAL_AVERAGE_POOL, transformer(&net, DEEP, ends));
    want[0] = ends[3];
    want[1] = ends[7];
    check_taps(&net, want, 2);
    CHECK(ft_network_class_token(&net.network, net.network.output, want, 2) == -1);
    /* the eighth is the last */
    follow(&net, FT_LAYER_GLOBAL_AVERAGE_POOL, transformer(&net, 8, ends));
    check_taps(&net, ends + 3, 1);
    /* all but the last of few */
    follow(&net, FT_LAYER_GLOBAL_AVERAGE_POOL, transformer(&net, 3, ends));
    check_taps(&net, ends, 2);
    follow(&net, FT_LAYER_GLOBAL_AVERAGE_POOL, transformer(&net, 1, ends));
    check_taps(&net, ends, 0);
}

static void the_class_token_is_found(void)
{
    static struct net net;
    int ends[3], at;
    const int tokens = transformer(&net, 3, ends), class = follow(&net, FT_LAYER_CROPPING, tokens);
    net.layers[class].params.pad[3] = 16;
    const int patches = follow(&net, FT_LAYER_CROPPING, tokens);
    net.layers[patches].params.pad[2] = 1;
    at = follow(&net, FT_LAYER_GLOBAL_AVERAGE_POOL, patches);
    at = sum(&net, follow(&net, FT_LAYER_FLATTEN, class), at);
    net.layers[at].kind = FT_LAYER_CONCATENATE;
    check_taps(&net, ends, 2);
    CHECK(ft_network_class_token(&net.network, at, ends, 2) == class);
    CHECK(ft_network_class_token(&net.network, at, ends, 0) == -1);
    /* a layer between them that may change the number of tokens */
    net.layers[ends[2]].kind = FT_LAYER_CONCATENATE;
    CHECK(ft_network_class_token(&net.network, at, ends, 2) == -1);
}

int main(void)
{
    RUN(inverted_residuals_are_tapped_after_the_depthwise_convolution);
    RUN(residual_blocks_are_tapped_before_their_last_convolution);
    RUN(residual_blocks_without_activation_are_tapped_at_their_sum);
    RUN(plain_networks_are_tapped_before_each_smaller_map);
    RUN(the_map_of_the_last_layer_and_unused_layers_are_not_tapped);
    RUN(too_few_maps_are_none);
    RUN(every_fourth_block_of_a_transformer_is_tapped);
    RUN(the_class_token_is_found);
    return test_end();
}
