/* Training a head: determinism, scratch files, folds and groups, the L2 grid. */
#include "finetune-tools.h"
#include "head/crossval.h"
#include "head/folds.h"

#include "head_data.h"

static void threads_change_nothing(void)
{
    static const int sizes[][3] = { { 700, 50, 2 }, { 333, 129, 3 }, { 1500, 20, 11 } };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct sample s = sample_new((size_t)sizes[i][0], sizes[i][1], sizes[i][2], 0.2f);
        const size_t cells = (size_t)s.d * (size_t)s.k, out = s.n * (size_t)s.k;
        struct ft_head *one, *other;
        struct ft_validation *v1, *v2;
        CHECK(train(&s, NULL,
                    (struct ft_train_options){ .threads = 1, .class_weight = FT_WEIGHT_AUTO }, &one,
                    &v1, NULL) == 0);
        for (int threads = 2; threads <= 5; threads += 3) {
            CHECK(train(&s, NULL,
                        (struct ft_train_options){ .threads = threads,
                                                   .class_weight = FT_WEIGHT_AUTO },
                        &other, &v2, NULL) == 0);
            CHECK(!memcmp(one->w, other->w, cells * sizeof(float)) &&
                  !memcmp(one->b, other->b, (size_t)s.k * sizeof(float)));
            CHECK(!memcmp(v1->raw, v2->raw, out * sizeof(float)) &&
                  !memcmp(v1->calibrated, v2->calibrated, out * sizeof(float)));
            CHECK(v1->temperature == v2->temperature && v1->l2 == v2->l2);
            ft_head_free(other);
            ft_validation_free(v2);
        }
        ft_head_free(one);
        ft_validation_free(v1);
        sample_free(&s);
    }
}

/* A sample whose features may take `memory` bytes. */
static struct ft_features *features_of(const struct sample *s, uint64_t memory)
{
    struct ft_features *f;
    CHECK(ft_features_new_bounded(s->d, s->n, memory, NULL, &f, NULL) == 0);
    for (size_t i = 0; i < s->n; i++)
        CHECK(ft_features_append(
                  f, &(struct ft_row){ .path = "x", .feature = s->x + i * (size_t)s->d }, s->y[i],
                  NULL) == 0);
    return f;
}

/* With and without the preconditioner, one block of rows and several of its pieces, a constant
 * feature among them. */
static void a_scratch_file_changes_nothing(void)
{
    static const int sizes[][3] = {
        { 700, 50, 2 }, { 100, 129, 3 }, { 1500, 20, 11 }, { 9000, 12, 3 }
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct sample s = sample_new((size_t)sizes[i][0], sizes[i][1], sizes[i][2], 0.2f);
        for (size_t row = 0; row < s.n; row++)
            s.x[row * (size_t)s.d + 7] = 0.1f;
        const size_t cells = (size_t)s.d * (size_t)s.k, out = s.n * (size_t)s.k;
        struct ft_features *inside = features_of(&s, ft_features_bytes(s.d, s.n)),
                           *outside = features_of(&s, ft_features_bytes(s.d, s.n) - 1);
        CHECK(inside->x && !inside->scratch && !outside->x && outside->scratch);
        struct ft_head *one, *other = NULL;
        struct ft_validation *v1, *v2 = NULL;
        CHECK(train(&s, NULL,
                    (struct ft_train_options){ .threads = 1, .class_weight = FT_WEIGHT_AUTO }, &one,
                    &v1, NULL) == 0);
        for (int threads = 1; threads <= 3; threads += 2) {
            const struct ft_training_set set = { .x = ft_features_matrix(outside),
                                                 .labels = outside->labels,
                                                 .k = s.k };
            const struct ft_train_options options = { .threads = threads,
                                                      .class_weight = FT_WEIGHT_AUTO };
            CHECK(ft_train(&set, &options, &other, &v2, NULL) == 0);
            CHECK(!memcmp(one->w, other->w, cells * sizeof(float)) &&
                  !memcmp(one->b, other->b, (size_t)s.k * sizeof(float)));
            CHECK(!memcmp(v1->calibrated, v2->calibrated, out * sizeof(float)) &&
                  v1->temperature == v2->temperature && v1->l2 == v2->l2);
            ft_head_free(other);
            ft_validation_free(v2);
        }
        ft_head_free(one);
        ft_validation_free(v1);
        ft_features_free(inside);
        ft_features_free(outside);
        sample_free(&s);
    }
}

static void scratch_files_say_what_is_wrong(void)
{
    struct ft_features *f;
    struct ft_error err;
    CHECK(ft_features_new_bounded(20, 100, 0, "/nowhere", &f, &err) == FT_EIO &&
          strstr(err.msg, "scratch file in '/nowhere'"));
    CHECK(ft_features_new_bounded(20, (size_t)1 << 50, 0, NULL, &f, &err) == FT_EIO &&
          strstr(err.msg, "no room for"));
    struct sample s = sample_new(60, 5, 2, 0.2f);
    s.x[37 * 5 + 3] = NAN;
    f = features_of(&s, 0);
    struct ft_training_set set = ft_features_training_set(f, NULL, 2);
    struct ft_head *head;
    struct ft_validation *v;
    const struct ft_train_options options = { .class_weight = FT_WEIGHT_NONE };
    CHECK(ft_train(&set, &options, &head, &v, &err) == FT_EFORMAT);
    CHECK(strstr(err.msg, "feature 3 of row 37 is 'nan'"));
    int32_t y[100] = { 1 };
    set.x.n = 100; /* as if the file had been cut */
    set.labels = y;
    CHECK(ft_train(&set, &options, &head, &v, &err) == FT_EIO &&
          strstr(err.msg, "cannot read the scratch file"));
    ft_features_free(f);
    sample_free(&s);
}

