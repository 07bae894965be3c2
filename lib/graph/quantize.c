/* Which steps of an int8 plan are integer. A buffer has bytes if all steps that write it can write
 * bytes and a step that reads it can read them; else it has floats. Where a step needs the other
 * kind, a step before it converts the whole buffer, once.
 *
 * The pixels have 16 bits if convolutions alone read them: the first layer of a network loses most
 * by bytes. A convolution whose output only float steps read, or that has another activation than a
 * clamp, writes floats from its exact sums, to which it adds floats. So the residual of a
 * transformer, which its normalisations read, is never rounded to bytes, nor are the queries, keys
 * and values of attention. What follows a global average (a squeeze and excitation) stays float
 * until a map is multiplied. */
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
    int n;                 /* buffers before conversions */
    bool *bytes;           /* [n] the buffer has bytes */
    bool wide;             /* the buffer of the pixels has 16 bits */
    int *converted;        /* [n] the same values of the other kind; -1: not needed so far */
    struct ft_step *steps; /* with conversions */
    int n_steps;
};

static bool convolves(const struct ft_step *s)
{
    return s->operation == FT_OP_CONVOLUTION || s->operation == FT_OP_DEPTHWISE;
}

bool ft_step_overwrites(const struct ft_step *later, const struct ft_step *s)
{
    const struct ft_value *a = &later->out, *b = &s->out;
    return a->buffer == b->buffer && a->channel == b->channel && a->c == b->c;
}

static bool only_writer(const struct ft_plan *p, const struct ft_step *s)
{
    for (int i = 0; i < p->n_steps; i++)
        if (&p->steps[i] != s && p->steps[i].out.buffer == s->out.buffer)
            return false;
    return true;
}

static bool has_bytes(const struct quantizer *q, const struct ft_value *v)
{
    return q->bytes[v->buffer];
}

static bool one_pixel(const struct ft_value *v)
{
    return v->h * v->w == 1;
}

static bool reads_wide(const struct quantizer *q, const struct ft_step *s)
{
    return q->wide && s->in.buffer == q->plan->pixels.buffer;
}

/* Whether a convolution computes with integers at all. */
static bool multiplies_integers(const struct quantizer *q, const struct ft_step *s)
{
    return convolves(s) && (has_bytes(q, &s->in) || !one_pixel(&s->in));
}

/* Whether a step can write bytes, as far as the kinds of its inputs are known. */
static bool writes_bytes(const struct quantizer *q, const struct ft_step *s)
{
    switch (s->operation) {
    case FT_OP_CONVOLUTION:
    case FT_OP_DEPTHWISE:
        return s->work.activation == FT_ACT_LINEAR && only_writer(q->plan, s) &&
               (has_bytes(q, &s->in) || reads_wide(q, s) || !one_pixel(&s->in));
    case FT_OP_ADD:
        return s->work.activation == FT_ACT_LINEAR && only_writer(q->plan, s) &&
               has_bytes(q, &s->in) && has_bytes(q, &s->other);
    case FT_OP_MAX_POOL:
    case FT_OP_AVERAGE_POOL:
    case FT_OP_FLATTEN:
        return only_writer(q->plan, s) && has_bytes(q, &s->in);
    case FT_OP_COPY:
        return has_bytes(q, &s->in);
    default:
        return false;
    }
}

/* Whether a step computes with bytes, and reads them. */
static bool is_integer(const struct quantizer *q, const struct ft_step *s)
{
    if (convolves(s))
        return multiplies_integers(q, s);
    if (s->operation == FT_OP_GLOBAL_AVERAGE)
        return has_bytes(q, &s->in);
    return has_bytes(q, &s->out);
}

/* Bytes that no integer step reads would only lose digits. */
static bool wanted(const struct quantizer *q, int buffer)
{
    const struct ft_plan *p = q->plan;
    for (int i = 0; i < p->n_steps; i++) {
        const struct ft_step *s = &p->steps[i];
        const bool reads =
            s->in.buffer == buffer || (s->other.buffer == buffer && has_bytes(q, &s->out));
        if (reads && is_integer(q, s))
            return true;
    }
    return false;
}

