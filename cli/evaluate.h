/* Measuring a head on labelled pictures: evaluate, and train --val. */
#ifndef FT_CLI_EVALUATE_H
#define FT_CLI_EVALUATE_H

#include "cli.h"

struct evaluation {
    struct ft_dataset *dataset; /* owned */
    struct pictures pictures;
    size_t left_out; /* pictures of classes that the model does not have */
    float *p;        /* [n, k] */
    struct ft_metrics *metrics;
    struct ft_judged judged; /* borrows from the members above */
};

/* Replaces the labels of a dataset, by the names of its classes, with indices into `classes` [k].
 * Pictures of other classes are removed, after a note; an error if none are left. `name` is the
 * dataset's name in messages. */
int match_classes(struct ft_dataset *dataset, const char *name, char *const *classes, int k,
                  struct ft_error *err);
/* `dataset`, whose labels are indices into `classes`, becomes owned by `out`, which must be
 * released also after a failure. Lists bad pictures. */
int evaluate_dataset(const struct ft_backbone *backbone, const struct ft_head *head,
                     char *const *classes, struct ft_dataset *dataset, const char *name,
                     const struct settings *settings, struct evaluation *out, struct ft_error *err);
/* The same for a model that may give several labels; prints the result and returns the exit status.
 */
int evaluate_labels(const struct settings *settings, const struct ft_model *model);
/* Checks --min-recall; prints a message for each label that does not reach it. */
bool labels_meet_minima(const struct settings *settings, const struct ft_label_metrics *metrics,
                        const struct ft_model *model);
void evaluation_release(struct evaluation *evaluation);

#endif
