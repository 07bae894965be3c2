/* SPDX-License-Identifier: Apache-2.0
 *
 * Model files, their training pictures, and explanations. */
#ifndef FINETUNE_MODEL_H
#define FINETUNE_MODEL_H

#include "finetune/features.h"
#include "finetune/head.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- training pictures in the model ---------------------------------------------------------- */

/* Training pictures that a model keeps, to show which of them a new picture resembles. Each is
 * FT_CODE signed bytes: the features that the head takes under fixed random projections, which keep
 * cosines to about 0.03 (Johnson and Lindenstrauss 1984). */
enum { FT_CODE = 256, FT_GALLERY_MOST = 4000 };
struct ft_gallery {
    size_t n;        /* at most FT_GALLERY_MOST; of more pictures, an evenly spaced subset */
    char **paths;    /* [n] relative to the training folder */
    int32_t *labels; /* [n] */
    int8_t *codes;   /* [n, FT_CODE] */
};
struct ft_neighbour {
    size_t row;
    double similarity; /* cosine */
};
/* Takes the last d columns of the features, those of the head. Paths below `dir` become relative to
 * it. Freed with ft_gallery_free. */
int ft_gallery_new(const struct ft_features *features, int d, const char *dir,
                   struct ft_gallery **out, struct ft_error *err);
void ft_gallery_free(struct ft_gallery *gallery);
/* Writes the rows most similar to feature [d], as in ft_gallery_new, to out [count], the most
 * similar first. Returns their number: count, gallery->n if that is less, or 0 if memory runs out.
 */
size_t ft_gallery_nearest(const struct ft_gallery *gallery, const float *feature, int d,
                          size_t count, struct ft_neighbour *out);

/* ---- model files ----------------------------------------------------------------------------- */

/* What a model consists of, besides its backbone. All pointers are borrowed. */
struct ft_model_parts {
    const struct ft_head *head;
    char *const *classes;             /* [head->k] names, UTF-8 */
    const char *record;               /* JSON: how the head was trained and measured; nullable */
    const struct ft_gallery *gallery; /* nullable */
};
/* Makes a model in memory. The parts are copied. The backbone is shared: its memory is freed once
 * the model and the caller have both freed it. */
int ft_model_new(struct ft_backbone *backbone, const struct ft_model_parts *parts,
                 struct ft_model **out, struct ft_error *err);
const struct ft_backbone *ft_model_backbone(const struct ft_model *model);
const struct ft_head *ft_model_head(const struct ft_model *model);
/* The record of ft_model_parts, also after saving and opening. NULL: none. Owned by the model. */
const char *ft_model_record(const struct ft_model *model);
/* A copy of the model's gallery, freed by the caller. *out is NULL if the model has none. */
int ft_model_gallery(const struct ft_model *model, struct ft_gallery **out, struct ft_error *err);

struct ft_export_options {
    /* also writes the names of the classes to this file, one a line; nullable */
    const char *labels;
    /* ONNX: the input is [n, 3, h, w], not [n, h, w, 3] */
    bool channels_first;
    /* ONNX: the input is uint8, not float32 */
    bool uint8;
    /* ONNX: kernels are stored as float16, which halves the file. The network computes in float32.
     */
    bool fp16;
};
/* Writes a .keras archive of Keras 3 if `path` ends in ".keras", else an ONNX file, replaced
 * atomically. Returns FT_EUNSUPPORTED if the library was built without libzip or protobuf-c.
 *
 * A .keras archive has the network and the attribute `finetune`, as the model file has. It returns
 * FT_EARG with an option that is for ONNX.
 *
 * The input of an ONNX file `image` is RGB, 0-255; its outputs
 * are `probabilities` [n, k] and `features` [n, d]; its metadata_props are the names of the classes
 * (`classes`, a JSON list), how a picture is fitted to the input (`input`), the threshold, and the
 * attribute of the model file (`finetune`). Returns FT_EUNSUPPORTED if the network has a layer that
 * ONNX cannot express.
 *
 * `options` and `bytes` are nullable. */
int ft_model_export(const struct ft_model *model, const struct ft_export_options *options,
                    const char *path, uint64_t *bytes, struct ft_error *err);

/* ---- training -------------------------------------------------------------------------------- */

