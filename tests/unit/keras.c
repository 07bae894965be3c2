/* keras/: files that Keras wrote (tests/golden/keras, made by scripts/golden_keras.py), the bundled network, files written and read
 * back, and hostile files (tests/bad). */
#define _GNU_SOURCE
#include "../test.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "keras/network.h"

static char path_buffer[4][1024];

static const char *data_path(const char *relative)
{
    static int next;
    char *path = path_buffer[next++ % 4];
    snprintf(path, sizeof path_buffer[0], "%s/%s", getenv("FT_TEST_DATA"), relative);
    return path;
}

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
    if (ft_network_open(path, &network, &err)) {
        printf("# %s\nBail out!\n", err.msg);
        exit(1);
    }
    return network;
}

static bool same_bytes(const char *a, const char *b)
{
    struct ft_bytes x = { 0 }, y = { 0 };
    const bool same = !ft_file_read(a, 1 << 30, &x, NULL) && !ft_file_read(b, 1 << 30, &y, NULL) && x.size == y.size &&
                      !memcmp(x.data, y.data, x.size);
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
    CHECK(stem->params.stride[0] == 2 && stem->params.padding == FT_PAD_SAME && stem->params.filters == 32);
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
    ft_network_unload(network);
    CHECK(stem->weights[FT_W_KERNEL].data[5] == before);
    ft_network_free(network);
}

static void head_and_back(void)
{
    struct ft_error err;
    struct ft_network *network = open_or_exit(data_path("../weights/efficientnet-lite0.h5")), *with = NULL;
    float w[1280 * 2], b[2] = { 1, -1 };
    for (int i = 0; i < 1280 * 2; i++)
        w[i] = (float)i / 1280;
    CHECK(!ft_network_with_head(network, network->output, "avg_pool", 1280, 2, w, b, &with, &err));
    CHECK_STR(with->layers[with->output].name, "avg_pool_2");
    CHECK(with->n_layers == network->n_layers + 1);
    const char *one = temporary("one.h5"), *two = temporary("two.h5");
    CHECK(!ft_network_write(with, "{\"format\":1}", one, &err));
    struct ft_network *back = open_or_exit(one);
    CHECK_STR(back->attribute, "{\"format\":1}");
    CHECK(!memcmp(back->layers[back->output].weights[FT_W_KERNEL].data, w, sizeof w));
    CHECK(back->layers[back->output].params.activation == FT_ACT_SOFTMAX);
    uint64_t h[3][2];
    ft_network_hash(network, network->output, h[0]);
    ft_network_hash(back, back->layers[back->output].inputs[0], h[1]);
    ft_network_hash(back, back->output, h[2]);
    CHECK(!memcmp(h[0], h[1], sizeof h[0]) && memcmp(h[0], h[2], sizeof h[0]));
    CHECK(!ft_network_write(back, back->attribute, two, &err) && same_bytes(one, two));
    ft_network_free(back);
    ft_network_free(with);
    ft_network_free(network);
    CHECK(unlink(one) == 0 && unlink(two) == 0);
}

int main(void)
{
    RUN(bundled);
    RUN(head_and_back);
    return test_end();
}
