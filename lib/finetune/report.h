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

/* Pictures as a head judged them; everything is lent. */
struct ft_judged {
    size_t n;
    int k;
    const float *p;       /* [n, k] */
    const int32_t *y;     /* [n] */
    char *const *paths;   /* [n] */
    char *const *classes; /* [k] */
};
/* The rows judged wrongly, most certain first: order [judged->n] receives their indices; returns
 * how many. */
size_t ft_mistakes(const struct ft_judged *judged, size_t *order);

/* malloc'd, to be freed by the caller; NULL when out of memory. `judged` adds the list of mistakes.
 */
char *ft_report_metrics_text(const struct ft_metrics *metrics, const struct ft_judged *judged);
char *ft_report_metrics_json(const struct ft_metrics *metrics, const struct ft_judged *judged);
/* One sentence per line: if the classifier is not better than ft_baseline, and the classes of which
 * no picture is classified correctly. "" if there is nothing to warn about. */
char *ft_report_warnings_text(const struct ft_metrics *metrics, char *const *classes);
/* Whether a spreadsheet treats a cell with this text as a formula (OWASP, CSV injection). Written
 * safely, such a cell begins with an apostrophe. */
bool ft_csv_is_formula(const char *text);
/* predictions.csv, classes.csv, confusion.csv, reliability.csv and coverage.csv in a directory that
 * is there. */
int ft_report_csv(const struct ft_metrics *metrics, const struct ft_judged *judged, bool safe,
                  const char *dir, struct ft_error *err);

/* Everything about a folder that `finetune doctor` says; lent. */
struct ft_checkup {
    const struct ft_dataset *dataset;
    const struct ft_features *features;
    const struct ft_diagnosis *diagnosis;
    size_t n_bad;
    char *const *bad_paths, *const *bad_reasons; /* [n_bad] */
};
char *ft_report_checkup_text(const struct ft_checkup *checkup);
char *ft_report_checkup_json(const struct ft_checkup *checkup);

/* A backbone on the same pictures. */
struct ft_contender {
    const char *name;
    double accuracy, low, high, ms_per_image;
    const struct ft_validation *validation;
};
char *ft_report_curve_text(const struct ft_curve *curve, const struct ft_contender *contenders,
                           int n);
char *ft_report_curve_json(const struct ft_curve *curve, const struct ft_contender *contenders,
                           int n);

/* Why L2, weights and temperature are what they are: a sentence each. */
char *ft_report_choices_text(const struct ft_training *training);

/* ---- the report ------------------------------------------------------------------------------ */

enum { FT_WORST = 12 }; /* mistakes that are shown large */
struct ft_document {
    const char *title, *measured; /* measured: a sentence on what was judged by what */
    const struct ft_metrics *metrics;
    const struct ft_judged *judged; /* with paths */
    /* of the first FT_WORST mistakes in the order of ft_mistakes; the array and its elements are
     * nullable: no heat map */
    struct ft_explanation *const *explanations;
    const struct ft_training *training; /* these may be NULL */
    const struct ft_curve *curve;
    const struct ft_unknown *unknown;
    const struct ft_checkup *checkup;
    const char *settings; /* everything that is needed to repeat it, as text */
    uint64_t max_pixels;
};
/* One HTML file that needs no other, replaced atomically. */
int ft_report_html(const struct ft_document *document, const char *path, struct ft_error *err);
/* The model's `finetune` attribute, indented: classes, input, backbone and its hash, training.
 * malloc'd, or NULL. */
char *ft_model_settings(const struct ft_model *model);

#ifdef __cplusplus
}
#endif
#endif
