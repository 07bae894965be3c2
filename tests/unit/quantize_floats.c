/* int8 networks with steps that stay float: transformers of golden/presets, and channels of very
 * different sizes. Features are compared with those of float32, which other tests compare with
 * Keras. */
#define _GNU_SOURCE
#include <unistd.h>

#include "backbone/backbone.h"
#include "base/random.h"
#include "base/thread.h"
#include "int8.h"
#include "models.h"

enum { SIDE_OF = 12, BYTES = SIDE_OF * SIDE_OF * 3, CHANNELS = 48, FILTERS = 40 };

static struct ft_backbone *opened(const char *preset, const char *layers, const char *precision)
{
    char path[400], *one[] = { (char *)(uintptr_t)picture() };
    snprintf(path, sizeof path, "%s/golden/presets/%s", getenv("FT_TEST_DATA"), preset);
    struct ft_backbone *b = NULL;
    const struct ft_backbone_options o = { .precision = precision, .layers = layers };
    CHECK(!ft_backbone_open_for(path, &o, one, 1, 1, &b, NULL));
    return b;
}

/* A file of it gives the same bits. */
static void check_saved(const struct ft_backbone *b, const float *want, int n)
{
    struct ft_backbone *saved = NULL;
    float *got = ft_alloc((size_t)n, sizeof *got);
    CHECK(!ft_backbone_save(b, at("b.h5"), NULL, NULL));
    CHECK(!ft_backbone_open(at("b.h5"), NULL, &saved, NULL));
    CHECK(ft_backbone_precision(saved) == FT_PRECISION_INT8);
    CHECK(!ft_feature_file(saved, picture(), got, NULL));
    CHECK(!memcmp(want, got, (size_t)n * sizeof *got));
    ft_backbone_free(saved);
    free(got);
    unlink(at("b.h5"));
}

static void transformers_are_close_to_float32(void)
{
    static const char *const presets[] = { "vit",         "deit", "dinov2_gated", "dinov3",
                                           "swin_padded", "mit",  "clip_vision",  "siglip_vision" };
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        struct ft_backbone *f32 = opened(presets[i], "last", "f32"),
                           *int8 = opened(presets[i], "last", "int8");
        const int n = ft_backbone_features(f32);
        float *exact = ft_alloc((size_t)n, sizeof *exact),
              *integer = ft_alloc((size_t)n, sizeof *integer);
        CHECK(ft_backbone_precision(int8) == FT_PRECISION_INT8 && !ft_backbone_portable(int8));
        CHECK(!ft_feature_file(f32, picture(), exact, NULL));
        CHECK(!ft_feature_file(int8, picture(), integer, NULL));
        printf("# %s: cosine of int8 and f32: %.6f\n", presets[i], cosine(exact, integer, n));
        CHECK(cosine(exact, integer, n) >= 0.999);
        CHECK(memcmp(exact, integer, (size_t)n * sizeof *exact) != 0);
        check_saved(int8, integer, n);
        ft_backbone_free(f32);
        ft_backbone_free(int8);
        free(exact);
        free(integer);
    }
}

/* The features of all blocks leave the last ones as they are: no step before them depends on what
 * else is asked for. */
static void the_last_block_does_not_depend_on_the_others(void)
{
    static const char *const presets[] = { "vit", "siglip_vision", "swin_padded", "dinov2_gated" };
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        struct ft_backbone *all = opened(presets[i], "all", "int8"), *last = NULL;
        const int n = ft_backbone_features(all);
        CHECK(!ft_backbone_last_block(all, &last, NULL));
        const int few = ft_backbone_features(last);
        float *whole = ft_alloc((size_t)n, sizeof *whole),
              *part = ft_alloc((size_t)few, sizeof *part);
        CHECK(n > few);
        CHECK(!ft_feature_file(all, picture(), whole, NULL));
        CHECK(!ft_feature_file(last, picture(), part, NULL));
        CHECK(!memcmp(whole + n - few, part, (size_t)few * sizeof *part));
        check_saved(last, part, few);
        for (int s = 0; s < ft_plan_steps(all->plan); s++) { /* no residual became bytes */
            struct ft_layer_info step;
            ft_plan_step(all->plan, s, &step);
            CHECK(!step.kernel || strcmp(step.kernel, "int8") != 0);
        }
        ft_backbone_free(last);
        ft_backbone_free(all);
        free(whole);
        free(part);
    }
}

