/* finetune evaluate: measures a model on labelled pictures. train --val does the same. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "classes.h"
#include "document.h"
#include "evaluate.h"
#include "sources.h"

int match_classes(struct ft_dataset *d, const char *name, char *const *classes, int k,
                  struct ft_error *err)
{
    const char *other = NULL;
    int32_t *map = malloc(((size_t)d->n_classes + 1) * sizeof *map);
    size_t *counts = calloc((size_t)d->n_classes + 1, sizeof *counts);
    int rc = 0;
    if (!map || !counts) {
        rc = out_of_memory(err, name);
        goto done;
    }
    for (size_t i = 0; i < d->n; i++)
        counts[d->labels[i]]++;
    for (int c = 0; c < d->n_classes; c++) {
        map[c] = class_named(d->classes[c], strlen(d->classes[c]), classes, k);
        if (map[c] < 0 && counts[c]) {
            other = d->classes[c];
            note("'%s' is not a class of the model: its %zu picture%s in '%s' %s left out", other,
                 counts[c], plural(counts[c]), name, counts[c] == 1 ? "is" : "are");
        }
    }
    for (size_t i = 0; i < d->n; i++)
        d->labels[i] = map[d->labels[i]];
    drop_unlabelled(d);
    if (!d->n && other)
        rc = refuse(err, FT_EARG,
                    "'%s' has no class of the model, for example '%s' is not one: its classes are "
                    "'%s', '%s'%s",
                    name, other, classes[0], k > 1 ? classes[1] : "", k > 2 ? ", ..." : "");
    else if (!d->n)
        rc = refuse(err, FT_EARG, "'%s' contains no pictures inside class folders", name);
done:
    free(map);
    free(counts);
    return rc;
}

int evaluate_dataset(const struct ft_backbone *backbone, const struct ft_head *head,
                     char *const *classes, struct ft_dataset *dataset, const char *name,
                     const struct settings *settings, struct evaluation *e, struct ft_error *err)
{
    *e = (struct evaluation){ .dataset = dataset };
    int rc = pictures_extract(backbone, dataset, settings, &e->pictures, err);
    if (rc)
        return rc;
    const struct ft_features *f = e->pictures.features;
    pictures_list_bad(&e->pictures);
    if (!f->n)
        return refuse(err, FT_EARG, "'%s' contains no readable picture of a class", name);
    const struct ft_matrix x = ft_features_matrix(f);
    e->p = malloc(f->n * (size_t)head->k * sizeof *e->p);
    if (!e->p)
        return out_of_memory(err, name);
    rc = ft_head_judge(head, &x, e->p, err);
    if (rc)
        return rc;
    e->judged = (struct ft_judged){ f->n, head->k, e->p, f->labels, f->paths, classes };
    return ft_metrics_compute(e->p, f->labels, NULL, f->n, head->k, &e->metrics, err);
}

/* Evaluates the pictures that the arguments name. */
static int evaluate_inputs(const struct ft_model *model, char *const *classes,
                           const struct settings *s, struct evaluation *e, struct ft_error *err)
{
    struct ft_dataset *dataset = NULL;
    *e = (struct evaluation){ 0 };
    int rc = source_inputs(s, &dataset, err);
    const size_t n = rc ? 0 : dataset->n;
    if (!rc)
        rc = match_classes(dataset, source_name(s), classes, ft_model_head(model)->k, err);
    if (rc) {
        ft_dataset_free(dataset);
        return rc;
    }
    rc = evaluate_dataset(ft_model_backbone(model), ft_model_head(model), classes, dataset,
                          source_name(s), s, e, err);
    e->left_out = n - dataset->n;
    return rc;
}

void evaluation_release(struct evaluation *e)
{
    ft_metrics_free(e->metrics);
    free(e->p);
    pictures_release(&e->pictures);
    ft_dataset_free(e->dataset);
    *e = (struct evaluation){ 0 };
}

/* ---- evaluate -------------------------------------------------------------------------------- */

/* The P of CLASS=P; *name: the number of bytes of CLASS, which may contain '='. Negative: the text
 * is not valid. */
static double least_recall(const char *given, size_t *name)
{
    const char *equals = strrchr(given, '=');
    char *end = NULL;
    const double least = equals ? strtod(equals + 1, &end) : -1;
    *name = equals ? (size_t)(equals - given) : 0;
    return end && end != equals + 1 && !*end && least >= 0 && least <= 1 ? least : -1;
}

/* Called before the long work. Checks that --min-recall names classes of the model and that the
 * outputs can be written. */
