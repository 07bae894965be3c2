/* finetune evaluate: a model against a folder of labelled pictures. train's --val is the same
 * measurement. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "document.h"
#include "evaluate.h"
#include "sources.h"

static int out_of_memory(const char *dir, struct ft_error *err)
{
    snprintf(err->msg, sizeof err->msg, "out of memory for '%s'", dir);
    return err->code = FT_ENOMEM;
}

int match_classes(const struct ft_dataset *d, const char *dir, char *const *classes, int k,
                  int32_t *map, struct ft_error *err)
{
    for (int i = 0; i < d->n_classes; i++) {
        int j = 0;
        while (j < k && strcmp(d->classes[i], classes[j]))
            j++;
        if (map)
            map[i] = j;
        if (j == k) {
            err->code = FT_EARG;
            snprintf(err->msg, sizeof err->msg,
                     "'%s/%s' is not a class of the model, whose classes are '%s', '%s'%s: rename "
                     "or move the directory",
                     dir, d->classes[i], classes[0], k > 1 ? classes[1] : "", k > 2 ? ", ..." : "");
            return FT_EARG;
        }
    }
    return 0;
}

/* Labels of the model for the folder's, and the classes of the pictures with them. */
static int relabel(const struct evaluation *e, const char *dir, char *const *classes, int k,
                   struct ft_error *err)
{
    int32_t *map = malloc(((size_t)e->dataset->n_classes + 1) * sizeof *map);
    int rc = map ? match_classes(e->dataset, dir, classes, k, map, err) : out_of_memory(dir, err);
    for (size_t i = 0; !rc && i < e->dataset->n; i++)
        e->dataset->labels[i] = map[e->dataset->labels[i]];
    free(map);
    return rc;
}

