/* Layers over other axes than the last, by layers that bring these axes to the end. Private to
 * keras/. */
#ifndef FT_KERAS_AXES_H
#define FT_KERAS_AXES_H

#include "keras/operation_steps.h"

/* Axes without the batch, as Keras counts them: tokens have 2. Returns their number, 0 if it is not
 * known; lengths that are not known are 0. */
int ft_axes_of(const struct ft_build *b, int x, int lengths[3]);
/* Swaps axis `axis` (from 1) of x with the last. */
int ft_axes_swap(struct ft_build *b, int x, int axis, int *out);
/* x as n axes of these lengths; one of them may be -1. */
int ft_axes_reshape(struct ft_build *b, int x, const int *lengths, int n, int *out);
/* Layer i is over draft_layer.axis and n_axes: one axis of all inputs, or the last ones of its only
 * input. Adds what is needed for it to be over the last axis; *last gives its output as before. */
int ft_axes_move(struct ft_build *b, int i, int *last);

#endif
