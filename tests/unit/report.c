/* Results as text, JSON, CSV and HTML: of six pictures whose figures follow by hand. */
#include <cjson/cJSON.h>
#include <unistd.h>

#include "finetune-tools.h"
#include "model/record.h"

#include "../test.h"

/* Rows 0 to 3 are of class 0, of which one is wrong; rows 4 and 5 of class 1, of which one is. */
static const float p[] = { 0.9f,  0.1f,  0.8f, 0.2f, 0.7f,  0.3f,
                           0.25f, 0.75f, 0.4f, 0.6f, 0.95f, 0.05f };
static const int32_t y[] = { 0, 0, 0, 0, 1, 1 };
static char *paths[] = { "a/0.jpg", "a/1.jpg", "a/2.jpg", "a/3.jpg", "b/4.jpg", "b/5.jpg" };
static char *classes[] = { "cat", "a,\"<b>" };
static const struct ft_judged judged = {
    .n = 6, .k = 2, .p = p, .y = y, .paths = paths, .classes = classes
};

static struct ft_metrics *measure(void)
{
    struct ft_metrics *m = NULL;
    CHECK(ft_metrics_compute(p, y, NULL, 6, 2, &m, NULL) == 0);
    return m;
}

static void check_has(const char *text, const char *want)
{
    if (!text || !strstr(text, want)) {
        printf("# no \"%s\" in:\n# %s\n", want, text ? text : "(null)");
        test_failures++;
    }
}

static double number(const cJSON *json, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

static const cJSON *item(const cJSON *json, const char *key, int i)
{
    return cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(json, key), i);
}

/* The text of a file, malloc'd; NULL where there is none. */
static char *slurp(const char *dir, const char *name)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "rb");
    char *text = calloc(1, 1 << 20);
    if (!f || !text || !fread(text, 1, (1 << 20) - 1, f)) {
        free(text);
        text = NULL;
    }
    if (f)
        fclose(f);
    return text;
}

static void metrics_as_text(void)
{
    struct ft_metrics *m = measure();
    char *text = ft_report_metrics_text(m, &judged);
    check_has(text, "accuracy   66.67 % (4 of 6; 95 % interval 30.00 to 90.32) · balanced 62.50 %");
    check_has(text, "cat        0.7500   0.7500   0.7500        4");
    check_has(
        text,
        "most confused\n  cat predicted as a,\"<b>: 1 of 4\n  a,\"<b> predicted as cat: 1 of 2\n");
    check_has(text, "mistakes, highest probability first\n  b/5.jpg\tcat 0.950\tnot a,\"<b> 0.050\n"
                    "  a/3.jpg\ta,\"<b> 0.750\tnot cat 0.250\n");
    check_has(text, "     0.80    0.5000    0.6667\n"); /* 3 of 6 reach 0.8, 2 of them correct */
    free(text);
    ft_metrics_free(m);
}

static void metrics_as_json(void)
{
    struct ft_metrics *m = measure();
    char *text = ft_report_metrics_json(m, &judged);
    cJSON *json = cJSON_Parse(text);
    CHECK(number(json, "images") == 6);
    CHECK_NEAR(number(json, "accuracy"), 4.0 / 6, 1e-12);
    CHECK_NEAR(number(json, "balanced_accuracy"), 0.625, 1e-12);
    /* mean of 0.1, 0.2, 0.3, 0.75, 0.4, 0.95 squared */
    CHECK_NEAR(number(json, "brier"), (0.01 + 0.04 + 0.09 + 0.5625 + 0.16 + 0.9025) / 6, 1e-7);
    CHECK_NEAR(number(json, "log_loss"),
               -(log(0.9) + log(0.8) + log(0.7) + log(0.25) + log(0.6) + log(0.05)) / 6, 1e-6);
    CHECK_STR(cJSON_GetStringValue(item(json, "classes", 1)), "a,\"<b>");
    CHECK(cJSON_GetArrayItem(item(json, "confusion", 0), 1)->valuedouble == 1);
    CHECK(cJSON_GetArrayItem(item(json, "confusion", 0), 0)->valuedouble == 3);
    CHECK_NEAR(number(item(json, "per_class", 1), "recall"), 0.5, 1e-12);
    CHECK_STR(cJSON_GetStringValue(cJSON_GetObjectItem(item(json, "mistakes", 0), "path")),
              "b/5.jpg");
    CHECK_NEAR(number(item(json, "mistakes", 0), "probability"), 0.95, 1e-6);
    CHECK(cJSON_GetArraySize(cJSON_GetObjectItem(json, "mistakes")) == 2);
    /* nothing falls into the first bin: its accuracy is not defined */
    CHECK(cJSON_IsNull(cJSON_GetObjectItem(item(json, "reliability", 0), "accuracy")));
    cJSON_Delete(json);
    free(text);
    struct ft_judged nameless = judged;
    nameless.paths = NULL;
    text = ft_report_metrics_json(m, &nameless);
    CHECK(text && !strstr(text, "mistakes"));
    free(text);
    ft_metrics_free(m);
}

