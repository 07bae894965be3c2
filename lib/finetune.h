/* SPDX-License-Identifier: Apache-2.0
 *
 * libfinetune trains image classifiers on folders of labelled pictures, and runs them. This header
 * has what a program needs that embeds the library. finetune-tools.h adds what the command line is
 * made of.
 *
 * Errors. A function that can fail returns 0 or a negative FT_E..., and then fills `err`, which is
 * nullable. On failure the other outputs are unchanged.
 *
 * Ownership. Objects from _new, _open and _train functions are freed with the _free function of
 * their type, which accepts NULL. Getters return memory that the object owns.
 *
 * Options. A struct of options filled with zeros, its ..._DEFAULTS, and NULL in place of its
 * address all mean the documented defaults.
 *
 * Threads. Different objects may be used by different threads at the same time. A const model or
 * backbone may be used by any number of threads at the same time; changing or freeing an object
 * needs that no other thread uses it. Files may be opened and saved by several threads at the same
 * time, but not while another thread of the program is inside HDF5.
 *
 * The process. The library never prints, exits, installs signal handlers, or changes a file of
 * pictures. These effects concern the whole process: the first call that opens a network sets
 * OpenBLAS to one thread, because this library has threads of its own; cJSON's allocator is set
 * when the program starts, to one that is compatible with malloc and free; and HDF5 runs in child
 * processes. Functions that open or save a network, a model or features call fork() and wait for
 * the child with waitpid(), so a handler of SIGCHLD is called once for each. A crash of HDF5 on a
 * damaged file is therefore an error here. Files that the library writes are replaced atomically.
 *
 * Compatibility. Before version 1.0 functions and structs may change with each minor version (0.2,
 * 0.3): compile the program again. The library is static, so an installed program keeps working.
 * Model files of earlier versions stay readable.
 */
#ifndef FINETUNE_H
#define FINETUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Initialises any struct of options: all its members have their defaults. */
#ifdef __cplusplus
#define FT_DEFAULTS                                                                                \
    {                                                                                              \
    }
