/* finetune train: folder -> features -> head, measured by cross-validation -> model file. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "classes.h"
#include "document.h"
#include "evaluate.h"
#include "precision.h"
#include "sources.h"

/* Everything that a training creates; train_main releases it. */
struct training {
    const struct settings *settings;
    char *dir;            /* the folder or table with the pictures */
    const char *val_name; /* --val, or the val folder beside train; NULL: none */
    char *val_found;
    struct ft_dataset *val_dataset;
    struct ft_dataset *dataset;
    struct ft_backbone *backbone;
    struct pictures pictures;
    size_t *counts; /* [k] good pictures of each class */
    struct ft_training *result;
    struct evaluation val;
    struct ft_model *model;
    uint64_t bytes;
};

static int open_folder(struct training *t, struct ft_error *err)
{
    int rc = source_training(t->settings, &t->dataset, &t->dir, &t->val_found, err);
    if (rc)
        return rc;
    const struct ft_dataset *d = t->dataset;
    if (d->n_loose && d->n_classes && !t->settings->label_from)
        note("%zu picture%s directly in '%s' %s left out: only pictures in a class folder have a "
             "class",
             d->n_loose, plural(d->n_loose), t->dir, d->n_loose == 1 ? "is" : "are");
    const size_t least = (size_t)t->settings->min_images;
    rc = least ? drop_small_classes(t->dataset, least, err) : 0;
    if (!rc)
        rc = check_two_classes(d, t->dir, err);
    if (rc)
        return rc;
    t->counts = calloc((size_t)d->n_classes + 1, sizeof *t->counts);
    if (!t->counts)
        return out_of_memory(err, t->dir);
    return count_classes(d, d->labels, d->n, "picture", t->dir, t->counts, err);
}

static void report_images(const struct training *t)
{
    const struct ft_dataset *d = t->dataset;
    enum { SHOWN = 6 };
    char list[400] = "";
    int length = 0;
    for (int i = 0; i < d->n_classes && i < SHOWN && length < (int)sizeof list; i++)
        length += snprintf(list + length, sizeof list - (size_t)length, "%s%.60s %zu",
                           i ? ", " : "", d->classes[i], t->counts[i]);
    report("images", "%zu in %d classes: %s%s", d->n, d->n_classes, list,
           d->n_classes > SHOWN ? ", ..." : "");
}

static int extract(struct training *t, struct ft_error *err)
{
    const struct ft_geometry *g = ft_backbone_geometry(t->backbone);
    char size[32], layers[32] = "";
    int n;
    ft_backbone_blocks(t->backbone, &n);
    snprintf(size, sizeof size, g->width == g->height ? "%d" : "%dx%d", g->width, g->height);
    if (n > 1)
        snprintf(layers, sizeof layers, " of %d layers", n);
    report("backbone", "%s · %s px · %d features%s", ft_backbone_name(t->backbone), size,
           ft_backbone_features(t->backbone), layers);
    const enum ft_precision precision = ft_backbone_precision(t->backbone);
    if (precision != FT_PRECISION_F32 || t->settings->verbose)
        report("precision", "%s", precision_text(t->backbone));
    const int rc = pictures_extract(t->backbone, t->dataset, t->settings, &t->pictures, err);
    if (rc)
        return rc;
    const struct pictures *p = &t->pictures;
    char skipped[48] = "", cached[64] = "";
    if (p->n_bad)
        snprintf(skipped, sizeof skipped, " · %zu skipped", p->n_bad);
    if (p->cache.hits)
        snprintf(cached, sizeof cached, " · %llu from the cache",
                 (unsigned long long)p->cache.hits);
    report("features", "%zu/%zu%s%s · %.0f images/s · %.1f s", p->features->n, t->dataset->n,
           skipped, cached, (double)t->dataset->n / p->seconds, p->seconds);
    char wanted[24], allowed[24];
    if (p->features->scratch)
        report("memory",
               "the features take %s, but --memory allows %s: they are read from a scratch file",
               size_text(ft_features_bytes(p->features->d, p->features->n), wanted),
               size_text(t->settings->memory, allowed));
    pictures_list_bad(p);
    return count_classes(t->dataset, p->features->labels, p->features->n, "readable picture",
                         t->dir, t->counts, err);
}