static void choose_kinds(struct quantizer *q)
{
    const struct ft_plan *p = q->plan;
    q->wide = p->input.c <= 3;
    for (int i = 0; i < q->n; i++)
        q->bytes[i] = i != p->pixels.buffer;
    for (int i = 0; i < p->n_steps; i++) {
        const struct ft_step *s = &p->steps[i];
        const bool reads = s->in.buffer == p->pixels.buffer || s->other.buffer == p->pixels.buffer;
        if (reads &&
            (s->operation != FT_OP_CONVOLUTION || s->other.buffer >= 0 || one_pixel(&s->in)))
            q->wide = false;
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (int i = 0; i < p->n_steps; i++) {
            const int out = p->steps[i].out.buffer;
            if (q->bytes[out] && (!writes_bytes(q, &p->steps[i]) || !wanted(q, out))) {
                q->bytes[out] = false;
                changed = true;
            }
        }
    }
}

/* Whether the channels of a buffer can be balanced: only convolutions read its bytes, and weigh
 * each input channel on its own. Addends keep their scale. */
static bool balanced(const struct quantizer *q, int buffer)
{
    const struct ft_plan *p = q->plan;
    bool read = false;
    for (int i = 0; i < p->n_steps; i++) {
        const struct ft_step *s = &p->steps[i];
        if (!is_integer(q, s))
            continue;
        if (s->other.buffer == buffer && has_bytes(q, &s->out))
            return false;
        if (s->in.buffer == buffer) {
            if (s->operation != FT_OP_DEPTHWISE && s->work.groups != 1)
                return false;
            read = true;
        }
    }
    return read && buffer != p->pixels.buffer && !q->bytes[buffer];
}

int ft_plan_balanced(const struct ft_plan *plan, bool *out, struct ft_error *err)
{
    struct quantizer q = { .plan = (struct ft_plan *)(uintptr_t)plan, .n = plan->n_buffers };
    q.bytes = ft_alloc((size_t)q.n, sizeof *q.bytes);
    if (!q.bytes)
        return ft_error_nomem(err, "the ranges of a network");
    choose_kinds(&q);
    for (int i = 0; i < q.n; i++)
        out[i] = balanced(&q, i);
    free(q.bytes);
    return 0;
}

/* ---- scales ---------------------------------------------------------------------------------- */

static bool fits(const struct quantizer *q, int buffer, const char *balance)
{
    const size_t c = (size_t)q->plan->buffers[buffer].c;
    if (!balance)
        return true;
    for (size_t i = 0; i < c; i++) /* stops at the end of a short text */
        if (balance[i] < FT_BALANCE_ONE || balance[i] > FT_BALANCE_MOST)
            return false;
    return !balance[c] && balanced(q, buffer);
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
            if (!fits(q, buffer, r->balance))
                return ft_error_set(err, FT_EFORMAT,
                                    "int8: the range of layer '%s' does not fit it", layer);
            b->scale = ft_int8_scale(r->lo, r->hi);
            b->balance = r->balance;
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
    if (!q->wide)
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
        if (!q->bytes[s->out.buffer])
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
    const bool quantize = !q->bytes[from];
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
    if (v->buffer < 0 || q->bytes[v->buffer] == bytes || reads_wide(q, s))
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
    const bool integer = is_integer(q, &s), wide = reads_wide(q, &s),
               floats = !q->bytes[s.out.buffer];
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
        else if (!convolves(&s) && !ft_int8_settle(&s.work, 0))
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
    return q->wide;
}

static int quantize(struct quantizer *q, struct ft_error *err)
{
    struct ft_plan *p = q->plan;
    choose_kinds(q);
    int rc = scale_buffers(q, err);
    for (int i = 0; !rc && i < p->n_steps; i++)
        rc = add_step(q, p->steps[i], err);
    const int result = p->result.buffer;
    if (!rc && q->bytes[result]) { /* the result is floats */
        struct ft_step last = p->steps[p->n_steps - 1];
        rc = q->converted[result] < 0 ? add_conversion(q, &last, result, err) : 0;
        if (!rc)
            p->result.buffer = q->converted[result];
    }
    return rc;
}

int ft_plan_quantize(struct ft_plan *plan, const struct ft_ranges *ranges, struct ft_error *err)
{
    struct quantizer q = { .plan = plan, .ranges = ranges, .n = plan->n_buffers };
    const size_t n = (size_t)q.n;
    q.bytes = ft_alloc(n, sizeof *q.bytes);
    q.converted = ft_alloc(n, sizeof *q.converted);
    q.steps = ft_alloc((size_t)plan->n_steps + n, sizeof *q.steps);
    struct ft_buffer *more = ft_alloc(2 * n, sizeof *more);
    int rc = q.bytes && q.converted && q.steps && more
                 ? 0
                 : ft_error_nomem(err, "the plan of a network");
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
    free(q.bytes);
    free(q.converted);
    free(q.steps);
    return rc;
}
