#include "keras/axes.h"

#include "base/error.h"

int ft_axes_of(const struct ft_build *b, int x, int lengths[3])
{
    const int rank = ft_draft_rank(b->draft, x), channels = ft_draft_channels(b->draft, x);
    const bool tokens = ft_draft_tokens(b->draft, x);
    int size[2] = { 0 };
    if (rank == 3)
        ft_draft_size(b->draft, x, size);
    const int n = rank != 3 ? rank : tokens ? 2 : 3;
    for (int i = 0; i < n; i++)
        lengths[i] = i == n - 1 ? channels : size[i + tokens];
    return n;
}

int ft_axes_swap(struct ft_build *b, int x, int axis, int *out)
{
    const bool rows = axis == 1 && !ft_draft_tokens(b->draft, x);
    const int rc = ft_step_add(b, FT_LAYER_PERMUTE, &x, 1, out);
    if (rc)
        return rc;
    struct ft_layer_params *p = &ft_step_layer(b, *out)->params;
    p->rank = 3;
    p->shape[0] = rows ? 3 : 1;
    p->shape[1] = rows ? 2 : 3;
    p->shape[2] = rows ? 1 : 2;
    return 0;
}

int ft_axes_reshape(struct ft_build *b, int x, const int *lengths, int n, int *out)
{
    const int rc = ft_step_add(b, FT_LAYER_RESHAPE, &x, 1, out);
    if (rc)
        return rc;
    struct ft_layer_params *p = &ft_step_layer(b, *out)->params;
    p->rank = n == 1 ? 1 : 3;
    p->shape[0] = 1;
    for (int i = 0; i < n; i++)
        p->shape[i + (n == 2)] = lengths[i];
    b->draft->layers[*out].tokens = n == 2;
    return 0;
}

static int unsupported(const struct ft_build *b, int i)
{
    return ft_error_set(b->err, FT_EUNSUPPORTED, "axis %d of an input is not supported here",
                        b->draft->layers[i].axis);
}

/* The last axes become one. */
static int merge_last(struct ft_build *b, int i, int first, const int *lengths, int n, int *last)
{
    int kept[3] = { 0 }, x = b->draft->layers[i].layer.inputs[0];
    for (int k = 0; k < n; k++) {
        if (!lengths[k])
            return unsupported(b, i);
        kept[k] = k < first - 1 ? lengths[k] : -1;
    }
    int rc = ft_axes_reshape(b, x, kept, first, &x);
    if (rc)
        return rc;
    b->draft->layers[i].layer.inputs[0] = x;
    return ft_axes_reshape(b, i, lengths, n, last);
}

int ft_axes_move(struct ft_build *b, int i, int *last)
{
    struct ft_draft_layer *d = &b->draft->layers[i];
    int lengths[3];
    const int n = ft_axes_of(b, d->layer.inputs[0], lengths),
              axis = d->axis < 0 ? d->axis + n + 1 : d->axis, n_axes = d->n_axes;
    *last = i;
    if (!n || (axis == n && n_axes == 1)) /* sort.c checks what is left */
        return 0;
    if (axis < 1 || axis > n || (n_axes > 1 && axis + n_axes - 1 != n))
        return unsupported(b, i);
    int rc = 0;
    if (n_axes > 1)
        rc = merge_last(b, i, axis, lengths, n, last);
    for (int k = 0; !rc && n_axes == 1 && k < b->draft->layers[i].layer.n_inputs; k++) {
        int swapped;
        rc = ft_axes_swap(b, b->draft->layers[i].layer.inputs[k], axis, &swapped);
        if (!rc)
            b->draft->layers[i].layer.inputs[k] = swapped;
    }
    if (!rc && n_axes == 1)
        rc = ft_axes_swap(b, i, axis, last);
    b->draft->layers[i].axis = -1;
    b->draft->layers[i].n_axes = 1;
    return rc;
}
