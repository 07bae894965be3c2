/* --precision auto: the fastest precision whose log-loss, cross-validated on a sample of the
 * pictures, is not worse than that of float32 beyond noise. */
#include "precision.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLE = 400, LEAST = 40 };
static const double seconds = 0.6; /* to measure the speed of a network */

/* A precision on the sample. */
struct trial {
    const char *name;
    double ms;      /* an image */
    double *losses; /* [n] of each picture of the sample */
    size_t n;
    double mean;
};

struct choice {
    const struct settings *settings;
    const char *dir;
    struct ft_dataset sample; /* its paths are those of the whole dataset */
};

/* Evenly spread, so that classes keep their shares: rows are sorted by class. */
static int take_sample(struct choice *c, const struct ft_dataset *all, struct ft_error *err)
{
    const size_t n = all->n < SAMPLE ? all->n : SAMPLE;
    c->sample = *all;
    c->sample.n = n;
    c->sample.paths = calloc(n + 1, sizeof *c->sample.paths);
    c->sample.labels = calloc(n + 1, sizeof *c->sample.labels);
    if (!c->sample.paths || !c->sample.labels)
        return out_of_memory(err, "the sample");
    for (size_t i = 0; i < n; i++) {
        c->sample.paths[i] = all->paths[i * all->n / n];
        c->sample.labels[i] = all->labels[i * all->n / n];
    }
    return 0;
}

static int take_losses(const struct ft_features *f, const struct ft_validation *v, struct trial *t,
                       struct ft_error *err)
{
    t->losses = calloc(v->n + 1, sizeof *t->losses);
    if (!t->losses)
        return out_of_memory(err, "the sample");
    t->n = v->n;
    for (size_t i = 0; i < v->n; i++) {
        const float p = v->calibrated[i * (size_t)v->k + (size_t)f->labels[i]];
        t->losses[i] = -log(fmax((double)p, 1e-15));
        t->mean += t->losses[i] / (double)v->n;
    }
    return 0;
}

/* Opens the network and measures its speed; with `train` also the losses on the sample. */
static int try(const struct choice *c, struct trial *t, bool train, struct ft_error *err)
{
    struct settings s = *c->settings;
    struct ft_backbone *b = NULL;
    struct ft_bench bench = { 0 };
    struct pictures pictures = { 0 };
    struct ft_head *head = NULL;
    struct ft_validation *v = NULL;
    s.precision = t->name;
    int rc = backbone_open_for(&s, backbone_named(&s), &c->sample, &b, err);
    if (!rc && !train && !(rc = ft_backbone_bench(b, s.threads, seconds, &bench, err)))
        t->ms = bench.throughput_ms;
    if (!rc && train)
        rc = pictures_extract(b, &c->sample, &s, &pictures, err);
    if (!rc && train)
        rc = pictures_train(&pictures, &c->sample, c->dir, &s, &head, &v, err);
    if (!rc && train)
        rc = take_losses(pictures.features, v, t, err);
    ft_validation_free(v);
    ft_head_free(head);
    pictures_release(&pictures);
    ft_backbone_free(b);
    return rc;
}

/* The mean of the differences between two precisions for each picture, and its standard error. */
static void compare(const struct trial *a, const struct trial *f32, double *mean, double *error)
{
    const double n = (double)a->n;
    double squares = 0;
    *mean = a->mean - f32->mean;
    for (size_t i = 0; i < a->n; i++) {
        const double d = a->losses[i] - f32->losses[i] - *mean;
        squares += d * d;
    }
    *error = sqrt(squares / fmax(n - 1, 1) / n);
}

/* Returns whether a faster precision may be used, and reports why. */
static int judge(const struct choice *c, struct trial *t, struct trial *f32, bool *good,
                 struct ft_error *err)
{
    double mean, error;
    int rc = f32->losses ? 0 : try(c, f32, true, err);
    if (!rc)
        rc = try(c, t, true, err);
    if (rc)
        return rc;
    if (t->n != f32->n)
        return refuse(err, FT_EFORMAT, "the pictures changed while they were read");
    compare(t, f32, &mean, &error);
    *good = mean <= 2 * error;
    report("precision",
           "%s %s: %.2f ms/image, f32 %.2f · log-loss of %zu pictures %.4f, f32 %.4f: %s by "
           "%.4f, two standard errors are %.4f",
           *good ? "auto takes" : "auto does not take", t->name, t->ms, f32->ms, t->n, t->mean,
           f32->mean, mean > 0 ? "worse" : "better", fabs(mean), 2 * error);
    return 0;
}

static int choose(const struct choice *c, const char **out, struct ft_error *err)
{
    struct trial f32 = { .name = ft_precision_name(FT_PRECISION_F32) },
                 fast[] = { { .name = ft_precision_name(FT_PRECISION_INT8) },
                            { .name = ft_precision_name(FT_PRECISION_BF16) } };
    enum { FAST = sizeof fast / sizeof *fast };
    bool good = false;
    int rc = try(c, &f32, false, err);
    for (int i = 0; !rc && i < FAST; i++) {
        rc = try(c, &fast[i], false, err);
        if (rc == FT_EUNSUPPORTED) { /* of this network */
            fast[i].ms = INFINITY;
            rc = 0;
        }
    }
    if (!rc && fast[1].ms < fast[0].ms) {
        const struct trial slower = fast[0];
        fast[0] = fast[1];
        fast[1] = slower;
    }
    *out = f32.name;
    for (int i = 0; !rc && !good && i < FAST && fast[i].ms < f32.ms; i++) {
        rc = judge(c, &fast[i], &f32, &good, err);
        if (!rc && good)
            *out = fast[i].name;
    }
    if (!rc && !good)
        report("precision", "auto takes f32: %s",
               f32.losses ? "those that are faster are worse" : "it is the fastest here");
    free(f32.losses);
    for (int i = 0; i < FAST; i++)
        free(fast[i].losses);
    return rc;
}

int precision_choose(const struct settings *s, const struct ft_dataset *dataset, const char *dir,
                     const char **out, struct ft_error *err)
{
    struct choice c = { .settings = s, .dir = dir };
    if (dataset->n < LEAST) {
        *out = ft_precision_name(FT_PRECISION_F32);
        report("precision", "auto takes f32: %zu pictures are too few to compare precisions",
               dataset->n);
        return 0;
    }
    int rc = take_sample(&c, dataset, err);
    if (!rc)
        rc = choose(&c, out, err);
    free(c.sample.paths);
    free(c.sample.labels);
    return rc;
}
