/* What the portable rows share. Private to kernels/: other rooms use ft_kernel_choose. */
#ifndef FT_KERNELS_ROWS_H
#define FT_KERNELS_ROWS_H

#include "kernels/bf16.h"
#include "kernels/kernels.h"

/* Applies the activation of `work` to the part of the output that it names. For rows that do not
 * activate pixel by pixel. */
void ft_activate_part(const struct ft_work *work);

/* An input or a weight of a convolution, in its precision. */
static inline float ft_conv_value(const struct ft_work *w, float x)
{
    return w->precision == FT_PRECISION_BF16 ? ft_bf16_float(x) : x;
}

/* `packed` and `pack` of rows with Keras's layout. */
size_t ft_conv_packed(const struct ft_work *work);
void ft_conv_pack(const struct ft_work *work, const float *keras, float *packed);

#endif
