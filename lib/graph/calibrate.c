/* Ranges for int8. The absolute values of each buffer are counted in bins of equal ratio, so one
 * pass over the pictures is enough and the order of the pictures does not matter. A range is then
 * the one with the least mean square error: a smaller range has finer steps, and cuts off more.
 * Compared with the largest values and with percentiles: lib/kernels/README.md.
 *
 * Before that, some pictures show how large the values of each channel are. The outputs of a
 * transformer's normalisations have some channels that are 100 times as large as most. Small
 * channels are multiplied by about the square root of the ratio to the largest one, as in G. Xiao
 * et al., SmoothQuant, 2023 (with migration strength 0.5 and without regard to the weights), but by
 * powers of two, so that the change is exact. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "graph/steps.h"

/* A bin has the same sign, exponent and first FINE bits of the mantissa. */
enum { FINE = 4, SHIFT = 23 - FINE, HALF = 256 << FINE, BINS = 2 * HALF };

struct ft_calibration {
    const struct ft_plan *plan;
    uint64_t *counts; /* [n_buffers][BINS] */
    uint64_t *even;   /* the same of the balanced values */
    struct ft_kinds kinds;
    size_t *first;  /* [n_buffers] the first channel of each, in: */
    float *largest; /* [channels] */
    char *balance;  /* [channels] as in struct ft_range */
    size_t channels;
};

static bool init(struct ft_calibration *c, const struct ft_plan *plan)
{
    const size_t n = (size_t)plan->n_buffers;
    c->plan = plan;
    c->counts = ft_alloc_zero(n * BINS, sizeof *c->counts);
    c->even = ft_alloc_zero(n * BINS, sizeof *c->even);
    c->first = ft_alloc(n, sizeof *c->first);
    if (!c->counts || !c->even || !c->first || ft_kinds_find(plan, &c->kinds, NULL))
        return false;
    for (size_t i = 0; i < n; i++) {
        c->first[i] = c->channels;
        c->channels += ft_kinds_balanced(&c->kinds, (int)i) ? (size_t)plan->buffers[i].c : 0;
    }
    c->largest = ft_alloc_zero(c->channels + 1, sizeof *c->largest);
    c->balance = ft_alloc(c->channels + 1, 1);
    if (c->balance)
        memset(c->balance, FT_BALANCE_ONE, c->channels + 1);
    return c->largest && c->balance;
}

struct ft_calibration *ft_calibration_new(const struct ft_plan *plan)
{
    struct ft_calibration *c = ft_alloc_zero(1, sizeof *c);
    if (c && init(c, plan))
        return c;
    ft_calibration_free(c);
    return NULL;
}

void ft_calibration_free(struct ft_calibration *c)
{
    if (!c)
        return;
    free(c->counts);
    free(c->even);
    ft_kinds_release(&c->kinds);
    free(c->first);
    free(c->largest);
    free(c->balance);
    free(c);
}

static bool is_overwritten(const struct ft_plan *p, int step)
{
    for (int i = step + 1; i < p->n_steps; i++)
        if (ft_step_overwrites(&p->steps[i], &p->steps[step]))
            return true;
    return false;
}

static void look(void *context, int step, const struct ft_map *out)
{
    struct ft_calibration *c = context;
    const struct ft_step *s = &c->plan->steps[step];
    if (!ft_kinds_balanced(&c->kinds, s->out.buffer) || is_overwritten(c->plan, step))
        return;
    float *largest = c->largest + c->first[s->out.buffer] + s->out.channel;
    for (int p = 0; p < out->h * out->w; p++) {
        const float *at = ft_map_at(out, p / out->w, p % out->w);
        for (int i = 0; i < out->c; i++)
            largest[i] = fmaxf(largest[i], fabsf(at[i]));
    }
}

void ft_calibration_look(struct ft_calibration *c, const uint8_t *pixels, void *arena)
{
    ft_plan_watch(c->plan, pixels, arena, look, c);
}

/* The balance of n channels. */
static void balance(const float *largest, int n, char *out)
{
    float most = 0;
    for (int i = 0; i < n; i++)
        most = fmaxf(most, largest[i]);
    for (int i = 0; i < n; i++) {
        const float ratio = most / largest[i]; /* infinity and NaN, too, if a channel is 0 */
        const long power = ratio < 1e9f ? lrintf(log2f(ratio) / 2) : 0;
        out[i] = (char)(power < FT_BALANCE_MOST - FT_BALANCE_ONE ? FT_BALANCE_ONE + power
                                                                 : FT_BALANCE_MOST);
    }
}

void ft_calibration_balance(struct ft_calibration *c, const struct ft_calibration *seen)
{
    for (int i = 0; i < c->plan->n_buffers; i++)
        if (ft_kinds_balanced(&c->kinds, i))
            balance(seen->largest + c->first[i], c->plan->buffers[i].c, c->balance + c->first[i]);
}

static void count_value(float x, uint64_t *counts)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    counts[bits >> SHIFT]++;
}

/* Counts the values that a later step does not overwrite: of a large map every nth pixel, where n
 * is odd, so that the pixels are not all in the same columns. */
