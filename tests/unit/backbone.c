/* The public functions of backbones, of feature sets and of the machine. Sizes of
 * EfficientNet-Lite0 are those of its authors (github.com/tensorflow/tpu, efficientnet/lite: 4.652
 * M parameters and 407 M multiply-adds with a classifier of 1000 classes). */
#define _GNU_SOURCE
#include <cjson/cJSON.h>
#include <hdf5.h>
#include <sched.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "keras/keras.h"
#include "models.h"
#include "small_network.h"

static struct ft_backbone *backbone;

static void the_bundled_network_is_efficientnet_lite0(void)
{
    const struct ft_geometry *g = ft_backbone_geometry(backbone);
    CHECK_STR(ft_backbone_name(backbone), "efficientnet-lite0");
    CHECK(ft_backbone_features(backbone) == 1280 && g->width == 224 && g->height == 224);
    CHECK(!ft_backbone_warning(backbone));
    struct ft_layer_info *layers = NULL;
    uint64_t parameters = 0, multiply_adds = 0;
    int n = 0, steps = 0;
    CHECK(ft_backbone_layers(backbone, &layers, &n, NULL) == 0);
    for (int i = 0; i < n; i++) {
        parameters += layers[i].parameters;
        multiply_adds += layers[i].multiply_adds;
        steps += layers[i].place == FT_LAYER_STEP;
    }
    /* without the classifier's 1280 * 1000 + 1000 */
    CHECK_NEAR((double)parameters, 4.652e6 - 1.281e6, 0.05e6);
    CHECK_NEAR((double)multiply_adds, 407e6 - 1.28e6, 0.1 * 407e6);
    CHECK(steps == ft_backbone_steps(backbone) && steps > 40 && steps < n);
    for (int i = 0; i < ft_backbone_steps(backbone); i++) {
        struct ft_layer_info step = { 0 };
        bool found = false;
        ft_backbone_step(backbone, i, &step);
        for (int k = 0; k < n && !found; k++)
            found = !strcmp(layers[k].name, step.name) && layers[k].place == FT_LAYER_STEP;
        CHECK(found && step.place == FT_LAYER_STEP && step.channels > 0);
    }
    free(layers);
}

static void convolve(struct ft_network *n, int layer, int in, int filters)
{
    weigh(n, layer, FT_W_KERNEL, 4, (int64_t[]){ 1, 1, in, filters });
    n->layers[layer].params.filters = filters;
}

/* The classes of SqueezeNet are an average over a map: they are not the features. */
static void averaged_classes_are_no_features(void)
{
    struct ft_network *n = calloc(1, sizeof *n);
    struct ft_backbone *b = NULL;
    n->name = strdup("pooled");
    n->layers = calloc(5, sizeof *n->layers);
    add(n, FT_LAYER_INPUT, "input", -1, -1);
    n->layers[0].n_inputs = 0;
    n->layers[0].params.rank = 3;
    memcpy(n->layers[0].params.shape, (int[]){ 8, 8, 3 }, 3 * sizeof(int));
    add(n, FT_LAYER_CONV2D, "body", 0, -1);
    convolve(n, 1, 3, 5);
    add(n, FT_LAYER_CONV2D, "classes", 1, -1);
    convolve(n, 2, 5, 2);
    add(n, FT_LAYER_GLOBAL_AVERAGE_POOL, "average", 2, -1);
    add(n, FT_LAYER_ACTIVATION, "softmax", 3, -1);
    n->layers[4].params.activation = FT_ACT_SOFTMAX;
    n->output = 4;
    CHECK(!ft_keras_write(n, NULL, at("pooled.h5"), NULL));
    CHECK(!ft_backbone_open(at("pooled.h5"), NULL, &b, NULL) && ft_backbone_features(b) == 5);
    ft_backbone_free(b);
    n->output = 3; /* an average without a softmax is a feature */
    CHECK(!ft_keras_write(n, NULL, at("pooled.h5"), NULL));
    CHECK(!ft_backbone_open(at("pooled.h5"), NULL, &b, NULL) && ft_backbone_features(b) == 2);
    ft_backbone_free(b);
    ft_network_free(n);
}

/* Saves the small network with inputs of size x size pixels and `channels` channels. */
static void save_small(const char *name, int size, int channels)
{
    struct ft_network *n = small();
    for (int i = 0; i < 2; i++)
        n->layers[INPUT].params.shape[i] = size;
    n->layers[INPUT].params.shape[2] = channels;
    weigh(n, CONV, FT_W_KERNEL, 4, (int64_t[]){ 3, 3, channels, 4 });
    CHECK(!ft_keras_write(n, NULL, at(name), NULL));
    ft_network_free(n);
}

