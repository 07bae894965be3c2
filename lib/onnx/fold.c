/* Operators on constants: what exporters write to compute shapes, and changes of weights. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "onnx/import.h"

enum { FEW = 8 }; /* inputs of a folded operator, apart from Concat */

struct fold {
    struct ft_import *x;
    const struct ft_constant *in[FEW]; /* NULL: absent */
    struct ft_constant out;
};

typedef int fold_function(struct fold *f, int detail);

static int make(struct fold *f, bool integer)
{
    return ft_constant_new(&f->out, integer, &f->x->network->storage, f->x->err);
}

static int same_values(struct fold *f)
{
    f->out.f = f->in[0]->f;
    f->out.i = f->in[0]->i;
    f->out.count = f->in[0]->count;
    return 0;
}

/* Decodes index k of a tensor of these dims. */
static void place_of(size_t k, int rank, const int64_t *dims, int64_t *at)
{
    for (int d = rank - 1; d >= 0; d--) {
        at[d] = (int64_t)(k % (size_t)dims[d]);
        k /= (size_t)dims[d];
    }
}

/* The shape of several tensors of which each is repeated over the others. */
static int broadcast(struct fold *f, int n)
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

static double apply(int what, double a, double b, bool integer)
{
    switch (what) {
    case '+':
        return a + b;
    case '-':
        return a - b;
    case '*':
        return a * b;
    case '/':
        return integer ? (b != 0 ? trunc(a / b) : 0) : a / b;
    case '^':
        return pow(a, b);
    case '=':
        return a == b;
    case '<':
        return a < b;
    case '>':
        return a > b;
    case '&':
        return a != 0 && b != 0;
    case '|':
        return a != 0 || b != 0;
    case 'm':
        return fmin(a, b);
    case 'M':
        return fmax(a, b);
    default: /* '%' */
        return b != 0 ? a - floor(a / b) * b : 0;
    }
}

static int binary(struct fold *f, int what)
{
    int64_t at[FT_ONNX_RANK];
    const bool integer = f->in[0]->i != NULL || strchr("=<>&|", what) != NULL;
    int rc = f->in[1] ? broadcast(f, 2) : ft_onnx_refuse(f->x, "it has one input");
    rc = rc ? rc : make(f, integer);
    for (size_t k = 0; !rc && k < f->out.count; k++) {
        place_of(k, f->out.rank, f->out.dims, at);
        const double a = ft_constant_at(f->in[0], ft_constant_index(f->in[0], f->out.rank, at)),
                     b = ft_constant_at(f->in[1], ft_constant_index(f->in[1], f->out.rank, at));
        ft_constant_set(&f->out, k, apply(what, a, b, integer));
    }
    return rc;
}

static int where(struct fold *f, int detail)
{
    (void)detail;
    int64_t at[FT_ONNX_RANK];
    if (!f->in[1] || !f->in[2])
        return ft_onnx_refuse(f->x, "an input is absent");
    int rc = broadcast(f, 3);
    rc = rc ? rc : make(f, f->in[1]->i != NULL);
    for (size_t k = 0; !rc && k < f->out.count; k++) {
        place_of(k, f->out.rank, f->out.dims, at);
        const size_t c = ft_constant_index(f->in[0], f->out.rank, at);
        const struct ft_constant *from = f->in[ft_constant_at(f->in[0], c) != 0 ? 1 : 2];
        ft_constant_set(&f->out, k, ft_constant_at(from, ft_constant_index(from, f->out.rank, at)));
    }
    return rc;
}

static int unary(struct fold *f, int what)
{
    f->out = *f->in[0];
    const int rc = make(f, f->in[0]->i != NULL);
    for (size_t k = 0; !rc && k < f->out.count; k++) {
        const double v = ft_constant_at(f->in[0], k);
        ft_constant_set(&f->out, k,
                        what == 's'   ? sqrt(v)
                        : what == '-' ? -v
                        : what == 'f' ? floor(v)
                        : what == 'c' ? ceil(v)
                        : what == 'e' ? exp(v)
                        : what == 'l' ? log(v)
                        : what == 'a' ? fabs(v)
                        : what == '!' ? v == 0
                                      : 1 / v);
    }
    return rc;
}

