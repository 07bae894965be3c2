/* int8 steps that are not convolutions (integers.h): plain loops over bytes, which compilers
 * vectorise. */
#include <string.h>

#include "base/numbers.h"
#include "kernels/integers.h"

/* BODY sees the pixel (y, x) of the part that is computed, and n channels from c0 on. */
#define EACH_PIXEL(w, ...)                                                                         \
    for (int y = (w)->y0; y < (w)->y1; y++)                                                        \
        for (int x = 0; x < (w)->out.w; x++) {                                                     \
            const int c0 = (w)->c0, n = (w)->c1 - (w)->c0;                                         \
            __VA_ARGS__                                                                            \
        }
#define ROW(operation, function)                                                                   \
    const struct ft_kernel_row ft_int8_##operation##_c = { .run = function, .name = "int8" }

static void add(const struct ft_work *w)
{
    const struct ft_int8 *i = &w->int8;
    EACH_PIXEL(w, {
        const uint8_t *a = ft_bytes_at(&w->in, y, x) + c0, *b = ft_bytes_at(&w->other, y, x) + c0;
        uint8_t *out = ft_bytes_to(&w->out, y, x) + c0;
        for (int c = 0; c < n; c++)
            out[c] = ft_int8_round(
                i, ft_int8_saturate(ft_int8_addend(a[c], i->in.zero, i->scale_in) +
                                    ft_int8_addend(b[c], i->other.zero, i->scale_other)));
    })
}
ROW(add, add);

static void copy(const struct ft_work *w)
{
    const struct ft_int8 *i = &w->int8;
    const bool same = i->in.zero == i->out.zero && !(i->in.step < i->out.step) &&
                      !(i->in.step > i->out.step) && i->lo == 0 && i->hi == 255;
    EACH_PIXEL(w, {
        const uint8_t *in = ft_bytes_at(&w->in, y, x) + c0;
        uint8_t *out = ft_bytes_to(&w->out, y, x) + c0;
        if (same)
            memcpy(out, in, (size_t)n);
        else
            for (int c = 0; c < n; c++)
                out[c] = ft_int8_round(i, ft_int8_addend(in[c], i->in.zero, i->scale_in));
    })
}
ROW(copy, copy);

static void flatten(const struct ft_work *w)
{
    const size_t c = (size_t)w->in.c;
    size_t at = 0;
    for (int y = 0; y < w->in.h; y++)
        for (int x = 0; x < w->in.w; x++)
            for (size_t k = 0; k < c; k++, at++) {
                const size_t pixel = at / (size_t)w->out.c;
                ft_bytes_to(&w->out, (int)(pixel / (size_t)w->out.w),
                            (int)(pixel % (size_t)w->out.w))[at % (size_t)w->out.c] =
                    ft_bytes_at(&w->in, y, x)[k];
            }
}
ROW(flatten, flatten);

/* The part of a pool's window that is inside the map. */
struct window {
    int y0, y1, x0, x1;
};

static struct window window_at(const struct ft_work *w, int y, int x)
{
    const int top = y * w->stride[0] - w->pad[0], left = x * w->stride[1] - w->pad[1];
    return (struct window){ ft_max(top, 0), ft_min(top + w->kernel[0], w->in.h), ft_max(left, 0),
                            ft_min(left + w->kernel[1], w->in.w) };
}

static void max_pool(const struct ft_work *w){ EACH_PIXEL(w, {
    const struct window at = window_at(w, y, x);
    uint8_t *out = ft_bytes_to(&w->out, y, x) + c0;
    memcpy(out, ft_bytes_at(&w->in, at.y0, at.x0) + c0, (size_t)n);
    for (int v = at.y0; v < at.y1; v++)
        for (int u = at.x0; u < at.x1; u++) {
            const uint8_t *in = ft_bytes_at(&w->in, v, u) + c0;
            for (int c = 0; c < n; c++)
                out[c] = in[c] > out[c] ? in[c] : out[c];
        }
}) } ROW(max_pool, max_pool);

enum { CHANNELS = 64 }; /* sums at a time */

static void sum_window(const struct ft_map *m, struct window at, int c, int n, int32_t *sum)
{
    memset(sum, 0, CHANNELS * sizeof *sum);
    for (int v = at.y0; v < at.y1; v++)
        for (int u = at.x0; u < at.x1; u++) {
            const uint8_t *in = ft_bytes_at(m, v, u) + c;
            for (int k = 0; k < n; k++)
                sum[k] += in[k];
        }
}

/* Means keep the scale. They are rounded half up. */
static void average_pool(const struct ft_work *w){ EACH_PIXEL(w, {
    const struct window at = window_at(w, y, x);
    const int pixels = (at.y1 - at.y0) * (at.x1 - at.x0);
    uint8_t *out = ft_bytes_to(&w->out, y, x);
    for (int c = c0; c < c0 + n; c += CHANNELS) {
        const int some = ft_min(CHANNELS, c0 + n - c);
        int32_t sum[CHANNELS];
        sum_window(&w->in, at, c, some, sum);
        for (int k = 0; k < some; k++)
            out[c + k] = (uint8_t)((2 * sum[k] + pixels) / (2 * pixels));
    }
}) } ROW(average_pool, average_pool);

/* The features: floats, from exact sums. */
static void global_average(const struct ft_work *w)
{
    const struct window all = { 0, w->in.h, 0, w->in.w };
    const int pixels = w->in.h * w->in.w;
    const float share = w->int8.in.step / (float)pixels;
    for (int c = w->c0; c < w->c1; c += CHANNELS) {
        const int some = ft_min(CHANNELS, w->c1 - c);
        int32_t sum[CHANNELS];
        sum_window(&w->in, all, c, some, sum);
        for (int k = 0; k < some; k++)
            w->out.data[c + k] =
                ft_clampf((float)(sum[k] - pixels * w->int8.in.zero) * share, w->lo, w->hi);
    }
}
ROW(global_average, global_average);

static void dequantize(const struct ft_work *w)
{
    const int zero = w->int8.in.zero;
    const float step = w->int8.in.step;
    EACH_PIXEL(w, {
        const uint8_t *in = ft_bytes_at(&w->in, y, x) + c0;
        float *out = ft_map_to(&w->out, y, x) + c0;
        for (int c = 0; c < n; c++)
            out[c] = (float)(in[c] - zero) * step;
    })
}
ROW(dequantize, dequantize);
