/* Finds problems in a folder of pictures from features, facts of the files and out-of-fold
 * probabilities. */
#include "head/diagnose.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

/* Of 63 bits, copies that were cropped by 5 % differ in at most 18, and different pictures in about
 * 31. */
enum { PRINT_BITS = 18 };

/* Finds near pairs whose perceptual hashes agree. Pairs of files with the same bytes are left
 * out. */
static int find_near(const struct ft_features *f, const struct ft_matrix *x,
                     const struct ft_facts *facts, int threads, struct ft_diagnosis *out,
                     struct ft_error *err)
{
    const int rc = ft_near_pairs(x, FT_NEAR, threads, &out->near, &out->n_near, err);
    size_t kept = 0;
    for (size_t i = 0; !rc && i < out->n_near; i++) {
        const struct ft_near *p = &out->near[i];
        const bool same = !memcmp(f->content[p->a], f->content[p->b], sizeof f->content[0]);
        if (!same && __builtin_popcountll(facts[p->a].print ^ facts[p->b].print) <= PRINT_BITS)
            out->near[kept++] = *p;
    }
    out->n_near = rc ? 0 : kept;
    return rc;
}

/* Returns the most serious fault of a picture, or NULL. The limits were chosen on 1000 photographs
 * of pets; they report few of them. */
static const char *fault_of(const struct ft_facts *x)
{
    const double shorter = x->width < x->height ? x->width : x->height,
                 longer = x->width < x->height ? x->height : x->width;
    if (x->status || !x->width)
        return NULL;
    return x->contrast < 3        ? "blank"
           : shorter < 64         ? "tiny"
           : x->brightness < 25   ? "very dark"
           : x->brightness > 242  ? "very bright"
           : longer > 3 * shorter ? "odd aspect ratio"
           : x->sharpness < 20    ? "very blurred"
                                  : NULL;
}

static int find_faults(const struct ft_facts *facts, size_t n, struct ft_diagnosis *out,
                       struct ft_error *err)
{
    size_t capacity = 0;
    for (size_t i = 0; i < n; i++) {
        const char *reason = fault_of(&facts[i]);
        if (!reason)
            continue;
        if (!ft_grow((void **)&out->faults, &capacity, out->n_faults, sizeof *out->faults))
            return ft_error_nomem(err, "the diagnosis");
        out->faults[out->n_faults++] = (struct ft_fault){ i, reason };
    }
    return 0;
}

static double file_size(const struct ft_facts *x)
{
    return (double)x->bytes;
}
static double picture_size(const struct ft_facts *x)
{
    return (double)x->width * x->height;
}
static double aspect_ratio(const struct ft_facts *x)
{
    return x->height ? (double)x->width / x->height : 0;
}
static double brightness(const struct ft_facts *x)
{
    return x->brightness;
}
static double quality(const struct ft_facts *x)
{
    return x->jpeg_quality;
}
static double camera(const struct ft_facts *x)
{
    return (double)(x->camera >> 11);
} /* exact in a double */

static const struct {
    const char *name;
    double (*of)(const struct ft_facts *);
    bool categories;
} features[FT_SHORTCUTS] = {
    { "file size", file_size, false },       { "picture size", picture_size, false },
    { "aspect ratio", aspect_ratio, false }, { "brightness", brightness, false },
    { "JPEG quality", quality, false },      { "EXIF camera", camera, true },
};

static int highest_first(const void *a, const void *b)
{
    const struct ft_shortcut *x = a, *y = b;
    return (x->auc < y->auc) - (x->auc > y->auc);
}

static int find_shortcuts(const struct ft_facts *facts, const int32_t *y,
                          const struct ft_validation *v, struct ft_diagnosis *out,
                          struct ft_error *err)
{
    double *value = ft_alloc(v->n, sizeof *value);
    int rc = value ? 0 : ft_error_nomem(err, "the search for shortcuts");
    for (int s = 0; !rc && s < FT_SHORTCUTS; s++) {
        for (size_t i = 0; i < v->n; i++)
            value[i] = features[s].of(&facts[i]);
        out->shortcuts[s] = (struct ft_shortcut){ .feature = features[s].name };
        rc = ft_shortcut_measure(value, features[s].categories, y, v, &out->shortcuts[s], err);
    }
    if (!rc) {
        out->n_shortcuts = FT_SHORTCUTS;
        qsort(out->shortcuts, FT_SHORTCUTS, sizeof *out->shortcuts, highest_first);
    }
    free(value);
    return rc;
}

int ft_diagnose(const struct ft_features *f, const struct ft_facts *facts,
                const struct ft_validation *v, int threads, struct ft_diagnosis **out,
                struct ft_error *err)
{
    struct ft_diagnosis *d = ft_alloc_zero(1, sizeof *d);
    struct ft_matrix x; /* distances are those of the last layer's features */
    float *copy = NULL;
    if (!d)
        return ft_error_nomem(err, "the diagnosis");
    int rc = ft_features_last(f, &x, &copy, err);
    if (!rc && f->n)
        rc = find_near(f, &x, facts, threads, d, err);
    if (!rc)
        rc = find_faults(facts, f->n, d, err);
    if (!rc && f->n)
        rc = ft_outliers_find(x.x, f->n, x.d, threads, &d->outliers, &d->n_outliers, err);
    if (!rc && v)
        rc = ft_suspects_find(v->calibrated, f->labels, v->n, v->k, &d->suspects, &d->n_suspects,
                              err);
    if (!rc && v)
        rc = find_shortcuts(facts, f->labels, v, d, err);
    free(copy);
    if (rc)
        ft_diagnosis_free(d);
    else
        *out = d;
    return rc;
}

void ft_diagnosis_free(struct ft_diagnosis *d)
{
    if (!d)
        return;
    free(d->near);
    free(d->suspects);
    free(d->outliers);
    free(d->faults);
    free(d);
}
