/* ONNX files against ONNX Runtime: the networks of golden/onnx (scripts/golden_onnx.py), or the
 * files in the arguments, each NAME.onnx with its expected output in NAME.txt. */
#define _GNU_SOURCE
#include "../test.h"

#include <dirent.h>
#include <math.h>
#include <unistd.h>

#include "base/memory.h"
#include "finetune/model.h"
#include "graph/plan.h"
#include "onnx/onnx.h"

static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Runs the network on pixels from a seed, and compares places of its output. */
static void compare(const struct ft_network *network, FILE *f, const char *name)
{
    unsigned long long seed;
    int h, w, c, count, n, place;
    double largest, want, worst = 0;
    char word[64];
    struct ft_plan *plan = NULL;
    struct ft_error err = { 0 };
    CHECK(fscanf(f, "%llu %d %d %d", &seed, &h, &w, &c) == 4);
    CHECK(fscanf(f, "%63s %d %lf %d", word, &count, &largest, &n) == 4);
    CHECK(largest > 0);
    uint64_t state = seed;
    uint8_t *pixels = malloc((size_t)(h * w * c));
    for (int i = 0; i < h * w * c; i++)
        pixels[i] = (uint8_t)(next(&state) >> 56);
    const struct ft_plan_options options = { .layer = network->output, .height = h, .width = w };
    if (ft_plan_new(network, &options, &plan, &err)) {
        printf("# %s: %s\n", name, err.msg);
        CHECK(!"the network cannot be planned");
        free(pixels);
        return;
    }
    const struct ft_shape s = ft_plan_output(plan);
    CHECK(s.h * s.w * s.c == count);
    float *arena = ft_alloc(ft_plan_arena_bytes(plan, 1), 1),
          *output = ft_alloc((size_t)(s.h * s.w * s.c), sizeof *output);
    ft_plan_run(plan, pixels, arena, output);
    for (int i = 0; s.h * s.w * s.c == count && i < n; i++) {
        CHECK(fscanf(f, "%d %lf", &place, &want) == 2);
        worst = fmax(worst, fabs(output[place] - want) / largest);
    }
    if (worst > 1e-5)
        printf("# %s: error %.3g of the largest value\n", name, worst);
    else if (getenv("FT_VERBOSE"))
        printf("# %s: %d layers, error %.3g\n", name, network->n_layers, worst);
    CHECK(worst <= 1e-5);
    free(arena);
    free(output);
    free(pixels);
    ft_plan_free(plan);
}

/* base: the path without ".onnx" */
static void check_file(const char *base)
{
    char path[4096];
    struct ft_network *network = NULL;
    struct ft_error err = { 0 };
    snprintf(path, sizeof path, "%s.txt", base);
    FILE *f = fopen(path, "r");
    snprintf(path, sizeof path, "%s.onnx", base);
    const int rc = ft_onnx_reader.open(path, NULL, &network, &err);
    if (rc)
        printf("# %s\n", err.msg);
    CHECK(f && !rc);
    if (f && !rc)
        compare(network, f, path);
    if (f)
        fclose(f);
    ft_network_free(network);
}

static void files_agree_with_onnx_runtime(void)
{
    char folder[2048], base[4096];
    int files = 0;
    snprintf(folder, sizeof folder, "%s/golden/onnx", getenv("FT_TEST_DATA"));
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char *dot = strrchr(entry->d_name, '.');
        if (!dot || strcmp(dot, ".onnx"))
            continue;
        *dot = 0;
        snprintf(base, sizeof base, "%s/%s", folder, entry->d_name);
        check_file(base);
        files++;
    }
    if (dir)
        closedir(dir);
    CHECK(files > 0);
}

/* ---- files that are not what they say ---- */

static uint8_t *read_all(const char *name, size_t *size)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/golden/onnx/%s.onnx", getenv("FT_TEST_DATA"), name);
    FILE *f = fopen(path, "rb");
    uint8_t *bytes = malloc(1 << 20);
    *size = f ? fread(bytes, 1, 1 << 20, f) : 0;
    if (f)
        fclose(f);
    CHECK(*size > 100);
    return bytes;
}

