/* Where the features of a vision transformer come from: the exact map of its patch tokens, and what
 * its class token adds. The transformers are small KerasHub presets. */
#define _GNU_SOURCE
#include "../test.h"

#include <math.h>
#include <unistd.h>

#include "backbone/backbone.h"
#include "base/file.h"
#include "base/memory.h"
#include "finetune/model.h"
#include "graph/plan.h"
#include "image/image.h"
#include "models.h"

enum { INPUT = 32, GRID = 7, C = 24, SIDE = 4, PATCHES = SIDE * SIDE };

static struct ft_backbone *open_preset(const char *name, const char *layers)
{
    char path[4096];
    struct ft_backbone *b = NULL;
    snprintf(path, sizeof path, "%s/golden/presets/%s", getenv("FT_TEST_DATA"), name);
    CHECK(!ft_backbone_open(path, &(struct ft_backbone_options){ .layers = layers }, &b, NULL));
    return b;
}

/* A head of noise on the features of a backbone. `weights` [d * K + K] receives it. */
static struct ft_model *model_of(struct ft_backbone *b, float *weights)
{
    static char *classes[] = { (char *)"one", (char *)"two" };
    const int d = ft_backbone_features(b);
    struct ft_model *model = NULL;
    struct ft_head head = { .d = d, .k = K, .w = weights, .b = weights + d * K };
    for (int i = 0; i < (d + 1) * K; i++)
        weights[i] = sinf((float)(7 * i + 3));
    CHECK(!ft_model_new(b, &(struct ft_model_parts){ &head, classes, NULL, NULL }, &model, NULL));
    return model;
}

/* The pixels that the model sees. */
static void pixels_of(const struct ft_backbone *b, uint8_t pixels[INPUT * INPUT * 3])
{
    const struct ft_geometry *g = &b->geometry;
    struct ft_preparer preparer = { 0 };
    struct ft_bytes bytes = { 0 };
    CHECK(g->height == INPUT && g->width == INPUT);
    CHECK(!ft_file_read(picture(), 1 << 26, &bytes, NULL));
    CHECK(!ft_image_prepare(&preparer, bytes.data, bytes.size, g, 0, pixels, NULL));
    ft_preparer_release(&preparer);
    ft_bytes_release(&bytes);
}

static void run_plan(const struct ft_plan *plan, const uint8_t *pixels, float *out)
{
    void *arena = ft_alloc(1, ft_plan_arena_bytes(plan, 1));
    ft_plan_run(plan, pixels, arena, out);
    free(arena);
}

/* Runs the network to a layer on the pixels that the model sees. */
static void tokens_of(const struct ft_backbone *b, const char *layer, float *out)
{
    const struct ft_plan_options options = { .height = INPUT,
                                             .width = INPUT,
                                             .layer = ft_network_find(b->network, layer) };
    struct ft_plan *plan = NULL;
    uint8_t pixels[INPUT * INPUT * 3];
    pixels_of(b, pixels);
    CHECK(!ft_plan_new(b->network, &options, &plan, NULL));
    run_plan(plan, pixels, out);
    ft_plan_free(plan);
}

/* The last 2 * C features are the class token and the mean of the patch tokens; the `before`
 * features before them belong to no place. */
static void check_shares(const char *layers, int before)
{
    float weights[(3 * C + 1) * K] = { 0 }, patches[PATCHES * C], feature[3 * C];
    struct ft_backbone *b = open_preset("dinov2", layers);
    CHECK(ft_backbone_features(b) == before + 2 * C);
    struct ft_model *model = model_of(b, weights);
    struct ft_explanation *e = NULL;
    CHECK(!ft_explain(model, picture(), NULL, &e, NULL));
    CHECK(e->exact && e->height == SIDE && e->width == SIDE);
    tokens_of(b, "patch_tokens", patches);
    CHECK(!ft_feature_file(b, picture(), feature, NULL));
    const int d = before + 2 * C, mean = before + C;
    for (int c = 0; c < K; c++) {
        double sum = 0, whole = 0, logit = weights[d * K + c];
        for (int cell = 0; cell < PATCHES; cell++) {
            double share = 0;
            for (int j = 0; j < C; j++)
                share += (double)patches[cell * C + j] * (double)weights[(mean + j) * K + c];
            CHECK_NEAR(e->shares[cell * K + c], share / PATCHES, 1e-5);
            sum += (double)e->shares[cell * K + c];
        }
        for (int j = 0; j < d; j++) {
            const double term = (double)feature[j] * (double)weights[j * K + c];
            whole += j < mean ? term : 0;
            logit += term;
        }
        CHECK_NEAR(e->elsewhere[c], whole, 1e-4);
        CHECK(fabs(whole) > 1e-2);
        CHECK_NEAR(e->logits[c], logit, 1e-4);
        CHECK_NEAR(sum + (double)e->elsewhere[c], e->logits[c] - weights[d * K + c], 1e-4);
    }
    ft_explanation_free(e);
    CHECK(!ft_explain(model, picture(), &(struct ft_explain_options){ .occlude = true }, &e, NULL));
    CHECK(!e->exact && e->height == 7 && e->elsewhere[0] == 0);
    ft_explanation_free(e);
    ft_model_free(model);
    ft_backbone_free(b);
}

