/* Training in one call: pictures or features -> head, measured by cross-validation -> model. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "finetune-tools.h"

/* What a head is fitted on. */
struct fitting {
    struct ft_matrix x;
    const int32_t *labels; /* [x.n] */
    const uint64_t *group; /* [x.n]; NULL: each row is its own group */
    int k;
    char *const *classes; /* [k] */
    size_t skipped;       /* bad pictures */
    const struct ft_gallery *gallery;
};

static int count(const struct fitting *f, size_t *counts, struct ft_error *err)
{
    for (size_t i = 0; i < f->x.n; i++) {
        if (f->labels[i] < 0 || f->labels[i] >= f->k)
            return ft_error_set(err, FT_EARG, "the label of row %zu is %d: it must be 0 to %d", i,
                                (int)f->labels[i], f->k - 1);
        counts[f->labels[i]]++;
    }
    for (int c = 0; c < f->k; c++)
        if (counts[c] < 2)
            return ft_error_set(err, FT_EARG,
                                "class '%s' has %zu good picture%s: add more (at least 2, better "
                                "50)",
                                f->classes[c], counts[c], counts[c] == 1 ? "" : "s");
    return 0;
}

static int fit(struct ft_backbone *backbone, const struct fitting *f,
               const struct ft_train_options *options, struct ft_model **out, struct ft_error *err)
{
    struct ft_head *head = NULL;
    struct ft_validation *v = NULL;
    struct ft_metrics *raw = NULL, *calibrated = NULL;
    char *record = NULL;
    if (f->k < 2)
        return ft_error_set(err, FT_EARG, "%d class%s: at least two are needed", f->k,
                            f->k == 1 ? "" : "es");
    size_t *counts = ft_alloc_zero((size_t)f->k, sizeof *counts);
    int rc = counts ? count(f, counts, err) : ft_error_nomem(err, "the classes");
    if (!rc)
        rc = ft_train(&(struct ft_training_set){ f->x, f->labels, f->group, f->k }, options, &head,
                      &v, err);
    if (!rc)
        rc = ft_metrics_compute(v->raw, f->labels, v->fold, f->x.n, f->k, &raw, err);
    if (!rc)
        rc = ft_metrics_compute(v->calibrated, f->labels, v->fold, f->x.n, f->k, &calibrated, err);
    if (!rc) {
        record = ft_training_record(
            &(struct ft_training){ options, v, raw, calibrated, f->classes, counts, f->skipped });
        rc = record ? 0 : ft_error_nomem(err, "the record of the training");
    }
    if (!rc)
        rc = ft_model_new(backbone, head, f->classes, record, f->gallery, out, err);
    free(record);
    free(counts);
    ft_metrics_free(raw);
    ft_metrics_free(calibrated);
    ft_validation_free(v);
    ft_head_free(head);
    return rc;
}

int ft_model_train_features(struct ft_backbone *backbone, const struct ft_samples *samples,
                            const struct ft_train_options *options, struct ft_model **out,
                            struct ft_error *err)
{
    static const struct ft_train_options defaults = FT_TRAIN_DEFAULTS;
    const int d = ft_backbone_features(backbone);
    for (size_t i = 0; i < samples->n * (size_t)d; i++)
        if (!isfinite(samples->x[i]))
            return ft_error_set(err, FT_EARG, "feature %zu of row %zu is not finite", i % (size_t)d,
                                i / (size_t)d);
    const struct fitting f = { .x = { .n = samples->n, .d = d, .x = samples->x },
                               .labels = samples->labels,
                               .group = samples->groups,
                               .k = samples->n_classes,
                               .classes = samples->classes };
    return fit(backbone, &f, options ? options : &defaults, out, err);
}

/* ---- a folder -------------------------------------------------------------------------------- */

struct folder {
    const struct ft_model_train_options *options;
    struct ft_dataset *dataset;
    struct ft_backbone *backbone;
    struct ft_cache *cache;
    struct ft_features *features;
    struct ft_gallery *gallery;
    uint64_t *group;
    size_t next, skipped;
    struct ft_error error; /* of keeping a feature */
};

static const char *next_path(void *user)
{
    struct folder *f = user;
    return f->next < f->dataset->n ? f->dataset->paths[f->next++] : NULL;
}

static int take_row(void *user, const struct ft_row *row)
{
    struct folder *f = user;
    const struct ft_model_train_options *o = f->options;
    if (row->status) {
        f->skipped++;
        if (o->bad_picture)
            o->bad_picture(o->user, row->path, row->error);
    } else if (ft_features_append(f->features, row, f->dataset->labels[row->index], &f->error))
        return 1;
    return o->progress ? o->progress(o->user, row->index + 1, f->dataset->n) : 0;
}

static int extract(struct folder *f, struct ft_error *err)
{
    const struct ft_extract_options options = { .threads = f->options->head.threads,
                                                .max_pixels = f->options->max_pixels,
                                                .cache = f->cache };
    const int rc = ft_extract(f->backbone, &options, next_path, take_row, f, err);
    if (rc == FT_ECANCELLED && f->error.code) {
        if (err)
            *err = f->error;
        return f->error.code;
    }
    return rc;
}

static int open_folder(struct folder *f, const char *dir, struct ft_error *err)
{
    const struct ft_model_train_options *o = f->options;
    int rc = ft_dataset_open(dir, false, &f->dataset, err);
    if (!rc && f->dataset->n_classes < 2)
        rc = ft_error_set(err, FT_EARG,
                          "'%s' has %d class%s: at least two are needed, each a directory of "
                          "pictures",
                          dir, f->dataset->n_classes, f->dataset->n_classes == 1 ? "" : "es");
    if (!rc)
        rc = ft_backbone_open(o->backbone, &o->network, &f->backbone, err);
    if (!rc && o->cache)
        rc = ft_cache_open(o->cache, &f->cache, err);
    if (!rc)
        rc = ft_features_new(ft_backbone_features(f->backbone), &f->features, err);
    return rc;
}

int ft_model_train(const char *dir, const struct ft_model_train_options *options,
                   struct ft_model **out, struct ft_error *err)
{
    static const struct ft_model_train_options defaults = FT_MODEL_TRAIN_DEFAULTS;
    struct folder f = { .options = options ? options : &defaults };
    const struct ft_train_options *head = &f.options->head;
    int rc = open_folder(&f, dir, err);
    if (!rc)
        rc = extract(&f, err);
    if (!rc && !(f.group = ft_alloc(f.features->n + 1, sizeof *f.group)))
        rc = ft_error_nomem(err, dir);
    if (!rc) /* copies of a picture stay in one fold */
        rc = ft_groups(f.features, dir, NULL, head->threads, f.group, err);
    if (!rc)
        rc = ft_gallery_new(f.features, dir, &f.gallery, err);
    if (!rc) {
        const struct fitting fitting = { .x = ft_features_matrix(f.features),
                                         .labels = f.features->labels,
                                         .group = f.group,
                                         .k = f.dataset->n_classes,
                                         .classes = f.dataset->classes,
                                         .skipped = f.skipped,
                                         .gallery = f.gallery };
        rc = fit(f.backbone, &fitting, head, out, err);
    }
    free(f.group);
    ft_gallery_free(f.gallery);
    ft_features_free(f.features);
    ft_cache_free(f.cache);
    ft_backbone_free(f.backbone);
    ft_dataset_free(f.dataset);
    return rc;
}
