/* What is found by means of cross-validation: learning curves, pictures of an unknown class, and
 * the faults that `doctor` reports, on data with known faults. */
#include "head_data.h"

static void power_law_by_hand(void)
{
    const struct ft_power_law law = { 0.1, 0.9, 0.5 }, steep = { 0, 8, 1 };
    CHECK_NEAR(ft_power_law_error(&law, 1), 1, 1e-15);
    CHECK_NEAR(ft_power_law_error(&law, 4), 0.55, 1e-15);
    CHECK_NEAR(ft_power_law_error(&law, 900), 0.13, 1e-15);
    CHECK(ft_power_law_error(&steep, 2) == 1); /* an error is at most 1 */
    CHECK_NEAR(ft_power_law_error(&steep, 16), 0.5, 1e-15);
}

static void unknown_classes_stand_out(void)
{
    struct sample s = sample_new(300, 24, 4, 1);
    int32_t *fold = malloc(s.n * sizeof *fold);
    for (size_t i = 0; i < s.n; i++)
        fold[i] = (int32_t)(i / 4 % 5);
    struct ft_unknown u, two, noise;
    const struct ft_train_options options = { .l2 = 0.1, .class_weight = FT_WEIGHT_NONE };
    struct ft_training_set set = training_set(&s);
    CHECK(ft_unknown_measure(&set, fold, &options, &u, NULL) == 0);
    CHECK(u.left_out == 4 && u.distance > 0.95 && u.probability > 0.8);
    sample_free(&s);
    s = sample_new(300, 24, 2, 1);
    set = training_set(&s);
    CHECK(ft_unknown_measure(&set, fold, &options, &two, NULL) == 0);
    CHECK(two.left_out == 2 && isnan(two.probability) && two.distance > 0.95);
    sample_free(&s);
    s = sample_new(300, 24, 4, 0);
    set = training_set(&s); /* classes that are all the same */
    CHECK(ft_unknown_measure(&set, fold, &options, &noise, NULL) == 0);
    CHECK(noise.distance > 0.35 && noise.distance < 0.65 && noise.probability > 0.35 &&
          noise.probability < 0.65);
    sample_free(&s);
    free(fold);
}

static void count_fits(void *user, size_t done, size_t total)
{
    size_t *fits = user;
    CHECK(done == ++fits[0]);
    fits[1] = total;
}

static void learning_curve_rises_and_is_extrapolated(void)
{
    struct sample s = sample_new(400, 24, 4, 0.25f);
    int32_t *fold = malloc(s.n * sizeof *fold);
    for (size_t i = 0; i < s.n; i++)
        fold[i] = (int32_t)(i / 4 % 5);
    struct ft_curve c, again;
    struct ft_error err;
    size_t fits[2] = { 0 };
    struct ft_curve_options options = { .head = { .seed = 3, .class_weight = FT_WEIGHT_NONE } };
    struct ft_training_set set = training_set(&s);
    CHECK(ft_curve_measure(&set, fold, 5, &options, &c, NULL) == 0);
    CHECK(c.n_points == 5 && c.points[4].images == 320 && c.points[3].images == 160);
    CHECK(c.points[4].accuracy > c.points[0].accuracy + 0.05);
    for (int i = 0; i < c.n_points; i++)
        CHECK(c.points[i].low < c.points[i].accuracy && c.points[i].accuracy < c.points[i].high);
    CHECK(c.now.images == 400 && c.doubled.images == 800 && c.doubled.accuracy >= c.now.accuracy);
    CHECK(c.doubled.low <= c.doubled.accuracy && c.doubled.accuracy <= c.doubled.high);
    CHECK_NEAR(1 - ft_power_law_error(&c.law, 320), c.points[4].accuracy, 0.04);
    options.progress = count_fits;
    options.user = fits;
    CHECK(ft_curve_measure(&set, fold, 5, &options, &again, NULL) == 0);
    CHECK(!memcmp(&again, &c, sizeof c));
    CHECK(fits[0] == 25 && fits[1] == 25); /* 5 points of 5 folds */
    set.x.n = 20;
    CHECK(ft_curve_measure(&set, fold, 5, &options, &c, &err) == FT_EARG);
    set.x = (struct ft_matrix){ .n = s.n, .d = s.d }; /* not in memory */
    CHECK(ft_curve_measure(&set, fold, 5, NULL, &c, &err) == FT_EARG &&
          strstr(err.msg, "in memory"));
    struct ft_unknown u;
    CHECK(ft_unknown_measure(&set, fold, NULL, &u, &err) == FT_EARG &&
          strstr(err.msg, "in memory"));
    sample_free(&s);
    free(fold);
}

