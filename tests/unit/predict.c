/* Models in memory, and one picture to its probabilities. Expected logits come from Keras
 * (golden/head/cam.txt). */
#define _GNU_SOURCE
#include <pthread.h>
#include <unistd.h>

#include "base/file.h"
#include "image/image.h"
#include "models.h"

static struct ft_backbone *backbone;
static char *classes[] = { "one", "two" };
static const char record[] =
    "{\"accuracy\":0.875,\"threshold\":{\"value\":0.625,\"coverage\":0.99}}";

static struct ft_model *model_of_noise(const char *text, const struct ft_gallery *gallery)
{
    struct ft_head head = head_of_noise();
    struct ft_model *model = NULL;
    CHECK(ft_model_new(backbone, &(struct ft_model_parts){ &head, classes, text, gallery }, &model,
                       NULL) == 0);
    free(head.w);
    free(head.b);
    return model;
}

static void probabilities_equal_keras(void)
{
    struct ft_model *model = model_of_noise(NULL, NULL);
    double logit[K];
    float p[K];
    FILE *f = fopen(data_path("golden/head/cam.txt"), "r");
    for (int i = 0; i <= CELLS; i++) /* the last row has the logits */
        CHECK(f && fscanf(f, "%lf %lf", &logit[0], &logit[1]) == 2);
    if (f)
        fclose(f);
    CHECK(ft_predict_file(model, picture(), p, NULL) == 0);
    for (int c = 0; c < K; c++)
        CHECK_NEAR(p[c], 1 / (1 + exp(logit[1 - c] - logit[c])), 1e-4);
    ft_model_free(model);
}

/* A file, its bytes and its decoded pixels give the same probabilities. The pixels are a PNG's,
 * which is always decoded at full size, and stand in wider rows. */
static void file_bytes_and_pixels_agree(void)
{
    struct ft_model *model = model_of_noise(NULL, NULL);
    struct ft_bytes jpeg = { 0 };
    struct ft_image image = { 0 };
    float file[K], bytes[K], pixels[K], packed[K];
    CHECK(ft_file_read(picture(), 1 << 24, &jpeg, NULL) == 0);
    CHECK(ft_predict_file(model, picture(), file, NULL) == 0);
    CHECK(ft_predict_bytes(model, jpeg.data, jpeg.size, bytes, NULL) == 0);
    CHECK(!memcmp(file, bytes, sizeof file));
    CHECK(ft_image_decode(jpeg.data, jpeg.size, NULL, &image, NULL) == 0);
    CHECK(ft_image_write(at("p.png"), image.pixels, image.width, image.height, NULL) == 0);
    CHECK(ft_predict_file(model, at("p.png"), file, NULL) == 0);
    const size_t row = (size_t)image.width * 3, stride = row + 13;
    uint8_t *wide = calloc((size_t)image.height, stride);
    for (int y = 0; y < image.height; y++)
        memcpy(wide + (size_t)y * stride, image.pixels + (size_t)y * row, row);
    CHECK(ft_predict_pixels(model, &(struct ft_pixels){ wide, image.width, image.height, stride },
                            pixels, NULL) == 0);
    CHECK(ft_predict_pixels(model,
                            &(struct ft_pixels){ image.pixels, image.width, image.height, 0 },
                            packed, NULL) == 0);
    CHECK(!memcmp(file, pixels, sizeof file) && !memcmp(file, packed, sizeof file));
    unlink(at("p.png"));
    free(wide);
    ft_image_release(&image);
    ft_bytes_release(&jpeg);
    ft_model_free(model);
}