/* The features of two networks side by side are those of each at the larger size. */
static void two_networks_give_the_features_of_both(void)
{
    struct ft_backbone *alone = NULL, *both = NULL, *reversed = NULL;
    float a[4], ab[D + 4], ba[D + 4], b[D];
    save_small("small.h5", 8, 3);
    CHECK(!ft_backbone_open(at("small.h5"), &(struct ft_backbone_options){ .size = 224 }, &alone,
                            NULL));
    CHECK(!ft_backbone_open(NULL, &(struct ft_backbone_options){ .beside = at("small.h5") }, &both,
                            NULL));
    CHECK(!ft_backbone_open(
        at("small.h5"),
        &(struct ft_backbone_options){ .beside = "efficientnet-lite0", .rule = "crop" }, &reversed,
        NULL));
    CHECK(both && reversed && alone);
    CHECK_STR(ft_backbone_name(both), "efficientnet-lite0+small");
    CHECK_STR(ft_backbone_name(reversed), "small+efficientnet-lite0");
    CHECK(ft_backbone_features(both) == D + 4 && ft_backbone_features(reversed) == D + 4);
    CHECK(ft_backbone_geometry(reversed)->width == 224);
    CHECK(ft_backbone_warning(both) && ft_backbone_warning(reversed)); /* about small.h5 */
    CHECK(!ft_feature_file(alone, picture(), a, NULL) &&
          !ft_feature_file(backbone, picture(), b, NULL));
    CHECK(!ft_feature_file(both, picture(), ab, NULL) &&
          !ft_feature_file(reversed, picture(), ba, NULL));
    for (int i = 0; i < D; i++) {
        CHECK_NEAR(ab[i], b[i], 1e-5);
        CHECK_NEAR(ba[4 + i], b[i], 1e-5);
    }
    for (int i = 0; i < 4; i++) {
        CHECK_NEAR(ab[D + i], a[i], 1e-3 * fabs((double)a[i]) + 1e-3);
        CHECK_NEAR(ba[i], a[i], 1e-3 * fabs((double)a[i]) + 1e-3);
    }
    ft_backbone_free(alone);
    ft_backbone_free(both);
    ft_backbone_free(reversed);
}

static void two_networks_that_do_not_fit_are_refused(void)
{
    struct ft_backbone *b = NULL;
    struct ft_error err = { 0 };
    save_small("grey.h5", 8, 1);
    CHECK(ft_backbone_open(NULL, &(struct ft_backbone_options){ .beside = at("grey.h5") }, &b,
                           &err) == FT_EUNSUPPORTED);
    CHECK(strstr(err.msg, "they take 3 and 1 channels"));
    CHECK(ft_backbone_open(NULL, &(struct ft_backbone_options){ .beside = "absent" }, &b, &err) ==
              FT_EIO &&
          strstr(err.msg, "no backbone 'absent'"));
    unlink(at("grey.h5"));
    unlink(at("small.h5"));
}

static void a_saved_backbone_gives_the_same_features(void)
{
    struct ft_backbone *saved = NULL;
    float a[D], b[D];
    uint64_t bytes = 0;
    struct stat st;
    CHECK(ft_backbone_save(backbone, at("b.h5"), &bytes, NULL) == 0);
    CHECK(!stat(at("b.h5"), &st) && (uint64_t)st.st_size == bytes);
    CHECK(ft_backbone_open(at("b.h5"), NULL, &saved, NULL) == 0);
    CHECK_STR(ft_backbone_name(saved), "efficientnet-lite0");
    CHECK(ft_feature_file(backbone, picture(), a, NULL) == 0);
    CHECK(ft_feature_file(saved, picture(), b, NULL) == 0);
    for (int i = 0; i < D; i++)
        CHECK_NEAR(a[i], b[i], 1e-5);
    ft_backbone_free(saved);
    unlink(at("b.h5"));
}

/* Each block is the feature that the layer gives by itself, and the whole network can be cut back.
 */
