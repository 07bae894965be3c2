/* Shapes of constants: what all operators on them need, and the operators that change a shape. */
#include <string.h>

#include "onnx/fold.h"

int ft_fold_make(struct ft_fold *f, bool integer)
{
    return ft_onnx_new(f->x, &f->out, integer);
}

void ft_fold_place(size_t k, int rank, const int64_t *dims, int64_t *at)
{
    for (int d = rank - 1; d >= 0; d--) {
        at[d] = (int64_t)(k % (size_t)dims[d]);
        k /= (size_t)dims[d];
    }
}

int ft_fold_broadcast(struct ft_fold *f, int n)
{
    struct ft_constant *out = &f->out;
    out->rank = 0;
    for (int k = 0; k < n; k++)
        out->rank = f->in[k]->rank > out->rank ? f->in[k]->rank : out->rank;
    for (int d = 0; d < out->rank; d++) {
        out->dims[d] = 1;
        for (int k = 0; k < n; k++) {
            const int there = d - (out->rank - f->in[k]->rank);
            const int64_t length = there < 0 ? 1 : f->in[k]->dims[there];
            if (length != 1 && out->dims[d] != 1 && length != out->dims[d])
                return ft_onnx_refuse(f->x, "its inputs differ in shape");
            out->dims[d] = length != 1 ? length : out->dims[d];
        }
    }
    return 0;
}

int ft_fold_same_values(struct ft_fold *f)
{
    f->out.f = f->in[0]->f;
    f->out.i = f->in[0]->i;
    f->out.count = f->in[0]->count;
    return 0;
}

int ft_fold_reshape(struct ft_fold *f, int detail)
{
    (void)detail;
    int64_t known = 1;
    int open = -1;
    const int n = ft_onnx_ints(f->x, "shape", 1, f->out.dims, FT_ONNX_RANK);
    for (int d = 0; d < n; d++) {
        if (!f->out.dims[d] && d < f->in[0]->rank)
            f->out.dims[d] = f->in[0]->dims[d];
        if (f->out.dims[d] == -1)
            open = d;
        else if (f->out.dims[d] < 1 || __builtin_mul_overflow(known, f->out.dims[d], &known))
            return ft_onnx_refuse(f->x, "its shape is not valid");
    }
    if (open >= 0)
        f->out.dims[open] = (int64_t)f->in[0]->count / known;
    if (n < 0 || (open >= 0 ? f->out.dims[open] * known : known) != (int64_t)f->in[0]->count)
        return ft_onnx_refuse(f->x, "its shape is not valid");
    f->out.rank = n;
    return ft_fold_same_values(f);
}

int ft_fold_squeeze(struct ft_fold *f, int detail)
{
    int64_t axes[FT_ONNX_RANK];
    const int n = ft_onnx_ints(f->x, "axes", 1, axes, FT_ONNX_RANK), in = f->in[0]->rank,
              rank = detail ? in + n : in;
    if (n == -2 || (detail && (n < 0 || rank > FT_ONNX_RANK)))
        return ft_onnx_refuse(f->x, "its axes are not valid");
    f->out.rank = 0;
    for (int d = 0, from = 0; d < rank; d++) {
        bool named = !detail && n == -1 && f->in[0]->dims[d] == 1;
        for (int i = 0; i < n; i++)
            named = named || axes[i] == d || axes[i] == d - rank;
        if (detail && !named && from == in)
            return ft_onnx_refuse(f->x, "its axes are not valid");
        if (detail)
            f->out.dims[f->out.rank++] = named ? 1 : f->in[0]->dims[from++];
        else if (!named)
            f->out.dims[f->out.rank++] = f->in[0]->dims[d];
    }
    return ft_fold_same_values(f);
}

/* Values of the input at computed places: transpose, slice, gather, expand. */
int ft_fold_transpose(struct ft_fold *f, int detail)
{
    (void)detail;
    int64_t order[FT_ONNX_RANK], at[FT_ONNX_RANK], from[FT_ONNX_RANK];
    const struct ft_constant *in = f->in[0];
    const int n = ft_onnx_ints(f->x, "perm", -1, order, FT_ONNX_RANK);
    unsigned seen = 0;
    f->out.rank = in->rank;
    for (int d = 0; d < in->rank; d++) {
        order[d] = n == -1 ? in->rank - 1 - d : d < n ? order[d] : -1;
        if (order[d] < 0 || order[d] >= in->rank)
            return ft_onnx_refuse(f->x, "its permutation is not valid");
        seen |= 1u << order[d];
        f->out.dims[d] = in->dims[order[d]];
    }
    if (seen != (1u << in->rank) - 1)
        return ft_onnx_refuse(f->x, "its permutation is not valid");
    const int rc = ft_fold_make(f, in->i != NULL);
    for (size_t k = 0; !rc && k < f->out.count; k++) {
        ft_fold_place(k, f->out.rank, f->out.dims, at);
        for (int d = 0; d < in->rank; d++)
            from[order[d]] = at[d];
        ft_constant_set(&f->out, k, ft_constant_at(in, ft_constant_index(in, in->rank, from)));
    }
    return rc;
}