extern "C" {
#else
#define FT_DEFAULTS                                                                                \
    {                                                                                              \
        0                                                                                          \
    }
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

/* One line without a full stop: what failed, the subject in quotes, and what to do. */
struct ft_error {
    int code;
    char msg[1000];
};

const char *ft_version(void); /* "0.2.0" */

/* ---- networks and features ------------------------------------------------------------------- */

/* A frozen network that turns a picture into a feature vector of d floats. */
struct ft_backbone;

/* How a network file is read. */
struct ft_backbone_options {
    /* where bundled networks are searched. NULL: $FINETUNE_WEIGHTS, then the installed folder */
    const char *weights_dir;
    /* how a picture becomes the input: "crop", "squash" or "pad". NULL: as the file says, else
     * "crop" */
    const char *rule;
    /* the layer whose output is the feature. NULL: the input of the last Dense layer, or the
     * network's output if it has none */
    const char *layer;
    /* which layers the feature consists of. "last" or NULL: `layer` alone. "all": also the averages
     * of one map for each block of the network, before those of `layer`. "NAME,NAME": also the
     * averages of these layers */
    const char *layers;
    /* a second network, named as the first one is: both take the same input, and the feature is
     * that of both, one after the other. Without `size`, the larger input size of the two is used.
     * NULL: none */
    const char *beside;
    const char *preprocess; /* "tf", "torch", "caffe", "none" or "SCALE,OFFSET". NULL: recognised */
    /* names of the classes of a model that another program trained: A,B,C or a file with one name
     * on each line. NULL: labels.txt or class_indices.json beside the model */
    const char *classes;
    const char *architecture; /* of a file that has weights only. NULL: recognised */
    /* "f32", "bf16" or "int8" (enum ft_precision). NULL: as the file says, else "f32". That of a
     * trained model cannot be changed. "int8" is for ft_model_train, or for files that were saved
     * with it */
    const char *precision;
    /* a folder, for instance that of a cache, in which ranges of int8 that were measured on
     * pictures are kept for the next time. NULL: none */
    const char *ranges_dir;
    int size; /* of the input, in pixels. 0: as the file says, else 224 */
    /* Convert the colours of pictures with an ICC profile to sRGB. A model that was trained with it
     * always does. Needs lcms2. */
    bool icc;
};
#define FT_BACKBONE_DEFAULTS FT_DEFAULTS

/* `name` is a file, or the name of a network in the weights folder ("efficientnet-lite0"). NULL:
 * the bundled network. `options` is nullable. */
int ft_backbone_open(const char *name, const struct ft_backbone_options *options,
                     struct ft_backbone **out, struct ft_error *err);
void ft_backbone_free(struct ft_backbone *backbone);
int ft_backbone_features(const struct ft_backbone *backbone); /* d */

/* A decoded picture: 8-bit RGB, upright. */
struct ft_pixels {
    const uint8_t *rgb; /* [height, width, 3] */
    int width, height;  /* 1 to 65536 */
    size_t stride;      /* bytes from one row to the next. 0: 3 * width */
};

/* The feature [d] of one picture: a picture file (ft_picture_formats lists the formats), the bytes
 * of such a file, or pixels. The
 * calling thread does all the work; many threads may call at the same time. */
int ft_feature_file(const struct ft_backbone *backbone, const char *path, float *feature,
                    struct ft_error *err);
int ft_feature_bytes(const struct ft_backbone *backbone, const void *data, size_t size,
                     float *feature, struct ft_error *err);
int ft_feature_pixels(const struct ft_backbone *backbone, const struct ft_pixels *pixels,
                      float *feature, struct ft_error *err);

/* ---- models ---------------------------------------------------------------------------------- */

/* A backbone, a classifier head and the names of its k classes. */
struct ft_model;

/* Opens a file that was written by ft_model_save, or any Keras file that ends in a softmax, in one
 * sigmoid (two classes), in several sigmoids, or in logits. `options` is nullable. */
int ft_model_open(const char *path, const struct ft_backbone_options *options,
                  struct ft_model **out, struct ft_error *err);
/* Writes a Keras HDF5 file, replaced atomically. `bytes` (nullable) receives its size. */
int ft_model_save(const struct ft_model *model, const char *path, uint64_t *bytes,
                  struct ft_error *err);
void ft_model_free(struct ft_model *model);

int ft_model_classes(const struct ft_model *model); /* k */
/* Whether several classes may apply to one picture: their probabilities do not add up to 1. */
bool ft_model_independent(const struct ft_model *model);
char *const *ft_model_class_names(const struct ft_model *model); /* [k] UTF-8 */
/* The share of the training pictures that were classified correctly by cross-validation, 0 to 1.
 * Negative: not known. */
double ft_model_accuracy(const struct ft_model *model);
/* A prediction whose highest probability is lower should count as "unknown": 99 % of the training
 * pictures reached it by cross-validation. Negative: not known. */
double ft_model_threshold(const struct ft_model *model);

/* Calibrated probabilities [k] of the classes for one picture, given as for ft_feature_file. */
int ft_predict_file(const struct ft_model *model, const char *path, float *probabilities,
                    struct ft_error *err);
int ft_predict_bytes(const struct ft_model *model, const void *data, size_t size,
                     float *probabilities, struct ft_error *err);
int ft_predict_pixels(const struct ft_model *model, const struct ft_pixels *pixels,
                      float *probabilities, struct ft_error *err);

/* ---- training -------------------------------------------------------------------------------- */

#define FT_L2_NONE (-1.0)
enum ft_class_weight {
    FT_WEIGHT_AUTO,     /* balanced if classes have different numbers of pictures */
    FT_WEIGHT_NONE,     /* each picture counts the same */
    FT_WEIGHT_BALANCED, /* each class counts the same */
};

/* How features are scaled before the fit; v_j is the variance of feature j over the training rows
 * (of the fold, in cross-validation). */
enum ft_scale {
    FT_SCALE_FLOOR,    /* 1 / sqrt(v_j + mean of v): rarely active features get no large weight */
    FT_SCALE_STANDARD, /* 1 / sqrt(v_j) */
};

struct ft_train_options {
    /* strength of the L2 penalty on scaled features. 0: the best of 9 or more values by
     * cross-validation. FT_L2_NONE: no penalty */
    double l2;
    int folds; /* of the cross-validation. 0: 5 */
    enum ft_class_weight class_weight;
    uint64_t seed; /* of the assignment to folds */
    int threads;   /* 0: one per core. Results do not depend on it */
    enum ft_scale scale;
    /* Of features of several layers: the variance that the layers before the last have together,
     * relative to that of the last (lib/head/design.h). 0: the best of several values, 0 among
     * them, by cross-validation. FT_DEPTH_NONE: the last layer only */
    double depth;
};
#define FT_DEPTH_NONE     (-1.0)
#define FT_TRAIN_DEFAULTS FT_DEFAULTS

struct ft_model_train_options {
    const char *backbone; /* as `name` of ft_backbone_open. NULL: the bundled network */
    /* how that is read. layers NULL: "all" for up to 20 000 pictures, else "last" */
    struct ft_backbone_options network;
    struct ft_train_options head;
    uint64_t max_pixels; /* a larger picture is a bad picture. 0: 256 megapixels */
    /* an extended regular expression: pictures stay in one fold if its first (...) matches the same
     * text in their paths. NULL: only copies of a picture stay in one fold */
    const char *group_by;
    const char *cache; /* a folder in which features are kept for the next training. NULL: none */
    /* Both are nullable and called by one thread at a time, which may be a thread of the library.
     * `progress` returns nonzero to cancel: the training then returns FT_ECANCELLED. A picture that
     * cannot be read is left out of the training after `bad_picture`. */
    int (*progress)(void *user, size_t done, size_t total);
    void (*bad_picture)(void *user, const char *path, const char *reason);
    void *user;
};
#define FT_MODEL_TRAIN_DEFAULTS FT_DEFAULTS

/* Trains on a folder: each directory in it is a class. Features are held in memory, twice 4 * d
 * bytes a picture. `options` is nullable. Accuracy and threshold are known afterwards. */
int ft_model_train(const char *dir, const struct ft_model_train_options *options,
                   struct ft_model **out, struct ft_error *err);

/* Features with their labels. All pointers are borrowed. */
struct ft_samples {
    size_t n;
    const float *x;         /* [n, d] of the backbone, for instance from ft_feature_pixels */
    const int32_t *labels;  /* [n] 0 to n_classes - 1 */
    const uint64_t *groups; /* [n] rows with the same number stay in one fold. NULL: no groups */
    int n_classes;
    char *const *classes; /* [n_classes] names, UTF-8 */
};
/* Trains on features. The model shares the backbone, which the caller still frees. `options` is
 * nullable. */
int ft_model_train_features(struct ft_backbone *backbone, const struct ft_samples *samples,
                            const struct ft_train_options *options, struct ft_model **out,
                            struct ft_error *err);

#ifdef __cplusplus
}
#endif
#endif
