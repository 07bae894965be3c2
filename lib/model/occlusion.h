/* Which places of a picture a network's answer depends on, measured by covering them. */
#ifndef FT_MODEL_OCCLUSION_H
#define FT_MODEL_OCCLUSION_H

#include "backbone/backbone.h"
#include "finetune.h"

/* Fills e, whose arrays are allocated: feature, logits, and the shares, each of which is the
 * decrease of the logit when a cell is covered with the mean colour. pixels [h, w, 3] are the
 * network's input. Returns 0 or FT_ENOMEM. */
int ft_occlusion(const struct ft_backbone *b, const struct ft_head *head, const uint8_t *pixels,
                 const struct ft_explain_options *options, struct ft_explanation *e,
                 struct ft_error *err);

/* Writes logits [k] of a feature [d]. */
void ft_explanation_logits(const struct ft_head *head, const float *feature, float *logits);

#endif
