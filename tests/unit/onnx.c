/* ONNX files against ONNX Runtime: the networks of golden/onnx (scripts/golden_onnx.py), or the
 * files in the arguments, each NAME.onnx with its expected output in NAME.txt. */
#define _GNU_SOURCE
#include "../test.h"

#include <dirent.h>
#include <math.h>

#include "base/memory.h"
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

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        check_file(argv[i]);
    if (argc > 1)
        return test_end();
    RUN(files_agree_with_onnx_runtime);
    return test_end();
}