static int train_head(struct training *t, struct ft_error *err)
{
    const struct settings *s = t->settings;
    const struct ft_features *f = t->pictures.features;
    struct ft_training_options options = { .head = fit_settings(s),
                                           .dir = t->dir,
                                           .group_by = s->group_by,
                                           .skipped = t->pictures.n_bad };
    options.head.l2 = s->l2 < 0 ? 0 : s->l2 > 0 ? s->l2 : FT_L2_NONE;
    if (f->n > FT_GROUPS_MOST)
        note("more than %d pictures: only identical pictures are kept in one fold, near copies are "
             "not searched",
             FT_GROUPS_MOST);
    return ft_training_run(f, t->dataset->classes, t->dataset->n_classes, &options, &t->result,
                           err);
}

/* Reports the accuracy of always answering the largest class, and warns if the model is not better.
 */
static void report_baseline(const struct ft_metrics *m, char *const *classes)
{
    struct ft_baseline b;
    ft_baseline_compute(m, &b);
    if (b.class_index >= 0)
        report("baseline", "%.1f %%: always answering '%s', the largest class", 100 * b.accuracy,
               classes[b.class_index]);
    report_lines("warning", ft_report_warnings_text(m, classes));
}

static void report_head(const struct training *t)
{
    const struct ft_validation *v = t->result->validation;
    char why[80] = "given by --l2";
    if (v->n_grid > 1)
        snprintf(why, sizeof why, "the best of %d by %d-fold cross-validation", v->n_grid,
                 v->folds);
    report("head", "softmax regression · L2 %.3g, %s%s", v->l2, why,
           v->weighted ? " · classes weighted" : "");
    for (int i = 0; t->settings->verbose && i < v->n_grid; i++)
        report("", "L2 %-8.3g log-loss %.4f · accuracy %.2f %%", v->grid[i].l2, v->grid[i].log_loss,
               100 * v->grid[i].accuracy);
    if (t->settings->verbose)
        report_lines("", ft_report_choices_text(t->result));
    const struct ft_metrics *m = t->result->calibrated;
    report("accuracy",
           "%.1f %% (cross-validated; 95 %% interval %.1f to %.1f) · balanced %.1f %% · log-loss "
           "%.3f · calibration error %.1f %%",
           100 * m->accuracy, 100 * m->interval[0], 100 * m->interval[1],
           100 * m->balanced_accuracy, m->log_loss, 100 * m->ece);
    report_baseline(m, t->dataset->classes);
}

/* With -v: measures how well pictures of an unknown class are detected. */
static int measure_unknown(const struct training *t, struct ft_error *err)
{
    const struct ft_validation *v = t->result->validation;
    const struct ft_features *f = t->pictures.features;
    struct ft_train_options fixed = t->result->options;
    struct ft_unknown u;
    char probability[80] = "";
    if (!t->settings->verbose || t->settings->quiet)
        return 0;
    if (!f->x) {
        report("unknown", "not measured, because the features are not in memory");
        return 0;
    }
    fixed.l2 = v->l2 > 0 ? v->l2 : FT_L2_NONE;
    fixed.depth = v->depth > 0 ? v->depth : FT_DEPTH_NONE;
    const struct ft_training_set set = ft_features_training_set(f, NULL, t->dataset->n_classes);
    const int rc = ft_unknown_measure(&set, v->fold, &fixed, &u, err);
    if (!rc && u.left_out) {
        if (t->dataset->n_classes > 2)
            snprintf(probability, sizeof probability, "%.3f by highest probability, ",
                     u.probability);
        report("unknown",
               "each of %d classes was left out in turn and detected as unknown with AUROC %s%.3f "
               "by distance; other classes may differ",
               u.left_out, probability, u.distance);
    }
    return rc;
}

