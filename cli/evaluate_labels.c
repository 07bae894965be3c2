/* finetune evaluate for a model that gives each label a probability of its own: the truth is a
 * table with a column of 0 and 1 for each label. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evaluate.h"
#include "sources.h"

#define THRESHOLD 0.5 /* as predict's default */

struct labels {
    const struct settings *settings;
    const struct ft_model *model;
    struct ft_dataset *dataset;
    struct pictures pictures;
    float *p;       /* [n, k] */
    uint8_t *marks; /* [n, k] of the model's labels */
    struct ft_label_metrics *metrics;
};

static int open_truth(struct labels *x, struct ft_error *err)
{
    const struct settings *s = x->settings;
    const struct ft_table_options options = { .dir = s->n_arguments ? s->arguments[0] : NULL,
                                              .path_column = s->path_column,
                                              .several = true };
    if (!s->labels || s->files_from || s->n_arguments > 1)
        return refuse(err, FT_EARG,
                      "'%s' gives each of its %d labels a probability of its own, so a picture may "
                      "have several: give their true labels with --labels TABLE, which has a "
                      "column of 0 and 1 for each label, and at most one DIR",
                      s->model, ft_model_classes(x->model));
    if (s->compare || s->report || s->csv || s->min_accuracy > 0 || s->label_column)
        return refuse(
            err, FT_EUNSUPPORTED,
            "--compare, --report, --csv, --min-accuracy and --label-column are for models "
            "that give one label, but '%s' may give several",
            s->model);
    const int rc = ft_dataset_open_labels(s->labels, &options, &x->dataset, err);
    if (!rc)
        note("'%s': %s", s->labels, x->dataset->understood);
    return rc;
}

/* Fills x->marks for the good pictures. The labels of a row are its number in the dataset. */
static int match(struct labels *x, struct ft_error *err)
{
    const struct ft_features *f = x->pictures.features;
    const struct ft_dataset *d = x->dataset;
    char *const *classes = ft_model_class_names(x->model);
    const int k = ft_model_classes(x->model);
    for (int c = 0; c < k; c++) {
        const int column = class_named(classes[c], strlen(classes[c]), d->classes, d->n_classes);
        if (column < 0)
            return refuse(err, FT_EARG, "'%s' has no column of 0 and 1 named '%s', a label of '%s'",
                          x->settings->labels, classes[c], x->settings->model);
        for (size_t i = 0; i < f->n; i++)
            x->marks[i * (size_t)k + (size_t)c] =
                d->marks[(size_t)f->labels[i] * (size_t)d->n_classes + (size_t)column];
    }
    for (int c = 0; c < d->n_classes; c++)
        if (class_named(d->classes[c], strlen(d->classes[c]), classes, k) < 0)
            note("column '%s' of '%s' is not a label of the model and is not used", d->classes[c],
                 x->settings->labels);
    return 0;
}

static int run(struct labels *x, struct ft_error *err)
{
    const struct ft_head *head = ft_model_head(x->model);
    struct ft_label_metrics *metrics = NULL;
    int rc = open_truth(x, err);
    if (!rc)
        rc = pictures_extract(ft_model_backbone(x->model), x->dataset, x->settings, &x->pictures,
                              err);
    if (rc)
        return rc;
    pictures_list_bad(&x->pictures);
    const struct ft_features *f = x->pictures.features;
    if (!f->n)
        return refuse(err, FT_EARG, "'%s' names no readable picture", x->settings->labels);
    x->marks = malloc(f->n * (size_t)head->k);
    x->p = malloc(f->n * (size_t)head->k * sizeof *x->p);
    if (!x->marks || !x->p)
        return out_of_memory(err, x->settings->labels);
    rc = match(x, err);
    const struct ft_matrix features = ft_features_matrix(f);
    if (!rc)
        rc = ft_head_judge(head, &features, x->p, err);
    if (!rc)
        rc = ft_label_metrics_compute(x->p, x->marks, THRESHOLD, f->n, head->k, &metrics, err);
    if (!rc)
        x->metrics = metrics;
    return rc;
}

