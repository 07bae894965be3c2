/* From floats to the bytes of an int8 step (integers.h): each channel times its factor, plus the
 * zero, rounded half up. */
#include "kernels/integers.h"
#include "kernels/isa.h"

static void quantize_values(const float *in, const float *factors, int n, float zero, uint8_t *out)
{
    for (int c = 0; c < n; c++) {
        const float q = in[c] * factors[c] + zero;
        out[c] = (uint8_t)((q > 0 ? q < 255 ? q : 255 : 0) + 0.5f); /* NaN: 0 */
    }
}

static void int8_quantize(const struct ft_work *w)
{
    for (int y = w->y0; y < w->y1; y++)
        for (int x = 0; x < w->out.w; x++)
            quantize_values(ft_map_at(&w->in, y, x) + w->c0, w->weights + w->c0, w->c1 - w->c0,
                            (float)w->int8.out.zero, ft_bytes_to(&w->out, y, x) + w->c0);
}
FT_KERNEL_ROW(int8_quantize);
