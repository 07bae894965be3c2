/* network/: the table of kinds, finding, ordering, cutting, heads, edits, the hash, storage. */
#include <stdint.h>

#include "keras/keras.h"
#include "network/edit.h"
#include "network/hash.h"
#include "small_network.h"

static void names_of(const struct ft_network *n, char *out, size_t size)
{
    *out = 0;
    for (int i = 0; i < n->n_layers; i++)
        snprintf(out + strlen(out), size - strlen(out), "%s%s", i ? " " : "", n->layers[i].name);
}

/* ---- reading --------------------------------------------------------------------------------- */

static void kinds_are_complete(void)
{
    for (int k = 0; k < FT_LAYER_KINDS; k++) {
        const struct ft_layer_kind_info *info = ft_layer_kind_info((enum ft_layer_kind)k);
        CHECK(info->name && info->least <= info->most);
        CHECK(k == FT_LAYER_INPUT || info->least >= 1);
        for (int j = 0; j < k; j++)
            CHECK(strcmp(info->name, ft_layer_kind_name((enum ft_layer_kind)j)));
    }
    for (int a = 0; a < FT_ACTIVATIONS; a++)
        CHECK(ft_activation_name((enum ft_activation)a));
    CHECK_STR(ft_layer_kind_name(FT_LAYER_IDENTITY), "Identity");
    CHECK(ft_layer_kind_info(FT_LAYER_SUBTRACT)->most == 2);
}

/* Each change of one length is found, and named. */
static void shapes_are_checked(void)
{
    static const struct {
        int layer, weight, axis;
        const char *says; /* NULL: any length fits */
    } cases[] = {
        { CONV, FT_W_KERNEL, 0, "layer 'conv': the shape of 'kernel' does not fit its settings" },
        { CONV, FT_W_KERNEL, 1, "layer 'conv': the shape of 'kernel' does not fit its settings" },
        { CONV, FT_W_KERNEL, 2, NULL },
        { CONV, FT_W_KERNEL, 3, "layer 'conv': the shape of 'kernel' does not fit its settings" },
        { CONV, FT_W_BIAS, 0, "layer 'conv': the shape of 'bias' does not fit its settings" },
        { NORM, FT_W_BETA, 0, "layer 'norm': the shape of 'beta' does not fit its settings" },
        { NORM, FT_W_VARIANCE, 0,
          "layer 'norm': the shape of 'moving_variance' does not fit its settings" },
        { DENSE, FT_W_KERNEL, 0, NULL },
        { DENSE, FT_W_KERNEL, 1, "layer 'dense': the shape of 'kernel' does not fit its settings" },
        { DENSE, FT_W_BIAS, 0, "layer 'dense': the shape of 'bias' does not fit its settings" },
    };
    struct ft_network *n = small();
    for (int i = 0; i < LAYERS; i++)
        CHECK(!ft_layer_check(&n->layers[i], NULL));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ft_layer *l = &n->layers[cases[i].layer];
        int64_t *length = &l->weights[cases[i].weight].shape[cases[i].axis];
        struct ft_error err = { 0 };
        ++*length;
        CHECK(ft_layer_check(l, &err) == (cases[i].says ? FT_EFORMAT : 0));
        if (cases[i].says)
            CHECK_STR(err.msg, cases[i].says);
        --*length;
    }
    n->layers[CONV].weights[FT_W_KERNEL].rank = 3;
    CHECK(ft_layer_check(&n->layers[CONV], NULL) == FT_EFORMAT);
    n->layers[CONV].weights[FT_W_KERNEL].rank = 4;
    n->layers[CONV].params.groups = 3;
    CHECK(ft_layer_check(&n->layers[CONV], NULL) == FT_EFORMAT);
    ft_network_free(n);
}

/* The separable convolution's second kernel depends on the first, and on the multiplier. */
static void separable_shapes_are_checked(void)
{
    struct ft_network *n = small();
    struct ft_layer *l = &n->layers[SIDE];
    l->kind = FT_LAYER_SEPARABLE_CONV2D;
    l->params.multiplier = 2;
    weigh(n, SIDE, FT_W_KERNEL, 4, (int64_t[]){ 1, 1, 4, 2 });
    weigh(n, SIDE, FT_W_POINTWISE, 4, (int64_t[]){ 1, 1, 8, 4 });
    weigh(n, SIDE, FT_W_SEPARABLE_BIAS, 1, (int64_t[]){ 4 });
    CHECK(!ft_layer_check(l, NULL));
    CHECK(ft_layer_multiply_adds(l, 1000, 10) == 10 * (8 + 32));
    l->weights[FT_W_POINTWISE].shape[2] = 4;
    CHECK(ft_layer_check(l, NULL) == FT_EFORMAT);
    ft_network_free(n);
}

