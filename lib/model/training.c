/* Training on features: folds, head, metrics and record. finetune train and ft_model_train share
 * it.
 */
#include "model/training.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "model/record.h"

static int count(const struct ft_training_set *set, char *const *classes, size_t *counts,
                 struct ft_error *err)
{
    for (size_t i = 0; i < set->x.n; i++) {
        if (set->labels[i] < 0 || set->labels[i] >= set->k)
            return ft_error_set(err, FT_EARG, "the label of row %zu is %d: it must be 0 to %d", i,
                                (int)set->labels[i], set->k - 1);
        counts[set->labels[i]]++;
    }
    for (int c = 0; c < set->k; c++)
        if (counts[c] < 2)
            return ft_error_set(err, FT_EARG,
                                "class '%s' has %zu good picture%s: add more (at least 2, better "
                                "50)",
                                classes[c], counts[c], counts[c] == 1 ? "" : "s");
    return 0;
}

/* Accuracy and interval are those of the repeated cross-validation, all other figures those of its
 * first repetition. */
static int measure(struct ft_training *t, const struct ft_training_set *set, struct ft_error *err)
{
    const struct ft_validation *v = t->validation;
    int rc = ft_metrics_compute(v->raw, set->labels, v->fold, v->n, v->k, &t->raw, err);
    if (!rc)
        rc = ft_metrics_compute(v->calibrated, set->labels, v->fold, v->n, v->k, &t->calibrated,
                                err);
    if (rc)
        return rc;
    t->calibrated->accuracy = v->accuracy;
    memcpy(t->calibrated->interval, v->interval, sizeof v->interval);
    return 0;
}

int ft_training_fit(const struct ft_training_set *set, char *const *classes, size_t skipped,
                    const struct ft_train_options *options, struct ft_training **out,
                    struct ft_error *err)
{
    if (set->k < 2)
        return ft_error_set(err, FT_EARG, "%d class%s: at least two are needed", set->k,
                            set->k == 1 ? "" : "es");
    struct ft_training *t = ft_alloc_zero(1, sizeof *t);
    if (!t || !(t->counts = ft_alloc_zero((size_t)set->k, sizeof *t->counts))) {
        ft_training_free(t);
        return ft_error_nomem(err, "the training");
    }
    t->options = *options;
    t->classes = classes;
    t->skipped = skipped;
    int rc = count(set, classes, t->counts, err);
    if (rc)
        goto fail;
    rc = ft_train(set, options, &t->head, &t->validation, err);
    if (rc)
        goto fail;
    rc = measure(t, set, err);
    if (rc)
        goto fail;
    if (t->validation->depth > 0) {
        t->n_blocks = set->n_blocks;
        t->contributions = ft_alloc((size_t)set->n_blocks, sizeof *t->contributions);
        rc = t->contributions ? ft_head_contributions(t->head, set, t->contributions, err)
                              : ft_error_nomem(err, "the training");
        if (rc)
            goto fail;
    }
    t->record = ft_training_record(t);
    if (!t->record) {
        rc = ft_error_nomem(err, "the record of the training");
        goto fail;
    }
    *out = t;
    return 0;
fail:
    ft_training_free(t);
    return rc;
}

int ft_training_run(const struct ft_features *f, char *const *classes, int k,
                    const struct ft_training_options *options, struct ft_training **out,
                    struct ft_error *err)
{
    static const struct ft_training_options defaults = FT_TRAINING_DEFAULTS;
    options = options ? options : &defaults;
    const char *dir = options->dir ? options->dir : "";
    struct ft_training *t = NULL;
    uint64_t *groups = ft_alloc(f->n + 1, sizeof *groups);
    if (!groups)
        return ft_error_nomem(err, "the groups of pictures");
    int rc = ft_groups(f, dir, options->group_by, options->head.threads, groups, err);
    const struct ft_training_set set = ft_features_training_set(f, groups, k);
    if (!rc)
        rc = ft_training_fit(&set, classes, options->skipped, &options->head, &t, err);
    free(groups);
    if (rc)
        return rc;
    rc = ft_gallery_new(f, t->head->d, dir, &t->gallery, err);
    if (rc)
        ft_training_free(t);
    else
        *out = t;
    return rc;
}

int ft_training_model(const struct ft_training *t, struct ft_backbone *backbone,
                      struct ft_model **out, struct ft_error *err)
{
    const struct ft_model_parts parts = { t->head, t->classes, t->record, t->gallery };
    struct ft_backbone *last = NULL;
    if (t->head->d == ft_backbone_features(backbone))
        return ft_model_new(backbone, &parts, out, err);
    int rc = ft_backbone_last_block(backbone, &last, err);
    if (!rc)
        rc = ft_model_new(last, &parts, out, err);
    ft_backbone_free(last);
    return rc;
}

void ft_training_free(struct ft_training *t)
{
    if (!t)
        return;
    ft_head_free(t->head);
    ft_validation_free(t->validation);
    ft_metrics_free(t->raw);
    ft_metrics_free(t->calibrated);
    ft_gallery_free(t->gallery);
    free(t->contributions);
    free(t->counts);
    free(t->record);
    free(t);
}
