/* Plans against Keras: every layer of the small networks in golden/graph/nets.txt
 * (scripts/golden_graph.py wrote it), planned as if that layer were the output, on every
 * instruction set of this processor, alone and with a team; then the bundled network. */
#include <stdint.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "base/thread.h"
#include "keras/keras.h"
#include "network/kinds.h"
#include "net.h"

#if defined(__aarch64__)
static const char *const cpus[] = { "neon_bf16", "neon", "c" };
#else
static const char *const cpus[] = { "avx512_bf16", "avx512", "avx2", "c" };
#endif
enum { CPUS = sizeof cpus / sizeof *cpus };

/* ---- noise, as the Python of golden_graph.py draws it ---------------------------------------- */

static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static uint8_t *noise_pixels(uint64_t *state, size_t n)
{
    uint8_t *pixels = malloc(n);
    for (size_t i = 0; i < n; i++)
        pixels[i] = (uint8_t)(next(state) >> 56);
    return pixels;
}

/* ---- reading nets.txt ------------------------------------------------------------------------ */

static int find(const char *word, int n, const char *(*name)(int))
{
    for (int i = 0; i < n; i++)
        if (!strcmp(name(i), word))
            return i;
    printf("Bail out! nets.txt: '%s' is unknown\n", word);
    exit(1);
}

static const char *kind_name(int i)
{
    return i == FT_LAYER_IDENTITY ? "Identity" : ft_layer_kind_name((enum ft_layer_kind)i);
}

static const char *activation_name(int i)
{
    return ft_activation_name((enum ft_activation)i);
}

static int number(void)
{
    const char *word = strtok(NULL, " \n");
    return word ? atoi(word) : 0;
}

static void read_layer(struct net *net)
{
    struct ft_layer *layer =
        add_layer(net, (enum ft_layer_kind)find(strtok(NULL, " \n"), FT_LAYER_KINDS, kind_name));
    struct ft_layer_params *p = &layer->params;
    const char *key;
    layer->n_inputs = number();
    for (int i = 0; i < layer->n_inputs; i++)
        layer->inputs[i] = number();
    const struct {
        const char *key;
        int *to, n;
    } keys[] = { { "kernel", p->kernel, 2 },          { "stride", p->stride, 2 },
                 { "dilation", p->dilation, 2 },      { "filters", &p->filters, 1 },
                 { "units", &p->units, 1 },           { "groups", &p->groups, 1 },
                 { "multiplier", &p->multiplier, 1 }, { "pad", p->pad, 4 } };
    while ((key = strtok(NULL, " \n"))) {
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            for (int i = 0; !strcmp(key, keys[k].key) && i < keys[k].n; i++)
                keys[k].to[i] = number();
        if (!strcmp(key, "padding"))
            p->padding = number() ? FT_PAD_SAME : FT_PAD_VALID;
        if (!strcmp(key, "keepdims"))
            p->keep_dims = number();
        if (!strcmp(key, "epsilon"))
            p->epsilon = (float)atof(strtok(NULL, " \n"));
        if (!strcmp(key, "activation"))
            p->activation =
                (enum ft_activation)find(strtok(NULL, " \n"), FT_ACTIVATIONS, activation_name);
        if (!strcmp(key, "shape")) {
            p->rank = number();
            for (int i = 0; i < p->rank; i++)
                p->shape[i] = number();
        }
    }
}

static void read_weight(struct net *net, bool constant)
{
    const int which = number(), n = constant ? 1 : number();
    const double lo = atof(strtok(NULL, " \n")), hi = constant ? lo : atof(strtok(NULL, " \n"));
    float *data = malloc((size_t)n * sizeof *data);
    for (int i = 0; i < n; i++)
        data[i] =
            (float)(constant ? lo
                             : lo + (hi - lo) * ((double)(next(&net->state) >> 40) / (1 << 24)));
    net->layers[net->network.n_layers - 1].weights[which] =
        (struct ft_tensor){ 1, { n }, (size_t)n, data };
}

static void free_weights(struct net *net)
{
    for (int i = 0; i < net->network.n_layers; i++)
        for (int k = 0; k < FT_MAX_WEIGHTS; k++)
            free((float *)net->layers[i].weights[k].data);
}

/* ---- comparing ------------------------------------------------------------------------------- */

static double lowest = 1; /* cosine of bfloat16 */

struct expected {
    int count, n, places[64];
    double scale, values[64];
};

