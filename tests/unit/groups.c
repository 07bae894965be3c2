/* dataset/: near copies against all pairs compared in double precision; groups of pictures that
 * must stay together. */
#include "../test.h"

#include "base/matrix.h"
#include "base/random.h"
#include "dataset/near.h"

enum { N = 300, D = 40 };

static double normal(struct ft_random *r)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += ft_random_unit(r);
    return sum;
}

/* Rows in all directions; every tenth has a copy with some noise, more of it each time. */
static void fill(float x[N][D])
{
    struct ft_random r = { 5 };
    for (int i = 0; i < N; i++)
        for (int j = 0; j < D; j++)
            x[i][j] = (float)(3 + normal(&r));
    for (int i = 0; i + 5 < N; i += 10)
        for (int j = 0; j < D; j++)
            x[i + 5][j] = (float)(x[i][j] + normal(&r) * 0.03 * i / 10);
}

/* 1 - the cosine of two rows less their mean. */
static double distance(const float x[N][D], const double *mean, int a, int b)
{
    double ab = 0, aa = 0, bb = 0;
    for (int j = 0; j < D; j++) {
        const double p = x[a][j] - mean[j], q = x[b][j] - mean[j];
        ab += p * q;
        aa += p * p;
        bb += q * q;
    }
    return 1 - ab / sqrt(aa * bb);
}

static void check_pairs(const float x[N][D], const struct ft_near *pairs, size_t n)
{
    double mean[D] = { 0 };
    int expected = 0, missed = 0, close_missed = 0;
    size_t found = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < D; j++)
            mean[j] += (double)x[i][j] / N;
    for (int a = 0; a < N; a++)
        for (int b = a + 1; b < N; b++) {
            const double d = distance(x, mean, a, b);
            const bool here =
                found < n && pairs[found].a == (size_t)a && pairs[found].b == (size_t)b;
            if (here)
                CHECK_NEAR(pairs[found].distance, d, 1e-5);
            found += here;
            if (d < FT_NEAR - 1e-6) {
                expected++;
                missed += !here;
                close_missed += !here && d < FT_NEAR / 2;
            } else if (d > FT_NEAR + 1e-6)
                CHECK(!here);
        }
    printf("# %d pairs, %d of them missed\n", expected, missed);
    CHECK(found == n); /* in order, and no others */
    CHECK(expected > 10 && missed <= 1 && close_missed == 0);
}

static void near_pairs(void)
{
    static float x[N][D];
    struct ft_near *pairs = NULL, *again = NULL;
    struct ft_scratch *scratch;
    struct ft_error e;
    size_t n = 0, n_again = 0;
    fill(x);
    const struct ft_matrix held = { .n = N, .d = D, .x = x[0] };
    CHECK(!ft_near_pairs(&held, FT_NEAR, 2, &pairs, &n, &e));
    check_pairs(x, pairs, n);
    /* from a file, and by one thread: the same pairs */
    CHECK(!ft_scratch_new(NULL, sizeof x, &scratch, &e) &&
          !ft_scratch_append(scratch, x, sizeof x, &e));
    const struct ft_matrix filed = { .n = N, .d = D, .scratch = scratch };
    CHECK(!ft_near_pairs(&filed, FT_NEAR, 1, &again, &n_again, &e));
    CHECK(n == n_again);
    for (size_t i = 0; i < n && i < n_again; i++)
        CHECK(pairs[i].a == again[i].a && pairs[i].b == again[i].b);
    ft_scratch_free(scratch);
    free(pairs);
    free(again);
}

static void unit_rows(void)
{
    const float x[3][2] = { { 1, 1 }, { 4, 5 }, { 1, 1 } }; /* mean (2, 7/3) */
    float *unit = ft_unit_rows(x[0], 3, 2);
    const double length = hypot(1, 4.0 / 3);
    CHECK_NEAR(unit[0], -1 / length, 1e-6);
    CHECK_NEAR(unit[1], -4.0 / 3 / length, 1e-6);
    CHECK_NEAR(unit[2], 1 / length, 1e-6);
    free(unit);
    unit = ft_unit_rows((float[2]){ 1, 2 }, 1, 2); /* nothing is left of a single row */
    CHECK(unit[0] == 0 && unit[1] == 0);
    free(unit);
}

