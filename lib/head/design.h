/* The matrix every fit works on: features standardised over all rows, so that float32 keeps its digits whatever their offset and
 * scale. A fit on some of the rows standardises again, by `shift` and `scale`, without touching the matrix. */
#ifndef FT_HEAD_DESIGN_H
#define FT_HEAD_DESIGN_H

#include "base/thread.h"
#include "finetune.h"

struct ft_design {
    size_t n;
    int d;
    float *x;               /* [n, d] (raw - mean) * scale */
    double *mean, *scale;   /* [d] scale: 1 / standard deviation, or 0 for a feature that does not vary */
};

/* FT_EFORMAT when a feature is not a finite number. */
int ft_design_init(struct ft_design *out, const float *raw, size_t n, int d, struct ft_team *team, struct ft_error *err);
void ft_design_release(struct ft_design *design);

/* The same moments over the rows with weight > 0 of design->x: shift [d] mean, scale [d] 1 / sd or 0. */
void ft_design_moments(const struct ft_design *design, const float *weight, float *shift, float *scale);

#endif
