/* The head against scikit-learn's figures (scripts/golden_head.py), and what no library can say:
 * determinism, groups, odd inputs. */
#include "base/random.h"
#include "finetune-tools.h"
#include "head/calibrate.h"
#include "head/crossval.h"
#include "head/folds.h"
#include "head/ranking.h"

#include "../test.h"

static FILE *open_golden(const char *name, const char *extension)
{
    char path[1000];
    snprintf(path, sizeof path, "%s/golden/head/%s%s", getenv("FT_TEST_DATA"), name, extension);
    FILE *f = fopen(path, "rb");
    if (!f) {
        printf("Bail out! cannot open %s\n", path);
        exit(1);
    }
    return f;
}

/* count values of 4 bytes */
static void *read_golden(const char *name, const char *extension, size_t count)
{
    FILE *f = open_golden(name, extension);
    void *data = malloc(count * 4);
    if (!data || fread(data, 4, count, f) != count) {
        printf("Bail out! %s%s is too short\n", name, extension);
        exit(1);
    }
    fclose(f);
    return data;
}

/* (1/n) sum c(y) loss + l2/2 |W|^2 in double, with the head's W taken back to standardised features
 * and its temperature undone. */
static double objective(const struct ft_head *head, double temperature, const float *x,
                        const int32_t *y, size_t n, double l2, bool weighted)
{
    const size_t d = (size_t)head->d, k = (size_t)head->k;
    double *rows = calloc(k, sizeof *rows), *z = calloc(k, sizeof *z), loss = 0, penalty = 0;
    for (size_t i = 0; i < n; i++)
        rows[y[i]]++;
    for (size_t i = 0; i < n; i++) {
        double top = -INFINITY, sum = 0;
        for (size_t c = 0; c < k; c++) {
            z[c] = head->b[c];
            for (size_t j = 0; j < d; j++)
                z[c] += (double)x[i * d + j] * head->w[j * k + c];
            z[c] *= temperature;
            top = fmax(top, z[c]);
        }
        for (size_t c = 0; c < k; c++)
            sum += exp(z[c] - top);
        loss += (log(sum) + top - z[y[i]]) / (weighted ? (double)k * rows[y[i]] : (double)n);
    }
    for (size_t j = 0; j < d; j++) {
        double mean = 0, square = 0;
        for (size_t i = 0; i < n; i++)
            mean += x[i * d + j] / (double)n;
        for (size_t i = 0; i < n; i++)
            square += (x[i * d + j] - mean) * (x[i * d + j] - mean) / (double)n;
        for (size_t c = 0; c < k; c++)
            penalty += square * head->w[j * k + c] * head->w[j * k + c] * temperature * temperature;
    }
    free(rows);
    free(z);
    return loss + l2 / 2 * penalty;
}

static void same_minimum_as_scikit_learn(void)
{
    FILE *f = open_golden("fits", ".txt");
    char name[32];
    size_t n;
    int d, k, weighted, rows = 0;
    double l2, want;
    while (fscanf(f, "%31s %zu %d %d %lf %d %lf", name, &n, &d, &k, &l2, &weighted, &want) == 7) {
        char file[64];
        snprintf(file, sizeof file, "fit_%s", name);
        float *x = read_golden(file, ".f32", n * (size_t)d);
        int32_t *y = read_golden(file, ".i32", n);
        struct ft_train_options options = { .l2 = l2,
                                            .class_weight =
                                                weighted ? FT_WEIGHT_BALANCED : FT_WEIGHT_NONE,
                                            .threads = 2,
                                            .folds = 2 };
        struct ft_head *head;
        struct ft_validation *v;
        struct ft_error err = { 0 };
        CHECK(ft_train(x, y, NULL, n, d, k, &options, &head, &v, &err) == 0);
        CHECK_STR(err.msg, "");
        const double got = objective(head, v->temperature, x, y, n, l2, weighted);
        if (!(fabs(got - want) <= 1e-6 * want))
            printf("# %s k=%d l2=%g weighted=%d: %.3g above the minimum\n", name, k, l2, weighted,
                   got / want - 1);
        CHECK_NEAR(got, want, 1e-6 * want);
        for (int c = 0; c < k; c++)
            CHECK(head->w[(size_t)(d - 1) * (size_t)k + (size_t)c] == 0); /* the constant feature */
        ft_head_free(head);
        ft_validation_free(v);
        free(x);
        free(y);
        rows++;
    }
    CHECK(rows == 48);
    fclose(f);
}

