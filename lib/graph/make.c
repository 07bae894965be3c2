/* Makes a plan, and describes its steps. */
#include <stdlib.h>
#include <string.h>

#include "base/blas.h"
#include "base/error.h"
#include "base/memory.h"
#include "graph/kinds.h"
#include "network/kinds.h"

/* The plan may outlive the network, so it owns a copy of all names. */
static int keep_names(struct ft_plan *plan, struct ft_error *err)
{
    size_t bytes = 1;
    for (int i = 0; i < plan->n_steps; i++)
        bytes += strlen(plan->steps[i].node->layer->name) + 1;
    for (int i = 0; i < plan->n_buffers; i++)
        bytes += strlen(plan->buffers[i].layer) + 1;
    char *at = plan->names = malloc(bytes);
    if (!at)
        return ft_error_nomem(err, "the plan of a network");
    for (int i = 0; i < plan->n_steps; i++) {
        struct ft_step *s = &plan->steps[i];
        const size_t n = strlen(s->node->layer->name) + 1;
        s->name = memcpy(at, s->node->layer->name, n);
        s->node = NULL;
        at += n;
    }
    for (int i = 0; i < plan->n_buffers; i++) {
        const size_t n = strlen(plan->buffers[i].layer) + 1;
        plan->buffers[i].layer = memcpy(at, plan->buffers[i].layer, n);
        at += n;
    }
    return 0;
}

/* FINETUNE_EXACT=1: for comparisons, and for users who need the last digits. */
static bool exact_wanted(void)
{
    const char *exact = getenv("FINETUNE_EXACT");
    return exact && strcmp(exact, "") && strcmp(exact, "0");
}

static int make_steps(struct ft_plan *plan, struct ft_nodes *nodes,
                      const struct ft_plan_options *options, struct ft_error *err)
{
    ft_nodes_fold(nodes);
    const bool int8 = options->precision == FT_PRECISION_INT8;
    int rc = ft_plan_emit(plan, nodes, err);
    if (!rc && int8)
        rc = ft_plan_quantize(plan, options->ranges, err);
    if (rc)
        return rc;
    ft_plan_blocks(plan, int8 ? FT_BLOCKS_NEVER : options->blocks);
    plan->exact = options->exact || exact_wanted();
    plan->precision = options->precision;
    return ft_plan_layout(plan, options->pictures, err);
}

/* The weights that are in memory while nodes are made: of a large network those that nodes read,
 * which are all but the kernels; of another one all, and also while they are packed. */
struct held {
    const struct ft_network *network;
    int *order, n; /* [n] layers */
    bool large;
};

static bool holds(const struct held *held, const struct ft_layer *layer, int w)
{
    if (!held->large)
        return true;
    if (layer->kind == FT_LAYER_ATTENTION) /* with three inputs, an identity is searched */
        return layer->n_inputs == 3 || w % 2;
    return w != FT_W_KERNEL || !ft_kind_find(layer->kind)->kernel;
}

static void hold(const struct held *held,
                 void (*use)(const struct ft_network *, const struct ft_tensor *))
{
    for (int i = 0; i < held->n; i++) {
        const struct ft_layer *layer = &held->network->layers[held->order[i]];
        for (int w = 0; w < FT_MAX_WEIGHTS; w++)
            if (holds(held, layer, w))
                use(held->network, &layer->weights[w]);
    }
}

static int held_new(const struct ft_network *network, int last, struct held *out,
                    struct ft_error *err)
{
    enum { LARGE = 1 << 25 }; /* floats */
    size_t floats = 0;
    *out = (struct held){ .network = network, .order = malloc(((size_t)last + 1) * sizeof(int)) };
    const int n = out->order ? ft_network_order(network, last, out->order) : FT_ENOMEM;
    if (n < 0)
        return ft_error_nomem(err, "the plan of a network");
    out->n = n;
    for (int i = 0; i < n; i++)
        for (int w = 0; w < FT_MAX_WEIGHTS; w++)
            floats += network->layers[out->order[i]].weights[w].count;
    out->large = floats > LARGE;
    hold(out, ft_network_want);
    return ft_network_read(network, err);
}