static void metrics_as_csv(void)
{
    char dir[] = "/tmp/ft-report-XXXXXX", path[300];
    static const char *const names[] = { "predictions.csv", "classes.csv", "confusion.csv",
                                         "reliability.csv", "coverage.csv" };
    struct ft_metrics *m = measure();
    struct ft_error err;
    CHECK(mkdtemp(dir) != NULL);
    CHECK(ft_report_csv(m, &judged, false, dir, &err) == 0);
    char *text = slurp(dir, "confusion.csv");
    CHECK_STR(text, "label,cat,\"a,\"\"<b>\"\ncat,3,1\n\"a,\"\"<b>\",1,1\n");
    free(text);
    text = slurp(dir, "predictions.csv");
    check_has(text, "path,label,predicted,probability,cat,\"a,\"\"<b>\"\n"
                    "a/0.jpg,cat,cat,0.899999976,0.899999976,0.100000001\n");
    free(text);
    text = slurp(dir, "classes.csv");
    check_has(text, "label,precision,recall,f1,support,roc_auc,average_precision\n"
                    "cat,0.75,0.75,0.75,4,0.375,0.645833333\n");
    free(text);
    text = slurp(dir, "coverage.csv");
    check_has(text, "threshold,coverage,accuracy\n0,1,0.666666667\n");
    check_has(text, "\n0.99,0,\n"); /* no picture reaches it */
    free(text);
    text = slurp(dir, "reliability.csv");
    check_has(text, "from,to,images,confidence,accuracy\n0,0.0666666667,0,,\n");
    free(text);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        CHECK(unlink(path) == 0);
    }
    CHECK(rmdir(dir) == 0);
    CHECK(ft_report_csv(m, &judged, false, dir, &err) == FT_EIO && strstr(err.msg, dir));
    ft_metrics_free(m);
}

static struct ft_l2_row grid[] = { { 1, 0.5, 0.75 }, { 0.1, 0.25, 0.875 }, { 0.01, 0.375, 0.8 } };
static float calibrated[] = { 0.9f,  0.1f,  0.8f, 0.2f, 0.7f,  0.3f,
                              0.25f, 0.75f, 0.4f, 0.6f, 0.95f, 0.05f };
static const struct ft_validation validation = { .n = 6,
                                                 .k = 2,
                                                 .folds = 3,
                                                 .calibrated = calibrated,
                                                 .temperature = 1.25,
                                                 .l2 = 0.1,
                                                 .n_grid = 3,
                                                 .grid = grid };

static void training_as_json_and_sentences(void)
{
    struct ft_metrics *m = measure();
    size_t counts[] = { 4, 2 };
    struct ft_validation v = validation;
    struct ft_training training = { .options = { .class_weight = FT_WEIGHT_NONE,
                                                 .seed = 18446744073709551615u },
                                    .validation = &v,
                                    .raw = m,
                                    .calibrated = m,
                                    .classes = classes,
                                    .counts = counts,
                                    .skipped = 3 };
    char *text = ft_training_record(&training);
    cJSON *json = cJSON_Parse(text);
    CHECK_STR(cJSON_GetStringValue(cJSON_GetObjectItem(json, "seed")), "18446744073709551615");
    CHECK_STR(cJSON_GetStringValue(cJSON_GetObjectItem(json, "version")), ft_version());
    CHECK(number(json, "l2") == 0.1 && number(json, "temperature") == 1.25 &&
          number(json, "skipped") == 3 && number(json, "folds") == 3);
    CHECK(number(item(json, "grid", 2), "l2") == 0.01 &&
          number(item(json, "grid", 1), "log_loss") == 0.25);
    CHECK(number(item(json, "classes", 1), "images") == 2);
    /* of six pictures at most 0.06 may stay below: the smallest of their highest probabilities */
    CHECK_NEAR(number(cJSON_GetObjectItem(json, "threshold"), "value"), 0.6, 1e-6);
    cJSON_Delete(json);
    free(text);
    text = ft_report_choices_text(&training);
    check_has(text,
              "L2 is 0.1: of 3 values it has the lowest out-of-fold log-loss, 0.2500 (3 folds); "
              "the next best is 0.01 with 0.3750.\nClasses are not weighted: set by the user.\n"
              "The temperature is 1.250");
    free(text);
    v.n_grid = 1;
    v.weighted = true;
    training.options.class_weight = FT_WEIGHT_AUTO;
    text = ft_report_choices_text(&training);
    check_has(text,
              "L2 is 0.1: set by the user.\nClasses are weighted to count equally: they have 2 "
              "to 4 pictures.\n");
    free(text);
    ft_metrics_free(m);
}