static int check_outputs(const struct settings *s, const struct ft_model *model,
                         struct ft_error *err)
{
    char *const *classes = ft_model_class_names(model);
    char path[4096];
    size_t n;
    for (int i = 0; i < s->min_recall.n; i++)
        if (least_recall(s->min_recall.items[i], &n),
            class_named(s->min_recall.items[i], n, classes, ft_model_head(model)->k) < 0)
            return refuse(err, FT_EARG,
                          "--min-recall '%s': '%.*s' is not a class of the model; finetune info %s "
                          "lists the classes",
                          s->min_recall.items[i], (int)n, s->min_recall.items[i], s->model);
    if (s->csv && mkdir(s->csv, 0777) && errno != EEXIST)
        return refuse_errno(err, "cannot make directory '%s'", s->csv);
    if (s->csv)
        snprintf(path, sizeof path, "%s/predictions.csv", s->csv);
    const int rc = s->csv ? ft_output_check(path, err) : 0;
    return !rc && s->report ? ft_output_check(s->report, err) : rc;
}

/* Checks --min-accuracy and --min-recall; prints a message for each that is not reached. */
static bool meets_minima(const struct settings *s, const struct evaluation *e)
{
    const struct ft_metrics *m = e->metrics;
    bool met = m->accuracy >= s->min_accuracy;
    if (!met)
        say("accuracy %.4f is below %.4f", m->accuracy, s->min_accuracy);
    for (int i = 0; i < s->min_recall.n; i++) {
        size_t n;
        const double least = least_recall(s->min_recall.items[i], &n);
        const int c = class_named(s->min_recall.items[i], n, e->judged.classes, m->k);
        if (m->per_class[c].recall < least) {
            say("recall of '%s' %.4f is below %.4f", e->judged.classes[c], m->per_class[c].recall,
                least);
            met = false;
        }
    }
    return met;
}

static bool same_classes(const struct ft_model *model, const struct evaluation *e)
{
    bool same = ft_model_head(model)->k == e->judged.k;
    for (int c = 0; same && c < e->judged.k; c++)
        same = !strcmp(ft_model_class_names(model)[c], e->judged.classes[c]);
    return same;
}

bool labels_meet_minima(const struct settings *s, const struct ft_label_metrics *m,
                        const struct ft_model *model)
{
    bool met = true;
    for (int i = 0; i < s->min_recall.n; i++) {
        size_t n;
        const double least = least_recall(s->min_recall.items[i], &n);
        const int c = class_named(s->min_recall.items[i], n, ft_model_class_names(model), m->k);
        if (m->per_label[c].recall < least) {
            say("recall of '%s' %.4f is below %.4f", ft_model_class_names(model)[c],
                m->per_label[c].recall, least);
            met = false;
        }
    }
    return met;
}

/* McNemar's test compares one label with one answer. */
static int check_exclusive(const struct ft_model *model, const char *path, struct ft_error *err)
{
    if (!ft_model_independent(model))
        return 0;
    return refuse(
        err, FT_EUNSUPPORTED,
        "'%s' gives each of its %d labels a probability of its own: --compare needs models that "
        "give one label",
        path, ft_model_classes(model));
}

static int compare(const struct settings *s, const struct evaluation *e, struct ft_comparison *out,
                   struct ft_error *err)
{
    struct settings other = *s;
    struct ft_model *model = NULL;
    struct evaluation b = { 0 };
    other.model = s->compare;
    int rc = model_open(&other, &model, err);
    if (!rc)
        rc = check_exclusive(model, s->compare, err);
    if (!rc && !same_classes(model, e))
        rc = refuse(err, FT_EARG, "'%s' and '%s' have different classes and cannot be compared",
                    s->compare, s->model);
    hush_notes(true); /* the notes about bad pictures would be repeated */
    if (!rc)
        rc = evaluate_inputs(model, e->judged.classes, &other, &b, err);
    hush_notes(false);
    if (!rc && b.judged.n != e->judged.n)
        rc = refuse(err, FT_EARG, "the pictures in '%s' changed during the comparison",
                    source_name(s));
    if (!rc)
        ft_compare(e->p, b.p, e->judged.y, e->judged.n, e->judged.k, out);
    evaluation_release(&b);
    ft_model_free(model);
    return rc;
}

static void print_comparison(const struct settings *s, const struct evaluation *e,
                             const struct ft_comparison *c)
{
    const double n = (double)e->judged.n, other = (double)(c->both + c->only_b) / n;
    char names[2][300];
    snprintf(names[0], sizeof names[0], "%s", s->model);
    snprintf(names[1], sizeof names[1], "%s", s->compare);
    ft_text_plain(names[0], "");
    ft_text_plain(names[1], "");
    printf("\ncompared with %s: %.2f %%\n  correct in both %zu, only in %s %zu, only in %s %zu, "
           "in neither %zu\n",
           names[1], 100 * other, c->both, names[0], c->only_a, names[1], c->only_b, c->neither);
    printf("  McNemar's exact test: p = %.3g%s\n", c->p_value,
           c->p_value < 0.05 ? "" : ", the difference is not significant");
}

