/* Every family of KerasHub presets against keras_hub: the small presets of golden/presets
 * (scripts/golden_presets.py), as they are, and again after they have been written as a Keras file
 * and read back. */
#define _GNU_SOURCE
#include "../test.h"

#include <dirent.h>
#include <unistd.h>

#include "backbone/backbone.h"
#include "expected.h"
#include "keras/keras.h"
#include "network/hash.h"
#include "network/transfer.h"
#include "presets/presets.h"

static void check_preset(const char *name, const char *expected, int size)
{
    char path[4096], again[64];
    struct ft_network *network = NULL;
    struct ft_error err = { 0 };
    snprintf(again, sizeof again, "/tmp/ft-presets-%d.h5", (int)getpid());
    const struct ft_reader_options options = { .size = size };
    snprintf(path, sizeof path, "%s/golden/presets/%s/%s", getenv("FT_TEST_DATA"), name, expected);
    FILE *f = fopen(path, "r");
    *strrchr(path, '/') = 0;
    CHECK(f && !ft_network_open(path, &options, &network, &err));
    check_again(network, ft_network_open, name, f, again, &err);
    if (f)
        fclose(f);
    unlink(again);
    ft_network_free(network);
}

static void families_agree_with_keras_hub(void)
{
    char path[4096];
    int presets = 0;
    snprintf(path, sizeof path, "%s/golden/presets", getenv("FT_TEST_DATA"));
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (entry->d_name[0] != '.') {
            check_preset(entry->d_name, "expected.txt", 0);
            presets++;
        }
    if (dir)
        closedir(dir);
    check_preset("dinov2", "expected-128.txt", 128);
    check_preset("dinov3", "expected-128.txt", 128);
    CHECK(presets == 33 && compared == 35 * CPUS * 2 * 2);
}

/* config.json names the preset as its folder does. */
static void config_names_a_preset(void)
{
    char path[4096];
    struct ft_network *network = NULL;
    snprintf(path, sizeof path, "%s/golden/presets/vit/config.json", getenv("FT_TEST_DATA"));
    CHECK(!ft_network_open(path, NULL, &network, NULL));
    CHECK(network && !strcmp(network->name, "ViTBackbone"));
    ft_network_free(network);
}

/* Bytes that are sent of a network, which may be NULL. */
static size_t bytes_sent(const struct ft_network *network)
{
    static uint8_t room[1 << 20];
    struct ft_outbox outbox = { .base = room, .capacity = sizeof room };
    if (network)
        ft_network_send(network, &outbox);
    CHECK(!outbox.failed);
    return outbox.size;
}

/* The process that reads a file sends weights as their place in one of the files, also if they have
 * two bytes each: no copy of them is in memory beside the packed one. */
static void weights_are_not_sent(void)
{
    static const char *const presets[] = { "vit/model.weights.h5", "vit_bfloat16/model.weights.h5",
                                           "vit_shards/model_00000.weights.h5",
                                           "vit_bfloat16_shards/model_00000.weights.h5" };
    for (size_t p = 0; p < sizeof presets / sizeof *presets; p++) {
        struct ft_network *network = NULL;
        char path[4096];
        size_t floats = 0;
        snprintf(path, sizeof path, "%s/golden/presets/%s", getenv("FT_TEST_DATA"), presets[p]);
        CHECK(!ft_preset_reader.open(path, NULL, &network, NULL));
        for (int i = 0; network && i < network->n_layers; i++)
            for (int w = FT_W_QUERY; w <= FT_W_OUTPUT; w += FT_W_KEY)
                if (network->layers[i].kind == FT_LAYER_ATTENTION)
                    floats += network->layers[i].weights[w].count;
        CHECK(floats == 2 * 4 * 24 * 24); /* two blocks of four kernels */
        const size_t sent = bytes_sent(network);
        if (network)
            network->storage.n_files = network->storage.n_narrow = 0;
        CHECK(bytes_sent(network) > sent + floats * sizeof(float));
        ft_network_free(network);
    }
}

