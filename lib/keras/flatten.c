/* A call of a layer becomes a layer of the draft. A call of a model becomes the calls of its
 * members; the model's inputs stand for the layers that it was called on. */
#define _GNU_SOURCE
#include "keras/flatten.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "keras/fields.h"
#include "keras/operations.h"
#include "keras/read_layer.h"
#include "keras/references.h"

enum { INPUTS_LIMIT = 1 << 10, PARTS_LIMIT = 64, NO_CALLER = -1, OPEN = -2 };

struct list {
    int *at;
    int n;
    size_t capacity;
};

struct call {
    struct list inputs, outputs; /* layers of the draft; inputs: of a model only */
};

struct flattening {
    struct ft_draft *draft;
    size_t capacity;
};

/* A model being flattened. */
struct scope {
    const struct ft_model_config *model;
    const struct scope *outer;
    const struct ft_member *member; /* this model, as a member of `outer`; NULL: the network */
    struct call *calls;             /* [model->n_calls] */
    int *origin;                    /* the next unused origin */
    struct flattening *x;
};

static int list_add(struct list *list, int value, struct ft_error *err)
{
    if (list->n >= INPUTS_LIMIT)
        return ft_error_set(err, FT_ELIMIT, "more than %d inputs", INPUTS_LIMIT);
    if (!ft_grow((void **)&list->at, &list->capacity, (size_t)list->n, sizeof *list->at))
        return ft_error_nomem(err, "inputs of layers");
    list->at[list->n++] = value;
    return 0;
}

static void calls_free(struct call *calls, int n)
{
    for (int i = 0; calls && i < n; i++) {
        free(calls[i].inputs.at);
        free(calls[i].outputs.at);
    }
    free(calls);
}

/* ---- where a layer's weights are ------------------------------------------------------------- */

static const char *top_of(const struct scope *s, const char *name)
{
    for (; s->member; s = s->outer)
        name = s->member->name;
    return name;
}

/* "outer/inner" or "layers/functional/layers/conv2d_1", built from the inside out. Returns NULL
 * if memory runs out. */
static char *path_of(const struct scope *s, const struct ft_member *member, bool store)
{
    char *path = ft_strdup("");
    for (; path && member; member = s->member, s = s->outer) {
        char *longer = NULL, number[16] = "";
        if (member->number)
            snprintf(number, sizeof number, "_%d", member->number);
        if (asprintf(&longer, "%s%s%s%s%s", store ? "layers/" : "",
                     store ? member->group : member->name, store ? number : "", *path ? "/" : "",
                     path) < 0)
            longer = NULL;
        free(path);
        path = longer;
    }
    return path;
}

/* ---- calls of layers ------------------------------------------------------------------------- */

static struct ft_draft_layer *add_layer(struct flattening *x, struct ft_error *err)
{
    struct ft_draft *d = x->draft;
    if (d->n >= FT_DRAFT_LIMIT) {
        ft_error_set(err, FT_ELIMIT, "the network has more than %d layers", FT_DRAFT_LIMIT);
        return NULL;
    }
    if (!ft_grow((void **)&d->layers, &x->capacity, (size_t)d->n, sizeof *d->layers)) {
        ft_error_nomem(err, "layers");
        return NULL;
    }
    struct ft_draft_layer *layer = &d->layers[d->n++];
    *layer = (struct ft_draft_layer){ .stands_for = NO_CALLER, .origin = -1 };
    return layer;
}

/* The input of an inner model stands for another layer, which `connect` finds. */
static int call_layer(struct flattening *x, const struct scope *s, const struct ft_member *member,
                      const cJSON *node, int origin, struct call *call, struct ft_error *err)
{
    struct ft_draft_layer *layer = add_layer(x, err);
    if (!layer)
        return err ? err->code : FT_ENOMEM;
    int rc = list_add(&call->outputs, x->draft->n - 1, err);
    if (!rc)
        rc = ft_draft_layer_parse(member, node, layer, err);
    layer->origin = origin;
    layer->inner = s->member;
    layer->top = top_of(s, member->name);
    layer->scope = path_of(s, member, false);
    layer->store = path_of(s, member, true);
    if (!rc && s->member && layer->layer.kind == FT_LAYER_INPUT)
        layer->stands_for = OPEN;
    return rc || (layer->scope && layer->store) ? rc : ft_error_nomem(err, "the names of layers");
}

