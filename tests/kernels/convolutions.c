/* The rows of convolutions, dense and depthwise, against the plain ones (compare.h). */
#include "compare.h"

/* What a case of a table is made of. */
struct shape {
    int h, w, c, filters, kernel, stride, dilation, pad, groups, multiplier;
};

/* One geometry, with and without an addend, with and without limits or an activation; dense: no
 * gaps between the input's pixels. */
static void windowed(enum ft_operation operation, struct shape s, bool dense)
{
    const int span = (s.kernel - 1) * s.dilation + 1, h = (s.h + 2 * s.pad - span) / s.stride + 1,
              wide = (s.w + 2 * s.pad - span) / s.stride + 1;
    const int filters = operation == FT_OP_CONVOLUTION ? s.filters : s.c * s.multiplier;
    const size_t n =
        (size_t)(s.kernel * s.kernel * (operation == FT_OP_CONVOLUTION ? s.c / s.groups : 1)) *
        (size_t)filters;
    struct padded in = make(s.h, s.w, s.c, true, 0), other = make(h, wide, filters, true, 0);
    float *keras = ft_alloc(n, sizeof *keras),
          *bias = ft_alloc_zero(ft_round_up((size_t)filters, 64), sizeof *bias);
    for (size_t i = 0; i < n; i++)
        keras[i] = noise();
    for (int i = 0; i < filters; i++)
        bias[i] = noise();
    if (dense) {
        in.map.pixel = s.c;
        in.map.row = (s.w + 2 * BORDER) * s.c;
        in.map.data = in.data + BORDER * in.map.row + BORDER * s.c;
    }
    const int first = EMULATED_ROWS ? 6 * FT_PRECISION_BF16 : 0; /* the emulated row is of bf16 */
    for (int i = first; i < 6 * FT_PRECISION_INT8; i++) {
        const int variant = i % 6;
        const bool clamped = variant == 1 || variant == 3;
        struct ft_work w = { .in = in.map,
                             .out = { .c = filters, .h = h, .w = wide },
                             .bias = bias,
                             .lo = clamped ? 0 : -INFINITY,
                             .hi = clamped ? 6 : INFINITY,
                             .kernel = { s.kernel, s.kernel },
                             .stride = { s.stride, s.stride },
                             .dilation = { s.dilation, s.dilation },
                             .pad = { s.pad, s.pad },
                             .groups = s.groups,
                             .multiplier = s.multiplier,
                             .precision = (enum ft_precision)(i / 6),
                             .pictures = 1,
                             .activation = variant & 4 ? FT_ACT_SWISH : FT_ACT_LINEAR };
        if (variant & 2 || variant == 5)
            w.other = other.map;
        compare(operation, w, h, wide, keras, n, false);
    }
    free(in.data);
    free(other.data);
    free(keras);
    free(bias);
}

