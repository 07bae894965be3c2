/* The matrix that every fit uses: features, centred and scaled over all rows, so that float32 is
 * precise enough for any offset and unit. Features in memory are scaled once, into a copy. Features
 * in a scratch file are read and scaled one block of rows at a time, with bitwise equal results. A
 * fit on some of the rows has a `shift` and a `scale` of its own, which are applied to the scaled
 * features.
 *
 * Scales by enum ft_scale, v_j the variance of feature j over the rows in question:
 *     FT_SCALE_FLOOR     1 / sqrt(v_j + mean of v): a rarely active feature gets no large scale
 *     FT_SCALE_STANDARD  1 / sqrt(v_j)
 *
 * Features of several layers are blocks of columns, the last layer's the last. The mean of v is
 * that of the block, T_b is the sum of v_j / (v_j + mean of v) over block b. The scales of every
 * block but the last are multiplied by sqrt(w * T_last / T_b * d_b / D), where d_b is the number of
 * its columns and D the sum of d_b over these blocks. So all of them together have w times the
 * variance of the last block, and with w = 0 only the last block counts. */
#ifndef FT_HEAD_DESIGN_H
#define FT_HEAD_DESIGN_H

#include "base/matrix.h"
#include "base/thread.h"
#include "finetune-tools.h"

struct ft_scaling {
    enum ft_scale rule;
    bool none;         /* the features are scaled already: they are neither centred nor scaled */
    const int *blocks; /* [n_blocks] columns of each; NULL: one block */
    int n_blocks;
    double depth; /* w */
};

struct ft_design {
    size_t n;
    int d;
    bool triangular; /* x [n, n] is 0 right of its diagonal */
    /* [n, d] (raw - mean) * scale; NULL: computed from `raw` on demand */
    float *x;
    struct ft_matrix raw;
    double *mean, *scale; /* [d]; scale is 0 for a feature that does not vary */
    struct ft_scaling scaling;
    double row_square; /* mean over the rows of the squared length of a row of x */
};

/* Borrows raw and the blocks. Returns FT_EFORMAT if a feature is not a finite number. */
int ft_design_init(struct ft_design *out, const struct ft_matrix *raw,
                   const struct ft_scaling *scaling, struct ft_team *team, struct ft_error *err);
void ft_design_release(struct ft_design *design);

/* Rows [from, from + rows) of the design, [rows, d]: borrowed from the design, or computed in the
 * buffer room [rows, d]. May be called by any thread; sequential reads are prefetched. Rows that
 * cannot be read are zero; ft_design_status returns the error from then on. */
const float *ft_design_rows(const struct ft_design *design, size_t from, size_t rows, float *room);
int ft_design_status(const struct ft_design *design, struct ft_error *err);
/* Returns a buffer for ft_design_rows of `rows` rows (small where rows are borrowed), or NULL if
 * memory runs out. Must be freed with free(). */
float *ft_design_room(const struct ft_design *design, size_t rows);

/* Computes shift [d] and scale [d] for `count` fits in one pass. Fit i has the rows with weight[i]
 * [n] > 0. Over these rows, (x - shift[i]) * scale[i] is centred and scaled by the rule. */
int ft_design_moments(const struct ft_design *design, const float *const *weight, size_t count,
                      float *const *shift, float *const *scale, struct ft_team *team,
                      struct ft_error *err);

#endif
