/* Convolutions by their definition (Keras Conv2D and DepthwiseConv2D). The tests compare every
 * other row with these. They run the groups, dilations and multipliers that no faster row accepts.
 * Weights have Keras's layout. */
#include "base/numbers.h"
#include "kernels/rows.h"

size_t ft_conv_packed(const struct ft_work *w)
{
    return ft_conv_k(w) * (size_t)w->out.c;
}

void ft_conv_pack(const struct ft_work *w, const float *keras, float *packed)
{
    for (size_t i = 0, n = ft_conv_packed(w); i < n; i++)
        packed[i] = ft_conv_value(w, keras[i]);
}

/* Writes the sums of one output pixel, for filters c0..c1 of one group, to out [c1 - c0]. */
static void sum_pixel(const struct ft_work *w, int y, int x, int group, int c0, int c1, float *out)
{
    const int cin = w->in.c / w->groups, filters = w->out.c;
    for (int f = c0; f < c1; f++)
        out[f - c0] = w->bias[f];
    for (int ky = 0; ky < w->kernel[0]; ky++)
        for (int kx = 0; kx < w->kernel[1]; kx++) {
            const float *in = ft_map_at(&w->in, y * w->stride[0] - w->pad[0] + ky * w->dilation[0],
                                        x * w->stride[1] - w->pad[1] + kx * w->dilation[1]) +
                              (ptrdiff_t)group * cin;
            const float *kernel =
                w->weights + (size_t)(ky * w->kernel[1] + kx) * (size_t)cin * (size_t)filters;
            for (int i = 0; i < cin; i++) {
                const float value = ft_conv_value(w, in[i]);
                for (int f = c0; f < c1; f++)
                    out[f - c0] += value * kernel[(size_t)i * (size_t)filters + (size_t)f];
            }
        }
}

static void finish_pixel(const struct ft_work *w, int y, int x, int c0, int c1, float *out)
{
    const float *other = w->other.data ? ft_map_at(&w->other, y, x) + c0 : NULL;
    for (int f = 0; f < c1 - c0; f++)
        out[f] = ft_clampf(other ? out[f] + other[f] : out[f], w->lo, w->hi);
}

static void convolution(const struct ft_work *w)
{
    const int per_group = w->out.c / w->groups;
    for (int y = w->y0; y < w->y1; y++)
        for (int x = 0; x < w->out.w; x++) {
            float *out = ft_map_to(&w->out, y, x);
            for (int c = w->c0; c < w->c1;) { /* group by group */
                const int group = c / per_group,
                          end = (group + 1) * per_group < w->c1 ? (group + 1) * per_group : w->c1;
                sum_pixel(w, y, x, group, c, end, out + c);
                c = end;
            }
            finish_pixel(w, y, x, w->c0, w->c1, out + w->c0);
        }
    ft_activate_part(w);
}
const struct ft_kernel_row ft_convolution_c = {
    .run = convolution, .name = "c", .packed = ft_conv_packed, .pack = ft_conv_pack
};

/* Weights are [kh, kw, c, multiplier]; the output channel is c * multiplier + m. */
static void depthwise(const struct ft_work *w)
{
    const int taps = w->kernel[0] * w->kernel[1], m = w->multiplier;
    for (int y = w->y0; y < w->y1; y++)
        for (int x = 0; x < w->out.w; x++) {
            float *out = ft_map_to(&w->out, y, x);
            for (int c = w->c0; c < w->c1; c++)
                out[c] = w->bias[c];
            for (int t = 0; t < taps; t++) {
                const float *in = ft_map_at(
                    &w->in, y * w->stride[0] - w->pad[0] + t / w->kernel[1] * w->dilation[0],
                    x * w->stride[1] - w->pad[1] + t % w->kernel[1] * w->dilation[1]);
                const float *kernel = w->weights + (size_t)t * (size_t)w->out.c;
                if (m == 1)
                    for (int c = w->c0; c < w->c1; c++)
                        out[c] += in[c] * kernel[c];
                else
                    for (int c = w->c0; c < w->c1; c++)
                        out[c] += in[c / m] * kernel[c];
            }
            finish_pixel(w, y, x, w->c0, w->c1, out + w->c0);
        }
    ft_activate_part(w);
}
const struct ft_kernel_row ft_depthwise_c = { .run = depthwise, .name = "c" };