static void convolutions(void)
{
    static const struct shape shapes[] = {
        { 1, 1, 1, 1, 1, 1, 1, 0, 1, 1 },
        { 7, 7, 19, 33, 1, 1, 1, 0, 1, 1 },
        { 5, 9, 16, 24, 1, 1, 1, 0, 1, 1 },
        { 14, 14, 40, 40, 1, 1, 1, 0, 1, 1 },
        { 23, 29, 3, 32, 3, 2, 1, 1, 1, 1 },
        { 9, 11, 6, 70, 3, 1, 1, 1, 1, 1 },
        { 13, 10, 5, 17, 5, 2, 1, 2, 1, 1 },
        { 9, 9, 4, 31, 3, 1, 2, 2, 1, 1 },
        { 8, 8, 12, 18, 3, 1, 1, 1, 3, 1 },
        { 1, 1, 130, 65, 1, 1, 1, 0, 1, 1 },
        { 3, 200, 8, 16, 1, 1, 1, 0, 1, 1 },
        { 4, 6, 64, 12, 1, 2, 1, 0, 1, 1 },
        { 28, 28, 144, 40, 1, 1, 1, 0, 1, 1 },
        { 12, 12, 7, 56, 1, 1, 1, 0, 1, 1 },
        { 4, 5, 33, 104, 1, 1, 1, 0, 1, 1 },
        { 9, 11, 37, 70, 3, 1, 1, 1, 1, 1 },
        { 15, 21, 32, 40, 3, 1, 1, 0, 1, 1 },
        { 5, 13, 48, 33, 3, 1, 1, 1, 1, 1 },
        { 18, 33, 129, 49, 3, 1, 1, 2, 1, 1 },
        { 7, 7, 9, 160, 1, 1, 1, 0, 1, 1 },
        { 9, 12, 33, 288, 3, 1, 1, 1, 1, 1 },
        { 7, 7, 67, 70, 3, 1, 1, 1, 1, 1 },
        { 8, 9, 48, 96, 3, 1, 1, 1, 4, 1 },
        { 9, 9, 40, 80, 3, 2, 1, 1, 5, 1 },
        { 7, 7, 66, 132, 3, 1, 1, 1, 2, 1 },
        { 6, 7, 32, 64, 3, 1, 2, 2, 8, 1 },
        { 5, 5, 12, 64, 1, 1, 1, 0, 2, 1 },
        /* patches, with and without groups; more weights and inputs than a cache holds */
        { 48, 32, 3, 40, 16, 16, 1, 0, 1, 1 },
        { 24, 24, 4, 8, 12, 12, 1, 0, 2, 1 },
        { 1, 197, 1200, 120, 1, 1, 1, 0, 1, 1 },
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int dense = 0; dense < 2; dense++)
            windowed(FT_OP_CONVOLUTION, shapes[i], dense);
}

/* Rows that take several pictures give each what it gets alone, bit for bit. A picture's maps lie
 * in one block, blocks `apart`. */
static void several_pictures(void)
{
    static const struct shape shapes[] = {
        { 7, 7, 64, 70, 3, 1, 1, 1, 1, 1 },   { 7, 7, 65, 33, 3, 1, 1, 1, 1, 1 },
        { 9, 14, 37, 40, 3, 1, 1, 1, 1, 1 },  { 7, 7, 19, 65, 1, 1, 1, 0, 1, 1 },
        { 14, 14, 40, 20, 1, 1, 1, 0, 1, 1 }, { 9, 15, 33, 96, 1, 2, 1, 0, 1, 1 },
        { 1, 1, 130, 65, 1, 1, 1, 0, 1, 1 },  { 23, 23, 6, 32, 3, 2, 1, 1, 1, 1 },
        { 7, 7, 48, 96, 3, 1, 1, 1, 4, 1 },
    };
    enum { PICTURES = 5 };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const struct shape s = shapes[i];
        const int h = (s.h + 2 * s.pad - s.kernel) / s.stride + 1,
                  wide = (s.w + 2 * s.pad - s.kernel) / s.stride + 1;
        const size_t n = (size_t)(s.kernel * s.kernel * s.c / s.groups * s.filters);
        struct padded in = make(s.h, s.w, s.c, true, 0), out = make(h, wide, s.filters, false, 77);
        const size_t apart = in.count + 2 * out.count;
        float *block = ft_alloc(PICTURES * apart, sizeof *block),
              *alone = ft_alloc(PICTURES * apart, sizeof *alone);
        float *keras = ft_alloc(n, sizeof *keras),
              *bias = ft_alloc_zero(ft_round_up((size_t)s.filters, 64), sizeof *bias);
        for (size_t k = 0; k < n; k++)
            keras[k] = noise();
        for (size_t k = 0; k < PICTURES * apart; k++)
            block[k] = noise();
        memcpy(alone, block, PICTURES * apart * sizeof *block);
        for (const struct ft_kernel_row *const *at = table_of(FT_OP_CONVOLUTION); *at; at++) {
            const struct ft_kernel_row *row = *at;
            struct ft_work w = { .in = in.map,
                                 .out = out.map,
                                 .other = out.map,
                                 .bias = bias,
                                 .lo = 0,
                                 .hi = 60,
                                 .kernel = { s.kernel, s.kernel },
                                 .stride = { s.stride, s.stride },
                                 .dilation = { 1, 1 },
                                 .pad = { s.pad, s.pad },
                                 .groups = s.groups,
                                 .multiplier = 1,
                                 .apart = (ptrdiff_t)apart,
                                 .activation = i % 2 ? FT_ACT_HARD_SWISH : FT_ACT_LINEAR };
            if (row->accepts && !row->accepts(&w))
                w.precision = FT_PRECISION_BF16;
            if (!row->several || (row->needs & ~ft_cpu_features()) ||
                (row->accepts && !row->accepts(&w)))
                continue;
            w.pictures = PICTURES;
            for (int k = 0; k <= PICTURES; k++) { /* all, then each */
                float *base = k ? alone + (size_t)(k - 1) * apart : block;
                w.in.data = base + (in.map.data - in.data);
                w.out.data = base + in.count + (out.map.data - out.data);
                w.other.data = w.out.data + out.count;
                run(row, w, keras, n, false);
                w.pictures = 1;
            }
            CHECK(!memcmp(block, alone, PICTURES * apart * sizeof *block));
        }
        free(in.data);
        free(out.data);
        free(block);
        free(alone);
        free(keras);
        free(bias);
    }
}