/* The head of the model, applied to the feature, gives the probabilities of the prediction. */
static void features_of_file_bytes_and_pixels_agree(void)
{
    struct ft_model *model = model_of_noise(NULL, NULL);
    struct ft_bytes jpeg = { 0 };
    struct ft_image image = { 0 };
    float file[D], bytes[D], pixels[D], p[K], q[K];
    CHECK(ft_file_read(picture(), 1 << 24, &jpeg, NULL) == 0);
    CHECK(ft_feature_file(backbone, picture(), file, NULL) == 0);
    CHECK(ft_feature_bytes(backbone, jpeg.data, jpeg.size, bytes, NULL) == 0);
    CHECK(!memcmp(file, bytes, sizeof file));
    CHECK(ft_image_decode(jpeg.data, jpeg.size, NULL, &image, NULL) == 0);
    const struct ft_pixels whole = { image.pixels, image.width, image.height, 0 };
    CHECK(ft_feature_pixels(backbone, &whole, pixels, NULL) == 0);
    CHECK(ft_predict_pixels(model, &whole, p, NULL) == 0);
    ft_head_probabilities(ft_model_head(model), pixels, 1, q);
    CHECK_NEAR(p[0], q[0], 1e-5);
    struct ft_error err;
    pixels[0] = 7;
    CHECK(ft_feature_bytes(backbone, jpeg.data, 10, pixels, &err) == FT_EFORMAT);
    CHECK(ft_feature_pixels(backbone, &(struct ft_pixels){ image.pixels, 0, 1, 0 }, pixels, &err) ==
          FT_EARG);
    CHECK(pixels[0] == 7);
    ft_image_release(&image);
    ft_bytes_release(&jpeg);
    ft_model_free(model);
}

static const char *next_picture(void *user)
{
    int *left = user;
    return (*left)-- > 0 ? picture() : NULL;
}

static float extracted[D];
static int keep_row(void *user, const struct ft_row *row)
{
    (void)user;
    CHECK(row->status == 0 && !row->cached);
    memcpy(extracted, row->feature, sizeof extracted);
    return 0;
}

static void a_feature_is_that_of_an_extraction(void)
{
    float feature[D];
    int left = 5; /* more than are computed together */
    CHECK(ft_extract(backbone, NULL, next_picture, keep_row, &left, NULL) == 0);
    CHECK(ft_feature_file(backbone, picture(), feature, NULL) == 0);
    CHECK(!memcmp(feature, extracted, sizeof feature));
}

static void wrong_input_is_refused(void)
{
    struct ft_model *model = model_of_noise(NULL, NULL), *none = NULL;
    const uint8_t rgb[12] = { 0 };
    const struct ft_pixels wrong[] = {
        { rgb, 0, 2, 0 }, { rgb, 2, -1, 0 },      { NULL, 2, 2, 0 },
        { rgb, 2, 2, 5 }, { rgb, 1 << 20, 1, 0 },
    };
    float p[K] = { 7, 7 };
    struct ft_error err;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK(ft_predict_pixels(model, &wrong[i], p, &err) == FT_EARG);
    CHECK(ft_predict_bytes(model, "not a picture at all", 20, p, &err) == FT_EFORMAT);
    CHECK(ft_predict_file(model, at("absent.jpg"), p, &err) == FT_EIO &&
          strstr(err.msg, "absent.jpg"));
    CHECK(p[0] == 7 && p[1] == 7);
    struct ft_head head = head_of_noise();
    CHECK(ft_model_new(backbone, &(struct ft_model_parts){ &head, classes, "{", NULL }, &none,
                       &err) == FT_EARG &&
          !none);
    head.d--;
    CHECK(ft_model_new(backbone, &(struct ft_model_parts){ &head, classes, NULL, NULL }, &none,
                       &err) == FT_EARG &&
          !none);
    free(head.w);
    free(head.b);
    ft_model_free(model);
}

static struct ft_gallery *gallery_of_two(void)
{
    struct ft_features *f = NULL;
    struct ft_gallery *g = NULL;
    CHECK(ft_features_new(D, &f, NULL) == 0);
    for (int i = 0; i < 2; i++) {
        const struct ft_row row = { .path = i ? "d/b.jpg" : "d/a.jpg",
                                    .error = "",
                                    .feature = extracted };
        CHECK(ft_features_append(f, &row, i, NULL) == 0);
    }
    CHECK(ft_gallery_new(f, f->d, "d", &g, NULL) == 0);
    ft_features_free(f);
    return g;
}