struct ft_training_options {
    struct ft_train_options head;
    const char
        *dir; /* the folder of the pictures: paths in the gallery are relative to it. NULL: "" */
    /* an extended regular expression that puts pictures into groups, as `pattern` of ft_groups.
     * NULL: only copies of a picture are in one group */
    const char *group_by;
    size_t skipped; /* the number of bad pictures, for the record */
};
#define FT_TRAINING_DEFAULTS FT_DEFAULTS

/* A head, and how it was trained and measured. All members are owned, except `classes`. */
struct ft_training {
    struct ft_train_options options;
    struct ft_head *head;
    struct ft_validation *validation;
    /* [n_blocks] ft_head_contributions of the layers; NULL: the head takes the last layer only */
    double *contributions;
    int n_blocks;
    /* Of the out-of-fold probabilities. Accuracy and interval of `calibrated` are those of
     * `validation`; its other figures are those of the first repetition. */
    struct ft_metrics *raw, *calibrated;
    char *const *classes; /* [k] borrowed from the caller of ft_training_run */
    size_t *counts;       /* [k] pictures of each class */
    size_t skipped;       /* bad pictures left out */
    /* JSON for ft_model_parts. It depends on the pictures and options only, not on the machine */
    char *record;
    struct ft_gallery *gallery; /* nullable */
};
/* Trains a head on features with labels from 0 to k - 1, and measures it by cross-validation. All
 * pictures of a group are in the same fold. `classes` [k] must outlive the training. `options` is
 * nullable. */
int ft_training_run(const struct ft_features *features, char *const *classes, int k,
                    const struct ft_training_options *options, struct ft_training **out,
                    struct ft_error *err);
/* The trained model: ft_model_new with the parts of the training. */
int ft_training_model(const struct ft_training *training, struct ft_backbone *backbone,
                      struct ft_model **out, struct ft_error *err);
void ft_training_free(struct ft_training *training);

/* ---- why a picture is classified as it is ---------------------------------------------------- */

struct ft_explanation {
    /* true: a class activation map (Zhou et al. 2016); the sum of the shares of a class, of what
     * comes from elsewhere, and of its bias is its logit. false: occlusion (Zeiler and Fergus
     * 2014); a share is the decrease of the logit when the cell is covered */
    bool exact;
    int height, width; /* cells of the map */
    int d, k;
    float *shares;    /* [height, width, k] */
    float *elsewhere; /* [k] from features that belong to no place, such as a class token */
    float *feature;   /* [d] */
    float *logits;    /* [k] */
    float *p;         /* [k] */
    int picture_height, picture_width;
    /* [picture_height, picture_width, 3] RGB: the network's input at twice its resolution */
    uint8_t *picture;
};
/* A zeroed struct means the defaults. */
struct ft_explain_options {
    uint64_t max_pixels; /* a larger picture is an error; 0: 256 megapixels */
    bool occlude;        /* by occlusion, also if the network has a class activation map */
    int threads;         /* of occlusion; 0: one per core */
    /* Called during occlusion, on the thread of the caller: `done` of `total` covered copies of the
     * picture were run. Nullable. */
    void (*progress)(void *user, size_t done, size_t total);
    void *user;
};
/* Explains the picture in a file. `options` is nullable. *out must be freed with
 * ft_explanation_free. Thread safety: as for ft_predict_file. */
int ft_explain(const struct ft_model *model, const char *path,
               const struct ft_explain_options *options, struct ft_explanation **out,
               struct ft_error *err);
void ft_explanation_free(struct ft_explanation *explanation);

/* What a map shows: the evidence for a class, or for one class against another. */
struct ft_question {
    int class_index, against; /* against -1: none */
};
/* Writes map [height, width]: the shares of the class minus the shares of `against`. */
void ft_explanation_map(const struct ft_explanation *explanation,
                        const struct ft_question *question, float *map);
/* Writes a PNG file, replaced atomically: the picture, the picture with its heat map, the label,
 * the probabilities and a legend. */
int ft_explanation_draw(const struct ft_explanation *explanation,
                        const struct ft_question *question, char *const *classes, const char *title,
                        const char *path, struct ft_error *err);

#ifdef __cplusplus
}
#endif
#endif