static void metrics_equal_scikit_learn(void)
{
    FILE *f = open_golden("metrics", ".txt");
    size_t n, cell;
    int k;
    double accuracy, sd, loss, ece;
    CHECK(fscanf(f, "%zu %d %lf %lf %lf %lf", &n, &k, &accuracy, &sd, &loss, &ece) == 6);
    float *p = read_golden("metrics", ".f32", n * (size_t)k);
    int32_t *y = read_golden("metrics", ".i32", 2 * n);
    struct ft_metrics *m;
    CHECK(ft_metrics_compute(p, y, y + n, n, k, &m, NULL) == 0);
    CHECK_NEAR(m->accuracy, accuracy, 1e-9);
    CHECK_NEAR(m->accuracy_sd, sd, 1e-9);
    CHECK_NEAR(m->log_loss, loss, 1e-9);
    CHECK_NEAR(m->ece, ece, 1e-9);
    for (size_t i = 0; i < (size_t)k * (size_t)k; i++)
        CHECK(fscanf(f, "%zu", &cell) == 1 && m->confusion[i] == cell);
    for (int c = 0; c < k; c++) {
        struct ft_class_metrics want;
        CHECK(fscanf(f, "%lf %lf %lf %zu %zu", &want.precision, &want.recall, &want.f1,
                     &want.support, &want.predicted) == 5);
        CHECK_NEAR(m->per_class[c].precision, want.precision, 1e-9);
        CHECK_NEAR(m->per_class[c].recall, want.recall, 1e-9);
        CHECK_NEAR(m->per_class[c].f1, want.f1, 1e-9);
        CHECK(m->per_class[c].support == want.support &&
              m->per_class[c].predicted == want.predicted);
    }
    ft_metrics_free(m);
    free(p);
    free(y);
    fclose(f);
}

static void check_figure(double got, double want)
{
    if (isnan(want))
        CHECK(isnan(got));
    else
        CHECK_NEAR(got, want, 1e-9);
}

static void ranking_and_intervals_equal_scikit_learn(void)
{
    FILE *f = open_golden("ranking", ".txt");
    const size_t n = 300, k = 5;
    double low, high, balanced, brier, top2, top3, auc, ap, want_p;
    float *p = read_golden("metrics", ".f32", n * k), *q = malloc(n * k * sizeof *q);
    int32_t *y = read_golden("metrics", ".i32", 2 * n);
    struct ft_metrics *m;
    struct ft_comparison want, got;
    CHECK(ft_metrics_compute(p, y, NULL, n, (int)k, &m, NULL) == 0);
    CHECK(fscanf(f, "%lf %lf %lf %lf %lf %lf", &low, &high, &balanced, &brier, &top2, &top3) == 6);
    CHECK_NEAR(m->interval[0], low, 1e-9);
    CHECK_NEAR(m->interval[1], high, 1e-9);
    CHECK_NEAR(m->balanced_accuracy, balanced, 1e-9);
    CHECK_NEAR(m->brier, brier, 1e-9);
    CHECK_NEAR(m->top[0], m->accuracy, 1e-12);
    CHECK_NEAR(m->top[1], top2, 1e-9);
    CHECK_NEAR(m->top[2], top3, 1e-9);
    CHECK(m->top[4] == 1 && m->coverage[0].rows == n && m->coverage[0].right == m->right);
    for (size_t c = 0; c < k; c++) {
        CHECK(fscanf(f, "%lf %lf", &auc, &ap) == 2);
        check_figure(m->per_class[c].roc_auc, auc);
        check_figure(m->per_class[c].average_precision, ap);
    }
    for (size_t i = 0; i < n;
         i++) /* ties, in the first column; and the last two columns exchanged */
        for (size_t c = 0; c < k; c++)
            q[i * k + c] = c ? p[i * k + (c == 3   ? 4
                                          : c == 4 ? 3
                                                   : c)]
                             : roundf(p[i * k] * 10) / 10;
    double got_auc = 0, got_ap = 0;
    CHECK(fscanf(f, "%lf %lf", &auc, &ap) == 2 &&
          !ft_ranking(q, k, y, 0, n, &got_auc, &got_ap, NULL));
    CHECK_NEAR(got_auc, auc, 1e-9);
    CHECK_NEAR(got_ap, ap, 1e-9);
    for (size_t i = 0; i < n; i++)
        q[i * k] = p[i * k];
    CHECK(fscanf(f, "%zu %zu %zu %zu %lf", &want.both, &want.only_a, &want.only_b, &want.neither,
                 &want_p) == 5);
    ft_compare(p, q, y, n, (int)k, &got);
    CHECK(got.both == want.both && got.only_a == want.only_a && got.only_b == want.only_b &&
          got.neither == want.neither);
    CHECK_NEAR(got.p_value, want_p, 1e-9);
    ft_metrics_free(m);
    free(p);
    free(q);
    free(y);
    fclose(f);
}

