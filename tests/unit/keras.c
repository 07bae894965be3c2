/* keras/: files that Keras wrote (tests/golden/keras, made by scripts/golden_keras.py), the bundled
 * network, and files written and read back. */
#define _GNU_SOURCE
#include "small_network.h"

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "keras/blob.h"
#include "keras/keras.h"
#include "network/edit.h"
#include "network/hash.h"

static const char *temporary(const char *name)
{
    static char path[2][256];
    static int next;
    char *out = path[next++ % 2];
    snprintf(out, sizeof path[0], "/tmp/ft-keras-%d-%s", (int)getpid(), name);
    return out;
}

static int find(const struct ft_network *network, const char *name)
{
    for (int i = 0; i < network->n_layers; i++)
        if (!strcmp(network->layers[i].name, name))
            return i;
    printf("# no layer '%s'\n", name);
    exit(1);
}

static struct ft_network *open_or_exit(const char *path)
{
    struct ft_error err;
    struct ft_network *network = NULL;
    if (ft_keras_open(path, NULL, &network, &err)) {
        printf("# %s\nBail out!\n", err.msg);
        exit(1);
    }
    return network;
}

static bool same_bytes(const char *a, const char *b)
{
    struct ft_bytes x = { 0 }, y = { 0 };
    const bool same = !ft_file_read(a, 1 << 30, &x, NULL) && !ft_file_read(b, 1 << 30, &y, NULL) &&
                      x.size == y.size && !memcmp(x.data, y.data, x.size);
    ft_bytes_release(&x);
    ft_bytes_release(&y);
    return same;
}

/* Facts that the architecture's paper and scripts/make_weights.py state. */
static void bundled(void)
{
    struct ft_network *network = open_or_exit(data_path("../weights/efficientnet-lite0.h5"));
    CHECK_STR(network->name, "efficientnet-lite0");
    CHECK(network->layers[0].kind == FT_LAYER_INPUT && network->layers[0].params.shape[0] == 224);
    CHECK(network->attribute && strstr(network->attribute, "\"bicubic\""));
    const struct ft_layer *rescale = &network->layers[find(network, "rescaling")];
    CHECK_NEAR(rescale->weights[FT_W_SCALE].data[0], 1.0 / 128, 0);
    CHECK_NEAR(rescale->weights[FT_W_OFFSET].data[0], -127.0 / 128, 0);
    const struct ft_layer *stem = &network->layers[find(network, "stem_conv")];
    CHECK(stem->params.stride[0] == 2 && stem->params.padding == FT_PAD_SAME &&
          stem->params.filters == 32);
    CHECK_NEAR(network->layers[find(network, "stem_bn")].params.epsilon, 1e-3, 1e-10);
    CHECK(network->layers[find(network, "stem_relu")].params.activation == FT_ACT_RELU6);
    CHECK(network->layers[network->output].kind == FT_LAYER_GLOBAL_AVERAGE_POOL);
    size_t parameters = 0;
    for (int i = 0; i < network->n_layers; i++)
        for (int w = 0; w < FT_MAX_WEIGHTS; w++)
            if (network->layers[i].kind != FT_LAYER_RESCALING)
                parameters += network->layers[i].weights[w].count;
    CHECK(parameters == 3413024); /* Keras's model.count_params() */
    float before = stem->weights[FT_W_KERNEL].data[5];
    ft_network_trim(network);
    CHECK(stem->weights[FT_W_KERNEL].data[5] == before);
    ft_network_free(network);
}

