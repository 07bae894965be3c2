/* int8 plans and backbones: the same bits with every instruction set, cut into parts, from a file
 * and for the last block; ranges that are missing or wrong; networks with steps that stay float.
 * Features are compared with those of float32, which other tests compare with Keras. */
#define _GNU_SOURCE
#include <dirent.h>
#include <unistd.h>

#include "backbone/backbone.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/thread.h"
#include "int8.h"
#include "models.h"
#include "pictures.h"

static struct ft_backbone *opened(const char *name, const char *layers, bool int8)
{
    char *one[] = { (char *)(uintptr_t)picture() };
    struct ft_backbone *b = NULL;
    const struct ft_backbone_options o = { .precision = int8 ? "int8" : "f32", .layers = layers };
    CHECK(!ft_backbone_open_for(name, &o, one, 1, 1, &b, NULL));
    return b;
}

static void features_are_close_to_those_of_float32(void)
{
    float exact[D], integer[D];
    struct ft_backbone *f32 = opened(NULL, "last", false), *int8 = opened(NULL, "last", true);
    CHECK(ft_backbone_precision(int8) == FT_PRECISION_INT8 && ft_backbone_portable(int8));
    CHECK(ft_backbone_precision(f32) == FT_PRECISION_F32 && !ft_backbone_portable(f32));
    CHECK(!ft_feature_file(f32, picture(), exact, NULL));
    CHECK(!ft_feature_file(int8, picture(), integer, NULL));
    printf("# cosine of int8 and f32: %.6f\n", cosine(exact, integer, D));
    CHECK(cosine(exact, integer, D) >= 0.99);
    ft_backbone_free(f32);
    ft_backbone_free(int8);
}

