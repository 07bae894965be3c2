/* What the tests of int8 plans share. */
#ifndef FT_TESTS_INT8_H
#define FT_TESTS_INT8_H

#include "base/memory.h"
#include "graph/plan.h"
#include "small_network.h"

static inline double cosine(const float *a, const float *b, int n)
{
    double ab = 0, aa = 0, bb = 0;
    for (int i = 0; i < n; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return ab / sqrt(aa * bb);
}

/* The ranges of a float plan, from one picture. */
static inline struct ft_ranges ranges_of(const struct ft_network *network, const uint8_t *pixels,
                                         bool balanced)
{
    struct ft_ranges ranges = { 0 };
    struct ft_plan *plan = NULL;
    const struct ft_plan_options o = { .layer = -1, .blocks = FT_BLOCKS_NEVER, .pictures = 1 };
    CHECK(!ft_plan_new(network, &o, &plan, NULL));
    void *arena = ft_alloc(ft_plan_arena_bytes(plan, 1), 1);
    struct ft_calibration *c = ft_calibration_new(plan), *more = ft_calibration_new(plan);
    ft_calibration_look(more, pixels, arena);
    for (int i = 0; balanced && i < 2; i++)
        ft_calibration_balance(i ? more : c, more);
    ft_calibration_run(c, pixels, arena);
    ft_calibration_run(more, pixels, arena);
    ft_calibration_merge(c, more);
    CHECK(!ft_calibration_ranges(c, &ranges, NULL));
    ft_calibration_free(c);
    ft_calibration_free(more);
    ft_plan_free(plan);
    free(arena);
    return ranges;
}

/* Adds a 3x3 convolution with weights of noise, and a relu, to the last layer. */
static inline void add_convolution(struct ft_network *n, int in, int filters)
{
    const int layer = n->n_layers, count = 9 * in * filters;
    add(n, FT_LAYER_CONV2D, "conv", layer - 1, -1);
    struct ft_layer_params *p = &n->layers[layer].params;
    p->filters = filters;
    p->kernel[0] = p->kernel[1] = 3;
    p->padding = FT_PAD_SAME;
    p->activation = FT_ACT_RELU;
    weigh(n, layer, FT_W_KERNEL, 4, (int64_t[]){ 3, 3, in, filters });
    float *kernel = (float *)(uintptr_t)n->layers[layer].weights[FT_W_KERNEL].data;
    for (int i = 0; i < count; i++)
        kernel[i] = sinf((float)((int64_t)i * i % 10007)) / sqrtf(4.5f * (float)in);
}

#endif
