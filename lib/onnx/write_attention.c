/* Multi-head attention: MatMul, Softmax, MatMul on [n, heads, tokens, units]. */
#include <math.h>

#include "onnx/write_layers.h"

static const char *two(struct ft_message *m, const char *type, const char *a, const char *b)
{
    return ft_message_node(m, type, a, b, NULL, NULL);
}

static const char *transpose(struct ft_message *m, const char *x, const int64_t *order, size_t n)
{
    const char *y = ft_message_node(m, "Transpose", x, NULL, NULL, NULL);
    ft_message_ints(m, "perm", order, n);
    return y;
}

/* tokens [n, t, c] times a weight and plus its bias: [n, t, outputs] */
static const char *project(struct ft_message *m, const struct ft_layer *l, int w, const char *x,
                           int64_t inputs, int64_t outputs)
{
    const struct ft_tensor *kernel = &l->weights[w], *bias = &l->weights[w + 1];
    x = two(m, "MatMul", x, ft_message_floats(m, kernel->data, (int64_t[]){ inputs, outputs }, 2));
    return bias->data ? two(m, "Add", x, ft_message_floats(m, bias->data, &outputs, 1)) : x;
}

/* [n, t, heads * each] in the order of axes that a product needs */
static const char *heads(struct ft_message *m, const char *x, int64_t n, int64_t each,
                         const int64_t *order)
{
    x = two(m, "Reshape", x, ft_message_shape(m, (int64_t[]){ 0, -1, n, each }, 4));
    return transpose(m, x, order, 4);
}

static const char *tokens(struct ft_message *m, const char *map, int64_t channels)
{
    const char *x = two(m, "Reshape", map, ft_message_shape(m, (int64_t[]){ 0, channels, -1 }, 3));
    return transpose(m, x, (int64_t[]){ 0, 2, 1 }, 3);
}

/* The shape of the map, with other channels. */
static const char *map_shape(struct ft_message *m, const char *map, int64_t channels)
{
    const char *shape = ft_message_node(m, "Shape", map, NULL, NULL, NULL), *parts[3];
    const int64_t zero = 0, one = 1, two_ = 2, four = 4;
    parts[0] = ft_message_node(m, "Slice", shape, ft_message_shape(m, &zero, 1),
                               ft_message_shape(m, &one, 1), NULL);
    parts[1] = ft_message_shape(m, &channels, 1);
    parts[2] = ft_message_node(m, "Slice", shape, ft_message_shape(m, &two_, 1),
                               ft_message_shape(m, &four, 1), NULL);
    const char *y = ft_message_list(m, "Concat", parts, 3);
    ft_message_int(m, "axis", 0);
    return y;
}

/* Each row of the map by itself: [n, rows, heads, tokens, units] */
static const char *in_windows(struct ft_message *m, const struct ft_layer *l,
                              const char *const *inputs)
{
    static const int64_t rows[] = { 0, 1, 3, 2, 4 }, columns[] = { 0, 1, 3, 4, 2 };
    const struct ft_tensor *w = l->weights, *scale = &w[FT_W_SCORE_SCALE],
                           *positions = &w[FT_W_POSITIONS];
    const int64_t n = l->params.groups, channels = w[FT_W_OUTPUT].shape[2];
    /* the maps of queries, keys and values */
    const int of[] = { 0, l->n_inputs - 1, l->n_inputs > 1 };
    const char *parts[3], *s;
    for (int i = 0; i < 3; i++) {
        const int64_t each = i < 2 ? l->params.units : l->params.filters;
        parts[i] = transpose(m, inputs[of[i]], (int64_t[]){ 0, 2, 3, 1 }, 4);
        parts[i] =
            project(m, l, FT_W_QUERY + 2 * i, parts[i], w[FT_W_QUERY + 2 * i].shape[0], n * each);
        parts[i] =
            two(m, "Reshape", parts[i], ft_message_shape(m, (int64_t[]){ 0, 0, 0, n, each }, 5));
        parts[i] = transpose(m, parts[i], i == 1 ? columns : rows, 5);
    }
    s = two(m, "MatMul", parts[0], parts[1]);
    s = two(m, "Mul", s,
            scale->data ? ft_message_floats(m, scale->data, (int64_t[]){ n, 1, 1 }, 3)
                        : ft_message_number(m, 1 / sqrtf((float)l->params.units)));
    if (positions->data)
        s = two(m, "Add", s,
                ft_message_floats(m, positions->data, positions->shape, positions->rank));
    s = ft_message_node(m, "Softmax", s, NULL, NULL, NULL);
    ft_message_int(m, "axis", -1);
    s = transpose(m, two(m, "MatMul", s, parts[2]), rows, 5);
    s = two(m, "Reshape", s, ft_message_shape(m, (int64_t[]){ 0, 0, 0, n * l->params.filters }, 4));
    s = project(m, l, FT_W_OUTPUT, s, n * l->params.filters, channels);
    return transpose(m, s, (int64_t[]){ 0, 3, 1, 2 }, 4);
}

const char *ft_message_attention(struct ft_message *m, const struct ft_layer *l,
                                 const char *const *inputs)
{
    static const int64_t rows[] = { 0, 2, 1, 3 }, columns[] = { 0, 2, 3, 1 };
    const struct ft_tensor *w = l->weights;
    const int64_t n = l->params.groups, units = l->params.units, filters = l->params.filters,
                  c = w[FT_W_QUERY].shape[0], of_keys = w[FT_W_KEY].shape[0],
                  of_values = w[FT_W_VALUE].shape[0], channels = w[FT_W_OUTPUT].shape[2];
    if (l->params.windows)
        return in_windows(m, l, inputs);
    const char *x = tokens(m, inputs[0], c);
    const char *y = l->n_inputs > 1 ? tokens(m, inputs[1], of_values) : x;
    const char *z = l->n_inputs > 2 ? tokens(m, inputs[2], of_keys) : y;
    const char *q = heads(m, project(m, l, FT_W_QUERY, x, c, n * units), n, units, rows),
               *k = heads(m, project(m, l, FT_W_KEY, z, of_keys, n * units), n, units, columns),
               *v =
                   heads(m, project(m, l, FT_W_VALUE, y, of_values, n * filters), n, filters, rows);
    const char *s = two(m, "MatMul", q, k);
    s = two(m, "Mul", s, ft_message_number(m, 1 / sqrtf((float)units)));
    s = ft_message_node(m, "Softmax", s, NULL, NULL, NULL);
    ft_message_int(m, "axis", -1);
    s = transpose(m, two(m, "MatMul", s, v), rows, 4);
    s = two(m, "Reshape", s, ft_message_shape(m, (int64_t[]){ 0, -1, n * filters }, 3));
    s = project(m, l, FT_W_OUTPUT, s, n * filters, channels);
    s = transpose(m, s, (int64_t[]){ 0, 2, 1 }, 3);
    return two(m, "Reshape", s, map_shape(m, inputs[0], channels));
}