/* Called before the long work, so that errors in the validation folder are reported at once. */
static int open_val(struct training *t, struct ft_error *err)
{
    t->val_name = t->settings->val ? t->settings->val : t->val_found;
    if (!t->val_name)
        return 0;
    const int rc = source_folder(t->settings, t->val_name, &t->val_dataset, err);
    if (rc)
        return rc;
    return match_classes(t->val_dataset, t->val_name, t->dataset->classes, t->dataset->n_classes,
                         err);
}

static int measure_val(struct training *t, struct ft_error *err)
{
    struct ft_dataset *dataset = t->val_dataset;
    if (!dataset)
        return 0;
    t->val_dataset = NULL;
    const int rc =
        evaluate_dataset(ft_model_backbone(t->model), t->result->head, t->dataset->classes, dataset,
                         t->val_name, t->settings, &t->val, err);
    const struct ft_metrics *m = t->val.metrics;
    if (rc)
        return rc;
    report("val",
           "%.1f %% of %zu pictures in '%s' · balanced %.1f %% · log-loss %.3f · calibration error "
           "%.1f %%",
           100 * m->accuracy, m->n, t->val_name, 100 * m->balanced_accuracy, m->log_loss,
           100 * m->ece);
    report_baseline(m, t->dataset->classes);
    return 0;
}

static void print_json(const struct training *t)
{
    cJSON *json = cJSON_Parse(t->result->record);
    json_add_skipped(json, &t->pictures);
    cJSON_AddStringToObject(json, "backbone", ft_backbone_name(t->backbone));
    cJSON_AddNumberToObject(json, "features", ft_backbone_features(t->backbone));
    cJSON_AddStringToObject(json, "precision",
                            ft_precision_name(ft_backbone_precision(t->backbone)));
    cJSON_AddNumberToObject(json, "seconds_features", t->pictures.seconds);
    cJSON *cache = cJSON_AddObjectToObject(json, "cache");
    cJSON_AddNumberToObject(cache, "hits", (double)t->pictures.cache.hits);
    cJSON_AddNumberToObject(cache, "computed",
                            (double)(t->pictures.features->n - t->pictures.cache.hits));
    cJSON *memory = cJSON_AddObjectToObject(json, "memory");
    cJSON_AddNumberToObject(memory, "limit", (double)t->settings->memory);
    cJSON_AddNumberToObject(
        memory, "features",
        (double)ft_features_bytes(t->pictures.features->d, t->pictures.features->n));
    cJSON_AddBoolToObject(memory, "scratch", t->pictures.features->scratch != NULL);
    cJSON_AddStringToObject(json, "output", t->settings->output);
    cJSON_AddNumberToObject(json, "bytes", (double)t->bytes);
    if (t->val.metrics) {
        char *val = ft_report_metrics_json(t->val.metrics, &t->val.judged);
        cJSON_AddItemToObject(json, "val", cJSON_Parse(val));
        free(val);
    }
    json_print(json);
}

/* Opens the network, with --precision auto in the precision that is chosen. */
static int open_backbone(struct training *t, struct ft_error *err)
{
    struct settings s = *t->settings;
    const bool choose = s.precision && !strcmp(s.precision, "auto");
    const int rc = choose ? precision_choose(&s, t->dataset, t->dir, &s.precision, err) : 0;
    return rc ? rc : backbone_open_for(&s, backbone_named(&s), t->dataset, &t->backbone, err);
}

/* Checks and opens everything before the long work, so that errors are reported at once. */
static int prepare(struct training *t, struct ft_error *err)
{
    const struct settings *s = t->settings;
    int rc = ft_output_check(s->output, err);
    if (!rc && s->report)
        rc = ft_output_check(s->report, err);
    if (!rc)
        rc = open_folder(t, err);
    if (!rc)
        rc = open_val(t, err);
    if (!rc)
        rc = open_backbone(t, err);
    if (!rc && s->report)
        rc = pictures_check_memory(t->backbone, t->dataset, s, "--report", err);
    return rc;
}

static int save(struct training *t, struct ft_error *err)
{
    const char *output = t->settings->output;
    int rc;
    signals_catch(); /* a signal during saving would leave a temporary file behind */
    rc = ft_model_save(t->model, output, &t->bytes, err);
    signals_release();
    if (!rc)
        report("saved", "%s (%.1f MB)", output, (double)t->bytes / 1e6);
    return rc;
}

