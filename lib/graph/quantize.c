/* Makes steps of an int8 plan integer (int8_kinds.c says which), sets the scales, and converts
 * buffers between floats and bytes where a step needs the other kind, each at most once. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "graph/nodes.h"
#include "graph/steps.h"
#include "kernels/integers.h"

struct quantizer {
    struct ft_plan *plan;
    const struct ft_ranges *ranges;
    struct ft_kinds kinds; /* of the steps and buffers before conversions */
    int *converted;        /* [n] the same values of the other kind; -1: not needed so far */
    struct ft_step *steps; /* with conversions */
    int n_steps;
};

bool ft_step_overwrites(const struct ft_step *later, const struct ft_step *s)
{
    const struct ft_value *a = &later->out, *b = &s->out;
    return a->buffer == b->buffer && a->channel == b->channel && a->c == b->c;
}

/* ---- scales ---------------------------------------------------------------------------------- */

static bool fits(const struct ft_buffer *b, const char *balance)
{
    const size_t c = (size_t)b->c;
    for (size_t i = 0; i < c; i++) /* stops at the end of a short text */
        if (balance[i] < FT_BALANCE_ONE || balance[i] > FT_BALANCE_MOST)
            return false;
    return !balance[c];
}

/* Sets the scale and the balance of buffer b from the range of `buffer`. */
static int find_range(const struct quantizer *q, int buffer, struct ft_buffer *b,
                      struct ft_error *err)
{
    const char *layer = q->plan->buffers[buffer].layer;
    int earlier = 0;
    for (int i = 0; i < buffer; i++)
        earlier += !strcmp(q->plan->buffers[i].layer, layer);
    for (int i = 0; q->ranges && i < q->ranges->n; i++)
        if (!strcmp(q->ranges->range[i].layer, layer) && earlier-- == 0) {
            const struct ft_range *r = &q->ranges->range[i];
            if (r->balance && !fits(&q->plan->buffers[buffer], r->balance))
                return ft_error_set(err, FT_EFORMAT,
                                    "int8: the range of layer '%s' does not fit it", layer);
            const bool even = r->balance && ft_kinds_balanced(&q->kinds, buffer);
            b->scale = even ? ft_int8_scale(r->even_lo, r->even_hi) : ft_int8_scale(r->lo, r->hi);
            b->balance = even ? r->balance : NULL;
            return 0;
        }
    return ft_error_set(err, FT_EFORMAT, "int8: the range of layer '%s' is not known", layer);
}

static bool keeps_scale(const struct ft_step *s)
{
    return s->operation == FT_OP_MAX_POOL || s->operation == FT_OP_AVERAGE_POOL ||
           s->operation == FT_OP_FLATTEN;
}

/* The largest number that a pixel becomes, or the range of the pixels. */
static void pixel_range(const struct ft_plan *p, float *lo, float *hi)
{
    *lo = *hi = 0;
    for (int i = 0; i < p->input.c; i++) {
        const float ends[] = { p->offset[i], 255 * p->scale[i] + p->offset[i] };
        for (int k = 0; k < 2; k++) {
            *lo = fminf(*lo, ends[k]);
            *hi = fmaxf(*hi, ends[k]);
        }
    }
}

static int scale_pixels(struct quantizer *q, struct ft_error *err)
{
    struct ft_plan *p = q->plan;
    float lo, hi;
    pixel_range(p, &lo, &hi);
    struct ft_buffer *b = &p->buffers[p->pixels.buffer];
    if (!q->kinds.wide)
        return 0;
    b->bytes = sizeof(int16_t);
    b->scale.step = fmaxf(fmaxf(-lo, hi), 1e-6f) / FT_INT8_WIDE;
    p->wide = ft_alloc((size_t)p->input.c * 256, sizeof *p->wide);
    if (!p->wide)
        return ft_error_nomem(err, "the plan of a network");
    for (int i = 0; i < p->input.c; i++)
        for (int v = 0; v < 256; v++) {
            const double x = (double)v * (double)p->scale[i] + (double)p->offset[i];
            p->wide[256 * i + v] = (int16_t)lrint(x / (double)b->scale.step);
        }
    return 0;
}

/* In the order of the steps, so that the scales of inputs are known. */
static int scale_buffers(struct quantizer *q, struct ft_error *err)
{
    struct ft_plan *p = q->plan;
    int rc = scale_pixels(q, err);
    for (int i = 0; !rc && i < p->n_steps; i++) {
        const struct ft_step *s = &p->steps[i];
        struct ft_buffer *b = &p->buffers[s->out.buffer];
        if (!q->kinds.bytes[s->out.buffer])
            continue;
        b->bytes = 1;
        if (keeps_scale(s))
            b->scale = p->buffers[s->in.buffer].scale;
        else
            rc = find_range(q, s->out.buffer, b, err);
    }
    return rc;
}

/* ---- conversions ----------------------------------------------------------------------------- */

