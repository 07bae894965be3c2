/* Measuring a head on a folder: evaluate, and train --val. */
#ifndef FT_CLI_EVALUATE_H
#define FT_CLI_EVALUATE_H

#include "cli.h"

/* The folder's directories must be named as `classes`. Lists bad pictures and counts them. */
int evaluate_folder(const struct ft_backbone *backbone, const struct ft_head *head, char *const *classes, const char *dir,
                    const struct settings *settings, struct ft_metrics **out, size_t *n_bad, struct ft_error *err);

#endif
