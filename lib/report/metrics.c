/* Metrics as text for a person and as JSON for a script. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#include "finetune.h"
#include "report/text.h"

#define CONFUSION_WIDEST 12 /* classes: a wider matrix is left to --json */

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

char *ft_report_metrics_text(const struct ft_metrics *m, char *const *classes)
{
    struct ft_text t = { 0 };
    const int width = widest(classes, m->k, 5);
    size_t right = 0;
    for (int i = 0; i < m->k; i++)
        right += m->confusion[i * m->k + i];
    ft_text_add(&t, "accuracy   %.2f %% (%zu of %zu) · log-loss %.4f · calibration error %.2f %%\n\n", 100 * m->accuracy, right, m->n, m->log_loss,
                100 * m->ece);
    pad(&t, "class", width);
    ft_text_add(&t, "  precision   recall       f1   images\n");
    for (int i = 0; i < m->k; i++) {
        const struct ft_class_metrics *c = &m->per_class[i];
        pad(&t, classes[i], width);
        ft_text_add(&t, "  %9.4f  %7.4f  %7.4f  %7zu\n", c->precision, c->recall, c->f1, c->support);
    }
    if (m->k <= CONFUSION_WIDEST)
        add_confusion(&t, m, classes);
    return t.s;
}

char *ft_report_metrics_json(const struct ft_metrics *m, char *const *classes)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "images", (double)m->n);
    cJSON_AddNumberToObject(json, "accuracy", m->accuracy);
    cJSON_AddNumberToObject(json, "log_loss", m->log_loss);
    cJSON_AddNumberToObject(json, "ece", m->ece);
    cJSON *names = cJSON_AddArrayToObject(json, "classes"), *rows = cJSON_AddArrayToObject(json, "confusion");
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
        cJSON_AddItemToArray(per_class, one);
    }
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    return text;
}
