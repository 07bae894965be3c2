/* Rows of logits z [k]: probabilities, losses, and what a gradient needs. */
#ifndef FT_HEAD_SOFTMAX_H
#define FT_HEAD_SOFTMAX_H

#include "finetune/head.h"

/* The logits [k] of a head to its probabilities: softmax, or sigmoids if its classes are
 * independent. `p` may be `logits`. */
void ft_head_apply(const struct ft_head *head, const float *logits, float *p);

/* z [k] logits to probabilities of z / temperature, in double inside. */
void ft_softmax(const float *z, int k, double temperature, float *p);
/* -log p_y of logits z [k] / temperature, exact where p_y is close to 1. */
double ft_softmax_loss(const float *z, int k, int y, double temperature);
/* z [k] becomes weight * (p - onehot(y)); returns -log p_y. */
double ft_softmax_residual(float *z, int k, int y, double weight);
/* The same for two classes with the one column u that stands for the pair (-u/sqrt 2, u/sqrt 2). */
double ft_softmax_residual_pair(float *u, int y, double weight);

#endif