static bool same_files(const char *a, const char *b)
{
    struct ft_bytes x = { 0 }, y = { 0 };
    CHECK(ft_file_read(a, 1 << 28, &x, NULL) == 0 && ft_file_read(b, 1 << 28, &y, NULL) == 0);
    const bool same = x.size == y.size && x.size && !memcmp(x.data, y.data, x.size);
    ft_bytes_release(&x);
    ft_bytes_release(&y);
    return same;
}

/* What a model says in memory is what it says after saving and opening, and an opened model saves
 * the same file again. */
static void a_model_in_memory_equals_its_file(void)
{
    struct ft_gallery *gallery = gallery_of_two(), *kept = NULL;
    struct ft_model *model = model_of_noise(record, gallery), *opened = NULL;
    struct ft_explanation *a = NULL, *b = NULL;
    float p[K], q[K];
    uint64_t bytes = 0;
    ft_gallery_free(gallery);
    CHECK(ft_model_save(model, at("m.h5"), &bytes, NULL) == 0 && bytes > 1000000);
    CHECK(ft_model_open(at("m.h5"), NULL, &opened, NULL) == 0);
    CHECK(ft_model_save(opened, at("n.h5"), NULL, NULL) == 0);
    CHECK(same_files(at("m.h5"), at("n.h5")));
    CHECK(ft_predict_file(model, picture(), p, NULL) == 0);
    CHECK(ft_predict_file(opened, picture(), q, NULL) == 0);
    CHECK_NEAR(p[0], q[0], 1e-6);
    CHECK(ft_explain(model, picture(), NULL, &a, NULL) == 0 &&
          ft_explain(opened, picture(), NULL, &b, NULL) == 0);
    CHECK_NEAR(a->p[0], p[0], 1e-5);
    CHECK_NEAR(b->p[0], p[0], 1e-5);
    const struct ft_model *both[] = { model, opened };
    for (int i = 0; i < 2; i++) {
        CHECK(ft_model_classes(both[i]) == K && ft_model_head(both[i])->k == K);
        CHECK_STR(ft_model_class_names(both[i])[1], "two");
        CHECK(ft_model_accuracy(both[i]) == 0.875 && ft_model_threshold(both[i]) == 0.625);
        CHECK_STR(ft_model_record(both[i]), record);
        CHECK(ft_model_gallery(both[i], &kept, NULL) == 0 && kept && kept->n == 2);
        CHECK_STR(kept ? kept->paths[1] : NULL, "b.jpg");
        ft_gallery_free(kept);
    }
    char *one = ft_model_settings(model), *two = ft_model_settings(opened);
    CHECK_STR(one, two);
    CHECK(one && strstr(one, "\"efficientnet-lite0\"") && strstr(one, "0.625"));
    free(one);
    free(two);
    ft_explanation_free(a);
    ft_explanation_free(b);
    ft_model_free(model);
    ft_model_free(opened);
    unlink(at("m.h5"));
    unlink(at("n.h5"));
}

/* The line of golden/heads/expected.txt for labels.h5; its probabilities do not add up to 1. */
static void independent_classes_stay_so_in_a_saved_file(void)
{
    char wide[4096], file[64] = "";
    double want[3] = { 0 };
    float p[3], q[3];
    struct ft_model *model = NULL, *opened = NULL;
    FILE *f = fopen(data_path("golden/heads/expected.txt"), "r");
    while (f && strcmp(file, "labels.h5") &&
           fscanf(f, "%63s %lf %lf %lf%*[^\n]", file, &want[0], &want[1], &want[2]) > 0)
        ;
    if (f)
        fclose(f);
    snprintf(wide, sizeof wide, "%s", data_path("golden/heads/wide.png"));
    const struct ft_backbone_options options = { .classes = "cat,dog,red" };
    CHECK(ft_model_open(data_path("golden/heads/labels.h5"), &options, &model, NULL) == 0);
    CHECK(ft_model_independent(model) && ft_model_classes(model) == 3);
    CHECK(ft_predict_file(model, wide, p, NULL) == 0);
    CHECK(ft_model_save(model, at("s.h5"), NULL, NULL) == 0);
    CHECK(ft_model_open(at("s.h5"), NULL, &opened, NULL) == 0);
    CHECK(ft_model_independent(opened) && !strcmp(ft_model_class_names(opened)[2], "red"));
    CHECK(ft_predict_file(opened, wide, q, NULL) == 0);
    for (int c = 0; c < 3; c++) {
        CHECK_NEAR(p[c], want[c], 1e-4);
        CHECK_NEAR(q[c], p[c], 1e-6);
    }
    ft_model_free(model);
    ft_model_free(opened);
    unlink(at("s.h5"));
}

