/* The record of a training as JSON. Private to the library. */
#ifndef FT_MODEL_RECORD_H
#define FT_MODEL_RECORD_H

#include <cjson/cJSON.h>

#include "finetune-tools.h"

/* The record of a training, from all other members. It must be freed with free(). Returns NULL if
 * memory runs out. */
char *ft_training_record(const struct ft_training *training);
/* Adds the object `baseline` with class, accuracy, p_value and beaten; null if there is none. */
void ft_baseline_add_json(cJSON *json, const struct ft_metrics *metrics, char *const *classes);

#endif
