/* Measuring a head on a folder: evaluate, and train --val. */
#ifndef FT_CLI_EVALUATE_H
#define FT_CLI_EVALUATE_H

#include "cli.h"

struct evaluation {
    struct ft_dataset *dataset;
    struct pictures pictures;
    float *p; /* [n, k] */
    struct ft_metrics *metrics;
    struct ft_judged judged; /* lends all of this */
};

/* Labels of the folder become the model's, by name: map [d->n_classes], or NULL to only ask whether
 * all are there. */
int match_classes(const struct ft_dataset *d, const char *dir, char *const *classes, int k,
                  int32_t *map, struct ft_error *err);
/* The folder's directories must be named as `classes`; `dir` NULL: what the settings' arguments
 * name. Lists bad pictures. */
int evaluate_folder(const struct ft_backbone *backbone, const struct ft_head *head,
                    char *const *classes, const char *dir, const struct settings *settings,
                    struct evaluation *out, struct ft_error *err);
void evaluation_release(struct evaluation *evaluation);

#endif
