/* What train, evaluate and features share: a dataset becomes features, bad pictures are kept with their reason. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

struct job {
    const struct ft_dataset *dataset;
    size_t given, done;
    struct pictures *out;
    struct progress progress;
    struct ft_error *err;
    bool failed;
};

static const char *next_path(void *user)
{
    struct job *j = user;
    return j->given < j->dataset->n && !signals_caught() ? j->dataset->paths[j->given++] : NULL;
}

static int keep_bad(struct pictures *p, const struct ft_row *row)
{
    struct bad_picture *more = realloc(p->bad, (p->n_bad + 1) * sizeof *more);
    if (!more)
        return -1;
    p->bad = more;
    const struct bad_picture bad = { strdup(row->path), strdup(row->error) };
    more[p->n_bad++] = bad;
    return bad.path && bad.reason ? 0 : -1;
}

static int keep_row(void *user, const struct ft_row *row)
{
    struct job *j = user;
    progress_step(&j->progress, ++j->done);
    if (row->status)
        j->failed = keep_bad(j->out, row) != 0;
    else
        j->failed = ft_features_append(j->out->features, row, j->dataset->labels[row->index], j->err) != 0;
    return j->failed;
}

void extract_options(const struct settings *s, struct ft_extract_options *out)
{
    *out = (struct ft_extract_options){ .threads = s->threads, .max_pixels = (uint64_t)s->max_megapixels << 20 };
}

/* The signals are only remembered meanwhile: pictures under way are finished and kept. */
static int extract(const struct ft_backbone *backbone, const struct ft_extract_options *options, struct job *j, struct ft_error *err)
{
    signals_catch();
    const int rc = ft_extract(backbone, options, next_path, keep_row, j, err);
    signals_release();
    if (rc || !signals_caught())
        return rc;
    snprintf(err->msg, sizeof err->msg, "stopped after %zu of %zu pictures%s", j->done, j->dataset->n,
             options->cache && !ft_cache_warning(options->cache) ? ": their features are kept, the same command goes on from there" : "");
    return err->code = FT_ECANCELLED;
}

int pictures_extract(const struct ft_backbone *backbone, const struct ft_dataset *dataset, const struct settings *settings, struct pictures *out,
                     struct ft_error *err)
{
    struct ft_extract_options options;
    struct job j = { .dataset = dataset, .out = out, .err = err };
    *out = (struct pictures){ 0 };
    extract_options(settings, &options);
    options.cache = cache_open(settings);
    int rc = ft_features_new(ft_backbone_features(backbone), &out->features, err);
    progress_begin(&j.progress, "features", dataset->n);
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
        note("'%s/%s' holds no pictures: it is not a class", dir, d->empty[i]);
    if (d->n_others)
        note("%zu file%s in '%s' %s no picture", d->n_others, d->n_others == 1 ? "" : "s", dir, d->n_others == 1 ? "is" : "are");
}

void backbone_options(const struct settings *s, struct ft_backbone_options *out)
{
    *out = (struct ft_backbone_options){ .rule = s->resize, .layer = s->layer, .preprocess = s->preprocess, .architecture = s->architecture, .size = s->size };
}

void backbone_notes(const struct ft_backbone *backbone, const char *path)
{
    if (ft_backbone_warning(backbone))
        note("'%s': %s", path, ft_backbone_warning(backbone));
}

int backbone_open(const struct settings *s, struct ft_backbone **out, struct ft_error *err)
{
    struct ft_backbone_options options;
    backbone_options(s, &options);
    const int rc = ft_backbone_open(s->backbone, &options, out, err);
    if (!rc)
        backbone_notes(*out, s->backbone);
    return rc;
}

int model_open(const struct settings *s, struct ft_model **out, struct ft_error *err)
{
    const struct ft_backbone_options options = { .preprocess = s->preprocess };
    const int rc = ft_model_open(s->model, &options, out, err);
    if (!rc)
        backbone_notes(ft_model_backbone(*out), s->model);
    return rc;
}
