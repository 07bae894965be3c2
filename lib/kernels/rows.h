/* The functions behind the tables. Private to kernels/: everyone else goes through
 * ft_kernel_choose. */
#ifndef FT_KERNELS_ROWS_H
#define FT_KERNELS_ROWS_H

#include "kernels/kernels.h"

#define FT_LOOP_ROWS(isa)                                                                          \
    ft_kernel ft_affine_##isa, ft_add_##isa, ft_multiply_##isa, ft_activate_##isa, ft_copy_##isa,  \
        ft_flatten_##isa, ft_max_pool_##isa, ft_average_pool_##isa, ft_global_max_##isa,           \
        ft_global_average_##isa, ft_subtract_##isa, ft_maximum_##isa, ft_minimum_##isa,            \
        ft_layer_norm_##isa, ft_group_norm_##isa, ft_unit_norm_##isa, ft_prelu_##isa;              \
    void ft_activate_values_##isa(const struct ft_work *work, float *x, int n);                    \
    ft_pixel_kernel ft_pixels_##isa;
#define FT_SIMD_ROWS(isa)                                                                          \
    FT_LOOP_ROWS(isa)                                                                              \
    ft_kernel ft_convolution_##isa, ft_winograd_##isa, ft_depthwise_##isa;                         \
    /* pixels of n channels at x + at[..] */                                                       \
    void ft_activate_pixels_##isa(const struct ft_work *work, float *x, const ptrdiff_t *at,       \
                                  int pixels, int n);                                              \
    bool ft_convolution_accepts_##isa(const struct ft_work *work);                                 \
    size_t ft_convolution_packed_##isa(const struct ft_work *work);                                \
    void ft_convolution_pack_##isa(const struct ft_work *work, const float *keras, float *packed); \
    bool ft_winograd_accepts_##isa(const struct ft_work *work);                                    \
    size_t ft_winograd_packed_##isa(const struct ft_work *work);                                   \
    size_t ft_winograd_scratch_##isa(const struct ft_work *work);                                  \
    void ft_winograd_pack_##isa(const struct ft_work *work, const float *keras, float *packed);    \
    bool ft_depthwise_accepts_##isa(const struct ft_work *work);                                   \
    size_t ft_depthwise_packed_##isa(const struct ft_work *work);                                  \
    void ft_depthwise_pack_##isa(const struct ft_work *work, const float *keras, float *packed);

FT_LOOP_ROWS(c)
FT_SIMD_ROWS(avx2)
FT_SIMD_ROWS(avx512)

ft_product_kernel ft_product_avx2, ft_product_avx512, ft_product_sgemm;
ft_kernel ft_convolution_c, ft_convolution_sgemm, ft_depthwise_c, ft_upsample_c, ft_permute_c,
    ft_transpose_c;
/* What a row did that does not activate pixel by pixel. */
void ft_activate_part(const struct ft_work *work);
bool ft_convolution_accepts_sgemm(const struct ft_work *work);
size_t ft_convolution_scratch_sgemm(const struct ft_work *work);

#endif
