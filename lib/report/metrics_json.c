/* Metrics as JSON and CSV, for scripts. An undefined figure is null in JSON and an empty field in
 * CSV. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/numbers.h"
#include "finetune-tools.h"
#include "report/text.h"
#include "model/record.h"

struct mistake {
    float probability;
    size_t row;
};

static int most_certain(const void *a, const void *b)
{
    const struct mistake *x = a, *y = b;
    if (x->probability != y->probability)
        return x->probability < y->probability ? 1 : -1;
    return (x->row > y->row) - (x->row < y->row);
}

size_t *ft_mistakes(const struct ft_judged *j, size_t *n)
{
    struct mistake *list = malloc((j->n + 1) * sizeof *list);
    size_t *order = malloc((j->n + 1) * sizeof *order);
    *n = 0;
    for (size_t i = 0; list && i < j->n; i++) {
        const float *p = j->p + i * (size_t)j->k;
        const int top = ft_argmax(p, j->k);
        if (top != j->y[i])
            list[(*n)++] = (struct mistake){ p[top], i };
    }
    if (*n)
        qsort(list, *n, sizeof *list, most_certain);
    for (size_t i = 0; order && i < *n; i++)
        order[i] = list[i].row;
    if (!list) {
        free(order);
        order = NULL;
    }
    free(list);
    return order;
}

static void add_number(cJSON *to, const char *key, double value)
{
    if (isnan(value))
        cJSON_AddNullToObject(to, key);
    else
        cJSON_AddNumberToObject(to, key, value);
}

static void add_classes(cJSON *json, const struct ft_metrics *m, char *const *classes)
{
    cJSON *names = cJSON_AddArrayToObject(json, "classes"),
          *rows = cJSON_AddArrayToObject(json, "confusion");
    cJSON *per_class = cJSON_AddArrayToObject(json, "per_class");
    for (int i = 0; i < m->k; i++) {
        const struct ft_class_metrics *c = &m->per_class[i];
        cJSON *row = cJSON_CreateArray(), *one = cJSON_CreateObject();
        cJSON_AddItemToArray(names, cJSON_CreateString(classes[i]));
        for (int j = 0; j < m->k; j++)
            cJSON_AddItemToArray(row, cJSON_CreateNumber((double)m->confusion[i * m->k + j]));
        cJSON_AddItemToArray(rows, row);
        cJSON_AddStringToObject(one, "label", classes[i]);
        cJSON_AddNumberToObject(one, "precision", c->precision);
        cJSON_AddNumberToObject(one, "recall", c->recall);
        cJSON_AddNumberToObject(one, "f1", c->f1);
        cJSON_AddNumberToObject(one, "support", (double)c->support);
        add_number(one, "roc_auc", c->roc_auc);
        add_number(one, "average_precision", c->average_precision);
        cJSON_AddItemToArray(per_class, one);
    }
}

static void add_tables(cJSON *json, const struct ft_metrics *m)
{
    cJSON *top = cJSON_AddArrayToObject(json, "top"),
          *bins = cJSON_AddArrayToObject(json, "reliability");
    cJSON *coverage = cJSON_AddArrayToObject(json, "coverage");
    for (int i = 0; i < FT_TOPS && i < m->k; i++)
        cJSON_AddItemToArray(top, cJSON_CreateNumber(m->top[i]));
    for (int b = 0; b < FT_BINS; b++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddNumberToObject(one, "images", (double)m->bins[b].rows);
        cJSON_AddNumberToObject(one, "confidence", m->bins[b].confidence);
        add_number(one, "accuracy",
                   m->bins[b].rows ? (double)m->bins[b].right / (double)m->bins[b].rows : NAN);
        cJSON_AddItemToArray(bins, one);
    }
    for (int i = 0; i < FT_THRESHOLDS; i++) {
        const struct ft_coverage *c = &m->coverage[i];
        cJSON *one = cJSON_CreateObject();
        cJSON_AddNumberToObject(one, "threshold", c->threshold);
        cJSON_AddNumberToObject(one, "coverage", (double)c->rows / (double)m->n);
        add_number(one, "accuracy", c->rows ? (double)c->right / (double)c->rows : NAN);
        cJSON_AddItemToArray(coverage, one);
    }
}

/* Returns whether there was memory for it. */
static bool add_mistakes(cJSON *json, const struct ft_judged *j)
{
    size_t n, *order = ft_mistakes(j, &n);
    if (!order)
        return false;
    cJSON *list = cJSON_AddArrayToObject(json, "mistakes");
    for (size_t i = 0; i < n; i++) {
        const float *p = j->p + order[i] * (size_t)j->k;
        const int top = ft_argmax(p, j->k);
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "path", j->paths[order[i]]);
        cJSON_AddStringToObject(one, "label", j->classes[j->y[order[i]]]);
        cJSON_AddStringToObject(one, "predicted", j->classes[top]);
        cJSON_AddNumberToObject(one, "probability", (double)p[top]);
        cJSON_AddItemToArray(list, one);
    }
    free(order);
    return true;
}

char *ft_report_metrics_json(const struct ft_metrics *m, const struct ft_judged *judged)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "images", (double)m->n);
    cJSON_AddNumberToObject(json, "accuracy", m->accuracy);
    cJSON *interval = cJSON_AddArrayToObject(json, "interval");
    cJSON_AddItemToArray(interval, cJSON_CreateNumber(m->interval[0]));
    cJSON_AddItemToArray(interval, cJSON_CreateNumber(m->interval[1]));
    cJSON_AddNumberToObject(json, "balanced_accuracy", m->balanced_accuracy);
    ft_baseline_add_json(json, m, judged->classes);
    cJSON_AddNumberToObject(json, "log_loss", m->log_loss);
    cJSON_AddNumberToObject(json, "brier", m->brier);
    cJSON_AddNumberToObject(json, "ece", m->ece);
    add_classes(json, m, judged->classes);
    add_tables(json, m);
    const bool complete = !judged->paths || add_mistakes(json, judged);
    char *text = ft_json_text(json, false);
    if (complete)
        return text;
    free(text);
    return NULL;
}