/* A share, or "-" if it is not defined. */
static const char *figure(double value, char text[16])
{
    if (isnan(value))
        return strcpy(text, "-");
    snprintf(text, 16, "%.4f", value);
    return text;
}

static void print_row(const char *name, int width, const struct ft_class_metrics *m)
{
    char auc[16], precision[16];
    printf("%-*s  %9.4f  %7.4f  %7.4f  %7zu  %7s  %17s\n", width, name, m->precision, m->recall,
           m->f1, m->support, figure(m->roc_auc, auc), figure(m->average_precision, precision));
}

static void print_lines(const struct labels *x)
{
    const struct ft_label_metrics *m = x->metrics;
    char *const *classes = ft_model_class_names(x->model);
    int width = 13;
    for (int c = 0; c < m->k; c++)
        width = (int)strlen(classes[c]) > width && strlen(classes[c]) < 40 ? (int)strlen(classes[c])
                                                                           : width;
    printf("images     %zu, each with any number of %d labels · a label is predicted from a "
           "probability of %.3g\n",
           m->n, m->k, m->threshold);
    printf(
        "exact      %.2f %% of the pictures have all labels right · %.2f %% of single labels are "
        "wrong (Hamming loss)\n\n",
        100 * m->exact, 100 * m->hamming);
    printf("%-*s  precision   recall       f1   images  ROC AUC  average precision\n", width,
           "label");
    for (int c = 0; c < m->k; c++)
        print_row(classes[c], width, &m->per_label[c]);
    print_row("micro average", width, &m->micro);
    print_row("macro average", width, &m->macro);
}

static cJSON *figures_json(const struct ft_class_metrics *m)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "precision", m->precision);
    cJSON_AddNumberToObject(json, "recall", m->recall);
    cJSON_AddNumberToObject(json, "f1", m->f1);
    cJSON_AddNumberToObject(json, "images", (double)m->support);
    if (!isnan(m->roc_auc))
        cJSON_AddNumberToObject(json, "roc_auc", m->roc_auc);
    if (!isnan(m->average_precision))
        cJSON_AddNumberToObject(json, "average_precision", m->average_precision);
    return json;
}

static void print_json(const struct labels *x)
{
    const struct ft_label_metrics *m = x->metrics;
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "images", (double)m->n);
    cJSON_AddNumberToObject(json, "threshold", m->threshold);
    cJSON_AddNumberToObject(json, "exact_match", m->exact);
    cJSON_AddNumberToObject(json, "hamming_loss", m->hamming);
    cJSON_AddItemToObject(json, "micro", figures_json(&m->micro));
    cJSON_AddItemToObject(json, "macro", figures_json(&m->macro));
    cJSON *list = cJSON_AddArrayToObject(json, "labels");
    for (int c = 0; c < m->k; c++) {
        cJSON *one = figures_json(&m->per_label[c]);
        cJSON_AddStringToObject(one, "label", ft_model_class_names(x->model)[c]);
        cJSON_AddItemToArray(list, one);
    }
    json_add_skipped(json, &x->pictures);
    json_print(json);
}

int evaluate_labels(const struct settings *settings, const struct ft_model *model)
{
    struct labels x = { .settings = settings, .model = model };
    struct ft_error err;
    int status = run(&x, &err) ? fail(&err) : x.pictures.n_bad ? EXIT_PARTLY : EXIT_DONE;
    if (x.metrics) {
        if (settings->json)
            print_json(&x);
        else
            print_lines(&x);
        if (!labels_meet_minima(settings, x.metrics, model))
            status = EXIT_PARTLY;
    }
    ft_label_metrics_free(x.metrics);
    free(x.p);
    free(x.marks);
    pictures_release(&x.pictures);
    ft_dataset_free(x.dataset);
    return status;
}
