/* Explanations against NumPy and Keras (scripts/golden_report.py), and the training pictures that a
 * model remembers. */
#include "base/file.h"
#include "image/image.h"
#include "keras/blob.h"
#include "keras/keras.h"
#include "model/gallery.h"

#include <sys/stat.h>
#include <unistd.h>

#include "models.h"

static struct ft_features *features_of_noise(size_t n)
{
    struct ft_random random = { 9 };
    struct ft_features *f;
    float x[64];
    char path[40];
    CHECK(ft_features_new(64, &f, NULL) == 0);
    for (size_t i = 0; i < n; i++) {
        for (int j = 0; j < 64; j++)
            x[j] = (float)ft_random_unit(&random);
        snprintf(path, sizeof path, "photos/a/%zu.jpg", i);
        const struct ft_row row = { .index = i, .path = path, .error = "", .feature = x };
        CHECK(ft_features_append(f, &row, (int32_t)(i % 2), NULL) == 0);
    }
    return f;
}

static void save(const struct ft_gallery *gallery)
{
    struct ft_backbone *backbone;
    struct ft_model *model;
    struct ft_head head = head_of_noise();
    char *classes[] = { "one", "two" };
    CHECK(ft_backbone_open(NULL, NULL, &backbone, NULL) == 0);
    CHECK(ft_model_new(backbone, &(struct ft_model_parts){ &head, classes, NULL, gallery }, &model,
                       NULL) == 0);
    CHECK(ft_model_save(model, at("m.h5"), NULL, NULL) == 0);
    ft_model_free(model);
    ft_backbone_free(backbone);
    free(head.w);
    free(head.b);
}

static void activation_map_equals_keras(void)
{
    struct ft_model *model;
    struct ft_explanation *e;
    save(NULL);
    CHECK(ft_model_open(at("m.h5"), NULL, &model, NULL) == 0);
    CHECK(ft_explain(model, picture(), NULL, &e, NULL) == 0);
    FILE *f = fopen(data_path("golden/head/cam.txt"), "r");
    CHECK(e->exact && e->height == 7 && e->width == 7 && e->d == D && e->k == K);
    double sum[K] = { 0 };
    for (int i = 0; i <= CELLS; i++) {
        double want[K];
        CHECK(f && fscanf(f, "%lf %lf", &want[0], &want[1]) == 2);
        for (int c = 0; c < K; c++) {
            CHECK_NEAR(i < CELLS ? e->shares[i * K + c] : e->logits[c], want[c], 1e-4);
            sum[c] += i < CELLS ? e->shares[i * K + c] : 0;
        }
    }
    float map[CELLS], other[CELLS];
    ft_explanation_map(e, &(struct ft_question){ 1, -1 }, map);
    ft_explanation_map(e, &(struct ft_question){ 1, 0 }, other);
    for (int c = 0; c < K; c++)
        CHECK_NEAR(sum[c], e->logits[c] - ft_model_head(model)->b[c], 1e-5);
    CHECK(map[5] == e->shares[5 * K + 1] && other[5] == e->shares[5 * K + 1] - e->shares[5 * K]);
    if (f)
        fclose(f);
    ft_explanation_free(e);
    ft_model_free(model);
}

enum { WIDE = 10, HIGH = 12, GRID = 7 };

/* Writes the pixels as a PNG of the network's own size and lets the model look at it. */
static struct ft_explanation *look(const struct ft_model *model, const uint8_t *pixels)
{
    struct ft_explanation *e = NULL;
    CHECK(ft_image_write(at("p.png"), pixels, WIDE, HIGH, NULL) == 0);
    CHECK(ft_explain(model, at("p.png"), NULL, &e, NULL) == 0);
    unlink(at("p.png"));
    return e;
}

/* A network whose features are no average of a map (the scaling keeps its relu6 from saturating):
 * every share is what covering the cell by hand takes from the logit. */
