/* Layers of a draft in order, with unique names. */
#ifndef FT_KERAS_SORT_H
#define FT_KERAS_SORT_H

#include "keras/draft.h"

/* Keeps the layers that the output needs, in topological order with the input first. Returns
 * FT_EUNSUPPORTED for an axis other than the last and for a second input. */
int ft_draft_sort(struct ft_draft *draft, struct ft_error *err);
/* Keeps the layers that the output needs, in the order of the file. ft_draft_sort must follow. */
int ft_draft_sort_file(struct ft_draft *draft, struct ft_error *err);
/* Makes names unique and one part of a path: "a/b" becomes a_b, a second "a" becomes a_2. */
int ft_draft_name(struct ft_draft *draft, struct ft_error *err);

#endif
