/* SPDX-License-Identifier: Apache-2.0
 *
 * The classifier head: training, cross-validation and metrics. */
#ifndef FINETUNE_HEAD_H
#define FINETUNE_HEAD_H

#include "finetune/features.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the head -------------------------------------------------------------------------------- */

struct ft_l2_row {
    /* Out-of-fold and uncalibrated. The loss has the training's class weights; L2 is chosen by it.
     */
    double l2, log_loss, accuracy;
};

struct ft_depth_row {
    double depth; /* ft_train_options.depth */
    /* Out-of-fold, at the L2 with the lowest loss, mean over the repetitions. */
    double log_loss, accuracy;
};

/* W and b apply to raw features: they include the scaling of features and the temperature. A head
 * may take fewer features than the rows that it was trained on have: then it takes their last d. */
struct ft_head {
    int d, k;
    float *w; /* [d, k] */
    float *b; /* [k] */
    /* true: several classes may apply to one picture, and the probability of each is a sigmoid of
     * its own. Only models of other programs have such heads */
    bool independent;
};

enum { FT_DEPTHS = 6 };

/* Results of the cross-validation. All of them are out-of-fold: each picture is classified by a
 * head, with values of L2 and depth, and calibrated by a temperature, that were fitted and chosen
 * without it. */
struct ft_validation {
    size_t n;
    int k, folds;
    /* Small sets are cross-validated several times, with different folds. The rows below are those
     * of the first repetition. */
    int repeats;
    double accuracy; /* mean over the repetitions */
    /* Of the head that is trained on all rows: extrapolated from the accuracy and that of half the
     * rows. */
    double expected;
    double interval[2]; /* ft_expected_interval */
    int32_t *fold;      /* [n] */
    float *raw;         /* [n, k] probabilities at temperature 1 */
    float *calibrated;  /* [n, k] probabilities at a cross-fitted temperature */
    double temperature; /* fitted on all out-of-fold logits; the final head includes it */
    double l2;          /* chosen */
    bool weighted;      /* classes were weighted */
    double depth;       /* chosen or given; 0: the head takes the last block of the features only */
    int n_depths;       /* 0: depth was given, or there is one block */
    struct ft_depth_row depths[FT_DEPTHS];
    int n_grid;
    /* [n_grid] sorted from large to small L2; n_grid is 1 if L2 was given. Long trainings skip
     * small values that would only overfit. With FT_SCALE_FLOOR the grid is extended until its best
     * value is not at an end. */
    struct ft_l2_row *grid;
};

/* The rows that a head is trained on, with their labels. All pointers are borrowed. */
struct ft_training_set {
    struct ft_matrix x;     /* [n, d] */
    const int32_t *labels;  /* [n] 0 to k - 1 */
    const uint64_t *groups; /* [n] rows with the same number stay in one fold. NULL: no groups */
    int k;                  /* number of classes */
    /* [n_blocks] columns of each layer's features, as those of ft_backbone_blocks. NULL: one block
     */
    const int *blocks;
    int n_blocks;
};
/* All rows of `features`, which keep the classes 0 to k - 1 as labels. `groups` is nullable. */
struct ft_training_set ft_features_training_set(const struct ft_features *features,
                                                const uint64_t *groups, int k);
/* Multinomial logistic regression. Minimises (1/n) sum_i c(y_i) loss_i + l2/2 |W|^2 on scaled
 * features; the bias has no penalty. Rows in memory and rows in a scratch file give the same head,
 * bit by bit; the file is read once for each evaluation. `options` is nullable. */
int ft_train(const struct ft_training_set *set, const struct ft_train_options *options,
             struct ft_head **head, struct ft_validation **validation, struct ft_error *err);
void ft_head_free(struct ft_head *head);
void ft_validation_free(struct ft_validation *validation);
/* p [n, k] = softmax(x [n, d] W + b), or the sigmoid of each value if the classes are independent.
 */
void ft_head_probabilities(const struct ft_head *head, const float *x, size_t n, float *p);
/* The same for rows in memory or in a scratch file, of which the last head->d columns are used.
 * Returns FT_EIO if the file cannot be read. */
int ft_head_judge(const struct ft_head *head, const struct ft_matrix *x, float *p,
                  struct ft_error *err);

/* How much each block of the features contributes to the logits of a head that takes all of them:
 * the variance over the rows of the block's part of a logit, summed over the classes, as a share of
 * the sum over the blocks. share [set->n_blocks]. */
int ft_head_contributions(const struct ft_head *head, const struct ft_training_set *set,
                          double *share, struct ft_error *err);

/* ---- metrics --------------------------------------------------------------------------------- */

/* The definitions are those of scikit-learn. */
struct ft_class_metrics {
    double precision, recall, f1; /* 0 where undefined */
    size_t support, predicted;
    /* This class against all others; NaN if all rows are of this class, or none. */
    double roc_auc, average_precision;
};

enum { FT_BINS = 15, FT_TOPS = 5, FT_THRESHOLDS = 8 };

struct ft_bin { /* rows whose top probability is in (i / FT_BINS, (i + 1) / FT_BINS] */
    size_t rows, right;
    double confidence; /* mean top probability; 0 without rows */
};

struct ft_coverage { /* Rows whose top probability reaches a threshold. */
    double threshold;
    size_t rows, right;
};

