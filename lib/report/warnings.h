/* How a classifier compares with always answering with the largest class. */
#ifndef FT_REPORT_WARNINGS_H
#define FT_REPORT_WARNINGS_H

#include <cjson/cJSON.h>

#include "finetune.h"

/* Adds the object `baseline` with class, accuracy, p_value and beaten; null if there is none. */
void ft_report_add_baseline(cJSON *json, const struct ft_metrics *metrics, char *const *classes);

#endif
