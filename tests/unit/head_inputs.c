/* Training a head on unusual inputs: few pictures, many classes, extreme and constant features, bad
 * arguments; and applying a head to rows. */
#include "head_data.h"

static bool all_finite(const float *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(p[i]))
            return false;
    }
    return true;
}

static void hardly_any_pictures(void)
{
    struct sample s = sample_new(4, 30, 2, 1);
    struct ft_head *head;
    struct ft_validation *v;
    CHECK(train(&s, NULL, (struct ft_train_options){ .class_weight = FT_WEIGHT_AUTO }, &head, &v,
                NULL) == 0);
    CHECK(v->folds == 4 && all_finite(v->calibrated, 8) && all_finite(head->w, 60));
    ft_head_free(head);
    ft_validation_free(v);
    sample_free(&s);
    /* a class with two pictures, and one whose only two pictures are one group: no training row in
     * one fold */
    s = sample_new(60, 10, 4, 0.8f);
    uint64_t group[60];
    for (size_t i = 0; i < 60; i++) {
        s.y[i] = i < 2 ? 2 : i < 4 ? 3 : (int32_t)(i % 2);
        group[i] = i == 3 ? 2 : i;
    }
    CHECK(train(&s, group, (struct ft_train_options){ .class_weight = FT_WEIGHT_AUTO }, &head, &v,
                NULL) == 0);
    CHECK(v->fold[2] == v->fold[3] && v->fold[0] != v->fold[1]);
    CHECK(v->weighted && all_finite(v->raw, 240) && all_finite(v->calibrated, 240) &&
          all_finite(head->w, 40));
    CHECK(v->raw[2 * 4 + 3] > 1e-6f && v->raw[2 * 4 + 3] < 0.1f);
    ft_head_free(head);
    ft_validation_free(v);
    sample_free(&s);
}

static void extreme_features(void)
{
    struct sample s = sample_new(90, 8, 3, 2); /* separable */
    for (size_t i = 0; i < s.n; i++) {
        s.x[i * 8] = 0;
        s.x[i * 8 + 1] = 1e37f;
        s.x[i * 8 + 2] *= 1e37f;
        s.x[i * 8 + 3] *= 1e-25f;
        s.x[i * 8 + 4] = i == 17 ? 3e38f : s.x[i * 8 + 4];
    }
    static const double l2s[] = { 0, 1e-8, 1e-30, FT_L2_NONE, 1e6 };
    const int count = sizeof l2s / sizeof *l2s;
    for (int turn = 0; turn < 2 * count; turn++) {
        const int i = turn % count;
        const enum ft_scale scale = turn < count ? FT_SCALE_STANDARD : FT_SCALE_FLOOR;
        struct ft_head *head;
        struct ft_validation *v;
        struct ft_error err = { 0 };
        CHECK(train(&s, NULL,
                    (struct ft_train_options){
                        .l2 = l2s[i], .scale = scale, .class_weight = FT_WEIGHT_NONE },
                    &head, &v, &err) == 0);
        CHECK_STR(err.msg, "");
        CHECK(all_finite(head->w, 24) && all_finite(head->b, 3) && all_finite(v->raw, 270) &&
              all_finite(v->calibrated, 270));
        CHECK(l2s[i] == 0 ? v->n_grid >= 9 : v->n_grid == 1 && v->l2 == fmax(l2s[i], 0));
        struct ft_metrics *m;
        CHECK(ft_metrics_compute(v->calibrated, s.y, v->fold, s.n, 3, &m, NULL) == 0);
        /* with a floor, the feature of 3e38 leaves nothing of the others */
        CHECK(l2s[i] > 1 || scale == FT_SCALE_FLOOR || m->accuracy > 0.95);
        ft_metrics_free(m);
        ft_head_free(head);
        ft_validation_free(v);
    }
    sample_free(&s);
}

static void all_features_constant(void)
{
    struct sample s = sample_new(40, 6, 2, 0);
    for (size_t i = 0; i < s.n; i++) {
        s.y[i] = i % 4 == 0;
        for (int j = 0; j < 6; j++)
            s.x[i * 6 + (size_t)j] = 0.1f * (float)j;
    }
    struct ft_head *head;
    struct ft_validation *v;
    CHECK(train(&s, NULL, (struct ft_train_options){ .l2 = 0.1, .class_weight = FT_WEIGHT_NONE },
                &head, &v, NULL) == 0);
    float p[2];
    ft_head_probabilities(head, s.x, 1, p);
    CHECK_NEAR(p[1], 0.25, 0.02); /* the shares of the classes, up to the temperature */
    for (int i = 0; i < 12; i++)
        CHECK(head->w[i] == 0);
    ft_head_free(head);
    ft_validation_free(v);
    sample_free(&s);
}

static void many_classes(void)
{
    struct sample s = sample_new(2000, 32, 1000, 0);
    for (size_t i = 0; i < s.n; i++) { /* each class its own point */
        struct ft_random r = { (uint64_t)s.y[i] * 1000 };
        for (int j = 0; j < 32; j++)
            s.x[i * 32 + (size_t)j] += 4 * (float)ft_random_unit(&r);
    }
    struct ft_head *head;
    struct ft_validation *v;
    CHECK(train(&s, NULL,
                (struct ft_train_options){ .l2 = 1e-5, .folds = 2, .class_weight = FT_WEIGHT_NONE },
                &head, &v, NULL) == 0);
    struct ft_metrics *m;
    CHECK(ft_metrics_compute(v->raw, s.y, v->fold, s.n, 1000, &m, NULL) == 0);
    CHECK(m->accuracy > 0.8);
    ft_metrics_free(m);
    ft_head_free(head);
    ft_validation_free(v);
    sample_free(&s);
}