/* Retraining without a fold, through the public door, gives that fold's raw probabilities. */
static void out_of_fold_means_it(void)
{
    struct sample s = sample_new(120, 15, 3, 0.3f);
    struct ft_head *head;
    struct ft_validation *v, *v2;
    CHECK(train(&s, NULL, (struct ft_train_options){ .l2 = 0.05, .class_weight = FT_WEIGHT_NONE },
                &head, &v, NULL) == 0);
    ft_head_free(head);
    struct sample rest = sample_new(120, 15, 3, 0.3f);
    rest.n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (v->fold[i] == 2)
            continue;
        memcpy(rest.x + rest.n * 15, s.x + i * 15, 15 * sizeof(float));
        rest.y[rest.n++] = s.y[i];
    }
    CHECK(train(&rest, NULL,
                (struct ft_train_options){ .l2 = 0.05, .class_weight = FT_WEIGHT_NONE }, &head, &v2,
                NULL) == 0);
    for (int i = 0; i < 15 * 3; i++)
        head->w[i] *= (float)v2->temperature;
    for (int c = 0; c < 3; c++)
        head->b[c] *= (float)v2->temperature;
    float p[3];
    for (size_t i = 0; i < s.n; i++) {
        if (v->fold[i] != 2)
            continue;
        ft_head_probabilities(head, s.x + i * 15, 1, p);
        for (int c = 0; c < 3; c++)
            CHECK_NEAR(v->raw[i * 3 + (size_t)c], p[c], 2e-3); /* cross-validation stops earlier */
    }
    ft_head_free(head);
    ft_validation_free(v);
    ft_validation_free(v2);
    sample_free(&s);
    sample_free(&rest);
}

/* The probabilities of a fold are those of the L2 that has the lowest loss on the other folds. */
/* Returns the number of folds whose L2 is not that of the final head. */
static int check_choices(float noise)
{
    enum { N = 120, K = 3, VALUES = 9 };
    struct sample s = sample_new(N, 15, K, noise);
    struct ft_validation *v, *given[VALUES];
    struct ft_head *head;
    double loss[VALUES][5] = { { 0 } };
    struct ft_train_options options = { .class_weight = FT_WEIGHT_NONE,
                                        .scale = FT_SCALE_STANDARD };
    int differ = 0;
    CHECK(train(&s, NULL, options, &head, &v, NULL) == 0);
    ft_head_free(head);
    CHECK(v->n_grid == VALUES && v->folds == 5 && v->repeats == 3);
    for (int g = 0; g < VALUES; g++) {
        options.l2 = v->grid[g].l2;
        CHECK(train(&s, NULL, options, &head, &given[g], NULL) == 0);
        ft_head_free(head);
        for (int f = 0; f < 5; f++)
            for (int i = 0; i < N; i++)
                if (v->fold[i] != f)
                    loss[g][f] -= log((double)given[g]->raw[i * K + s.y[i]]);
    }
    for (int f = 0; f < 5; f++) {
        int best = 0;
        for (int g = 1; g < VALUES; g++)
            best = loss[g][f] < loss[best][f] ? g : best;
        differ += v->grid[best].l2 != v->l2;
        for (int i = 0; i < N; i++)
            for (int c = 0; c < K && v->fold[i] == f; c++)
                CHECK_NEAR(v->raw[i * K + c], given[best]->raw[i * K + c], 1e-2);
    }
    for (int g = 0; g < VALUES; g++)
        ft_validation_free(given[g]);
    ft_validation_free(v);
    sample_free(&s);
    return differ;
}

static void l2_is_chosen_out_of_fold(void)
{
    int differ = 0;
    for (float noise = 0.4f; noise < 2; noise += 0.4f)
        differ += check_choices(noise);
    CHECK(differ > 0); /* else the test shows nothing */
}

static void hopeless_l2_values(void)
{
    const struct ft_l2_row grid[] = { { 10, 1, 0 },      { 3, 0.5, 0 },    { 1, 0.508, 0 },
                                      { 0.3, 0.505, 0 }, { 0.1, 0.52, 0 }, { 0.03, 0.6, 0 } };
    for (int done = 0; done < 6; done++)
        CHECK(!ft_l2_hopeless(grid, done)); /* noise, and one clear step, end nothing */
    CHECK(ft_l2_hopeless(grid, 6));
    const struct ft_l2_row back[] = { { 10, 0.5, 0 }, { 3, 0.6, 0 }, { 1, 0.55, 0 } };
    CHECK(!ft_l2_hopeless(back, 3));
}