/* ---- CSV (RFC 4180, but with plain line ends) ------------------------------------------------ */

static void add_field(struct ft_text *t, const char *s, const char *after)
{
    const char *mark = t->csv_safe && ft_csv_is_formula(s) ? "'" : "";
    if (!strpbrk(s, ",\"\r\n"))
        ft_text_add(t, "%s%s%s", mark, s, after);
    else {
        ft_text_add(t, "\"%s", mark);
        for (; *s; s++)
            ft_text_add(t, *s == '"' ? "\"\"" : "%c", *s);
        ft_text_add(t, "\"%s", after);
    }
}

static void add_value(struct ft_text *t, double value, const char *after)
{
    if (isnan(value))
        ft_text_add(t, "%s", after);
    else
        ft_text_add(t, "%.9g%s", value, after);
}

static void csv_predictions(struct ft_text *t, const struct ft_metrics *m,
                            const struct ft_judged *j)
{
    static const char *const fixed[] = { "path", "label", "predicted", "probability" };
    (void)m;
    ft_text_add(t, "path,label,predicted,probability");
    for (int c = 0; c < j->k; c++) {
        bool taken = false;
        for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
            taken |= !strcmp(j->classes[c], fixed[i]);
        ft_text_add(t, taken ? ",class:" : ","); /* as predict's columns */
        add_field(t, j->classes[c], "");
    }
    ft_text_add(t, "\n");
    for (size_t i = 0; i < j->n; i++) {
        const float *p = j->p + i * (size_t)j->k;
        const int top = ft_argmax(p, j->k);
        add_field(t, j->paths[i], ",");
        add_field(t, j->classes[j->y[i]], ",");
        add_field(t, j->classes[top], ",");
        ft_text_add(t, "%.9g", (double)p[top]);
        for (int c = 0; c < j->k; c++)
            ft_text_add(t, ",%.9g", (double)p[c]);
        ft_text_add(t, "\n");
    }
}

static void csv_classes(struct ft_text *t, const struct ft_metrics *m, const struct ft_judged *j)
{
    ft_text_add(t, "label,precision,recall,f1,support,roc_auc,average_precision\n");
    for (int i = 0; i < m->k; i++) {
        const struct ft_class_metrics *c = &m->per_class[i];
        add_field(t, j->classes[i], ",");
        ft_text_add(t, "%.9g,%.9g,%.9g,%zu,", c->precision, c->recall, c->f1, c->support);
        add_value(t, c->roc_auc, ",");
        add_value(t, c->average_precision, "\n");
    }
}

static void csv_confusion(struct ft_text *t, const struct ft_metrics *m, const struct ft_judged *j)
{
    ft_text_add(t, "label");
    for (int i = 0; i < m->k; i++) {
        ft_text_add(t, ",");
        add_field(t, j->classes[i], "");
    }
    for (int i = 0; i < m->k; i++) {
        ft_text_add(t, "\n");
        add_field(t, j->classes[i], "");
        for (int c = 0; c < m->k; c++)
            ft_text_add(t, ",%zu", m->confusion[i * m->k + c]);
    }
    ft_text_add(t, "\n");
}

static void csv_reliability(struct ft_text *t, const struct ft_metrics *m,
                            const struct ft_judged *j)
{
    (void)j;
    ft_text_add(t, "from,to,images,confidence,accuracy\n");
    for (int b = 0; b < FT_BINS; b++) {
        ft_text_add(t, "%.9g,%.9g,%zu,", (double)b / FT_BINS, (double)(b + 1) / FT_BINS,
                    m->bins[b].rows);
        add_value(t, m->bins[b].rows ? m->bins[b].confidence : NAN, ",");
        add_value(t, m->bins[b].rows ? (double)m->bins[b].right / (double)m->bins[b].rows : NAN,
                  "\n");
    }
}

static void csv_coverage(struct ft_text *t, const struct ft_metrics *m, const struct ft_judged *j)
{
    (void)j;
    ft_text_add(t, "threshold,coverage,accuracy\n");
    for (int i = 0; i < FT_THRESHOLDS; i++) {
        ft_text_add(t, "%.9g,%.9g,", m->coverage[i].threshold,
                    (double)m->coverage[i].rows / (double)m->n);
        add_value(t,
                  m->coverage[i].rows ? (double)m->coverage[i].right / (double)m->coverage[i].rows
                                      : NAN,
                  "\n");
    }
}

int ft_report_csv(const struct ft_metrics *m, const struct ft_judged *judged, bool safe,
                  const char *dir, struct ft_error *err)
{
    static const char *const names[] = FT_REPORT_CSV_NAMES;
    static void (*const write[])(struct ft_text *, const struct ft_metrics *,
                                 const struct ft_judged *) = {
        csv_predictions, csv_classes, csv_confusion, csv_reliability, csv_coverage,
    };
    _Static_assert(sizeof names / sizeof *names == sizeof write / sizeof *write, "one for each");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct ft_text path = { 0 }, t = { .csv_safe = safe };
        ft_text_add(&path, "%s/%s", dir, names[i]);
        write[i](&t, m, judged);
        const int rc =
            path.s && t.s ? ft_file_replace(path.s, t.s, t.n, err) : ft_error_nomem(err, dir);
        free(path.s);
        free(t.s);
        if (rc)
            return rc;
    }
    return 0;
}
