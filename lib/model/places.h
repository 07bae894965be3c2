/* Which places of a picture the features come from. Private to model/. */
#ifndef FT_MODEL_PLACES_H
#define FT_MODEL_PLACES_H

#include "network/network.h"

/* Some features, one after the other: the average of a map, or a vector that belongs to no place,
 * such as a class token. */
struct ft_part {
    int layer;           /* of the map; -1: a vector */
    int from, d;         /* features */
    int rows, columns;   /* of the map, or of the patches whose tokens it has */
    int first, n_tokens; /* the token of the first patch, and all tokens: rows * columns, or more */
};

/* The parts of the output of a network whose input has height x width. All layers must be needed
 * for the output. *out [*n] must be freed with free(). */
int ft_parts_find(const struct ft_network *network, int height, int width, struct ft_part **out,
                  int *n, struct ft_error *err);

#endif