static int flatten(struct flattening *x, struct scope *s, struct call *result,
                   struct ft_error *err);

/* All calls of a member. The calls of a model take the same origins: they share weights. */
static int call_member(struct flattening *x, const struct scope *s, const struct ft_member *member,
                       struct ft_error *err)
{
    const cJSON *node = member->nodes;
    const int origin = *s->origin;
    int rc = 0, again = origin;
    for (int i = 0; !rc && i < member->n_calls; i++, node = node ? node->next : NULL) {
        struct call *call = &s->calls[member->first + i];
        if (!member->inner)
            rc = call_layer(x, s, member, node, origin, call, err);
        else {
            struct scope inner = { .model = member->inner,
                                   .outer = s,
                                   .member = member,
                                   .x = x,
                                   .origin = i ? &again : s->origin };
            again = origin;
            rc = flatten(x, &inner, call, err);
        }
    }
    if (!member->inner)
        ++*s->origin;
    return rc;
}

/* ---- inputs ---------------------------------------------------------------------------------- */

/* Adds layers for further outputs of an operation, up to number `part`. They get the inputs of
 * output 0 once all are known. */
static int add_parts(const struct scope *s, const struct ft_member *member, struct list *outputs,
                     int part, struct ft_error *err)
{
    const int first = outputs->at[0];
    int rc = 0;
    while (!rc && outputs->n <= part) {
        struct ft_draft_layer *layer = add_layer(s->x, err);
        if (!layer)
            return err ? err->code : FT_ENOMEM;
        rc = ft_draft_layer_parse(member, s->x->draft->layers[first].node, layer, err);
        layer->part = outputs->n;
        layer->part_of = first;
        layer->inner = s->member;
        layer->top = top_of(s, member->name);
        if (!rc)
            rc = list_add(outputs, s->x->draft->n - 1, err);
    }
    return rc;
}

static int add_reference(const struct scope *s, struct list *list, const char *name,
                         const cJSON *node, const cJSON *tensor, int *others, struct ft_error *err)
{
    const struct ft_member *member = ft_member_find(s->model, name);
    if (!member && cJSON_IsNumber(node) &&
        node->valuedouble == -1) { /* ["_CONSTANT_VALUE", -1, 3.0, {}] */
        ++*others;
        return 0;
    }
    if (!member)
        return ft_error_set(err, FT_EFORMAT, "its input '%s' is not in the network", name);
    int call = cJSON_IsNumber(node) && node->valuedouble >= 0 && node->valuedouble <= FT_DRAFT_LIMIT
                   ? (int)node->valuedouble
                   : -1;
    if (member->inner &&
        member->highest ==
            member->n_calls) /* Keras also counts the call that created the inner model */
        call--;
    if (call < 0 || call >= member->n_calls)
        return ft_error_set(err, FT_EFORMAT,
                            "its input '%s' is called %d times, but a later call is used", name,
                            member->n_calls);
    struct list *outputs = &s->calls[member->first + call].outputs;
    if (cJSON_IsNumber(tensor) && tensor->valuedouble >= outputs->n &&
        tensor->valuedouble < PARTS_LIMIT && !member->inner && outputs->n &&
        ft_operation_has_parts(s->x->draft->layers[outputs->at[0]].operation)) {
        const int rc = add_parts(s, member, outputs, (int)tensor->valuedouble, err);
        if (rc)
            return rc;
    }
    if (!cJSON_IsNumber(tensor) || !(tensor->valuedouble >= 0 && tensor->valuedouble < outputs->n))
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "its input '%s' has %d outputs, but another one is used", name,
                            outputs->n);
    return list_add(list, outputs->at[(int)tensor->valuedouble], err);
}

/* What ft_references_visit adds inputs to. */
struct inputs {
    const struct scope *scope;
    struct list *list;
};

static int add_input(void *user, const char *name, const cJSON *node, const cJSON *tensor,
                     int *others, struct ft_error *err)
{
    const struct inputs *in = user;
    return add_reference(in->scope, in->list, name, node, tensor, others, err);
}