static void bad_arguments(void)
{
    struct sample s = sample_new(20, 5, 2, 1);
    struct ft_head *head;
    struct ft_validation *v;
    struct ft_error err;
    const struct ft_train_options options = { .l2 = 0.1, .class_weight = FT_WEIGHT_NONE };
    s.x[7 * 5 + 3] = NAN;
    CHECK(train(&s, NULL, options, &head, &v, &err) == FT_EFORMAT && !head && !v);
    CHECK(strstr(err.msg, "feature 3 of row 7 is 'nan'") != NULL);
    s.x[7 * 5 + 3] = -INFINITY;
    CHECK(train(&s, NULL, options, &head, &v, &err) == FT_EFORMAT);
    s.x[7 * 5 + 3] = 0;
    CHECK(train(&s, NULL, (struct ft_train_options){ .l2 = NAN, .class_weight = FT_WEIGHT_NONE },
                &head, &v, &err) == FT_EARG);
    CHECK(train(&s, NULL, (struct ft_train_options){ .folds = 1, .class_weight = FT_WEIGHT_NONE },
                &head, &v, &err) == FT_EARG);
    s.k = 3;
    CHECK(train(&s, NULL, options, &head, &v, &err) == FT_EARG);
    CHECK_STR(err.msg, "class 2 has no pictures: leave it out or add some");
    s.k = 1;
    CHECK(train(&s, NULL, options, &head, &v, &err) == FT_EARG);
    s.k = 2;
    s.y[4] = 2;
    CHECK(train(&s, NULL, options, &head, &v, &err) == FT_EARG);
    sample_free(&s);
    ft_head_free(NULL);
    ft_validation_free(NULL);
    ft_metrics_free(NULL);
}

/* softmax(x W + b) by hand, for rows in memory and in a scratch file: odds of 3 : 1 : 1 and of
 * 1 : 2 : 4. 300 rows are more than one block. */
static void judged_by_hand(void)
{
    enum { N = 300 };
    static const double want[2][3] = { { 0.6, 0.2, 0.2 }, { 1.0 / 7, 2.0 / 7, 4.0 / 7 } };
    float w[] = { 0, (float)log(2), (float)log(4), (float)log(3), 0, 0 }, b[] = { 1, 1, 1 };
    const struct ft_head head = { .d = 2, .k = 3, .w = w, .b = b };
    const float x[2][2] = { { 0, 1 }, { 1, 0 } };
    for (int in_file = 0; in_file < 2; in_file++) {
        struct ft_features *f = NULL;
        float p[N * 3];
        CHECK(ft_features_new_bounded(2, N, in_file ? 0 : 1 << 20, NULL, &f, NULL) == 0);
        for (size_t i = 0; i < N; i++)
            CHECK(ft_features_append(f, &(struct ft_row){ .path = "x", .feature = x[i % 2] }, -1,
                                     NULL) == 0);
        struct ft_matrix m = ft_features_matrix(f);
        CHECK(!m.x == (in_file == 1));
        CHECK(ft_head_judge(&head, &m, p, NULL) == 0);
        for (int i = 0; i < N * 3; i++)
            CHECK_NEAR(p[i], want[i / 3 % 2][i % 3], 1e-6);
        struct ft_error err;
        float beyond[2 * N * 3];
        m.n = 2 * N; /* as if the file had been cut */
        CHECK(!in_file || (ft_head_judge(&head, &m, beyond, &err) == FT_EIO &&
                           strstr(err.msg, "cannot read the scratch file")));
        ft_features_free(f);
    }
}

/* The parts of the logits are {0, 2} from the first layer and {0, 4} from the second, for one
 * class: variances 1 and 4. */
static void contributions_by_hand(void)
{
    float w[] = { 1, 0, 0, 0, 4, 0 }, b[] = { 7, 0 };
    const float x[] = { 0, 5, 0, 2, 5, 1 };
    const int blocks[] = { 1, 2 };
    double share[2];
    const struct ft_head head = { .d = 3, .k = 2, .w = w, .b = b };
    struct ft_training_set set = {
        .x = { .n = 2, .d = 3, .x = x }, .k = 2, .blocks = blocks, .n_blocks = 2
    };
    CHECK(ft_head_contributions(&head, &set, share, NULL) == 0);
    CHECK_NEAR(share[0], 0.2, 1e-6);
    CHECK_NEAR(share[1], 0.8, 1e-6);
    set.x.d = 4;
    CHECK(ft_head_contributions(&head, &set, share, NULL) == FT_EARG);
}

int main(void)
{
    RUN(contributions_by_hand);
    RUN(hardly_any_pictures);
    RUN(extreme_features);
    RUN(all_features_constant);
    RUN(many_classes);
    RUN(bad_arguments);
    RUN(judged_by_hand);
    return test_end();
}
