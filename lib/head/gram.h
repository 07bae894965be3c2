/* The dual form of a design with fewer rows than columns. Fits depend on the features only through
 * the products of rows, so K = Z Z^T [n, n] stands for a design of any width: Z, its Cholesky
 * factor, has n columns, and a fit on Z has the same predictions for all rows. With features of
 * several layers K is a sum,
 *
 *     K(w) = last + w * others
 *
 * where `last` and `others` are the products of the blocks' scaled features at w = 1. So one pass
 * over the features serves every w. */
#ifndef FT_HEAD_GRAM_H
#define FT_HEAD_GRAM_H

#include "head/design.h"

struct ft_gram {
    size_t n;
    float *last, *others; /* [n, n] lower triangles */
};

/* The products of rows [m] (indices, in ascending order) of a design that was made with depth 1 and
 * has several blocks. */
int ft_gram_init(struct ft_gram *out, const struct ft_design *design, const size_t *rows, size_t m,
                 struct ft_team *team, struct ft_error *err);
void ft_gram_release(struct ft_gram *gram);
/* Makes the design Z of K(w). It is scaled already. Freed with ft_design_release. */
int ft_gram_design(const struct ft_gram *gram, double depth, struct ft_design *out,
                   struct ft_error *err);

#endif
