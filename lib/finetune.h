/* SPDX-License-Identifier: Apache-2.0
 *
 * libfinetune: a folder of labelled pictures becomes an image classifier.
 *
 *     ft_dataset_open    a folder                    -> (path, class) rows
 *     ft_backbone_open   a Keras network file        -> a frozen feature extractor
 *     ft_extract         backbone + paths            -> features, in the order of the paths
 *     ft_train           features + labels           -> a head, measured by cross-validation
 *     ft_model_save      backbone + head             -> one Keras HDF5 file, replaced atomically
 *     ft_model_open      that file                   -> backbone + head, for ft_extract and
 *                        ft_head_probabilities
 *
 * Conventions. Functions that can fail return 0 or a negative FT_E... and then fill `err` (which
 * may be NULL); outputs are untouched on failure. Whoever calls _new, _load or _open calls _free,
 * which accepts NULL; _release frees what a caller's struct holds; getters lend. Matrices are
 * float32, row-major, their shapes in comments. The library never prints, exits or changes a user's
 * file.
 */
#ifndef FINETUNE_H
#define FINETUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors ---------------------------------------------------------------------------------- */

enum {
    FT_OK = 0,
    FT_EIO = -1,          /* the operating system refused: open, read, write, rename */
    FT_EFORMAT = -2,      /* the file is damaged or not what it claims to be */
    FT_EUNSUPPORTED = -3, /* understood, but not supported */
    FT_ELIMIT = -4,       /* larger than a limit allows */
    FT_ENOMEM = -5,       /* out of memory */
    FT_EARG = -6,         /* the caller's arguments make no sense together */
    FT_ECANCELLED = -7,   /* a callback asked to stop */
};

/* A message is lower case, names what failed first and the subject in quotes, and ends in a hint.
 */
struct ft_error {
    int code;
    char msg[1000];
};

const char *ft_version(void); /* "0.1.0" */

/* ---- how a picture becomes the network's input ----------------------------------------------- */

/* Writes the names of the picture formats that this build decodes, "JPEG, PNG", to text [size],
 * which is cut if it is too short. Returns the length of the whole list. */
size_t ft_picture_formats(char *text, size_t size);

enum ft_resize_rule {
    FT_RESIZE_CROP,   /* a centred box with the target's aspect, `crop` of the largest such box */
    FT_RESIZE_SQUASH, /* the whole picture, its aspect given up */
    FT_RESIZE_PAD,    /* the whole picture inside a black frame */
};

enum ft_resize_filter { FT_FILTER_BILINEAR, FT_FILTER_BICUBIC }; /* both antialiased, as Pillow's */

struct ft_geometry {
    int width, height; /* of the network's input */
    enum ft_resize_rule rule;
    enum ft_resize_filter filter;
    /* FT_RESIZE_CROP only: side of the box over the largest possible side, in (0, 1] */
    double crop;
};

/* ---- a folder of pictures -------------------------------------------------------------------- */

/* Every first-level directory is a class, its pictures are found recursively, hidden files and
 * directories are ignored. A picture is what its first bytes say it is; a file that only has a
 * picture's name is kept too (extraction says what is wrong with it), any other file is counted.
 * Rows are sorted by the bytes of their names, directory by directory. Names are kept verbatim. */
struct ft_dataset {
    int n_classes;
    char **classes; /* [n_classes] sorted by bytes: the directories that hold pictures */
    size_t n;
    /* [n] as opened: dir joined with the path below it; sorted by bytes by ft_dataset_open */
    char **paths;
    int32_t *labels; /* [n] index into classes; -1: in no class directory */
    size_t n_others; /* files that are no pictures */
    /* pictures in no class directory: rows with label -1 where asked for, else only counted */
    size_t n_loose;
    int n_empty;
    char **empty; /* [n_empty] first-level directories without a picture */
};

int ft_dataset_open(const char *dir, bool keep_loose, struct ft_dataset **out,
                    struct ft_error *err);
void ft_dataset_free(struct ft_dataset *dataset);

/* A table of labels, CSV by RFC 4180: the columns `path` and `label` of its header, or the first
 * two without one. A relative path is looked for in `dir` (NULL: beside the table), then in the
 * working directory. Classes are the labels, sorted by bytes. */