static void held_release(struct held *held)
{
    hold(held, ft_network_done);
    held->n = 0;
}

static int make_plan(struct ft_plan *plan, struct held *held, int last,
                     const struct ft_plan_options *options, struct ft_error *err)
{
    struct ft_nodes nodes = { 0 };
    int rc = ft_nodes_new(held->network, last, options->height, options->width, &nodes, err);
    rc = rc ? rc : make_steps(plan, &nodes, options, err);
    if (held->large)
        held_release(held);
    rc = rc ? rc : ft_plan_pack(plan, held->network, err);
    if (!rc)
        ft_plan_stages(plan);
    rc = rc ? rc : keep_names(plan, err);
    ft_nodes_release(&nodes);
    return rc;
}

int ft_plan_new(const struct ft_network *network, const struct ft_plan_options *options,
                struct ft_plan **out, struct ft_error *err)
{
    struct held held;
    const int last = options->layer == -1 ? network->output : options->layer;
    if (last < 0 || last >= network->n_layers)
        return ft_error_set(err, FT_EARG, "there is no layer %d: the network has %d", last,
                            network->n_layers);
    if (options->height < 0 || options->width < 0)
        return ft_error_set(err, FT_EARG, "an input of %d x %d is not valid", options->height,
                            options->width);
    ft_blas_alone(); /* each picture has one thread: two levels of threads are slower than one */
    struct ft_plan *plan = ft_alloc_zero(1, sizeof *plan);
    int rc =
        plan ? held_new(network, last, &held, err) : ft_error_nomem(err, "the plan of a network");
    if (plan) {
        rc = rc ? rc : make_plan(plan, &held, last, options, err);
        held_release(&held);
        free(held.order);
    }
    if (rc) {
        ft_plan_free(plan);
        return rc;
    }
    ft_network_trim(network); /* the plan has its own copy of every weight */
    *out = plan;
    return 0;
}

int ft_plan_tail(const struct ft_plan *plan, int channels, struct ft_plan **out,
                 struct ft_error *err)
{
    struct ft_plan *tail = ft_alloc(1, sizeof *tail);
    if (!tail)
        return ft_error_nomem(err, "the plan of a network");
    *tail = *plan;
    tail->borrows = true;
    tail->result.channel += plan->output.c - channels;
    tail->result.c = tail->output.c = channels;
    *out = tail;
    return 0;
}

void ft_plan_free(struct ft_plan *plan)
{
    if (!plan)
        return;
    if (!plan->borrows) {
        free(plan->buffers);
        free(plan->steps);
        free(plan->constants);
        free(plan->names);
        free(plan->wide);
    }
    free(plan);
}

struct ft_shape ft_plan_input(const struct ft_plan *plan)
{
    return plan->input;
}

struct ft_shape ft_plan_output(const struct ft_plan *plan)
{
    return plan->output;
}

bool ft_plan_exact(const struct ft_plan *plan)
{
    return plan->exact;
}

bool ft_plan_portable(const struct ft_plan *plan)
{
    return plan->portable;
}

enum ft_precision ft_plan_precision(const struct ft_plan *plan)
{
    return plan->precision;
}

int ft_plan_pictures(const struct ft_plan *plan)
{
    return plan->pictures;
}

size_t ft_plan_arena_bytes(const struct ft_plan *plan, int pictures)
{
    return (plan->arena_floats + (size_t)(pictures - 1) * plan->apart) * sizeof(float);
}

int ft_plan_steps(const struct ft_plan *plan)
{
    return plan->n_steps;
}

void ft_plan_step(const struct ft_plan *plan, int i, struct ft_layer_info *out)
{
    const struct ft_step *s = &plan->steps[i];
    *out = (struct ft_layer_info){ .name = s->name,
                                   .kind = ft_layer_kind_name(s->kind),
                                   .kernel = s->row->name,
                                   .height = s->out.h,
                                   .width = s->out.w,
                                   .channels = s->out.c,
                                   .parameters = s->parameters,
                                   .multiply_adds = s->multiply_adds };
}