/* With every instruction set of this processor; alone, with other pictures, and on a team. */
static void every_row_gives_the_same_bits(void)
{
    static const char *const cpus[] = { "no limit", "avx512", "avx2", "neon_dot", "neon", "c" };
    float want[D], got[D];
    struct ft_backbone *all = opened(NULL, "last", true);
    uint64_t seed = 5;
    struct ft_team *team = ft_team_new(3);
    uint8_t *pixels = ft_alloc(224 * 224, 3);
    for (size_t i = 0; i < (size_t)224 * 224 * 3; i++)
        pixels[i] = (uint8_t)((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 56);
    for (size_t i = 0; i < sizeof cpus / sizeof *cpus; i++) {
        struct ft_plan *plan = NULL;
        ft_cpu_limit(cpus[i]);
        CHECK(!ft_plan_new(all->network,
                           &(struct ft_plan_options){ .layer = all->last,
                                                      .height = 224,
                                                      .width = 224,
                                                      .precision = FT_PRECISION_INT8,
                                                      .ranges = &all->ranges },
                           &plan, NULL));
        void *arena = ft_alloc(ft_plan_arena_bytes(plan, 1), 1);
        ft_plan_run(plan, pixels, arena, i ? got : want);
        CHECK(!memcmp(want, i ? got : want, sizeof want));
        ft_plan_run_team(plan, team, pixels, arena, got);
        CHECK(!memcmp(want, got, sizeof want));
        free(arena);
        ft_plan_free(plan);
    }
    ft_cpu_limit(NULL);
    free(pixels);
    ft_team_free(team);
    ft_backbone_free(all);
}

enum { C = 132 };

/* A network whose 3x3 convolutions Winograd's algorithm computes on x86, on maps of 13 x 13. */
static struct ft_network *three_by_three(void)
{
    struct ft_network *n = calloc(1, sizeof *n);
    n->layers = calloc(6, sizeof *n->layers);
    n->name = strdup("three");
    add(n, FT_LAYER_INPUT, "input", -1, -1);
    n->layers[0].params.rank = 3;
    memcpy(n->layers[0].params.shape, (int[]){ 13, 13, 3 }, 3 * sizeof(int));
    add_convolution(n, 3, 130);
    add_convolution(n, 130, 260);
    add_convolution(n, 260, C);
    add(n, FT_LAYER_GLOBAL_AVERAGE_POOL, "pool", 3, -1);
    n->output = 4;
    return n;
}

static int count_winograd(const struct ft_plan *plan)
{
    int count = 0;
    for (int i = 0; i < ft_plan_steps(plan); i++) {
        struct ft_layer_info step;
        ft_plan_step(plan, i, &step);
        count += strstr(step.kernel, "winograd") != NULL;
    }
    return count;
}

/* Three pictures together, in parts of a team, and with plain C. */
static void pictures_together_give_the_same_bits(void)
{
    enum { BYTES = 13 * 13 * 3, PICTURES = 3 };
    struct ft_network *n = three_by_three();
    static uint8_t pixels[PICTURES * BYTES];
    for (int i = 0; i < PICTURES * BYTES; i++)
        pixels[i] = (uint8_t)(i * (i / 7 % 251 + 3) % 256);
    struct ft_ranges ranges = ranges_of(n, pixels, true);
    float want[PICTURES][C], got[PICTURES][C];
    struct ft_team *team = ft_team_new(2);
    for (int plain = 1; plain >= 0; plain--) {
        struct ft_plan *plan = NULL;
        ft_cpu_limit(plain ? "c" : NULL);
        const struct ft_plan_options o = {
            .layer = -1, .precision = FT_PRECISION_INT8, .ranges = &ranges, .pictures = PICTURES
        };
        CHECK(!ft_plan_new(n, &o, &plan, NULL));
        CHECK(plain || !(ft_cpu_features() & FT_CPU_AVX2) || ft_cpu_features() & FT_CPU_AMX_INT8 ||
              count_winograd(plan) == 2);
        void *arena = ft_alloc(ft_plan_arena_bytes(plan, PICTURES), 1);
        ft_plan_run_several(plan, PICTURES,
                            (const uint8_t *const[]){ pixels, pixels + BYTES, pixels + 2 * BYTES },
                            arena, (float *const[]){ got[0], got[1], got[2] });
        if (plain)
            memcpy(want, got, sizeof want);
        CHECK(!memcmp(want, got, sizeof want) && memcmp(got[0], got[1], sizeof got[0]) != 0);
        for (int i = 0; i < PICTURES; i++)
            ft_plan_run_team(plan, team, pixels + i * BYTES, arena, got[i]);
        CHECK(!memcmp(want, got, sizeof want));
        free(arena);
        ft_plan_free(plan);
    }
    ft_team_free(team);
    ft_ranges_release(&ranges);
    ft_network_free(n);
}

static void a_file_and_the_last_block_give_the_same_bits(void)
{
    struct ft_backbone *all = opened(NULL, "all", true), *last = NULL, *saved = NULL;
    const int n = ft_backbone_features(all);
    float *whole = ft_alloc((size_t)n, sizeof *whole), part[D];
    uint64_t key[2][2];
    CHECK(!ft_backbone_last_block(all, &last, NULL));
    CHECK(!ft_backbone_save(last, at("b.h5"), NULL, NULL));
    CHECK(!ft_backbone_open(at("b.h5"), NULL, &saved, NULL));
    CHECK(ft_backbone_precision(saved) == FT_PRECISION_INT8 && ft_backbone_portable(saved));
    CHECK(!ft_feature_file(all, picture(), whole, NULL));
    CHECK(!ft_feature_file(last, picture(), part, NULL));
    CHECK(!memcmp(whole + n - D, part, sizeof part));
    CHECK(!ft_feature_file(saved, picture(), whole, NULL));
    CHECK(!memcmp(whole, part, sizeof part));
    CHECK(!ft_backbone_key(last, key[0], NULL));
    last->ranges.range[3].hi *= 1.5f; /* the key depends on each range */
    CHECK(!ft_backbone_key(last, key[1], NULL) && memcmp(key[0], key[1], sizeof *key) != 0);
    ft_backbone_free(saved);
    ft_backbone_free(last);
    ft_backbone_free(all);
    free(whole);
    unlink(at("b.h5"));
}

static void unreadable_pictures_are_left_out(void)
{
    struct ft_error err;
    struct ft_backbone *b = NULL;
    char *none[] = { "no such file.jpg", "neither.jpg" },
         *some[] = { "no such file.jpg", (char *)(uintptr_t)picture() };
    const struct ft_backbone_options o = { .precision = "int8" };
    CHECK(ft_backbone_open_for(NULL, &o, none, 2, 2, &b, &err) == FT_EARG && !b);
    CHECK(strstr(err.msg, "none of 2 could be read"));
    CHECK(!ft_backbone_open_for(NULL, &o, some, 2, 2, &b, &err));
    CHECK(ft_backbone_quantize(b, none, 2, 1, &err) == FT_EARG);
    CHECK(ft_backbone_precision(b) == FT_PRECISION_INT8); /* unchanged */
    CHECK(!ft_backbone_quantize(b, NULL, 0, 1, &err));
    ft_backbone_free(b);
    b = NULL;
    CHECK(ft_backbone_open(NULL, &o, &b, &err) == FT_EARG && !b);
    CHECK(strstr(err.msg, "needs the ranges"));
}

static struct ft_ranges *measured(const char *path, struct ft_backbone **b)
{
    char *one[] = { (char *)(uintptr_t)path };
    const struct ft_backbone_options o = { .precision = "int8", .ranges_dir = directory };
    ft_backbone_free(*b);
    *b = NULL;
    CHECK(!ft_backbone_open_for(NULL, &o, one, 1, 1, b, NULL));
    return &(*b)->ranges;
}

/* The number of files of ranges, whose folder is removed with `clear`, and the key of the last. */
static int files_of_ranges(uint64_t key[2], bool clear)
{
    int n = 0;
    char folder[sizeof directory + sizeof FT_RANGES_SUBFOLDER + 1];
    snprintf(folder, sizeof folder, "%s/" FT_RANGES_SUBFOLDER, directory);
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        unsigned long long high, low;
        if (sscanf(e->d_name, "%16llx%16llx" FT_RANGES_ENDING, &high, &low) == 2) {
            n++;
            key[0] = high;
            key[1] = low;
            if (clear)
                CHECK(!unlinkat(dirfd(d), e->d_name, 0));
        }
    }
    if (d)
        closedir(d);
    if (clear)
        CHECK(!rmdir(folder));
    return n;
}

