/* Opening networks and computing the features of a dataset. Bad pictures are kept with their
 * reason. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

struct job {
    const struct ft_dataset *dataset;
    size_t given, done;
    struct pictures *out;
    struct progress progress;
    int rc; /* nonzero: a row could not be kept */
    struct ft_error error;
};

static const char *next_path(void *user)
{
    struct job *j = user;
    return j->given < j->dataset->n && !signals_caught() ? j->dataset->paths[j->given++] : NULL;
}

static int keep_bad(struct pictures *p, const struct ft_row *row, struct ft_error *err)
{
    struct bad_picture *more = realloc(p->bad, (p->n_bad + 1) * sizeof *more);
    if (!more)
        return out_of_memory(err, row->path);
    p->bad = more;
    const struct bad_picture bad = { strdup(row->path), strdup(row->error) };
    more[p->n_bad++] = bad;
    return bad.path && bad.reason ? 0 : out_of_memory(err, row->path);
}

void say_empty(void *count, const char *dir)
{
    ++*(size_t *)count;
    say("'%s' contains no pictures", dir);
}

void picture_note(const struct ft_row *row)
{
    static bool said;
    if (row->more && !said)
        note("'%s' has several frames or pages: of such files the first is used", row->path);
    said |= row->more;
}

static int keep_row(void *user, const struct ft_row *row)
{
    struct job *j = user;
    progress_step(&j->progress, ++j->done);
    picture_note(row);
    j->rc = row->status ? keep_bad(j->out, row, &j->error)
                        : ft_features_append(j->out->features, row, j->dataset->labels[row->index],
                                             &j->error);
    return j->rc;
}

void extract_options(const struct settings *s, struct ft_extract_options *out)
{
    *out = (struct ft_extract_options){ .threads = s->threads,
                                        .max_pixels = (uint64_t)s->max_megapixels << 20 };
}

/* Signals are only recorded here: pictures in progress are finished and kept. */
static int extract(const struct ft_backbone *backbone, const struct ft_extract_options *options,
                   struct job *j, struct ft_error *err)
{
    signals_catch();
    const int rc = ft_extract(backbone, options, next_path, keep_row, j, err);
    signals_release();
    if (rc && j->rc)
        *err = j->error;
    if (rc || !signals_caught())
        return rc ? err->code : 0;
    const bool kept = options->cache && !ft_cache_warning(options->cache);
    return refuse(err, FT_ECANCELLED, "stopped after %zu of %zu pictures%s", j->done, j->dataset->n,
                  kept ? ": their features are in the cache; run the same command to continue"
                       : "");
}

/* The scratch file is created in the folder of the cache, or in the folder for temporary files if
 * there is no space. */
static int open_features(const struct ft_backbone *backbone, const struct ft_dataset *dataset,
                         const struct settings *s, const struct ft_cache *cache,
                         struct ft_features **out, struct ft_error *err)
{
    const int d = ft_backbone_features(backbone);
    if (!cache ||
        ft_features_new_bounded(d, dataset->n, s->memory, ft_cache_folder(cache), out, NULL))
        return ft_features_new_bounded(d, dataset->n, s->memory, NULL, out, err);
    return 0;
}

int pictures_check_memory(const struct ft_backbone *backbone, const struct ft_dataset *dataset,
                          const struct settings *s, const char *what, struct ft_error *err)
{
    const uint64_t bytes = ft_features_bytes(ft_backbone_features(backbone), dataset->n);
    if (bytes <= s->memory)
        return 0;
    char wanted[24], allowed[24];
    return refuse(err, FT_ELIMIT,
                  "%s needs the features of %zu pictures in memory: %s, but --memory allows %s: "
                  "raise --memory or use fewer pictures",
                  what, dataset->n, size_text(bytes, wanted), size_text(s->memory, allowed));
}