int ft_dataset_open_labels(const char *csv, const char *dir, struct ft_dataset **out,
                           struct ft_error *err);
/* The class of each picture at or below `dir` is the text in its path below `dir` that matches the
 * first pair of parentheses of an extended regular expression (without parentheses: the whole
 * match). The pattern "name" stands for the NAME in file names such as NAME.NUMBER.jpg. n_loose
 * counts the pictures that do not match. */
int ft_dataset_open_named(const char *dir, const char *pattern, struct ft_dataset **out,
                          struct ft_error *err);

/* Where a folder keeps its class folders. */
struct ft_layout {
    char *train;      /* the folder of class folders, if it is not the folder itself */
    char *val, *test; /* folders of class folders; nullable */
    char *unlabelled; /* a val or test folder without class folders; nullable */
};
/* Recognises train, val and test folders by the names that are in use for them, and a folder that
 * contains nothing but one folder of class folders. All members are NULL if `dir` contains the class
 * folders itself; FT_EARG if it is not clear what the classes are. */
int ft_dataset_layout(const char *dir, struct ft_layout *out, struct ft_error *err);
void ft_layout_release(struct ft_layout *layout);

/* ---- a stream of inputs ---------------------------------------------------------------------- */

/* Paths one by one, whatever their number: the arguments, then a list, then what arrives in a
 * watched directory. A directory among the first two stands for the pictures below it, sorted by
 * bytes, as ft_dataset_open finds them; a file that was named is an input whatever it is. */
struct ft_inputs;

struct ft_inputs_options {
    /* a file of paths, "-": standard input; NULL: none. Empty lines are passed over. */
    const char *list;
    bool nul; /* paths in the list end in NUL, not in newline */
    /* wait for pictures that are written or moved into this directory or below; NULL: end instead
     */
    const char *watch;
    const char *except; /* a directory that is not entered; NULL: none */
    /* asked again and again while waiting, may be NULL: true ends the inputs */
    bool (*stop)(void);
};
/* `arguments` [n] are borrowed. The watch begins here: nothing that is written after this is
 * missed. */
int ft_inputs_open(char *const *arguments, size_t n, const struct ft_inputs_options *options,
                   struct ft_inputs **out, struct ft_error *err);
void ft_inputs_free(struct ft_inputs *inputs);
/* The next path, lent until the next call; NULL at the end. */
const char *ft_inputs_next(struct ft_inputs *inputs);
/* 0, or why the inputs ended early (the list could not be read). */
int ft_inputs_status(const struct ft_inputs *inputs, struct ft_error *err);

/* Reads all inputs as rows: the class of one is its label in `table`, where the same file stands
 * under whatever path, or without a table (NULL) the name of the directory that holds it. Those
 * that are not in the table are only counted, as n_loose. */
int ft_dataset_open_inputs(struct ft_inputs *inputs, const struct ft_dataset *table,
                           struct ft_dataset **out, struct ft_error *err);

/* ---- the frozen network ---------------------------------------------------------------------- */

struct ft_backbone;

struct ft_backbone_options {
    /* where bundled networks are looked for; NULL: FINETUNE_WEIGHTS, then the installed folder */
    const char *weights_dir;
    const char *rule; /* "crop", "squash", "pad" or NULL: what the file says */
    /* whose output is the feature; NULL: what enters the last Dense layer, else the network's
     * output */
    const char *layer;
    const char *preprocess;   /* "tf", "torch", "caffe", "none", "SCALE,OFFSET"; NULL: recognised */
    const char *architecture; /* of a weights-only file; NULL: recognised */
    int size;                 /* of the input, in pixels; 0: what the file says, else 224 */
};

/* `name` is a file, or the name of a network in the weights folder ("efficientnet-lite0"); NULL is
 * the bundled default. */
int ft_backbone_open(const char *name, const struct ft_backbone_options *options,
                     struct ft_backbone **out, struct ft_error *err);
/* Calls `each` for every network in the weights folders, by name, with its file; then for those
 * that a weights-only file would be recognised as, with NULL. Stops at nonzero and returns it.
 * Strings are lent during the call. */