/* From large to small in half decades, at least down to `weakest`; the lowest log-loss is chosen.
 */
static void check_grid(const struct ft_validation *v, double weakest)
{
    for (int i = 1; i < v->n_grid; i++)
        CHECK_NEAR(v->grid[i - 1].l2 / v->grid[i].l2, sqrt(10), 1e-9);
    CHECK(v->grid[v->n_grid - 1].l2 <= weakest);
    double chosen = NAN, lowest = INFINITY;
    for (int i = 0; i < v->n_grid; i++) {
        lowest = fmin(lowest, v->grid[i].log_loss);
        chosen = v->grid[i].l2 == v->l2 ? v->grid[i].log_loss : chosen;
    }
    CHECK(chosen == lowest);
}

static void the_grid_grows_where_the_best_is_at_its_end(void)
{
    struct ft_head *head;
    struct ft_validation *v;
    struct sample s = sample_new(300, 12, 3, 0); /* nothing to learn: the strongest L2 is best */
    CHECK(train(&s, NULL, (struct ft_train_options){ .class_weight = FT_WEIGHT_NONE }, &head, &v,
                NULL) == 0);
    CHECK(v->grid[0].l2 > 10 && v->grid[0].l2 <= 1000 && v->l2 >= 10);
    CHECK(v->l2 < v->grid[0].l2 || v->l2 == 1000);
    check_grid(v, 1e-5 * 6); /* features of like variance: rows of squared length d / 2 */
    ft_head_free(head);
    ft_validation_free(v);
    CHECK(train(&s, NULL,
                (struct ft_train_options){ .scale = FT_SCALE_STANDARD,
                                           .class_weight = FT_WEIGHT_NONE },
                &head, &v, NULL) == 0);
    CHECK(v->n_grid == 9 && v->grid[0].l2 == 10 && v->grid[8].l2 == 0.001);
    ft_head_free(head);
    ft_validation_free(v);
    sample_free(&s);
    s = sample_new(300, 12, 3, 3); /* separated: the weakest L2 is best, down to the limit */
    CHECK(train(&s, NULL, (struct ft_train_options){ .class_weight = FT_WEIGHT_NONE }, &head, &v,
                NULL) == 0);
    CHECK(v->l2 < 1e-5 * 6 && v->l2 == v->grid[v->n_grid - 1].l2 && v->l2 > 1e-8 * 6);
    check_grid(v, 1e-5 * 6);
    ft_head_free(head);
    ft_validation_free(v);
    sample_free(&s);
}

static void folds_are_even_and_keep_groups(void)
{
    enum { N = 103, K = 4, FOLDS = 5 };
    int32_t y[N], fold[N], again[N];
    uint64_t group[N];
    for (int i = 0; i < N; i++) {
        y[i] = i < 60 ? 0 : i < 90 ? 1 : i < 101 ? 2 : 3;
        group[i] = (uint64_t)i / 3;
    }
    CHECK(ft_folds_assign(y, NULL, N, K, FOLDS, 1, fold, NULL) == FOLDS);
    int held[FOLDS][K] = { 0 };
    for (int i = 0; i < N; i++)
        held[fold[i]][y[i]]++;
    for (int f = 0; f < FOLDS; f++) {
        CHECK(held[f][0] == 12 && held[f][1] == 6 && held[f][2] >= 2 && held[f][2] <= 3 &&
              held[f][3] <= 1);
        CHECK(held[f][0] + held[f][1] + held[f][2] + held[f][3] >= 20);
    }
    CHECK(ft_folds_assign(y, NULL, N, K, FOLDS, 1, again, NULL) == FOLDS &&
          !memcmp(fold, again, sizeof fold));
    CHECK(ft_folds_assign(y, NULL, N, K, FOLDS, 2, again, NULL) == FOLDS &&
          memcmp(fold, again, sizeof fold));
    CHECK(ft_folds_assign(y, group, N, K, FOLDS, 1, fold, NULL) == FOLDS);
    int zeros[FOLDS] = { 0 };
    for (int i = 0; i < N; i++) {
        CHECK(fold[i] == fold[i / 3 * 3]);
        zeros[fold[i]] += y[i] == 0;
    }
    for (int f = 0; f < FOLDS; f++)
        CHECK(zeros[f] == 12);
    for (int i = 0; i < N; i++)
        group[i] = (uint64_t)(i % 3);
    CHECK(ft_folds_assign(y, group, N, K, FOLDS, 1, fold, NULL) == 3);
    memset(group, 0, sizeof group);
    CHECK(ft_folds_assign(y, group, N, K, FOLDS, 1, fold, NULL) == FT_EARG);
}

int main(void)
{
    RUN(threads_change_nothing);
    RUN(a_scratch_file_changes_nothing);
    RUN(scratch_files_say_what_is_wrong);
    RUN(out_of_fold_means_it);
    RUN(l2_is_chosen_out_of_fold);
    RUN(hopeless_l2_values);
    RUN(the_grid_grows_where_the_best_is_at_its_end);
    RUN(folds_are_even_and_keep_groups);
    return test_end();
}
