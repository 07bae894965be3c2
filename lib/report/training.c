/* The record of a training: kept in the model file and printed by `finetune train --json`. */
#include <cjson/cJSON.h>
#include <stdio.h>

#include "finetune.h"
#include "report/text.h"
#include "report/warnings.h"
#include "head/calibrate.h"

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
 * of `predict --threshold auto`. */
static void add_threshold(cJSON *json, const struct ft_validation *v)
{
    static const double COVERAGE = 0.99;
    cJSON *one = cJSON_AddObjectToObject(json, "threshold");
    cJSON_AddNumberToObject(one, "value",
                            ft_coverage_threshold(v->calibrated, v->n, v->k, COVERAGE));
    cJSON_AddNumberToObject(one, "coverage", COVERAGE);
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

char *ft_report_training_json(const struct ft_training *t)
{
    const struct ft_validation *v = t->validation;
    char seed[24];
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "version", ft_version());
    cJSON_AddNumberToObject(json, "images", (double)v->n);
    cJSON_AddNumberToObject(json, "skipped", (double)t->skipped);
    add_classes(json, t);
    /* JSON numbers lose digits above 2^53 */
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)t->options->seed);
    cJSON_AddStringToObject(json, "seed", seed);
    cJSON_AddNumberToObject(json, "folds", v->folds);
    cJSON_AddNumberToObject(json, "l2", v->l2);
    cJSON_AddBoolToObject(json, "class_weight", v->weighted);
    cJSON_AddNumberToObject(json, "temperature", v->temperature);
    cJSON_AddNumberToObject(json, "accuracy", t->calibrated->accuracy);
    cJSON_AddNumberToObject(json, "accuracy_sd", t->calibrated->accuracy_sd);
    cJSON_AddNumberToObject(json, "balanced_accuracy", t->calibrated->balanced_accuracy);
    ft_report_add_baseline(json, t->calibrated, t->classes);
    cJSON_AddNumberToObject(json, "log_loss", t->calibrated->log_loss);
    cJSON_AddNumberToObject(json, "ece", t->calibrated->ece);
    cJSON_AddNumberToObject(json, "log_loss_uncalibrated", t->raw->log_loss);
    cJSON_AddNumberToObject(json, "ece_uncalibrated", t->raw->ece);
    add_threshold(json, v);
    add_grid(json, v);
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    return text;
}

static void explain_l2(struct ft_text *t, const struct ft_validation *v)
{
    const struct ft_l2_row *chosen = &v->grid[0], *next = NULL;
    for (int i = 0; i < v->n_grid; i++)
        if (v->grid[i].l2 == v->l2)
            chosen = &v->grid[i];
    for (int i = 0; i < v->n_grid; i++)
        if (&v->grid[i] != chosen && (!next || v->grid[i].log_loss < next->log_loss))
            next = &v->grid[i];
    if (!next)
        ft_text_add(t, "L2 is %.3g: set by the user.\n", v->l2);
    else
        ft_text_add(
            t,
            "L2 is %.3g: of %d values it has the lowest out-of-fold log-loss, %.4f (%d folds); "
            "the next best is %.3g with %.4f.\n",
            v->l2, v->n_grid, chosen->log_loss, v->folds, next->l2, next->log_loss);
}

char *ft_report_choices_text(const struct ft_training *t)
{
    const struct ft_validation *v = t->validation;
    struct ft_text text = { 0 };
    size_t least = SIZE_MAX, most = 0;
    for (int c = 0; c < v->k; c++) {
        least = t->counts[c] < least ? t->counts[c] : least;
        most = t->counts[c] > most ? t->counts[c] : most;
    }
    explain_l2(&text, v);
    const char *by_user = t->options->class_weight < 0 ? "" : ", as set by the user";
    if (v->weighted)
        ft_text_add(&text,
                    "Classes are weighted to count equally%s: they have %zu to %zu pictures.\n",
                    by_user, least, most);
    else
        ft_text_add(&text, "Classes are not weighted: %s.\n",
                    least == most ? "they are equally large" : "set by the user");
    ft_text_add(&text,
                "The temperature is %.3f, fitted so that probabilities match the share of correct "
                "predictions. ",
                v->temperature);
    ft_text_add(&text,
                "Out of fold it changes the calibration error from %.2f %% to %.2f %% and the "
                "log-loss from %.4f to %.4f.\n",
                100 * t->raw->ece, 100 * t->calibrated->ece, t->raw->log_loss,
                t->calibrated->log_loss);
    return text.s;
}
