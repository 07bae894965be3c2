/* Class names that Teachable Machine exports beside its keras_model.h5. */
#ifndef FT_MODEL_LABEL_FILE_H
#define FT_MODEL_LABEL_FILE_H

#include "finetune-tools.h"

/* Names of k classes from the file labels.txt beside `path`, "0 Cat" on each line. *out is NULL if
 * there is no such file. The caller frees each name and the array with free(). */
int ft_label_file_read(const char *path, int k, char ***out, struct ft_error *err);

#endif