static int write_report(const struct training *t, struct ft_error *err)
{
    const struct settings *s = t->settings;
    if (!s->report || signals_caught())
        return 0;
    const int rc = document_training(s, t->dir, t->dataset, &t->pictures, t->model, t->result, err);
    if (!rc)
        report("report", "%s", s->report);
    return rc;
}

static int run(struct training *t, struct ft_error *err)
{
    const struct settings *s = t->settings;
    int rc = prepare(t, err);
    if (rc)
        return rc;
    report_images(t);
    rc = extract(t, err);
    if (rc)
        return rc;
    rc = train_head(t, err);
    if (rc)
        return rc;
    report_head(t);
    rc = measure_unknown(t, err);
    if (rc)
        return rc;
    rc = ft_training_model(t->result, t->backbone, &t->model, err);
    if (rc)
        return rc;
    rc = measure_val(t, err);
    if (rc)
        return rc;
    rc = save(t, err);
    if (rc)
        return rc;
    rc = write_report(t, err);
    if (rc)
        return rc;
    const bool named = strcmp(s->output, DEFAULT_MODEL) != 0;
    report("next", "finetune predict %s%s%simg.jpg", named ? "-m " : "", named ? s->output : "",
           named ? " " : "");
    if (s->json)
        print_json(t);
    return 0;
}

static int train_main(const struct settings *s)
{
    struct ft_error err;
    struct training t = { .settings = s };
    if (!s->n_arguments && !s->labels) {
        say("train: DIR is missing; see finetune train --help");
        return EXIT_USAGE;
    }
    const int rc = run(&t, &err);
    evaluation_release(&t.val);
    ft_training_free(t.result);
    ft_model_free(t.model);
    free(t.dir);
    free(t.val_found);
    ft_dataset_free(t.val_dataset);
    free(t.counts);
    const bool unreadable = t.dataset && t.dataset->n_unreadable;
    pictures_release(&t.pictures);
    ft_backbone_free(t.backbone);
    ft_dataset_free(t.dataset);
    return rc ? fail(&err) : unreadable ? EXIT_PARTLY : EXIT_DONE;
}

static const struct option train_options[] = {
    { "precision", 0, TEXT(precision), .argument = "TYPE", .choices = "f32|bf16|int8|auto",
      .help = "precision of the network's products; bf16: bfloat16 with sums in float32, by "
              "instructions of AVX512_BF16, AMX or FEAT_BF16, slower on processors without them; "
              "int8: 8-bit integers; auto: the fastest one whose log-loss is not worse on a sample "
              "(default: as the network's file says, else f32)" },
    { "output", 'o', TEXT(output), .file = FILE_WRITTEN, .argument = "FILE",
      .initial = DEFAULT_MODEL, .help = "model file to write" },
    { "val", 0, TEXT(val), .argument = "DIR", .help = "also measure the model on this folder" },
    { "l2", 0, AUTO(l2, 0, 1e6), .argument = "auto|VALUE", .initial = "auto",
      .help =
          "strength of the L2 penalty; auto: the value with the lowest loss in cross-validation" },
    { "min-images", 0, INT(min_images, 0, 1000000), .argument = "N", .initial = "0",
      .help = "leave out classes with fewer than N pictures" },
    { "class-weight", 0, TEXT(class_weight), .argument = "RULE", .choices = "auto|balanced|none",
      .initial = "auto", .help = "auto means balanced if the class sizes differ" },
    { 0 },
};

const struct command train_command = {
    .name = "train",
    .arguments = "DIR",
    .summary = "train a classifier on a folder with one subfolder of pictures per class",
    .most = 1,
    .run = train_main,
    .more = "Example: images/cat/*.jpg and images/dog/*.png\n"
            "  finetune train images && finetune predict photo.jpg",
    .options = { train_options, backbone_name_options, network_options, resize_options,
                 label_options, class_options, fit_options, layer_options, report_options,
                 thread_options, picture_options, cache_options },
};
