/* What must not change a head: the order of the rows, the numbers of the classes, copies of all
 * rows, one factor on all features. And inputs at the edges: classes that do not differ, one
 * feature, very many features, denormal features, a rare class. */
#include "head_data.h"

/* Fits without calibration would differ by the stopping rule of L-BFGS alone. */
#define TOLERANCE 2e-3

static const struct ft_train_options fixed = { .l2 = 0.05, .class_weight = FT_WEIGHT_NONE };

struct fit {
    struct ft_head *head;
    struct ft_validation *v;
};

static struct fit fit(const struct sample *s, const uint64_t *group,
                      const struct ft_train_options *options)
{
    struct fit f;
    struct ft_error err = { 0 };
    CHECK(train(s, group, *options, &f.head, &f.v, &err) == 0);
    CHECK_STR(err.msg, "");
    if (!f.head || !f.v)
        exit(1);
    for (int i = 0; i < s->d * s->k; i++)
        CHECK(isfinite(f.head->w[i]));
    for (size_t i = 0; i < s->n * (size_t)s->k; i++)
        CHECK(f.v->calibrated[i] >= 0 && f.v->calibrated[i] <= 1);
    return f;
}

static void fit_free(struct fit *f)
{
    ft_head_free(f->head);
    ft_validation_free(f->v);
}

/* Share of the rows whose most probable class out of fold is their own. */
static double accuracy(const struct fit *f, const struct sample *s)
{
    size_t right = 0;
    for (size_t i = 0; i < s->n; i++) {
        const float *p = f->v->calibrated + i * (size_t)s->k;
        int top = 0;
        for (int c = 1; c < s->k; c++)
            top = p[c] > p[top] ? c : top;
        right += top == s->y[i];
    }
    return (double)right / (double)s->n;
}

/* Row `to` of a sample becomes row `from` of another. */
static void copy_row(const struct sample *a, size_t from, struct sample *b, size_t to)
{
    memcpy(b->x + to * (size_t)b->d, a->x + from * (size_t)a->d, (size_t)a->d * sizeof *a->x);
    b->y[to] = a->y[from];
}

/* Probabilities of the rows of `s` by two heads; class c of the first is class_of[c] of the second
 * (NULL: c). The temperature depends on the folds, so it is taken out. */
static void same_heads(const struct fit *a, const struct fit *b, const struct sample *s,
                       const int *class_of)
{
    const size_t k = (size_t)s->k;
    double worst = 0;
    for (size_t i = 0; i < s->n; i++) {
        double z[2][16], shift[2] = { 0, 0 };
        for (size_t c = 0; c < k; c++) {
            const size_t c2 = class_of ? (size_t)class_of[c] : c;
            z[0][c] = a->head->b[c];
            z[1][c] = b->head->b[c2];
            for (size_t j = 0; j < (size_t)s->d; j++) {
                z[0][c] += (double)s->x[i * (size_t)s->d + j] * a->head->w[j * k + c];
                z[1][c] += (double)s->x[i * (size_t)s->d + j] * b->head->w[j * k + c2];
            }
            z[0][c] *= a->v->temperature;
            z[1][c] *= b->v->temperature;
            shift[0] += z[0][c] / (double)k;
            shift[1] += z[1][c] / (double)k;
        }
        for (size_t c = 0; c < k; c++)
            worst = fmax(worst, fabs(z[0][c] - shift[0] - z[1][c] + shift[1]));
    }
    CHECK_NEAR(worst, 0, TOLERANCE);
}

static void order_of_rows(void)
{
    struct sample s = sample_new(120, 20, 3, 0.4f), t = sample_new(120, 20, 3, 0);
    for (size_t i = 0; i < s.n; i++) /* 77 and 120 have no common divisor */
        copy_row(&s, i, &t, i * 77 % s.n);
    struct fit a = fit(&s, NULL, &fixed), b = fit(&t, NULL, &fixed);
    same_heads(&a, &b, &s, NULL);
    CHECK_NEAR(accuracy(&a, &s), accuracy(&b, &t), 0.06); /* other folds */
    fit_free(&a);
    fit_free(&b);
    sample_free(&s);
    sample_free(&t);
}

static void numbers_of_classes(void)
{
    static const int class_of[] = { 2, 0, 3, 1 };
    struct sample s = sample_new(120, 20, 4, 0.4f), t = sample_new(120, 20, 4, 0);
    for (size_t i = 0; i < s.n; i++) {
        copy_row(&s, i, &t, i);
        t.y[i] = class_of[s.y[i]];
    }
    static const enum ft_class_weight weights[] = { FT_WEIGHT_NONE, FT_WEIGHT_BALANCED };
    for (int i = 0; i < 2; i++) {
        struct ft_train_options options = fixed;
        options.class_weight = weights[i];
        struct fit a = fit(&s, NULL, &options), b = fit(&t, NULL, &options);
        same_heads(&a, &b, &s, class_of);
        fit_free(&a);
        fit_free(&b);
    }
    sample_free(&s);
    sample_free(&t);
}

/* Each picture twice, the copies in one group: loss and penalty are means, so the head is the same,
 * and no picture is judged by a head that has seen its copy. */
