/* SPDX-License-Identifier: Apache-2.0
 *
 * Problems in a folder of pictures: copies, likely wrong labels, outliers, bad quality,
 * shortcuts. */
#ifndef FINETUNE_DIAGNOSIS_H
#define FINETUNE_DIAGNOSIS_H

#include "finetune/features.h"
#include "finetune/head.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- copies and facts of files --------------------------------------------------------------- */

/* Two similar pictures: rows a < b of the features. The distance is 1 - cosine of the features
 * after the mean of all rows is subtracted. */
struct ft_near {
    size_t a, b;
    float distance;
};
/* Limits on the distance, measured on photographs that were re-encoded, resized and cropped. All
 * copies are below FT_NEAR. Only copies are below FT_SAME. */
#define FT_NEAR 0.3f
#define FT_SAME 0.2f
/* Finds all pairs of rows of x whose distance is below `most`, sorted by a, then b. *pairs must be
 * freed with free(). The search uses random hyperplanes (Charikar 2002). It may miss one in some
 * hundreds of the pairs whose distance is near `most`; it does not miss closer pairs. */
int ft_near_pairs(const struct ft_matrix *x, float most, int threads, struct ft_near **pairs,
                  size_t *n_pairs, struct ft_error *err);

/* ft_groups does not search for near copies in sets with more rows, because the time is
 * quadratic. */
#define FT_GROUPS_MOST 200000
/* Writes group [n], equal numbers for rows that must stay in one fold: rows with the same content;
 * rows closer than FT_SAME; and rows for which the extended regular expression `pattern` (nullable)
 * matches the same text. The text is that of its first pair of parentheses, or the whole match, in
 * the path below `dir`. If a and b are in one group, and b and c, then a and c are too. */
int ft_groups(const struct ft_features *features, const char *dir, const char *pattern, int threads,
              uint64_t *group, struct ft_error *err);

struct ft_facts {
    int status; /* 0, or the FT_E... of a bad picture, whose other members are 0 */
    uint64_t bytes;
    int width, height;           /* upright */
    double brightness, contrast; /* mean and standard deviation of luma, 0-255 */
    double sharpness; /* variance of the Laplacian, after scaling to a longer side of at most 256 */
    int jpeg_quality; /* 1-100, estimated from the quantisation table; 0: not a JPEG */
    uint64_t camera;  /* hash of make and model in the EXIF data; 0: absent */
    uint64_t print;   /* perceptual hash: copies of a picture differ in few bits */
};
struct ft_survey_options {
    int threads;         /* 0: one per core */
    uint64_t max_pixels; /* a larger picture is a bad picture. 0: 256 megapixels */
    /* nullable. Called by the calling thread from time to time */
    void (*progress)(void *user, size_t done, size_t total);
    void *user;
};
#define FT_SURVEY_DEFAULTS FT_DEFAULTS
/* Writes the facts of each file to facts [n]. `options` is nullable. */
int ft_survey(char *const *paths, size_t n, const struct ft_survey_options *options,
              struct ft_facts *facts, struct ft_error *err);

/* ---- the diagnosis --------------------------------------------------------------------------- */

struct ft_suspect { /* A label that is likely wrong. */
    size_t row;
    int32_t suggested;
    double score; /* out-of-fold probability of the suggested class minus that of the given class */
    bool confident; /* The probability of the suggested class is at least the mean that this class
                       has over the pictures labelled with it. */
};

struct ft_outlier {
    size_t row;
    double score; /* mean distance to the 5 nearest other pictures */
};

struct ft_fault { /* A picture of bad quality. */
    size_t row;
    const char *reason; /* "tiny", "blank", ...; static */
};

enum { FT_SHORTCUTS = 6 };
struct ft_shortcut {     /* A property of the file that separates one class from the others. A
                            classifier could use it instead of the content of the pictures. */
    const char *feature; /* static */
    int class_index;     /* the class with the highest AUC */
    double auc, low;     /* auc: out-of-fold ROC AUC; low: lower end of its 95 % interval */
    bool named;          /* high enough to be reported */
};
#define FT_SHORTCUT_AUC 0.75

struct ft_diagnosis {
    size_t n_near, n_suspects, n_outliers, n_faults;
    struct ft_near *near;        /* without pairs of files with the same bytes */
    struct ft_suspect *suspects; /* worst first */
    struct ft_outlier *outliers; /* furthest first */
    struct ft_fault *faults;
    int n_shortcuts;
    struct ft_shortcut shortcuts[FT_SHORTCUTS]; /* highest first */
};

/* `facts` [features->n]. `validation` is nullable, for sets that are too small to validate; then
 * there are no suspects and no shortcuts. Freed with ft_diagnosis_free. */
int ft_diagnose(const struct ft_features *features, const struct ft_facts *facts,
                const struct ft_validation *validation, int threads, struct ft_diagnosis **out,
                struct ft_error *err);
void ft_diagnosis_free(struct ft_diagnosis *diagnosis);

#ifdef __cplusplus
}
#endif
#endif