int ft_backbone_list(const struct ft_backbone_options *options,
                     int (*each)(void *user, const char *name, const char *path), void *user);
void ft_backbone_free(struct ft_backbone *backbone);
const char *ft_backbone_name(const struct ft_backbone *backbone);
/* What the user should know, such as that preprocessing was not recognised; NULL: nothing. */
const char *ft_backbone_warning(const struct ft_backbone *backbone);
/* Writes the network as a full-model Keras file without a head, replaced atomically. */
int ft_backbone_save(const struct ft_backbone *backbone, const char *path, uint64_t *bytes,
                     struct ft_error *err);
int ft_backbone_features(const struct ft_backbone *backbone); /* length d of a feature vector */
const struct ft_geometry *ft_backbone_geometry(const struct ft_backbone *backbone);

enum ft_layer_place {
    FT_LAYER_STEP,   /* it runs as a step of its own */
    FT_LAYER_FUSED,  /* a step before or after it does its work, or there is none to do */
    FT_LAYER_UNUSED, /* the features do not depend on it */
};

/* A layer, or a step that several layers were fused into. Strings are lent by the backbone. */
struct ft_layer_info {
    const char *name, *kind, *kernel; /* kernel: the algorithm chosen, "" where there is none */
    int height, width, channels;      /* of the output; height 0: not known */
    enum ft_layer_place place;
    uint64_t parameters, multiply_adds;
};
/* All layers, as ft_backbone_options.layer names them: an array of *n, the caller's to free. */
int ft_backbone_layers(const struct ft_backbone *backbone, struct ft_layer_info **out, int *n,
                       struct ft_error *err);
/* The steps that are run, under the names of the layers that they end in. */
int ft_backbone_steps(const struct ft_backbone *backbone);
void ft_backbone_step(const struct ft_backbone *backbone, int i, struct ft_layer_info *out);

/* Runs the network on `seconds` of noise. Milliseconds a picture: latency is the median of one
 * picture at a time on all `threads` (0: all cores), throughput that of one picture a thread. */
struct ft_bench {
    int threads;
    double latency_ms, throughput_ms;
};
int ft_backbone_bench(const struct ft_backbone *backbone, int threads, double seconds,
                      struct ft_bench *out, struct ft_error *err);
/* Seconds that each step takes on one thread: seconds_each [ft_backbone_steps], the mean over
 * `seconds`. */
int ft_backbone_profile(const struct ft_backbone *backbone, double seconds, double *seconds_each,
                        struct ft_error *err);

/* ---- features kept between runs -------------------------------------------------------------- */

/* Features by the content of the picture's file, the network's hash and the geometry: a renamed
 * picture is found again, an edited one is not. Any number of processes may share a folder; being
 * killed at any moment loses what was not written yet, and damages nothing. */
struct ft_cache;
struct ft_cache_counts {
    uint64_t hits, computed; /* good pictures of ft_extract */
};
/* `dir` NULL: $XDG_CACHE_HOME/finetune, or ~/.cache/finetune. The folder is made. */
int ft_cache_open(const char *dir, struct ft_cache **out, struct ft_error *err);
void ft_cache_flush(struct ft_cache *cache); /* writes what waits to be written */
void ft_cache_free(struct ft_cache *cache);  /* flushes first */
struct ft_cache_counts ft_cache_counted(const struct ft_cache *cache);
/* Why features are not kept (a full disk, a folder that cannot be written), or NULL: a cache that
 * fails never fails an extraction. */
const char *ft_cache_warning(const struct ft_cache *cache);

const char *ft_cache_folder(const struct ft_cache *cache);

struct ft_cache_info {
    char path[4096];
    /* what is there (after removing); entries: pictures, each counted once a key */
    uint64_t entries, bytes, segments, damaged;
    uint64_t removed_entries, removed_bytes;
    uint64_t merged; /* segments that became fewer */
};
int ft_cache_inspect(const char *dir, struct ft_cache_info *out, struct ft_error *err);
int ft_cache_clear(const char *dir, struct ft_cache_info *out, struct ft_error *err);
/* Removes segments that are damaged or were of no use for `days`, and what killed processes left;
 * merges small segments and those with features that others hold as well. Whoever reads the folder
 * meanwhile goes on; being killed at any moment loses nothing. */