/* Forty pictures of each of two classes, with one fault of every kind. */
static void diagnosis_finds_planted_faults(void)
{
    enum { WRONG = 7, FAR = 20, COPY = 41, OF = 40, DARK = 33 };
    struct sample s = sample_new(80, 12, 2, 1);
    struct ft_features *f;
    struct ft_facts facts[80];
    struct ft_head *head;
    struct ft_validation *v;
    struct ft_diagnosis *d = NULL;
    s.y[WRONG] = 1 - s.y[WRONG];
    for (int j = 0; j < 12; j++) {
        s.x[COPY * 12 + j] = s.x[OF * 12 + j];
        s.x[FAR * 12 + j] = j < 6 ? -3.0f : 3.0f;
    }
    s.y[COPY] = s.y[OF];
    CHECK(ft_features_new(12, &f, NULL) == 0);
    for (size_t i = 0; i < 80; i++) {
        char path[16];
        snprintf(path, sizeof path, "%zu.jpg", i);
        const struct ft_row row = {
            .index = i, .path = path, .feature = s.x + i * 12, .content = { i, 1 }
        };
        CHECK(ft_features_append(f, &row, s.y[i], NULL) == 0);
        facts[i] = (struct ft_facts){ .bytes = (s.y[i] ? 9000 : 1000) + i, /* tells the class */
                                      .width = 300,
                                      .height = 200,
                                      .brightness = i == DARK ? 9 : 120,
                                      .contrast = 50,
                                      .sharpness = 500,
                                      .print = i * 0x9e3779b97f4a7c15 };
    }
    facts[COPY].print = facts[OF].print ^ 5;
    CHECK(train(&s, NULL, (struct ft_train_options){ .l2 = 0.1, .class_weight = FT_WEIGHT_NONE },
                &head, &v, NULL) == 0);
    CHECK(ft_diagnose(f, facts, v, 1, &d, NULL) == 0);
    bool wrong_found = false;
    for (size_t i = 0; i < d->n_suspects; i++) {
        const struct ft_suspect *suspect = &d->suspects[i];
        wrong_found |=
            suspect->row == WRONG && suspect->suggested != s.y[WRONG] && suspect->score > 0;
        CHECK(suspect->row == WRONG || suspect->row == FAR); /* none of the others */
    }
    CHECK(wrong_found);
    CHECK(d->n_outliers && d->outliers[0].row == FAR);
    CHECK(d->n_near == 1 && d->near[0].a == OF && d->near[0].b == COPY);
    CHECK(d->n_faults == 1 && d->faults[0].row == DARK);
    CHECK_STR(d->n_faults ? d->faults[0].reason : NULL, "very dark");
    CHECK(d->n_shortcuts == FT_SHORTCUTS && d->shortcuts[0].named && !d->shortcuts[1].named);
    CHECK_STR(d->shortcuts[0].feature, "file size");
    CHECK(d->shortcuts[0].auc > 0.95); /* bins of ten may mix a few of both classes */
    ft_diagnosis_free(d);
    d = NULL;
    CHECK(ft_diagnose(f, facts, NULL, 1, &d, NULL) == 0); /* without a validation */
    CHECK(d->n_suspects == 0 && d->n_shortcuts == 0 && d->n_faults == 1);
    ft_diagnosis_free(d);
    ft_diagnosis_free(NULL);
    ft_features_free(f);
    ft_head_free(head);
    ft_validation_free(v);
    sample_free(&s);
}

int main(void)
{
    RUN(power_law_by_hand);
    RUN(unknown_classes_stand_out);
    RUN(learning_curve_rises_and_is_extrapolated);
    RUN(diagnosis_finds_planted_faults);
    return test_end();
}
