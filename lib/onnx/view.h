/* A view: how the axes of an ONNX tensor correspond to those of the output [h, w, c] of a layer.
 *
 * The values of the tensor, in row-major order, are those of the layer's output in the order of
 * `atoms`, from the slowest to the fastest. An atom counts through part of one axis: position
 * from[axis] + the sum of index * stride over the atoms of this axis. The batch axis is always 1.
 * Reshape changes `dims` only, Transpose the order of the atoms, Slice an offset and a size; none
 * of them needs a layer. Private to onnx/. */
#ifndef FT_ONNX_VIEW_H
#define FT_ONNX_VIEW_H

#include <stdbool.h>
#include <stdint.h>

enum { FT_ONNX_RANK = 8, FT_VIEW_ATOMS = 16 };
enum ft_axis { FT_AXIS_ROWS, FT_AXIS_COLUMNS, FT_AXIS_CHANNELS, FT_AXES };

struct ft_atom {
    enum ft_axis axis;
    int64_t size, stride;
};

struct ft_view {
    int layer;
    int rank;
    int64_t dims[FT_ONNX_RANK];
    int n;
    struct ft_atom atoms[FT_VIEW_ATOMS];
    int64_t from[FT_AXES];
};

/* The view of a whole map [h, w, c] as [1, c, h, w]; of a vector as [1, c]. */
struct ft_view ft_view_first(int layer, const int64_t shape[FT_AXES]);
struct ft_view ft_view_vector(int layer, int64_t channels);
/* The view of a whole map as [1, h, w, c]. */
struct ft_view ft_view_last(int layer, const int64_t shape[FT_AXES]);

/* Merges neighbouring atoms, and removes those of size 1. */
void ft_view_normalise(struct ft_view *v);
/* Splits atoms at the borders of axes: the atoms of axis d are first[d]..first[d + 1] - 1. Returns
 * false if that is impossible. */
bool ft_view_align(struct ft_view *v, int first[FT_ONNX_RANK + 1]);
/* Appends an atom; false if there are too many. */
bool ft_view_append(struct ft_view *v, struct ft_atom atom);

/* The operations return false, with the view unchanged, if the result cannot be a view. */
bool ft_view_reshape(struct ft_view *v, int rank, const int64_t *dims);
bool ft_view_transpose(struct ft_view *v, const int *order);
/* `size` positions of axis `d` from `start`, each `step` (at least 1) after the previous. */
bool ft_view_slice(struct ft_view *v, int d, int64_t start, int64_t size, int64_t step);

/* Whether two views select the same values in the same order of layers of the same shape. */
bool ft_view_congruent(const struct ft_view *a, const struct ft_view *b);
/* Whether it is one row [1, c], so that its values are those of a vector; [t, c] are tokens. */
static inline bool ft_view_is_vector(const struct ft_view *v)
{
    return v->rank == 2 && v->dims[0] == 1;
}
/* Product of the dims. */
int64_t ft_view_count(const struct ft_view *v);
/* The axes that axis d of the view has atoms of, as bits. The view must be aligned by `first`. */
unsigned ft_view_axes(const struct ft_view *v, const int *first, int d);

#endif
