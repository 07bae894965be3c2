/* --precision auto. */
#ifndef PRECISION_H
#define PRECISION_H

#include "cli.h"

/* Chooses a precision for training on the dataset, whose folder is `dir`, and reports why. The
 * choice depends on the speed of this machine at this moment. *out is static. */
int precision_choose(const struct settings *settings, const struct ft_dataset *dataset,
                     const char *dir, const char **out, struct ft_error *err);

#endif