static void multiply_adds(void)
{
    struct ft_network *n = small();
    CHECK(ft_layer_multiply_adds(&n->layers[CONV], 81, 16) == 16 * 3 * 3 * 3 * 4);
    CHECK(ft_layer_multiply_adds(&n->layers[DENSE], 1, 1) == 8);
    CHECK(ft_layer_multiply_adds(&n->layers[NORM], 16, 16) == 0);
    n->layers[CONV].kind = FT_LAYER_CONV2D_TRANSPOSE;
    CHECK(ft_layer_multiply_adds(&n->layers[CONV], 81, 16) == 81 * 3 * 3 * 3 * 4);
    ft_network_free(n);
}

static void finding(void)
{
    struct ft_network *n = small();
    CHECK(ft_network_find(n, "side") == SIDE && ft_network_find(n, "sid") == -1);
    CHECK(ft_network_rank(n, SUM) == 3 && ft_network_rank(n, DENSE) == 1);
    n->layers[POOL].params.keep_dims = true;
    CHECK(ft_network_rank(n, DENSE) == 3);
    n->layers[POOL].kind = FT_LAYER_FLATTEN;
    CHECK(ft_network_rank(n, DENSE) == 1);
    n->layers[POOL].kind = FT_LAYER_RESHAPE;
    n->layers[POOL].params.rank = 2;
    CHECK(ft_network_rank(n, DENSE) == 2);
    char *name = ft_network_free_name(n, "sum"), *other = ft_network_free_name(n, "free");
    CHECK_STR(name, "sum_2");
    CHECK_STR(other, "free");
    free(name);
    free(other);
    ft_network_free(n);
    ft_network_free(NULL);
}

/* ---- edits ----------------------------------------------------------------------------------- */

static void cutting(void)
{
    char names[200];
    struct ft_error err = { 0 };
    struct ft_network *n = small(), *copy = NULL;
    CHECK(!ft_network_cut(n, SIDE, &copy, &err));
    names_of(copy, names, sizeof names);
    CHECK_STR(names, "input pad conv norm relu side");
    CHECK(copy->output == 5 && copy->layers[5].inputs[0] == 4);
    CHECK(copy->layers[CONV].weights[FT_W_KERNEL].data ==
          n->layers[CONV].weights[FT_W_KERNEL].data);
    CHECK(!copy->storage.n && !copy->attribute);
    ft_network_trim(copy);
    ft_network_free(copy);
    copy = NULL;
    CHECK(ft_network_cut(n, LAYERS, &copy, &err) == FT_EARG && !copy);
    CHECK(ft_network_cut(n, -1, &copy, &err) == FT_EARG && !copy);
    ft_network_free(n);
}

static void heads(void)
{
    const float w[8] = { 1 }, b[2] = { 3, 4 };
    char names[200];
    struct ft_network *n = small(), *copy = NULL;
    CHECK(!ft_network_with_head(n, POOL, "relu", 4, 2, w, b, &copy, NULL));
    names_of(copy, names, sizeof names);
    CHECK_STR(names, "input pad conv norm relu side sum pool relu_2");
    const struct ft_layer *head = &copy->layers[copy->output];
    CHECK(head->kind == FT_LAYER_DENSE && head->inputs[0] == copy->n_layers - 2);
    CHECK(head->params.activation == FT_ACT_SOFTMAX && head->weights[FT_W_BIAS].data == b);
    CHECK(!ft_layer_check(head, NULL));
    ft_network_free(copy);
    copy = NULL;
    CHECK(ft_network_with_head(n, POOL, "head", 4, 0, w, b, &copy, NULL) == FT_EARG && !copy);
    ft_network_free(n);
}

static void pooling(void)
{
    struct ft_network *n = small();
    int last = -1;
    CHECK(!ft_network_pool(n, SUM, &last, NULL));
    CHECK(last == LAYERS && n->output == DENSE && n->layers[last].inputs[0] == SUM);
    CHECK_STR(n->layers[last].name, "pool_2");
    CHECK(ft_network_rank(n, last) == 1);
    ft_network_free(n);
}