int pictures_extract(const struct ft_backbone *backbone, const struct ft_dataset *dataset,
                     const struct settings *settings, struct pictures *out, struct ft_error *err)
{
    struct ft_extract_options options;
    struct job j = { .dataset = dataset, .out = out };
    *out = (struct pictures){ 0 };
    extract_options(settings, &options);
    options.cache = cache_open(settings);
    int rc = open_features(backbone, dataset, settings, options.cache, &out->features, err);
    if (!rc)
        rc = ft_features_set_blocks(out->features, backbone, err);
    progress_begin(&j.progress, "features", "images", dataset->n);
    if (!rc)
        rc = extract(backbone, &options, &j, err);
    out->seconds = progress_end(&j.progress);
    out->cache = cache_close(options.cache);
    if (rc)
        pictures_release(out);
    return rc;
}

void pictures_release(struct pictures *p)
{
    ft_features_free(p->features);
    for (size_t i = 0; i < p->n_bad; i++) {
        free(p->bad[i].path);
        free(p->bad[i].reason);
    }
    free(p->bad);
    *p = (struct pictures){ 0 };
}

void pictures_list_bad(const struct pictures *p)
{
    for (size_t i = 0; i < p->n_bad; i++)
        note("skipped '%s': %s", p->bad[i].path, p->bad[i].reason);
}

void dataset_notes(const struct ft_dataset *d, const char *dir)
{
    for (int i = 0; i < d->n_empty; i++)
        note("'%s/%s' contains no pictures and is not used as a class", dir, d->empty[i]);
    if (d->n_others)
        note("%zu file%s in '%s' %s", d->n_others, plural(d->n_others), dir,
             d->n_others == 1 ? "is not a picture" : "are not pictures");
}

void backbone_options(const struct settings *s, struct ft_backbone_options *out)
{
    *out =
        (struct ft_backbone_options){ .rule = s->resize,
                                      .layer = s->layer,
                                      .layers = s->depths,
                                      .beside = s->backbones.n > 1 ? s->backbones.items[1] : NULL,
                                      .preprocess = s->preprocess,
                                      .architecture = s->architecture,
                                      .precision = s->precision,
                                      .classes = s->classes,
                                      .size = s->size,
                                      .icc = s->icc };
}

void backbone_notes(const struct ft_backbone *backbone, const char *path)
{
    const char *line = ft_backbone_warning(backbone);
    while (line) {
        const int length = (int)strcspn(line, "\n");
        note("'%s': %.*s", path, length, line);
        line = line[length] ? line + length + 1 : NULL;
    }
}

const char *backbone_named(const struct settings *s)
{
    return s->backbones.n ? s->backbones.items[0] : NULL;
}

#if defined(__aarch64__)
#define BF16_EXTENSION "FEAT_BF16"
#else
#define BF16_EXTENSION "AVX512_BF16"
#endif

const char *bf16_text(void)
{
    static char text[40];
    if (ft_cpu_bf16()) {
        snprintf(text, sizeof text, "bf16 · by %s", ft_cpu_bf16());
        return text;
    }
    return getenv("FINETUNE_CPU") ? "bf16 · emulated in float32: " BF16_EXTENSION
                                    " is turned off by FINETUNE_CPU, or this processor lacks it"
                                  : "bf16 · emulated in float32: this processor has "
                                    "no " BF16_EXTENSION;
}

const char *precision_text(const struct ft_backbone *b)
{
    switch (ft_backbone_precision(b)) {
    case FT_PRECISION_BF16:
        return bf16_text();
    case FT_PRECISION_INT8:
        return ft_backbone_portable(b)
                   ? "int8 · the same features, bit for bit, on every processor"
                   : "int8 · some layers in float32: features differ in the last digits between "
                     "processors";
    case FT_PRECISION_F32:
    case FT_PRECISIONS:
        break;
    }
    return ft_precision_name(FT_PRECISION_F32);
}

int class_named(const char *name, size_t n, char *const *classes, int k)
{
    for (int c = 0; c < k; c++)
        if (strlen(classes[c]) == n && !memcmp(classes[c], name, n))
            return c;
    return -1;
}

