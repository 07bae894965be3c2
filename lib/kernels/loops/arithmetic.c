/* One operation for each value: sums, products, copies, and the loading of pixels. The compiler
 * vectorises the loops. */
#include <string.h>

#include "base/numbers.h"
#include "kernels/loops/pixels.h"

static void copy(const struct ft_work *w)
{
    EACH_PIXEL(w, memcpy(out, in, (size_t)n * sizeof *out);)
}
FT_KERNEL_ROW(copy);

static void affine(const struct ft_work *w)
{
    const float lo = w->lo, hi = w->hi, *scale = w->weights + w->c0, *offset = w->bias + w->c0;
    EACH_PIXEL(w, for (int i = 0; i < n; i++) out[i] =
                      ft_clampf(in[i] * scale[i] + offset[i], lo, hi);)
}
FT_KERNEL_ROW(affine);

static void add(const struct ft_work *w)
{
    const float lo = w->lo, hi = w->hi;
    EACH_PIXEL(w, const float *other = ft_map_at(&w->other, y, x) + w->c0;
               for (int i = 0; i < n; i++) out[i] = ft_clampf(in[i] + other[i], lo, hi);)
}
FT_KERNEL_ROW(add);

static void multiply(const struct ft_work *w)
{
    const float lo = w->lo, hi = w->hi;
    EACH_PIXEL(w, const float *other = ft_map_at(&w->other, y, x) + w->c0;
               for (int i = 0; i < n; i++) out[i] = ft_clampf(in[i] * other[i], lo, hi);)
}
FT_KERNEL_ROW(multiply);

static void subtract(const struct ft_work *w)
{
    const float lo = w->lo, hi = w->hi;
    EACH_PIXEL(w, const float *other = ft_map_at(&w->other, y, x) + w->c0;
               for (int i = 0; i < n; i++) out[i] = ft_clampf(in[i] - other[i], lo, hi);)
}
FT_KERNEL_ROW(subtract);

static void maximum(const struct ft_work *w)
{
    const float lo = w->lo, hi = w->hi;
    EACH_PIXEL(w, const float *other = ft_map_at(&w->other, y, x) + w->c0;
               for (int i = 0; i < n; i++) out[i] =
                   ft_clampf(in[i] < other[i] ? other[i] : in[i], lo, hi);)
}
FT_KERNEL_ROW(maximum);

static void minimum(const struct ft_work *w)
{
    const float lo = w->lo, hi = w->hi;
    EACH_PIXEL(w, const float *other = ft_map_at(&w->other, y, x) + w->c0;
               for (int i = 0; i < n; i++) out[i] =
                   ft_clampf(in[i] > other[i] ? other[i] : in[i], lo, hi);)
}
FT_KERNEL_ROW(minimum);

static void prelu(const struct ft_work *w)
{
    EACH_PIXEL(w,
               const float *alpha =
                   w->weights + w->c0 +
                   (w->whole ? ((size_t)y * (size_t)w->out.w + (size_t)x) * (size_t)w->out.c : 0);
               for (int i = 0; i < n; i++) out[i] = in[i] < 0 ? alpha[i] * in[i] : in[i];)
}
FT_KERNEL_ROW(prelu);

/* The values stay in order; the shapes may differ in any way. */
static void flatten(const struct ft_work *w)
{
    const int pixels = w->out.h * w->out.w;
    int p = 0, c = 0; /* of the input */
    for (int q = 0; q < pixels; q++) {
        float *out = ft_map_to(&w->out, q / w->out.w, q % w->out.w);
        for (int d = 0; d < w->out.c;) {
            const int n = w->in.c - c < w->out.c - d ? w->in.c - c : w->out.c - d;
            memcpy(out + d, ft_map_at(&w->in, p / w->in.w, p % w->in.w) + c,
                   (size_t)n * sizeof *out);
            d += n;
            c += n;
            if (c == w->in.c) {
                c = 0;
                p++;
            }
        }
    }
}
FT_KERNEL_ROW(flatten);

static void pixels(const uint8_t *x, const float *scale, const float *offset, int n, float *out)
{
    int i = 0;
    for (; i + FT_PIXEL_PERIOD <= n; i += FT_PIXEL_PERIOD)
        for (int j = 0; j < FT_PIXEL_PERIOD; j++)
            out[i + j] = (float)x[i + j] * scale[j] + offset[j];
    for (int j = 0; i + j < n; j++)
        out[i + j] = (float)x[i + j] * scale[j] + offset[j];
}
const struct ft_pixel_row FT_NAME(pixels) = { pixels, FT_ISA_NAME, FT_ISA_NEEDS };