/* p-values of scipy.stats.binomtest. */
static void baseline_is_the_largest_class(void)
{
    static const struct {
        int wrong_largest, right_other; /* of 9 pictures of class 1 and 6 of class 0 */
        double p_value;
        bool beaten;
    } cases[] = { { 3, 1, 0.625, false }, { 0, 6, 0.03125, true }, { 0, 0, 1, false } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float p[15 * 2];
        int32_t y[15];
        for (int row = 0; row < 15; row++) {
            y[row] = row < 9;
            const bool right =
                row < 9 ? row >= cases[i].wrong_largest : row - 9 < cases[i].right_other;
            p[2 * row] = (y[row] == 0) == right ? 0.75f : 0.25f;
            p[2 * row + 1] = 1 - p[2 * row];
        }
        struct ft_metrics *m = NULL;
        struct ft_baseline b;
        CHECK(!ft_metrics_compute(p, y, NULL, 15, 2, &m, NULL));
        ft_baseline_compute(m, &b);
        CHECK(b.class_index == 1 && b.beaten == cases[i].beaten);
        CHECK_NEAR(b.accuracy, 0.6, 1e-12);
        CHECK_NEAR(b.p_value, cases[i].p_value, 1e-9);
        ft_metrics_free(m);
        CHECK(!ft_metrics_compute(p, y, NULL, 9, 2, &m, NULL));
        ft_baseline_compute(m, &b);
        CHECK(b.class_index == -1); /* one class alone: nothing to compare */
        ft_metrics_free(m);
    }
}

static void metrics_refuse_bad_labels(void)
{
    const float p[] = { 0.5f, 0.5f, 1, 0 };
    const int32_t y[] = { 0, 2 };
    struct ft_metrics *m = NULL;
    struct ft_error err;
    CHECK(ft_metrics_compute(p, y, NULL, 2, 2, &m, &err) == FT_EARG && !m);
    CHECK_STR(err.msg, "row 1 has class 2: labels are 0 to 1");
    CHECK(ft_metrics_compute(p, y, NULL, 0, 2, &m, &err) == FT_EARG);
    CHECK(ft_metrics_compute(p, y, NULL, 1, 2, &m, &err) == 0);
    CHECK(m->accuracy == 1 && m->accuracy_sd == 0);
    ft_metrics_free(m);
}

static void temperature_equals_scipy(void)
{
    FILE *f = open_golden("temperature", ".txt");
    size_t n;
    int k;
    double want;
    CHECK(fscanf(f, "%zu %d %lf", &n, &k, &want) == 3);
    float *z = read_golden("temperature", ".f32", n * (size_t)k);
    int32_t *y = read_golden("temperature", ".i32", n), *fold = calloc(n, sizeof *fold);
    CHECK_NEAR(ft_temperature_fit(z, y, NULL, -1, n, k), want, 1e-6);
    /* every row wrong or right by miles: finite all the same, and rows of the excepted fold do not
     * count */
    for (size_t i = 0; i < n; i++) {
        fold[i] = (int32_t)(i % 2);
        for (int c = 0; c < k; c++)
            z[i * (size_t)k + (size_t)c] = (c == y[i]) == (i % 2) ? 50 : 0;
    }
    const double right = ft_temperature_fit(z, y, fold, 0, n, k),
                 wrong = ft_temperature_fit(z, y, fold, 1, n, k);
    CHECK_NEAR(right, 1, 1e-6); /* no loss left to gain */
    CHECK(wrong > 5 && wrong < 21);
    fclose(f);
    free(z);
    free(y);
    free(fold);
}

