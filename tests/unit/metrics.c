/* How good probabilities are: against scikit-learn and SciPy (scripts/golden_head.py,
 * scripts/golden_report.py), and against figures that follow from the definitions. */
#include "head/calibrate.h"
#include "head/ranking.h"

#include "head_data.h"

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

static void wilson_equals_scipy(void)
{
    FILE *f = open_golden("wilson", ".txt");
    size_t right, n;
    double low, high, got[2];
    int rows = 0, wide = 0;
    while (fscanf(f, "%zu %zu %lf %lf", &right, &n, &low, &high) == 4) {
        ft_wilson(right, n, got);
        CHECK_NEAR(got[0], low, 1e-12);
        CHECK_NEAR(got[1], high, 1e-12);
        /* Variances are 2.25, 1.5 and 3 times as large with 5 folds once, 4 times, and 2 folds. */
        static const struct {
            size_t times, of;
            int folds, repeats;
        } wider[] = { { 9, 4, 5, 1 }, { 3, 2, 5, 4 }, { 3, 1, 2, 1 } };
        for (int i = 0; i < 3; i++) {
            const double p = (double)right / (double)n;
            if (n % wider[i].of)
                continue;
            const size_t more = n / wider[i].of * wider[i].times;
            ft_expected_interval(p, p, more, wider[i].folds, wider[i].repeats, got);
            CHECK_NEAR(got[0], low, 1e-12);
            CHECK_NEAR(got[1], high, 1e-12);
            /* The high end is that of the expected accuracy. */
            ft_expected_interval(p / 2, p, more, wider[i].folds, wider[i].repeats, got);
            CHECK_NEAR(got[1], high, 1e-12);
            CHECK(got[0] <= low);
            wide++;
        }
        rows++;
    }
    CHECK(rows == 8 && wide > 8);
    fclose(f);
}

/* `a` rows that only the first classifier gets right, `b` that only the second does. */
static struct ft_comparison compare(size_t a, size_t b)
{
    const size_t n = a + b + 1;
    float *p = malloc(2 * n * sizeof *p), *q = malloc(2 * n * sizeof *q);
    int32_t *y = calloc(n, sizeof *y);
    struct ft_comparison out;
    for (size_t i = 0; i < n; i++) { /* the last row is right in both */
        const bool first = i < a || i == n - 1, second = i >= a;
        p[2 * i] = first ? 0.75f : 0.25f;
        p[2 * i + 1] = 1 - p[2 * i];
        q[2 * i] = second ? 0.75f : 0.25f;
        q[2 * i + 1] = 1 - q[2 * i];
    }
    ft_compare(p, q, y, n, 2, &out);
    free(p);
    free(q);
    free(y);
    return out;
}

static void mcnemar_equals_scipy(void)
{
    FILE *f = open_golden("mcnemar", ".txt");
    size_t a, b;
    double want;
    int rows = 0;
    while (fscanf(f, "%zu %zu %lf", &a, &b, &want) == 3) {
        const struct ft_comparison c = compare(a, b);
        CHECK(c.only_a == a && c.only_b == b && c.both == 1 && c.neither == 0);
        CHECK_NEAR(c.p_value, want, 1e-12);
        rows++;
    }
    CHECK(rows == 6);
    fclose(f);
}

static void coverage_threshold_keeps_its_share(void)
{
    float p[200];
    for (int i = 0; i < 100; i++) { /* highest probabilities 0.50, 0.505, ..., 0.995 */
        p[2 * i + 1] = 0.5f + 0.005f * (float)i;
        p[2 * i] = 1 - p[2 * i + 1];
    }
    CHECK_NEAR(ft_coverage_threshold(p, 100, 2, 1), 0.5, 1e-6);
    CHECK_NEAR(ft_coverage_threshold(p, 100, 2, 0.9), 0.55, 1e-6);
    CHECK_NEAR(ft_coverage_threshold(p, 100, 2, 0.99), 0.505, 1e-6);
}

/* Several labels for a row (scripts/golden_labels.py). */
static void check_labels(const float *p, const uint8_t *marks, const char *threshold, size_t n,
                         int k)
{
    char name[300];
    struct ft_label_metrics *m;
    double exact = NAN, hamming = NAN, want[5];
    snprintf(name, sizeof name, "%s/golden/labels/expected-%s.txt", getenv("FT_TEST_DATA"),
             threshold);
    FILE *f = fopen(name, "r");
    CHECK(f && !ft_label_metrics_compute(p, marks, atof(threshold), n, k, &m, NULL));
    for (int c = 0; f && c < k + 2; c++) {
        const struct ft_class_metrics *got = c < k    ? &m->per_label[c]
                                             : c == k ? &m->micro
                                                      : &m->macro;
        const double all[5] = { got->precision, got->recall, got->f1, got->roc_auc,
                                got->average_precision };
        CHECK(fscanf(f, "%lf %lf %lf %lf %lf", &want[0], &want[1], &want[2], &want[3], &want[4]) ==
              5);
        for (int i = 0; i < 5; i++)
            CHECK(isnan(want[i]) ? isnan(all[i]) : fabs(want[i] - all[i]) < 1e-8);
    }
    CHECK(f && fscanf(f, "%lf %lf", &exact, &hamming) == 2);
    CHECK_NEAR(m->exact, exact, 1e-8);
    CHECK_NEAR(m->hamming, hamming, 1e-8);
    ft_label_metrics_free(m);
    if (f)
        fclose(f);
}

static void label_metrics_equal_scikit_learn(void)
{
    char name[300];
    size_t n = 0;
    int k = 0;
    snprintf(name, sizeof name, "%s/golden/labels/rows.txt", getenv("FT_TEST_DATA"));
    FILE *f = fopen(name, "r");
    CHECK(f && fscanf(f, "%zu %d", &n, &k) == 2 && n > 9 && k == 3);
    float *p = calloc(n * (size_t)k + 1, sizeof *p);
    uint8_t *marks = calloc(n * (size_t)k + 1, 1);
    for (size_t i = 0; f && i < n; i++) {
        for (int c = 0; c < k; c++)
            CHECK(fscanf(f, "%f", &p[i * (size_t)k + (size_t)c]) == 1);
        for (int c = 0; c < k; c++)
            CHECK(fscanf(f, "%hhu", &marks[i * (size_t)k + (size_t)c]) == 1);
    }
    check_labels(p, marks, "0.5", n, k);
    check_labels(p, marks, "0.2", n, k);
    free(p);
    free(marks);
    if (f)
        fclose(f);
    ft_label_metrics_free(NULL);
}

int main(void)
{
    RUN(label_metrics_equal_scikit_learn);
    RUN(metrics_equal_scikit_learn);
    RUN(ranking_and_intervals_equal_scikit_learn);
    RUN(metrics_refuse_bad_labels);
    RUN(baseline_is_the_largest_class);
    RUN(temperature_equals_scipy);
    RUN(wilson_equals_scipy);
    RUN(mcnemar_equals_scipy);
    RUN(coverage_threshold_keeps_its_share);
    return test_end();
}
