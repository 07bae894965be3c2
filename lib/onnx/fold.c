/* Operators on constants: what exporters write to compute shapes, and changes of weights. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "onnx/fold.h"

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

static int binary(struct ft_fold *f, int what)
{
    int64_t at[FT_ONNX_RANK];
    const bool integer = f->in[0]->i != NULL || strchr("=<>&|", what) != NULL;
    int rc = f->in[1] ? ft_fold_broadcast(f, 2) : ft_onnx_refuse(f->x, "it has one input");
    rc = rc ? rc : ft_fold_make(f, integer);
    for (size_t k = 0; !rc && k < f->out.count; k++) {
        ft_fold_place(k, f->out.rank, f->out.dims, at);
        const double a = ft_constant_at(f->in[0], ft_constant_index(f->in[0], f->out.rank, at)),
                     b = ft_constant_at(f->in[1], ft_constant_index(f->in[1], f->out.rank, at));
        ft_constant_set(&f->out, k, apply(what, a, b, integer));
    }
    return rc;
}

static int where(struct ft_fold *f, int detail)
{
    (void)detail;
    int64_t at[FT_ONNX_RANK];
    if (!f->in[1] || !f->in[2])
        return ft_onnx_refuse(f->x, "an input is absent");
    int rc = ft_fold_broadcast(f, 3);
    rc = rc ? rc : ft_fold_make(f, f->in[1]->i != NULL);
    for (size_t k = 0; !rc && k < f->out.count; k++) {
        ft_fold_place(k, f->out.rank, f->out.dims, at);
        const size_t c = ft_constant_index(f->in[0], f->out.rank, at);
        const struct ft_constant *from = f->in[ft_constant_at(f->in[0], c) != 0 ? 1 : 2];
        ft_constant_set(&f->out, k, ft_constant_at(from, ft_constant_index(from, f->out.rank, at)));
    }
    return rc;
}

static int unary(struct ft_fold *f, int what)
{
    f->out = *f->in[0];
    const int rc = ft_fold_make(f, f->in[0]->i != NULL);
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

static int cast(struct ft_fold *f, int detail)
{
    (void)detail;
    const int64_t to = ft_onnx_int(f->x->node, "to", FT_ONNX_FLOAT);
    f->out = *f->in[0];
    const bool integer = to != FT_ONNX_FLOAT && to != FT_ONNX_DOUBLE && to != FT_ONNX_FLOAT16 &&
                         to != FT_ONNX_BFLOAT16;
    if (integer == (f->in[0]->i != NULL))
        return ft_fold_same_values(f);
    const int rc = ft_fold_make(f, integer);
    for (size_t k = 0; !rc && k < f->out.count; k++) {
        const double v = ft_constant_at(f->in[0], k);
        ft_constant_set(&f->out, k, to == FT_ONNX_BOOL ? v != 0 : v);
    }
    return rc;
}

/* ---- sources --------------------------------------------------------------------------------- */

static int filled(struct ft_fold *f, int detail)
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
    rc = rc ? rc : ft_fold_make(f, value.i != NULL);
    for (size_t k = 0; !rc && k < f->out.count; k++)
        ft_constant_set(&f->out, k, value.count ? ft_constant_at(&value, 0) : 0);
    return rc;
}

static int range(struct ft_fold *f, int detail)
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
    const int rc = ft_fold_make(f, f->in[0]->i != NULL);
    for (size_t k = 0; !rc && k < f->out.count; k++)
        ft_constant_set(&f->out, k, start + (double)k * step);
    return rc;
}

static int product(struct ft_fold *f, int what)
{
    double value = what == '*' ? 1 : 0;
    int rc = ft_onnx_spend(f->x, f->in[0]->count);
    for (size_t k = 0; !rc && k < f->in[0]->count; k++)
        value = apply(what, value, ft_constant_at(f->in[0], k), false);
    if (rc)
        return rc;
    if (f->x->node->n_input > 1 && f->in[0]->rank > 1)
        return ft_onnx_refuse(f->x, "only the product of one axis is supported");
    f->out.rank = ft_onnx_int(f->x->node, "keepdims", 1) ? f->in[0]->rank : 0;
    for (int d = 0; d < f->out.rank; d++)
        f->out.dims[d] = 1;
    rc = ft_fold_make(f, f->in[0]->i != NULL);
    if (!rc)
        ft_constant_set(&f->out, 0, value);
    return rc;
}

