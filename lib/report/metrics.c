/* Metrics as text for people. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/numbers.h"
#include "finetune-tools.h"
#include "report/text.h"

#define CONFUSION_WIDEST                                                                           \
    12 /* the most classes of a matrix in the text; the JSON has every matrix */

static void pad(struct ft_text *t, const char *s, int width)
{
    ft_text_add(t, "%s%*s", s, width > ft_text_columns(s) ? width - ft_text_columns(s) : 0, "");
}

static int widest(char *const *classes, int k, int least)
{
    int width = least;
    for (int i = 0; i < k; i++)
        width = ft_text_columns(classes[i]) > width ? ft_text_columns(classes[i]) : width;
    return width;
}

static void add_confusion(struct ft_text *t, const struct ft_metrics *m, char *const *classes)
{
    const int width = widest(classes, m->k, 6), k = m->k;
    ft_text_add(t, "\nconfusion (rows: true, columns: predicted)\n  %*s", width, "");
    for (int j = 0; j < k; j++)
        ft_text_add(t, "  %*s%s", width - ft_text_columns(classes[j]), "", classes[j]);
    ft_text_add(t, "\n");
    for (int i = 0; i < k; i++) {
        ft_text_add(t, "  ");
        pad(t, classes[i], width);
        for (int j = 0; j < k; j++)
            ft_text_add(t, "  %*zu", width, m->confusion[i * k + j]);
        ft_text_add(t, "\n");
    }
}

/* The off-diagonal cells with the most pictures. */
static void add_confused(struct ft_text *t, const struct ft_metrics *m, char *const *classes)
{
    enum { SHOWN = 5 };
    const size_t k = (size_t)m->k;
    size_t last = SIZE_MAX, last_at = 0; /* the pair shown before */
    for (int shown = 0; shown < SHOWN; shown++) {
        size_t best = 0, at = 0;
        for (size_t i = 0; i < k * k; i++)
            if (i / k != i % k && m->confusion[i] > best &&
                (m->confusion[i] < last || (m->confusion[i] == last && i > last_at))) {
                best = m->confusion[i];
                at = i;
            }
        if (!best)
            return;
        if (!shown)
            ft_text_add(t, "\nmost confused\n");
        ft_text_add(t, "  %s predicted as %s: %zu of %zu\n", classes[at / k], classes[at % k], best,
                    m->per_class[at / k].support);
        last = best;
        last_at = at;
    }
}

static void add_reliability(struct ft_text *t, const struct ft_metrics *m)
{
    ft_text_add(t, "\nprobability      images  mean probability  accuracy\n");
    for (int b = 0; b < FT_BINS; b++)
        if (m->bins[b].rows)
            ft_text_add(t, "%5.2f to %.2f  %9zu  %16.4f  %8.4f\n", (double)b / FT_BINS,
                        (double)(b + 1) / FT_BINS, m->bins[b].rows, m->bins[b].confidence,
                        (double)m->bins[b].right / (double)m->bins[b].rows);
    ft_text_add(t, "\nthreshold  coverage  accuracy above it\n");
    for (int i = 0; i < FT_THRESHOLDS; i++)
        if (m->coverage[i].rows)
            ft_text_add(t, "%9.2f  %8.4f  %8.4f\n", m->coverage[i].threshold,
                        (double)m->coverage[i].rows / (double)m->n,
                        (double)m->coverage[i].right / (double)m->coverage[i].rows);
}

static void add_mistakes(struct ft_text *t, const struct ft_judged *j)
{
    enum { SHOWN = 20 };
    size_t n, *order = ft_mistakes(j, &n);
    if (!order) {
        ft_text_fail(t);
        return;
    }
    if (n)
        ft_text_add(t, "\nmistakes, highest probability first\n");
    for (size_t i = 0; i < n && i < SHOWN; i++) {
        const float *p = j->p + order[i] * (size_t)j->k;
        const int top = ft_argmax(p, j->k), truth = j->y[order[i]];
        ft_text_add(t, "  %s\t%s %.3f\tnot %s %.3f\n", j->paths[order[i]], j->classes[top],
                    (double)p[top], j->classes[truth], (double)p[truth]);
    }
    if (n > SHOWN)
        ft_text_add(t, "  and %zu more: --json and --csv list all\n", n - SHOWN);
    free(order);
}

static void add_figure(struct ft_text *t, double value)
{
    if (isnan(value))
        ft_text_add(t, "        -");
    else
        ft_text_add(t, "  %7.4f", value);
}

char *ft_report_metrics_text(const struct ft_metrics *m, const struct ft_judged *judged)
{
    struct ft_text t = { 0 };
    char *const *classes = judged->classes;
    const int width = widest(classes, m->k, 5);
    ft_text_add(&t,
                "accuracy   %.2f %% (%zu of %zu; 95 %% interval %.2f to %.2f) · balanced %.2f %%\n",
                100 * m->accuracy, m->right, m->n, 100 * m->interval[0], 100 * m->interval[1],
                100 * m->balanced_accuracy);
    struct ft_baseline baseline;
    ft_baseline_compute(m, &baseline);
    if (baseline.class_index >= 0)
        ft_text_add(&t, "           always answering '%s' would give %.2f %%\n",
                    classes[baseline.class_index], 100 * baseline.accuracy);
    ft_text_add(&t, "           log-loss %.4f · Brier %.4f · calibration error %.2f %%\n",
                m->log_loss, m->brier, 100 * m->ece);
    for (int i = 1; i < FT_TOPS && i + 1 < m->k; i++)
        ft_text_add(&t, "%stop-%d %.2f %%%s", i == 1 ? "           " : " · ", i + 1,
                    100 * m->top[i], i + 1 == FT_TOPS || i + 2 >= m->k ? "\n" : "");
    char *warnings = ft_report_warnings_text(m, classes);
    if (!warnings)
        ft_text_fail(&t);
    else if (*warnings)
        ft_text_add(&t, "\n%s", warnings);
    free(warnings);
    ft_text_add(&t, "\n");
    pad(&t, "class", width);
    ft_text_add(&t, "  precision   recall       f1   images  ROC AUC  average precision\n");
    for (int i = 0; i < m->k; i++) {
        const struct ft_class_metrics *c = &m->per_class[i];
        pad(&t, classes[i], width);
        ft_text_add(&t, "  %9.4f  %7.4f  %7.4f  %7zu", c->precision, c->recall, c->f1, c->support);
        add_figure(&t, c->roc_auc);
        add_figure(&t, c->average_precision);
        ft_text_add(&t, "\n");
    }
    if (m->k <= CONFUSION_WIDEST)
        add_confusion(&t, m, classes);
    add_confused(&t, m, classes);
    add_reliability(&t, m);
    if (judged->paths)
        add_mistakes(&t, judged);
    return t.s;
}
