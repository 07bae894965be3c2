#include "onnx/scores.h"

#include <string.h>

#include "onnx/fold.h"

/* Copies the letters of an equation such as "b h i d, b h j d -> b h i j" without its spaces: the
 * indices of both inputs and of the output. Returns false for other equations. */
static bool read_equation(const Ft__Onnx__Node *node, char indices[3][FT_ONNX_RANK + 1])
{
    const Ft__Onnx__Attribute *a = ft_onnx_attribute(node, "equation");
    int part = 0, n = 0;
    for (size_t i = 0; a && i < a->s.len; i++) {
        const char c = (char)a->s.data[i];
        const bool ends = (part == 0 && c == ',') ||
                          (part == 1 && c == '-' && i + 1 < a->s.len && a->s.data[++i] == '>');
        if (ends) {
            indices[part++][n] = 0;
            n = 0;
        } else if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z')) {
            if (c != ' ')
                return false;
        } else {
            if (n == FT_ONNX_RANK)
                return false;
            indices[part][n++] = c;
        }
    }
    indices[part][n] = 0;
    return part == 2;
}

bool ft_onnx_is_product(const Ft__Onnx__Node *node, bool *turned)
{
    char in[3][FT_ONNX_RANK + 1] = { 0 }, *a = in[0], *b = in[1], *out = in[2];
    *turned = false;
    if (node->n_input != 2 || !strcmp(node->op_type, "MatMul"))
        return node->n_input == 2;
    if (strcmp(node->op_type, "Einsum") || !read_equation(node, in))
        return false;
    const size_t n = strlen(a), m = n - 2;
    for (size_t i = 0; i < n; i++)
        if (strchr(a + i + 1, a[i]))
            return false;
    if (n < 3 || strlen(b) != n || strlen(out) != n || strncmp(a, b, m) || strncmp(a, out, n - 1))
        return false;
    const char summed = a[n - 1], column = out[n - 1];
    *turned = b[n - 1] == summed;
    return !strchr(a, column) && b[*turned ? m : n - 1] == column &&
           b[*turned ? n - 1 : m] == summed;
}

/* The constant of a sum or product of a constant and scores; *scores is the input of these. */
static const struct ft_constant *constant_of(const struct ft_import *x, const Ft__Onnx__Node *node,
                                             size_t *scores)
{
    for (size_t k = 0; node->n_input == 2 && k < 2; k++) {
        const struct ft_onnx_value *v = ft_onnx_find(x, node->input[k]);
        *scores = 1 - k;
        if (v && v->kind == FT_ONNX_CONSTANT)
            return &v->constant;
    }
    return NULL;
}

static bool changes_shape(const char *name)
{
    static const char *const names[] = { "Reshape", "Unsqueeze", "Squeeze", "Identity" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i]))
            return true;
    return false;
}

static bool read_step(const struct ft_import *x, const Ft__Onnx__Node *node, struct ft_scores *s,
                      size_t *scores)
{
    *scores = 0;
    if (changes_shape(node->op_type))
        return true;
    const struct ft_constant *c = constant_of(x, node, scores);
    const bool divides = !strcmp(node->op_type, "Div");
    if (!c || (divides && *scores != 0))
        return false;
    if (!strcmp(node->op_type, "Add")) {
        s->added = true;
        return true;
    }
    if (c->count != 1 || (!divides && strcmp(node->op_type, "Mul")))
        return false;
    const double value = ft_constant_at(c, 0);
    s->factor *= divides ? 1 / value : value;
    return true;
}

bool ft_scores_find(const struct ft_import *x, const Ft__Onnx__Node *softmax, struct ft_scores *s)
{
    size_t scores = 0;
    *s = (struct ft_scores){ .factor = 1 };
    const Ft__Onnx__Node *node = softmax;
    while (scores < node->n_input) {
        const struct ft_onnx_value *v = ft_onnx_find(x, node->input[scores]);
        node = v ? v->node : NULL;
        if (!node || !node->op_type)
            return false;
        if (ft_onnx_is_product(node, &s->turned)) {
            s->product = node;
            return true;
        }
        if (s->n == FT_SCORES_STEPS || !read_step(x, node, s, &scores))
            return false;
        s->steps[s->n++] = node;
    }
    return false;
}

int ft_scores_sum(struct ft_import *x, const struct ft_scores *s, struct ft_constant *sum)
{
    struct ft_import at = *x;
    struct ft_fold zeros = { .x = &at, .out = *sum };
    int rc = ft_fold_make(&zeros, false);
    if (rc)
        return rc;
    *sum = zeros.out;
    memset(sum->f, 0, sum->count * sizeof *sum->f);
    for (int i = s->n - 1; !rc && i >= 0; i--) { /* each step as if the scores were these */
        struct ft_fold f = { .x = &at, .in = { sum } };
        bool done;
        at.node = s->steps[i];
        size_t scores;
        f.in[1] = changes_shape(at.node->op_type) ? NULL : constant_of(x, at.node, &scores);
        rc = ft_fold_run(&f, &done);
        *sum = f.out;
    }
    x->budget = at.budget;
    return rc;
}