static int unchanged(struct ft_fold *f, int detail)
{
    (void)detail;
    f->out = *f->in[0];
    return 0;
}

static const struct {
    const char *name;
    ft_fold_function *function;
    int detail;
} folded[] = {
    { "Add", binary, '+' },
    { "Sub", binary, '-' },
    { "Mul", binary, '*' },
    { "Div", binary, '/' },
    { "Pow", binary, '^' },
    { "Equal", binary, '=' },
    { "Less", binary, '<' },
    { "Greater", binary, '>' },
    { "And", binary, '&' },
    { "Or", binary, '|' },
    { "Mod", binary, '%' },
    { "Min", binary, 'm' },
    { "Max", binary, 'M' },
    { "Where", where, 0 },
    { "Sqrt", unary, 's' },
    { "Neg", unary, '-' },
    { "Floor", unary, 'f' },
    { "Ceil", unary, 'c' },
    { "Exp", unary, 'e' },
    { "Log", unary, 'l' },
    { "Abs", unary, 'a' },
    { "Not", unary, '!' },
    { "Reciprocal", unary, 'r' },
    { "Cast", cast, 0 },
    { "Reshape", ft_fold_reshape, 0 },
    { "Squeeze", ft_fold_squeeze, 0 },
    { "Unsqueeze", ft_fold_squeeze, 1 },
    { "Transpose", ft_fold_transpose, 0 },
    { "Expand", ft_fold_expand, 0 },
    { "Tile", ft_fold_tile, 0 },
    { "Slice", ft_fold_slice, 0 },
    { "Gather", ft_fold_gather, 0 },
    { "GatherND", ft_fold_gather_nd, 0 },
    { "ScatterND", ft_fold_scatter_nd, 0 },
    { "Concat", ft_fold_concat, 0 },
    { "ConstantOfShape", filled, 0 },
    { "Range", range, 0 },
    { "ReduceProd", product, '*' },
    { "ReduceSum", product, '+' },
    { "Identity", unchanged, 0 },
};

int ft_fold_run(struct ft_fold *f, bool *done)
{
    *done = false;
    for (size_t i = 0; !*done && i < sizeof folded / sizeof *folded; i++)
        if (!strcmp(folded[i].name, f->x->node->op_type)) {
            *done = true;
            return folded[i].function(f, folded[i].detail);
        }
    return 0;
}

/* The shape of a value, as Shape (axes start..end) and Size give it. */
static int shape_of(struct ft_import *x, bool size)
{
    const struct ft_onnx_value *v = ft_onnx_input(x, 0);
    const bool view = v->kind == FT_ONNX_VIEW;
    const int64_t rank = view ? v->view.rank : v->constant.rank,
                  *dims = view ? v->view.dims : v->constant.dims;
    const int64_t start = ft_fold_limited(ft_onnx_int(x->node, "start", 0), rank, 0, rank),
                  end = ft_fold_limited(ft_onnx_int(x->node, "end", rank), rank, 0, rank);
    struct ft_onnx_value out = { .kind = FT_ONNX_CONSTANT,
                                 .constant = { .rank = size ? 0 : 1,
                                               .dims = { end > start ? end - start : 0 } } };
    const int rc = ft_onnx_new(x, &out.constant, true);
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
    rc = ft_onnx_new(x, c, integer);
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
    struct ft_fold f = { .x = x };
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
        if (k < FT_FOLD_FEW)
            f.in[k] = in ? &in->constant : NULL;
    }
    struct ft_onnx_value out = { .kind = FT_ONNX_CONSTANT };
    const int rc = ft_fold_run(&f, done);
    out.constant = f.out;
    return rc || !*done ? rc : ft_onnx_set(x, 0, &out);
}
