/* The tables: for each operation its rows, best first, plain C last. */
#include "base/cpu.h"
#include "kernels/kernels.h"

/* Declares the rows of a type. Only this file names them. */
#define DECLARE(type, name)                                                                        \
    extern const struct type ft_##name##_avx512, ft_##name##_avx2, ft_##name##_neon, ft_##name##_c
/* SIMD: rows from simd/. LOOPS: rows from loops/, whose plain C becomes NEON in every compilation
 * for ARM. */
#if defined(__x86_64__)
#define SIMD(name)  &ft_##name##_avx512, &ft_##name##_avx2,
#define LOOPS(name) SIMD(name)
#elif defined(__aarch64__)
#define SIMD(name) &ft_##name##_neon,
#define LOOPS(name)
#else
#define SIMD(name)
#define LOOPS(name)
#endif
#define TABLE(name, ...)                                                                           \
    DECLARE(ft_kernel_row, name);                                                                  \
    static const struct ft_kernel_row *const name##_rows[] = { __VA_ARGS__ & ft_##name##_c, NULL }
/* A row for each instruction set, and one in plain C only. */
#define EVERYWHERE(name) TABLE(name, LOOPS(name))
#define PLAIN(name)      TABLE(name, )

extern const struct ft_kernel_row ft_winograd_avx512, ft_winograd_avx2, ft_winograd_neon,
    ft_convolution_amx_bf16, ft_convolution_avx512_bf16, ft_convolution_neon_bf16,
    ft_convolution_sgemm;
DECLARE(ft_kernel_row, convolution);
static const struct ft_kernel_row *const convolution_rows[] = {
#if defined(__x86_64__)
#if defined(FT_HAVE_AMX_BF16)
    &ft_convolution_amx_bf16,
#endif
    &ft_winograd_avx512,
#if defined(FT_HAVE_AVX512_BF16)
    &ft_convolution_avx512_bf16,
#endif
    &ft_convolution_avx512,      &ft_winograd_avx2, &ft_convolution_avx2,
#elif defined(__aarch64__)
#if defined(FT_HAVE_NEON_BF16)
    &ft_convolution_neon_bf16,
#endif
    &ft_winograd_neon,         &ft_convolution_neon,
#endif
    &ft_convolution_sgemm,       &ft_convolution_c, NULL
};
TABLE(depthwise, SIMD(depthwise));
EVERYWHERE(affine);
EVERYWHERE(add);
EVERYWHERE(multiply);
EVERYWHERE(activate);
EVERYWHERE(copy);
EVERYWHERE(flatten);
EVERYWHERE(max_pool);
EVERYWHERE(average_pool);
EVERYWHERE(global_max);
EVERYWHERE(global_average);
EVERYWHERE(subtract);
EVERYWHERE(maximum);
EVERYWHERE(minimum);
EVERYWHERE(layer_norm);
EVERYWHERE(group_norm);
EVERYWHERE(rms_norm);
EVERYWHERE(unit_norm);
EVERYWHERE(prelu);
EVERYWHERE(attention);
PLAIN(affine_map);
PLAIN(resize);
PLAIN(permute);
PLAIN(transpose);

/* int8 (integers.h): convolutions for each instruction set, the others in plain C, which compilers
 * vectorise. Sets that older compilers do not know are left out. */
#define INTEGERS(name)           TABLE(int8_##name, )
#define ROW(name, isa)           &ft_int8_##name##_##isa,
#define WITH_WINOGRAD(name, isa) ROW(winograd, isa) ROW(name, isa)
#if defined(FT_HAVE_AVX512_VNNI)
#define AVX512_VNNI(row, name) row(name, avx512_vnni)
#else
#define AVX512_VNNI(row, name)
#endif
#if defined(FT_HAVE_AVX_VNNI)
#define AVX_VNNI(row, name) row(name, avx_vnni)
#else
#define AVX_VNNI(row, name)
#endif
#if defined(FT_HAVE_AMX_INT8)
#define AMX_INT8(row, name) row(name, amx_int8)
#else
#define AMX_INT8(row, name)
#endif
#if defined(FT_HAVE_NEON_DOT)
#define NEON_DOT(row, name) row(name, neon_dot)
#else
#define NEON_DOT(row, name)
#endif
#if defined(FT_HAVE_NEON_I8MM)
#define NEON_I8MM(row, name) row(name, neon_i8mm)
#else
#define NEON_I8MM(row, name)
#endif
#if defined(__x86_64__)
#define INTEGER_SETS(row, name)                                                                    \
    AVX512_VNNI(row, name) AVX_VNNI(row, name) row(name, avx512) row(name, avx2)