static const struct ft_curve curve = {
    .n_points = 2,
    .points = { { 10, 0.8, 0.7, 0.9 }, { 20, 0.85, 0.75, 0.95 } },
    .law = { 0.05, 1, 0.5 },
    .now = { 25, 0.75, 0.7, 0.8 },
    .doubled = { 50, 0.875, 0.8, 0.9 },
};

static void curve_as_text_and_json(void)
{
    struct ft_validation second = validation;
    second.accuracy = 0.9;
    second.interval[0] = 0.8;
    second.interval[1] = 1;
    const struct ft_contender contenders[] = { { "lite0", 224, 224, 3.5, &validation },
                                               { "vgg16", 320, 224, 70, &second } };
    char *text = ft_report_curve_text(&curve, contenders, 2);
    check_has(text, "    10   80.00 %   70.00 to  90.00\n    20   85.00 %   75.00 to  95.00\n");
    check_has(text, "power law  error = 0.0500 + 1.000 / images^0.50\n");
    check_has(text,
              "doubling   50 pictures: about 87.50 % expected (80.00 to 90.00), 12.50 points more "
              "than with 25\n");
    check_has(text, "       0.1    0.2500   87.50 %  chosen: lowest log-loss\n");
    check_has(text,
              "vgg16                       320x224     70.00   90.00 %   80.00 to 100.00  0.1\n");
    free(text);
    text = ft_report_curve_text(&curve, contenders, 1); /* a single network is not compared */
    CHECK(text && !strstr(text, "lite0"));
    free(text);
    text = ft_report_curve_json(&curve, contenders, 2);
    cJSON *json = cJSON_Parse(text);
    CHECK(number(item(json, "points", 1), "images") == 20 &&
          number(item(json, "points", 1), "high") == 0.95);
    CHECK(number(cJSON_GetObjectItem(json, "law"), "floor") == 0.05);
    CHECK(number(cJSON_GetObjectItem(json, "doubling"), "accuracy") == 0.875);
    CHECK(number(item(json, "backbones", 1), "ms_per_image") == 70);
    CHECK(number(item(json, "backbones", 1), "low") == 0.8);
    CHECK(
        cJSON_GetArrayItem(cJSON_GetObjectItem(item(json, "backbones", 1), "input"), 1)->valueint ==
        320);
    CHECK(cJSON_GetArraySize(cJSON_GetObjectItem(json, "l2")) == 3);
    cJSON_Delete(json);
    free(text);
}

/* Row 1 is a copy of row 0, row 3 a near copy of row 2. */
static uint64_t content[6][2] = { { 1, 1 }, { 1, 1 }, { 2, 1 }, { 3, 1 }, { 4, 1 }, { 5, 1 } };
static int32_t labels[] = { 0, 1, 0, 0, 1, 1 };
static struct ft_near near[] = { { 2, 3, 0.125f } };
static struct ft_suspect suspects[] = { { 4, 0, 0.5, true } };
static struct ft_outlier outliers[] = { { 5, 0.75 } };
static struct ft_fault faults[] = { { 3, "tiny" } };

