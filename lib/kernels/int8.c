/* int8 convolutions by their definition (integers.h). The tests compare every other row with these.
 * Weights are packed as 16-bit integers in Keras's layout. */
#include <string.h>

#include "base/numbers.h"
#include "kernels/integers.h"
#include "kernels/rows.h"

enum { FILTERS = 64 }; /* sums of a pixel at a time */

static size_t conv_packed(const struct ft_work *w)
{
    return (ft_conv_k(w) * (size_t)w->out.c + 1) / 2;
}

static size_t depthwise_packed(const struct ft_work *w)
{
    return ((size_t)(w->kernel[0] * w->kernel[1]) * (size_t)w->out.c + 1) / 2;
}

static void pack(const float *whole, size_t n, float *packed)
{
    int16_t *to = (int16_t *)(void *)packed;
    for (size_t i = 0; i < n; i++)
        to[i] = (int16_t)whole[i];
}

static void conv_pack(const struct ft_work *w, const float *whole, float *packed)
{
    pack(whole, ft_conv_k(w) * (size_t)w->out.c, packed);
}

static void depthwise_pack(const struct ft_work *w, const float *whole, float *packed)
{
    pack(whole, (size_t)(w->kernel[0] * w->kernel[1]) * (size_t)w->out.c, packed);
}

/* Turns the sums of channels c0..c1 of a pixel into its values. */
static void finish(const struct ft_work *w, int y, int x, int c0, int c1, const int32_t *sums)
{
    const struct ft_int8_constants k = ft_int8_constants(w);
    if (w->int8.floats) {
        const float *addend = w->other.data ? ft_map_at(&w->other, y, x) : NULL;
        float *out = ft_map_to(&w->out, y, x);
        for (int c = c0; c < c1; c++) {
            const float value = (float)sums[c - c0] * k.step[c];
            out[c] = ft_clampf(addend ? value + addend[c] : value, w->lo, w->hi);
        }
        return;
    }
    const uint8_t *other = w->other.data ? ft_bytes_at(&w->other, y, x) : NULL;
    uint8_t *out = ft_bytes_to(&w->out, y, x);
    for (int c = c0; c < c1; c++) {
        int32_t value = ft_int8_of(sums[c - c0], k.multiplier[c], k.shift[c]);
        if (other)
            value = ft_int8_saturate(
                value + ft_int8_addend(other[c], w->int8.other.zero, w->int8.scale_other));
        out[c] = ft_int8_round(&w->int8, value);
    }
}

static void start(const struct ft_work *w, int c0, int c1, int32_t *sums)
{
    memcpy(sums, ft_int8_constants(w).bias + c0, (size_t)(c1 - c0) * sizeof *sums);
}

static void add_product(int32_t *sums, int n, int32_t value, const int16_t *weights)
{
    for (int f = 0; f < n; f++)
        sums[f] += value * weights[f];
}

/* Channels c0..c1 of one group. */
static void pixel(const struct ft_work *w, int y, int x, int c0, int c1)
{
    const int cin = w->in.c / w->groups, first = c0 / (w->out.c / w->groups) * cin;
    const int16_t *weights = (const int16_t *)(const void *)w->weights + c0;
    int32_t sums[FILTERS];
    start(w, c0, c1, sums);
    for (int t = 0; t < w->kernel[0] * w->kernel[1]; t++) {
        const int iy = y * w->stride[0] - w->pad[0] + t / w->kernel[1] * w->dilation[0],
                  ix = x * w->stride[1] - w->pad[1] + t % w->kernel[1] * w->dilation[1];
        for (int i = 0; i < cin; i++, weights += w->out.c)
            add_product(sums, c1 - c0,
                        w->int8.wide ? ft_wide_at(&w->in, iy, ix)[first + i]
                                     : ft_bytes_at(&w->in, iy, ix)[first + i],
                        weights);
    }
    finish(w, y, x, c0, c1, sums);
}

static void convolution(const struct ft_work *w)
{
    const int per_group = w->out.c / w->groups;
    for (int y = w->y0; y < w->y1; y++)
        for (int x = 0; x < w->out.w; x++)
            for (int c = w->c0, end; c < w->c1; c = end) {
                end = ft_min(ft_min(c + FILTERS, (c / per_group + 1) * per_group), w->c1);
                pixel(w, y, x, c, end);
            }
    if (w->int8.floats)
        ft_activate_part(w);
}
const struct ft_kernel_row ft_int8_convolution_c = {
    .run = convolution, .name = "int8 c", .packed = conv_packed, .pack = conv_pack
};

static void depthwise_pixel(const struct ft_work *w, int y, int x, int c0, int c1)
{
    const int16_t *weights = (const int16_t *)(const void *)w->weights;
    const int m = w->multiplier;
    int32_t sums[FILTERS];
    start(w, c0, c1, sums);
    for (int t = 0; t < w->kernel[0] * w->kernel[1]; t++, weights += w->out.c) {
        const uint8_t *in =
            ft_bytes_at(&w->in, y * w->stride[0] - w->pad[0] + t / w->kernel[1] * w->dilation[0],
                        x * w->stride[1] - w->pad[1] + t % w->kernel[1] * w->dilation[1]);
        if (m == 1)
            for (int c = c0; c < c1; c++)
                sums[c - c0] += in[c] * weights[c];
        else
            for (int c = c0; c < c1; c++)
                sums[c - c0] += in[c / m] * weights[c];
    }
    finish(w, y, x, c0, c1, sums);
}

static void depthwise(const struct ft_work *w)
{
    for (int y = w->y0; y < w->y1; y++)
        for (int x = 0; x < w->out.w; x++)
            for (int c = w->c0; c < w->c1; c += FILTERS)
                depthwise_pixel(w, y, x, c, ft_min(c + FILTERS, w->c1));
    if (w->int8.floats)
        ft_activate_part(w);
}
const struct ft_kernel_row ft_int8_depthwise_c = {
    .run = depthwise, .name = "int8 c", .packed = depthwise_packed, .pack = depthwise_pack
};