/* That they are read, not measured, is seen because the kept ones were changed. */
static void ranges_are_kept_for_the_same_pictures(void)
{
    uint64_t key[2] = { 0 }, other[2] = { 0 };
    char path[sizeof directory + 80];
    struct ft_backbone *b = NULL;
    struct ft_ranges kept = { 0 };
    struct ft_bytes bytes = { 0 };
    const float hi = measured(picture(), &b)->range[3].hi;
    CHECK(files_of_ranges(key, false) == 1);
    CHECK(!ft_ranges_load(directory, key, &kept, NULL));
    CHECK(kept.n == b->ranges.n && kept.range[3].hi == hi);
    kept.range[3].hi = 2 * hi;
    CHECK(!ft_ranges_keep(directory, key, &kept, NULL));
    CHECK(!ft_file_read(picture(), 1 << 24, &bytes, NULL));
    CHECK(!ft_file_replace(at("copy.jpg"), bytes.data, bytes.size, NULL));
    CHECK(measured(at("copy.jpg"), &b)->range[3].hi == 2 * hi); /* a name is not a content */
    bytes.data[bytes.size / 2] ^= 1;
    CHECK(!ft_file_replace(at("copy.jpg"), bytes.data, bytes.size, NULL));
    CHECK(measured(at("copy.jpg"), &b)->range[3].hi < 1.5f * hi);
    CHECK(files_of_ranges(other, false) == 2);
    /* a damaged file counts as none, and is replaced */
    snprintf(path, sizeof path, "%s/" FT_RANGES_SUBFOLDER "/%016llx%016llx" FT_RANGES_ENDING,
             directory, (unsigned long long)key[0], (unsigned long long)key[1]);
    CHECK(!ft_file_read(path, 1 << 24, &bytes, NULL));
    bytes.data[bytes.size - 9] ^= 1;
    CHECK(!ft_file_replace(path, bytes.data, bytes.size, NULL));
    ft_ranges_release(&kept);
    CHECK(ft_ranges_load(directory, key, &kept, NULL) == FT_EFORMAT && !kept.n);
    CHECK(measured(picture(), &b)->range[3].hi == hi);
    CHECK(!ft_ranges_load(directory, key, &kept, NULL) && kept.range[3].hi == hi);
    /* nothing is kept without a folder, or in one that does not exist */
    CHECK(files_of_ranges(other, true) == 2);
    ft_backbone_free(b);
    b = opened(NULL, "last", true);
    CHECK(files_of_ranges(other, false) == 0);
    CHECK(ft_ranges_keep("/no such folder", key, &kept, NULL) < 0);
    ft_backbone_free(b);
    ft_bytes_release(&bytes);
    ft_ranges_release(&kept);
    unlink(at("copy.jpg"));
}

