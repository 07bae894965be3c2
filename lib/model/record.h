/* Parts of the training's record that other JSON has, too. Private to the library. */
#ifndef FT_MODEL_RECORD_H
#define FT_MODEL_RECORD_H

#include <cjson/cJSON.h>

#include "finetune-tools.h"

/* Adds the object `baseline` with class, accuracy, p_value and beaten; null if there is none. */
void ft_baseline_add_json(cJSON *json, const struct ft_metrics *metrics, char *const *classes);

#endif