/* By the settings of the preset: 2 blocks, 2 heads in 24 channels, 32 x 32 pixels in patches of 8 x
 * 8, and 5 tokens in front. */
static void a_transformer_describes_itself(void)
{
    char path[4096];
    struct ft_backbone *b = NULL;
    struct ft_transformer_info t;
    snprintf(path, sizeof path, "%s/golden/presets/dinov3", getenv("FT_TEST_DATA"));
    CHECK(!ft_backbone_open(path, NULL, &b, NULL) && !ft_backbone_transformer(b, &t, NULL));
    CHECK(t.blocks == 2 && t.heads == 2 && t.head_channels == 12 && t.tokens == 21);
    CHECK(t.patch[0] == 8 && t.patch[1] == 8);
    ft_backbone_free(b);
    snprintf(path, sizeof path, "%s/golden/presets/resnet", getenv("FT_TEST_DATA"));
    CHECK(!ft_backbone_open(path, NULL, &b, NULL) && !ft_backbone_transformer(b, &t, NULL));
    CHECK(!t.blocks && !t.tokens);
    ft_backbone_free(b);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    CHECK(f && fputs(text, f) >= 0);
    if (f)
        fclose(f);
}

/* Opens a preset that must be refused with a message that contains `message`. Returns the error. */
static int refused(const char *folder, const char *message)
{
    struct ft_network *network = NULL;
    struct ft_error err = { 0 };
    const int rc = ft_network_open(folder, NULL, &network, &err);
    if (!strstr(err.msg, message))
        printf("# %s\n", err.msg);
    CHECK(rc && !network && strstr(err.msg, message));
    return rc;
}

/* The settings of the ViT preset, with one of them replaced, above its weights. */
static void settings_are_checked(void)
{
    static const struct {
        const char *config, *message;
    } cases[] = {
        { "{\"class_name\": \"GemmaBackbone\", \"config\": {}}",
          "'GemmaBackbone' is not supported" },
        { "{\"class_name\": \"ViTBackbone\", \"config\": {\"image_shape\": [32, 32, 3]}}",
          "no valid 'image_shape', 'num_layers'" },
        { "{\"class_name\": \"ViTBackbone\", \"config\": {\"image_shape\": [64, 32, 3], "
          "\"num_layers\": 2}}",
          "position embedding has 408 values, but an input of 64 x 32 needs 792" },
        { "{\"class_name\": \"ViTBackbone\", \"config\": {\"image_shape\": [32, 32, 3], "
          "\"num_layers\": 9}}",
          "are missing from 'model.weights.h5'" },
        { "{\"class_name\": \"DeiTBackbone\", \"config\": {\"image_shape\": [32, 32, 3], "
          "\"num_layers\": 2}}",
          "patch_embedding/vars/0' are missing from 'model.weights.h5'" },
        { "{\"class_name\": ", "'config.json': it is not JSON" },
    };
    char folder[] = "/tmp/ft-preset-XXXXXX", path[4096], weights[4096], link[4096];
    CHECK(mkdtemp(folder));
    snprintf(weights, sizeof weights, "%s/golden/presets/vit/model.weights.h5",
             getenv("FT_TEST_DATA"));
    snprintf(link, sizeof link, "%s/model.weights.h5", folder);
    snprintf(path, sizeof path, "%s/config.json", folder);
    CHECK(!symlink(weights, link));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_file(path, cases[i].config);
        CHECK(refused(folder, cases[i].message));
    }
    unlink(link);
    unlink(path);
    rmdir(folder);
}