/* Colours are reversed in the first convolution, behind the padding. */
static void scaling(void)
{
    const float scale[3] = { 1, 2, 3 }, offset[3] = { 4, 5, 6 };
    struct ft_network *n = small(), *copy;
    float before[108];
    CHECK(!ft_network_cut(n, DENSE, &copy, NULL));
    memcpy(before, copy->layers[CONV].weights[FT_W_KERNEL].data, sizeof before);
    CHECK(!ft_network_scale(copy, 3, scale, offset, true, NULL));
    CHECK(copy->n_layers == LAYERS + 1 && copy->output == DENSE + 1);
    const struct ft_layer *pixels = &copy->layers[1];
    CHECK_STR(pixels->name, "pixels");
    CHECK(pixels->kind == FT_LAYER_RESCALING && pixels->inputs[0] == 0 &&
          pixels->weights[FT_W_SCALE].data[2] == 3 && pixels->weights[FT_W_OFFSET].data[0] == 4);
    CHECK(copy->layers[PAD + 1].inputs[0] == 1 && copy->layers[SUM + 1].inputs[1] == SIDE + 1);
    const float *after = copy->layers[CONV + 1].weights[FT_W_KERNEL].data;
    for (int pixel = 0; pixel < 9; pixel++)
        for (int c = 0; c < 3; c++)
            CHECK(!memcmp(after + (pixel * 3 + c) * 4, before + (pixel * 3 + 2 - c) * 4, 16));
    CHECK(!memcmp(n->layers[CONV].weights[FT_W_KERNEL].data, before, sizeof before));
    ft_network_free(copy);
    n->layers[PAD].kind = FT_LAYER_AVERAGE_POOL;
    struct ft_error err = { 0 };
    CHECK(ft_network_scale(n, 3, scale, offset, true, &err) == FT_EUNSUPPORTED);
    CHECK(strstr(err.msg, "layer 'pad'") != NULL);
    ft_network_free(n);
}

static int releases;

static void release(void *source)
{
    releases += source == &releases;
}

static void storage_is_released_once(void)
{
    struct ft_storage s = { .source = &releases, .release = release };
    CHECK(ft_storage_alloc(&s, 5) && !ft_storage_add(&s, malloc(3)) && !ft_storage_add(&s, NULL));
    CHECK(s.n == 2);
    ft_storage_release(&s);
    CHECK(releases == 1 && !s.n && !s.release);
    ft_storage_release(&s);
    CHECK(releases == 1);
}

/* ---- hash ------------------------------------------------------------------------------------ */

struct hash {
    uint64_t at[2];
};

static struct hash hash_of(const struct ft_network *n, int last)
{
    struct hash h = { { 0, 0 } };
    CHECK(!ft_network_hash(n, last, h.at, NULL) && (h.at[0] || h.at[1]));
    return h;
}

static bool same(struct hash a, struct hash b)
{
    return a.at[0] == b.at[0] && a.at[1] == b.at[1];
}

/* The order of layers, their names and what has no meaning for them do not count. */
static void hash_ignores(void)
{
    struct ft_network *n = small(), *copy, *other = small();
    const struct hash h = hash_of(n, DENSE);
    CHECK(!ft_network_cut(n, DENSE, &copy, NULL));
    CHECK(same(h, hash_of(copy, copy->output)));
    ft_network_free(copy);
    for (int i = 0; i < LAYERS; i++)
        other->layers[i].name[0] = 'X';
    other->layers[POOL].params.filters = 7;
    other->layers[NORM].params.alpha = 7;
    other->layers[ACTIVATION].params.alpha = 1; /* ReLU has none */
    other->layers[PAD].params.shape[0] = 7;
    other->layers[PAD].params.rank = 2;
    CHECK(same(h, hash_of(other, DENSE)));
    CHECK(!same(hash_of(n, POOL), hash_of(n, DENSE)));
    /* dropout is written as a linear activation */
    n->layers[ACTIVATION].kind = FT_LAYER_IDENTITY;
    other->layers[ACTIVATION].params.activation = FT_ACT_LINEAR;
    CHECK(same(hash_of(n, DENSE), hash_of(other, DENSE)));
    ft_network_free(n);
    ft_network_free(other);
}