struct ft_metrics {
    size_t n, right;
    int k;
    double accuracy, accuracy_sd; /* sd: over folds, 0 without folds */
    double interval[2];           /* Wilson's 95 % interval of the accuracy */
    double balanced_accuracy;     /* mean recall of the classes that have rows */
    /* log_loss: natural logarithm, probabilities clipped at 1e-15. ece: expected calibration error,
     * from FT_BINS bins of equal width of the top probability. */
    double log_loss, ece;
    double brier;        /* mean squared distance to the truth, halved for two classes */
    double top[FT_TOPS]; /* top[i]: share of rows whose class is among the i + 1 most probable */
    struct ft_bin bins[FT_BINS];
    struct ft_coverage coverage[FT_THRESHOLDS];
    size_t *confusion;                  /* [k true, k predicted] */
    struct ft_class_metrics *per_class; /* [k] */
};
/* p [n, k] probabilities; y [n] labels from 0 to k - 1; fold [n] is nullable. */
int ft_metrics_compute(const float *p, const int32_t *y, const int32_t *fold, size_t n, int k,
                       struct ft_metrics **out, struct ft_error *err);
void ft_metrics_free(struct ft_metrics *metrics);
/* The 95 % interval for the accuracy of the final head on other pictures of the same kind, from its
 * cross-validated accuracy and its expected accuracy, which is not lower, with n pictures in
 * `folds` folds (at least 2), cross-validated `repeats` times. */
void ft_expected_interval(double accuracy, double expected, size_t n, int folds, int repeats,
                          double interval[2]);

/* Labels that apply independently of one another. */
struct ft_label_metrics {
    size_t n;
    int k;
    double threshold;
    double exact;                       /* share of rows whose labels are all right */
    double hamming;                     /* share of single labels that are wrong */
    struct ft_class_metrics *per_label; /* [k] */
    /* micro: of all labels together, without ranking (NaN). macro: mean over the labels, of those
     * where it is defined */
    struct ft_class_metrics micro, macro;
};
/* p [n, k] probabilities; a label is predicted from `threshold` on. marks [n, k]: 1 where a label
 * applies, else 0. */
int ft_label_metrics_compute(const float *p, const uint8_t *marks, double threshold, size_t n,
                             int k, struct ft_label_metrics **out, struct ft_error *err);
void ft_label_metrics_free(struct ft_label_metrics *metrics);

/* Wilson's 95 % interval for a share of `right` in n, n > 0. */
void ft_wilson(size_t right, size_t n, double interval[2]);

/* A classifier that always answers with the largest class, on the same pictures. */
struct ft_baseline {
    int class_index; /* the largest class; -1 if fewer than two classes have rows: no comparison */
    double accuracy;
    double p_value; /* of the difference between the two, by McNemar's exact test */
    bool beaten;    /* the measured classifier is better, with p_value below 0.05 */
};
void ft_baseline_compute(const struct ft_metrics *metrics, struct ft_baseline *out);

/* Two classifiers on the same pictures: McNemar's exact test. */
struct ft_comparison {
    size_t both, only_a, only_b,
        neither; /* number of pictures that both, only one, or neither classify correctly */
    /* Probability of a difference at least this large if both classifiers are equally good. */
    double p_value;
};
void ft_compare(const float *p_a, const float *p_b, const int32_t *y, size_t n, int k,
                struct ft_comparison *out);

/* ---- learning curve -------------------------------------------------------------------------- */

enum { FT_CURVE_POINTS = 7 };
struct ft_curve_point {
    double images; /* mean over the folds */
    double accuracy, low, high;
};
/* error = floor + scale * images^-power */
struct ft_power_law {
    double floor, scale, power;
};
struct ft_curve {
    int n_points;
    /* Measured. low and high are Wilson's 95 % interval. */
    struct ft_curve_point points[FT_CURVE_POINTS];
    struct ft_power_law law;
    /* Predicted by the law for n and 2 n pictures. low and high are its 95 % band, by parametric
     * bootstrap. */
    struct ft_curve_point now, doubled;
};
struct ft_curve_options {
    struct ft_train_options head; /* with l2 0, L2 is chosen again at each point */
    /* nullable. Called by the calling thread after each fit; `total` is the number of fits */
    void (*progress)(void *user, size_t done, size_t total);
    void *user;
};
#define FT_CURVE_DEFAULTS FT_DEFAULTS
/* For each fold in turn, heads are trained on growing shares of the other rows of each class, and
 * classify the rows of the fold. So each point is measured on all rows. `fold` [n] is 0 to
 * folds - 1. `set->x` must be in memory; `set->groups` is not used. `options` is nullable. */
int ft_curve_measure(const struct ft_training_set *set, const int32_t *fold, int folds,
                     const struct ft_curve_options *options, struct ft_curve *out,
                     struct ft_error *err);
double ft_power_law_error(const struct ft_power_law *law, double images);

/* ---- unknown classes ------------------------------------------------------------------------- */

/* How well a score separates pictures of an unknown class from pictures of known classes. Each
 * class in turn (at most FT_LEFT_OUT of them, evenly spaced) is left out of the training and is
 * then the unknown class. Held-out pictures of the other classes are the known ones. The result is
 * measured on these classes; other unknown classes may give other values. */
enum { FT_LEFT_OUT = 10 };
struct ft_unknown {
    int left_out; /* number of classes that were left out */
    /* Mean ROC AUC of the highest probability. NaN if there are fewer than three classes. */
    double probability;
    /* Mean ROC AUC of the Mahalanobis distance to the nearest class mean (Lee et al. 2018). */
    double distance;
};
/* Rows of fold 0 are held out, the others are trained on. `fold` [n]. `set->x` must be in memory;
 * `set->groups` is not used. `options` is nullable. */
int ft_unknown_measure(const struct ft_training_set *set, const int32_t *fold,
                       const struct ft_train_options *options, struct ft_unknown *out,
                       struct ft_error *err);

#ifdef __cplusplus
}
#endif
#endif
