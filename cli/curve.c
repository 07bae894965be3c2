/* finetune curve: accuracy with more pictures, and a comparison of backbones and input sizes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sources.h"

struct contest {
    const struct settings *settings;
    struct ft_train_options options;
    char *dir; /* the folder, or the train part of it */
    struct ft_dataset *dataset;
    struct ft_curve curve; /* of the first contender: a backbone at one input size */
    int n;
    struct ft_backbone *backbones[LIST_LIMIT];
    struct ft_validation *validations[LIST_LIMIT];
    struct ft_contender contenders[LIST_LIMIT];
};

static void show_step(void *user, size_t done, size_t total)
{
    struct progress *p = user;
    p->total = total;
    progress_step(p, done);
}

static int measure_curve(struct contest *x, const struct ft_features *f, struct ft_error *err)
{
    const struct ft_validation *v = x->validations[0];
    struct progress progress;
    progress_begin(&progress, "heads", "heads", 0);
    const struct ft_training_set set = ft_features_training_set(f, NULL, v->k);
    struct ft_train_options fixed = x->options;
    fixed.depth = v->depth > 0 ? v->depth : FT_DEPTH_NONE;
    const struct ft_curve_options options = { .head = fixed,
                                              .progress = show_step,
                                              .user = &progress };
    const int rc = ft_curve_measure(&set, v->fold, v->folds, &options, &x->curve, err);
    progress_end(&progress);
    return rc;
}

/* Opens each backbone at each size before the long work, so that wrong names and sizes are reported
 * at once. */
static int open_all(struct contest *x, struct ft_error *err)
{
    const struct list *names = &x->settings->backbones;
    const struct numbers *sizes = &x->settings->sizes;
    const int n_sizes = sizes->n ? sizes->n : 1, n = (names->n ? names->n : 1) * n_sizes;
    int rc = 0;
    if (n > LIST_LIMIT)
        return refuse(err, FT_EARG,
                      "%d backbones at %d sizes are too many: curve compares %d at most", names->n,
                      sizes->n, LIST_LIMIT);
    for (int i = 0; !rc && i < n; i++) {
        struct settings one = *x->settings;
        one.backbones.n = 0; /* here several names are compared, not used side by side */
        one.size = sizes->n ? sizes->items[i % n_sizes] : 0;
        rc = backbone_open_for(&one, names->n ? names->items[i / n_sizes] : NULL, x->dataset,
                               &x->backbones[i], err);
        if (!rc)
            rc = pictures_check_memory(x->backbones[i], x->dataset, &one, "curve", err);
    }
    return rc;
}

/* Measures one contender: features, cross-validation, speed; for the first one also the curve. */
static int measure(struct contest *x, struct ft_error *err)
{
    struct pictures pictures = { 0 };
    struct ft_head *head = NULL;
    struct ft_bench bench = { 0 };
    int rc = pictures_extract(x->backbones[x->n], x->dataset, x->settings, &pictures, err);
    if (!rc && !x->n)
        pictures_list_bad(&pictures);
    if (!rc)
        rc = pictures_train(&pictures, x->dataset, x->dir, x->settings, &head,
                            &x->validations[x->n], err);
    ft_head_free(head);
    if (!rc)
        rc = ft_backbone_bench(x->backbones[x->n], x->settings->threads, 1, &bench, err);
    if (!rc && !x->n)
        rc = measure_curve(x, pictures.features, err);
    if (!rc) {
        const struct ft_geometry *g = ft_backbone_geometry(x->backbones[x->n]);
        x->contenders[x->n] = (struct ft_contender){ .name = ft_backbone_name(x->backbones[x->n]),
                                                     .width = g->width,
                                                     .height = g->height,
                                                     .ms_per_image = bench.throughput_ms,
                                                     .validation = x->validations[x->n] };
    }
    x->n++;
    pictures_release(&pictures);
    return rc;
}

static int curve_main(const struct settings *s)
{
    struct ft_error err;
    const int wrong = source_check(s, "curve");
    if (wrong)
        return wrong;
    struct contest x = { .settings = s, .options = fit_settings(s) };
    int rc = source_part(s, "using", &x.dataset, &x.dir, &err);
    if (!rc && x.dataset->n_classes < 2)
        rc = refuse(&err, FT_EARG,
                    "'%s' contains fewer than two classes: each is a folder of pictures", x.dir);
    if (!rc)
        rc = open_all(&x, &err);
    while (!rc && x.n < LIST_LIMIT && x.backbones[x.n])
        rc = measure(&x, &err);
    if (!rc && (s->json ? json_print_text(ft_report_curve_json(&x.curve, x.contenders, x.n))
                        : print_text(ft_report_curve_text(&x.curve, x.contenders, x.n))))
        rc = out_of_memory(&err, x.dir);
    for (int i = 0; i < LIST_LIMIT; i++) {
        ft_validation_free(x.validations[i]);
        ft_backbone_free(x.backbones[i]);
    }
    const bool unreadable = x.dataset && x.dataset->n_unreadable;
    ft_dataset_free(x.dataset);
    free(x.dir);
    return rc ? fail(&err) : unreadable ? EXIT_PARTLY : EXIT_DONE;
}

static const struct option curve_options[] = {
    { "backbone", 'b', LIST(backbones), .file = FILE_READ, .argument = "NAME|FILE",
      .help = "pretrained network; repeat the option to compare several" },
    { "size", 0, INTS(sizes, 1, 4096), .argument = "N,N,...",
      .help = "width and height of the network's input in pixels; several are compared (default: "
              "the size in the network's file)" },
    { 0 },
};

const struct command curve_command = {
    .name = "curve",
    .arguments = "DIR",
    .summary = "estimate the accuracy with more pictures, another L2, backbone or input size",
    .most = 1,
    .run = curve_main,
    .options = { curve_options, resize_options, label_options, class_options, fit_options,
                 layer_options, thread_options, picture_options, cache_options },
};
