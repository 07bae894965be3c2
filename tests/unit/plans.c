/* What a plan refuses, and what it says about its layers and steps. */
#include "graph/kinds.h"
#include "net.h"

static float some[4096];

/* input [h, w, 3] -> 3x3 convolution `conv`, 8 filters */
static void make_simple(struct net *net, int h, int w)
{
    memset(net, 0, sizeof *net);
    net->network.layers = net->layers;
    net->network.name = (char *)"simple";
    struct ft_layer_params *p = &add_layer(net, FT_LAYER_INPUT)->params;
    p->rank = 3;
    p->shape[0] = h;
    p->shape[1] = w;
    p->shape[2] = 3;
    struct ft_layer *conv = add_layer(net, FT_LAYER_CONV2D);
    conv->n_inputs = 1;
    conv->params.filters = 8;
    conv->params.kernel[0] = conv->params.kernel[1] = 3;
    conv->weights[FT_W_KERNEL] = (struct ft_tensor){ 4, { 3, 3, 3, 8 }, 216, some };
}

static int refused(const struct net *net, struct ft_plan_options options, const char *about)
{
    struct ft_plan *plan = NULL;
    struct ft_error err = { 0 };
    const int code = ft_plan_new(&net->network, &options, &plan, &err);
    if (!code || plan || !strstr(err.msg, about))
        printf("# code %d, message '%s' should speak of '%s'\n", code, err.msg, about);
    CHECK(code < 0 && !plan && strstr(err.msg, about));
    ft_plan_free(plan);
    return code;
}

static void what_cannot_be_planned_is_refused(void)
{
    static struct net net;
    const struct ft_plan_options plain = { .layer = -1 };
    make_simple(&net, -1, -1);
    CHECK(refused(&net, plain, "give one") == FT_EARG);
    make_simple(&net, 2, 9);
    CHECK(refused(&net, plain,
                  "'simple_layer1': its window of 3 x 3 does not fit an input of 2 x 9") ==
          FT_EARG);
    make_simple(&net, 9, 9);
    CHECK(refused(&net, (struct ft_plan_options){ .layer = 5 }, "no layer 5") == FT_EARG);
    CHECK(refused(&net, (struct ft_plan_options){ .layer = -1, .height = 100000, .width = 100000 },
                  "too large") == FT_ELIMIT);
    net.layers[1].weights[FT_W_KERNEL].count = 215;
    CHECK(refused(&net, plain, "kernel has 215 values, but its settings need 216") == FT_EFORMAT);
    net.layers[1].weights[FT_W_KERNEL].data = NULL;
    CHECK(refused(&net, plain, "kernel is missing") == FT_EFORMAT);
    make_simple(&net, 9, 9);
    net.layers[1].params.stride[1] = 0;
    CHECK(refused(&net, plain, "strides 1, 0") == FT_EFORMAT);
    make_simple(&net, 9, 9);
    net.layers[1].params.groups = 2;
    CHECK(refused(&net, plain, "2 groups over 3 channels") == FT_EFORMAT);
    make_simple(&net, 9, 9);
    net.layers[1].inputs[0] = 1;
    CHECK(refused(&net, plain, "does not come before it") == FT_EFORMAT);
    make_simple(&net, 9, 9);
    net.layers[0].params.shape[2] = 4;
    CHECK(refused(&net, plain, "4 channels") == FT_EUNSUPPORTED);
    make_simple(&net, 9, 9);
    struct ft_layer *sum = add_layer(&net, FT_LAYER_ADD);
    sum->n_inputs = 2;
    sum->inputs[1] = 1;
    CHECK(refused(&net, plain, "'simple_layer2': its inputs differ in shape") == FT_EUNSUPPORTED);
    struct ft_layer *reshape = add_layer(&net, FT_LAYER_RESHAPE);
    net.layers[2].inputs[0] = 1;
    reshape->n_inputs = 1;
    reshape->inputs[0] = 2;
    reshape->params.rank = 1;
    reshape->params.shape[0] = 5;
    CHECK(refused(&net, plain, "392 values cannot take the shape") == FT_EFORMAT);
}

static void the_caller_may_choose_the_size(void)
{
    static struct net net;
    struct ft_plan *plan;
    make_simple(&net, -1, -1);
    CHECK(!ft_plan_new(&net.network,
                       &(struct ft_plan_options){ .layer = -1, .height = 12, .width = 15 }, &plan,
                       NULL));
    const struct ft_shape in = ft_plan_input(plan), out = ft_plan_output(plan);
    CHECK(in.h == 12 && in.w == 15 && in.c == 3 && out.h == 10 && out.w == 13 && out.c == 8 &&
          out.rank == 3);
    struct ft_layer_info info;
    CHECK(ft_plan_steps(plan) == 1);
    ft_plan_step(plan, 0, &info);
    CHECK_STR(info.name, "simple_layer1");
    CHECK_STR(info.kind, "Conv2D");
    CHECK(info.multiply_adds == 10 * 13 * 216 && info.height == 10 && info.width == 13 &&
          info.channels == 8 && info.kernel[0]);
    ft_plan_free(plan);
    ft_plan_free(NULL);
}

