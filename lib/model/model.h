/* A model file is a Keras file: the backbone, then a Dense softmax. Keras has no place for some
 * facts. They are in the root attribute `finetune`:
 *
 *     {"format": 1, "classes": [...], "input": {...}, "backbone": {"name", "hash"}, "training":
 *         {...}}
 *
 * If products are not float32, "backbone" also has "precision" ("bf16", "int8"), and the format is
 * 2, so that versions which do not know precisions refuse the file. With int8 it also has "ranges":
 * a list of [layer, lowest, highest], the range of the values of each layer's output, which may go
 * on with a text, the balance of the channels (struct ft_range), and the range of the balanced
 * values.
 *
 * If the features come from several layers, "backbone" also has "blocks": a list of {"layer",
 * "features"}, the name of each and how many features it gives, in the order of the features.
 *
 * Private to the library. */
#ifndef FT_MODEL_MODEL_H
#define FT_MODEL_MODEL_H

#include "backbone/backbone.h"

#define FT_MODEL_FORMAT 2 /* the highest that this version reads */

struct ft_model {
    struct ft_backbone *backbone;
    struct ft_head head;
    char **classes;             /* [head.k] */
    char *record;               /* JSON; nullable */
    double threshold, accuracy; /* from the record; -1: not known */
    bool in_memory;             /* not read from a file: the gallery is here */
    struct ft_gallery *gallery; /* NULL: none, or in the file */
};

/* The contents of the attribute `finetune`; *out must be freed with free(). */
int ft_model_attribute(const struct ft_model *model, char **out, struct ft_error *err);
/* An empty model: threshold and accuracy are not known. Returns NULL if memory runs out. */
struct ft_model *ft_model_alloc(void);
/* Sets threshold and accuracy if the record (nullable) has them. */
void ft_model_read_record(struct ft_model *model, const cJSON *record);

#endif