/* ---- invented features ----------------------------------------------------------------------- */

struct sample {
    size_t n;
    int d, k;
    float *x;
    int32_t *y;
};

/* Class c adds `signal` to every feature j with j % k == c; labels go round. */
static struct sample sample_new(size_t n, int d, int k, float signal)
{
    struct sample s = { n, d, k, malloc(n * (size_t)d * sizeof(float)),
                        malloc(n * sizeof(int32_t)) };
    struct ft_random r = { 7 };
    for (size_t i = 0; i < n; i++) {
        s.y[i] = (int32_t)(i % (size_t)k);
        for (int j = 0; j < d; j++)
            s.x[i * (size_t)d + (size_t)j] =
                (float)(ft_random_unit(&r) - 0.5) + (j % k == s.y[i] ? signal : 0);
    }
    return s;
}

static void sample_free(struct sample *s)
{
    free(s->x);
    free(s->y);
}

static int train(const struct sample *s, const uint64_t *group, struct ft_train_options options,
                 struct ft_head **head, struct ft_validation **v, struct ft_error *err)
{
    *head = NULL;
    *v = NULL;
    return ft_train(s->x, s->y, group, s->n, s->d, s->k, &options, head, v, err);
}

static bool all_finite(const float *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(p[i]))
            return false;
    }
    return true;
}

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
            const struct ft_matrix m = ft_features_matrix(outside);
            CHECK(ft_train_matrix(&m, outside->labels, NULL, s.k,
                                  &(struct ft_train_options){ .threads = threads,
                                                              .class_weight = FT_WEIGHT_AUTO },
                                  &other, &v2, NULL) == 0);
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
    const struct ft_matrix m = ft_features_matrix(f);
    struct ft_head *head;
    struct ft_validation *v;
    CHECK(ft_train_matrix(&m, f->labels, NULL, 2,
                          &(struct ft_train_options){ .class_weight = FT_WEIGHT_NONE }, &head, &v,
                          &err) == FT_EFORMAT);
    CHECK(strstr(err.msg, "feature 3 of row 37 is 'nan'"));
    struct ft_matrix longer = m; /* as if the file had been cut */
    longer.n = 100;
    int32_t y[100] = { 1 };
    CHECK(ft_train_matrix(&longer, y, NULL, 2,
                          &(struct ft_train_options){ .class_weight = FT_WEIGHT_NONE }, &head, &v,
                          &err) == FT_EIO &&
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
    for (size_t i = 0; i < sizeof l2s / sizeof *l2s; i++) {
        struct ft_head *head;
        struct ft_validation *v;
        struct ft_error err = { 0 };
        CHECK(train(&s, NULL,
                    (struct ft_train_options){ .l2 = l2s[i], .class_weight = FT_WEIGHT_NONE },
                    &head, &v, &err) == 0);
        CHECK_STR(err.msg, "");
        CHECK(all_finite(head->w, 24) && all_finite(head->b, 3) && all_finite(v->raw, 270) &&
              all_finite(v->calibrated, 270));
        CHECK(v->n_grid == (l2s[i] == 0 ? 9 : 1) && (l2s[i] == 0 || v->l2 == fmax(l2s[i], 0)));
        struct ft_metrics *m;
        CHECK(ft_metrics_compute(v->calibrated, s.y, v->fold, s.n, 3, &m, NULL) == 0);
        CHECK(l2s[i] > 1 || m->accuracy > 0.95);
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

static void unknown_classes_stand_out(void)
{
    struct sample s = sample_new(300, 24, 4, 1);
    int32_t *fold = malloc(s.n * sizeof *fold);
    for (size_t i = 0; i < s.n; i++)
        fold[i] = (int32_t)(i / 4 % 5);
    struct ft_unknown u, two, noise;
    const struct ft_train_options options = { .l2 = 0.1, .class_weight = FT_WEIGHT_NONE };
    CHECK(ft_unknown_measure(s.x, s.y, fold, s.n, s.d, s.k, &options, &u, NULL) == 0);
    CHECK(u.left_out == 4 && u.distance > 0.95 && u.probability > 0.8);
    sample_free(&s);
    s = sample_new(300, 24, 2, 1);
    CHECK(ft_unknown_measure(s.x, s.y, fold, s.n, s.d, 2, &options, &two, NULL) == 0);
    CHECK(two.left_out == 2 && isnan(two.probability) && two.distance > 0.95);
    sample_free(&s);
    s = sample_new(300, 24, 4, 0); /* classes that are all the same */
    CHECK(ft_unknown_measure(s.x, s.y, fold, s.n, s.d, s.k, &options, &noise, NULL) == 0);
    CHECK(noise.distance > 0.35 && noise.distance < 0.65 && noise.probability > 0.35 &&
          noise.probability < 0.65);
    sample_free(&s);
    free(fold);
}

static void learning_curve_rises_and_is_extrapolated(void)
{
    struct sample s = sample_new(400, 24, 4, 0.25f);
    int32_t *fold = malloc(s.n * sizeof *fold);
    for (size_t i = 0; i < s.n; i++)
        fold[i] = (int32_t)(i / 4 % 5);
    struct ft_curve c, again;
    struct ft_error err;
    const struct ft_train_options options = { .seed = 3, .class_weight = FT_WEIGHT_NONE };
    CHECK(ft_curve_measure(s.x, s.y, fold, 5, s.n, s.d, s.k, &options, NULL, NULL, &c, NULL) == 0);
    CHECK(c.n_points == 5 && c.points[4].images == 320 && c.points[3].images == 160);
    CHECK(c.points[4].accuracy > c.points[0].accuracy + 0.05);
    for (int i = 0; i < c.n_points; i++)
        CHECK(c.points[i].low < c.points[i].accuracy && c.points[i].accuracy < c.points[i].high);
    CHECK(c.now.images == 400 && c.doubled.images == 800 && c.doubled.accuracy >= c.now.accuracy);
    CHECK(c.doubled.low <= c.doubled.accuracy && c.doubled.accuracy <= c.doubled.high);
    CHECK_NEAR(1 - ft_power_law_error(&c.law, 320), c.points[4].accuracy, 0.04);
    CHECK(ft_curve_measure(s.x, s.y, fold, 5, s.n, s.d, s.k, &options, NULL, NULL, &again, NULL) ==
          0);
    CHECK(!memcmp(&again, &c, sizeof c));
    CHECK(ft_curve_measure(s.x, s.y, fold, 5, 20, s.d, s.k, &options, NULL, NULL, &c, &err) ==
          FT_EARG);
    sample_free(&s);
    free(fold);
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
    CHECK(train(&s, NULL, (struct ft_train_options){ .folds = 1 }, &head, &v, &err) == FT_EARG);
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

int main(void)
{
    RUN(same_minimum_as_scikit_learn);
    RUN(metrics_equal_scikit_learn);
    RUN(ranking_and_intervals_equal_scikit_learn);
    RUN(metrics_refuse_bad_labels);
    RUN(baseline_is_the_largest_class);
    RUN(temperature_equals_scipy);
    RUN(threads_change_nothing);
    RUN(a_scratch_file_changes_nothing);
    RUN(scratch_files_say_what_is_wrong);
    RUN(out_of_fold_means_it);
    RUN(hopeless_l2_values);
    RUN(folds_are_even_and_keep_groups);
    RUN(hardly_any_pictures);
    RUN(extreme_features);
    RUN(all_features_constant);
    RUN(many_classes);
    RUN(unknown_classes_stand_out);
    RUN(learning_curve_rises_and_is_extrapolated);
    RUN(bad_arguments);
    return test_end();
}
