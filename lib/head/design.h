/* The matrix every fit works on: features standardised over all rows, so that float32 keeps its
 * digits whatever their offset and scale. Features in memory are standardised once, into a copy;
 * those in a scratch file are read and standardised a block of rows at a time, to the same bits. A
 * fit on some of the rows standardises again, by `shift` and `scale`, without touching the matrix.
 */
#ifndef FT_HEAD_DESIGN_H
#define FT_HEAD_DESIGN_H

#include "base/matrix.h"
#include "base/thread.h"
#include "finetune-tools.h"

struct ft_design {
    size_t n;
    int d;
    /* [n, d] (raw - mean) * scale; NULL: made of `raw` when it is asked for */
    float *x;
    struct ft_matrix raw;
    /* [d] scale: 1 / standard deviation, or 0 for a feature that does not vary */
    double *mean, *scale;
};

/* Borrows raw. FT_EFORMAT when a feature is not a finite number. */
int ft_design_init(struct ft_design *out, const struct ft_matrix *raw, struct ft_team *team,
                   struct ft_error *err);
void ft_design_release(struct ft_design *design);

/* Rows [from, from + rows), standardised, [rows, d]: lent, or made in room [rows, d]. Any thread;
 * loops that go on from where they ended find the next rows read already. Rows that cannot be read
 * are zero, and ft_design_status is not from then on. */
const float *ft_design_rows(const struct ft_design *design, size_t from, size_t rows, float *room);
int ft_design_status(const struct ft_design *design, struct ft_error *err);
/* malloc'd: the room that `rows` rows need. Never NULL but for want of memory, though small where
 * rows are lent. */
float *ft_design_room(const struct ft_design *design, size_t rows);

/* The same moments over the rows with weight[i] > 0, for `count` weights [n] in one pass: shift[i]
 * [d] mean, scale[i] [d] 1 / sd or 0. */
int ft_design_moments(const struct ft_design *design, const float *const *weight, size_t count,
                      float *const *shift, float *const *scale, struct ft_team *team,
                      struct ft_error *err);

#endif