static void head_and_back(void)
{
    struct ft_error err;
    struct ft_network *network = open_or_exit(data_path("../weights/efficientnet-lite0.h5")),
                      *with = NULL;
    float w[1280 * 2], b[2] = { 1, -1 };
    for (int i = 0; i < 1280 * 2; i++)
        w[i] = (float)i / 1280;
    CHECK(!ft_network_with_head(network, network->output, "avg_pool", 1280, 2, w, b, &with, &err));
    CHECK_STR(with->layers[with->output].name, "avg_pool_2");
    CHECK(with->n_layers == network->n_layers + 1);
    const char *one = temporary("one.h5"), *two = temporary("two.h5");
    CHECK(!ft_keras_write(with, "{\"format\":1}", one, &err));
    struct ft_network *back = open_or_exit(one);
    CHECK_STR(back->attribute, "{\"format\":1}");
    CHECK(!memcmp(back->layers[back->output].weights[FT_W_KERNEL].data, w, sizeof w));
    CHECK(back->layers[back->output].params.activation == FT_ACT_SOFTMAX);
    uint64_t h[3][2];
    CHECK(!ft_network_hash(network, network->output, h[0], NULL));
    CHECK(!ft_network_hash(back, back->layers[back->output].inputs[0], h[1], NULL));
    CHECK(!ft_network_hash(back, back->output, h[2], NULL));
    CHECK(!memcmp(h[0], h[1], sizeof h[0]) && memcmp(h[0], h[2], sizeof h[0]));
    CHECK(!ft_keras_write(back, back->attribute, two, &err) && same_bytes(one, two));
    ft_network_free(back);
    ft_network_free(with);
    ft_network_free(network);
    CHECK(unlink(one) == 0 && unlink(two) == 0);
}

static int weight_place(const char *name)
{
    static const char *const names[][2] = {
        { "kernel", "0" }, { "bias", "1" },        { "gamma", "0" },
        { "beta", "1" },   { "moving_mean", "2" }, { "moving_variance", "3" },
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i][0], name))
            return atoi(names[i][1]);
    return -1;
}

static void check_weight(const struct ft_tensor *t, const char *shape, double sum, double moment)
{
    char text[64] = "";
    double got = 0, got_moment = 0;
    for (int i = 0; i < t->rank; i++)
        sprintf(text + strlen(text), "%s%lld", i ? "x" : "", (long long)t->shape[i]);
    CHECK_STR(text, shape);
    for (size_t i = 0; i < t->count; i++) {
        got += t->data[i];
        got_moment += (double)i * t->data[i];
    }
    CHECK_NEAR(got, sum, 1e-7 * sum);
    CHECK_NEAR(got_moment, moment, 1e-7 * moment);
}

/* Every weight that Keras says it wrote: place, shape, sum and first moment. */
static void golden_weights(void)
{
    FILE *f = fopen(data_path("golden/keras/expected.txt"), "r");
    char file[64], layer[64], weight[64], shape[64], open[64] = "", line[400];
    double sum, moment;
    struct ft_network *network = NULL;
    int lines = 0;
    CHECK(f != NULL);
    for (; f && fgets(line, sizeof line, f); lines++) {
        CHECK(sscanf(line, "%63s %63s %63s %63s %lf %lf", file, layer, weight, shape, &sum,
                     &moment) == 6);
        if (strcmp(file, open)) {
            char relative[128];
            ft_network_free(network);
            snprintf(relative, sizeof relative, "golden/keras/%s", file);
            network = open_or_exit(data_path(relative));
            strcpy(open, file);
        }
        check_weight(&network->layers[find(network, layer)].weights[weight_place(weight)], shape,
                     sum, moment);
    }
    CHECK(lines > 60);
    ft_network_free(network);
    if (f)
        fclose(f);
}