static void depthwise(void)
{
    for (int kernel = 1; kernel <= 7; kernel++)
        for (int stride = 1; stride <= 3; stride++)
            for (int c = 1; c <= 37; c += 12) {
                windowed(FT_OP_DEPTHWISE,
                         (struct shape){ 9, 17, c, 0, kernel, stride, 1, kernel / 2, 1, 1 }, false);
                windowed(FT_OP_DEPTHWISE,
                         (struct shape){ 14, 14, c, 0, kernel, stride, 1, (kernel - 1) / 2, 1, 1 },
                         true);
            }
    windowed(FT_OP_DEPTHWISE, (struct shape){ 12, 15, 20, 0, 3, 1, 2, 2, 1, 1 }, false);
    windowed(FT_OP_DEPTHWISE, (struct shape){ 8, 9, 11, 0, 3, 2, 1, 1, 1, 3 }, false);
}

/* NaN and infinities come through sums and limits as they do in Keras: NaN stays, infinities are
 * clipped. */
static void special_values(void)
{
    struct padded in = make(3, 5, 20, true, 0);
    float keras[20 * 20] = { 0 }, taps[9 * 20] = { 0 }, bias[128] = { 0 };
    for (int i = 0; i < 20; i++)
        keras[i * 20 + i] = taps[4 * 20 + i] = 1;
    in.map.data[0] = NAN;
    for (int operation = FT_OP_CONVOLUTION; operation <= FT_OP_DEPTHWISE; operation++)
        for (const struct ft_kernel_row *const *at = table_of((enum ft_operation)operation); *at;
             at++) {
            const struct ft_kernel_row *row = *at;
            const int k = operation == FT_OP_CONVOLUTION ? 1 : 3;
            struct padded out = make(3, 5, 20, false, 77);
            struct ft_work w = { .in = in.map,
                                 .out = out.map,
                                 .bias = bias,
                                 .lo = 0,
                                 .hi = 6,
                                 .kernel = { k, k },
                                 .stride = { 1, 1 },
                                 .dilation = { 1, 1 },
                                 .pad = { k / 2, k / 2 },
                                 .groups = 1,
                                 .multiplier = 1,
                                 .pictures = 1 };
            if (row->accepts && !row->accepts(&w))
                w.precision = FT_PRECISION_BF16;
            if (!(row->needs & ~ft_cpu_features()) && (!row->accepts || row->accepts(&w))) {
                run(row, w, k == 1 ? keras : taps, k == 1 ? 400 : 180, false);
                CHECK(isnan(out.map.data[0]));
            }
            free(out.data);
        }
    free(in.data);
}

static void tables(void)
{
    check_tables(EMULATED_ROWS ? 300 : 500);
}

int main(void)
{
    RUN(convolutions);
    RUN(several_pictures);
    if (!EMULATED_ROWS)
        RUN(depthwise);
    RUN(special_values);
    RUN(tables);
    return test_end();
}