static void a_model_without_a_record_knows_no_threshold(void)
{
    struct ft_model *model = model_of_noise(NULL, NULL);
    struct ft_gallery *none = (void *)1;
    CHECK(ft_model_threshold(model) < 0 && ft_model_accuracy(model) < 0 && !ft_model_record(model));
    CHECK(ft_model_gallery(model, &none, NULL) == 0 && !none);
    ft_model_free(model);
    model = model_of_noise("{\"threshold\":{\"value\":\"high\"},\"accuracy\":[]}", NULL);
    CHECK(ft_model_threshold(model) < 0 && ft_model_accuracy(model) < 0);
    ft_model_free(model);
}

static void a_model_keeps_its_backbone(void)
{
    struct ft_backbone *own = NULL;
    struct ft_head head = head_of_noise();
    struct ft_model *model = NULL;
    float p[K];
    CHECK(ft_backbone_open(NULL, NULL, &own, NULL) == 0);
    CHECK(ft_model_new(own, &(struct ft_model_parts){ &head, classes, NULL, NULL }, &model, NULL) ==
          0);
    ft_backbone_free(own);
    CHECK(ft_predict_file(model, picture(), p, NULL) == 0);
    CHECK_NEAR(p[0] + p[1], 1, 1e-6);
    ft_model_free(model);
    free(head.w);
    free(head.b);
}

/* Two classes that lie apart along one feature. */
static void a_model_is_trained_from_features(void)
{
    enum { N = 40 };
    struct ft_random random = { 8 };
    float *x = calloc((size_t)N * D, sizeof *x);
    int32_t labels[N];
    struct ft_model *model = NULL;
    struct ft_error err;
    for (int i = 0; i < N; i++) {
        labels[i] = i % 2;
        for (int j = 0; j < 12; j++) /* the other features are constant */
            x[i * D + j] = (float)ft_random_unit(&random) * 0.1f + (j == 7 && i % 2 ? 5 : 0);
    }
    struct ft_samples samples = { N, x, labels, NULL, K, classes };
    CHECK(ft_model_train_features(backbone, &samples, NULL, &model, NULL) == 0);
    CHECK(ft_model_accuracy(model) == 1 && ft_model_threshold(model) > 0.5);
    CHECK(ft_model_backbone(model) == backbone && ft_model_head(model)->w[7 * K + 1] > 0);
    ft_model_free(model);
    model = NULL;
    labels[3] = 2;
    CHECK(ft_model_train_features(backbone, &samples, NULL, &model, &err) == FT_EARG && !model &&
          strstr(err.msg, "row 3"));
    labels[3] = 1;
    x[D + 5] = NAN;
    CHECK(ft_model_train_features(backbone, &samples, NULL, &model, &err) == FT_EARG && !model &&
          strstr(err.msg, "feature 5 of row 1"));
    samples.n_classes = 1;
    x[D + 5] = 0;
    CHECK(ft_model_train_features(backbone, &samples, NULL, &model, &err) == FT_EARG && !model);
    free(x);
}

/* Pictures named d/GROUP-NUMBER.jpg, four in each group; the first and the last are copies. */
static struct ft_features *features_in_groups(size_t n)
{
    static float x[D];
    struct ft_random random = { 9 };
    struct ft_features *f = NULL;
    CHECK(ft_features_new(D, &f, NULL) == 0);
    for (size_t i = 0; i < n; i++) {
        char path[64];
        snprintf(path, sizeof path, "d/%zu-%zu.jpg", i / 4, i);
        for (int j = 0; j < D; j++)
            x[j] = (float)ft_random_unit(&random) - 0.5f + (j == 7 && i % 2 ? 5 : 0);
        const struct ft_row row = {
            .path = path, .error = "", .feature = x, .content = { i % (n - 1) + 1, 1 }
        };
        CHECK(ft_features_append(f, &row, (int32_t)(i % 2), NULL) == 0);
    }
    return f;
}

