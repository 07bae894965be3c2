/* The portable fast convolution. The inputs of a band of output pixels are gathered into rows
 * [pixels][K], K = kh * kw * cin; the inputs of a pointwise layer are read in place if nothing lies
 * between them. Single-threaded OpenBLAS multiplies the rows with [K][filters]. One pass adds bias
 * and addend and clamps, while the band is still in the cache. */
#include <cblas.h>
#include <string.h>

#include "base/numbers.h"
#include "kernels/rows.h"

enum { BAND = 128 }; /* pixels */

static bool accepts(const struct ft_work *w)
{
    return w->groups == 1;
}

static size_t scratch(const struct ft_work *w)
{
    return BAND * (ft_conv_k(w) + (size_t)w->out.c);
}

static void gather_pixel(const struct ft_work *w, int y, int x, float *to)
{
    const size_t cin = (size_t)w->in.c;
    for (int ky = 0; ky < w->kernel[0]; ky++)
        for (int kx = 0; kx < w->kernel[1]; kx++, to += cin) {
            memcpy(to,
                   ft_map_at(&w->in, y * w->stride[0] - w->pad[0] + ky * w->dilation[0],
                             x * w->stride[1] - w->pad[1] + kx * w->dilation[1]),
                   cin * sizeof *to);
            for (size_t i = 0; i < cin && w->precision == FT_PRECISION_BF16; i++)
                to[i] = ft_bf16_float(to[i]);
        }
}

/* Writes the sums [n] of pixel (y, x), channels from c0 on, to the output. */
static void finish_pixel(const struct ft_work *w, int y, int x, const float *sums)
{
    const int n = w->c1 - w->c0;
    const float *bias = w->bias + w->c0,
                *other = w->other.data ? ft_map_at(&w->other, y, x) + w->c0 : NULL;
    float *out = ft_map_to(&w->out, y, x) + w->c0;
    const float lo = w->lo, hi = w->hi;
    for (int i = 0; i < n; i++) {
        const float v = other ? sums[i] + bias[i] + other[i] : sums[i] + bias[i];
        out[i] = ft_clampf(v, lo, hi);
    }
}

static void convolution(const struct ft_work *w)
{
    const int n = w->c1 - w->c0, k = (int)ft_conv_k(w), width = w->out.w;
    const bool in_place = k == w->in.c && w->precision == FT_PRECISION_F32 && w->stride[0] == 1 &&
                          w->stride[1] == 1 && w->in.row == (ptrdiff_t)w->in.w * w->in.pixel;
    const int fits = (int)(w->scratch_floats / ((size_t)k + (size_t)w->out.c)),
              band = fits < BAND ? fits : BAND;
    const int end = w->y1 * width;
    float *gathered = w->scratch, *sums = w->scratch + (size_t)band * (size_t)k;
    for (int p = w->y0 * width; p < end; p += band) {
        const int pixels = end - p < band ? end - p : band;
        const float *rows = in_place ? w->in.data + (ptrdiff_t)p * w->in.pixel : gathered;
        for (int i = 0; i < pixels && !in_place; i++)
            gather_pixel(w, (p + i) / width, (p + i) % width, gathered + (size_t)i * (size_t)k);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, pixels, n, k, 1, rows,
                    in_place ? w->in.pixel : k, w->weights + w->c0, w->out.c, 0, sums, n);
        for (int i = 0; i < pixels; i++)
            finish_pixel(w, (p + i) / width, (p + i) % width, sums + (size_t)i * (size_t)n);
    }
    ft_activate_part(w);
}
const struct ft_kernel_row ft_convolution_sgemm = { .run = convolution,
                                                    .name = "sgemm",
                                                    .accepts = accepts,
                                                    .packed = ft_conv_packed,
                                                    .pack = ft_conv_pack,
                                                    .scratch = scratch };

static void product(const struct ft_product *p)
{
    const bool across = p->a_row == 1 && p->a_step != 1;
    cblas_sgemm(CblasRowMajor, across ? CblasTrans : CblasNoTrans, CblasNoTrans, p->m, p->n, p->k,
                1, p->a, (int)(across ? p->a_step : p->a_row), p->b, (int)p->b_row, p->add, p->c,
                (int)p->c_row);
}
const struct ft_product_row ft_product_c = { product, "sgemm", 0 };
