/* What reports say about single cells, rows and classes: formulas, mistakes, warnings. */
#include "finetune-tools.h"

#include "../test.h"

static char *classes[] = { "cat", "a,\"<b>" };

/* OWASP's list of characters that begin a formula. */
static void formulas_are_recognised(void)
{
    static const char *const formulas[] = { "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1" };
    static const char *const texts[] = { "", "a=1", " =1", "1-2", "'=1", "\xc3\xa9", "#" };
    for (size_t i = 0; i < sizeof formulas / sizeof *formulas; i++)
        CHECK(ft_csv_is_formula(formulas[i]));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        CHECK(!ft_csv_is_formula(texts[i]));
}

/* n pictures of class 0, then n of class 1; the first `right` of each are classified correctly. */
static char *warnings_of(int n, int right_0, int right_1)
{
    float *q = calloc((size_t)n * 4, sizeof *q);
    int32_t *truth = calloc((size_t)n * 2, sizeof *truth);
    struct ft_metrics *m = NULL;
    for (int i = 0; i < 2 * n; i++) {
        truth[i] = i >= n;
        const bool right = i < n ? i < right_0 : i - n < right_1;
        q[2 * i + (right ? truth[i] : 1 - truth[i])] = 1;
    }
    CHECK(ft_metrics_compute(q, truth, NULL, (size_t)n * 2, 2, &m, NULL) == 0);
    char *text = ft_report_warnings_text(m, classes);
    ft_metrics_free(m);
    free(truth);
    free(q);
    return text;
}

/* McNemar's exact test against the constant answer 'cat': with 10 pictures of the other class right
 * and a of 'cat' wrong, p is 2 * sum_{i <= a} C(10 + a, i) / 2^(10 + a): 0.039 for 2, 0.092 for 3.
 */
static void warnings_by_hand(void)
{
    char *text = warnings_of(10, 8, 10);
    CHECK_STR(text, "");
    free(text);
    text = warnings_of(10, 7, 10);
    CHECK_STR(text, "the classifier is not significantly better than always answering 'cat', which "
                    "is correct for 50.0 % of the pictures\n");
    free(text);
    text = warnings_of(10, 10, 0);
    CHECK_STR(text, "the classifier is no better than always answering 'cat', which is correct for "
                    "50.0 % of the pictures\nno picture of the class 'a,\"<b>' is classified "
                    "correctly (recall 0)\n");
    free(text);
}

static void mistakes_come_by_probability(void)
{
    const float p[] = { 0.9f, 0.1f, 0.6f, 0.4f, 0.2f, 0.8f, 0.5f, 0.5f, 0.3f, 0.7f, 0.8f, 0.2f };
    const int32_t y[] = { 0, 1, 0, 1, 1, 1 };
    const struct ft_judged judged = { .n = 6, .k = 2, .p = p, .y = y };
    size_t n, *order = ft_mistakes(&judged, &n);
    CHECK(order && n == 4);
    /* equal probabilities keep the order of the rows; at 0.5 the first class is predicted */
    CHECK(order && order[0] == 2 && order[1] == 5 && order[2] == 1 && order[3] == 3);
    free(order);
}

int main(void)
{
    RUN(formulas_are_recognised);
    RUN(warnings_by_hand);
    RUN(mistakes_come_by_probability);
    return test_end();
}