#elif defined(__aarch64__)
#define INTEGER_SETS(row, name) NEON_I8MM(row, name) NEON_DOT(row, name) row(name, neon)
#else
#define INTEGER_SETS(row, name)
#endif
#define DECLARE_INTEGERS(name)                                                                     \
    DECLARE(ft_kernel_row, int8_##name);                                                           \
    extern const struct ft_kernel_row ft_int8_##name##_avx512_vnni, ft_int8_##name##_avx_vnni,     \
        ft_int8_##name##_amx_int8, ft_int8_##name##_neon_i8mm, ft_int8_##name##_neon_dot
#define INTEGER_TABLE(row, name, ...)                                                              \
    DECLARE_INTEGERS(name);                                                                        \
    static const struct ft_kernel_row *const int8_##name##_rows[] = {                              \
        __VA_ARGS__ INTEGER_SETS(row, name) & ft_int8_##name##_c, NULL                             \
    }
DECLARE_INTEGERS(winograd); /* none in plain C */
INTEGER_TABLE(WITH_WINOGRAD, convolution, AMX_INT8(ROW, convolution));
INTEGER_TABLE(ROW, depthwise, );
INTEGERS(add);
INTEGERS(copy);
INTEGERS(flatten);
INTEGERS(max_pool);
INTEGERS(average_pool);
INTEGERS(global_average);
TABLE(int8_quantize, LOOPS(int8_quantize));
INTEGERS(dequantize);