static void occlusion_is_what_covering_a_cell_takes(void)
{
    uint8_t pixels[HIGH * WIDE * 3], covered[sizeof pixels], mean[3];
    struct ft_random random = { 21 };
    struct ft_model *model;
    unsigned sum[3] = { 0 };
    CHECK(ft_model_open(data_path("golden/keras/keras3-functional.h5"),
                        &(struct ft_backbone_options){ .rule = "squash", .preprocess = "0.01,9" },
                        &model, NULL) == 0);
    for (size_t i = 0; i < sizeof pixels; i++)
        sum[i % 3] += pixels[i] = (uint8_t)(ft_random_unit(&random) * 256);
    for (int i = 0; i < 3; i++)
        mean[i] = (uint8_t)(sum[i] / (WIDE * HIGH));
    struct ft_explanation *e = look(model, pixels);
    CHECK(!e->exact && e->height == GRID && e->width == GRID);
    bool some = false;
    for (int cell = 0; cell < GRID * GRID; cell++) {
        const int row = cell / GRID, column = cell % GRID;
        memcpy(covered, pixels, sizeof pixels);
        for (int y = row * HIGH / GRID; y < (row + 1) * HIGH / GRID; y++)
            for (int x = column * WIDE / GRID; x < (column + 1) * WIDE / GRID; x++)
                memcpy(covered + (y * WIDE + x) * 3, mean, 3);
        struct ft_explanation *without = look(model, covered);
        for (int c = 0; c < e->k; c++) {
            CHECK_NEAR(e->shares[cell * e->k + c], e->logits[c] - without->logits[c],
                       1e-5 * fabs(e->logits[c]));
            some |= fabsf(e->shares[cell * e->k + c]) > 1e-3f * fabsf(e->logits[c]);
        }
        ft_explanation_free(without);
    }
    CHECK(some);
    ft_explanation_free(e);
    ft_model_free(model);
}

/* A map that is warm on its left and cold on its right, over a grey picture. The picture itself
 * stands unchanged in the drawing; under the heat map red prevails on the left, blue on the right.
 */
static void a_drawing_has_the_picture_and_its_heat_map(void)
{
    enum { SIDE = 64, GREY = 128 };
    uint8_t grey[SIDE * SIDE * 3];
    float shares[2 * K] = { 0, 2, 0, -2 }, p[K] = { 0.25f, 0.75f };
    char *classes[] = { "one", "two" };
    struct ft_explanation e = { .height = 1,
                                .width = 2,
                                .k = K,
                                .shares = shares,
                                .p = p,
                                .picture_height = SIDE,
                                .picture_width = SIDE,
                                .picture = grey };
    struct ft_bytes png = { 0 };
    struct ft_image image = { 0 };
    struct ft_error err;
    memset(grey, GREY, sizeof grey);
    const struct ft_question question = { 1, -1 };
    CHECK(ft_explanation_draw(&e, &question, classes, "t", at("e.png"), NULL) == 0);
    CHECK(ft_file_read(at("e.png"), 1 << 24, &png, NULL) == 0);
    CHECK(!memcmp(png.data, "\x89PNG\r\n\x1a\n", 8));
    CHECK(ft_image_decode(png.data, png.size, NULL, &image, NULL) == 0);
    CHECK(image.width > 3 * SIDE && image.height > SIDE);
    /* the first grey run of a row is the picture; the margin between both pictures equals the first
     */
    int y = image.height, margin = 0;
    const uint8_t *row = NULL;
    for (int i = 0; i < image.height && y == image.height; i++) {
        row = image.pixels + (size_t)i * (size_t)image.width * 3;
        for (margin = 0; margin < SIDE && row[3 * margin] != GREY; margin++)
            continue;
        y = margin < SIDE ? i : y;
    }
    CHECK(y + SIDE <= image.height);
    if (y + SIDE <= image.height) {
        row += (size_t)(SIDE / 2) * (size_t)image.width * 3;
        CHECK(!memcmp(row + 3 * margin, grey, (size_t)SIDE * 3));
        const uint8_t *warm = row + 3 * (2 * margin + SIDE), *cold = warm + 3 * (SIDE - 1);
        CHECK(warm[0] > warm[2] && cold[2] > cold[0]);
    }
    CHECK(ft_explanation_draw(&e, &question, classes, "t", at("absent/e.png"), &err) == FT_EIO &&
          strstr(err.msg, "absent/e.png"));
    unlink(at("e.png"));
    ft_image_release(&image);
    ft_bytes_release(&png);
}

