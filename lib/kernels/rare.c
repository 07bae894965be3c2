/* Operations that few networks have and that take little time: one plain row each. */
#include <math.h>
#include <string.h>

#include "base/numbers.h"
#include "kernels/rows.h"

/* The two input positions around output i, and the weight of the second, with half-pixel centres
 * and repeated edges (tf.image.resize, no antialiasing). */
struct between {
    int first, second;
    float share;
};

static struct between find_between(int i, int from, int n, int of)
{
    const float scale = (float)n / (float)of, at = ((float)i + 0.5f) * scale - 0.5f,
                low = floorf(at);
    const int first = (int)low;
    return (struct between){ from + (first < 0 ? 0 : first),
                             from + (first + 1 > n - 1 ? n - 1 : first + 1), at - low };
}

static int find_nearest(int i, int from, int n, int of)
{
    const int at = (int)floorf(((float)i + 0.5f) * ((float)n / (float)of));
    return from + (at > n - 1 ? n - 1 : at);
}

static void mix(const struct ft_work *w, struct between r, struct between c, float *out)
{
    const float *a = ft_map_at(&w->in, r.first, c.first), *b = ft_map_at(&w->in, r.first, c.second);
    const float *d = ft_map_at(&w->in, r.second, c.first),
                *e = ft_map_at(&w->in, r.second, c.second);
    for (int i = w->c0; i < w->c1; i++) {
        const float top = a[i] + (b[i] - a[i]) * c.share, bottom = d[i] + (e[i] - d[i]) * c.share;
        out[i] = top + (bottom - top) * r.share;
    }
}

static void resize(const struct ft_work *w)
{
    const int *n = w->kernel, *from = w->pad;
    for (int y = w->y0; y < w->y1; y++)
        for (int x = 0; x < w->out.w; x++) {
            float *out = ft_map_to(&w->out, y, x);
            if (w->bilinear)
                mix(w, find_between(y, from[0], n[0], w->out.h),
                    find_between(x, from[1], n[1], w->out.w), out);
            else
                memcpy(out + w->c0,
                       ft_map_at(&w->in, find_nearest(y, from[0], n[0], w->out.h),
                                 find_nearest(x, from[1], n[1], w->out.w)) +
                           w->c0,
                       (size_t)(w->c1 - w->c0) * sizeof *out);
        }
}
const struct ft_kernel_row ft_resize_c = { .run = resize, .name = "c" };

static void affine_map(const struct ft_work *w)
{
    const size_t values = (size_t)w->out.h * (size_t)w->out.w * (size_t)w->out.c;
    for (int y = w->y0; y < w->y1; y++)
        for (int x = 0; x < w->out.w; x++) {
            const float *in = ft_map_at(&w->in, y, x),
                        *scale = w->weights +
                                 ((size_t)y * (size_t)w->out.w + (size_t)x) * (size_t)w->out.c,
                        *offset = scale + values;
            float *out = ft_map_to(&w->out, y, x);
            for (int c = w->c0; c < w->c1; c++)
                out[c] = ft_clampf(in[c] * scale[c] + offset[c], w->lo, w->hi);
        }
}

const struct ft_kernel_row ft_affine_map_c = { .run = affine_map, .name = "c" };

static void permute(const struct ft_work *w)
{
    const ptrdiff_t strides[3] = { w->in.row, w->in.pixel, 1 };
    const ptrdiff_t row = strides[w->permute[0]], column = strides[w->permute[1]],
                    channel = strides[w->permute[2]];
    for (int y = w->y0; y < w->y1; y++)
        for (int x = 0; x < w->out.w; x++) {
            float *out = ft_map_to(&w->out, y, x);
            for (int c = w->c0; c < w->c1; c++)
                out[c] = w->in.data[y * row + x * column + c * channel];
        }
}
const struct ft_kernel_row ft_permute_c = { .run = permute, .name = "c" };

/* Output (y, x) is a sum over the taps for which y + pad - ky and x + pad - kx are multiples of the
 * stride (the gradient of a convolution, Keras Conv2DTranspose). */
static void transpose_pixel(const struct ft_work *w, int y, int x, float *out)
{
    const int cin = w->in.c;
    for (int c = w->c0; c < w->c1; c++)
        out[c] = w->bias[c];
    for (int ky = 0; ky < w->kernel[0]; ky++)
        for (int kx = 0; kx < w->kernel[1]; kx++) {
            const int iy = y + w->pad[0] - ky, ix = x + w->pad[1] - kx;
            if (iy < 0 || ix < 0 || iy % w->stride[0] || ix % w->stride[1] ||
                iy / w->stride[0] >= w->in.h || ix / w->stride[1] >= w->in.w)
                continue;
            const float *in = ft_map_at(&w->in, iy / w->stride[0], ix / w->stride[1]);
            const float *kernel =
                w->weights + (size_t)(ky * w->kernel[1] + kx) * (size_t)w->out.c * (size_t)cin;
            for (int c = w->c0; c < w->c1; c++)
                for (int i = 0; i < cin; i++)
                    out[c] += in[i] * kernel[(size_t)c * (size_t)cin + (size_t)i];
        }
    for (int c = w->c0; c < w->c1; c++)
        out[c] = ft_clampf(out[c], w->lo, w->hi);
}

static void transpose(const struct ft_work *w)
{
    for (int y = w->y0; y < w->y1; y++)
        for (int x = 0; x < w->out.w; x++)
            transpose_pixel(w, y, x, ft_map_to(&w->out, y, x));
}
const struct ft_kernel_row ft_transpose_c = { .run = transpose, .name = "c" };