int evaluate_folder(const struct ft_backbone *backbone, const struct ft_head *head,
                    char *const *classes, const char *dir, const struct settings *settings,
                    struct evaluation *e, struct ft_error *err)
{
    *e = (struct evaluation){ 0 };
    int rc = dir ? ft_dataset_open(dir, false, &e->dataset, err)
                 : source_inputs(settings, &e->dataset, err);
    if (rc)
        return rc;
    if (dir)
        dataset_notes(e->dataset, dir);
    else
        dir = source_name(settings);
    rc = relabel(e, dir, classes, head->k, err);
    if (!rc)
        rc = pictures_extract(backbone, e->dataset, settings, &e->pictures, err);
    if (rc)
        return rc;
    const struct ft_features *f = e->pictures.features;
    pictures_list_bad(&e->pictures);
    if (!f->n) {
        snprintf(err->msg, sizeof err->msg,
                 "'%s' holds no readable picture inside a class directory", dir);
        return err->code = FT_EARG;
    }
    const struct ft_matrix x = ft_features_matrix(f);
    e->p = malloc(f->n * (size_t)head->k * sizeof *e->p);
    if (!e->p)
        return out_of_memory(dir, err);
    rc = ft_head_judge(head, &x, e->p, err);
    if (rc)
        return rc;
    e->judged = (struct ft_judged){ f->n, head->k, e->p, f->labels, f->paths, classes };
    return ft_metrics_compute(e->p, f->labels, NULL, f->n, head->k, &e->metrics, err);
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

/* The P of CLASS=P; *name: the bytes of CLASS, which may hold a = itself. Negative: it is none. */
static double least_recall(const char *given, size_t *name)
{
    const char *equals = strrchr(given, '=');
    char *end = NULL;
    const double least = equals ? strtod(equals + 1, &end) : -1;
    *name = equals ? (size_t)(equals - given) : 0;
    return end && end != equals + 1 && !*end && least >= 0 && least <= 1 ? least : -1;
}

/* The class that is called like the first n bytes of `name`; -1: none. */
static int class_named(const char *name, size_t n, char *const *classes, int k)
{
    for (int c = 0; c < k; c++)
        if (strlen(classes[c]) == n && !memcmp(classes[c], name, n))
            return c;
    return -1;
}

/* Before the long work: --min-recall names classes of the model, and what is to be written can be.
 */
static int check_wishes(const struct settings *s, const struct ft_model *model,
                        struct ft_error *err)
{
    char *const *classes = ft_model_class_names(model);
    char path[4096];
    size_t n;
    for (int i = 0; i < s->min_recall.n; i++)
        if (least_recall(s->min_recall.items[i], &n),
            class_named(s->min_recall.items[i], n, classes, ft_model_head(model)->k) < 0) {
            snprintf(err->msg, sizeof err->msg,
                     "--min-recall '%s': '%.*s' is not a class of the model: finetune info %s "
                     "lists them",
                     s->min_recall.items[i], (int)n, s->min_recall.items[i], s->model);
            return err->code = FT_EARG;
        }
    if (s->csv && mkdir(s->csv, 0777) && errno != EEXIST)
        return refuse_errno(err, "cannot make directory '%s'", s->csv);
    if (s->csv)
        snprintf(path, sizeof path, "%s/predictions.csv", s->csv);
    const int rc = s->csv ? ft_output_check(path, err) : 0;
    return !rc && s->report ? ft_output_check(s->report, err) : rc;
}

/* What --min-accuracy and --min-recall ask for: false, with a message for each, where it is missed.
 */
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

static int compare(const struct settings *s, const struct evaluation *e, struct ft_comparison *out,
                   struct ft_error *err)
{
    struct settings other = *s;
    struct ft_model *model = NULL;
    struct evaluation b = { 0 };
    other.model = s->compare;
    int rc = model_open(&other, &model, err);
    if (!rc && ft_model_head(model)->k != e->judged.k) {
        rc = err->code = FT_EARG;
        snprintf(
            err->msg, sizeof err->msg,
            "'%s' has %d classes, '%s' has %d: only models of the same classes can be compared",
            s->compare, ft_model_head(model)->k, s->model, e->judged.k);
    }
    hush_notes(true); /* the same pictures are bad */
    if (!rc)
        rc = evaluate_folder(ft_model_backbone(model), ft_model_head(model), e->judged.classes,
                             NULL, &other, &b, err);
    hush_notes(false);
    for (int c = 0; !rc && c < e->judged.k; c++)
        if (strcmp(ft_model_class_names(model)[c], e->judged.classes[c])) {
            rc = err->code = FT_EARG;
            snprintf(err->msg, sizeof err->msg,
                     "'%s' and '%s' were trained on different classes: they cannot be compared",
                     s->compare, s->model);
        }
    if (!rc && b.judged.n != e->judged.n) {
        rc = err->code = FT_EARG;
        snprintf(err->msg, sizeof err->msg, "the pictures in '%s' changed meanwhile",
                 source_name(s));
    }
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
    printf("\ncompared with %s: %.2f %%\n  right by both %zu, by %s only %zu, by %s only %zu, by "
           "neither %zu\n",
           names[1], 100 * other, c->both, names[0], c->only_a, names[1], c->only_b, c->neither);
    printf("  McNemar's exact test: p = %.3g%s\n", c->p_value,
           c->p_value < 0.05 ? "" : ", no difference that these pictures can show");
}

static void print_json(const struct settings *s, const struct evaluation *e,
                       const struct ft_comparison *c)
{
    char *text = ft_report_metrics_json(e->metrics, &e->judged);
    cJSON *json = text ? cJSON_Parse(text) : NULL, *bad = cJSON_AddArrayToObject(json, "skipped");
    free(text);
    for (size_t i = 0; i < e->pictures.n_bad; i++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "path", e->pictures.bad[i].path);
        cJSON_AddStringToObject(one, "reason", e->pictures.bad[i].reason);
        cJSON_AddItemToArray(bad, one);
    }
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
        say("evaluate: DIR is missing; --files-from FILE and --labels FILE name pictures too; "
            "finetune evaluate --help says more");
    else if (s->compare && s->files_from && !strcmp(s->files_from, "-"))
        say("evaluate: --compare reads the pictures twice, standard input can be read once: give "
            "--files-from a file");
    else if (s->nul && !s->files_from)
        say("evaluate: --null says how the paths of --files-from FILE end; standard input is "
            "--files-from -");
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
        rc = check_wishes(s, model, &err);
    if (!rc)
        rc = evaluate_folder(ft_model_backbone(model), ft_model_head(model),
                             ft_model_class_names(model), NULL, s, &e, &err);
    if (!rc && s->compare)
        rc = compare(s, &e, &comparison, &err);
    if (!rc && s->csv)
        rc = ft_report_csv(e.metrics, &e.judged, s->csv_safe, s->csv, &err);
    if (!rc && s->report)
        rc = document_evaluation(s, source_name(s), model, &e, &err);
    if (!rc && s->json)
        print_json(s, &e, &comparison);
    else if (!rc) {
        rc = print_text(ft_report_metrics_text(e.metrics, &e.judged))
                 ? out_of_memory(source_name(s), &err)
                 : 0;
        if (!rc && s->compare)
            print_comparison(s, &e, &comparison);
    }
    const bool met = !rc && meets_minima(s, &e);
    const int status = rc ? fail(&err) : e.pictures.n_bad || !met ? EXIT_PARTLY : EXIT_DONE;
    evaluation_release(&e);
    ft_model_free(model);
    return status;
}

static const struct option evaluate_options[] = {
    { "min-accuracy", 0, NUMBER(min_accuracy, 0, 1), .argument = "P",
      .help = "exit with status 3 if the accuracy is below P" },
    { "min-recall", 0, LIST(min_recall), .argument = "CLASS=P",
      .help = "exit with status 3 if the recall of CLASS is below P; may be repeated" },
    { "compare", 0, TEXT(compare), .argument = "FILE",
      .help = "compare with another model on the same pictures (McNemar's test)" },
    { "csv", 0, TEXT(csv), .argument = "DIR",
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
    .options = { model_options, evaluate_options, label_options, list_options, report_options,
                 thread_options, picture_options, cache_options },
};