static void every_row_twice(void)
{
    struct sample s = sample_new(90, 15, 3, 0.3f), t = sample_new(180, 15, 3, 0);
    uint64_t group[180];
    for (size_t i = 0; i < t.n; i++) {
        copy_row(&s, i / 2, &t, i);
        group[i] = i / 2;
    }
    static const enum ft_scale scales[] = { FT_SCALE_FLOOR, FT_SCALE_STANDARD };
    for (int i = 0; i < 2; i++) {
        struct ft_train_options options = fixed;
        options.scale = scales[i];
        struct fit a = fit(&s, NULL, &options), b = fit(&t, group, &options);
        same_heads(&a, &b, &s, NULL);
        for (size_t r = 0; r < t.n; r += 2)
            CHECK(b.v->fold[r] == b.v->fold[r + 1]);
        CHECK_NEAR(accuracy(&a, &s), accuracy(&b, &t), 0.08);
        fit_free(&a);
        fit_free(&b);
    }
    sample_free(&s);
    sample_free(&t);
}

/* Features are scaled by their own variance: their unit does not matter, down to denormals. */
static void unit_of_features(void)
{
    static const float factors[] = { 1e3f, 1e-3f, 1e-18f, 1e18f };
    struct sample s = sample_new(90, 12, 3, 0.5f);
    struct fit a = fit(&s, NULL, &fixed);
    for (size_t f = 0; f < sizeof factors / sizeof *factors; f++) {
        struct sample t = sample_new(90, 12, 3, 0.5f);
        for (size_t i = 0; i < t.n * 12; i++)
            t.x[i] *= factors[f];
        struct fit b = fit(&t, NULL, &fixed);
        for (size_t i = 0; i < t.n * 3; i++)
            CHECK_NEAR(a.v->raw[i], b.v->raw[i], TOLERANCE);
        fit_free(&b);
        sample_free(&t);
    }
    fit_free(&a);
    /* denormals: too small to be scaled to 1, they count as constant or as they are */
    for (size_t i = 0; i < s.n * 12; i++)
        s.x[i] *= 1e-40f;
    a = fit(&s, NULL, &fixed);
    fit_free(&a);
    sample_free(&s);
}

/* Two classes with the same pictures: nothing can be learned, and the probabilities say so. */
static void classes_that_do_not_differ(void)
{
    struct sample s = sample_new(80, 10, 2, 0);
    uint64_t group[80];
    for (size_t i = 0; i < s.n; i++) {
        copy_row(&s, i / 2 * 2, &s, i);
        s.y[i] = (int32_t)(i % 2);
        group[i] = i / 2;
    }
    struct ft_train_options options = { .class_weight = FT_WEIGHT_AUTO };
    for (int grouped = 0; grouped < 2; grouped++) {
        struct fit f = fit(&s, grouped ? group : NULL, &options);
        CHECK(accuracy(&f, &s) < 0.65);
        for (size_t i = 0; grouped && i < s.n * 2; i++)
            CHECK_NEAR(f.v->calibrated[i], 0.5, 0.01);
        fit_free(&f);
    }
    sample_free(&s);
}

static void one_feature(void)
{
    struct sample s = sample_new(60, 1, 2, 2);
    struct fit f = fit(&s, NULL, &(struct ft_train_options){ .class_weight = FT_WEIGHT_AUTO });
    CHECK(accuracy(&f, &s) == 1); /* class 0 is in 1.5 to 2.5, class 1 in -0.5 to 0.5 */
    fit_free(&f);
    sample_free(&s);
}

static void very_many_features(void)
{
    struct sample s = sample_new(24, 100000, 2, 0.2f);
    struct fit f = fit(&s, NULL, &(struct ft_train_options){ .folds = 3 });
    CHECK(accuracy(&f, &s) > 0.9);
    fit_free(&f);
    sample_free(&s);
}

static void a_rare_class(void)
{
    struct sample s = sample_new(1002, 16, 2, 0);
    for (size_t i = 0; i < s.n; i++) {
        s.y[i] = i == 100 || i == 700;
        for (size_t j = 0; s.y[i] && j < 8; j++)
            s.x[i * 16 + j] += 3;
    }
    /* two of 1002 pictures: each is judged by a head that knows the other alone */
    struct fit f = fit(&s, NULL, &(struct ft_train_options){ .class_weight = FT_WEIGHT_AUTO });
    CHECK(f.v->weighted && f.v->fold[100] != f.v->fold[700]);
    CHECK(accuracy(&f, &s) > 0.99);
    float p[2];
    ft_head_probabilities(f.head, s.x + (size_t)100 * 16, 1, p);
    CHECK(p[1] > 0.5);
    ft_head_probabilities(f.head, s.x, 1, p);
    CHECK(p[0] > 0.5);
    fit_free(&f);
    sample_free(&s);
}

static void not_finite(void)
{
    static const float bad[] = { NAN, INFINITY, -INFINITY };
    struct sample s = sample_new(30, 4, 3, 1);
    for (int i = 0; i < 3; i++) {
        struct ft_head *head;
        struct ft_validation *v;
        struct ft_error err = { 0 };
        s.x[29 * 4 + 3] = bad[i];
        CHECK(train(&s, NULL, fixed, &head, &v, &err) == FT_EFORMAT && !head && !v);
        CHECK(strstr(err.msg, "feature 3 of row 29") != NULL);
    }
    sample_free(&s);
}

int main(void)
{
    RUN(order_of_rows);
    RUN(numbers_of_classes);
    RUN(every_row_twice);
    RUN(unit_of_features);
    RUN(classes_that_do_not_differ);
    RUN(one_feature);
    RUN(very_many_features);
    RUN(a_rare_class);
    RUN(not_finite);
    return test_end();
}
