/* Settings of a layer's JSON configuration: absent or null means the default, another type is an
 * error. `out` holds the default before the call. */
#ifndef FT_KERAS_FIELDS_H
#define FT_KERAS_FIELDS_H

#include <cjson/cJSON.h>

#include "finetune-tools.h"
#include "network/network.h"

/* NULL when absent or null. */
const cJSON *ft_field(const cJSON *config, const char *key);
int ft_field_int(const cJSON *config, const char *key, int least, int *out, struct ft_error *err);
/* A number or a list of two, each at least `least`. */
int ft_field_pair(const cJSON *config, const char *key, int least, int out[2],
                  struct ft_error *err);
int ft_field_bool(const cJSON *config, const char *key, bool *out, struct ft_error *err);
int ft_field_number(const cJSON *config, const char *key, double *out, struct ft_error *err);
int ft_field_padding(const cJSON *config, enum ft_padding *out, struct ft_error *err);
int ft_field_activation(const cJSON *config, enum ft_activation *out, struct ft_error *err);
/* The setting `axis`: the first of `n` axes that follow one another; -1 and 1 if absent. */
int ft_field_axes(const cJSON *config, int *out, int *n, struct ft_error *err);
/* One axis. */
int ft_field_axis(const cJSON *config, int *out, struct ft_error *err);
/* FT_EUNSUPPORTED if data_format is not channels_last. */
int ft_field_channels_last(const cJSON *config, struct ft_error *err);

/* The shortest decimal that reads back as the same float. */
cJSON *ft_json_float(float value);
void ft_add_float(cJSON *config, const char *key, float value);
void ft_add_ints(cJSON *config, const char *key, const int *values, int n);
/* Nothing for LINEAR, which is the default. */
void ft_add_activation(cJSON *config, enum ft_activation activation);
/* [name, 0, 0]: how Keras refers to the output of a layer. The caller owns it. */
cJSON *ft_make_reference(const char *name);

#endif
