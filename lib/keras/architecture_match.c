/* Which architecture fits a file of weights alone. The file must have as many layers with weights
 * as the architecture, with or without its top. Then the weights are read into each candidate,
 * beginning with the one that has the most names of layers in common. Layers take weights by
 * position, as in Keras
 * (load_weights_from_hdf5_group in keras/src/legacy/saving/legacy_h5_format.py). */
#include "keras/architecture_match.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "keras/architecture_text.h"
#include "keras/read_config.h"
#include "keras/read_weights.h"
#include "keras/sort.h"

enum { CANDIDATES = 256 };

/* The outermost layers of the file that have weights; in a Keras 3 file, their groups. */
struct contents {
    struct ft_names names; /* legacy: all layers */
    const char **weighted; /* [n] borrowed from names */
    int n;
};

static int legacy_contents(const struct ft_h5 *h5, int64_t group, struct contents *c,
                           struct ft_error *err)
{
    int rc = ft_h5_names(h5, group, "layer_names", &c->names, err);
    if (!rc && !(c->weighted = calloc((size_t)c->names.n + 1, sizeof *c->weighted)))
        rc = ft_error_nomem(err, "the names of layers");
    for (int i = 0; !rc && i < c->names.n; i++) {
        struct ft_names weights = { 0 };
        int64_t layer = 0;
        rc = ft_h5_path_open(group, c->names.names[i], &layer, err);
        if (!rc && layer)
            rc = ft_h5_names(h5, layer, "weight_names", &weights, err);
        if (!rc && weights.n)
            c->weighted[c->n++] = c->names.names[i];
        ft_names_release(&weights);
        ft_h5_group_close(layer);
    }
    return rc;
}

/* Whether a group of a Keras 3 file holds weights: those of a layer are in `vars`, those of a model
 * inside the network in `layers`. */
static int holds_weights(int64_t group, bool *out, struct ft_error *err)
{
    static const char *const parts[] = { "vars", "layers" };
    int rc = 0;
    *out = false;
    for (int i = 0; !rc && !*out && i < 2; i++) {
        struct ft_names names = { 0 };
        int64_t part = 0;
        rc = ft_h5_group_open(group, parts[i], &part, err);
        if (!rc && part)
            rc = ft_h5_links(part, &names, err);
        *out = names.n > 0;
        ft_names_release(&names);
        ft_h5_group_close(part);
    }
    return rc;
}

static int stored_contents(const struct ft_h5 *h5, struct contents *c, struct ft_error *err)
{
    int64_t layers = 0;
    int rc = ft_h5_group_open(h5->file, "layers", &layers, err);
    if (rc || !layers)
        return rc;
    rc = ft_h5_links(layers, &c->names, err);
    if (!rc && !(c->weighted = calloc((size_t)c->names.n + 1, sizeof *c->weighted)))
        rc = ft_error_nomem(err, "the names of layers");
    for (int i = 0; !rc && i < c->names.n; i++) {
        int64_t layer = 0;
        bool weights = false;
        rc = ft_h5_group_open(layers, c->names.names[i], &layer, err);
        if (!rc && layer)
            rc = holds_weights(layer, &weights, err);
        if (!rc && weights)
            c->weighted[c->n++] = c->names.names[i];
        ft_h5_group_close(layer);
    }
    ft_h5_group_close(layers);
    return rc;
}

static void contents_release(struct contents *c)
{
    free(c->weighted);
    ft_names_release(&c->names);
}

/* ---- one architecture -------------------------------------------------------------------------
 */

struct candidate {
    char path[1200];
    int alike; /* names of layers in common with the file */
    bool top;
};

static cJSON *configuration(const struct ft_architecture *d, bool top, int size)
{
    cJSON *json = cJSON_Duplicate(d->json, true),
          *config = cJSON_GetObjectItemCaseSensitive(json, "config");
    cJSON *layers = cJSON_GetObjectItemCaseSensitive(config, "layers");
    cJSON *first = cJSON_GetArrayItem(layers, 0),
          *settings = cJSON_GetObjectItemCaseSensitive(first, "config");
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(first, "name"));
    const char *ends[2][2] = { { "input_layers", name ? name : "" },
                               { "output_layers", top || !*d->cut ? d->last : d->cut } };
    for (int i = 0; i < 2; i++) {
        cJSON *end = cJSON_AddArrayToObject(config, ends[i][0]), *one = cJSON_CreateArray();
        cJSON_AddItemToArray(one, cJSON_CreateString(ends[i][1]));
        cJSON_AddItemToArray(one, cJSON_CreateNumber(0));
        cJSON_AddItemToArray(one, cJSON_CreateNumber(0));
        cJSON_AddItemToArray(end, one);
    }
    cJSON *shape = cJSON_CreateArray();
    cJSON_AddItemToArray(shape, cJSON_CreateNull());
    for (int i = 0; i < 2; i++)
        cJSON_AddItemToArray(shape, cJSON_CreateNumber(size));
    cJSON_AddItemToArray(shape, cJSON_CreateNumber(3));
    cJSON_DeleteItemFromObjectCaseSensitive(settings, "batch_shape");
    cJSON_AddItemToObject(settings, "batch_shape", shape);
    return json;
}