static void checkup_as_text_and_json(void)
{
    static char *bad_paths[] = { "a/bad.jpg" }, *bad_reasons[] = { "not a picture" };
    const struct ft_dataset dataset = { .n_classes = 2, .classes = classes };
    const struct ft_features features = {
        .n = 6, .paths = paths, .labels = labels, .content = content
    };
    const struct ft_diagnosis diagnosis = {
        .n_near = 1,
        .near = near,
        .n_suspects = 1,
        .suspects = suspects,
        .n_outliers = 1,
        .outliers = outliers,
        .n_faults = 1,
        .faults = faults,
        .n_shortcuts = 1,
        .shortcuts = { { .feature = "file size",
                         .class_index = 0,
                         .auc = 0.875,
                         .low = 0.8,
                         .named = true } },
    };
    const struct ft_checkup checkup = {
        &dataset, &features, &diagnosis, 1, bad_paths, bad_reasons
    };
    char *text = ft_report_checkup_text(&checkup);
    check_has(text, "images     6 in 2 classes: cat 3, a,\"<b> 3\n");
    check_has(text, "unreadable: 1 · training leaves them out\n  a/bad.jpg  not a picture\n");
    check_has(text, "exact duplicates: 1 · keep one of each\n  a/0.jpg  =  a/1.jpg  (under "
                    "different labels)\n");
    check_has(text, "  a/2.jpg  ~  a/3.jpg  0.125\n");
    check_has(text, "  0.500* b/4.jpg  labelled a,\"<b>, looks like cat\n");
    check_has(text, "  0.750  b/5.jpg\n");
    check_has(text, "  a/3.jpg  tiny\n");
    check_has(text,
              "  file size alone separates cat from the other classes: cross-validated AUC 0.88\n");
    free(text);
    text = ft_report_checkup_json(&checkup);
    cJSON *json = cJSON_Parse(text);
    CHECK_STR(cJSON_GetStringValue(cJSON_GetArrayItem(item(json, "duplicates", 0), 1)), "a/1.jpg");
    CHECK(cJSON_GetArraySize(cJSON_GetObjectItem(json, "duplicates")) == 1);
    CHECK(cJSON_IsTrue(cJSON_GetObjectItem(item(json, "near_duplicates", 0), "same_label")));
    CHECK_STR(cJSON_GetStringValue(cJSON_GetObjectItem(item(json, "mislabelled", 0), "suggested")),
              "cat");
    CHECK_STR(cJSON_GetStringValue(cJSON_GetObjectItem(item(json, "quality", 0), "reason")),
              "tiny");
    CHECK(number(item(json, "shortcuts", 0), "auc") == 0.875);
    CHECK(number(item(json, "outliers", 0), "score") == 0.75);
    cJSON_Delete(json);
    free(text);
}

static void page_escapes_and_links(void)
{
    char dir[] = "/tmp/ft-report-XXXXXX", path[300];
    struct ft_metrics *m = measure();
    struct ft_error err;
    /* one cell for the first mistake, none for the second */
    uint8_t pixels[16 * 16 * 3] = { 0 };
    float shares[] = { 1, -1 }, elsewhere[] = { 0.5f, -0.25f };
    struct ft_explanation explanation = { .height = 1,
                                          .width = 1,
                                          .k = 2,
                                          .shares = shares,
                                          .elsewhere = elsewhere,
                                          .exact = true,
                                          .picture_height = 16,
                                          .picture_width = 16,
                                          .picture = pixels };
    struct ft_explanation *explanations[FT_WORST] = { &explanation };
    struct ft_document document = { .title = "<set>",
                                    .measured = "6 pictures",
                                    .metrics = m,
                                    .judged = &judged,
                                    .explanations = explanations,
                                    .curve = &curve,
                                    .settings = "{\"a\": 1}",
                                    .max_pixels = 1 << 20 };
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/page.html", dir);
    CHECK(ft_report_html(&document, path, &err) == 0);
    char *page = slurp(dir, "page.html");
    check_has(page, "<h1>&lt;set&gt;</h1>");
    check_has(page, "<b>66.67 %</b>accuracy, 95 % interval 30.00 to 90.32");
    check_has(page, "a,&quot;&lt;b&gt;");
    check_has(page, "<a href=\"#c0-1\">1</a>");
    check_has(page, "<details id=\"c0-1\">");
    check_has(page, "<details id=\"c0-0\"><summary>3: cat, correct</summary>");
    check_has(page, "the file can no longer be read"); /* a/0.jpg does not exist */
    check_has(page, "<pre>{&quot;a&quot;: 1}</pre>");
    check_has(page, "whole picture, not in the heat map: ");
    const char *first = page ? strstr(page, "alt=\"heat map\"") : NULL;
    CHECK(first && !strstr(first + 1, "alt=\"heat map\"")); /* one explanation, one heat map */
    CHECK(page && !strstr(page, "<set>") && !strstr(page, "http:"));
    free(page);
    document.explanations = NULL;
    document.curve = NULL;
    CHECK(ft_report_html(&document, path, &err) == 0);
    page = slurp(dir, "page.html");
    CHECK(page && !strstr(page, "heat map\"") && !strstr(page, "Learning curve"));
    free(page);
    CHECK(unlink(path) == 0 && rmdir(dir) == 0);
    CHECK(ft_report_html(&document, path, &err) == FT_EIO && strstr(err.msg, path));
    ft_metrics_free(m);
}

int main(void)
{
    RUN(metrics_as_text);
    RUN(metrics_as_json);
    RUN(metrics_as_csv);
    RUN(training_as_json_and_sentences);
    RUN(curve_as_text_and_json);
    RUN(checkup_as_text_and_json);
    RUN(page_escapes_and_links);
    return test_end();
}
