/* Operators on constants whose indices count several axes: GatherND and ScatterND. */
#include <string.h>

#include "onnx/fold.h"

/* Indices [..., m] count the first m axes of a tensor: each selects a slice of it. */
struct slices {
    const struct ft_constant *indices;
    int m;
    size_t n, size; /* slices, and values of each */
};

static int read_slices(const struct ft_fold *f, struct slices *s)
{
    const struct ft_constant *in = f->in[0];
    s->indices = f->in[1];
    if (!s->indices || !s->indices->i || !s->indices->rank || !s->indices->count ||
        ft_onnx_int(f->x->node, "batch_dims", 0))
        return ft_onnx_refuse(f->x, "its indices are not valid, or it has batches");
    const int64_t m = s->indices->dims[s->indices->rank - 1];
    if (m > in->rank)
        return ft_onnx_refuse(f->x, "its indices have more axes than its input");
    s->m = (int)m;
    s->n = s->indices->count / (size_t)m;
    s->size = 1;
    for (int d = s->m; d < in->rank; d++)
        s->size *= (size_t)in->dims[d];
    return 0;
}

/* The first value of slice k; SIZE_MAX: there is none. */
static size_t start_of(const struct ft_constant *in, const struct slices *s, size_t k)
{
    size_t at = 0;
    for (int d = 0; d < s->m; d++) {
        const int64_t n = in->dims[d];
        int64_t i = s->indices->i[k * (size_t)s->m + (size_t)d];
        i += i < 0 ? n : 0;
        if (i < 0 || i >= n)
            return SIZE_MAX;
        at = at * (size_t)n + (size_t)i;
    }
    return at * s->size;
}

static void copy(const struct ft_constant *from, size_t i, struct ft_constant *to, size_t j,
                 size_t n)
{
    for (size_t k = 0; k < n; k++)
        ft_constant_set(to, j + k, ft_constant_at(from, i + k));
}

int ft_fold_gather_nd(struct ft_fold *f, int detail)
{
    (void)detail;
    const struct ft_constant *in = f->in[0];
    struct slices s = { 0 };
    int rc = read_slices(f, &s);
    if (rc)
        return rc;
    if (s.indices->rank - 1 + in->rank - s.m > FT_ONNX_RANK)
        return ft_onnx_refuse(f->x, "its output has too many axes");
    for (int d = 0; d + 1 < s.indices->rank; d++)
        f->out.dims[f->out.rank++] = s.indices->dims[d];
    for (int d = s.m; d < in->rank; d++)
        f->out.dims[f->out.rank++] = in->dims[d];
    rc = ft_fold_make(f, in->i != NULL);
    for (size_t k = 0; !rc && k < s.n; k++) {
        const size_t from = start_of(in, &s, k);
        if (from == SIZE_MAX)
            return ft_onnx_refuse(f->x, "an index is not valid");
        copy(in, from, &f->out, k * s.size, s.size);
    }
    return rc;
}

/* The first input, with slices replaced by those of the third. */
int ft_fold_scatter_nd(struct ft_fold *f, int detail)
{
    (void)detail;
    const struct ft_constant *in = f->in[0], *updates = f->in[2];
    struct slices s = { 0 };
    int rc = read_slices(f, &s);
    if (rc)
        return rc;
    const Ft__Onnx__Attribute *how = ft_onnx_attribute(f->x->node, "reduction");
    if (!updates || updates->count != s.n * s.size ||
        (how && !ft_onnx_text_is(f->x->node, "reduction", "none")))
        return ft_onnx_refuse(f->x, "its updates do not fit, or are added");
    f->out = *in;
    rc = ft_fold_make(f, in->i != NULL);
    if (rc)
        return rc;
    copy(in, 0, &f->out, 0, in->count);
    for (size_t k = 0; k < s.n; k++) {
        const size_t to = start_of(in, &s, k);
        if (to == SIZE_MAX)
            return ft_onnx_refuse(f->x, "an index is not valid");
        copy(updates, k * s.size, &f->out, to, s.size);
    }
    return 0;
}
