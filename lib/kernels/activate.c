/* Applies the activation to the result that a convolution row has computed without it. This is a
 * separate file, so that plain.c and sgemm.c do not depend on the tables that contain them. */
#include "base/cpu.h"
#include "kernels/rows.h"

extern const struct ft_kernel_row ft_activate_avx512, ft_activate_avx2, ft_activate_c;

void ft_activate_part(const struct ft_work *w)
{
    if (w->activation == FT_ACT_LINEAR)
        return;
    static const struct ft_kernel_row *const rows[] = {
#if defined(__x86_64__)
        &ft_activate_avx512,
        &ft_activate_avx2,
#endif
        &ft_activate_c, /* needs nothing */
        NULL,
    };
    const struct ft_kernel_row *const *row = rows;
    while (row[1] && (*row)->needs & ~ft_cpu_features())
        row++;
    struct ft_work a = *w;
    a.in = a.out;
    (*row)->run(&a);
}