int ft_fold_expand(struct ft_fold *f, int detail)
{
    (void)detail;
    struct ft_constant wanted = { 0 };
    int64_t at[FT_ONNX_RANK];
    const struct ft_constant *in = f->in[0];
    wanted.rank = ft_onnx_ints(f->x, "shape", 1, wanted.dims, FT_ONNX_RANK);
    if (wanted.rank < 0)
        return ft_onnx_refuse(f->x, "its shape is not a constant");
    for (int d = 0; d < wanted.rank; d++)
        if (wanted.dims[d] < 1)
            return ft_onnx_refuse(f->x, "its shape is not valid");
    f->in[1] = &wanted;
    int rc = ft_fold_broadcast(f, 2);
    rc = rc ? rc : ft_fold_make(f, in->i != NULL);
    for (size_t k = 0; !rc && k < f->out.count; k++) {
        ft_fold_place(k, f->out.rank, f->out.dims, at);
        ft_constant_set(&f->out, k, ft_constant_at(in, ft_constant_index(in, f->out.rank, at)));
    }
    return rc;
}

int ft_fold_tile(struct ft_fold *f, int detail)
{
    (void)detail;
    int64_t at[FT_ONNX_RANK], times[FT_ONNX_RANK];
    const struct ft_constant *in = f->in[0];
    f->out.rank = in->rank;
    if (ft_onnx_ints(f->x, "repeats", 1, times, FT_ONNX_RANK) != in->rank)
        return ft_onnx_refuse(f->x, "its repeats are not one for each axis");
    for (int d = 0; d < in->rank; d++)
        if (times[d] < 1 || __builtin_mul_overflow(in->dims[d], times[d], &f->out.dims[d]))
            return ft_onnx_refuse(f->x, "its repeats are not valid");
    const int rc = ft_fold_make(f, in->i != NULL);
    for (size_t k = 0; !rc && k < f->out.count; k++) {
        ft_fold_place(k, f->out.rank, f->out.dims, at);
        for (int d = 0; d < in->rank; d++)
            at[d] %= in->dims[d];
        ft_constant_set(&f->out, k, ft_constant_at(in, ft_constant_index(in, in->rank, at)));
    }
    return rc;
}

int64_t ft_fold_limited(int64_t v, int64_t n, int64_t low, int64_t high)
{
    v += v < 0 ? n : 0;
    return v < low ? low : v > high ? high : v;
}

int ft_fold_slice(struct ft_fold *f, int detail)
{
    (void)detail;
    const struct ft_constant *in = f->in[0];
    int64_t starts[FT_ONNX_RANK], ends[FT_ONNX_RANK], axes[FT_ONNX_RANK], steps[FT_ONNX_RANK];
    int64_t start[FT_ONNX_RANK] = { 0 }, step[FT_ONNX_RANK], at[FT_ONNX_RANK];
    const int n = ft_onnx_ints(f->x, "starts", 1, starts, FT_ONNX_RANK),
              m = ft_onnx_ints(f->x, "ends", 2, ends, FT_ONNX_RANK),
              a = ft_onnx_ints(f->x, "axes", 3, axes, FT_ONNX_RANK),
              s = ft_onnx_ints(f->x, "steps", 4, steps, FT_ONNX_RANK);
    f->out = *in;
    for (int d = 0; d < in->rank; d++)
        step[d] = 1;
    if (n < 0 || n != m || (a != n && a != -1) || (s != n && s != -1))
        return ft_onnx_refuse(f->x, "its range is not valid");
    for (int i = 0; i < n; i++) {
        const int64_t d = a < 0 ? i : axes[i] + (axes[i] < 0 ? in->rank : 0),
                      by = s < 0 ? 1 : steps[i];
        if (d < 0 || d >= in->rank || !by || by > 1 << 20 || by < -(1 << 20))
            return ft_onnx_refuse(f->x, "its range is not valid");
        const int64_t length = in->dims[d], back = by < 0;
        start[d] = ft_fold_limited(starts[i], length, 0, length - back);
        const int64_t to =
            ends[i] < -length && back ? -1 : ft_fold_limited(ends[i], length, -back, length - back);
        step[d] = by;
        const int64_t size = by > 0 ? (to - start[d] + by - 1) / by : (to - start[d] + by + 1) / by;
        f->out.dims[d] = size < 0 ? 0 : size;
    }
    const int rc = ft_fold_make(f, in->i != NULL);
    for (size_t k = 0; !rc && k < f->out.count; k++) {
        ft_fold_place(k, f->out.rank, f->out.dims, at);
        for (int d = 0; d < in->rank; d++)
            at[d] = start[d] + at[d] * step[d];
        ft_constant_set(&f->out, k, ft_constant_at(in, ft_constant_index(in, in->rank, at)));
    }
    return rc;
}