static const struct ft_operation_info operations[FT_OPERATIONS] = {
    [FT_OP_CONVOLUTION] = { .name = "convolution",
                            .rows = convolution_rows,
                            .integer_rows = int8_convolution_rows,
                            .weights = FT_WEIGHTS_KERNEL },
    [FT_OP_DEPTHWISE] = { .name = "depthwise",
                          .rows = depthwise_rows,
                          .integer_rows = int8_depthwise_rows,
                          .weights = FT_WEIGHTS_KERNEL },
    [FT_OP_AFFINE] = { .name = "affine", .rows = affine_rows, .weights = FT_WEIGHTS_CHANNELS },
    [FT_OP_ADD] = { .name = "add", .rows = add_rows, .integer_rows = int8_add_rows },
    [FT_OP_MULTIPLY] = { .name = "multiply", .rows = multiply_rows },
    [FT_OP_ACTIVATE] = { .name = "activate", .rows = activate_rows },
    [FT_OP_COPY] = { .name = "copy", .rows = copy_rows, .integer_rows = int8_copy_rows },
    [FT_OP_FLATTEN] = { .name = "flatten",
                        .rows = flatten_rows,
                        .integer_rows = int8_flatten_rows,
                        .cut = FT_CUT_NOWHERE },
    [FT_OP_MAX_POOL] = { .name = "max pool",
                         .rows = max_pool_rows,
                         .integer_rows = int8_max_pool_rows },
    [FT_OP_AVERAGE_POOL] = { .name = "average pool",
                             .rows = average_pool_rows,
                             .integer_rows = int8_average_pool_rows },
    [FT_OP_GLOBAL_MAX] = { .name = "global max", .rows = global_max_rows },
    [FT_OP_GLOBAL_AVERAGE] = { .name = "global average",
                               .rows = global_average_rows,
                               .integer_rows = int8_global_average_rows },
    [FT_OP_SUBTRACT] = { .name = "subtract", .rows = subtract_rows },
    [FT_OP_MAXIMUM] = { .name = "maximum", .rows = maximum_rows },
    [FT_OP_MINIMUM] = { .name = "minimum", .rows = minimum_rows },
    [FT_OP_LAYER_NORM] = { .name = "layer norm",
                           .rows = layer_norm_rows,
                           .weights = FT_WEIGHTS_CHANNELS,
                           .cut = FT_CUT_ROWS },
    [FT_OP_GROUP_NORM] = { .name = "group norm",
                           .rows = group_norm_rows,
                           .weights = FT_WEIGHTS_CHANNELS,
                           .cut = FT_CUT_NOWHERE },
    [FT_OP_RMS_NORM] = { .name = "RMS norm",
                         .rows = rms_norm_rows,
                         .weights = FT_WEIGHTS_CHANNELS,
                         .cut = FT_CUT_ROWS },
    [FT_OP_UNIT_NORM] = { .name = "unit norm", .rows = unit_norm_rows, .cut = FT_CUT_ROWS },
    [FT_OP_PRELU] = { .name = "prelu", .rows = prelu_rows, .weights = FT_WEIGHTS_ALPHA },
    [FT_OP_AFFINE_MAP] = { .name = "affine map",
                           .rows = affine_map_rows,
                           .weights = FT_WEIGHTS_MAP },
    [FT_OP_RESIZE] = { .name = "resize", .rows = resize_rows, .moves = true },
    [FT_OP_PERMUTE] = { .name = "permute", .rows = permute_rows, .moves = true },
    [FT_OP_TRANSPOSE] = { .name = "transpose",
                          .rows = transpose_rows,
                          .weights = FT_WEIGHTS_UNSCALED,
                          .moves = true },
    [FT_OP_ATTENTION] = { .name = "attention",
                          .rows = attention_rows,
                          .weights = FT_WEIGHTS_SCORES,
                          .moves = true },
    [FT_OP_QUANTIZE] = { .name = "quantize",
                         .integer_rows = int8_quantize_rows,
                         .weights = FT_WEIGHTS_STEPS },
    [FT_OP_DEQUANTIZE] = { .name = "dequantize", .integer_rows = int8_dequantize_rows },
};

const struct ft_operation_info *ft_operation_info(enum ft_operation operation)
{
    return &operations[operation];
}

const struct ft_kernel_row *const *ft_kernel_table(enum ft_operation operation)
{
    return operations[operation].rows;
}

const struct ft_kernel_row *ft_kernel_choose(enum ft_operation operation,
                                             const struct ft_work *work, unsigned features)
{
    const struct ft_kernel_row *const *row = work->precision == FT_PRECISION_INT8
                                                 ? operations[operation].integer_rows
                                                 : operations[operation].rows;
    while (((*row)->needs & ~features) || ((*row)->accepts && !(*row)->accepts(work)))
        row++; /* the last row needs nothing and accepts everything */
    return *row;
}

DECLARE(ft_pixel_row, pixels);
static const struct ft_pixel_row *const pixel_rows[] = { LOOPS(pixels) & ft_pixels_c, NULL };

const struct ft_pixel_row *const *ft_pixel_table(void)
{
    return pixel_rows;
}

const struct ft_pixel_row *ft_pixel_choose(void)
{
    const struct ft_pixel_row *const *row = pixel_rows;
    while (row[1] && (*row)->needs & ~ft_cpu_features())
        row++;
    return *row;
}

DECLARE(ft_product_row, product);
static const struct ft_product_row *const product_rows[] = { SIMD(product) & ft_product_c, NULL };

const struct ft_product_row *const *ft_product_table(void)
{
    return product_rows;
}

const struct ft_product_row *ft_product_choose(void)
{
    const struct ft_product_row *const *row = product_rows;
    while (row[1] && (*row)->needs & ~ft_cpu_features())
        row++;
    return *row;
}