static float *values_of(struct ft_network *n, int layer, int w)
{
    return (float *)(uintptr_t)n->layers[layer].weights[w].data;
}

/* Convolution, layer norm, convolution with swish, depthwise convolution. The norm and the swish
 * give channels of sizes that differ by a factor of up to 500; the kernels after them undo it. */
static struct ft_network *uneven(void)
{
    struct ft_random random = { 7 };
    struct ft_network *n = calloc(1, sizeof *n);
    n->layers = calloc(6, sizeof *n->layers);
    n->name = strdup("uneven");
    add(n, FT_LAYER_INPUT, "input", -1, -1);
    n->layers[0].params.rank = 3;
    memcpy(n->layers[0].params.shape, (int[]){ SIDE_OF, SIDE_OF, 3 }, 3 * sizeof(int));
    add_convolution(n, 3, CHANNELS);
    add(n, FT_LAYER_LAYER_NORM, "norm", 1, -1);
    n->layers[2].params.epsilon = 1e-5f;
    weigh(n, 2, FT_W_GAMMA, 1, (int64_t[]){ CHANNELS });
    weigh(n, 2, FT_W_BETA, 1, (int64_t[]){ CHANNELS });
    add_convolution(n, CHANNELS, FILTERS);
    n->layers[3].params.activation = FT_ACT_SWISH;
    add(n, FT_LAYER_DEPTHWISE_CONV2D, "depthwise", 3, -1);
    n->layers[4].params.kernel[0] = n->layers[4].params.kernel[1] = 3;
    weigh(n, 4, FT_W_KERNEL, 4, (int64_t[]){ 3, 3, FILTERS, 1 });
    add(n, FT_LAYER_GLOBAL_AVERAGE_POOL, "pool", 4, -1);
    n->output = 5;
    for (int c = 0; c < CHANNELS; c++) {
        const float size = c % 16 == 3 ? 500 : expf((float)ft_random_unit(&random));
        values_of(n, 2, FT_W_GAMMA)[c] = size;
        values_of(n, 2, FT_W_BETA)[c] = size * 0.3f;
        for (int i = 0; i < 9 * FILTERS; i++)
            values_of(n, 3,
                      FT_W_KERNEL)[i / FILTERS * CHANNELS * FILTERS + c * FILTERS + i % FILTERS] /=
                size;
    }
    for (int f = 0; f < FILTERS; f++) {
        const float size = f % 8 == 5 ? 300 : 1;
        for (int i = 0; i < 9 * CHANNELS; i++)
            values_of(n, 3, FT_W_KERNEL)[i * FILTERS + f] *= size;
        for (int i = 0; i < 9; i++)
            values_of(n, 4, FT_W_KERNEL)[i * FILTERS + f] =
                (float)(ft_random_unit(&random) - 0.4) / size;
    }
    return n;
}

/* Features of noise; alone and on a team, which must agree. */
static void run(const struct ft_network *n, const struct ft_ranges *ranges, const uint8_t *pixels,
                float *out)
{
    struct ft_plan *plan = NULL;
    const struct ft_plan_options o = { .layer = -1,
                                       .precision = ranges ? FT_PRECISION_INT8 : FT_PRECISION_F32,
                                       .ranges = ranges };
    CHECK(!ft_plan_new(n, &o, &plan, NULL));
    void *arena = ft_alloc(ft_plan_arena_bytes(plan, 1), 1);
    struct ft_team *team = ft_team_new(2);
    float again[FILTERS];
    ft_plan_run(plan, pixels, arena, out);
    ft_plan_run_team(plan, team, pixels, arena, again);
    CHECK(!ranges || !memcmp(out, again, sizeof again));
    ft_team_free(team);
    free(arena);
    ft_plan_free(plan);
}

static void make_pixels(uint8_t *pixels)
{
    struct ft_random random = { 3 };
    for (int i = 0; i < BYTES; i++)
        pixels[i] = (uint8_t)ft_random_next(&random);
}