int ft_cache_prune(const char *dir, double days, struct ft_cache_info *out, struct ft_error *err);

/* ---- pictures to features -------------------------------------------------------------------- */

struct ft_row {
    size_t index; /* position among the inputs, from 0 */
    const char *path;
    int status;           /* 0, or the FT_E... of a bad picture */
    const char *error;    /* why, "" when good */
    const float *feature; /* [d]; NULL when bad */
    uint64_t content[2];  /* hash of the file's bytes; 0, 0 when it could not be read */
    bool cached;          /* the feature came from the cache */
};

struct ft_extract_options {
    int threads;            /* 0: one a core */
    uint64_t max_pixels;    /* a larger picture is a bad picture; 0: the default, 256 megapixels */
    struct ft_cache *cache; /* where features are looked for and kept; NULL: nowhere */
    /* one picture at a time, split over the threads: for latency, where throughput does not matter
     */
    bool lone;
    /* `next` may wait for inputs that are yet to come: no picture is held back to be run with
     * others */
    bool prompt;
};

/* `next` lends the path of the next input (until it is called again), or NULL at the end; `emit`
 * receives every row in the order of the inputs and returns nonzero to stop (FT_ECANCELLED). Each
 * is called by one thread at a time, but the two may run at the same time. Memory is bounded,
 * whatever the number of inputs; a feature does not depend on the number of threads. */
int ft_extract(const struct ft_backbone *backbone, const struct ft_extract_options *options,
               const char *(*next)(void *user), int (*emit)(void *user, const struct ft_row *row),
               void *user, struct ft_error *err);

/* Rows of floats [n, d]: in memory, or in a scratch file that is read a block of rows at a time.
 * Lends both. */
struct ft_scratch;
struct ft_matrix {
    size_t n;
    int d;
    const float *x;             /* [n, d]; NULL: in the file */
    struct ft_scratch *scratch; /* NULL: in memory */
};

/* Features kept for training: the good rows of an extraction. */
struct ft_features {
    size_t n;
    int d;
    float *x;                   /* [n, d]; NULL: in the scratch file */
    struct ft_scratch *scratch; /* NULL: in memory */
    char **paths;               /* [n] */
    int32_t *labels;            /* [n]; -1 without a class */
    uint64_t (*content)[2];     /* [n] */
};
int ft_features_new(int d, struct ft_features **out, struct ft_error *err);
/* The same where memory is bounded: if a training on `rows` rows (more cannot be appended) would
 * hold more than `memory` bytes of features, they go to a scratch file in the folder `dir` (NULL:
 * $TMPDIR, else /var/tmp), whose disk space is reserved here. It has no name: whatever ends the
 * process, nothing is left of it. */
int ft_features_new_bounded(int d, size_t rows, uint64_t memory, const char *dir,
                            struct ft_features **out, struct ft_error *err);
/* What a training on `rows` rows would hold in memory: the features, and a standardised copy. */
uint64_t ft_features_bytes(int d, size_t rows);
struct ft_matrix ft_features_matrix(const struct ft_features *features);
int ft_features_append(struct ft_features *features, const struct ft_row *row, int32_t label,
                       struct ft_error *err);
void ft_features_free(struct ft_features *features);
/* HDF5: `features` [n, d] float32, `paths` [n] and `classes` [k] UTF-8, `labels` [n] int32. */
int ft_features_save(const struct ft_features *features, char *const *classes, int n_classes,
                     const char *path, struct ft_error *err);

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
/* facts [n] of the files; `step` (may be NULL) is told now and then how many are done, by the
 * calling thread. */
int ft_survey(char *const *paths, size_t n, int threads, uint64_t max_pixels,
              void (*step)(void *user, size_t done), void *user, struct ft_facts *facts,
              struct ft_error *err);

/* ---- the head -------------------------------------------------------------------------------- */

struct ft_train_options {
    double l2;        /* negative: the best of a grid by cross-validation */
    int folds;        /* 0: 5 */
    int class_weight; /* -1: balanced when classes differ; 0: off; 1: balanced */
    uint64_t seed;
    int threads; /* 0: one a core; results do not depend on it */
};

