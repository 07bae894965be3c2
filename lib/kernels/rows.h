/* What the portable rows share. Private to kernels/: other rooms use ft_kernel_choose. */
#ifndef FT_KERNELS_ROWS_H
#define FT_KERNELS_ROWS_H

#include "kernels/kernels.h"

/* Applies the activation of `work` to the part of the output that it names. For rows that do not
 * activate pixel by pixel. */
void ft_activate_part(const struct ft_work *work);

#endif