static void channels_of_different_sizes_are_balanced(void)
{
    uint8_t pixels[BYTES];
    float exact[FILTERS], even[FILTERS], uneven_ones[FILTERS];
    make_pixels(pixels);
    struct ft_network *n = uneven();
    struct ft_ranges balanced = ranges_of(n, pixels, true), plain = ranges_of(n, pixels, false);
    int texts = 0;
    for (int i = 0; i < balanced.n; i++) {
        CHECK(!plain.range[i].balance);
        texts += balanced.range[i].balance != NULL;
    }
    CHECK(texts == 2);
    run(n, NULL, pixels, exact);
    run(n, &balanced, pixels, even);
    run(n, &plain, pixels, uneven_ones);
    printf("# cosine balanced: %.5f, else: %.5f\n", cosine(exact, even, FILTERS),
           cosine(exact, uneven_ones, FILTERS));
    CHECK(cosine(exact, even, FILTERS) >= 0.999);
    CHECK(cosine(exact, uneven_ones, FILTERS) < 0.99);
    ft_ranges_release(&balanced);
    ft_ranges_release(&plain);
    ft_network_free(n);
}

/* `balance` in place of that of a layer, which must be refused. */
static void check_refused(const struct ft_network *n, const struct ft_ranges *ranges,
                          const char *layer, const char *balance)
{
    struct ft_error err;
    struct ft_plan *plan = NULL;
    const struct ft_plan_options o = { .layer = -1,
                                       .precision = FT_PRECISION_INT8,
                                       .ranges = ranges };
    int found = 0;
    for (int i = 0; i < ranges->n; i++) {
        struct ft_range *r = &ranges->range[i];
        char *kept = r->balance;
        if (strcmp(r->layer, layer) != 0)
            continue;
        found++;
        r->balance = strdup(balance);
        CHECK(ft_plan_new(n, &o, &plan, &err) == FT_EFORMAT && !plan);
        CHECK(strstr(err.msg, "does not fit") && strstr(err.msg, layer));
        free(r->balance);
        r->balance = kept;
    }
    CHECK(found == 1);
}

static void a_balance_that_does_not_fit_is_refused(void)
{
    uint8_t pixels[BYTES];
    char text[CHANNELS + 2];
    make_pixels(pixels);
    struct ft_network *n = uneven();
    struct ft_ranges ranges = ranges_of(n, pixels, true);
    memset(text, 'b', sizeof text);
    text[CHANNELS + 1] = 0;
    check_refused(n, &ranges, "norm", text); /* too long */
    text[CHANNELS] = 0;
    text[7] = FT_BALANCE_MOST + 1;
    check_refused(n, &ranges, "norm", text);
    text[7] = '`';
    check_refused(n, &ranges, "norm", text);
    text[7] = 0;
    check_refused(n, &ranges, "norm", text);
    check_refused(n, &ranges, "norm", "");
    ft_ranges_release(&ranges);
    ft_network_free(n);
}

/* A balance is for floats that become bytes; another plan of the same network may have bytes
 * there. */
static void a_balance_of_bytes_is_not_used(void)
{
    uint8_t pixels[BYTES];
    float want[FILTERS], got[FILTERS];
    make_pixels(pixels);
    struct ft_network *n = uneven();
    struct ft_ranges ranges = ranges_of(n, pixels, true);
    run(n, &ranges, pixels, want);
    for (int i = 0; i < ranges.n; i++)
        if (!strcmp(ranges.range[i].layer, "depthwise")) {
            CHECK(!ranges.range[i].balance);
            ranges.range[i].balance = strdup("abcdefghijklmabcdefghijklmabcdefghijklma");
            CHECK(strlen(ranges.range[i].balance) == FILTERS);
            ranges.range[i].even_hi = 1000;
        }
    run(n, &ranges, pixels, got);
    CHECK(!memcmp(want, got, sizeof want));
    ft_ranges_release(&ranges);
    ft_network_free(n);
}

int main(void)
{
    if (!mkdtemp(directory))
        return 1;
    RUN(transformers_are_close_to_float32);
    RUN(the_last_block_does_not_depend_on_the_others);
    RUN(channels_of_different_sizes_are_balanced);
    RUN(a_balance_that_does_not_fit_is_refused);
    RUN(a_balance_of_bytes_is_not_used);
    rmdir(directory);
    return test_end();
}