static void count(void *context, int step, const struct ft_map *out)
{
    enum { ENOUGH = 1 << 14 };
    struct ft_calibration *c = context;
    const struct ft_step *s = &c->plan->steps[step];
    const int buffer = s->out.buffer;
    if (is_overwritten(c->plan, step))
        return;
    const char *channels = ft_kinds_balanced(&c->kinds, buffer)
                               ? c->balance + c->first[buffer] + s->out.channel
                               : NULL;
    const int pixels = out->h * out->w, every = (int)((int64_t)pixels * out->c / ENOUGH) | 1;
    uint64_t *counts = c->counts + (size_t)buffer * BINS, *even = c->even + (size_t)buffer * BINS;
    for (int p = 0; p < pixels; p += every) {
        const float *x = ft_map_at(out, p / out->w, p % out->w);
        for (int i = 0; i < out->c; i++)
            count_value(x[i], counts);
        for (int i = 0; channels && i < out->c; i++)
            count_value(x[i] * ft_balance_factor(channels[i]), even);
    }
}

void ft_calibration_run(struct ft_calibration *c, const uint8_t *pixels, void *arena)
{
    ft_plan_watch(c->plan, pixels, arena, count, c);
}

void ft_calibration_merge(struct ft_calibration *to, const struct ft_calibration *from)
{
    for (size_t i = 0; i < (size_t)to->plan->n_buffers * BINS; i++) {
        to->counts[i] += from->counts[i];
        to->even[i] += from->even[i];
    }
    for (size_t i = 0; i < to->channels; i++)
        to->largest[i] = fmaxf(to->largest[i], from->largest[i]);
}

/* The middle of a bin. */
static double value_of(int bin)
{
    const uint32_t bits = ((uint32_t)bin << SHIFT) + (1u << (SHIFT - 1));
    float x;
    memcpy(&x, &bits, sizeof x);
    return (double)x;
}

/* The sum of the squared errors of values that are cut to lo..hi and rounded to 255 steps. Zero is
 * exact. */
static double error_of(const uint64_t *counts, double lo, double hi)
{
    const double step = (hi - lo) / 255;
    double sum = 0;
    for (int i = 0; i < BINS; i++) {
        if (!counts[i] || i % HALF == 0)
            continue;
        const double x = value_of(i), cut = x > hi ? x - hi : x < lo ? lo - x : 0;
        sum += (double)counts[i] * (cut > 0 ? cut * cut : step * step / 12);
    }
    return sum;
}

/* Four digits: files have short numbers, and reading them gives the same floats. */
static float rounded(double x)
{
    char text[32];
    snprintf(text, sizeof text, "%.4g", x);
    return strtof(text, NULL);
}

enum { CANDIDATES = 50 }; /* down to a fifth of the largest value */

static void best_range(const uint64_t *counts, float *out_lo, float *out_hi)
{
    double lo = 0, hi = 0, best = INFINITY, share = 1;
    for (int i = 0; i < BINS; i++)
        if (counts[i]) {
            lo = fmin(lo, value_of(i));
            hi = fmax(hi, value_of(i));
        }
    double s = 1;
    for (int i = 0; i < CANDIDATES; i++) {
        const double e = error_of(counts, s * lo, s * hi);
        if (e < best) {
            best = e;
            share = s;
        }
        s *= 0.97;
    }
    *out_lo = rounded(share * lo);
    *out_hi = rounded(share * hi);
}

static bool finite_counts(const uint64_t *counts)
{
    uint64_t bad = 0;
    for (int i = 255 << FINE; i < HALF; i++)
        bad += counts[i] + counts[HALF + i];
    return !bad;
}

/* A text of a balance that changes something, in out->balance. */
static int copy_balance(const struct ft_calibration *c, int buffer, struct ft_range *out)
{
    const size_t n = (size_t)c->plan->buffers[buffer].c;
    const char *from = c->balance + c->first[buffer];
    bool even = true;
    if (!ft_kinds_balanced(&c->kinds, buffer))
        return 0;
    for (size_t i = 0; i < n; i++)
        even = even && from[i] == FT_BALANCE_ONE;
    if (even)
        return 0;
    out->balance = strndup(from, n);
    return out->balance ? 0 : FT_ENOMEM;
}

int ft_calibration_ranges(const struct ft_calibration *c, struct ft_ranges *out,
                          struct ft_error *err)
{
    const struct ft_plan *p = c->plan;
    struct ft_ranges r = { .range = ft_alloc_zero((size_t)p->n_buffers, sizeof *r.range) };
    int rc = r.range ? 0 : ft_error_nomem(err, "the ranges of a network");
    for (int i = 0; !rc && i < p->n_buffers; i++) {
        const uint64_t *counts = c->counts + (size_t)i * BINS;
        if (i == p->pixels.buffer)
            continue;
        if (!finite_counts(counts)) {
            rc = ft_error_set(err, FT_EFORMAT, "layer '%s': its output is not finite",
                              p->buffers[i].layer);
            break;
        }
        struct ft_range *to = &r.range[r.n];
        r.n++;
        if (!(to->layer = ft_strdup(p->buffers[i].layer)) || copy_balance(c, i, to)) {
            rc = ft_error_nomem(err, "the ranges of a network");
            break;
        }
        best_range(counts, &to->lo, &to->hi);
        if (to->balance)
            best_range(c->even + (size_t)i * BINS, &to->even_lo, &to->even_hi);
    }
    if (rc)
        ft_ranges_release(&r);
    else
        *out = r;
    return rc;
}

void ft_ranges_release(struct ft_ranges *r)
{
    for (int i = 0; i < r->n; i++) {
        free(r->range[i].layer);
        free(r->range[i].balance);
    }
    free(r->range);
    *r = (struct ft_ranges){ 0 };
}