static void ranges_of_a_file_are_checked(void)
{
    static const struct {
        const char *json, *says;
    } cases[] = {
        { "{\"backbone\":{\"precision\":\"int8\"}}", "needs the ranges" },
        { "{\"backbone\":{\"precision\":\"int8\",\"ranges\":[]}}", "needs the ranges" },
        { "{\"backbone\":{\"precision\":\"int8\",\"ranges\":[[\"a\",0]]}}", "no layer and two" },
        { "{\"backbone\":{\"precision\":\"int8\",\"ranges\":[7]}}", "no layer and two" },
        { "{\"backbone\":{\"precision\":\"int8\",\"ranges\":[[\"a\",0,1,5]]}}",
          "no layer and two" },
        { "{\"backbone\":{\"precision\":\"int8\",\"ranges\":[[\"a\",0,1,\"ab\"]]}}",
          "no layer and two" },
        { "{\"backbone\":{\"precision\":\"int8\",\"ranges\":[[\"a\",0,1,\"ab\",0,1e50]]}}",
          "no layer and two" },
        { "{\"backbone\":{\"precision\":\"int8\",\"ranges\":[[\"a\",0,1e60]]}}",
          "no layer and two" },
        { "{\"backbone\":{\"precision\":\"int8\",\"ranges\":[[3,0,1]]}}", "no layer and two" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ft_error err;
        struct ft_ranges ranges = { 0 };
        enum ft_precision out = FT_PRECISION_BF16;
        cJSON *json = cJSON_Parse(cases[i].json);
        CHECK(ft_precision_choose(NULL, json, &out, &ranges, &err) < 0);
        CHECK(strstr(err.msg, cases[i].says) && out == FT_PRECISION_BF16 && !ranges.range);
        cJSON_Delete(json);
    }
}

static void a_network_without_its_ranges_is_refused(void)
{
    struct ft_error err;
    struct ft_network *n = small();
    uint8_t pixels[64 * 64 * 3];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * 37);
    struct ft_plan_options o = { .layer = -1, .precision = FT_PRECISION_INT8 };
    struct ft_plan *plan = NULL;
    CHECK(ft_plan_new(n, &o, &plan, &err) == FT_EFORMAT && !plan);
    CHECK(strstr(err.msg, "the range of layer"));
    struct ft_ranges ranges = ranges_of(n, pixels, true);
    o.ranges = &ranges;
    CHECK(!ft_plan_new(n, &o, &plan, &err));
    CHECK(ft_plan_precision(plan) == FT_PRECISION_INT8);
    ft_plan_free(plan);
    ft_ranges_release(&ranges);
    CHECK(!ranges.n && !ranges.range);
    ft_network_free(n);
}

int main(void)
{
    if (!mkdtemp(directory))
        return 1;
    RUN(features_are_close_to_those_of_float32);
    RUN(every_row_gives_the_same_bits);
    RUN(pictures_together_give_the_same_bits);
    RUN(a_file_and_the_last_block_give_the_same_bits);
    RUN(unreadable_pictures_are_left_out);
    RUN(ranges_are_kept_for_the_same_pictures);
    RUN(ranges_of_a_file_are_checked);
    RUN(a_network_without_its_ranges_is_refused);
    rmdir(directory);
    return test_end();
}