/* Adds the layers that `value` refers to. *others counts arguments that are not layers. */
static int collect(const struct scope *s, struct list *list, const cJSON *value, int *others,
                   struct ft_error *err)
{
    return ft_references_visit(value, add_input, &(struct inputs){ s, list }, others, err);
}

/* Gives a call its inputs. */
static int connect(struct flattening *x, const struct ft_member *member, const struct call *call,
                   struct list *inputs, struct ft_error *err)
{
    struct ft_draft_layer *layers = x->draft->layers;
    if (member->inner) {
        if (call->inputs.n != inputs->n)
            return ft_error_set(err, FT_EFORMAT, "it has %d inputs, but is called on %d",
                                call->inputs.n, inputs->n);
        for (int i = 0; i < inputs->n; i++)
            layers[call->inputs.at[i]].stands_for = inputs->at[i];
        return 0;
    }
    struct ft_layer *layer = &layers[call->outputs.at[0]].layer;
    if (layer->kind == FT_LAYER_INPUT)
        return inputs->n ? ft_error_set(err, FT_EFORMAT, "an input layer has an input") : 0;
    if (!inputs->n)
        return ft_error_set(err, FT_EFORMAT, "it has no input");
    layer->inputs = inputs->at;
    layer->n_inputs = inputs->n;
    *inputs = (struct list){ 0 };
    return 0;
}

static int connect_functional(struct flattening *x, const struct scope *s, struct ft_error *err)
{
    for (int m = 0; m < s->model->n; m++) {
        const struct ft_member *member = &s->model->members[m];
        const cJSON *node = member->nodes;
        for (int i = 0; i < member->n_calls; i++, node = node ? node->next : NULL) {
            struct list inputs = { 0 };
            int others = 0, rc = node ? collect(s, &inputs, node, &others, err) : 0;
            const struct call *call = &s->calls[member->first + i];
            if (!rc && others && !member->inner && !x->draft->layers[call->outputs.at[0]].operation)
                rc = ft_error_set(err, FT_EUNSUPPORTED,
                                  "an input that is not a layer is not supported");
            if (!rc)
                rc = connect(x, member, call, &inputs, err);
            free(inputs.at);
            if (rc)
                return ft_error_prefix(err, rc, "layer '%s'", member->name);
        }
    }
    return 0;
}

static int functional_ends(const struct scope *s, const char *key, struct list *out,
                           struct ft_error *err)
{
    int others = 0;
    const cJSON *ends = ft_field(s->model->config, key);
    int rc = 0;
    if (cJSON_IsObject(ends)) /* by name */
        for (const cJSON *one = ends->child; !rc && one; one = one->next)
            rc = collect(s, out, one, &others, err);
    else if (ends)
        rc = collect(s, out, ends, &others, err);
    if (!rc && out->n && !others)
        return 0;
    return rc ? ft_error_prefix(err, rc, "'%s'", key)
              : ft_error_set(err, FT_EFORMAT, "the network has no '%s'", key);
}

/* A Sequential is a chain of layers. One without an input layer is given one. */
static int connect_sequential(struct flattening *x, const struct scope *s, struct call *result,
                              struct ft_error *err)
{
    const struct ft_model_config *m = s->model;
    const bool begins = !strcmp(m->members[0].kind, "InputLayer");
    int at, rc = 0;
    if (begins && !s->calls[0].outputs.n)
        return ft_error_set(err, FT_EFORMAT, "layer '%s' has no output", m->members[0].name);
    if (begins) {
        at = s->calls[0].outputs.at[0];
    } else {
        struct ft_draft_layer *input = add_layer(x, err);
        if (!input)
            return err ? err->code : FT_ENOMEM;
        at = x->draft->n - 1;
        input->stands_for = s->member ? OPEN : NO_CALLER;
        rc = s->member ? 0 : ft_draft_layer_input(m, input, err);
    }
    if (!rc)
        rc = list_add(&result->inputs, at, err);
    for (int i = begins; !rc && i < m->n; i++) {
        struct list inputs = { 0 };
        const struct call *call = &s->calls[m->members[i].first];
        if (!call->outputs.n)
            return ft_error_set(err, FT_EFORMAT, "layer '%s' has no output", m->members[i].name);
        rc = list_add(&inputs, at, err);
        if (!rc)
            rc = connect(x, &m->members[i], call, &inputs, err);
        free(inputs.at);
        if (rc)
            return ft_error_prefix(err, rc, "layer '%s'", m->members[i].name);
        at = call->outputs.at[0];
    }
    return rc ? rc : list_add(&result->outputs, at, err);
}

