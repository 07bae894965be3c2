/* Operators on constants (fold_shapes.c). */
#ifndef FT_ONNX_FOLD_H
#define FT_ONNX_FOLD_H

#include "onnx/import.h"

enum { FT_FOLD_FEW = 8 }; /* inputs of a folded operator, apart from Concat */

struct ft_fold {
    struct ft_import *x;
    const struct ft_constant *in[FT_FOLD_FEW]; /* NULL: absent */
    struct ft_constant out;
};

/* Sets f->out. Returns 0 or an error. */
typedef int ft_fold_function(struct ft_fold *f, int detail);

/* Computes the current node from f->in. *done: whether it is one of the operators of the table. */
int ft_fold_run(struct ft_fold *f, bool *done);

/* Allocates the values of f->out, whose shape is set. */
int ft_fold_make(struct ft_fold *f, bool integer);
/* Gives f->out the values of the first input. */
int ft_fold_same_values(struct ft_fold *f);
/* Sets the shape of f->out to that of the first n inputs, each repeated over the others. */
int ft_fold_broadcast(struct ft_fold *f, int n);
/* Decodes index k of a tensor of these dims. */
void ft_fold_place(size_t k, int rank, const int64_t *dims, int64_t *at);
/* An index v of an axis of n values, counted from the end if it is negative, limited to low..high.
 */
int64_t ft_fold_limited(int64_t v, int64_t n, int64_t low, int64_t high);

/* Operators that change the shape. */
ft_fold_function ft_fold_reshape, ft_fold_squeeze, ft_fold_transpose, ft_fold_expand, ft_fold_tile,
    ft_fold_slice, ft_fold_gather, ft_fold_concat;
/* Indices of several axes. */
ft_fold_function ft_fold_gather_nd, ft_fold_scatter_nd;

#endif