static void a_damaged_attribute_is_refused(void)
{
    const char *const damaged[] = { "{\"format\": 1", "[]", "3" };
    struct ft_network *network;
    struct ft_model *model;
    struct ft_backbone *backbone;
    struct ft_error err;
    CHECK(ft_keras_open(data_path("golden/keras/keras3-functional.h5"), NULL, &network, NULL) == 0);
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        CHECK(ft_keras_write(network, damaged[i], at("d.h5"), NULL) == 0);
        CHECK(ft_model_open(at("d.h5"), NULL, &model, &err) == FT_EFORMAT &&
              strstr(err.msg, "finetune") && strstr(err.msg, "d.h5"));
        CHECK(ft_backbone_open(at("d.h5"), NULL, &backbone, &err) == FT_EFORMAT &&
              strstr(err.msg, "finetune"));
        unlink(at("d.h5"));
    }
    ft_network_free(network);
}

static void a_head_that_is_not_finite_is_refused(void)
{
    struct ft_backbone *backbone;
    struct ft_model *model;
    struct ft_head head = head_of_noise();
    char *classes[] = { "one", "two" };
    struct ft_error err;
    CHECK(ft_backbone_open(NULL, NULL, &backbone, NULL) == 0);
    for (int i = 0; i < 2; i++) {
        float *spoilt = i ? &head.b[1] : &head.w[D];
        const float kept = *spoilt;
        *spoilt = i ? INFINITY : NAN;
        CHECK(ft_model_new(backbone, &(struct ft_model_parts){ &head, classes, NULL, NULL }, &model,
                           NULL) == 0);
        CHECK(ft_model_save(model, at("m.h5"), NULL, NULL) == 0);
        ft_model_free(model);
        CHECK(ft_model_open(at("m.h5"), NULL, &model, &err) == FT_EFORMAT &&
              strstr(err.msg, "not finite"));
        *spoilt = kept;
    }
    ft_backbone_free(backbone);
    free(head.w);
    free(head.b);
}

static void a_gallery_finds_its_own_pictures(void)
{
    struct ft_features *f = features_of_noise(300);
    struct ft_gallery *g;
    struct ft_neighbour near[4];
    CHECK(ft_gallery_new(f, f->d, "photos", &g, NULL) == 0);
    CHECK(g->n == 300);
    CHECK_STR(g->paths[7], "a/7.jpg");
    for (size_t i = 0; i < 300; i += 37) {
        CHECK(ft_gallery_nearest(g, f->x + i * 64, 64, 4, near) == 4);
        CHECK(near[0].row == i && near[0].similarity > 0.999);
        double dot = 0, a = 0, b = 0; /* the cosine itself */
        for (int j = 0; j < 64; j++) {
            const double x = f->x[i * 64 + (size_t)j], y = f->x[near[1].row * 64 + (size_t)j];
            dot += x * y;
            a += x * x;
            b += y * y;
        }
        CHECK_NEAR(near[1].similarity, dot / sqrt(a * b), 0.1);
    }
    ft_gallery_free(g);
    CHECK(ft_gallery_new(f, 24, "photos", &g, NULL) == 0); /* of a head of the last 24 columns */
    CHECK(ft_gallery_nearest(g, f->x + 5 * 64 + 40, 24, 1, near) == 1);
    CHECK(near[0].row == 5 && near[0].similarity > 0.999);
    ft_gallery_free(g);
    ft_features_free(f);
}

static void a_gallery_survives_its_file(void)
{
    struct ft_features *f = features_of_noise(20);
    struct ft_gallery *g, *back = NULL;
    struct ft_model *model;
    CHECK(ft_gallery_new(f, f->d, "photos", &g, NULL) == 0);
    save(g);
    CHECK(ft_model_open(at("m.h5"), NULL, &model, NULL) == 0);
    CHECK(ft_model_gallery(model, &back, NULL) == 0 && back && back->n == 20);
    for (size_t i = 0; back && i < 20; i++) {
        CHECK_STR(back->paths[i], g->paths[i]);
        CHECK(back->labels[i] == (int32_t)(i % 2) &&
              !memcmp(back->codes + i * FT_CODE, g->codes + i * FT_CODE, FT_CODE));
    }
    ft_gallery_free(back);
    ft_model_free(model);
    save(NULL);
    back = g;
    CHECK(ft_gallery_read(at("m.h5"), 2, &back, NULL) == 0 && !back);
    ft_gallery_free(g);
    ft_features_free(f);
}

