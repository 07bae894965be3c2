/* Training on rows that are not features of pictures in files. Private to the library. */
#ifndef FT_MODEL_TRAINING_H
#define FT_MODEL_TRAINING_H

#include "finetune-tools.h"

/* As ft_training_run, for any rows and groups. The training has no gallery. `options` is not
 * nullable. */
int ft_training_fit(const struct ft_training_set *set, char *const *classes, size_t skipped,
                    const struct ft_train_options *options, struct ft_training **out,
                    struct ft_error *err);

#endif
