/* Networks whose outputs an outside program has computed: a file with the seed of the pixels, then
 * one line for each layer: its name, the number of values, the largest, and values at a few places
 * (scripts/golden_layers.py). */
#ifndef FT_TESTS_EXPECTED_H
#define FT_TESTS_EXPECTED_H

#include "../test.h"

#include "base/cpu.h"
#include "base/memory.h"
#include "base/thread.h"
#include "graph/plan.h"
#include "keras/keras.h"
#include "network/hash.h"

#if defined(__aarch64__)
static const char *const cpus[] = { "neon", "c" };
#else
static const char *const cpus[] = { "avx512", "avx2", "c" };
#endif
enum { CPUS = sizeof cpus / sizeof *cpus };

static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static int find(const struct ft_network *network, const char *name)
{
    for (int i = 0; i < network->n_layers; i++)
        if (!strcmp(network->layers[i].name, name))
            return i;
    return -1;
}

struct expected {
    char name[64];
    int count, n, places[16];
    double largest, values[16];
};

static bool read_expected(FILE *f, struct expected *e)
{
    if (fscanf(f, "%63s %d %lf %d", e->name, &e->count, &e->largest, &e->n) != 4 || e->n > 16)
        return false;
    for (int i = 0; i < e->n; i++)
        if (fscanf(f, "%d %lf", &e->places[i], &e->values[i]) != 2)
            return false;
    return true;
}

static int compared;

/* One layer's output, alone and by a team of three in a dirty arena. */
static void check_layer(const struct ft_network *network, const struct expected *e,
                        const uint8_t *pixels, struct ft_team *team)
{
    struct ft_plan *plan;
    struct ft_error err;
    const int layer = find(network, e->name);
    if (layer < 0 ||
        ft_plan_new(network, &(struct ft_plan_options){ .layer = layer }, &plan, &err)) {
        printf("# '%s': %s\n", e->name, layer < 0 ? "no such layer" : err.msg);
        CHECK(!"a layer cannot be planned");
        return;
    }
    const struct ft_shape s = ft_plan_output(plan);
    CHECK(s.h * s.w * s.c == e->count);
    float *arena = ft_alloc(ft_plan_arena_bytes(plan, 1), 1),
          *output = ft_alloc((size_t)(s.h * s.w * s.c), sizeof *output);
    for (int way = 0; s.h * s.w * s.c == e->count && way < 2; way++) {
        memset(arena, 0x7f, ft_plan_arena_bytes(plan, 1));
        if (way)
            ft_plan_run_team(plan, team, pixels, arena, output);
        else
            ft_plan_run(plan, pixels, arena, output);
        for (int i = 0; i < e->n; i++) {
            const double got = output[e->places[i]];
            if (fabs(got - e->values[i]) <= 1e-5 * e->largest + 1e-6)
                continue;
            printf("# '%s' on '%s', place %d: got %.7g, want %.7g, largest %.7g\n", e->name,
                   ft_cpu_name(), e->places[i], got, e->values[i], e->largest);
            CHECK(!"a value differs from Keras");
            break;
        }
        compared++;
    }
    free(arena);
    free(output);
    ft_plan_free(plan);
}

static void check_network(const struct ft_network *network, FILE *f)
{
    unsigned long long seed;
    int h, w, c;
    rewind(f);
    CHECK(fscanf(f, "%llu %d %d %d", &seed, &h, &w, &c) == 4);
    uint64_t state = seed;
    uint8_t *pixels = malloc((size_t)(h * w * c));
    for (int i = 0; i < h * w * c; i++)
        pixels[i] = (uint8_t)(next(&state) >> 56);
    struct ft_team *team = ft_team_new(3);
    for (struct expected e; read_expected(f, &e);)
        for (int i = 0; i < CPUS; i++) {
            ft_cpu_limit(cpus[i]);
            check_layer(network, &e, pixels, team);
        }
    ft_cpu_limit(NULL);
    ft_team_free(team);
    free(pixels);
}

/* The network as it is, and after it has been written to the file `again` and read back. The
 * message of `err` is printed if there is no network. */
typedef int open_network(const char *path, const struct ft_reader_options *options,
                         struct ft_network **out, struct ft_error *err);
static void check_again(const struct ft_network *network, open_network *open, const char *name,
                        FILE *f, const char *again, struct ft_error *err)
{
    struct ft_network *back = NULL;
    uint64_t a[2], b[2];
    CHECK(network && !ft_keras_write(network, NULL, again, err) && !open(again, NULL, &back, err));
    if (back) {
        check_network(network, f);
        check_network(back, f);
        CHECK(!ft_network_hash(network, network->output, a, NULL));
        CHECK(!ft_network_hash(back, back->output, b, NULL));
        CHECK(!memcmp(a, b, sizeof a));
    } else {
        printf("# %s: %s\n", name, err->msg);
    }
    ft_network_free(back);
}

#endif