struct ft_l2_row {
    /* out of fold, uncalibrated; the loss with the training's class weights: L2 is chosen by it */
    double l2, log_loss, accuracy;
};

/* W and b act on raw features: standardisation and temperature are folded in. */
struct ft_head {
    int d, k;
    float *w; /* [d, k] */
    float *b; /* [k] */
};

/* Everything is out of fold: no picture is judged by a head or a temperature that it helped to fit.
 */
struct ft_validation {
    size_t n;
    int k, folds;
    int32_t *fold;      /* [n] */
    float *raw;         /* [n, k] probabilities at temperature 1 */
    float *calibrated;  /* [n, k] probabilities at a cross-fitted temperature */
    double temperature; /* fitted on all out-of-fold logits; folded into the final head */
    double l2;          /* chosen */
    bool weighted;      /* classes were weighted */
    int n_grid;
    /* [n_grid] of 9 or 1; long trainings leave out small values that would only overfit */
    struct ft_l2_row *grid;
};

/* Multinomial logistic regression on x [n, d] with labels y in 0..k-1. Rows of one `group` stay in
 * one fold (NULL: every row its own group). Minimises (1/n) sum_i c(y_i) loss_i + l2/2 |W|^2 on
 * standardised features, bias unpenalised. */
int ft_train(const float *x, const int32_t *y, const uint64_t *group, size_t n, int d, int k,
             const struct ft_train_options *options, struct ft_head **head,
             struct ft_validation **validation, struct ft_error *err);
/* The same for rows that may be in a scratch file: the same head to the bit, whatever memory they
 * have; every evaluation reads the file once. */
int ft_train_matrix(const struct ft_matrix *x, const int32_t *y, const uint64_t *group, int k,
                    const struct ft_train_options *options, struct ft_head **head,
                    struct ft_validation **validation, struct ft_error *err);
void ft_head_free(struct ft_head *head);
void ft_validation_free(struct ft_validation *validation);
/* p [n, k] = softmax(x [n, d] W + b). */
void ft_head_probabilities(const struct ft_head *head, const float *x, size_t n, float *p);
/* the same for any matrix */
int ft_head_judge(const struct ft_head *head, const struct ft_matrix *x, float *p,
                  struct ft_error *err);

/* ---- how good are probabilities -------------------------------------------------------------- */

/* Definitions are scikit-learn's. */
struct ft_class_metrics {
    double precision, recall, f1; /* 0 where undefined */
    size_t support, predicted;
    /* this class against the rest; NaN where all rows are of one kind */
    double roc_auc, average_precision;
};

enum { FT_BINS = 15, FT_TOPS = 5, FT_THRESHOLDS = 8 };

struct ft_bin { /* rows whose top probability is in (i / FT_BINS, (i + 1) / FT_BINS] */
    size_t rows, right;
    double confidence; /* mean top probability; 0 without rows */
};

struct ft_coverage { /* when rows with a top probability below the threshold are left to a person */
    double threshold;
    size_t rows, right;
};

struct ft_metrics {
    size_t n, right;
    int k;
    double accuracy, accuracy_sd; /* sd: over folds, 0 without folds */
    double interval[2];           /* Wilson's 95 % interval of the accuracy */
    double balanced_accuracy;     /* mean recall of the classes that have rows */
    /* natural log, clipped at 1e-15; FT_BINS equal-width bins of the top probability */
    double log_loss, ece;
    double brier;        /* mean squared distance to the truth, halved for two classes */
    double top[FT_TOPS]; /* share of rows whose class is among the i + 1 most probable */
    struct ft_bin bins[FT_BINS];
    struct ft_coverage coverage[FT_THRESHOLDS];
    size_t *confusion;                  /* [k true, k predicted] */
    struct ft_class_metrics *per_class; /* [k] */
};
/* p [n, k], y [n] in 0..k-1, fold [n] or NULL. */
int ft_metrics_compute(const float *p, const int32_t *y, const int32_t *fold, size_t n, int k,
                       struct ft_metrics **out, struct ft_error *err);
void ft_metrics_free(struct ft_metrics *metrics);
/* Wilson's interval of a share of `right` in n at 95 %. */
void ft_wilson(size_t right, size_t n, double interval[2]);

