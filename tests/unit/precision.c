/* The precision of products: rounding to bfloat16, and what a backbone makes of the option and of
 * the file. The expected bits are those of tf.cast(x, tf.bfloat16) and of Intel's manual (denormal
 * numbers become 0). */
#define _GNU_SOURCE
#include <unistd.h>

#include "backbone/backbone.h"
#include "base/cpu.h"
#include "kernels/bf16.h"
#include "models.h"

static void values_round_to_nearest_even(void)
{
    static const struct {
        float value;
        uint16_t bits;
    } cases[] = {
        { 0, 0 },
        { -0.0f, 0x8000 },
        { 1, 0x3f80 },
        { -2.5f, 0xc020 },
        { 1.00390625f, 0x3f80 },         /* 1 + 2^-8: half way, to even */
        { 1.01171875f, 0x3f82 },         /* 1 + 3 * 2^-8: half way, to even */
        { 1.0039063692092896f, 0x3f81 }, /* the next float above half way */
        { 3.4028234663852886e38f, 0x7f80 },
        { INFINITY, 0x7f80 },
        { -INFINITY, 0xff80 },
        { 1e-40f, 0 },
        { -1e-40f, 0x8000 },
        { 1.1754943508222875e-38f, 0x0080 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK(ft_bf16(cases[i].value) == cases[i].bits);
    CHECK(isnan(ft_bf16_float(NAN)) && isnan(ft_bf16_float(-NAN)));
    CHECK(ft_bf16_float(1.01171875f) == 1.015625f);
}

static struct ft_backbone *opened(const char *name, const char *precision)
{
    struct ft_backbone *b = NULL;
    CHECK(
        !ft_backbone_open(name, &(struct ft_backbone_options){ .precision = precision }, &b, NULL));
    return b;
}

static bool equal(const float *a, const float *b)
{
    for (int i = 0; i < D; i++)
        if (a[i] != b[i])
            return false;
    return true;
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

static void features_are_close_to_those_of_float32(void)
{
    float exact[D], named[D], rounded[D];
    struct ft_backbone *plain = opened(NULL, NULL), *f32 = opened(NULL, "f32"),
                       *bf16 = opened(NULL, "bf16");
    CHECK(ft_backbone_precision(plain) == FT_PRECISION_F32);
    CHECK(ft_backbone_precision(f32) == FT_PRECISION_F32);
    CHECK(ft_backbone_precision(bf16) == FT_PRECISION_BF16);
    CHECK(!ft_feature_file(plain, picture(), exact, NULL));
    CHECK(!ft_feature_file(f32, picture(), named, NULL));
    CHECK(!ft_feature_file(bf16, picture(), rounded, NULL));
    CHECK(equal(exact, named));
    CHECK(!equal(exact, rounded));
    printf("# cosine of bf16 and f32: %.6f\n", cosine(exact, rounded, D));
    CHECK(cosine(exact, rounded, D) >= 0.99);
    ft_backbone_free(plain);
    ft_backbone_free(f32);
    ft_backbone_free(bf16);
}

static void the_key_of_the_cache_depends_on_it(void)
{
    uint64_t plain[2], f32[2], bf16[2];
    struct ft_backbone *b[] = { opened(NULL, NULL), opened(NULL, "f32"), opened(NULL, "bf16") };
    CHECK(!ft_backbone_key(b[0], plain, NULL) && !ft_backbone_key(b[1], f32, NULL) &&
          !ft_backbone_key(b[2], bf16, NULL));
    CHECK(!memcmp(plain, f32, sizeof plain) && memcmp(f32, bf16, sizeof f32) != 0);
    for (int i = 0; i < 3; i++)
        ft_backbone_free(b[i]);
}

static void a_saved_backbone_and_its_last_block_keep_it(void)
{
    struct ft_backbone *all = NULL, *last = NULL, *bf16 = opened(NULL, "bf16");
    CHECK(!ft_backbone_open(
        NULL, &(struct ft_backbone_options){ .precision = "bf16", .layers = "all" }, &all, NULL));
    CHECK(!ft_backbone_last_block(all, &last, NULL));
    CHECK(ft_backbone_precision(last) == FT_PRECISION_BF16);
    CHECK(!ft_backbone_save(bf16, at("b.h5"), NULL, NULL));
    struct ft_backbone *saved = opened(at("b.h5"), NULL), *other = opened(at("b.h5"), "f32");
    CHECK(ft_backbone_precision(saved) == FT_PRECISION_BF16);
    CHECK(ft_backbone_precision(other) == FT_PRECISION_F32);
    ft_backbone_free(saved);
    ft_backbone_free(other);
    ft_backbone_free(last);
    ft_backbone_free(all);
    ft_backbone_free(bf16);
    unlink(at("b.h5"));
}

static void other_precisions_are_refused(void)
{
    struct ft_error err;
    enum ft_precision out = FT_PRECISION_BF16;
    cJSON *json = cJSON_Parse("{\"backbone\": {\"precision\": \"fp8\"}}");
    CHECK(ft_precision_choose("int4", NULL, &out, NULL, &err) == FT_EARG);
    CHECK(strstr(err.msg, "'int4'") && out == FT_PRECISION_BF16);
    CHECK(ft_precision_choose(NULL, json, &out, NULL, &err) == FT_EUNSUPPORTED);
    CHECK(strstr(err.msg, "'fp8'") && out == FT_PRECISION_BF16);
    CHECK(!ft_precision_choose("f32", json, &out, NULL, &err) && out == FT_PRECISION_F32);
    CHECK_STR(ft_precision_name(FT_PRECISION_F32), "f32");
    CHECK_STR(ft_precision_name(FT_PRECISION_BF16), "bf16");
    CHECK_STR(ft_precision_name(FT_PRECISION_INT8), "int8");
    cJSON_Delete(json);
}

static void the_limit_of_instructions_applies(void)
{
    static const char *const without[] = { "c", "avx2", "avx512", "avx512_vnni" };
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        ft_cpu_limit(without[i]);
        CHECK(!ft_cpu_bf16());
    }
    ft_cpu_limit("avx512_bf16");
    CHECK(!ft_cpu_bf16() || !strcmp(ft_cpu_bf16(), "AVX512_BF16"));
    ft_cpu_limit(NULL);
}

int main(void)
{
    if (!mkdtemp(directory))
        return 1;
    RUN(values_round_to_nearest_even);
    RUN(features_are_close_to_those_of_float32);
    RUN(the_key_of_the_cache_depends_on_it);
    RUN(a_saved_backbone_and_its_last_block_keep_it);
    RUN(other_precisions_are_refused);
    RUN(the_limit_of_instructions_applies);
    rmdir(directory);
    return test_end();
}
