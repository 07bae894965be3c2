/* What exporters write between the product of queries and keys and its softmax: factors, and
 * constants that are added, such as relative positions and masks. Private to onnx/. */
#ifndef FT_ONNX_SCORES_H
#define FT_ONNX_SCORES_H

#include "onnx/import.h"

enum { FT_SCORES_STEPS = 16 };

struct ft_scores {
    const Ft__Onnx__Node *product; /* of queries and keys */
    bool turned;                   /* the keys are [.., tokens, each], not [.., each, tokens] */
    double factor;                 /* of the product at the softmax */
    bool added;                    /* whether constants are added */
    int n;
    const Ft__Onnx__Node *steps[FT_SCORES_STEPS]; /* from the softmax back to the product */
};

/* Returns whether a node is a product of two stacks of matrices: a MatMul, or an Einsum whose
 * equation is that of one. *turned: the second matrices are transposed first. */
bool ft_onnx_is_product(const Ft__Onnx__Node *node, bool *turned);

/* Reads the steps before `softmax`. Returns false if some are other than those above. */
bool ft_scores_find(const struct ft_import *x, const Ft__Onnx__Node *softmax, struct ft_scores *s);

/* What is added to scores of this shape, in *sum [dims], whose shape becomes that at the softmax.
 * The values are owned by the network's storage. Returns 0 or an error. */
int ft_scores_sum(struct ft_import *x, const struct ft_scores *s, struct ft_constant *sum);

#endif