static int flatten(struct flattening *x, struct scope *s, struct call *result, struct ft_error *err)
{
    const struct ft_model_config *m = s->model;
    int rc = 0;
    s->calls = calloc((size_t)m->n_calls, sizeof *s->calls);
    if (!s->calls)
        return ft_error_nomem(err, "layers");
    for (int i = 0; !rc && i < m->n; i++)
        rc = call_member(x, s, &m->members[i], err);
    if (!rc && m->sequential)
        rc = connect_sequential(x, s, result, err);
    else if (!rc) {
        rc = connect_functional(x, s, err);
        if (!rc)
            rc = functional_ends(s, "input_layers", &result->inputs, err);
        if (!rc)
            rc = functional_ends(s, "output_layers", &result->outputs, err);
    }
    calls_free(s->calls, m->n_calls);
    return rc;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Follows `at` to the layer that it stands for. */
static int follow(const struct ft_draft *d, int at, int *out, struct ft_error *err)
{
    int steps = 0;
    while (d->layers[at].stands_for != NO_CALLER) {
        if (d->layers[at].stands_for == OPEN)
            return ft_error_set(err, FT_EFORMAT,
                                "the input '%s' of a model inside the network is not connected",
                                d->layers[at].scope ? d->layers[at].scope : "");
        at = d->layers[at].stands_for;
        if (steps++ > d->n)
            return ft_error_set(err, FT_EFORMAT,
                                "the input of a model inside the network depends on itself");
    }
    *out = at;
    return 0;
}

/* Each output of an operation is computed from the same inputs. */
static int share_inputs(struct ft_draft *d, struct ft_error *err)
{
    for (int i = 0; i < d->n; i++) {
        if (!d->layers[i].part)
            continue;
        const struct ft_layer *first = &d->layers[d->layers[i].part_of].layer;
        struct ft_layer *layer = &d->layers[i].layer;
        const size_t n = (size_t)first->n_inputs;
        layer->inputs = malloc((n + 1) * sizeof *layer->inputs);
        if (!layer->inputs)
            return ft_error_nomem(err, "inputs of layers");
        for (size_t k = 0; k < n; k++)
            layer->inputs[k] = first->inputs[k];
        layer->n_inputs = first->n_inputs;
    }
    return 0;
}

static int refuse_outputs(const struct ft_draft *d, const struct list *outputs,
                          struct ft_error *err)
{
    if (!outputs->n)
        return ft_error_set(err, FT_EFORMAT, "the network has no output");
    const char *first = d->layers[outputs->at[0]].layer.name;
    return ft_error_set(
        err, FT_EUNSUPPORTED,
        "the network has %d outputs, of layers '%.100s' and '%.100s'%s: only one is "
        "supported; save keras.Model(model.input, model.get_layer('%.100s').output)",
        outputs->n, first, d->layers[outputs->at[1]].layer.name, outputs->n > 2 ? ", ..." : "",
        first);
}

int ft_model_config_flatten(const struct ft_model_config *m, struct ft_draft *draft,
                            struct ft_error *err)
{
    struct flattening x = { .draft = draft };
    struct scope s = { .model = m, .origin = &draft->n_origins, .x = &x };
    struct call ends = { 0 };
    int rc = flatten(&x, &s, &ends, err);
    if (!rc && ends.outputs.n != 1)
        rc = refuse_outputs(draft, &ends.outputs, err);
    if (!rc)
        rc = share_inputs(draft, err);
    for (int i = 0; !rc && i < draft->n; i++)
        for (int j = 0; !rc && j < draft->layers[i].layer.n_inputs; j++)
            rc = follow(draft, draft->layers[i].layer.inputs[j], &draft->layers[i].layer.inputs[j],
                        err);
    if (!rc)
        rc = follow(draft, ends.outputs.at[0], &draft->output, err);
    free(ends.inputs.at);
    free(ends.outputs.at);
    return rc;
}
