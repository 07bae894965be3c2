/* keras.ops of Keras 3 has {"class_name": "Add", "module": "keras.src.ops.numpy", ...}, tf.keras
 * {"class_name": "TFOpLambda", "config": {"function": "__operators__.add"}}. */
#include "keras/operations.h"

#include <string.h>

#include "base/error.h"
#include "keras/fields.h"
#include "keras/layer_classes.h"
#include "keras/operation_steps.h"
#include "keras/patterns.h"

/* Whether one of the arguments of a Keras 3 call is neither a tensor nor a list of tensors. */
static bool takes_constant(const cJSON *nodes)
{
    const cJSON *args = ft_field(nodes ? nodes->child : NULL, "args");
    for (const cJSON *item = args ? args->child : NULL; item; item = item->next)
        if (cJSON_IsNumber(item) ||
            (cJSON_IsObject(item) && !ft_field(ft_field(item, "config"), "keras_history")))
            return true;
    return false;
}

/* Keras 3 saves an .h5 file without modules. A name that a layer class has, too, is an operation
 * if it is called on a constant, or if it has the settings of one. */
static bool is_no_layer(const cJSON *entry, const char *kind)
{
    const cJSON *nodes = ft_field(entry, "inbound_nodes");
    return ft_field(nodes ? nodes->child : NULL, "args") && !ft_field(entry, "module") &&
           (!ft_layer_class_find(kind) || ft_field(ft_field(entry, "config"), "newshape"));
}

static const struct ft_keras_operation *find(const char *name)
{
    static const struct ft_keras_operation *const tables[] = { ft_arithmetic_operations,
                                                               ft_selection_operations,
                                                               ft_shape_operations,
                                                               ft_product_operations };
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (const struct ft_keras_operation *o = tables[t]; o->names; o++)
            if (ft_pattern_matches(o->names, name, strlen(name)))
                return o;
    return NULL;
}

bool ft_is_operation(const cJSON *entry)
{
    const char *kind = cJSON_GetStringValue(ft_field(entry, "class_name")),
               *module = cJSON_GetStringValue(ft_field(entry, "module"));
    return takes_constant(ft_field(entry, "inbound_nodes")) ||
           (kind && (!strcmp(kind, "TFOpLambda") || !strcmp(kind, "SlicingOpLambda"))) ||
           (module && strstr(module, ".ops.")) || (kind && find(kind) && is_no_layer(entry, kind));
}

int ft_operation_parse(const cJSON *entry, struct ft_draft_layer *out, struct ft_error *err)
{
    const char *function = cJSON_GetStringValue(ft_field(ft_field(entry, "config"), "function"));
    const char *name = function ? function : cJSON_GetStringValue(ft_field(entry, "class_name"));
    out->operation = find(name);
    out->layer.kind = FT_LAYER_IDENTITY;
    return out->operation ? 0
                          : ft_error_set(err, FT_EUNSUPPORTED,
                                         "the operation '%s' is not supported: write it as a layer "
                                         "and save again",
                                         name);
}

bool ft_operation_has_parts(const struct ft_keras_operation *operation)
{
    return operation && operation->detail == FT_OPERATION_PARTS;
}

/* Other layers would miss the axis that an index removed. */
static bool takes_squeezed(const struct ft_draft_layer *d)
{
    return d->operation || d->layer.kind == FT_LAYER_RESHAPE || d->layer.kind == FT_LAYER_FLATTEN ||
           d->layer.kind == FT_LAYER_IDENTITY;
}

/* Returns FT_EUNSUPPORTED if some inputs are squeezed and others are not, or if the operation
 * cannot take them. */
static int check_squeezed(struct ft_build *b)
{
    const struct ft_draft_layer *own = &b->draft->layers[b->layer];
    int n = 0;
    for (int k = 0; k < own->layer.n_inputs; k++)
        n += b->draft->layers[own->layer.inputs[k]].squeezed;
    b->squeezed = n > 0;
    return n && (n < own->layer.n_inputs || own->operation->squeezed == FT_SQUEEZED_REFUSED)
               ? ft_step_unsupported(b, "this operation on a tensor without channels")
               : 0;
}

static int build(struct ft_draft *draft, int i, struct ft_error *err)
{
    const struct ft_keras_operation *operation = draft->layers[i].operation;
    const struct ft_layer_class *class = draft->layers[i].class;
    struct ft_build b = { .draft = draft,
                          .layer = i,
                          .used = !operation, /* a layer stays what it is */
                          .x = draft->layers[i].layer.inputs[0],
                          .node = draft->layers[i].node,
                          .config = draft->layers[i].config,
                          .err = err };
    const int n = draft->n;
    int last = i, rc = operation ? check_squeezed(&b) : class->build(&b, &last);
    if (!rc && operation)
        rc = operation->build(&b, operation, &last);
    if (!rc && b.squeezed && operation->squeezed == FT_SQUEEZED_KEPT)
        draft->layers[last].squeezed = true;
    if (!rc && last != i)
        ft_draft_redirect(draft, n, i, last);
    return rc;
}

/* Operations, and layers that become several. */
static int build_if_needed(struct ft_draft *draft, int i, struct ft_error *err)
{
    const struct ft_draft_layer *d = &draft->layers[i];
    int rc = 0;
    if (d->operation && !d->layer.n_inputs)
        rc = ft_error_set(err, FT_EFORMAT, "the operation has no input");
    else if (d->operation || (d->class && d->class->build && d->layer.n_inputs))
        rc = build(draft, i, err);
    return rc ? ft_error_prefix(err, rc, "layer '%s'", draft->layers[i].layer.name) : 0;
}

int ft_operations_build(struct ft_draft *draft, struct ft_error *err)
{
    const int n = draft->n;
    for (int i = 0; i < n; i++) {
        if (draft->layers[i].part) /* built with output 0, before what takes it */
            continue;
        const bool parts = ft_operation_has_parts(draft->layers[i].operation);
        int rc = build_if_needed(draft, i, err);
        for (int j = i + 1; !rc && parts && j < n; j++)
            if (draft->layers[j].part && draft->layers[j].part_of == i)
                rc = build_if_needed(draft, j, err);
        if (rc)
            return rc;
    }
    for (int i = 0; i < n; i++)
        for (int k = 0; k < draft->layers[i].layer.n_inputs; k++)
            if (draft->layers[draft->layers[i].layer.inputs[k]].squeezed &&
                !takes_squeezed(&draft->layers[i]))
                return ft_error_set(err, FT_EUNSUPPORTED,
                                    "layer '%s': an input without channels is not supported: keep "
                                    "the axis with x[..., 0:1]",
                                    draft->layers[i].layer.name);
    return 0;
}