static int add_conversion(struct quantizer *q, const struct ft_step *reader, int from,
                          struct ft_error *err)
{
    struct ft_plan *p = q->plan;
    const bool quantize = !q->kinds.bytes[from];
    struct ft_buffer *b = &p->buffers[p->n_buffers];
    *b = p->buffers[from];
    b->bytes = quantize ? 1 : (int)sizeof(float);
    b->scale = (struct ft_quantum){ 0 };
    if (quantize && from == p->pixels.buffer) {
        float lo, hi;
        pixel_range(p, &lo, &hi);
        b->scale = ft_int8_scale(lo, hi);
    } else if (quantize) {
        const int rc = find_range(q, from, b, err);
        if (rc)
            return rc;
    }
    struct ft_step *s = &q->steps[q->n_steps++];
    const struct ft_value in = { .buffer = from, .h = b->h, .w = b->w, .c = b->c };
    *s = (struct ft_step){ .operation = quantize ? FT_OP_QUANTIZE : FT_OP_DEQUANTIZE,
                           .in = in,
                           .other = { .buffer = -1 },
                           .out = in,
                           .node = reader->node,
                           .kind = reader->kind,
                           .balance = b->balance,
                           .work = { .lo = -INFINITY,
                                     .hi = INFINITY,
                                     .kernel = { 1, 1 },
                                     .stride = { 1, 1 },
                                     .dilation = { 1, 1 },
                                     .groups = 1,
                                     .multiplier = 1,
                                     .pictures = 1,
                                     .precision = FT_PRECISION_INT8,
                                     .int8 = { .in = p->buffers[from].scale, .out = b->scale } } };
    s->out.buffer = q->converted[from] = p->n_buffers++;
    return 0;
}

/* Makes an operand of a step bytes, or floats. */
static int convert(struct quantizer *q, struct ft_step *s, struct ft_value *v, bool bytes,
                   struct ft_error *err)
{
    if (v->buffer < 0 || q->kinds.bytes[v->buffer] == bytes || ft_kinds_wide(&q->kinds, s))
        return 0;
    const int rc = q->converted[v->buffer] < 0 ? add_conversion(q, s, v->buffer, err) : 0;
    if (!rc)
        v->buffer = q->converted[v->buffer];
    return rc;
}

/* Converts the operands of a step, and completes its work. Returns 0, or an error. */
static int add_step(struct quantizer *q, struct ft_step s, struct ft_error *err)
{
    struct ft_plan *p = q->plan;
    const bool integer = ft_kinds_integer(&q->kinds, &s), wide = ft_kinds_wide(&q->kinds, &s),
               floats = !q->kinds.bytes[s.out.buffer];
    int rc = convert(q, &s, &s.in, integer, err);
    if (!rc)
        rc = convert(q, &s, &s.other, integer && !floats, err);
    if (rc)
        return rc;
    if (integer) {
        const char *balance = p->buffers[s.in.buffer].balance;
        s.balance = balance ? balance + s.in.channel : NULL;
        s.work.precision = FT_PRECISION_INT8;
        s.work.int8 = (struct ft_int8){ .in = p->buffers[s.in.buffer].scale,
                                        .out = p->buffers[s.out.buffer].scale,
                                        .wide = wide,
                                        .floats = floats };
        if (s.other.buffer >= 0 && !floats)
            s.work.int8.other = p->buffers[s.other.buffer].scale;
        if (floats)
            s.work.int8.out.step = 1;
        else if (!ft_step_convolves(&s) && !ft_int8_settle(&s.work, 0))
            return ft_error_set(
                err, FT_EUNSUPPORTED,
                "layer '%s': its inputs are too large for int8: use --precision f32",
                s.node->layer->name);
    }
    q->steps[q->n_steps++] = s;
    return 0;
}

/* Features are portable if floats are only copied, or come from sums of integers. */
static bool portable(const struct quantizer *q)
{
    for (int i = 0; i < q->n_steps; i++) {
        const struct ft_step *s = &q->steps[i];
        const bool adds_floats = s->work.int8.floats && s->other.buffer >= 0,
                   integer = s->work.precision == FT_PRECISION_INT8 &&
                             s->work.activation == FT_ACT_LINEAR && !adds_floats &&
                             s->operation != FT_OP_QUANTIZE;
        if (!integer && s->operation != FT_OP_COPY && s->operation != FT_OP_FLATTEN)
            return false;
    }
    return q->kinds.wide;
}

static int quantize(struct quantizer *q, struct ft_error *err)
{
    struct ft_plan *p = q->plan;
    int rc = scale_buffers(q, err);
    for (int i = 0; !rc && i < p->n_steps; i++)
        rc = add_step(q, p->steps[i], err);
    const int result = p->result.buffer;
    if (!rc && q->kinds.bytes[result]) { /* the result is floats */
        struct ft_step last = p->steps[p->n_steps - 1];
        rc = q->converted[result] < 0 ? add_conversion(q, &last, result, err) : 0;
        if (!rc)
            p->result.buffer = q->converted[result];
    }
    return rc;
}

int ft_plan_quantize(struct ft_plan *plan, const struct ft_ranges *ranges, struct ft_error *err)
{
    struct quantizer q = { .plan = plan, .ranges = ranges };
    const size_t n = (size_t)plan->n_buffers;
    q.converted = ft_alloc(n, sizeof *q.converted);
    q.steps = ft_alloc((size_t)plan->n_steps + n, sizeof *q.steps);
    struct ft_buffer *more = ft_alloc(2 * n, sizeof *more);
    int rc = q.converted && q.steps && more ? 0 : ft_error_nomem(err, "the plan of a network");
    if (!rc)
        rc = ft_kinds_find(plan, &q.kinds, err);
    if (!rc) {
        memcpy(more, plan->buffers, n * sizeof *more);
        free(plan->buffers);
        plan->buffers = more;
        more = NULL;
        memset(q.converted, -1, n * sizeof *q.converted);
        rc = quantize(&q, err);
    }
    if (!rc) {
        plan->portable = portable(&q);
        free(plan->steps);
        plan->steps = q.steps;
        plan->n_steps = q.n_steps;
        q.steps = NULL;
        ft_plan_lifetimes(plan);
    }
    free(more);
    ft_kinds_release(&q.kinds);
    free(q.converted);
    free(q.steps);
    return rc;
}
