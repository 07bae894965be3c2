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

/* ---- training pictures that a model remembers ------------------------------------------------ */

/* Training pictures that a model keeps, to show which of them a new picture resembles. Each is
 * FT_CODE signed bytes: its feature under fixed random projections, which keep cosines to about
 * 0.03 (Johnson and Lindenstrauss 1984). */
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
/* Paths below `dir` become relative to it. Freed with ft_gallery_free. */
int ft_gallery_new(const struct ft_features *features, const char *dir, struct ft_gallery **out,
                   struct ft_error *err);
void ft_gallery_free(struct ft_gallery *gallery);
/* Writes the rows most similar to feature [d] to out [count], the most similar first. Returns their
 * number: count, gallery->n if that is less, or 0 if memory runs out. */
size_t ft_gallery_nearest(const struct ft_gallery *gallery, const float *feature, int d,
                          size_t count, struct ft_neighbour *out);

/* ---- model files ----------------------------------------------------------------------------- */

/* How a head was trained and measured. All pointers are borrowed. */
struct ft_training {
    const struct ft_train_options *options;
    const struct ft_validation *validation;
    const struct ft_metrics *raw, *calibrated; /* of the out-of-fold probabilities */
    char *const *classes;
    const size_t *counts; /* [k] pictures of each class */
    size_t skipped;       /* bad pictures left out */
};
/* The training as JSON, for ft_model_new. It is the same for the same training at any speed. The
 * caller frees it with free(). Returns NULL if memory runs out. */
char *ft_training_record(const struct ft_training *training);

/* Makes a model in memory. The head, the classes [head->k], the record and the gallery are copied.
 * The backbone is shared: its memory is freed once the model and the caller have both freed it.
 * `record` (nullable) is JSON: how the model was trained and measured (ft_training_record).
 * `gallery` is nullable. */
int ft_model_new(struct ft_backbone *backbone, const struct ft_head *head, char *const *classes,
                 const char *record, const struct ft_gallery *gallery, struct ft_model **out,
                 struct ft_error *err);
const struct ft_backbone *ft_model_backbone(const struct ft_model *model);
const struct ft_head *ft_model_head(const struct ft_model *model);
/* The JSON that was given to ft_model_new, also after saving and opening; NULL: none. */
const char *ft_model_record(const struct ft_model *model);
/* A copy of the model's gallery, freed by the caller. *out is NULL if the model has none. */
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
    int class_index, against; /* against -1: none */
};
/* One value a cell, [height * width]: the class's shares, less those of `against`. */
void ft_explanation_map(const struct ft_explanation *explanation,
                        const struct ft_question *question, float *map);
/* A PNG file: the picture, the picture under its heat map, and label, probabilities and legend
 * beside them. */
int ft_explanation_draw(const struct ft_explanation *explanation,
                        const struct ft_question *question, char *const *classes, const char *title,
                        const char *path, struct ft_error *err);

#ifdef __cplusplus
}
#endif
#endif