static void patch_tokens_have_places_and_the_class_token_is_one_number(void)
{
    check_shares("last", 0);
}

static void class_tokens_of_blocks_have_no_place(void)
{
    check_shares("all", C); /* of the first of two blocks */
    int n = 0;
    struct ft_backbone *b = open_preset("dinov2", "all");
    const struct ft_block *blocks = ft_backbone_blocks(b, &n);
    CHECK(n == 2 && blocks[0].width == C && blocks[1].from == C && blocks[1].width == 2 * C);
    ft_backbone_free(b);
}

/* Covers each cell of the pixels with their mean colour, and compares the decrease of the logits.
 */
static void check_occlusion(const struct ft_backbone *b, const float *weights,
                            const struct ft_explanation *e)
{
    uint8_t pixels[INPUT * INPUT * 3], covered[INPUT * INPUT * 3];
    int sum[3] = { 0 }, d = ft_backbone_features(b);
    float whole[2 * C], feature[2 * C];
    pixels_of(b, pixels);
    for (int i = 0; i < INPUT * INPUT * 3; i++)
        sum[i % 3] += pixels[i];
    run_plan(b->plan, pixels, whole);
    for (int cell = 0; cell < GRID * GRID; cell++) {
        for (int i = 0; i < INPUT * INPUT * 3; i++) {
            const int y = i / 3 / INPUT, x = i / 3 % INPUT, top = cell / GRID * INPUT / GRID,
                      left = cell % GRID * INPUT / GRID;
            const bool inside = y >= top && y < (cell / GRID + 1) * INPUT / GRID && x >= left &&
                                x < (cell % GRID + 1) * INPUT / GRID;
            covered[i] = inside ? (uint8_t)(sum[i % 3] / (INPUT * INPUT)) : pixels[i];
        }
        run_plan(b->plan, covered, feature);
        for (int c = 0; c < K; c++) {
            double share = 0;
            for (int j = 0; j < d; j++)
                share += ((double)whole[j] - (double)feature[j]) * (double)weights[j * K + c];
            CHECK_NEAR(e->shares[cell * K + c], share, 1e-4);
        }
    }
}

static void count_progress(void *user, size_t done, size_t total)
{
    size_t *last = user;
    CHECK(done > *last && done <= total && total == GRID * GRID + 1);
    *last = done;
}

static void a_class_token_alone_is_explained_by_occlusion(void)
{
    float weights[(2 * C + 1) * K];
    struct ft_backbone *b = open_preset("vit", "all");
    CHECK(ft_backbone_features(b) == 2 * C);
    struct ft_model *model = model_of(b, weights);
    struct ft_explanation *e = NULL;
    CHECK(!ft_explain(model, picture(), NULL, &e, NULL));
    CHECK(!e->exact && e->height == 7 && e->elsewhere[0] == 0 && e->elsewhere[1] == 0);
    check_occlusion(b, weights, e);
    ft_explanation_free(e);
    size_t last = 0;
    const struct ft_explain_options options = {
        .occlude = true, .threads = 1, .progress = count_progress, .user = &last
    };
    CHECK(!ft_explain(model, picture(), &options, &e, NULL));
    check_occlusion(b, weights, e);
    CHECK(last == GRID * GRID + 1);
    ft_explanation_free(e);
    ft_model_free(model);
    ft_backbone_free(b);
}

int main(void)
{
    RUN(patch_tokens_have_places_and_the_class_token_is_one_number);
    RUN(class_tokens_of_blocks_have_no_place);
    RUN(a_class_token_alone_is_explained_by_occlusion);
    return test_end();
}