/* Opens bytes as a file in /tmp. Returns the result of the reader. */
static int open_bytes(const uint8_t *bytes, size_t size, char *message)
{
    char path[64];
    struct ft_network *network = NULL;
    struct ft_error err = { 0 };
    snprintf(path, sizeof path, "/tmp/ft-onnx-%d.onnx", (int)getpid());
    FILE *f = fopen(path, "wb");
    CHECK(f && fwrite(bytes, 1, size, f) == size);
    fclose(f);
    const int rc = ft_onnx_reader.open(path, NULL, &network, &err);
    unlink(path);
    ft_network_free(network);
    if (message)
        snprintf(message, 512, "%s", rc ? err.msg : "");
    return rc;
}

static void damaged_files_are_refused_or_read(void)
{
    static const char *const names[] = { "shapes", "attention", "pools",
                                         "norms",  "shifted",   "thinned" };
    uint64_t state = 1;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        size_t size;
        uint8_t *bytes = read_all(names[k], &size), *copy = malloc(size);
        for (size_t n = 0; n < size; n += 37)
            CHECK(open_bytes(bytes, n, NULL) < 0);
        for (int i = 0; i < 400; i++) {
            memcpy(copy, bytes, size);
            for (int j = 0; j <= i % 4; j++)
                copy[next(&state) % size] = (uint8_t)next(&state);
            open_bytes(copy, size, NULL); /* must return */
        }
        free(copy);
        free(bytes);
    }
}

/* A model whose graph is `count` nodes without content. */
static void many_nodes_are_refused(void)
{
    const size_t count = 1000000, length = 2 * count;
    uint8_t *bytes = malloc(length + 16), *p = bytes;
    char message[512];
    const uint8_t head[] = { 0x08, 0x08, 0x42, 0x02, 0x10, 0x11, 0x3a };
    memcpy(p, head, sizeof head);
    p += sizeof head;
    for (size_t n = length; n; n >>= 7)
        *p++ = (uint8_t)((n & 127) | (n > 127 ? 128 : 0));
    for (size_t i = 0; i < count; i++) {
        *p++ = 0x0a;
        *p++ = 0x00;
    }
    CHECK(open_bytes(bytes, (size_t)(p - bytes), message) < 0);
    CHECK(strstr(message, "too many small parts") || strstr(message, "nodes"));
    free(bytes);
}

/* The name of the file of weights is replaced by one of the same length. */
static void external_data_stays_in_the_folder(void)
{
    static const char *const places[] = { "../../ab.bin", "/etc/passwd1", "a/../../b.in" };
    static const char name[] = "external.bin";
    size_t size;
    uint8_t *bytes = read_all("external", &size);
    uint8_t *at = memmem(bytes, size, name, strlen(name));
    CHECK(at != NULL);
    for (size_t i = 0; at && i < sizeof places / sizeof *places; i++) {
        char message[512];
        memcpy(at, places[i], strlen(name));
        CHECK(open_bytes(bytes, size, message) < 0);
        CHECK(strstr(message, "outside the folder"));
    }
    free(bytes);
}

/* What is written can be read: the same number of classes, and the facts of the model. */
static void a_model_is_exported(void)
{
    char from[4096], to[64];
    struct ft_model *model = NULL, *back = NULL;
    struct ft_error err = { 0 };
    uint64_t bytes = 0;
    snprintf(from, sizeof from, "%s/golden/heads/imagenet.h5", getenv("FT_TEST_DATA"));
    snprintf(to, sizeof to, "/tmp/ft-export-%d.onnx", (int)getpid());
    CHECK(!ft_model_open(from, NULL, &model, &err));
    for (int i = 0; model && i < 8; i++) {
        const struct ft_export_options options = { .channels_first = i & 1,
                                                   .uint8 = i & 2,
                                                   .fp16 = i & 4 };
        CHECK(!ft_model_export(model, &options, to, &bytes, &err) && bytes > 1000);
        CHECK(!ft_model_open(to, NULL, &back, &err));
        CHECK(back && ft_model_classes(back) == ft_model_classes(model));
        for (int c = 0; back && c < ft_model_classes(model); c++)
            CHECK(!strcmp(ft_model_class_names(back)[c], ft_model_class_names(model)[c]));
        ft_model_free(back);
        back = NULL;
    }
    unlink(to);
    CHECK(model && ft_model_export(model, NULL, "/nowhere/model.onnx", NULL, &err) == FT_EIO);
    ft_model_free(model);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        check_file(argv[i]);
    if (argc > 1)
        return test_failures != 0;
    RUN(files_agree_with_onnx_runtime);
    RUN(damaged_files_are_refused_or_read);
    RUN(many_nodes_are_refused);
    RUN(a_model_is_exported);
    RUN(external_data_stays_in_the_folder);
    return test_end();
}
