/* keras/: models inside models, shared layers, every container (tests/golden/containers, made by
 * scripts/golden_containers.py): what a network answers to one picture, according to the Keras that
 * wrote the file. */
#define _GNU_SOURCE
#include "../test.h"

#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "graph/plan.h"
#include "keras/keras.h"

enum { SIZE = 12, MOST = 16 };

static struct ft_network *open_golden(const char *name)
{
    char path[1024], folder[1024];
    struct ft_error err;
    struct ft_network *network = NULL;
    snprintf(path, sizeof path, "%s/golden/containers/%s", getenv("FT_TEST_DATA"), name);
    snprintf(folder, sizeof folder, "%s/golden/containers/architectures", getenv("FT_TEST_DATA"));
    if (ft_keras_open(path, &(struct ft_reader_options){ .architectures = folder }, &network,
                      &err)) {
        printf("# %s\n", err.msg);
        return NULL;
    }
    return network;
}

/* Runs a network on the picture that the script made too; returns the length of the answer. */
static int answer(const struct ft_network *network, float *out)
{
    struct ft_plan *plan = NULL;
    struct ft_error err;
    uint8_t pixels[SIZE * SIZE * 3];
    for (int i = 0; i < SIZE * SIZE * 3; i++)
        pixels[i] = (uint8_t)(i * 37 + i / 7);
    if (ft_plan_new(
            network,
            &(struct ft_plan_options){ .height = SIZE, .width = SIZE, .layer = -1, .exact = true },
            &plan, &err)) {
        printf("# %s\n", err.msg);
        return 0;
    }
    void *arena = ft_alloc(1, ft_plan_arena_bytes(plan, 1));
    const int n = ft_plan_output(plan).c;
    if (n <= MOST)
        ft_plan_run(plan, pixels, arena, out);
    free(arena);
    ft_plan_free(plan);
    return n;
}

static void answers(void)
{
    char path[1024], line[2048];
    int n = 0;
    snprintf(path, sizeof path, "%s/golden/containers/expected.txt", getenv("FT_TEST_DATA"));
    FILE *file = fopen(path, "r");
    CHECK(file);
    while (file && fgets(line, sizeof line, file)) {
        char *name = strtok(line, " ");
        float got[MOST] = { 0 };
        struct ft_network *network = open_golden(name);
        CHECK(network);
        const int length = network ? answer(network, got) : 0;
        int i = 0;
        for (char *value; (value = strtok(NULL, " \n")); i++) {
            const double want = atof(value);
            if (i >= length || !(fabs((double)got[i] - want) <= 1e-4 * (1 + fabs(want)))) {
                printf("# %s: value %d is %g\n", name, i, i < length ? (double)got[i] : 0);
                CHECK_NEAR(i < length ? got[i] : 0, want, 1e-4);
            }
        }
        CHECK(i == length && i > 1);
        ft_network_free(network);
        n++;
    }
    CHECK(n == 17);
    if (file)
        fclose(file);
}

/* Flattened, written and read again, a network is the same. */
static void flattened(void)
{
    static const char *const files[] = { "keras3-shared.h5", "keras2-shared.keras",
                                         "keras2-teachable.h5", "keras2-slash.h5" };
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        char path[64];
        float before[MOST] = { 0 }, after[MOST] = { 0 };
        struct ft_error err;
        struct ft_network *network = open_golden(files[f]), *back = NULL;
        snprintf(path, sizeof path, "/tmp/ft-containers-%d.h5", (int)getpid());
        CHECK(network && !ft_keras_write(network, NULL, path, &err) &&
              !ft_keras_open(path, NULL, &back, &err));
        if (network && back) {
            CHECK(network->n_layers == back->n_layers);
            CHECK(answer(network, before) == answer(back, after) &&
                  !memcmp(before, after, sizeof before));
        }
        ft_network_free(network);
        ft_network_free(back);
        unlink(path);
    }
}

/* Calls of a shared layer read one tensor; names are unique. */
static void sharing(void)
{
    struct ft_network *network = open_golden("keras3-shared.h5");
    const float *first = NULL;
    int same = 0, named = 0;
    CHECK(network);
    for (int i = 0; network && i < network->n_layers; i++) {
        const struct ft_layer *l = &network->layers[i];
        if (!strncmp(l->name, "Conv1", 5) && l->params.filters == 3) {
            named++;
            same += first == l->weights[FT_W_KERNEL].data;
            first = l->weights[FT_W_KERNEL].data;
        }
        for (int j = 0; j < i; j++)
            CHECK(strcmp(l->name, network->layers[j].name));
    }
    CHECK(named == 2 && same == 1);
    ft_network_free(network);
}

static void refused(void)
{
    static const struct {
        const char *file, *says;
    } bad[] = {
        { "deep", "deep.h5': 's': models are nested more than 16 deep" },
        { "doubling", "doubling.h5': the network has more than 16384 layers" },
        { "itself", "depends on itself" },
        { "empty", "'b': the network has 0 layers" },
        { "two-inputs", "layer 'm': it has 1 inputs, but is called on 2" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char path[1024];
        struct ft_error err = { 0 };
        struct ft_network *network = NULL;
        snprintf(path, sizeof path, "%s/bad/nested-%s.h5", getenv("FT_TEST_DATA"), bad[i].file);
        CHECK(ft_keras_open(path, NULL, &network, &err) < 0 && !network);
        if (!strstr(err.msg, bad[i].says))
            CHECK_STR(err.msg, bad[i].says);
    }
}

/* A damaged part of a group is reported as damage, whichever part it is. */
static void damage_is_reported(void)
{
    static const char *const parts[] = { "HEAP", "SNOD", "TREE" };
    char path[1024], folder[1024];
    struct ft_bytes file = { 0 };
    int opened = 0;
    snprintf(path, sizeof path, "%s/golden/containers/tiny.weights.h5", getenv("FT_TEST_DATA"));
    snprintf(folder, sizeof folder, "%s/golden/containers/architectures", getenv("FT_TEST_DATA"));
    CHECK(!ft_file_read(path, 1 << 24, &file, NULL));
    snprintf(path, sizeof path, "/tmp/ft-damaged-%d.h5", (int)getpid());
    for (int p = 0; p < 3; p++) {
        uint8_t *at = file.data;
        while ((at = memmem(at, file.size - (size_t)(at - file.data), parts[p], 4))) {
            struct ft_network *n = NULL;
            struct ft_error err = { 0 };
            *at ^= 1;
            FILE *f = fopen(path, "wb");
            CHECK(f && fwrite(file.data, 1, file.size, f) == file.size && !fclose(f));
            const int rc = ft_keras_open(
                path, &(struct ft_reader_options){ .architectures = folder }, &n, &err);
            CHECK(rc != FT_ENOMEM && !strstr(err.msg, "memory"));
            CHECK(!rc == !!n);
            ft_network_free(n);
            *at++ ^= 1;
            opened++;
        }
    }
    CHECK(opened > 20);
    unlink(path);
    ft_bytes_release(&file);
}

int main(void)
{
    RUN(answers);
    RUN(flattened);
    RUN(sharing);
    RUN(refused);
    RUN(damage_is_reported);
    return test_end();
}