/* A network of which `info` lists all layers, the unused ones too. */
static void layers_are_listed(void)
{
    static struct net net;
    struct ft_layer_info info[MAX_LAYERS];
    make_simple(&net, 9, 9);
    struct ft_layer *separable = add_layer(&net, FT_LAYER_SEPARABLE_CONV2D);
    separable->n_inputs = 1;
    separable->inputs[0] = 1;
    separable->params.filters = 4;
    separable->params.kernel[0] = separable->params.kernel[1] = 3;
    separable->weights[FT_W_KERNEL] = (struct ft_tensor){ 4, { 3, 3, 8, 1 }, 72, some };
    separable->weights[FT_W_POINTWISE] = (struct ft_tensor){ 4, { 1, 1, 8, 4 }, 32, some };
    CHECK(!ft_network_layers(&net.network, 0, 0, info, NULL));
    CHECK(info[0].height == 9 && info[0].width == 9 && info[0].channels == 3);
    CHECK(info[1].multiply_adds == 7 * 7 * 216 && info[1].parameters == 216);
    CHECK(info[2].height == 5 && info[2].width == 5 && info[2].channels == 4);
    CHECK(info[2].multiply_adds == 5 * 5 * (72 + 32) && info[2].parameters == 72 + 32);
    CHECK_STR(info[2].kind, "SeparableConv2D");
}

static struct ft_layer *add_after(struct net *net, enum ft_layer_kind kind)
{
    struct ft_layer *layer = add_layer(net, kind);
    layer->n_inputs = 1;
    layer->inputs[0] = net->network.n_layers - 2;
    return layer;
}

/* Layers that no plan needs can have any size in a damaged file. Listing them must not overflow or
 * divide by zero: from the first impossible one on, sizes are 0. */
static void impossible_layers_are_listed_without_a_size(void)
{
    static struct net net;
    struct ft_layer_info info[MAX_LAYERS];
    make_simple(&net, 66, 66);
    struct ft_layer_params *p = &add_after(&net, FT_LAYER_UPSAMPLING)->params;
    p->kernel[0] = p->kernel[1] = 1 << 14;
    add_after(&net, FT_LAYER_FLATTEN);
    CHECK(!ft_network_layers(&net.network, 0, 0, info, NULL));
    CHECK(info[1].height == 64 && info[1].channels == 8);
    for (int i = 2; i < 4; i++)
        CHECK(info[i].height == 0 && info[i].width == 0 && info[i].channels == 0);

    make_simple(&net, 9, 9);
    add_after(&net, FT_LAYER_CONV2D)->params.filters = 0;
    add_after(&net, FT_LAYER_DEPTHWISE_CONV2D);
    CHECK(!ft_network_layers(&net.network, 0, 0, info, NULL));
    CHECK(info[1].height == 7 && info[2].height == 0 && info[3].height == 0);

    make_simple(&net, 9, 9);
    add_after(&net, FT_LAYER_DENSE)->params.units = -5;
    add_after(&net, FT_LAYER_FLATTEN);
    CHECK(!ft_network_layers(&net.network, 0, 0, info, NULL));
    CHECK(info[1].height == 7 && info[2].height == 0 && info[3].channels == 0);
}

/* Numbers of filters, units and strides that are refused rather than computed with. */
static void impossible_settings_are_refused(void)
{
    static struct net net;
    const struct ft_plan_options plain = { .layer = -1 };
    make_simple(&net, 9, 9);
    add_after(&net, FT_LAYER_DENSE)->params.units = 0;
    CHECK(refused(&net, plain, "'simple_layer2': 0 units") == FT_EFORMAT);
    make_simple(&net, 9, 9);
    add_after(&net, FT_LAYER_CONV2D)->params.filters = -1;
    CHECK(refused(&net, plain, "'simple_layer2': -1 filters") == FT_EFORMAT);
    make_simple(&net, 9, 9);
    struct ft_layer_params *p = &add_after(&net, FT_LAYER_CONV2D_TRANSPOSE)->params;
    p->filters = 0;
    CHECK(refused(&net, plain, "'simple_layer2': 0 filters") == FT_EFORMAT);
    p->filters = 2;
    p->stride[0] = 0;
    CHECK(refused(&net, plain, "strides 0, 1") == FT_EFORMAT);
    make_simple(&net, 9, 9);
    add_after(&net, FT_LAYER_UPSAMPLING)->params.kernel[1] = 1 << 20;
    CHECK(refused(&net, plain, "an output of 7340032 rows or columns") == FT_ELIMIT);
    make_simple(&net, 9, 9);
    add_after(&net, FT_LAYER_SUBTRACT);
    CHECK(refused(&net, plain, "Subtract with 1 inputs") == FT_EFORMAT);
}

