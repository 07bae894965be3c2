/* Training in one call, from a folder or from features to a model. */
#include <math.h>

#include "base/error.h"
#include "model/training.h"

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
    int n_blocks;
    const int *blocks = ft_backbone_widths(backbone, &n_blocks);
    const struct ft_training_set set = { .x = { .n = samples->n, .d = d, .x = samples->x },
                                         .labels = samples->labels,
                                         .groups = samples->groups,
                                         .k = samples->n_classes,
                                         .blocks = blocks,
                                         .n_blocks = n_blocks };
    struct ft_training *training = NULL;
    int rc =
        ft_training_fit(&set, samples->classes, 0, options ? options : &defaults, &training, err);
    if (!rc)
        rc = ft_training_model(training, backbone, out, err);
    ft_training_free(training);
    return rc;
}

/* ---- a folder -------------------------------------------------------------------------------- */

struct folder {
    const struct ft_model_train_options *options;
    struct ft_dataset *dataset;
    struct ft_backbone *backbone;
    struct ft_cache *cache;
    struct ft_features *features;
    struct ft_training *training;
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

static int check_classes(const struct ft_dataset *d, const char *dir, struct ft_error *err)
{
    if (d->n_classes > 1)
        return 0;
    return ft_error_set(err, FT_EARG,
                        "'%s' has %d class%s: at least two are needed, each a directory of "
                        "pictures",
                        dir, d->n_classes, d->n_classes == 1 ? "" : "es");
}

static int open_folder(struct folder *f, const char *dir, struct ft_error *err)
{
    const struct ft_model_train_options *o = f->options;
    int rc = ft_dataset_open(dir, false, &f->dataset, err);
    if (rc)
        return rc;
    rc = check_classes(f->dataset, dir, err);
    if (rc)
        return rc;
    struct ft_backbone_options network = o->network;
    if (!network.layers)
        network.layers = f->dataset->n > FT_LAYERS_MOST ? "last" : "all";
    rc = o->cache ? ft_cache_open(o->cache, &f->cache, err) : 0;
    if (rc)
        return rc;
    if (!network.ranges_dir)
        network.ranges_dir = o->cache;
    rc = ft_backbone_open_for(o->backbone, &network, f->dataset->paths, f->dataset->n,
                              o->head.threads, &f->backbone, err);
    if (!rc)
        rc = ft_features_new(ft_backbone_features(f->backbone), &f->features, err);
    return rc ? rc : ft_features_set_blocks(f->features, f->backbone, err);
}

static int train_folder(struct folder *f, const char *dir, struct ft_model **out,
                        struct ft_error *err)
{
    int rc = open_folder(f, dir, err);
    if (rc)
        return rc;
    rc = extract(f, err);
    if (rc)
        return rc;
    const struct ft_training_options options = { .head = f->options->head,
                                                 .dir = dir,
                                                 .group_by = f->options->group_by,
                                                 .skipped = f->skipped };
    rc = ft_training_run(f->features, f->dataset->classes, f->dataset->n_classes, &options,
                         &f->training, err);
    return rc ? rc : ft_training_model(f->training, f->backbone, out, err);
}

int ft_model_train(const char *dir, const struct ft_model_train_options *options,
                   struct ft_model **out, struct ft_error *err)
{
    static const struct ft_model_train_options defaults = FT_MODEL_TRAIN_DEFAULTS;
    struct folder f = { .options = options ? options : &defaults };
    const int rc = train_folder(&f, dir, out, err);
    ft_training_free(f.training);
    ft_features_free(f.features);
    ft_cache_free(f.cache);
    ft_backbone_free(f.backbone);
    ft_dataset_free(f.dataset);
    return rc;
}