static void groups(void)
{
    enum { ROWS = 20 };
    static float x[ROWS][D];
    char *paths[ROWS];
    uint64_t content[ROWS][2], group[ROWS];
    struct ft_random r = { 9 };
    struct ft_error e;
    char names[ROWS][40];
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < D; j++)
            x[i][j] = (float)normal(&r);
        snprintf(names[i], sizeof names[i], "set/a/p%d-%d.jpg", i % 2 ? i : 0, i);
        paths[i] = names[i];
        content[i][0] = (uint64_t)i + 1;
        content[i][1] = 7;
    }
    memcpy(content[5], content[3], sizeof content[3]); /* a copy of the file */
    memcpy(x[7], x[5], sizeof x[5]);                   /* a near copy of that */
    int32_t labels[ROWS] = { 0 };
    struct ft_features f = {
        .n = ROWS, .d = D, .x = x[0], .paths = paths, .content = content, .labels = labels
    };
    CHECK(!ft_groups(&f, "set", NULL, 1, group, &e));
    for (int i = 0; i < ROWS; i++)
        CHECK(group[i] == (i == 5 || i == 7 ? 3 : (uint64_t)i));
    /* the pattern sees the path below the folder; all even rows have the name p0 */
    CHECK(!ft_groups(&f, "set", "^a/(p[0-9]+)-", 1, group, &e));
    for (int i = 0; i < ROWS; i++)
        CHECK(group[i] == (i % 2 == 0 ? 0 : i == 5 || i == 7 ? 3 : (uint64_t)i));
    CHECK(!ft_groups(&f, "set", "^set", 1, group, &e)); /* matches nothing below it */
    CHECK(group[2] == 2);
    CHECK(ft_groups(&f, "set", "(", 1, group, &e) == FT_EARG);
    CHECK(!strncmp(e.msg, "'(' is no extended regular expression: ", 39));
    /* where everything looks alike, only copies of the same bytes count */
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < D; j++)
            x[i][j] = (float)((i < 6) + 1e-3 * normal(&r));
    CHECK(!ft_groups(&f, "set", NULL, 1, group, &e));
    for (int i = 0; i < ROWS; i++)
        CHECK(group[i] == (i == 5 ? 3 : (uint64_t)i));
}

/* As in sets of drawings: pairs that are as close as copies, many of them across classes. A few of
 * many may be copies with a wrong label. */
static void close_pictures_of_different_classes_are_no_copies(void)
{
    enum { MOST = 30, ROWS = 2 * MOST };
    static const struct {
        int pairs, across;
        bool copies;
    } cases[] = { { MOST, 0, true },     { MOST, 3, true }, { MOST, 4, false },
                  { MOST, MOST, false }, { 4, 0, true },    { 4, 1, false } };
    static float x[ROWS][D];
    static char names[ROWS][20];
    char *paths[ROWS];
    uint64_t content[ROWS][2], group[ROWS];
    int32_t labels[ROWS];
    const struct ft_features f = {
        .n = ROWS, .d = D, .x = x[0], .paths = paths, .content = content, .labels = labels
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct ft_random r = { 4 };
        for (int i = 0; i < ROWS; i++) {
            const bool close = i % 2 && i / 2 < cases[c].pairs;
            snprintf(names[i], sizeof names[i], "p%d", i);
            paths[i] = names[i];
            content[i][0] = content[i][1] = (uint64_t)i;
            labels[i] = i % 2 && i / 2 < cases[c].across;
            for (int j = 0; j < D; j++)
                x[i][j] = (float)(close ? x[i - 1][j] + 0.01 * normal(&r) : normal(&r));
        }
        CHECK(!ft_groups(&f, "", NULL, 1, group, NULL));
        for (int i = 0; i < ROWS; i++)
            CHECK(group[i] ==
                  (uint64_t)(cases[c].copies && i / 2 < cases[c].pairs ? i / 2 * 2 : i));
    }
}

int main(void)
{
    RUN(near_pairs);
    RUN(unit_rows);
    RUN(groups);
    RUN(close_pictures_of_different_classes_are_no_copies);
    return test_end();
}
