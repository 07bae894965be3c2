/* EinsumDense: the last axes of the input are summed over with the first of the kernel, and the
 * other axes of the kernel take their place: "abc,cd->abd", "...x,xy->...y", "abc,cde->abde",
 * "abcd,cde->abe". That is a Dense layer between two changes of shape. */
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "keras/axes.h"
#include "keras/fields.h"
#include "keras/layer_classes.h"

enum { MOST_UNITS = 1 << 20 };

/* The axes of an equation, by their letters. The batch is the first axis, or part of "...". */
struct equation {
    int n_in, n_kernel, n_out;  /* letters */
    int kept, contracted, made; /* axes; `kept` with the batch, or those beside "..." */
    bool ellipsis;
    const char *in, *kernel, *out;
};

static bool parse_equation(const char *text, struct equation *e)
{
    const char *comma = text ? strchr(text, ',') : NULL,
               *arrow = comma ? strstr(comma, "->") : NULL;
    if (!arrow)
        return false;
    *e = (struct equation){ .in = text, .kernel = comma + 1, .out = arrow + 2 };
    e->ellipsis = !strncmp(e->in, "...", 3) && !strncmp(e->out, "...", 3);
    e->in += e->ellipsis ? 3 : 0;
    e->out += e->ellipsis ? 3 : 0;
    e->n_in = (int)(comma - e->in);
    e->n_kernel = (int)(arrow - e->kernel);
    e->n_out = (int)strlen(e->out);
    while (e->kept < e->n_in && e->kept < e->n_out && e->in[e->kept] == e->out[e->kept])
        e->kept++;
    e->contracted = e->n_in - e->kept;
    e->made = e->n_out - e->kept;
    return e->contracted >= 1 && e->made >= 1 && (e->ellipsis || e->kept >= 1) &&
           e->n_kernel == e->contracted + e->made &&
           !strncmp(e->kernel, e->in + e->kept, (size_t)e->contracted) &&
           !strncmp(e->kernel + e->contracted, e->out + e->kept, (size_t)e->made);
}

/* Whether the bias is one for each value that the kernel makes: as a Dense layer has it. */
static bool is_dense_bias(const struct equation *e, const char *axes)
{
    bool same = axes && (int)strlen(axes) == e->made;
    for (int i = 0; same && i < e->made; i++)
        same = strchr(axes, e->out[e->kept + i]) != NULL;
    return same;
}

static int parse_einsum_dense(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const char *text = cJSON_GetStringValue(ft_field(config, "equation")),
               *bias = cJSON_GetStringValue(ft_field(config, "bias_axes"));
    struct equation e;
    if (!parse_equation(text, &e))
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "EinsumDense is supported only if it sums over the last axes "
                            "('abc,cd->abd'), not with '%.100s'",
                            text ? text : "no equation");
    out->derived = true;
    out->contracted = e.contracted;
    out->needs = FT_NEEDS(FT_W_KERNEL) | (is_dense_bias(&e, bias) ? FT_NEEDS(FT_W_BIAS) : 0);
    return ft_parse_activation(config, out, err);
}

/* The kernel as [inputs, units], the bias as [units]. */
static int finish_einsum_dense(struct ft_draft_layer *d, struct ft_error *err)
{
    struct ft_tensor *kernel = &d->layer.weights[FT_W_KERNEL], *bias = &d->layer.weights[FT_W_BIAS];
    int64_t n = 1;
    if (kernel->rank <= d->contracted)
        return ft_error_set(err, FT_EFORMAT, "its kernel has %d axes", kernel->rank);
    for (int i = 0; i < d->contracted; i++)
        n *= kernel->shape[i];
    *kernel = (struct ft_tensor){
        2, { n, n ? (int64_t)kernel->count / n : 0 }, kernel->count, kernel->data
    };
    if (bias->rank > 1)
        *bias = (struct ft_tensor){ 1, { (int64_t)bias->count }, bias->count, bias->data };
    return 0;
}

/* ---- changes of shape ------------------------------------------------------------------------ */

/* The lengths of the last n axes of the setting output_shape; 0 where it does not say them. */
static void made_lengths(const cJSON *config, int n, int *lengths)
{
    const cJSON *shape = ft_field(config, "output_shape");
    if (cJSON_IsObject(shape))
        shape = ft_field(shape, "items");
    for (int i = 0; i < n; i++) {
        const cJSON *item = cJSON_IsArray(shape)
                                ? cJSON_GetArrayItem(shape, cJSON_GetArraySize(shape) - n + i)
                                : shape;
        lengths[i] = (cJSON_IsArray(shape) || n == 1) ? ft_step_integer(item, 0) : 0;
    }
}

/* The contracted axes become one. */
static int join_contracted(struct ft_build *b, int n, int kept, const int *lengths)
{
    int shape[3] = { 0 }, x;
    for (int i = 0; i < kept; i++)
        shape[i] = lengths[i] ? lengths[i] : -1;
    shape[kept] = 1;
    for (int i = kept; i < n; i++)
        shape[kept] =
            lengths[i] > 0 && shape[kept] <= MOST_UNITS / lengths[i] ? shape[kept] * lengths[i] : 0;
    if (!shape[kept])
        return ft_step_unsupported(b, "a contraction over axes of unknown length");
    const int rc = ft_axes_reshape(b, b->x, shape, kept + 1, &x);
    if (!rc)
        ft_step_layer(b, b->layer)->inputs[0] = x;
    return rc;
}