static int steps_of(const struct net *net)
{
    struct ft_plan *plan = NULL;
    CHECK(!ft_plan_new(&net->network, &(struct ft_plan_options){ .layer = -1 }, &plan, NULL));
    const int n = ft_plan_steps(plan);
    ft_plan_free(plan);
    return n;
}

/* A pool of 3 x 3 by steps of 2 with a padding that Keras does not have, as ONNX files need it. */
static void a_pool_of_which_pixels_are_skipped_is_one_step(void)
{
    static struct net net;
    make_simple(&net, 12, 12);
    struct ft_layer_params *pool = &add_after(&net, FT_LAYER_MAX_POOL)->params;
    pool->kernel[0] = pool->kernel[1] = 3;
    pool->padding = FT_PAD_SAME;
    struct ft_layer_params *crop = &add_after(&net, FT_LAYER_CROPPING)->params;
    crop->pad[0] = crop->pad[2] = 1;
    struct ft_layer_params *skip = &add_after(&net, FT_LAYER_MAX_POOL)->params;
    skip->kernel[0] = skip->kernel[1] = 1;
    skip->stride[0] = skip->stride[1] = 2;
    CHECK(steps_of(&net) == 2);
    crop->pad[0] = 2; /* the first window would begin inside the map */
    CHECK(steps_of(&net) == 4);
    crop->pad[0] = 1;
    pool->stride[0] = 2; /* its pixels are skipped already */
    CHECK(steps_of(&net) == 4);
}

static struct ft_layer *add_product(struct net *net, int a, int b)
{
    struct ft_layer *product = add_layer(net, FT_LAYER_MULTIPLY);
    product->n_inputs = 2;
    product->inputs[0] = a;
    product->inputs[1] = b;
    return product;
}

/* x * sigmoid(x * (a x^2 + b)), as a file states it whose GELU is the one with tanh. */
static void gelu_in_six_layers_is_one_activation(void)
{
    static struct net net;
    static float a = 0.0713548163f, b = 1.59576912f;
    make_simple(&net, 12, 12);
    add_product(&net, 1, 1);
    struct ft_layer *cubic = add_after(&net, FT_LAYER_RESCALING);
    cubic->weights[FT_W_SCALE] = (struct ft_tensor){ 1, { 1 }, 1, &a };
    cubic->weights[FT_W_OFFSET] = (struct ft_tensor){ 1, { 1 }, 1, &b };
    add_product(&net, 1, 3);
    add_after(&net, FT_LAYER_ACTIVATION)->params.activation = FT_ACT_SIGMOID;
    add_product(&net, 1, 5);
    CHECK(steps_of(&net) == 1); /* the convolution */
    b = 1.6f;
    CHECK(steps_of(&net) > 3);
}

static void run_to(const struct net *net, int layer, float *out)
{
    const uint8_t pixels[9 * 9 * 3] = { 10, 200, 90, 255, 3 };
    struct ft_plan *plan = NULL;
    CHECK(!ft_plan_new(&net->network, &(struct ft_plan_options){ .layer = layer }, &plan, NULL));
    void *arena = aligned_alloc(64, ft_plan_arena_bytes(plan, 1));
    memset(arena, 0x7f, ft_plan_arena_bytes(plan, 1));
    ft_plan_run(plan, pixels, arena, out);
    free(arena);
    ft_plan_free(plan);
}

/* Features that are cut before a last convolution of a single pixel are averaged once more. */
static void a_pool_of_a_pool_is_computed(void)
{
    static struct net net;
    float once[8], twice[8];
    make_simple(&net, 9, 9);
    for (int i = 0; i < 216; i++)
        some[i] = (float)(i % 11) - 5;
    add_after(&net, FT_LAYER_GLOBAL_AVERAGE_POOL)->params.keep_dims = true;
    add_after(&net, FT_LAYER_GLOBAL_AVERAGE_POOL);
    run_to(&net, 2, once);
    run_to(&net, 3, twice);
    CHECK(once[0] != 0 && !memcmp(once, twice, sizeof once));
}

static void every_kind_has_a_row(void)
{
    for (int i = 0; i < FT_LAYER_KINDS; i++) {
        const struct ft_kind *row = ft_kind_find((enum ft_layer_kind)i);
        CHECK(row && row->kind == (enum ft_layer_kind)i);
    }
}