/* A classifier that always answers with the largest class, on the same pictures. */
struct ft_baseline {
    int class; /* the largest class; -1 if fewer than two classes have rows: no comparison */
    double accuracy;
    double p_value; /* of the difference between the two, by McNemar's exact test */
    bool beaten;    /* the measured classifier is better, with p_value below 0.05 */
};
void ft_baseline_compute(const struct ft_metrics *metrics, struct ft_baseline *out);

/* Two classifiers on the same pictures: McNemar's exact test. */
struct ft_comparison {
    size_t both, only_a, only_b, neither; /* pictures that they get right */
    /* of a difference at least this large, were they equally good */
    double p_value;
};
void ft_compare(const float *p_a, const float *p_b, const int32_t *y, size_t n, int k,
                struct ft_comparison *out);

/* ---- what more pictures would bring ---------------------------------------------------------- */

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
    /* measured; low and high: Wilson's 95 % interval */
    struct ft_curve_point points[FT_CURVE_POINTS];
    struct ft_power_law law;
    /* by the law, at n and 2 n pictures; low and high: its 95 % band (parametric bootstrap) */
    struct ft_curve_point now, doubled;
};
/* Heads trained on a growing share of every class, outside each fold in turn; all pictures judged
 * at every point. `fold` [n], 0 to folds - 1. L2 is chosen anew at every point where options say
 * so. `step` (may be NULL) is told how many of `of` fits are done. */
int ft_curve_measure(const float *x, const int32_t *y, const int32_t *fold, int folds, size_t n,
                     int d, int k, const struct ft_train_options *options,
                     void (*step)(void *user, size_t done, size_t of), void *user,
                     struct ft_curve *out, struct ft_error *err);
double ft_power_law_error(const struct ft_power_law *law, double images);

/* ---- pictures of no known class -------------------------------------------------------------- */

/* Each class in turn (at most FT_LEFT_OUT of them, evenly spread) is left out of a training, and
 * its pictures are told from held-out ones of the known classes by a score. A measurement on these
 * classes, no promise for others. */
enum { FT_LEFT_OUT = 10 };
struct ft_unknown {
    int left_out; /* classes */
    /* mean ROC AUC of the highest probability; NaN with fewer than three classes */
    double probability;
    /* and of the Mahalanobis distance to the nearest class's mean (Lee et al. 2018) */
    double distance;
};
/* Rows of fold 0 are held out, the others are trained on. */
int ft_unknown_measure(const float *x, const int32_t *y, const int32_t *fold, size_t n, int d,
                       int k, const struct ft_train_options *options, struct ft_unknown *out,
                       struct ft_error *err);

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
    int class;           /* where it is highest */
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

/* ---- names as text --------------------------------------------------------------------------- */

/* Bytes of the UTF-8 character that `text` begins with (1 at its end); 0: it begins with none (RFC
 * 3629: no overlong ones, no surrogates). Names of files are bytes that may be anything. */
int ft_utf8_length(const char *text);

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
/* predictions.csv, classes.csv, confusion.csv, reliability.csv and coverage.csv in a directory that
 * is there. */
int ft_report_csv(const struct ft_metrics *metrics, const struct ft_judged *judged, const char *dir,
                  struct ft_error *err);

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

/* How a head was trained and measured, as kept in a model file: the same for the same training,
 * whatever the machine's speed. */
struct ft_training {
    const struct ft_train_options *options;
    const struct ft_validation *validation;
    const struct ft_metrics *raw, *calibrated; /* of the out-of-fold probabilities */
    char *const *classes;
    const size_t *counts; /* [k] pictures of each class */
    size_t skipped;       /* bad pictures left out */
};
char *ft_report_training_json(const struct ft_training *training);
/* Why L2, weights and temperature are what they are: a sentence each. */
char *ft_report_choices_text(const struct ft_training *training);

/* ---- training pictures that a model remembers ------------------------------------------------ */

/* So that a model can say which of its training pictures another resembles. A picture is FT_CODE
 * signed bytes: its feature's direction under fixed random projections, which keeps cosines to
 * about 0.03 (Johnson and Lindenstrauss 1984). */