/* Whether the features of all layers are too much for --layers auto; says so. */
static bool too_many(const struct ft_backbone *b, const struct ft_dataset *dataset,
                     const struct settings *s)
{
    const uint64_t bytes = ft_features_bytes(ft_backbone_features(b), dataset->n);
    char wanted[24], allowed[24];
    int blocks;
    ft_backbone_blocks(b, &blocks);
    if (blocks < 2 || (dataset->n <= FT_LAYERS_MOST && bytes <= s->memory))
        return false;
    if (dataset->n > FT_LAYERS_MOST)
        note("with more than %d pictures --layers auto uses the last layer only; --layers all uses "
             "all",
             FT_LAYERS_MOST);
    else
        note("the features of all layers take %s, but --memory allows %s: --layers auto uses the "
             "last layer only",
             size_text(bytes, wanted), size_text(s->memory, allowed));
    return true;
}

int backbone_open_for(const struct settings *s, const char *name, const struct ft_dataset *dataset,
                      struct ft_backbone **out, struct ft_error *err)
{
    struct ft_backbone_options options;
    struct ft_cache *cache = NULL;
    backbone_options(s, &options);
    if (!s->no_cache && s->precision && !strcmp(s->precision, ft_precision_name(FT_PRECISION_INT8)))
        ft_cache_open(s->cache, &cache, NULL); /* pictures_extract says why it failed */
    options.ranges_dir = cache ? ft_cache_folder(cache) : NULL;
    int rc = ft_backbone_open_for(name, &options, dataset->paths, dataset->n, s->threads, out, err);
    if (!rc && !strcmp(s->depths, "auto") && too_many(*out, dataset, s)) {
        ft_backbone_free(*out);
        *out = NULL;
        options.layers = "last";
        rc = ft_backbone_open_for(name, &options, dataset->paths, dataset->n, s->threads, out, err);
    }
    ft_cache_free(cache);
    if (!rc)
        backbone_notes(*out, name && !options.beside ? name : ft_backbone_name(*out));
    return rc;
}

int model_open(const struct settings *s, struct ft_model **out, struct ft_error *err)
{
    const struct ft_backbone_options options = { .preprocess = s->preprocess,
                                                 .rule = s->resize,
                                                 .classes = s->classes,
                                                 .precision = s->precision,
                                                 .icc = s->icc };
    if (!strcmp(s->model, DEFAULT_MODEL) && access(s->model, F_OK) && errno == ENOENT)
        return refuse(err, FT_EIO,
                      "there is no '%s' in this folder: train a model with finetune train DIR, or "
                      "name one with -m MODEL",
                      s->model);
    const int rc = ft_model_open(s->model, &options, out, err);
    if (!rc)
        backbone_notes(ft_model_backbone(*out), s->model);
    return rc;
}

struct ft_train_options fit_settings(const struct settings *s)
{
    const char *weight = s->class_weight ? s->class_weight : "auto";
    return (struct ft_train_options){
        .folds = s->folds,
        .seed = s->seed,
        .threads = s->threads,
        .class_weight = !strcmp(weight, "none")       ? FT_WEIGHT_NONE
                        : !strcmp(weight, "balanced") ? FT_WEIGHT_BALANCED
                                                      : FT_WEIGHT_AUTO,
        .scale = !strcmp(s->scale, "standard") ? FT_SCALE_STANDARD : FT_SCALE_FLOOR,
    };
}

int pictures_train(const struct pictures *pictures, const struct ft_dataset *dataset,
                   const char *dir, const struct settings *s, struct ft_head **head,
                   struct ft_validation **validation, struct ft_error *err)
{
    const struct ft_features *f = pictures->features;
    const struct ft_train_options options = fit_settings(s);
    uint64_t *groups = malloc((f->n + 1) * sizeof *groups);
    int rc =
        groups ? ft_groups(f, dir, s->group_by, s->threads, groups, err) : out_of_memory(err, dir);
    const struct ft_training_set set = ft_features_training_set(f, groups, dataset->n_classes);
    if (!rc)
        rc = ft_train(&set, &options, head, validation, err);
    free(groups);
    return rc;
}