static void check_structure(const struct ft_network *n)
{
#define AT(name)       n->layers[find(n, name)]
#define IS(name, what) CHECK(AT(name).kind == FT_LAYER_##what)
    CHECK(n->n_layers == 24 && !strcmp(n->layers[n->output].name, "dense") &&
          !strcmp(n->name, "everything"));
    for (int i = 0; i < n->n_layers; i++)
        for (int j = 0; j < n->layers[i].n_inputs; j++)
            CHECK(n->layers[i].inputs[j] < i);
    CHECK(n->layers[0].kind == FT_LAYER_INPUT && n->layers[0].params.shape[0] == 12 &&
          n->layers[0].params.shape[1] == 10);
    IS("rescale", RESCALING);
    CHECK(AT("rescale").weights[FT_W_OFFSET].count == 3 &&
          AT("rescale").weights[FT_W_OFFSET].data[2] == -3);
    IS("pad", ZERO_PAD);
    CHECK(AT("pad").params.pad[0] == 0 && AT("pad").params.pad[1] == 1 &&
          AT("pad").params.pad[2] == 2 && AT("pad").params.pad[3] == 3);
    const struct ft_layer_params *p = &AT("conv").params;
    CHECK(p->kernel[0] == 3 && p->kernel[1] == 2 && p->stride[0] == 2 && p->stride[1] == 2 &&
          p->padding == FT_PAD_SAME);
    CHECK(p->activation == FT_ACT_RELU && p->filters == 8 && p->groups == 1);
    CHECK_NEAR(AT("bn").params.epsilon, 1.001e-5, 1e-12);
    CHECK(!AT("bn_without_scale").weights[FT_W_GAMMA].data &&
          AT("bn_without_scale").weights[FT_W_BETA].data);
    CHECK(AT("bn_without_beta").weights[FT_W_GAMMA].data &&
          !AT("bn_without_beta").weights[FT_W_BETA].data);
    CHECK(AT("relu6").kind == FT_LAYER_ACTIVATION && AT("relu6").params.activation == FT_ACT_RELU6);
    CHECK(AT("depthwise").kind == FT_LAYER_DEPTHWISE_CONV2D &&
          AT("depthwise").params.multiplier == 2);
    CHECK(AT("swish").params.activation == FT_ACT_SWISH && AT("project").params.groups == 2 &&
          AT("side").params.dilation[1] == 2);
    CHECK(AT("add").kind == FT_LAYER_ADD && AT("add").n_inputs == 3 &&
          AT("add").inputs[1] == find(n, "relu6"));
    IS("multiply", MULTIPLY);
    IS("concatenate", CONCATENATE);
    CHECK(AT("max").kind == FT_LAYER_MAX_POOL && AT("max").params.kernel[0] == 3 &&
          AT("max").params.stride[0] == 1 && AT("max").params.padding == FT_PAD_SAME);
    CHECK(AT("average").params.kernel[0] == 2 && AT("average").params.kernel[1] == 1 &&
          AT("average").params.stride[0] == 2);
    CHECK(AT("mean").kind == FT_LAYER_GLOBAL_AVERAGE_POOL && AT("mean").params.keep_dims);
    CHECK(AT("top").kind == FT_LAYER_GLOBAL_MAX_POOL && !AT("top").params.keep_dims);
    CHECK(AT("reshape").kind == FT_LAYER_RESHAPE && AT("reshape").params.rank == 1 &&
          AT("reshape").params.shape[0] == 16);
    IS("flatten", FLATTEN);
    IS("dropout", IDENTITY);
    CHECK(AT("dense").kind == FT_LAYER_DENSE && AT("dense").params.units == 5 &&
          AT("dense").params.activation == FT_ACT_SOFTMAX);
}

/* Both dialects tell the same story, and so does the file written from either. */
static void structure(void)
{
    struct ft_error err;
    uint64_t hash[4][2];
    const char *one = temporary("one.h5"), *two = temporary("two.h5");
    for (int dialect = 0; dialect < 2; dialect++) {
        struct ft_network *n = open_or_exit(data_path(
            dialect ? "golden/keras/keras3-functional.h5" : "golden/keras/keras2-functional.h5"));
        check_structure(n);
        CHECK(!ft_network_hash(n, n->output, hash[dialect], NULL));
        CHECK(!ft_keras_write(n, NULL, one, &err));
        struct ft_network *back = open_or_exit(one);
        CHECK(!ft_network_hash(back, back->output, hash[2 + dialect], NULL));
        CHECK(!back->attribute && !ft_keras_write(back, NULL, two, &err) && same_bytes(one, two));
        ft_network_free(back);
        ft_network_free(n);
    }
    CHECK(!memcmp(hash[0], hash[1], 16) && !memcmp(hash[0], hash[2], 16) &&
          !memcmp(hash[0], hash[3], 16));
    CHECK(unlink(one) == 0 && unlink(two) == 0);
}

static void sequential(void)
{
    for (int dialect = 2; dialect <= 3; dialect++) {
        char relative[64];
        snprintf(relative, sizeof relative, "golden/keras/keras%d-sequential.h5", dialect);
        struct ft_network *n = open_or_exit(data_path(relative));
        CHECK(n->n_layers == 5 && n->layers[0].kind == FT_LAYER_INPUT &&
              n->layers[0].params.shape[2] == 1);
        CHECK(n->layers[4].inputs[0] == 3 && !n->layers[4].weights[FT_W_BIAS].data &&
              n->output == 4);
        ft_network_free(n);
    }
}

