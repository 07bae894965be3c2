#include "onnx/view.h"

#include <string.h>

struct ft_view ft_view_first(int layer, const int64_t shape[FT_AXES])
{
    struct ft_view v = { .layer = layer,
                         .rank = 4,
                         .dims = { 1, shape[FT_AXIS_CHANNELS], shape[FT_AXIS_ROWS],
                                   shape[FT_AXIS_COLUMNS] },
                         .n = 3,
                         .atoms = { { FT_AXIS_CHANNELS, shape[FT_AXIS_CHANNELS], 1 },
                                    { FT_AXIS_ROWS, shape[FT_AXIS_ROWS], 1 },
                                    { FT_AXIS_COLUMNS, shape[FT_AXIS_COLUMNS], 1 } } };
    ft_view_normalise(&v);
    return v;
}

struct ft_view ft_view_last(int layer, const int64_t shape[FT_AXES])
{
    struct ft_view v = { .layer = layer,
                         .rank = 4,
                         .dims = { 1, shape[FT_AXIS_ROWS], shape[FT_AXIS_COLUMNS],
                                   shape[FT_AXIS_CHANNELS] },
                         .n = 3,
                         .atoms = { { FT_AXIS_ROWS, shape[FT_AXIS_ROWS], 1 },
                                    { FT_AXIS_COLUMNS, shape[FT_AXIS_COLUMNS], 1 },
                                    { FT_AXIS_CHANNELS, shape[FT_AXIS_CHANNELS], 1 } } };
    ft_view_normalise(&v);
    return v;
}

struct ft_view ft_view_vector(int layer, int64_t channels)
{
    struct ft_view v = { .layer = layer,
                         .rank = 2,
                         .dims = { 1, channels },
                         .n = 1,
                         .atoms = { { FT_AXIS_CHANNELS, channels, 1 } } };
    ft_view_normalise(&v);
    return v;
}

void ft_view_normalise(struct ft_view *v)
{
    int n = 0;
    for (int i = 0; i < v->n; i++) {
        const struct ft_atom a = v->atoms[i];
        struct ft_atom *last = n ? &v->atoms[n - 1] : NULL;
        if (a.size == 1)
            continue;
        if (last && last->axis == a.axis && last->stride == a.stride * a.size)
            *last = (struct ft_atom){ a.axis, last->size * a.size, a.stride };
        else
            v->atoms[n++] = a;
    }
    v->n = n;
}

bool ft_view_append(struct ft_view *v, struct ft_atom atom)
{
    if (v->n >= FT_VIEW_ATOMS)
        return false;
    v->atoms[v->n++] = atom;
    return true;
}

bool ft_view_align(struct ft_view *v, int first[FT_ONNX_RANK + 1])
{
    struct ft_view to = *v;
    int at = 0;
    struct ft_atom rest = v->n ? v->atoms[0] : (struct ft_atom){ 0 };
    to.n = 0;
    for (int d = 0; d < v->rank; d++) {
        int64_t need = v->dims[d];
        first[d] = to.n;
        while (need > 1) {
            struct ft_atom a = rest;
            if (at >= v->n || (a.size <= need ? need % a.size : a.size % need))
                return false;
            if (a.size > need) {
                rest.size = a.size / need;
                a.stride *= rest.size;
                a.size = need;
            } else if (++at < v->n) {
                rest = v->atoms[at];
            }
            if (!ft_view_append(&to, a))
                return false;
            need /= a.size;
        }
    }
    first[v->rank] = to.n;
    *v = to;
    return true;
}

int64_t ft_view_count(const struct ft_view *v)
{
    int64_t count = 1;
    for (int i = 0; i < v->rank; i++)
        count *= v->dims[i];
    return count;
}

bool ft_view_reshape(struct ft_view *v, int rank, const int64_t *dims)
{
    int64_t count = 1;
    if (rank < 1 || rank > FT_ONNX_RANK)
        return false;
    for (int i = 0; i < rank; i++)
        if (dims[i] < 1 || __builtin_mul_overflow(count, dims[i], &count))
            return false;
    if (count != ft_view_count(v))
        return false;
    v->rank = rank;
    memmove(v->dims, dims, (size_t)rank * sizeof *dims);
    return true;
}

bool ft_view_transpose(struct ft_view *v, const int *order)
{
    struct ft_view from = *v;
    int first[FT_ONNX_RANK + 1];
    if (!ft_view_align(&from, first))
        return false;
    v->n = 0;
    for (int d = 0; d < from.rank; d++) {
        v->dims[d] = from.dims[order[d]];
        for (int i = first[order[d]]; i < first[order[d] + 1]; i++)
            v->atoms[v->n++] = from.atoms[i];
    }
    ft_view_normalise(v);
    return true;
}

bool ft_view_slice(struct ft_view *v, int d, int64_t start, int64_t size, int64_t step)
{
    struct ft_view to = *v;
    int first[FT_ONNX_RANK + 1];
    if (size == v->dims[d] && step == 1)
        return true;
    if (!ft_view_align(&to, first) || first[d] == first[d + 1])
        return false;
    struct ft_atom *outer = &to.atoms[first[d]];
    int64_t inner = 1;
    for (int i = first[d] + 1; i < first[d + 1]; i++)
        inner *= to.atoms[i].size;
    if (inner > 1 && (step != 1 || start % inner || size % inner))
        return false;
    to.from[outer->axis] += start / inner * outer->stride;
    outer->size = size / inner;
    outer->stride *= step;
    to.dims[d] = size;
    ft_view_normalise(&to);
    *v = to;
    return true;
}

bool ft_view_congruent(const struct ft_view *a, const struct ft_view *b)
{
    if (a->n != b->n || memcmp(a->from, b->from, sizeof a->from))
        return false;
    for (int i = 0; i < a->n; i++)
        if (a->atoms[i].axis != b->atoms[i].axis || a->atoms[i].size != b->atoms[i].size ||
            a->atoms[i].stride != b->atoms[i].stride)
            return false;
    return true;
}

unsigned ft_view_axes(const struct ft_view *v, const int *first, int d)
{
    unsigned axes = 0;
    for (int i = first[d]; i < first[d + 1]; i++)
        axes |= 1u << v->atoms[i].axis;
    return axes;
}
