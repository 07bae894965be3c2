/* Ranges for int8. The absolute values of each buffer are counted in bins of equal ratio, so one
 * pass over the pictures is enough and the order of the pictures does not matter. A range is then
 * the one with the least mean square error: a smaller range has finer steps, and cuts off more.
 * Compared with the largest values and with percentiles: lib/kernels/README.md. */
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
};

struct ft_calibration *ft_calibration_new(const struct ft_plan *plan)
{
    struct ft_calibration *c = ft_alloc_zero(1, sizeof *c);
    if (!c)
        return NULL;
    c->plan = plan;
    c->counts = ft_alloc_zero((size_t)plan->n_buffers * BINS, sizeof *c->counts);
    if (c->counts)
        return c;
    free(c);
    return NULL;
}

void ft_calibration_free(struct ft_calibration *c)
{
    if (!c)
        return;
    free(c->counts);
    free(c);
}

/* Counts the values that a later step does not overwrite: of a large map every nth pixel, where n
 * is odd, so that the pixels are not all in the same columns. */
static void count(void *context, int step, const struct ft_map *out)
{
    enum { ENOUGH = 1 << 16 };
    struct ft_calibration *c = context;
    const struct ft_step *s = &c->plan->steps[step];
    for (int i = step + 1; i < c->plan->n_steps; i++)
        if (ft_step_overwrites(&c->plan->steps[i], s))
            return;
    uint64_t *counts = c->counts + (size_t)s->out.buffer * BINS;
    const int pixels = out->h * out->w, every = (int)((int64_t)pixels * out->c / ENOUGH) | 1;
    for (int p = 0; p < pixels; p += every) {
        const float *at = ft_map_at(out, p / out->w, p % out->w);
        for (int i = 0; i < out->c; i++) {
            uint32_t bits;
            memcpy(&bits, &at[i], sizeof bits);
            counts[bits >> SHIFT]++;
        }
    }
}

void ft_calibration_run(struct ft_calibration *c, const uint8_t *pixels, void *arena)
{
    ft_plan_watch(c->plan, pixels, arena, count, c);
}

void ft_calibration_merge(struct ft_calibration *to, const struct ft_calibration *from)
{
    for (size_t i = 0; i < (size_t)to->plan->n_buffers * BINS; i++)
        to->counts[i] += from->counts[i];
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

static void best_range(const uint64_t *counts, struct ft_range *out)
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
    out->lo = rounded(share * lo);
    out->hi = rounded(share * hi);
}

static bool finite_counts(const uint64_t *counts)
{
    uint64_t bad = 0;
    for (int i = 255 << FINE; i < HALF; i++)
        bad += counts[i] + counts[HALF + i];
    return !bad;
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
        if (!(to->layer = ft_strdup(p->buffers[i].layer))) {
            rc = ft_error_nomem(err, "the ranges of a network");
            break;
        }
        r.n++;
        best_range(counts, to);
    }
    if (rc)
        ft_ranges_release(&r);
    else
        *out = r;
    return rc;
}

void ft_ranges_release(struct ft_ranges *r)
{
    for (int i = 0; i < r->n; i++)
        free(r->range[i].layer);
    free(r->range);
    *r = (struct ft_ranges){ 0 };
}