/* Three pictures together, the middle one another, give what the picture gives alone. */
static void check_several(const struct net *net, struct ft_plan_options options,
                          const uint8_t *picture, int count)
{
    enum { PICTURES = 3 };
    struct ft_plan *plan = NULL;
    options.pictures = PICTURES;
    CHECK(!ft_plan_new(&net->network, &options, &plan, NULL));
    const struct ft_shape in = ft_plan_input(plan);
    const int n = in.h * in.w * in.c;
    uint8_t *other = malloc((size_t)n);
    for (int i = 0; i < n; i++)
        other[i] = (uint8_t)(255 - picture[i]);
    float *arena = ft_alloc(ft_plan_arena_bytes(plan, PICTURES), 1),
          *output = ft_alloc(4 * (size_t)count, sizeof *output);
    memset(arena, 0x7f, ft_plan_arena_bytes(plan, PICTURES));
    ft_plan_run(plan, picture, arena, output + 3 * count);
    const uint8_t *const pixels[PICTURES] = { picture, other, picture };
    float *const outputs[PICTURES] = { output, output + count, output + 2 * count };
    memset(arena, 0x7f, ft_plan_arena_bytes(plan, PICTURES));
    ft_plan_run_several(plan, PICTURES, pixels, arena, outputs);
    const size_t bytes = (size_t)count * sizeof *output;
    CHECK(!memcmp(outputs[0], output + 3 * count, bytes) &&
          !memcmp(outputs[2], output + 3 * count, bytes));
    ft_plan_run(plan, other, arena, outputs[0]);
    CHECK(!memcmp(outputs[0], outputs[1], bytes));
    free(arena);
    free(output);
    free(other);
    ft_plan_free(plan);
}

