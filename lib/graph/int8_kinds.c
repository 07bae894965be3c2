/* Which steps of an int8 plan are integer. A buffer has bytes if all steps that write it can write
 * bytes and a step that reads it can read them; else it has floats. Where a step needs the other
 * kind, a step before it converts the whole buffer (quantize.c).
 *
 * The pixels have 16 bits if convolutions alone read them: the first layer of a network loses most
 * by bytes. A convolution whose output only float steps read, or that has another activation than a
 * clamp, writes floats from its exact sums, to which it adds floats. So the residual of a
 * transformer, which its normalisations read, is never rounded to bytes, nor are the queries, keys
 * and values of attention. What follows a global average (a squeeze and excitation) stays float
 * until a map is multiplied. */
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "graph/steps.h"

bool ft_step_convolves(const struct ft_step *s)
{
    return s->operation == FT_OP_CONVOLUTION || s->operation == FT_OP_DEPTHWISE;
}

static bool only_writer(const struct ft_plan *p, const struct ft_step *s)
{
    for (int i = 0; i < p->n_steps; i++)
        if (&p->steps[i] != s && p->steps[i].out.buffer == s->out.buffer)
            return false;
    return true;
}

static bool has_bytes(const struct ft_kinds *kinds, const struct ft_value *v)
{
    return kinds->bytes[v->buffer];
}

static bool one_pixel(const struct ft_value *v)
{
    return v->h * v->w == 1;
}

bool ft_kinds_wide(const struct ft_kinds *kinds, const struct ft_step *s)
{
    return kinds->wide && s->in.buffer == kinds->plan->pixels.buffer;
}

/* Whether a convolution computes with integers at all. */
static bool multiplies_integers(const struct ft_kinds *kinds, const struct ft_step *s)
{
    return ft_step_convolves(s) && (has_bytes(kinds, &s->in) || !one_pixel(&s->in));
}

/* Whether a step can write bytes, as far as the kinds of its inputs are known. */
static bool writes_bytes(const struct ft_kinds *kinds, const struct ft_step *s)
{
    switch (s->operation) {
    case FT_OP_CONVOLUTION:
    case FT_OP_DEPTHWISE:
        return s->work.activation == FT_ACT_LINEAR && only_writer(kinds->plan, s) &&
               (s->other.buffer < 0 || has_bytes(kinds, &s->other)) &&
               (has_bytes(kinds, &s->in) || ft_kinds_wide(kinds, s) || !one_pixel(&s->in));
    case FT_OP_ADD:
        return s->work.activation == FT_ACT_LINEAR && only_writer(kinds->plan, s) &&
               has_bytes(kinds, &s->in) && has_bytes(kinds, &s->other);
    case FT_OP_MAX_POOL:
    case FT_OP_AVERAGE_POOL:
    case FT_OP_FLATTEN:
        return only_writer(kinds->plan, s) && has_bytes(kinds, &s->in);
    case FT_OP_COPY:
        return has_bytes(kinds, &s->in);
    default:
        return false;
    }
}

/* Whether a step computes with bytes, and reads them. */
bool ft_kinds_integer(const struct ft_kinds *kinds, const struct ft_step *s)
{
    if (ft_step_convolves(s))
        return multiplies_integers(kinds, s);
    if (s->operation == FT_OP_GLOBAL_AVERAGE)
        return has_bytes(kinds, &s->in);
    return has_bytes(kinds, &s->out);
}

/* Bytes that no integer step reads would only lose digits. Averages, copies and sums do not gain by
 * bytes: they take them if no step needs the floats. (The features of a block are the average of a
 * sum that, in a transformer, its next normalisation reads.) The map that a plan ends with has
 * bytes if it would have them when it is averaged. */
static bool wanted(const struct ft_kinds *kinds, int buffer)
{
    const struct ft_plan *p = kinds->plan;
    const struct ft_value *result = &p->result;
    bool accepted = result->buffer == buffer && !one_pixel(result), as_floats = false;
    for (int i = 0; i < p->n_steps; i++) {
        const struct ft_step *s = &p->steps[i];
        const bool integer = ft_kinds_integer(kinds, s);
        if (s->other.buffer == buffer && integer && has_bytes(kinds, &s->out))
            accepted = true;
        else if (s->other.buffer == buffer)
            as_floats = true;
        if (s->in.buffer != buffer)
            continue;
        if (!integer)
            as_floats = true;
        else if (s->operation == FT_OP_GLOBAL_AVERAGE || s->operation == FT_OP_COPY ||
                 s->operation == FT_OP_ADD)
            accepted = true;
        else
            return true;
    }
    return accepted && !as_floats;
}

static void choose_kinds(struct ft_kinds *kinds)
{
    const struct ft_plan *p = kinds->plan;
    kinds->wide = p->input.c <= 3;
    for (int i = 0; i < kinds->n; i++)
        kinds->bytes[i] = i != p->pixels.buffer;
    for (int i = 0; i < p->n_steps; i++) {
        const struct ft_step *s = &p->steps[i];
        const bool reads = s->in.buffer == p->pixels.buffer || s->other.buffer == p->pixels.buffer;
        if (reads &&
            (s->operation != FT_OP_CONVOLUTION || s->other.buffer >= 0 || one_pixel(&s->in)))
            kinds->wide = false;
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (int i = 0; i < p->n_steps; i++) {
            const int out = p->steps[i].out.buffer;
            if (kinds->bytes[out] && (!writes_bytes(kinds, &p->steps[i]) || !wanted(kinds, out))) {
                kinds->bytes[out] = false;
                changed = true;
            }
        }
    }
}

/* Whether the channels of a buffer can be balanced: only convolutions read its bytes, and weigh
 * each input channel on its own. Addends keep their scale. */
bool ft_kinds_balanced(const struct ft_kinds *kinds, int buffer)
{
    const struct ft_plan *p = kinds->plan;
    bool read = false;
    for (int i = 0; i < p->n_steps; i++) {
        const struct ft_step *s = &p->steps[i];
        if (!ft_kinds_integer(kinds, s))
            continue;
        if (s->other.buffer == buffer && has_bytes(kinds, &s->out))
            return false;
        if (s->in.buffer == buffer) {
            if (s->operation != FT_OP_DEPTHWISE && s->work.groups != 1)
                return false;
            read = true;
        }
    }
    return read && buffer != p->pixels.buffer && !kinds->bytes[buffer];
}

int ft_kinds_find(const struct ft_plan *plan, struct ft_kinds *out, struct ft_error *err)
{
    *out = (struct ft_kinds){ .plan = plan, .n = plan->n_buffers };
    out->bytes = ft_alloc((size_t)out->n, sizeof *out->bytes);
    if (!out->bytes)
        return ft_error_nomem(err, "the plan of a network");
    choose_kinds(out);
    return 0;
}

void ft_kinds_release(struct ft_kinds *kinds)
{
    free(kinds->bytes);
    *kinds = (struct ft_kinds){ 0 };
}