enum { FT_CODE = 256, FT_GALLERY_MOST = 4000 };
struct ft_gallery {
    size_t n;        /* at most FT_GALLERY_MOST, evenly spread where there were more */
    char **paths;    /* [n] below the training folder */
    int32_t *labels; /* [n] */
    int8_t *codes;   /* [n, FT_CODE] */
};
struct ft_neighbour {
    size_t row;
    double similarity; /* cosine */
};
int ft_gallery_new(const struct ft_features *features, const char *dir, struct ft_gallery **out,
                   struct ft_error *err);
void ft_gallery_free(struct ft_gallery *gallery);
/* The most similar rows first: out [count]; returns how many there are. */
size_t ft_gallery_nearest(const struct ft_gallery *gallery, const float *feature, int d,
                          size_t count, struct ft_neighbour *out);

/* Whether a file can be made or replaced at `path`, asked before long work: its directory is there
 * and lets us write, `path` itself is absent or a regular file. Leaves everything as it was. */
int ft_output_check(const char *path, struct ft_error *err);

/* ---- model files ----------------------------------------------------------------------------- */

struct ft_model;

/* Borrows nothing: classes, head and record are copied, the backbone's weights are read from its
 * file again. `record` is JSON (how it was trained and measured) kept in the model's `finetune`
 * attribute under "training"; may be NULL. `gallery` may be NULL. */
int ft_model_save(const struct ft_backbone *backbone, const struct ft_head *head,
                  char *const *classes, const char *record, const struct ft_gallery *gallery,
                  const char *path, uint64_t *bytes, struct ft_error *err);
int ft_model_open(const char *path, const struct ft_backbone_options *options,
                  struct ft_model **out, struct ft_error *err);
void ft_model_free(struct ft_model *model);
const struct ft_backbone *ft_model_backbone(const struct ft_model *model);
const struct ft_head *ft_model_head(const struct ft_model *model);
char *const *ft_model_class_names(const struct ft_model *model); /* [head->k] */
/* the JSON given to ft_model_save, or NULL */
const char *ft_model_record(const struct ft_model *model);
/* What the model remembers of its training pictures; *out is NULL when that is nothing. */
int ft_model_gallery(const struct ft_model *model, struct ft_gallery **out, struct ft_error *err);

/* ---- why a picture is classified as it is ---------------------------------------------------- */

struct ft_explanation {
    bool exact; /* a class activation map (Zhou et al. 2016): shares of a class and its bias add up
                 * to its logit. Else occlusion: what the logit loses when the cell is covered
                 * (Zeiler and Fergus 2014) */
    int height, width; /* cells of the map */
    int d, k;
    float *shares;  /* [height, width, k] */
    float *feature; /* [d] */
    float *logits;  /* [k] */
    float *p;       /* [k] */
    int picture_height, picture_width;
    /* [picture_height, picture_width, 3] what the network sees of the picture, at twice its
     * resolution */
    uint8_t *picture;
};
int ft_explain(const struct ft_model *model, const char *path, uint64_t max_pixels,
               struct ft_explanation **out, struct ft_error *err);
void ft_explanation_free(struct ft_explanation *explanation);

/* What is to be shown of an explanation: of one class, or of one against another. */
struct ft_question {
    int class, against; /* against -1: none */
};
/* One value a cell, [height * width]: the class's shares, less those of `against`. */
void ft_explanation_map(const struct ft_explanation *explanation,
                        const struct ft_question *question, float *map);
/* A PNG file: the picture, the picture under its heat map, and label, probabilities and legend
 * beside them. */
int ft_explanation_draw(const struct ft_explanation *explanation,
                        const struct ft_question *question, char *const *classes, const char *title,
                        const char *path, struct ft_error *err);

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

/* ---- this machine ---------------------------------------------------------------------------- */

int ft_cpu_count(void); /* cores this process may use */
/* memory this process may use: the machine's, or its control group's where that is less */
uint64_t ft_memory_bytes(void);
/* "avx512", "avx2" or "c": the widest kernels in use; FINETUNE_CPU narrows it */
const char *ft_cpu_name(void);

#ifdef __cplusplus
}
#endif
#endif