static int make(const struct ft_architecture *d, const struct ft_variant *v, bool top,
                struct ft_draft *draft, struct ft_error *err)
{
    int rc = ft_draft_new(configuration(d, top, v ? v->size : 224), draft, err);
    if (rc)
        return rc;
    free(draft->name);
    draft->name = ft_strdup(v ? v->name : d->name);
    draft->preprocess = *d->preprocess ? ft_strdup(d->preprocess) : NULL;
    for (int i = 0; i < draft->n; i++)
        draft->layers[i].derived = true;
    return draft->name ? ft_draft_sort_file(draft, err) : ft_error_nomem(err, "the network");
}

/* Layers with weights take the groups of a legacy file in order. Returns false if their numbers
 * differ. *alike counts equal names. */
static bool take_groups(struct ft_draft *draft, const struct contents *c, bool legacy, int *alike)
{
    const char *last = NULL, *was = NULL; /* group of the file, name in the architecture */
    int n = 0;
    *alike = 0;
    for (int i = 0; i < draft->n; i++) {
        struct ft_draft_layer *d = &draft->layers[i];
        if (!d->needs)
            continue;
        if (!(last && d->inner &&
              !strcmp(was, d->top))) { /* layers of an inner model share a group */
            if (n == c->n)
                return false;
            was = d->top;
            last = c->weighted[n++];
            *alike += !strcmp(last, d->top);
        }
        if (legacy)
            d->top = last;
    }
    return n == c->n;
}

static uint64_t count_weights(const struct ft_draft *draft)
{
    uint64_t n = 0;
    for (int i = 0; i < draft->n; i++)
        for (int w = 0; w < FT_MAX_WEIGHTS; w++)
            if (draft->layers[i].needs >> w & 1)
                n += draft->layers[i].layer.weights[w].count;
    return n;
}

/* Reads the weights to find out whether they fit, and counts them. */
static int try_weights(const struct ft_h5 *h5, int64_t group, struct ft_draft *draft,
                       uint64_t *weights, struct ft_error *err)
{
    struct ft_storage storage = { 0 };
    const int rc = ft_weights_read(h5, group, draft, &storage, err);
    if (!rc)
        *weights = count_weights(draft);
    ft_storage_release(&storage);
    for (int i = 0; i < draft->n; i++)
        for (int w = 0; w < FT_MAX_WEIGHTS; w++)
            if (draft->layers[i].needs >> w & 1)
                draft->layers[i].layer.weights[w] = (struct ft_tensor){ 0 };
    return rc;
}

/* Weights of the network without its top. */
static const struct ft_variant *find_variant(const struct ft_architecture *d, uint64_t weights)
{
    const struct ft_variant *v = d->n_variants ? &d->variants[0] : NULL;
    for (int i = 0; i < d->n_variants; i++)
        if (d->variants[i].weights == weights)
            v = &d->variants[i];
    return v;
}

static int fit(const struct ft_h5 *h5, int64_t group, const struct contents *c,
               const struct candidate *k, struct ft_draft *out, struct ft_error *err)
{
    struct ft_architecture d;
    struct ft_draft whole = { 0 }, cut = { 0 };
    uint64_t weights = 0, below = 0;
    int alike, rc = ft_architecture_read(k->path, &d, err);
    if (rc)
        return rc;
    rc = make(&d, NULL, k->top, &whole, err);
    if (!rc && !take_groups(&whole, c, group, &alike))
        rc = ft_error_set(err, FT_EFORMAT, "other layers");
    if (!rc)
        rc = try_weights(h5, group, &whole, &weights, err);
    /* The top may have any number of classes, so the weights below it identify the variant. */
    below = weights;
    if (!rc && k->top)
        rc = make(&d, NULL, false, &cut, err);
    if (!rc && k->top) {
        struct contents fewer = *c;
        int layers = 0;
        for (int i = 0; i < cut.n; i++)
            layers += cut.layers[i].needs && !(i && cut.layers[i].inner &&
                                               !strcmp(cut.layers[i].top, cut.layers[i - 1].top));
        fewer.n = layers < c->n ? layers : c->n;
        if (!take_groups(&cut, &fewer, group, &alike))
            below = 0;
        else
            rc = try_weights(h5, group, &cut, &below, err);
    }
    ft_draft_release(&whole);
    ft_draft_release(&cut);
    if (!rc)
        rc = make(&d, find_variant(&d, below), k->top, out, err);
    if (!rc)
        take_groups(out, c, group, &alike);
    ft_architecture_release(&d);
    return rc;
}