static int cast(struct fold *f, int detail)
{
    (void)detail;
    const int64_t to = ft_onnx_int(f->x->node, "to", FT_ONNX_FLOAT);
    f->out = *f->in[0];
    const bool integer = to != FT_ONNX_FLOAT && to != FT_ONNX_DOUBLE && to != FT_ONNX_FLOAT16 &&
                         to != FT_ONNX_BFLOAT16;
    if (integer == (f->in[0]->i != NULL))
        return same_values(f);
    const int rc = make(f, integer);
    for (size_t k = 0; !rc && k < f->out.count; k++) {
        const double v = ft_constant_at(f->in[0], k);
        ft_constant_set(&f->out, k, to == FT_ONNX_BOOL ? v != 0 : v);
    }
    return rc;
}

/* ---- shapes of constants --------------------------------------------------------------------- */

static int reshape(struct fold *f, int detail)
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
    return same_values(f);
}

static int squeeze(struct fold *f, int detail)
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
            named = named || axes[i] == d || axes[i] + rank == d;
        if (detail && !named && from == in)
            return ft_onnx_refuse(f->x, "its axes are not valid");
        if (detail)
            f->out.dims[f->out.rank++] = named ? 1 : f->in[0]->dims[from++];
        else if (!named)
            f->out.dims[f->out.rank++] = f->in[0]->dims[d];
    }
    return same_values(f);
}

/* Values of the input at computed places: transpose, slice, gather, expand. */
static int transpose(struct fold *f, int detail)
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
    const int rc = make(f, in->i != NULL);
    for (size_t k = 0; !rc && k < f->out.count; k++) {
        place_of(k, f->out.rank, f->out.dims, at);
        for (int d = 0; d < in->rank; d++)
            from[order[d]] = at[d];
        ft_constant_set(&f->out, k, ft_constant_at(in, ft_constant_index(in, in->rank, from)));
    }
    return rc;
}

static int expand(struct fold *f, int detail)
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
    int rc = broadcast(f, 2);
    rc = rc ? rc : make(f, in->i != NULL);
    for (size_t k = 0; !rc && k < f->out.count; k++) {
        place_of(k, f->out.rank, f->out.dims, at);
        ft_constant_set(&f->out, k, ft_constant_at(in, ft_constant_index(in, f->out.rank, at)));
    }
    return rc;
}

static int64_t limited(int64_t v, int64_t n, int64_t low, int64_t high)
{
    v += v < 0 ? n : 0;
    return v < low ? low : v > high ? high : v;
}

static int slice(struct fold *f, int detail)
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
        start[d] = limited(starts[i], length, 0, length - back);
        const int64_t to =
            ends[i] < -length && back ? -1 : limited(ends[i], length, -back, length - back);
        step[d] = by;
        const int64_t size = by > 0 ? (to - start[d] + by - 1) / by : (to - start[d] + by + 1) / by;
        f->out.dims[d] = size < 0 ? 0 : size;
    }
    const int rc = make(f, in->i != NULL);
    for (size_t k = 0; !rc && k < f->out.count; k++) {
        place_of(k, f->out.rank, f->out.dims, at);
        for (int d = 0; d < in->rank; d++)
            at[d] = start[d] + at[d] * step[d];
        ft_constant_set(&f->out, k, ft_constant_at(in, ft_constant_index(in, in->rank, at)));
    }
    return rc;
}

static int gather(struct fold *f, int detail)
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
    const int rc = make(f, in->i != NULL);
    for (size_t k = 0; !rc && k < f->out.count; k++) {
        place_of(k, f->out.rank, f->out.dims, at);
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

static int concat(struct fold *f, int detail)
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
    const int rc = make(f, in->i != NULL);
    for (size_t k = 0; !rc && k < n; k++) {
        const struct ft_constant *part = ft_onnx_constant(f->x, k, 0);
        int64_t at[FT_ONNX_RANK];
        for (size_t i = 0; i < part->count; i++) {
            place_of(i, part->rank, part->dims, at);
            at[axis] += start;
            ft_constant_set(&f->out, ft_constant_index(&f->out, part->rank, at),
                            ft_constant_at(part, i));
        }
        start += part->dims[axis];
    }
    return rc;
}