int ft_fold_gather(struct ft_fold *f, int detail)
{
    (void)detail;
    const struct ft_constant *in = f->in[0], *index = f->in[1];
    int64_t at[FT_ONNX_RANK], from[FT_ONNX_RANK], axis = ft_onnx_int(f->x->node, "axis", 0);
    axis += axis < 0 ? in->rank : 0;
    if (!index || !index->i || axis < 0 || axis >= in->rank ||
        in->rank - 1 + index->rank > FT_ONNX_RANK)
        return ft_onnx_refuse(f->x, "its indices are not valid");
    f->out.rank = in->rank - 1 + index->rank;
    for (int d = 0; d < f->out.rank; d++)
        f->out.dims[d] = d < axis                 ? in->dims[d]
                         : d < axis + index->rank ? index->dims[d - axis]
                                                  : in->dims[d - index->rank + 1];
    const int rc = ft_fold_make(f, in->i != NULL);
    for (size_t k = 0; !rc && k < f->out.count; k++) {
        ft_fold_place(k, f->out.rank, f->out.dims, at);
        size_t i = 0;
        for (int d = 0; d < index->rank; d++)
            i = i * (size_t)index->dims[d] + (size_t)at[axis + d];
        const int64_t chosen = index->i[i] + (index->i[i] < 0 ? in->dims[axis] : 0);
        if (chosen < 0 || chosen >= in->dims[axis])
            return ft_onnx_refuse(f->x, "an index is not valid");
        for (int d = 0; d < in->rank; d++)
            from[d] = d < axis ? at[d] : d == axis ? chosen : at[d + index->rank - 1];
        ft_constant_set(&f->out, k, ft_constant_at(in, ft_constant_index(in, in->rank, from)));
    }
    return rc;
}

int ft_fold_concat(struct ft_fold *f, int detail)
{
    (void)detail;
    const struct ft_constant *in = f->in[0];
    int64_t axis = ft_onnx_int(f->x->node, "axis", 0), start = 0;
    const size_t n = f->x->node->n_input;
    axis += axis < 0 ? in->rank : 0;
    if (axis < 0 || axis >= in->rank)
        return ft_onnx_refuse(f->x, "its axis is not valid");
    f->out = *in;
    f->out.dims[axis] = 0;
    for (size_t k = 0; k < n; k++) {
        const struct ft_constant *part = ft_onnx_constant(f->x, k, 0);
        if (!part || part->rank != in->rank || (part->i != NULL) != (in->i != NULL))
            return ft_onnx_refuse(f->x, "its inputs differ");
        for (int d = 0; d < in->rank; d++)
            if (d != axis && part->dims[d] != in->dims[d])
                return ft_onnx_refuse(f->x, "its inputs differ in shape");
        f->out.dims[axis] += part->dims[axis];
    }
    const int rc = ft_fold_make(f, in->i != NULL);
    for (size_t k = 0; !rc && k < n; k++) {
        const struct ft_constant *part = ft_onnx_constant(f->x, k, 0);
        int64_t at[FT_ONNX_RANK];
        for (size_t i = 0; i < part->count; i++) {
            ft_fold_place(i, part->rank, part->dims, at);
            at[axis] += start;
            ft_constant_set(&f->out, ft_constant_index(&f->out, part->rank, at),
                            ft_constant_at(part, i));
        }
        start += part->dims[axis];
    }
    return rc;
}