/* Two rows of all features: the columns of the last layer. */
static void the_last_block_is_copied(const struct ft_backbone *deep, float *all)
{
    struct ft_features *f = NULL;
    struct ft_matrix last = { 0 };
    float *copy = NULL;
    CHECK(ft_features_new(10240, &f, NULL) == 0);
    for (int i = 0; i < 2; i++) {
        const struct ft_row row = { .path = picture(), .feature = all + i * 10240 };
        CHECK(ft_features_append(f, &row, i, NULL) == 0);
    }
    CHECK(ft_features_last(f, &last, &copy, NULL) == 0 && last.d == 10240 && !copy);
    CHECK(ft_features_set_blocks(f, deep, NULL) == 0 && f->n_blocks == 17);
    CHECK(ft_features_last(f, &last, &copy, NULL) == 0 && last.n == 2 && last.d == D && copy);
    for (int i = 0; i < 2 * D; i++)
        CHECK(last.x[i] == all[i / D * 10240 + 10240 - D + i % D]);
    free(copy);
    ft_features_free(f);
}

static void the_features_of_all_layers_are_blocks(void)
{
    static float all[2 * 10240];
    float one[1280];
    struct ft_backbone *deep = NULL, *last = NULL;
    int n = 0, from = 0;
    CHECK(ft_backbone_open(NULL, &(struct ft_backbone_options){ .layers = "all" }, &deep, NULL) ==
          0);
    const struct ft_block *blocks = ft_backbone_blocks(deep, &n);
    CHECK(n == 17 && ft_backbone_features(deep) == 10240); /* 16 depthwise convolutions */
    CHECK(ft_feature_file(deep, picture(), all, NULL) == 0);
    for (int i = 0; i < n; i++) {
        struct ft_backbone *single = NULL;
        CHECK(blocks[i].from == from && blocks[i].width <= 1280);
        from += blocks[i].width;
        const struct ft_backbone_options options = { .layer = blocks[i].layer };
        CHECK(ft_backbone_open(NULL, &options, &single, NULL) == 0);
        CHECK(ft_backbone_features(single) == blocks[i].width);
        CHECK(ft_feature_file(single, picture(), one, NULL) == 0);
        for (int j = 0; j < blocks[i].width; j++)
            CHECK_NEAR(one[j], all[blocks[i].from + j], 1e-4);
        ft_backbone_free(single);
    }
    CHECK(from == 10240);
    int n_widths = 0;
    const int *widths = ft_backbone_widths(deep, &n_widths);
    CHECK(n_widths == n);
    for (int i = 0; i < n; i++)
        CHECK(widths[i] == blocks[i].width);
    the_last_block_is_copied(deep, all);
    CHECK(ft_backbone_last_block(deep, &last, NULL) == 0 && ft_backbone_features(last) == D);
    ft_backbone_free(deep); /* `last` still owns the network, whose weights are packed once */
    CHECK(ft_feature_file(last, picture(), one, NULL) == 0);
    for (int j = 0; j < D; j++)
        CHECK(one[j] == all[10240 - D + j]);
    ft_backbone_free(last);
}

static void layers_of_the_features_are_chosen_by_name(void)
{
    struct ft_backbone_options options = { .layers = "block3a_relu,block5c_add" };
    struct ft_backbone *b = NULL;
    struct ft_error err = { 0 };
    int n = 0;
    CHECK(ft_backbone_open(NULL, &options, &b, NULL) == 0);
    const struct ft_block *blocks = ft_backbone_blocks(b, &n);
    CHECK(n == 3 && ft_backbone_features(b) == 144 + 112 + D);
    CHECK_STR(blocks[1].layer, "block5c_add");
    ft_backbone_free(b);
    options.layers = "block3a_relu,nothing";
    CHECK(ft_backbone_open(NULL, &options, &b, &err) == FT_EARG && strstr(err.msg, "'nothing'"));
}

static int seen;
static int see(void *user, const char *name, const char *path)
{
    if (!strcmp(name, "efficientnet-lite0")) {
        seen++;
        CHECK(path && !access(path, R_OK));
    }
    return user != NULL ? 7 : 0;
}