/* ---- sources --------------------------------------------------------------------------------- */

static int filled(struct fold *f, int detail)
{
    (void)detail;
    const Ft__Onnx__Attribute *a = ft_onnx_attribute(f->x->node, "value");
    struct ft_constant value = { 0 };
    int rc = 0;
    if (a && a->t)
        rc = ft_constant_decode(a->t, f->x->folder, &f->x->network->storage, &value, f->x->err);
    f->out.rank = ft_onnx_ints(f->x, "shape", 0, f->out.dims, FT_ONNX_RANK);
    if (!rc && f->out.rank < 0)
        rc = ft_onnx_refuse(f->x, "its shape is not valid");
    rc = rc ? rc : make(f, value.i != NULL);
    for (size_t k = 0; !rc && k < f->out.count; k++)
        ft_constant_set(&f->out, k, value.count ? ft_constant_at(&value, 0) : 0);
    return rc;
}

static int range(struct fold *f, int detail)
{
    (void)detail;
    if (!f->in[1] || !f->in[2] || !f->in[0]->count || !f->in[1]->count || !f->in[2]->count)
        return ft_onnx_refuse(f->x, "an input is absent");
    const double start = ft_constant_at(f->in[0], 0), end = ft_constant_at(f->in[1], 0),
                 step = ft_constant_at(f->in[2], 0), n = ceil((end - start) / step);
    if (!(n < 1 << 24))
        return ft_onnx_refuse(f->x, "it has too many values");
    f->out.rank = 1;
    f->out.dims[0] = n > 0 ? (int64_t)n : 0;
    const int rc = make(f, f->in[0]->i != NULL);
    for (size_t k = 0; !rc && k < f->out.count; k++)
        ft_constant_set(&f->out, k, start + (double)k * step);
    return rc;
}

static int product(struct fold *f, int what)
{
    double value = what == '*' ? 1 : 0;
    for (size_t k = 0; k < f->in[0]->count; k++)
        value = apply(what, value, ft_constant_at(f->in[0], k), false);
    if (f->x->node->n_input > 1 && f->in[0]->rank > 1)
        return ft_onnx_refuse(f->x, "only the product of one axis is supported");
    f->out.rank = ft_onnx_int(f->x->node, "keepdims", 1) ? f->in[0]->rank : 0;
    for (int d = 0; d < f->out.rank; d++)
        f->out.dims[d] = 1;
    const int rc = make(f, f->in[0]->i != NULL);
    if (!rc)
        ft_constant_set(&f->out, 0, value);
    return rc;
}

static int unchanged(struct fold *f, int detail)
{
    (void)detail;
    f->out = *f->in[0];
    return 0;
}

static const struct {
    const char *name;
    fold_function *function;
    int detail;
} folded[] = {
    { "Add", binary, '+' },        { "Sub", binary, '-' },         { "Mul", binary, '*' },
    { "Div", binary, '/' },        { "Pow", binary, '^' },         { "Equal", binary, '=' },
    { "Less", binary, '<' },       { "Greater", binary, '>' },     { "And", binary, '&' },
    { "Or", binary, '|' },         { "Mod", binary, '%' },         { "Min", binary, 'm' },
    { "Max", binary, 'M' },        { "Where", where, 0 },          { "Sqrt", unary, 's' },
    { "Neg", unary, '-' },         { "Floor", unary, 'f' },        { "Ceil", unary, 'c' },
    { "Exp", unary, 'e' },         { "Log", unary, 'l' },          { "Abs", unary, 'a' },
    { "Not", unary, '!' },         { "Reciprocal", unary, 'r' },   { "Cast", cast, 0 },
    { "Reshape", reshape, 0 },     { "Squeeze", squeeze, 0 },      { "Unsqueeze", squeeze, 1 },
    { "Transpose", transpose, 0 }, { "Expand", expand, 0 },        { "Slice", slice, 0 },
    { "Gather", gather, 0 },       { "Concat", concat, 0 },        { "ConstantOfShape", filled, 0 },
    { "Range", range, 0 },         { "ReduceProd", product, '*' }, { "ReduceSum", product, '+' },
    { "Identity", unchanged, 0 },
};

