/* The tables: per operation its rows, best first, plain C last. */
#include "kernels/kernels.h"

#include "base/cpu.h"
#include "kernels/rows.h"

#if defined(__x86_64__)
#define SIMD_LOOP(operation)                                                                       \
    { ft_##operation##_avx512, "avx512", FT_CPU_AVX512, NULL, NULL, NULL, NULL, 0, 0, false },     \
        { ft_##operation##_avx2, "avx2", FT_CPU_AVX2, NULL, NULL, NULL, NULL, 0, 0, false },
#define SIMD_PACKED(operation)                                                                     \
    { ft_##operation##_avx512,                                                                     \
      "avx512",                                                                                    \
      FT_CPU_AVX512,                                                                               \
      ft_##operation##_accepts_avx512,                                                             \
      ft_##operation##_packed_avx512,                                                              \
      ft_##operation##_pack_avx512,                                                                \
      NULL,                                                                                        \
      0,                                                                                           \
      0,                                                                                           \
      false },                                                                                     \
        { ft_##operation##_avx2,                                                                   \
          "avx2",                                                                                  \
          FT_CPU_AVX2,                                                                             \
          ft_##operation##_accepts_avx2,                                                           \
          ft_##operation##_packed_avx2,                                                            \
          ft_##operation##_pack_avx2,                                                              \
          NULL,                                                                                    \
          0,                                                                                       \
          0,                                                                                       \
          false },
#define SIMD_CONVOLUTION(isa, needs, panel)                                                        \
    { ft_winograd_##isa,                                                                           \
      "winograd " #isa,                                                                            \
      needs,                                                                                       \
      ft_winograd_accepts_##isa,                                                                   \
      ft_winograd_packed_##isa,                                                                    \
      ft_winograd_pack_##isa,                                                                      \
      ft_winograd_scratch_##isa,                                                                   \
      4,                                                                                           \
      panel,                                                                                       \
      true },                                                                                      \
        { ft_convolution_##isa,                                                                    \
          #isa,                                                                                    \
          needs,                                                                                   \
          ft_convolution_accepts_##isa,                                                            \
          ft_convolution_packed_##isa,                                                             \
          ft_convolution_pack_##isa,                                                               \
          NULL,                                                                                    \
          0,                                                                                       \
          panel,                                                                                   \
          true },
#define SIMD_PIXELS                                                                                \
    { ft_pixels_avx512, "avx512", FT_CPU_AVX512 }, { ft_pixels_avx2, "avx2", FT_CPU_AVX2 },
#define SIMD_PRODUCT                                                                               \
    { ft_product_avx512, "avx512", FT_CPU_AVX512 }, { ft_product_avx2, "avx2", FT_CPU_AVX2 },
#else
#define SIMD_LOOP(operation)
#define SIMD_PACKED(operation)
#define SIMD_CONVOLUTION(isa, needs, panel)
#define SIMD_PIXELS
#define SIMD_PRODUCT
#endif
#define PLAIN(operation)                                                                           \
    {                                                                                              \
        ft_##operation##_c, "c", 0, NULL, NULL, NULL, NULL, 0, 0, false                            \
    }
#define END                                                                                        \
    {                                                                                              \
        NULL, NULL, 0, NULL, NULL, NULL, NULL, 0, 0, false                                         \
    }
#define LOOP_TABLE(operation)                                                                      \
    static const struct ft_kernel_row operation##_rows[] = { SIMD_LOOP(operation)                  \
                                                                 PLAIN(operation),                 \
                                                             END }

static const struct ft_kernel_row convolution_rows[] = {
    SIMD_CONVOLUTION(avx512, FT_CPU_AVX512, 32) SIMD_CONVOLUTION(avx2, FT_CPU_AVX2, 24){
        ft_convolution_sgemm, "sgemm", 0, ft_convolution_accepts_sgemm, NULL, NULL,
        ft_convolution_scratch_sgemm, 0, 0, false },
    PLAIN(convolution),
    END,
};
static const struct ft_kernel_row depthwise_rows[] = { SIMD_PACKED(depthwise) PLAIN(depthwise),
                                                       END };
LOOP_TABLE(affine);
LOOP_TABLE(add);
LOOP_TABLE(multiply);
LOOP_TABLE(activate);
LOOP_TABLE(copy);
LOOP_TABLE(flatten);
LOOP_TABLE(max_pool);
LOOP_TABLE(average_pool);
LOOP_TABLE(global_max);
LOOP_TABLE(global_average);
LOOP_TABLE(subtract);
LOOP_TABLE(maximum);
LOOP_TABLE(minimum);
LOOP_TABLE(layer_norm);
LOOP_TABLE(group_norm);
LOOP_TABLE(unit_norm);
LOOP_TABLE(prelu);
static const struct ft_kernel_row upsample_rows[] = { PLAIN(upsample), END };
static const struct ft_kernel_row permute_rows[] = { PLAIN(permute), END };
static const struct ft_kernel_row transpose_rows[] = { PLAIN(transpose), END };

static const struct ft_pixel_row pixel_rows[] = { SIMD_PIXELS{ ft_pixels_c, "c", 0 },
                                                  { NULL, NULL, 0 } };
static const struct ft_product_row product_rows[] = { SIMD_PRODUCT{ ft_product_sgemm, "sgemm", 0 },
                                                      { NULL, NULL, 0 } };

static const struct {
    const char *name;
    const struct ft_kernel_row *rows;
} operations[FT_OPERATIONS] = {
    [FT_OP_CONVOLUTION] = { "convolution", convolution_rows },
    [FT_OP_DEPTHWISE] = { "depthwise", depthwise_rows },
    [FT_OP_AFFINE] = { "affine", affine_rows },
    [FT_OP_ADD] = { "add", add_rows },
    [FT_OP_MULTIPLY] = { "multiply", multiply_rows },
    [FT_OP_ACTIVATE] = { "activate", activate_rows },
    [FT_OP_COPY] = { "copy", copy_rows },
    [FT_OP_FLATTEN] = { "flatten", flatten_rows },
    [FT_OP_MAX_POOL] = { "max pool", max_pool_rows },
    [FT_OP_AVERAGE_POOL] = { "average pool", average_pool_rows },
    [FT_OP_GLOBAL_MAX] = { "global max", global_max_rows },
    [FT_OP_GLOBAL_AVERAGE] = { "global average", global_average_rows },
    [FT_OP_SUBTRACT] = { "subtract", subtract_rows },
    [FT_OP_MAXIMUM] = { "maximum", maximum_rows },
    [FT_OP_MINIMUM] = { "minimum", minimum_rows },
    [FT_OP_LAYER_NORM] = { "layer norm", layer_norm_rows },
    [FT_OP_GROUP_NORM] = { "group norm", group_norm_rows },
    [FT_OP_UNIT_NORM] = { "unit norm", unit_norm_rows },
    [FT_OP_PRELU] = { "prelu", prelu_rows },
    [FT_OP_UPSAMPLE] = { "upsample", upsample_rows },
    [FT_OP_PERMUTE] = { "permute", permute_rows },
    [FT_OP_TRANSPOSE] = { "transpose", transpose_rows },
};

const struct ft_kernel_row *ft_kernel_table(enum ft_operation operation)
{
    return operations[operation].rows;
}

const char *ft_operation_name(enum ft_operation operation)
{
    return operations[operation].name;
}

const struct ft_pixel_row *ft_pixel_table(void)
{
    return pixel_rows;
}

const struct ft_product_row *ft_product_table(void)
{
    return product_rows;
}

const struct ft_product_row *ft_product_choose(void)
{
    const struct ft_product_row *row = product_rows;
    while (row->needs & ~ft_cpu_features())
        row++;
    return row;
}

const struct ft_kernel_row *ft_kernel_choose(enum ft_operation operation,
                                             const struct ft_work *work, unsigned features)
{
    const struct ft_kernel_row *row = ft_kernel_table(operation);
    while ((row->needs & ~features) || (row->accepts && !row->accepts(work)))
        row++; /* the last row needs nothing and accepts everything */
    return row;
}