/* Cutting a network in the middle keeps what the cut needs; writing fails cleanly. */
static void cut(void)
{
    struct ft_error err;
    struct ft_network *n = open_or_exit(data_path("golden/keras/keras2-functional.h5")),
                      *with = NULL;
    const float w[8 * 3] = { 1 }, b[3] = { 0 };
    CHECK(!ft_network_with_head(n, find(n, "relu6"), "head", 8, 3, w, b, &with, &err));
    CHECK(with->n_layers == 7 && with->output == 6);
    CHECK(ft_keras_write(with, NULL, "/nonexistent/folder/m.h5", &err) == FT_EIO);
    CHECK_STR(err.msg, "cannot create '/nonexistent/folder/m.h5'");
    ft_network_free(with);
    CHECK(ft_network_with_head(n, 99, "head", 8, 3, w, b, &with, &err) == FT_EARG);
    ft_network_free(n);
}

/* Processor time of writing a chain of n convolutions. */
static double seconds_to_write(int n_layers)
{
    struct ft_error err = { 0 };
    struct ft_network *n = calloc(1, sizeof *n);
    n->layers = calloc((size_t)n_layers + 1, sizeof *n->layers);
    n->name = strdup("chain");
    add(n, FT_LAYER_INPUT, "input", -1, -1);
    n->layers[0].params.rank = 3;
    memcpy(n->layers[0].params.shape, (int[]){ 8, 8, 3 }, 3 * sizeof(int));
    for (int i = 1; i <= n_layers; i++) {
        char name[24];
        snprintf(name, sizeof name, "conv%d", i);
        add(n, FT_LAYER_CONV2D, name, i - 1, -1);
        weigh(n, i, FT_W_KERNEL, 4, (int64_t[]){ 1, 1, 3, 3 });
        n->layers[i].params.filters = 3;
    }
    n->output = n_layers;
    const char *path = temporary("chain.h5");
    const clock_t start = clock();
    CHECK(!ft_keras_write(n, NULL, path, &err));
    const double took = (double)(clock() - start) / CLOCKS_PER_SEC;
    struct ft_network *back = open_or_exit(path);
    CHECK(back->n_layers == n_layers + 1);
    ft_network_free(back);
    ft_network_free(n);
    CHECK(unlink(path) == 0);
    return took;
}

/* Four times the layers took 14 times as long when HDF5 aligned each small object. */
static void many_layers(void)
{
    const double few = seconds_to_write(750), many = seconds_to_write(3000);
    printf("# 750 layers: %.2f s, 3000: %.2f s\n", few, many);
    CHECK(many < 8 * few);
}

/* Bytes that are kept beside a network; Keras files without them have none. */
static void blobs(void)
{
    const uint8_t bytes[5] = { 1, 0, 255, 7, 9 };
    const char *path = temporary("blob.h5");
    struct ft_error err = { 0 };
    struct ft_network *n = open_or_exit(data_path("golden/keras/keras2-sequential.h5"));
    uint8_t *back = NULL;
    size_t size = 1;
    CHECK(!ft_keras_write(n, NULL, path, &err));
    CHECK(!ft_blob_read(path, "extra", 100, &back, &size, &err) && !back && !size);
    CHECK(!ft_blob_write(path, "extra", bytes, sizeof bytes, &err));
    CHECK(!ft_blob_read(path, "extra", 5, &back, &size, &err) && size == 5);
    CHECK(back && !memcmp(back, bytes, sizeof bytes));
    free(back);
    back = NULL;
    CHECK(ft_blob_read(path, "extra", 4, &back, &size, &err) == FT_EFORMAT && !back);
    CHECK(strstr(err.msg, "blob.h5': 'extra'"));
    CHECK(ft_blob_read(path, "model_weights", 100, &back, &size, &err) == FT_EFORMAT && !back);
    CHECK(ft_blob_write(path, "extra", bytes, sizeof bytes, &err) == FT_EIO); /* it is there */
    struct ft_network *again = open_or_exit(path);
    CHECK(again->n_layers == n->n_layers);
    ft_network_free(again);
    ft_network_free(n);
    CHECK(unlink(path) == 0);
    CHECK(ft_blob_read(path, "extra", 4, &back, &size, &err) == FT_EIO && !back);
    CHECK(ft_blob_write(path, "extra", bytes, sizeof bytes, &err) == FT_EIO);
}

int main(void)
{
    RUN(bundled);
    RUN(head_and_back);
    RUN(golden_weights);
    RUN(structure);
    RUN(sequential);
    RUN(cut);
    RUN(many_layers);
    RUN(blobs);
    return test_end();
}