static void a_training_keeps_groups_in_one_fold(void)
{
    enum { N = 40 };
    struct ft_features *f = features_in_groups(N);
    struct ft_training_options options = { .head = { .seed = 1, .l2 = 0.1, .threads = 2 },
                                           .dir = "d",
                                           .group_by = "([0-9]+)-",
                                           .skipped = 3 };
    struct ft_training *t = NULL, *none = NULL;
    struct ft_model *model = NULL;
    struct ft_error err;
    CHECK(ft_training_run(f, classes, K, &options, &t, NULL) == 0);
    const int32_t *fold = t->validation->fold;
    for (int i = 0; i < N; i++)
        CHECK(fold[i] == fold[i / 4 * 4]);
    CHECK(fold[0] == fold[N - 1]);
    CHECK(t->counts[0] == N / 2 && t->counts[1] == N / 2 && t->skipped == 3 &&
          t->validation->folds == 5 && t->options.l2 == 0.1);
    CHECK(t->gallery->n == N);
    CHECK_STR(t->gallery->paths[5], "1-5.jpg");
    CHECK(ft_training_model(t, backbone, &model, NULL) == 0);
    CHECK_STR(ft_model_record(model), t->record);
    CHECK(strstr(t->record, "\"skipped\":3,"));
    CHECK(ft_model_accuracy(model) == t->calibrated->accuracy && t->calibrated->accuracy > 0.6);
    options.group_by = "("; /* not a regular expression */
    CHECK(ft_training_run(f, classes, K, &options, &none, &err) == FT_EARG && !none);
    options.group_by = NULL;
    f->labels[4] = K;
    CHECK(ft_training_run(f, classes, K, &options, &none, &err) == FT_EARG && !none &&
          strstr(err.msg, "row 4"));
    ft_model_free(model);
    ft_training_free(t);
    ft_training_free(NULL);
    ft_features_free(f);
}

enum { THREADS = 4, TIMES = 6 };
struct caller {
    const struct ft_model *model;
    float p[TIMES][K];
    int rc;
};

static void *call(void *user)
{
    struct caller *c = user;
    for (int i = 0; i < TIMES && !c->rc; i++)
        c->rc = ft_predict_file(c->model, picture(), c->p[i], NULL);
    return NULL;
}

static void many_threads_may_predict(void)
{
    struct ft_model *model = model_of_noise(NULL, NULL);
    struct caller callers[THREADS];
    pthread_t threads[THREADS];
    float p[K];
    CHECK(ft_predict_file(model, picture(), p, NULL) == 0);
    for (int i = 0; i < THREADS; i++) {
        callers[i] = (struct caller){ .model = model };
        CHECK(pthread_create(&threads[i], NULL, call, &callers[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        CHECK(callers[i].rc == 0);
        for (int k = 0; k < TIMES; k++)
            CHECK(!memcmp(callers[i].p[k], p, sizeof p));
    }
    ft_model_free(model);
}

int main(void)
{
    if (!mkdtemp(directory) || ft_backbone_open(NULL, NULL, &backbone, NULL))
        return 1;
    RUN(probabilities_equal_keras);
    RUN(file_bytes_and_pixels_agree);
    RUN(features_of_file_bytes_and_pixels_agree);
    RUN(a_feature_is_that_of_an_extraction);
    RUN(wrong_input_is_refused);
    RUN(a_model_in_memory_equals_its_file);
    RUN(independent_classes_stay_so_in_a_saved_file);
    RUN(a_model_without_a_record_knows_no_threshold);
    RUN(a_model_keeps_its_backbone);
    RUN(a_model_is_trained_from_features);
    RUN(a_training_keeps_groups_in_one_fold);
    RUN(many_threads_may_predict);
    ft_backbone_free(backbone);
    rmdir(directory);
    return test_end();
}
