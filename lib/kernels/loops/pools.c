/* Pools. They check the edges of the map: padding is not part of a window. */
#include <string.h>

#include "kernels/loops/pixels.h"

struct window {
    int y0, y1, x0, x1; /* of the input, inside it */
};

static struct window window_at(const struct ft_work *w, int y, int x)
{
    const int top = y * w->stride[0] - w->pad[0], left = x * w->stride[1] - w->pad[1];
    return (struct window){ top < 0 ? 0 : top,
                            top + w->kernel[0] > w->in.h ? w->in.h : top + w->kernel[0],
                            left < 0 ? 0 : left,
                            left + w->kernel[1] > w->in.w ? w->in.w : left + w->kernel[1] };
}

static void reduce_max(const struct ft_map *m, struct window at, int c0, int n, float *out)
{
    memcpy(out, ft_map_at(m, at.y0, at.x0) + c0, (size_t)n * sizeof *out);
    for (int y = at.y0; y < at.y1; y++)
        for (int x = at.x0; x < at.x1; x++) {
            const float *in = ft_map_at(m, y, x) + c0;
            for (int i = 0; i < n; i++)
                out[i] = in[i] > out[i] ? in[i] : out[i];
        }
}

/* Adds row y of the window, n channels from c on, to out. */
static void add_row(const struct ft_map *m, struct window at, int y, int c, int n, float *out)
{
    for (int x = at.x0; x < at.x1; x++) {
        const float *in = ft_map_at(m, y, x) + c;
        for (int i = 0; i < n; i++)
            out[i] += in[i];
    }
}

/* A value that is added to a large sum loses its last digits, so large windows are summed row by
 * row. */
static void reduce_average(const struct ft_map *m, struct window at, int c0, int n, float *out)
{
    enum { MANY = 1024 /* pixels */, CHANNELS = 64 };
    const int pixels = (at.y1 - at.y0) * (at.x1 - at.x0);
    const float share = 1.0f / (float)pixels;
    memset(out, 0, (size_t)n * sizeof *out);
    for (int y = at.y0; y < at.y1; y++) {
        if (pixels <= MANY) {
            add_row(m, at, y, c0, n, out);
            continue;
        }
        for (int c = 0; c < n; c += CHANNELS) {
            const int k = n - c < CHANNELS ? n - c : CHANNELS;
            float sum[CHANNELS] = { 0 };
            add_row(m, at, y, c0 + c, k, sum);
            for (int i = 0; i < k; i++)
                out[c + i] += sum[i];
        }
    }
    for (int i = 0; i < n; i++)
        out[i] *= share;
}

static void max_pool(const struct ft_work *w)
{
    for (int y = w->y0; y < w->y1; y++)
        for (int x = 0; x < w->out.w; x++)
            reduce_max(&w->in, window_at(w, y, x), w->c0, w->c1 - w->c0,
                       ft_map_to(&w->out, y, x) + w->c0);
}
FT_KERNEL_ROW(max_pool);

static void average_pool(const struct ft_work *w)
{
    for (int y = w->y0; y < w->y1; y++)
        for (int x = 0; x < w->out.w; x++)
            reduce_average(&w->in, window_at(w, y, x), w->c0, w->c1 - w->c0,
                           ft_map_to(&w->out, y, x) + w->c0);
}
FT_KERNEL_ROW(average_pool);

static void global_max(const struct ft_work *w)
{
    reduce_max(&w->in, (struct window){ 0, w->in.h, 0, w->in.w }, w->c0, w->c1 - w->c0,
               w->out.data + w->c0);
}
FT_KERNEL_ROW(global_max);

static void global_average(const struct ft_work *w)
{
    reduce_average(&w->in, (struct window){ 0, w->in.h, 0, w->in.w }, w->c0, w->c1 - w->c0,
                   w->out.data + w->c0);
}
FT_KERNEL_ROW(global_average);