/* ---- weights that are in memory only while they are needed ------------------------------------
 */

enum { SIDE = 2048, COPIES = 9 }; /* more than 2^25 weights: they are not read all at once */

/* `file` is what the memory `there` [SIDE * SIDE + SIDE] contains while somebody needs it. */
static float *file, *there;
static int users[2], most_users, reads; /* of the kernel and of the bias */

static int part(const void *memory)
{
    return memory != there;
}

static void want(void *source, const void *memory, size_t size)
{
    (void)source;
    (void)size;
    users[part(memory)]++;
}

static int load(void *source, struct ft_error *err)
{
    (void)source;
    (void)err;
    reads++;
    most_users = users[0] > most_users ? users[0] : most_users;
    if (users[0])
        memcpy(there, file, (size_t)SIDE * SIDE * sizeof *there);
    if (users[1])
        memcpy(there + (size_t)SIDE * SIDE, file + (size_t)SIDE * SIDE, SIDE * sizeof *there);
    return 0;
}

static void done(void *source, const void *memory, size_t size)
{
    (void)source;
    if (!--users[part(memory)])
        memset((float *)memory, 0xff, size); /* NaN */
}

static void trim(void *source)
{
    (void)source;
}

/* input [1, 1, 3] -> Dense [SIDE], then COPIES of one Dense layer [SIDE] */
static void make_large(struct net *net, float *weights, float *first)
{
    memset(net, 0, sizeof *net);
    net->network.layers = net->layers;
    net->network.name = (char *)"large";
    struct ft_layer_params *p = &add_layer(net, FT_LAYER_INPUT)->params;
    p->rank = 3;
    p->shape[0] = p->shape[1] = 1;
    p->shape[2] = 3;
    for (int i = 0; i <= COPIES; i++) {
        const int in = i ? SIDE : 3;
        struct ft_layer *dense = add_layer(net, FT_LAYER_DENSE);
        dense->n_inputs = 1;
        dense->inputs[0] = i;
        dense->params.units = SIDE;
        dense->weights[FT_W_KERNEL] =
            (struct ft_tensor){ 2, { in, SIDE }, (size_t)in * SIDE, i ? weights : first };
        if (i)
            dense->weights[FT_W_BIAS] =
                (struct ft_tensor){ 1, { SIDE }, SIDE, weights + (size_t)SIDE * SIDE };
    }
}

static float *output_of(const struct net *net)
{
    const struct ft_plan_options options = { .layer = -1 };
    const uint8_t pixels[3] = { 10, 200, 90 };
    struct ft_plan *plan = NULL;
    float *out = malloc(SIDE * sizeof *out);
    CHECK(!ft_plan_new(&net->network, &options, &plan, NULL));
    void *arena = aligned_alloc(64, ft_plan_arena_bytes(plan, 1));
    ft_plan_run(plan, pixels, arena, out);
    free(arena);
    ft_plan_free(plan);
    return out;
}

static void a_large_network_is_packed_piece_by_piece(void)
{
    static const struct ft_storage_source reading = { want, done, load, trim };
    static struct net net;
    const size_t floats = (size_t)SIDE * SIDE + SIDE;
    static float first[3 * SIDE];
    file = malloc(floats * sizeof *file);
    there = malloc(floats * sizeof *there);
    for (size_t i = 0; i < floats; i++)
        file[i] = (float)((i * 2654435761U >> 7) % 2001) / 1000 / SIDE - 1.0f / SIDE;
    for (size_t i = 0; i < sizeof first / sizeof *first; i++)
        first[i] = (float)(i % 7) - 3;
    make_large(&net, file, first);
    float *wanted = output_of(&net);
    memset(there, 0xff, floats * sizeof *there);
    make_large(&net, there, first);
    net.network.storage.reading = &reading;
    float *found = output_of(&net);
    CHECK(!memcmp(wanted, found, SIDE * sizeof *found));
    CHECK(users[0] == 0 && users[1] == 0);
    CHECK(reads > 2 && most_users < COPIES); /* never all of them */
    free(wanted);
    free(found);
    free(file);
    free(there);
}

int main(void)
{
    RUN(every_kind_has_a_row);
    RUN(what_cannot_be_planned_is_refused);
    RUN(impossible_settings_are_refused);
    RUN(the_caller_may_choose_the_size);
    RUN(layers_are_listed);
    RUN(a_pool_of_which_pixels_are_skipped_is_one_step);
    RUN(a_pool_of_a_pool_is_computed);
    RUN(gelu_in_six_layers_is_one_activation);
    RUN(impossible_layers_are_listed_without_a_size);
    RUN(a_large_network_is_packed_piece_by_piece);
    return test_end();
}
