/* SPDX-License-Identifier: Apache-2.0
 *
 * Results as text, JSON, CSV and HTML. */
#ifndef FINETUNE_REPORT_H
#define FINETUNE_REPORT_H

#include "finetune/dataset.h"
#include "finetune/diagnosis.h"
#include "finetune/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- results as text and JSON ---------------------------------------------------------------- */

/* Pictures and the probabilities that a head gave them. All pointers are borrowed. */
struct ft_judged {
    size_t n;
    int k;
    const float *p;       /* [n, k] */
    const int32_t *y;     /* [n] */
    char *const *paths;   /* [n] */
    char *const *classes; /* [k] */
};
/* The indices of the wrongly classified rows, the highest probability first. *n receives their
 * number. Must be freed with free(). Returns NULL if memory runs out. */
size_t *ft_mistakes(const struct ft_judged *judged, size_t *n);

/* The functions that return text return memory that must be freed with free(), or NULL if memory
 * runs out. `judged` adds the list of mistakes. */
char *ft_report_metrics_text(const struct ft_metrics *metrics, const struct ft_judged *judged);
char *ft_report_metrics_json(const struct ft_metrics *metrics, const struct ft_judged *judged);
/* Warnings, one on each line: the classifier is not better than ft_baseline; classes of which no
 * picture is classified correctly. "": there are none. */
char *ft_report_warnings_text(const struct ft_metrics *metrics, char *const *classes);
/* Returns whether a spreadsheet treats a cell with this text as a formula (OWASP, CSV
 * injection). */
bool ft_csv_is_formula(const char *text);
#define FT_REPORT_CSV_NAMES                                                                        \
    {                                                                                              \
        "predictions.csv", "classes.csv", "confusion.csv", "reliability.csv", "coverage.csv"       \
    }
/* Writes the files FT_REPORT_CSV_NAMES in the directory `dir`, which must exist. `safe`: an
 * apostrophe is put before cells that would be formulas. */
int ft_report_csv(const struct ft_metrics *metrics, const struct ft_judged *judged, bool safe,
                  const char *dir, struct ft_error *err);

/* What `finetune doctor` reports about a folder. All pointers are borrowed. */
struct ft_checkup {
    const struct ft_dataset *dataset;
    const struct ft_features *features;
    const struct ft_diagnosis *diagnosis;
    size_t n_bad;
    char *const *bad_paths, *const *bad_reasons; /* [n_bad] */
};
char *ft_report_checkup_text(const struct ft_checkup *checkup);
char *ft_report_checkup_json(const struct ft_checkup *checkup);

/* One of several backbones and input sizes, measured on the same pictures. */
struct ft_contender {
    const char *name;
    int width, height; /* of the input, in pixels */
    double ms_per_image;
    const struct ft_validation *validation; /* borrowed; its accuracy and interval are shown */
};
char *ft_report_curve_text(const struct ft_curve *curve, const struct ft_contender *contenders,
                           int n);
char *ft_report_curve_json(const struct ft_curve *curve, const struct ft_contender *contenders,
                           int n);

/* Explains how L2, class weights and temperature were chosen, one sentence for each. */
char *ft_report_choices_text(const struct ft_training *training);

/* ---- the report ------------------------------------------------------------------------------ */

enum { FT_WORST = 12 }; /* number of mistakes that are shown as large pictures */
struct ft_document {
    const char *title, *measured; /* measured: one sentence that says which pictures were classified
                                     by which head */
    const struct ft_metrics *metrics;
    const struct ft_judged *judged; /* with paths */
    /* Explanations of the first FT_WORST mistakes in the order of ft_mistakes. The array and its
     * elements are nullable; without an explanation there is no heat map. */
    struct ft_explanation *const *explanations;
    const struct ft_training *training; /* this and the next three are nullable */
    const struct ft_curve *curve;
    const struct ft_unknown *unknown;
    const struct ft_checkup *checkup;
    const char *settings; /* the settings that are needed to repeat the measurement, as text */
    uint64_t max_pixels;
};
/* Writes one HTML file that refers to no other file, replaced atomically. */
int ft_report_html(const struct ft_document *document, const char *path, struct ft_error *err);
/* Returns the model's `finetune` attribute as indented JSON: classes, input, backbone with its
 * hash, training. Must be freed with free(). Returns NULL if memory runs out. */
char *ft_model_settings(const struct ft_model *model);

#ifdef __cplusplus
}
#endif
#endif