/* The shape of a value, as Shape (axes start..end) and Size give it. */
static int shape_of(struct ft_import *x, bool size)
{
    const struct ft_onnx_value *v = ft_onnx_input(x, 0);
    const bool view = v->kind == FT_ONNX_VIEW;
    const int64_t rank = view ? v->view.rank : v->constant.rank,
                  *dims = view ? v->view.dims : v->constant.dims;
    const int64_t start = limited(ft_onnx_int(x->node, "start", 0), rank, 0, rank),
                  end = limited(ft_onnx_int(x->node, "end", rank), rank, 0, rank);
    struct ft_onnx_value out = { .kind = FT_ONNX_CONSTANT,
                                 .constant = { .rank = size ? 0 : 1,
                                               .dims = { end > start ? end - start : 0 } } };
    const int rc = ft_constant_new(&out.constant, true, &x->network->storage, x->err);
    if (rc)
        return rc;
    int64_t product = 1;
    for (int64_t d = 0; d < rank; d++) {
        product *= dims[d];
        if (!size && d >= start && d < end)
            out.constant.i[d - start] = dims[d];
    }
    if (size)
        out.constant.i[0] = product;
    return ft_onnx_set(x, 0, &out);
}

/* The attribute of a Constant. */
static int constant(struct ft_import *x)
{
    struct ft_onnx_value out = { .kind = FT_ONNX_CONSTANT };
    struct ft_constant *c = &out.constant;
    int rc;
    if (x->node->n_attribute != 1)
        return ft_onnx_refuse(x, "it has no value");
    const Ft__Onnx__Attribute *a = x->node->attribute[0];
    if (a->t) {
        rc = ft_constant_decode(a->t, x->folder, &x->network->storage, c, x->err);
        return rc ? rc : ft_onnx_set(x, 0, &out);
    }
    const bool list = a->n_ints || a->n_floats, integer = a->n_ints || (!list && a->has_i);
    if (!list && !a->has_i && !a->has_f)
        return ft_onnx_refuse(x, "this kind of value is not supported");
    c->rank = list;
    c->dims[0] = (int64_t)(a->n_ints ? a->n_ints : a->n_floats);
    rc = ft_constant_new(c, integer, &x->network->storage, x->err);
    for (size_t k = 0; !rc && k < c->count; k++) {
        if (integer)
            c->i[k] = list ? a->ints[k] : a->i;
        else
            c->f[k] = list ? a->floats[k] : a->f;
    }
    return rc ? rc : ft_onnx_set(x, 0, &out);
}

int ft_onnx_fold(struct ft_import *x, bool *done)
{
    const char *type = x->node->op_type;
    struct fold f = { .x = x };
    const struct ft_onnx_value *first = ft_onnx_input(x, 0);
    *done = true;
    if (!strcmp(type, "Constant"))
        return constant(x);
    const bool known = first && (first->kind == FT_ONNX_VIEW || first->kind == FT_ONNX_CONSTANT);
    if (known && (!strcmp(type, "Shape") || !strcmp(type, "Size")))
        return shape_of(x, *type == 'S' && type[1] == 'i');
    *done = false;
    if (!first)
        return 0;
    for (size_t k = 0; k < x->node->n_input; k++) {
        const struct ft_onnx_value *in = ft_onnx_input(x, k);
        if (in && in->kind != FT_ONNX_CONSTANT)
            return 0;
        if (k < FEW)
            f.in[k] = in ? &in->constant : NULL;
    }
    for (size_t i = 0; i < sizeof folded / sizeof *folded; i++) {
        if (strcmp(folded[i].name, type))
            continue;
        *done = true;
        struct ft_onnx_value out = { .kind = FT_ONNX_CONSTANT };
        const int rc = folded[i].function(&f, folded[i].detail);
        out.constant = f.out;
        return rc ? rc : ft_onnx_set(x, 0, &out);
    }
    return 0;
}
