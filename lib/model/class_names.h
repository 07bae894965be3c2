/* Names of the classes of a model that another program trained: given by the user, or in a file
 * beside the model, or those of ImageNet. */
#ifndef FT_MODEL_CLASS_NAMES_H
#define FT_MODEL_CLASS_NAMES_H

#include "finetune-tools.h"

/* Names of k classes. `given` (nullable) is a list A,B,C or a file of names; else the file
 * labels.txt or class_indices.json in the folder of the model file `path` is read. *out is NULL if
 * there is none. The caller frees each name and the array with free(). A file contains
 *
 *     one name on each line, also numbered from 0 as by Teachable Machine ("0 Cat"); or
 *     a JSON array of names; or
 *     a JSON object {name: index}, as ImageDataGenerator.class_indices of Keras; or
 *     a JSON object {index: name}, where a name may be an array whose last element is the name. */
int ft_class_names_read(const char *path, const char *given, int k, char ***out,
                        struct ft_error *err);
/* The 1000 names of ImageNet in the order of the networks of keras.applications, from the weights
 * folders. *out is NULL if the file is not installed. */
int ft_class_names_imagenet(const char *weights_dir, char ***out, struct ft_error *err);

#endif
