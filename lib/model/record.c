/* The record of a training: JSON that the model file keeps and `finetune train --json` prints.
 * model.c reads its `threshold` and `accuracy`. */
#include "model/record.h"

#include <stdio.h>
#include <stdlib.h>

#include "head/calibrate.h"

void ft_baseline_add_json(cJSON *json, const struct ft_metrics *m, char *const *classes)
{
    struct ft_baseline b;
    ft_baseline_compute(m, &b);
    if (b.class_index < 0) {
        cJSON_AddNullToObject(json, "baseline");
        return;
    }
    cJSON *one = cJSON_AddObjectToObject(json, "baseline");
    cJSON_AddStringToObject(one, "class", classes[b.class_index]);
    cJSON_AddNumberToObject(one, "accuracy", b.accuracy);
    cJSON_AddNumberToObject(one, "p_value", b.p_value);
    cJSON_AddBoolToObject(one, "beaten", b.beaten);
}

static void add_classes(cJSON *json, const struct ft_training *t)
{
    cJSON *list = cJSON_AddArrayToObject(json, "classes");
    for (int i = 0; i < t->validation->k; i++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "label", t->classes[i]);
        cJSON_AddNumberToObject(one, "images", (double)t->counts[i]);
        cJSON_AddNumberToObject(one, "recall", t->calibrated->per_class[i].recall);
        cJSON_AddItemToArray(list, one);
    }
}

/* The probability that a share COVERAGE of the pictures reaches, out of fold. It is the threshold
 * of `predict --threshold auto`. False: memory has run out. */
static bool add_threshold(cJSON *json, const struct ft_validation *v)
{
    static const double COVERAGE = 0.99;
    const double threshold = ft_coverage_threshold(v->calibrated, v->n, v->k, COVERAGE);
    cJSON *one = cJSON_AddObjectToObject(json, "threshold");
    cJSON_AddNumberToObject(one, "value", threshold);
    cJSON_AddNumberToObject(one, "coverage", COVERAGE);
    return threshold >= 0;
}

static void add_grid(cJSON *json, const struct ft_validation *v)
{
    cJSON *list = cJSON_AddArrayToObject(json, "grid");
    for (int i = 0; i < v->n_grid; i++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddNumberToObject(one, "l2", v->grid[i].l2);
        cJSON_AddNumberToObject(one, "log_loss", v->grid[i].log_loss);
        cJSON_AddNumberToObject(one, "accuracy", v->grid[i].accuracy);
        cJSON_AddItemToArray(list, one);
    }
}

/* The weight of the layers before the last, and the weights that were tried. */
static void add_depths(cJSON *json, const struct ft_validation *v)
{
    cJSON_AddNumberToObject(json, "depth", v->depth);
    if (!v->n_depths)
        return;
    cJSON *list = cJSON_AddArrayToObject(json, "depths");
    for (int i = 0; i < v->n_depths; i++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddNumberToObject(one, "depth", v->depths[i].depth);
        cJSON_AddNumberToObject(one, "log_loss", v->depths[i].log_loss);
        cJSON_AddNumberToObject(one, "accuracy", v->depths[i].accuracy);
        cJSON_AddItemToArray(list, one);
    }
}

char *ft_training_record(const struct ft_training *t)
{
    const struct ft_validation *v = t->validation;
    char seed[24];
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "version", ft_version());
    cJSON_AddNumberToObject(json, "images", (double)v->n);
    cJSON_AddNumberToObject(json, "skipped", (double)t->skipped);
    add_classes(json, t);
    /* JSON numbers lose digits above 2^53 */
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)t->options.seed);
    cJSON_AddStringToObject(json, "seed", seed);
    cJSON_AddNumberToObject(json, "folds", v->folds);
    cJSON_AddStringToObject(json, "scale",
                            t->options.scale == FT_SCALE_STANDARD ? "standard" : "floor");
    add_depths(json, v);
    if (t->contributions)
        cJSON_AddItemToObject(json, "contributions",
                              cJSON_CreateDoubleArray(t->contributions, t->n_blocks));
    cJSON_AddNumberToObject(json, "l2", v->l2);
    cJSON_AddBoolToObject(json, "class_weight", v->weighted);
    cJSON_AddNumberToObject(json, "temperature", v->temperature);
    cJSON_AddNumberToObject(json, "accuracy", v->accuracy);
    cJSON_AddNumberToObject(json, "accuracy_expected", v->expected);
    cJSON_AddItemToObject(json, "interval", cJSON_CreateDoubleArray(v->interval, 2));
    cJSON_AddNumberToObject(json, "repeats", v->repeats);
    cJSON_AddNumberToObject(json, "accuracy_sd", t->calibrated->accuracy_sd);
    cJSON_AddNumberToObject(json, "balanced_accuracy", t->calibrated->balanced_accuracy);
    ft_baseline_add_json(json, t->calibrated, t->classes);
    cJSON_AddNumberToObject(json, "log_loss", t->calibrated->log_loss);
    cJSON_AddNumberToObject(json, "ece", t->calibrated->ece);
    cJSON_AddNumberToObject(json, "log_loss_uncalibrated", t->raw->log_loss);
    cJSON_AddNumberToObject(json, "ece_uncalibrated", t->raw->ece);
    const bool complete = add_threshold(json, v);
    add_grid(json, v);
    char *text = ft_json_text(json, false); /* deletes json */
    if (complete)
        return text;
    free(text);
    return NULL;
}