static double cosine(const float *a, const float *b, int n)
{
    double ab = 0, aa = 0, bb = 0;
    for (int i = 0; i < n; i++) {
        ab += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return ab / sqrt(aa * bb);
}

/* In bfloat16 the values as a whole must agree with Keras's, not each of them. */
static void check_rounded(const float *output, const struct expected *want, const char *name)
{
    float got[64], values[64];
    for (int i = 0; i < want->n; i++) {
        got[i] = output[want->places[i]];
        values[i] = (float)want->values[i];
    }
    const double agrees = cosine(got, values, want->n);
    if (!(agrees >= 0.99))
        printf("# %s on '%s' in bf16: cosine %.6f\n", name, ft_cpu_name(), agrees);
    CHECK(agrees >= 0.99);
    lowest = fmin(lowest, agrees);
}

/* One network planned up to `layer`, run alone and by a team of three in a dirty arena. */
static void check_layer(const struct net *net, struct ft_plan_options options,
                        const struct expected *want, const uint8_t *pixels, struct ft_team *team)
{
    const int layer = options.layer;
    const bool bf16 = options.precision == FT_PRECISION_BF16;
    struct ft_plan *plan;
    struct ft_error err;
    if (ft_plan_new(&net->network, &options, &plan, &err)) {
        printf("# %s\n", err.msg);
        CHECK(!"the plan was refused");
        return;
    }
    const struct ft_shape s = ft_plan_output(plan);
    float *arena = ft_alloc(ft_plan_arena_bytes(plan, 1), 1),
          *output = ft_alloc((size_t)want->count, sizeof *output);
    CHECK(s.h * s.w * s.c == want->count);
    for (int way = 0; s.h * s.w * s.c == want->count && way < 3; way++) {
        /* large values wherever nothing was written */
        memset(arena, 0x7f, ft_plan_arena_bytes(plan, 1));
        memset(output, 0xff, (size_t)want->count * sizeof *output);
        if (way < 2)
            ft_plan_run(plan, pixels, arena, output);
        else
            ft_plan_run_team(plan, team, pixels, arena, output);
        if (bf16)
            check_rounded(output, want, net->layers[layer].name);
        for (int i = 0; !bf16 && i < want->n; i++) {
            const double got = output[want->places[i]];
            if (!(fabs(got - want->values[i]) <=
                  (options.exact ? 3e-6 : 1e-5) * want->scale + 1e-6 * fabs(want->values[i]))) {
                printf("# %s (%s) on '%s', place %d: got %.7g, want %.7g, largest %.7g\n",
                       net->layers[layer].name, kind_name((int)net->layers[layer].kind),
                       ft_cpu_name(), want->places[i], got, want->values[i], want->scale);
                CHECK(!"a value differs from Keras");
                break;
            }
        }
    }
    if (!options.exact)
        check_several(net, options, pixels, want->count);
    free(arena);
    free(output);
    ft_plan_free(plan);
}

static int layers_checked;

static void check_net(const struct net *net, FILE *f, char *line, size_t size)
{
    const struct ft_layer_params *p = &net->layers[0].params;
    uint64_t state = net->state;
    uint8_t *pixels = noise_pixels(&state, (size_t)(p->shape[0] * p->shape[1] * p->shape[2]));
    struct ft_team *team = ft_team_new(3);
    do {
        if (strncmp(line, "expect ", 7))
            break;
        struct expected want;
        strtok(line, " ");
        const int layer = number();
        want.count = number();
        want.scale = atof(strtok(NULL, " "));
        want.n = number();
        for (int i = 0; i < want.n; i++) {
            want.places[i] = number();
            want.values[i] = atof(strtok(NULL, " \n"));
        }
        for (int i = 0; i < CPUS; i++) {
            ft_cpu_limit(cpus[i]);
            struct ft_plan_options options = { .layer = layer };
            check_layer(net, options, &want, pixels, team);
            options.exact = true;
            check_layer(net, options, &want, pixels, team);
            options = (struct ft_plan_options){ .layer = layer, .precision = FT_PRECISION_BF16 };
            check_layer(net, options, &want, pixels, team);
        }
        layers_checked++;
    } while (fgets(line, (int)size, f));
    ft_cpu_limit(NULL);
    ft_team_free(team);
    free(pixels);
}

static FILE *open_golden(const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/golden/graph/%s", getenv("FT_TEST_DATA"), name);
    return fopen(path, "r");
}

static void small_networks_agree_with_keras(void)
{
    static struct net net;
    static char line[8192], name[32];
    FILE *f = open_golden("nets.txt");
    CHECK(f != NULL);
    while (f && fgets(line, sizeof line, f)) {
        if (!strncmp(line, "expect ", 7)) {
            check_net(&net, f, line, sizeof line);
            free_weights(&net);
            continue;
        }
        const char *word = strtok(line, " \n");
        if (!strcmp(word, "net")) {
            memset(&net, 0, sizeof net);
            net.network.layers = net.layers;
            snprintf(name, sizeof name, "%s", strtok(NULL, " \n"));
            net.network.name = name;
            net.state = (uint64_t)number();
            struct ft_layer_params *p = &add_layer(&net, FT_LAYER_INPUT)->params;
            p->rank = 3;
            for (int i = 0; i < 3; i++)
                p->shape[i] = number();
        } else if (!strcmp(word, "layer")) {
            read_layer(&net);
        } else if (!strcmp(word, "weight") || !strcmp(word, "constant")) {
            read_weight(&net, word[0] == 'c');
        }
    }
    if (f)
        fclose(f);
    CHECK(layers_checked > 150);
    printf("# bf16: the lowest cosine with Keras is %.5f\n", lowest);
}

/* ---- the bundled network --------------------------------------------------------------------- */

static double worst(const float *got, const float *want, int n)
{
    double difference = 0, largest = 0;
    for (int i = 0; i < n; i++) {
        const double d = fabs((double)got[i] - want[i]), size = fabs((double)want[i]);
        /* no fmax: gcc 12 for ARM fails on it */
        difference = d > difference ? d : difference;
        largest = size > largest ? size : largest;
    }
    return difference / largest;
}

static void check_bundled(const struct ft_network *network, uint64_t seed, const float *want, int n)
{
    uint8_t *pixels = noise_pixels(&seed, 224 * 224 * 3);
    float *got = ft_alloc((size_t)n, sizeof *got), *again = ft_alloc((size_t)n, sizeof *again);
    struct ft_team *team = ft_team_new(2);
    for (int i = 0; i < CPUS * FT_PRECISION_INT8; i++) {
        struct ft_plan *plan = NULL;
        const enum ft_precision precision = (enum ft_precision)(i / CPUS);
        ft_cpu_limit(cpus[i % CPUS]);
        CHECK(!ft_plan_new(network,
                           &(struct ft_plan_options){ .layer = -1, .precision = precision }, &plan,
                           NULL));
        if (!plan || ft_plan_output(plan).c != n)
            continue;
        void *arena = ft_alloc(ft_plan_arena_bytes(plan, 1), 1);
        ft_plan_run(plan, pixels, arena, got);
        ft_plan_run_team(plan, team, pixels, arena, again);
        printf("# features on '%s' in %s%s: %.2g of the largest away from Keras, cosine %.6f\n",
               ft_cpu_name(), ft_precision_name(precision), ft_cpu_bf16() ? ", native" : "",
               worst(got, want, n), cosine(got, want, n));
        CHECK(precision == FT_PRECISION_F32 ? worst(got, want, n) <= 1e-4
                                            : cosine(got, want, n) >= 0.998);
        /* OpenBLAS sums in another order for a part, and then other values round up */
        CHECK(precision == FT_PRECISION_F32 ? worst(again, got, n) <= 1e-5
                                            : cosine(again, got, n) >= 0.998);
        ft_plan_run(plan, pixels, arena, again);
        CHECK(!memcmp(got, again, (size_t)n * sizeof *got));
        free(arena);
        ft_plan_free(plan);
    }
    ft_cpu_limit(NULL);
    ft_team_free(team);
    free(pixels);
    free(got);
    free(again);
}

static void the_bundled_network_agrees_with_keras(void)
{
    struct ft_network *network = NULL;
    struct ft_error err = { 0 };
    char path[4096];
    snprintf(path, sizeof path, "%s/../weights/efficientnet-lite0.h5", getenv("FT_TEST_DATA"));
    FILE *f = open_golden("lite0.txt");
    CHECK(f != NULL);
    CHECK(!ft_keras_open(path, NULL, &network, &err));
    if (err.code)
        printf("# %s\n", err.msg);
    unsigned long long seed;
    int n, pictures = 0;
    while (f && network && fscanf(f, "features %llu %d\n", &seed, &n) == 2 && n == 1280) {
        float want[1280];
        for (int i = 0; i < n; i++)
            CHECK(fscanf(f, "%f\n", &want[i]) == 1);
        check_bundled(network, seed, want, n);
        pictures++;
    }
    CHECK(pictures == 2);
    if (f)
        fclose(f);
    ft_network_free(network);
}

int main(void)
{
    RUN(small_networks_agree_with_keras);
    RUN(the_bundled_network_agrees_with_keras);
    return test_end();
}