/* The settings of a MobileNetV5 with the first `from` replaced, above its weights. */
static void parts_of_mobilenet_v5_are_refused_by_name(void)
{
    static const struct {
        const char *from, *to, *message;
    } cases[] = {
        { "\"mqa\"", "\"mha\"", "the block type 'mha' of MobileNetV5 is not supported" },
        { "\"batch_norm\"", "\"layer_norm\"", "the normalisation 'layer_norm' is not supported" },
        { "\"batch_norm\"", "{\"class_name\": \"LayerNormalization\"}",
          "the normalisation '(not a name)' is not supported" },
        { "\"same\"", "[1, 1]", "the padding '(not a name)' is not supported" },
        { "\"stackwise_strides\": [", "\"stackwise_strides\": [[\"x\"],",
          "item 0 of row 0 of 'stackwise_strides' in 'config.json' is not valid" },
        { "\"same\"", "\"valid\"", "the padding 'valid' is not supported" },
        { "0.0", "0.5", "squeeze and excitation in MobileNetV5 is not supported" },
        { "\"msfa_indices\"", "\"unused\"", "'msfa_indices' in 'config.json' is not valid" },
        { "\"relu\"", "\"exotic\"", "the activation 'exotic' is not supported" },
    };
    char folder[] = "/tmp/ft-v5-XXXXXX", from[4096], path[4096], link[4096];
    char text[1 << 15], changed[1 << 15];
    CHECK(mkdtemp(folder));
    snprintf(from, sizeof from, "%s/golden/presets/mobilenet_v5_batch_norm/config.json",
             getenv("FT_TEST_DATA"));
    FILE *f = fopen(from, "r");
    const size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    CHECK(n > 0 && feof(f) && !fclose(f));
    text[n] = 0;
    snprintf(strrchr(from, '/'), 32, "/model.weights.h5");
    snprintf(link, sizeof link, "%s/model.weights.h5", folder);
    snprintf(path, sizeof path, "%s/config.json", folder);
    CHECK(!symlink(from, link));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *at = strstr(text, cases[i].from);
        CHECK(at);
        snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at ? at - text : 0), text, cases[i].to,
                 at ? at + strlen(cases[i].from) : "");
        write_file(path, changed);
        CHECK(refused(folder, cases[i].message) == FT_EUNSUPPORTED ||
              strstr(cases[i].message, "not valid"));
    }
    unlink(link);
    unlink(path);
    rmdir(folder);
}

/* A preset whose list of files does not fit what is there, above the shards of another. */
static void shards_are_checked(void)
{
    static const struct {
        const char *list, *message;
    } cases[] = {
        { "{\"weight_map\": {\"/a\": \"model_00000.weights.h5\", \"/b\": "
          "[\"model_00001.weights.h5\"]}}",
          "'model_00001.weights.h5' beside it: cannot be opened" },
        { "{\"weight_map\": {\"/a\": \"../model_00000.weights.h5\"}}", "does not name the files" },
        { "{\"weight_map\": {}}", "does not name the files" },
        { "{\"weight_map\": {\"/a\": \"model_00000.weights.h5\"}}", "are missing from" },
        { "[", "'model.weights.json': it is not JSON" },
    };
    static const char *const linked[] = { "config.json", "model_00000.weights.h5" };
    char folder[] = "/tmp/ft-shards-XXXXXX", path[4096], from[4096];
    CHECK(mkdtemp(folder));
    for (int i = 0; i < 2; i++) {
        snprintf(from, sizeof from, "%s/golden/presets/vit_shards/%s", getenv("FT_TEST_DATA"),
                 linked[i]);
        snprintf(path, sizeof path, "%s/%s", folder, linked[i]);
        CHECK(!symlink(from, path));
    }
    snprintf(path, sizeof path, "%s/model.weights.json", folder);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ft_network *network = NULL;
        struct ft_error err = { 0 };
        write_file(path, cases[i].list);
        CHECK(ft_network_open(folder, NULL, &network, &err));
        if (!strstr(err.msg, cases[i].message))
            printf("# %s\n", err.msg);
        CHECK(!network && strstr(err.msg, cases[i].message));
    }
    unlink(path);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, linked[i]);
        unlink(path);
    }
    rmdir(folder);
}

int main(void)
{
    RUN(families_agree_with_keras_hub);
    RUN(config_names_a_preset);
    RUN(weights_are_not_sent);
    RUN(a_transformer_describes_itself);
    RUN(settings_are_checked);
    RUN(parts_of_mobilenet_v5_are_refused_by_name);
    RUN(shards_are_checked);
    return test_end();
}