/* A layer that adds the bias, which is another weight of the same layer in the file. */
static int add_bias(struct ft_build *b, int *last);

/* With a bias of its own the activation comes after it. */
static int add_activation(struct ft_build *b, int *last)
{
    struct ft_layer_params *own = &ft_step_layer(b, b->layer)->params;
    const struct ft_layer_params p = *own;
    if (p.activation == FT_ACT_LINEAR)
        return 0;
    own->activation = FT_ACT_LINEAR;
    const int rc = ft_step_add(b, FT_LAYER_ACTIVATION, last, 1, last);
    if (rc)
        return rc;
    ft_step_layer(b, *last)->params.activation = p.activation;
    ft_step_layer(b, *last)->params.alpha = p.alpha;
    return 0;
}

static int build_einsum_dense(struct ft_build *b, int *last)
{
    const char *bias = cJSON_GetStringValue(ft_field(b->config, "bias_axes"));
    struct equation e;
    int in[3], made[3], units = 1, rc = 0;
    *last = b->layer;
    const int n = ft_axes_of(b, b->x, in);
    if (!n || !parse_equation(cJSON_GetStringValue(ft_field(b->config, "equation")), &e))
        return 0; /* an input of unknown shape: a Dense layer says what is wrong */
    const int kept = n - e.contracted;
    if (kept < 0 || (!e.ellipsis && kept + 1 != e.kept) || kept + e.made > 3)
        return ft_step_unsupported(b, "this equation on an input of this shape");
    made_lengths(b->config, e.made, made);
    for (int i = 0; i < e.made; i++)
        units = made[i] > 0 && units <= MOST_UNITS / made[i] ? units * made[i] : 0;
    if (e.made > 1 && !units)
        return ft_step_unsupported(b, "an output_shape with unknown lengths");
    b->draft->layers[b->layer].layer.params.units = units;
    if (e.contracted > 1)
        rc = join_contracted(b, n, kept, in);
    if (!rc && e.made > 1) {
        int shape[3] = { 0 };
        for (int i = 0; i < kept; i++)
            shape[i] = in[i] ? in[i] : -1;
        memcpy(shape + kept, made, (size_t)e.made * sizeof *made);
        rc = ft_axes_reshape(b, *last, shape, kept + e.made, last);
    }
    if (!rc && bias && !is_dense_bias(&e, bias)) {
        rc = add_bias(b, last);
        rc = rc ? rc : add_activation(b, last);
    }
    return rc;
}

/* ---- a bias along other axes ----------------------------------------------------------------- */

static const char *const stores[FT_MAX_WEIGHTS] = { "vars/0", "vars/1" };

/* It broadcasts against the output: [c], [t, c] or [h, w, c], any of them 1. */
static int finish_bias(struct ft_draft_layer *d, struct ft_error *err)
{
    const struct ft_tensor bias = d->layer.weights[FT_W_OFFSET];
    float *one = ft_draft_constants(d, 1);
    if (!one)
        return ft_error_nomem(err, "a constant");
    if (bias.rank < 1 || bias.rank > 3)
        return ft_error_set(err, FT_EFORMAT, "its bias has %d axes", bias.rank);
    int first = 0;
    while (first < bias.rank - 1 && bias.shape[first] == 1)
        first++;
    const int n = bias.rank - first, rank = n == 1 ? 1 : 3;
    struct ft_tensor *offset = &d->layer.weights[FT_W_OFFSET];
    *offset = (struct ft_tensor){ rank, { 1, 1, 1 }, bias.count, bias.data };
    for (int i = 0; i < n; i++)
        offset->shape[rank - n + i] = bias.shape[first + i];
    *one = 1;
    d->layer.weights[FT_W_SCALE] = (struct ft_tensor){ 1, { 1 }, 1, one };
    d->layer.kind = rank == 1 ? FT_LAYER_RESCALING : FT_LAYER_MAP_RESCALING;
    return 0;
}

static const struct ft_layer_class bias_class = {
    "EinsumDense",    FT_LAYER_MAP_RESCALING,       .weights = { "kernel", "bias" },
    .stores = stores, .ignored = 1u << FT_W_KERNEL, .finish = finish_bias
};

static int add_bias(struct ft_build *b, int *last)
{
    const int rc = ft_step_add(b, FT_LAYER_MAP_RESCALING, last, 1, last);
    if (rc)
        return rc;
    struct ft_draft_layer *to = &b->draft->layers[*last];
    const struct ft_draft_layer *from = &b->draft->layers[b->layer];
    to->class = &bias_class;
    to->needs = FT_NEEDS(FT_W_OFFSET);
    to->top = from->top;
    to->inner = from->inner;
    to->scope = ft_strdup(from->scope);
    to->store = ft_strdup(from->store);
    return to->scope && to->store ? 0 : ft_error_nomem(b->err, "the names of layers");
}

const struct ft_layer_class ft_einsum_classes[] = {
    { "EinsumDense", FT_LAYER_DENSE, .parse = parse_einsum_dense, .weights = { "kernel", "bias" },
      .ignored = 1u << FT_W_BIAS, .finish = finish_einsum_dense, .build = build_einsum_dense },
    { 0 },
};
