/* Makes a plan, and describes its steps. */
#include <stdlib.h>
#include <string.h>

#include "base/blas.h"
#include "base/error.h"
#include "base/memory.h"
#include "graph/nodes.h"
#include "graph/steps.h"
#include "network/kinds.h"

/* The plan may outlive the network, so it owns a copy of all names. */
static int keep_names(struct ft_plan *plan, struct ft_error *err)
{
    size_t bytes = 1;
    for (int i = 0; i < plan->n_steps; i++)
        bytes += strlen(plan->steps[i].node->layer->name) + 1;
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
    int rc = ft_plan_emit(plan, nodes, err);
    if (rc)
        return rc;
    ft_plan_blocks(plan, options->blocks);
    plan->exact = options->exact || exact_wanted();
    plan->precision = options->precision;
    rc = ft_plan_layout(plan, options->pictures, err);
    rc = rc ? rc : ft_plan_pack(plan, err);
    if (!rc)
        ft_plan_stages(plan);
    return rc;
}

int ft_plan_new(const struct ft_network *network, const struct ft_plan_options *options,
                struct ft_plan **out, struct ft_error *err)
{
    struct ft_nodes nodes = { 0 };
    const int last = options->layer == -1 ? network->output : options->layer;
    if (last < 0 || last >= network->n_layers)
        return ft_error_set(err, FT_EARG, "there is no layer %d: the network has %d", last,
                            network->n_layers);
    if (options->height < 0 || options->width < 0)
        return ft_error_set(err, FT_EARG, "an input of %d x %d is not valid", options->height,
                            options->width);
    ft_blas_alone(); /* each picture has one thread: two levels of threads are slower than one */
    int rc = ft_network_load(network, last, err);
    if (rc)
        return rc;
    struct ft_plan *plan = ft_alloc_zero(1, sizeof *plan);
    rc = plan ? 0 : ft_error_nomem(err, "the plan of a network");
    rc = rc ? rc : ft_nodes_new(network, last, options->height, options->width, &nodes, err);
    rc = rc ? rc : make_steps(plan, &nodes, options, err);
    rc = rc ? rc : keep_names(plan, err);
    ft_nodes_release(&nodes);
    if (rc) {
        ft_plan_free(plan);
        return rc;
    }
    ft_network_unload(network); /* the plan has its own copy of every weight */
    *out = plan;
    return 0;
}

void ft_plan_free(struct ft_plan *plan)
{
    if (!plan)
        return;
    free(plan->buffers);
    free(plan->steps);
    free(plan->constants);
    free(plan->names);
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
