/* predict --threshold: the probability that a class must reach. */
#ifndef FT_CLI_THRESHOLDS_H
#define FT_CLI_THRESHOLDS_H

#include "cli.h"

/* Checks what can be checked without a model; returns 0, or EXIT_USAGE after a message. */
int thresholds_check(const struct settings *settings);
/* Fills out [k] from --threshold: a number for all classes, CLASS=P for single ones, or both,
 * separated by commas; auto: the threshold stored in the model. Default: 0, or 0.5 if the classes
 * of the model are independent. */
int thresholds_read(const struct settings *settings, const struct ft_model *model, double *out,
                    struct ft_error *err);

#endif