static void print_json(const struct settings *s, const struct evaluation *e,
                       const struct ft_comparison *c)
{
    char *text = ft_report_metrics_json(e->metrics, &e->judged);
    cJSON *json = text ? cJSON_Parse(text) : NULL;
    free(text);
    json_add_skipped(json, &e->pictures);
    if (s->compare) {
        cJSON *to = cJSON_AddObjectToObject(json, "compare");
        cJSON_AddStringToObject(to, "model", s->compare);
        cJSON_AddNumberToObject(to, "accuracy",
                                (double)(c->both + c->only_b) / (double)e->judged.n);
        cJSON_AddNumberToObject(to, "both", (double)c->both);
        cJSON_AddNumberToObject(to, "only_this", (double)c->only_a);
        cJSON_AddNumberToObject(to, "only_other", (double)c->only_b);
        cJSON_AddNumberToObject(to, "neither", (double)c->neither);
        cJSON_AddNumberToObject(to, "p_value", c->p_value);
    }
    json_print(json);
}

static int check_settings(const struct settings *s)
{
    size_t n;
    for (int i = 0; i < s->min_recall.n; i++)
        if (least_recall(s->min_recall.items[i], &n) < 0) {
            say("evaluate: '--min-recall %s': expected a class and a number from 0 to 1, as in "
                "cat=0.9",
                s->min_recall.items[i]);
            return EXIT_USAGE;
        }
    if (!s->n_arguments && !s->files_from && !s->labels)
        say("evaluate: DIR is missing (or --files-from FILE, or --labels FILE); see finetune "
            "evaluate --help");
    else if (s->compare && s->files_from && !strcmp(s->files_from, "-"))
        say("evaluate: --compare reads the list twice, but standard input can be read only once: "
            "use --files-from FILE");
    else if (s->nul && !s->files_from)
        say("evaluate: --null needs --files-from FILE (use - for standard input)");
    else
        return 0;
    return EXIT_USAGE;
}

static int evaluate_main(const struct settings *s)
{
    struct ft_error err;
    struct ft_model *model = NULL;
    struct evaluation e = { 0 };
    struct ft_comparison comparison;
    if (check_settings(s))
        return EXIT_USAGE;
    int rc = model_open(s, &model, &err);
    if (!rc)
        rc = check_outputs(s, model, &err);
    if (!rc && ft_model_independent(model)) {
        const int status = evaluate_labels(s, model);
        ft_model_free(model);
        return status;
    }
    if (!rc)
        rc = evaluate_inputs(model, ft_model_class_names(model), s, &e, &err);
    if (!rc && s->compare)
        rc = compare(s, &e, &comparison, &err);
    if (!rc && s->csv)
        rc = ft_report_csv(e.metrics, &e.judged, s->csv_safe, s->csv, &err);
    if (!rc && s->report)
        rc = document_evaluation(s, source_name(s), model, &e, &err);
    if (!rc && s->json)
        print_json(s, &e, &comparison);
    else if (!rc) {
        if (print_text(ft_report_metrics_text(e.metrics, &e.judged)))
            rc = out_of_memory(&err, source_name(s));
        if (!rc && s->compare)
            print_comparison(s, &e, &comparison);
    }
    const bool met = !rc && meets_minima(s, &e);
    const int status = rc                                       ? fail(&err)
                       : e.pictures.n_bad || e.left_out || !met ? EXIT_PARTLY
                                                                : EXIT_DONE;
    evaluation_release(&e);
    ft_model_free(model);
    return status;
}

static const struct option evaluate_options[] = {
    { "min-accuracy", 0, NUMBER(min_accuracy, 0, 1), .argument = "P",
      .help = "exit with status 3 if the accuracy is below P" },
    { "min-recall", 0, LIST(min_recall), .argument = "CLASS=P",
      .help = "exit with status 3 if the recall of CLASS is below P; may be repeated" },
    { "compare", 0, TEXT(compare), .file = FILE_READ, .argument = "FILE",
      .help = "compare with another model on the same pictures (McNemar's test)" },
    { "csv", 0, TEXT(csv), .argument = "DIR", .file = FILE_TABLES,
      .help = "write predictions and tables as CSV files into DIR" },
    { "csv-safe", 0, FLAG(csv_safe),
      .help = "put an apostrophe before cells that a spreadsheet would take for a formula" },
    { 0 },
};

const struct command evaluate_command = {
    .name = "evaluate",
    .arguments = "DIR|PICTURE...",
    .summary = "measure a model on labelled pictures that it was not trained on",
    .most = -1,
    .run = evaluate_main,
    .more = "For a model with several labels for a picture, --labels is a table with a column of 0 "
            "and 1 for each label. The figures are those of scikit-learn.",
    .options = { model_options, evaluate_options, label_options, class_options, list_options,
                 report_options, thread_options, picture_options, cache_options },
};