/* Every parameter with a meaning counts, every weight, every input. */
static void hash_notices(void)
{
    struct ft_network *n = small();
    struct hash seen[32];
    int count = 0;
    seen[count++] = hash_of(n, DENSE);
#define CHANGE(what)                                                                               \
    do {                                                                                           \
        what;                                                                                      \
        seen[count++] = hash_of(n, DENSE);                                                         \
    } while (0)
    CHANGE(n->layers[INPUT].params.shape[1] = 9);
    CHANGE(n->layers[PAD].params.pad[0] = 1);
    CHANGE(n->layers[CONV].params.filters = 5);
    CHANGE(n->layers[CONV].params.groups = 2);
    CHANGE(n->layers[CONV].params.kernel[1] = 4);
    CHANGE(n->layers[CONV].params.stride[0] = 1);
    CHANGE(n->layers[CONV].params.dilation[0] = 2);
    CHANGE(n->layers[CONV].params.padding = FT_PAD_SAME);
    CHANGE(n->layers[CONV].params.activation = FT_ACT_RELU6);
    CHANGE(n->layers[CONV].weights[FT_W_BIAS] = (struct ft_tensor){ 0 });
    CHANGE(n->layers[NORM].params.epsilon = 1e-5f);
    CHANGE(((float *)(uintptr_t)n->layers[NORM].weights[FT_W_MEAN].data)[3] = 0.5f);
    CHANGE(n->layers[ACTIVATION].params.activation = FT_ACT_LEAKY_RELU);
    CHANGE(n->layers[ACTIVATION].params.alpha = 0.1f);
    CHANGE(n->layers[ACTIVATION].params.activation = FT_ACT_RELU_SHAPED);
    CHANGE(n->layers[ACTIVATION].params.most = 3);
    CHANGE(n->layers[ACTIVATION].params.threshold = 2);
    CHANGE(n->layers[SUM].kind = FT_LAYER_MULTIPLY);
    CHANGE(n->layers[SUM].inputs[1] = CONV);
    CHANGE(n->layers[POOL].params.keep_dims = true);
    CHANGE(n->layers[DENSE].params.units = 3);
    for (int i = 0; i < count; i++)
        for (int j = 0; j < i; j++)
            CHECK(!same(seen[i], seen[j]));
    ft_network_free(n);
}

static struct ft_network *open_golden(const char *file)
{
    char path[2][1024];
    struct ft_error err = { 0 };
    struct ft_network *n = NULL;
    snprintf(path[0], sizeof path[0], "%s/golden/containers/%s", getenv("FT_TEST_DATA"), file);
    snprintf(path[1], sizeof path[1], "%s/golden/containers/architectures", getenv("FT_TEST_DATA"));
    if (ft_keras_open(path[0], &(struct ft_reader_options){ .architectures = path[1] }, &n, &err))
        printf("# %s\n", err.msg);
    return n;
}

/* Keras wrote each of these networks to two containers. */
static void hash_is_equal_across_containers(void)
{
    static const char *const pairs[][2] = {
        { "keras3-shared.h5", "keras3-shared.keras" },
        { "keras3-teachable.h5", "keras3-teachable.keras" },
        { "tiny-legacy.h5", "tiny.weights.h5" },
        { "tiny-notop-legacy.h5", "tiny-notop.weights.h5" },
    };
    struct hash seen[4];
    for (int i = 0; i < 4; i++) {
        struct ft_network *a = open_golden(pairs[i][0]), *b = open_golden(pairs[i][1]);
        CHECK(a && b);
        if (a && b) {
            seen[i] = hash_of(a, a->output);
            CHECK(same(seen[i], hash_of(b, b->output)));
            for (int j = 0; j < i; j++)
                CHECK(!same(seen[i], seen[j]));
        }
        ft_network_free(a);
        ft_network_free(b);
    }
}

int main(void)
{
    RUN(kinds_are_complete);
    RUN(shapes_are_checked);
    RUN(separable_shapes_are_checked);
    RUN(multiply_adds);
    RUN(finding);
    RUN(cutting);
    RUN(heads);
    RUN(pooling);
    RUN(scaling);
    RUN(storage_is_released_once);
    RUN(hash_ignores);
    RUN(hash_notices);
    RUN(hash_is_equal_across_containers);
    return test_end();
}