static void a_list_has_the_bundled_network_once(void)
{
    seen = 0;
    CHECK(ft_backbone_list(NULL, see, NULL) == 0 && seen == 1);
    CHECK(ft_backbone_list(NULL, see, &seen) == 7);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void benchmarks_measure_time(void)
{
    struct ft_bench bench = { 0 };
    const int n = ft_backbone_steps(backbone);
    double *each = calloc((size_t)n, sizeof *each), sum = 0;
    CHECK(ft_backbone_bench(backbone, 1, 0.2, &bench, NULL) == 0);
    CHECK(bench.threads == 1 && bench.latency_ms > 0.1 && bench.throughput_ms > 0.1);
    const double start = now();
    CHECK(ft_backbone_profile(backbone, 0.2, each, NULL) == 0);
    const double took = now() - start;
    for (int i = 0; i < n; i++) {
        CHECK(each[i] >= 0);
        sum += each[i];
    }
    CHECK(sum > 1e-4 && sum < took);
    free(each);
}

/* Read back with HDF5 itself. */
static void a_feature_file_has_its_rows(void)
{
    struct ft_features *f = NULL;
    char *classes[] = { "cat", "dog" };
    const float x[2][3] = { { 1, 2, 3 }, { -4, 5.5f, 6 } };
    float back[2][3] = { { 0 } };
    int labels[2] = { 9, 9 };
    CHECK(ft_features_new(3, &f, NULL) == 0);
    for (int i = 0; i < 2; i++) {
        const struct ft_row row = { .path = i ? "b.jpg" : "a.jpg", .error = "", .feature = x[i] };
        CHECK(ft_features_append(f, &row, 1 - i, NULL) == 0);
    }
    CHECK(ft_features_bytes(3, 2) == 2 * 2 * 3 * sizeof(float));
    CHECK(ft_features_save(f, classes, 2, at("f.h5"), NULL) == 0);
    const hid_t file = H5Fopen(at("f.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
    const hid_t a = H5Dopen2(file, "features", H5P_DEFAULT),
                b = H5Dopen2(file, "labels", H5P_DEFAULT);
    CHECK(H5Dread(a, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, back) >= 0);
    CHECK(H5Dread(b, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, labels) >= 0);
    CHECK(!memcmp(back, x, sizeof x) && labels[0] == 1 && labels[1] == 0);
    H5Dclose(a);
    H5Dclose(b);
    H5Fclose(file);
    unlink(at("f.h5"));
    CHECK(ft_features_save(f, classes, 2, at("absent/f.h5"), NULL) == FT_EIO);
    ft_features_free(f);
}

static void outputs_are_checked_before_the_work(void)
{
    struct ft_error err;
    CHECK(ft_output_check(at("new.h5"), NULL) == 0 && access(at("new.h5"), F_OK));
    CHECK(ft_output_check(at("absent/new.h5"), &err) && strstr(err.msg, "absent"));
    CHECK(ft_output_check(directory, &err) && strstr(err.msg, directory));
}

static void the_machine(void)
{
    cpu_set_t set;
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    CHECK(sched_getaffinity(0, sizeof set, &set) == 0);
    CHECK(ft_cpu_count() >= 1 && ft_cpu_count() <= CPU_COUNT(&set));
    CHECK(ft_memory_bytes() > 1 << 20 && ft_memory_bytes() <= (uint64_t)pages * (uint64_t)page);
    CHECK_STR(ft_version(), FT_VERSION);
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    const double seconds = ft_clock();
    clock_gettime(CLOCK_MONOTONIC, &after);
    CHECK(seconds >= (double)before.tv_sec && seconds <= (double)after.tv_sec + 1);
    CHECK(ft_clock() >= seconds);
}

static void json_as_text(void)
{
    char *text =
        ft_json_text(cJSON_Parse("{ \"a\" : [1, 2.5, null], \"b\" : \"\\u00e9\\n\" }"), false);
    CHECK_STR(text, "{\"a\":[1,2.5,null],\"b\":\"\xc3\xa9\\n\"}");
    free(text);
    text = ft_json_text(cJSON_Parse("{\"a\":1}"), true);
    CHECK_STR(text, "{\n\t\"a\":\t1\n}");
    free(text);
}

int main(void)
{
    if (!mkdtemp(directory) || ft_backbone_open(NULL, NULL, &backbone, NULL))
        return 1;
    RUN(the_bundled_network_is_efficientnet_lite0);
    RUN(averaged_classes_are_no_features);
    RUN(two_networks_give_the_features_of_both);
    RUN(two_networks_that_do_not_fit_are_refused);
    RUN(a_saved_backbone_gives_the_same_features);
    RUN(the_features_of_all_layers_are_blocks);
    RUN(layers_of_the_features_are_chosen_by_name);
    RUN(a_list_has_the_bundled_network_once);
    RUN(benchmarks_measure_time);
    RUN(a_feature_file_has_its_rows);
    RUN(outputs_are_checked_before_the_work);
    RUN(the_machine);
    RUN(json_as_text);
    ft_backbone_free(backbone);
    rmdir(directory);
    return test_end();
}