static void a_damaged_gallery_is_refused(void)
{
    struct ft_features *f = features_of_noise(5);
    struct ft_gallery *g, *back;
    struct ft_error err;
    uint8_t *bytes;
    size_t size;
    CHECK(ft_gallery_new(f, f->d, "", &g, NULL) == 0);
    save(g);
    /* a label beyond the classes */
    CHECK(ft_gallery_read(at("m.h5"), 1, &back, &err) == FT_EFORMAT);
    CHECK(ft_blob_read(at("m.h5"), "finetune_gallery", 1 << 20, &bytes, &size, NULL) == 0 && bytes);
    CHECK(ft_blob_read(at("m.h5"), "finetune_gallery", 10, &(uint8_t *){ NULL }, &(size_t){ 0 },
                       &err) == FT_EFORMAT);
    CHECK(ft_blob_read(at("m.h5"), "model_weights", 1 << 20, &(uint8_t *){ NULL }, &(size_t){ 0 },
                       &err) == FT_EFORMAT);
    for (size_t cut = 0; cut < size; cut += cut < 40 ? 1 : 97) {
        save(NULL);
        if (cut % 2)
            bytes[8] ^= 0xff; /* another number of pictures */
        CHECK(!cut || ft_blob_write(at("m.h5"), "finetune_gallery", bytes, cut, NULL) == 0);
        back = NULL;
        CHECK(!cut || (ft_gallery_read(at("m.h5"), 2, &back, &err) == FT_EFORMAT && !back));
        if (cut % 2)
            bytes[8] ^= 0xff;
    }
    free(bytes);
    ft_gallery_free(g);
    ft_features_free(f);
}

/* Values are compared in tests/cli (ONNX Runtime's); here the file, the labels and an error. */
static void an_exported_model_is_a_file(void)
{
    struct ft_model *model = NULL;
    struct ft_error err = { 0 };
    struct stat st;
    char text[32] = "";
    uint64_t bytes = 0;
    save(NULL);
    CHECK(ft_model_open(at("m.h5"), NULL, &model, NULL) == 0);
    const struct ft_export_options options = { .labels = at("labels.txt") };
    const int rc = ft_model_export(model, &options, at("m.onnx"), &bytes, &err);
    CHECK(rc == 0 || (rc == FT_EUNSUPPORTED && strstr(err.msg, "protobuf-c")));
    if (!rc) {
        CHECK(!stat(at("m.onnx"), &st) && (uint64_t)st.st_size == bytes && bytes > 10000000);
        FILE *f = fopen(at("labels.txt"), "r");
        CHECK(f && fread(text, 1, sizeof text - 1, f) && !strcmp(text, "one\ntwo\n"));
        if (f)
            fclose(f);
        CHECK(ft_model_export(model, NULL, "/nowhere/m.onnx", NULL, NULL) == FT_EIO);
    }
    const int archive = ft_model_export(model, NULL, at("m.keras"), &bytes, &err);
    CHECK(archive == 0 || (archive == FT_EUNSUPPORTED && strstr(err.msg, "libzip")));
    const struct ft_export_options half = { .fp16 = true };
    CHECK(ft_model_export(model, &half, at("m.keras"), NULL, NULL) == FT_EARG);
    CHECK(archive || (!stat(at("m.keras"), &st) && (uint64_t)st.st_size == bytes));
    ft_model_free(model);
    if (!archive)
        CHECK(ft_model_open(at("m.keras"), NULL, &model, NULL) == 0 &&
              ft_model_classes(model) == 2);
    if (!archive)
        ft_model_free(model);
    unlink(at("m.keras"));
    unlink(at("m.onnx"));
    unlink(at("labels.txt"));
}

int main(void)
{
    if (!mkdtemp(directory))
        return 1;
    RUN(activation_map_equals_keras);
    RUN(occlusion_is_what_covering_a_cell_takes);
    RUN(a_drawing_has_the_picture_and_its_heat_map);
    RUN(a_damaged_attribute_is_refused);
    RUN(a_head_that_is_not_finite_is_refused);
    RUN(an_exported_model_is_a_file);
    RUN(a_gallery_finds_its_own_pictures);
    RUN(a_gallery_survives_its_file);
    RUN(a_damaged_gallery_is_refused);
    unlink(at("m.h5"));
    rmdir(directory);
    return test_end();
}
