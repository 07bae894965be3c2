/* SPDX-License-Identifier: Apache-2.0
 *
 * What is wrong with a folder: copies, likely wrong labels, outliers, bad pictures, shortcuts. */
#ifndef FINETUNE_DIAGNOSIS_H
#define FINETUNE_DIAGNOSIS_H

#include "finetune/features.h"
#include "finetune/head.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- copies, and what a file says beside its content ----------------------------------------- */

/* Two rows of features that look alike, a < b; distance: 1 - cosine of the features less their
 * mean. */
struct ft_near {
    size_t a, b;
    float distance;
};
/* Measured on re-encoded, resized and cropped photographs: copies lie below FT_NEAR, and below
 * FT_SAME nothing else does. */
#define FT_NEAR 0.3f
#define FT_SAME 0.2f
/* All pairs of rows of x closer than `most`, sorted by a, then b; free() *pairs. The search is by
 * random hyperplanes (Charikar 2002): a pair close to `most` may be missed once in some hundred
 * times, closer ones are not. */
int ft_near_pairs(const struct ft_matrix *x, float most, int threads, struct ft_near **pairs,
                  size_t *n_pairs, struct ft_error *err);

/* Sets of more rows are not searched for near copies by ft_groups: the search is quadratic. */
#define FT_GROUPS_MOST 200000
/* group [n]: rows with the same content, rows closer than FT_SAME, and rows whose path below `dir`
 * matches the extended regular expression `pattern` (NULL: none) with the same text in its first
 * pair of parentheses (or as a whole), share a number, directly or through others. */
int ft_groups(const struct ft_features *features, const char *dir, const char *pattern, int threads,
              uint64_t *group, struct ft_error *err);

struct ft_facts {
    int status; /* 0, or the FT_E... of a bad picture, whose other members are 0 */
    uint64_t bytes;
    int width, height;           /* upright */
    double brightness, contrast; /* mean and standard deviation of luma, 0-255 */
    double sharpness;            /* variance of the Laplacian, at a longer side of at most 256 */
    int jpeg_quality;            /* 1-100 by its quantisation table; 0: not a JPEG */
    uint64_t camera;             /* hash of EXIF's make and model; 0: not given */
    uint64_t print;              /* perceptual hash: copies of a picture differ in few bits */
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

/* ---- what is wrong with a folder ------------------------------------------------------------- */

struct ft_suspect { /* a label that the other pictures contradict */
    size_t row;
    int32_t suggested;
    double score;   /* probability of the suggested class less that of the given one, out of fold */
    bool confident; /* as sure of the suggested class as of the pictures that are labelled so */
};

struct ft_outlier {
    size_t row;
    double score; /* mean distance to the 5 nearest pictures */
};

struct ft_fault { /* of quality */
    size_t row;
    const char *reason; /* "tiny", ... : static */
};

enum { FT_SHORTCUTS = 6 };
struct ft_shortcut {     /* how well one number that is not in the picture tells one class from the
                            others, out of fold */
    const char *feature; /* static */
    int class_index;     /* where it is highest */
    double auc, low;     /* low: of its 95 % interval */
    bool named;          /* high enough to be said */
};
#define FT_SHORTCUT_AUC 0.75

struct ft_diagnosis {
    size_t n_near, n_suspects, n_outliers, n_faults;
    struct ft_near *near;        /* not those of the same content */
    struct ft_suspect *suspects; /* worst first */
    struct ft_outlier *outliers; /* furthest first */
    struct ft_fault *faults;
    int n_shortcuts;
    struct ft_shortcut shortcuts[FT_SHORTCUTS]; /* highest first */
};

/* `facts` [features->n]; `validation` may be NULL (too few pictures): then no suspects and
 * shortcuts. */
int ft_diagnose(const struct ft_features *features, const struct ft_facts *facts,
                const struct ft_validation *validation, int threads, struct ft_diagnosis **out,
                struct ft_error *err);
void ft_diagnosis_free(struct ft_diagnosis *diagnosis);

#ifdef __cplusplus
}
#endif
#endif