/* ---- all architectures ----------------------------------------------------------------------- */

/* Adds an architecture with its top, without it, or both: each that has as many layers as the
 * file. */
static int consider(const struct contents *c, int64_t group, const char *path,
                    struct candidate *list, int n)
{
    struct ft_architecture d;
    if (!ft_architecture_may_fit(path, c->n) || ft_architecture_read(path, &d, NULL))
        return n;
    for (int top = 0; top < 2 && n < CANDIDATES; top++) {
        struct ft_draft draft = { 0 };
        int alike = 0;
        if (!make(&d, NULL, top, &draft, NULL) && take_groups(&draft, c, group, &alike)) {
            list[n] = (struct candidate){ .alike = group ? alike : draft.n, .top = top };
            snprintf(list[n++].path, sizeof list[0].path, "%s", path);
        }
        ft_draft_release(&draft);
    }
    ft_architecture_release(&d);
    return n;
}

/* Files of Keras 3 do not list layers, so `alike` is the number of layers: the largest that fits
 * comes first. */
static int by_alike(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    return x->alike != y->alike ? (x->alike < y->alike) - (x->alike > y->alike)
                                : strcmp(x->path, y->path);
}

static int consider_all(const struct contents *c, int64_t group, const struct ft_reader_options *o,
                        struct candidate *list, struct ft_error *err)
{
    char path[1200];
    int n = 0;
    DIR *dir = opendir(o->architectures);
    if (!dir)
        return ft_error_errno(err, "cannot open '%s'", o->architectures);
    for (struct dirent *entry; (entry = readdir(dir)) && n < CANDIDATES;) {
        const char *dot = strrchr(entry->d_name, '.');
        const size_t length = dot ? (size_t)(dot - entry->d_name) : 0;
        if (!dot || strcmp(dot, ".txt") ||
            (o->architecture && (strlen(o->architecture) != length ||
                                 strncmp(o->architecture, entry->d_name, length))))
            continue;
        snprintf(path, sizeof path, "%s/%s", o->architectures, entry->d_name);
        n = consider(c, group, path, list, n);
    }
    closedir(dir);
    qsort(list, (size_t)n, sizeof *list, by_alike);
    return n;
}

int ft_architecture_draft(const struct ft_h5 *h5, int64_t group,
                          const struct ft_reader_options *options, struct ft_draft *draft,
                          struct ft_error *err)
{
    static const char hint[] = "save the whole model with Keras (model.save('model.h5'))";
    struct contents c = { 0 };
    struct ft_error why = { 0 };
    if (!options || !options->architectures)
        return ft_error_set(
            err, FT_EUNSUPPORTED,
            "no attribute 'model_config': a weights-only file does not say what the network is; %s",
            hint);
    struct candidate *list = calloc(CANDIDATES, sizeof *list);
    int rc = list ? 0 : ft_error_nomem(err, "the architectures"), n = 0;
    bool found = false;
    if (!rc)
        rc = group ? legacy_contents(h5, group, &c, err) : stored_contents(h5, &c, err);
    if (!rc)
        n = consider_all(&c, group, options, list, err);
    for (int i = 0; !rc && !found && i < n; i++) {
        struct ft_draft one = { 0 };
        found = !fit(h5, group, &c, &list[i], &one, &why);
        if (found)
            *draft = one;
        else
            ft_draft_release(&one);
    }
    if (found) {
        draft->groups = c.names;
        c.names = (struct ft_names){ 0 };
    } else if (!rc && n < 0)
        rc = n;
    else if (!rc && options->architecture)
        rc = ft_error_set(err, FT_EFORMAT, "the weights are not those of '%s'%s%s",
                          options->architecture, *why.msg ? ": " : "", why.msg);
    else if (!rc)
        rc = ft_error_set(err, FT_EUNSUPPORTED,
                          "a weights-only file of a network that is not known: %s, or name its "
                          "architecture (finetune import --arch NAME)",
                          hint);
    contents_release(&c);
    free(list);
    return rc;
}
