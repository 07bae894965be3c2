/* Every row of every kernel table against the plain C row, on odd shapes, in maps with borders and
 * gaps between pixels, cut into parts, and without touching anything outside the output. */
#include <stdint.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "test.h"

static uint64_t state = 7;

static float noise(void)
{
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (float)((double)((z ^ (z >> 31)) >> 40) / (1 << 23) - 1);
}

/* What a case of a table is made of. */
struct shape {
    int h, w, c, filters, kernel, stride, dilation, pad, groups, multiplier;
};

enum { GAP = 3, BORDER = 7 };

struct padded {
    float *data;
    size_t count;
    struct ft_map map;
};

/* [h, w, c] inside a border and with GAP floats between pixels, all filled with noise (or `fill`).
 */
static struct padded make(int h, int w, int c, bool random, float fill)
{
    struct padded p;
    const ptrdiff_t pixel = c + GAP, row = (w + 2 * BORDER) * pixel;
    p.count = (size_t)((h + 2 * BORDER) * row);
    p.data = ft_alloc(p.count, sizeof *p.data);
    for (size_t i = 0; i < p.count; i++)
        p.data[i] = random ? noise() : fill;
    p.map = (struct ft_map){ p.data + BORDER * row + BORDER * pixel, h, w, c, row, (int)pixel };
    return p;
}

static bool inside(const struct padded *p, size_t i)
{
    const ptrdiff_t row = p->map.row, pixel = p->map.pixel;
    const ptrdiff_t y = (ptrdiff_t)i / row - BORDER, x = (ptrdiff_t)i % row / pixel - BORDER,
                    c = (ptrdiff_t)i % pixel;
    return y >= 0 && y < p->map.h && x >= 0 && x < p->map.w && c < p->map.c;
}

/* Runs a row, whole or in four parts. */
static void run(const struct ft_kernel_row *row, struct ft_work w, const float *keras,
                size_t keras_count, bool parts)
{
    const size_t scratch = row->scratch ? row->scratch(&w) : 0;
    float *packed = ft_alloc(row->packed ? row->packed(&w) : keras_count, sizeof *packed);
    if (row->pack)
        row->pack(&w, keras, packed);
    else if (keras_count)
        memcpy(packed, keras, keras_count * sizeof *packed);
    w.weights = packed;
    w.scratch = ft_alloc(scratch, sizeof(float));
    w.scratch_floats = parts ? scratch / 8 : scratch;
    const int middle_y = parts ? w.out.h / 2 : w.out.h,
              middle_c =
                  parts ? ft_channels_cut(w.out.c, row->channels ? row->channels : FT_CHANNELS_STEP,
                                          w.out.c > 64 ? w.out.c / 2 : 32)
                        : w.out.c;
    for (int part = 0; part < (parts ? 4 : 1); part++) {
        w.y0 = part & 1 ? middle_y : 0;
        w.y1 = part & 1 ? w.out.h : middle_y;
        w.c0 = part & 2 ? middle_c : 0;
        w.c1 = part & 2 ? w.out.c : middle_c;
        if (w.y0 < w.y1 && w.c0 < w.c1)
            row->run(&w);
    }
    free(packed);
    free(w.scratch);
}

static bool close_enough(const struct padded *got, const struct padded *want, double tolerance)
{
    for (size_t i = 0; i < got->count; i++) {
        const float a = got->data[i], b = want->data[i];
        const bool same = inside(got, i) ? (isnan(a) && isnan(b)) || a == b ||
                                               fabs(a - b) <= tolerance * (1 + fabs(b))
                                         : a == b;
        if (!same) {
            printf("# at %zu (%s): got %.9g, want %.9g\n", i, inside(got, i) ? "inside" : "outside",
                   a, b);
            return false;
        }
    }
    return true;
}

static int rows_seen, rows_left_out;

/* Sums of K terms round by the size of the whole sum, which for noise is sqrt(K) / 3: Winograd
 * always, the others (OpenBLAS's order of summing differs from processor to processor) where K is
 * large. */
static double tolerance(const struct ft_kernel_row *row, const struct ft_work *w)
{
    struct ft_work exact = *w;
    exact.exact = true;
    /* what is no convolution has none */
    const double size = w->groups ? sqrt((double)ft_conv_k(w)) : 0;
    return row->accepts && !row->accepts(&exact) ? 2.5e-6 * size : fmax(2e-5, 1e-6 * size);
}

static void compare(enum ft_operation operation, struct ft_work w, int h, int wide,
                    const float *keras, size_t n, bool whole_only)
{
    const struct ft_kernel_row *plain = ft_kernel_table(operation), *row;
    while (plain[1].run)
        plain++;
    struct padded want = make(h, wide, w.out.c, false, 77);
    w.out = want.map;
    run(plain, w, keras, n, false);
    for (row = ft_kernel_table(operation); row->run; row++) {
        if (row->needs & ~ft_cpu_features()) {
            rows_left_out++;
            continue;
        }
        if (row->accepts && !row->accepts(&w))
            continue;
        rows_seen++;
        for (int parts = 0; parts < (whole_only ? 1 : 2); parts++) {
            struct padded got = make(h, wide, w.out.c, false, 77);
            w.out = got.map;
            run(row, w, keras, n, parts);
            const bool good = close_enough(&got, &want, tolerance(row, &w));
            if (!good)
                printf("# %s, row '%s', %d x %d x %d from %d x %d x %d, kernel %d x %d, stride %d, "
                       "%s\n",
                       ft_operation_name(operation), row->name, h, wide, w.out.c, w.in.h, w.in.w,
                       w.in.c, w.kernel[0], w.kernel[1], w.stride[0], parts ? "parts" : "whole");
            CHECK(good);
            free(got.data);
        }
    }
    free(want.data);
}

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
    for (int variant = 0; variant < 6; variant++) {
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
        { 1, 1, 1, 1, 1, 1, 1, 0, 1, 1 },      { 7, 7, 19, 33, 1, 1, 1, 0, 1, 1 },
        { 5, 9, 16, 24, 1, 1, 1, 0, 1, 1 },    { 14, 14, 40, 40, 1, 1, 1, 0, 1, 1 },
        { 23, 29, 3, 32, 3, 2, 1, 1, 1, 1 },   { 9, 11, 6, 70, 3, 1, 1, 1, 1, 1 },
        { 13, 10, 5, 17, 5, 2, 1, 2, 1, 1 },   { 9, 9, 4, 31, 3, 1, 2, 2, 1, 1 },
        { 8, 8, 12, 18, 3, 1, 1, 1, 3, 1 },    { 1, 1, 130, 65, 1, 1, 1, 0, 1, 1 },
        { 3, 200, 8, 16, 1, 1, 1, 0, 1, 1 },   { 4, 6, 64, 12, 1, 2, 1, 0, 1, 1 },
        { 28, 28, 144, 40, 1, 1, 1, 0, 1, 1 }, { 12, 12, 7, 56, 1, 1, 1, 0, 1, 1 },
        { 4, 5, 33, 104, 1, 1, 1, 0, 1, 1 },   { 9, 11, 37, 70, 3, 1, 1, 1, 1, 1 },
        { 15, 21, 32, 40, 3, 1, 1, 0, 1, 1 },  { 5, 13, 48, 33, 3, 1, 1, 1, 1, 1 },
        { 18, 33, 129, 49, 3, 1, 1, 2, 1, 1 }, { 7, 7, 9, 160, 1, 1, 1, 0, 1, 1 },
        { 9, 12, 33, 288, 3, 1, 1, 1, 1, 1 },  { 7, 7, 67, 70, 3, 1, 1, 1, 1, 1 },
        { 8, 9, 48, 96, 3, 1, 1, 1, 4, 1 },    { 9, 9, 40, 80, 3, 2, 1, 1, 5, 1 },
        { 7, 7, 66, 132, 3, 1, 1, 1, 2, 1 },   { 6, 7, 32, 64, 3, 1, 2, 2, 8, 1 },
        { 5, 5, 12, 64, 1, 1, 1, 0, 2, 1 },
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
        for (const struct ft_kernel_row *row = ft_kernel_table(FT_OP_CONVOLUTION); row->run;
             row++) {
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

static void pools(void)
{
    for (int operation = FT_OP_MAX_POOL; operation <= FT_OP_GLOBAL_AVERAGE; operation++)
        for (int kernel = 2; kernel <= 3; kernel++)
            for (int stride = 1; stride <= 2; stride++)
                for (int c = 1; c <= 99; c += 49) {
                    struct padded in = make(9, 12, c, true, 0);
                    const int pad = kernel - 2, global = operation >= FT_OP_GLOBAL_MAX;
                    const int h = global ? 1 : (9 + 2 * pad - kernel) / stride + 1,
                              wide = global ? 1 : (12 + 2 * pad - kernel) / stride + 1;
                    struct ft_work w = { .in = in.map,
                                         .out = { .c = c, .h = h, .w = wide },
                                         .lo = -INFINITY,
                                         .hi = INFINITY,
                                         .kernel = { kernel, kernel },
                                         .stride = { stride, stride },
                                         .dilation = { 1, 1 },
                                         .pad = { pad, pad },
                                         .groups = 1,
                                         .multiplier = 1 };
                    compare((enum ft_operation)operation, w, h, wide, NULL, 0, false);
                    free(in.data);
                }
}

/* The average of 40 000 pixels is as exact as one of few. */
static void large_average(void)
{
    enum { H = 250, W = 160, C = 70 };
    struct padded in = make(H, W, C, true, 0);
    double sum[C] = { 0 };
    for (int i = 0; i < H * W; i++)
        for (int c = 0; c < C; c++) {
            float *x = ft_map_to(&in.map, i / W, i % W) + c;
            *x = fabsf(*x) + 0.1f;
            sum[c] += *x;
        }
    for (const struct ft_kernel_row *row = ft_kernel_table(FT_OP_GLOBAL_AVERAGE); row->run; row++) {
        float out[C] = { 0 };
        const struct ft_work w = {
            .in = in.map,
            .out = { .data = out, .c = C, .h = 1, .w = 1, .row = C, .pixel = C },
            .y1 = 1,
            .c1 = C
        };
        if (row->needs & ~ft_cpu_features())
            continue;
        row->run(&w);
        for (int c = 0; c < C; c++)
            CHECK(fabs(out[c] * (H * W) / sum[c] - 1) < 1e-6);
    }
    free(in.data);
}

static void elementwise(void)
{
    for (int operation = FT_OP_AFFINE; operation <= FT_OP_COPY; operation++)
        for (int c = 1; c <= 81; c += 16)
            for (int a = 0; a < (operation == FT_OP_ACTIVATE ? FT_ACTIVATIONS : 1); a++) {
                struct padded in = make(5, 7, c, true, 0), other = make(5, 7, c, true, 0);
                float scale[128], bias[128];
                for (int i = 0; i < 128; i++) {
                    scale[i] = noise();
                    bias[i] = noise();
                }
                in.map.data[0] = a == FT_ACT_SOFTMAX ? 3 : NAN;
                in.map.data[in.map.pixel] = 30;
                in.map.data[2 * in.map.pixel] = -30;
                struct ft_work w = { .in = in.map,
                                     .other = other.map,
                                     .out = { .c = c, .h = 5, .w = 7 },
                                     .bias = bias,
                                     .lo = 0,
                                     .hi = 6,
                                     .activation = (enum ft_activation)a };
                compare((enum ft_operation)operation, w, 5, 7, scale, (size_t)c,
                        a == FT_ACT_SOFTMAX);
                w.other.row = w.other.pixel = 0;
                compare((enum ft_operation)operation, w, 5, 7, scale, (size_t)c,
                        a == FT_ACT_SOFTMAX);
                free(in.data);
                free(other.data);
            }
}

static void flatten(void)
{
    struct padded in = make(4, 6, 10, true, 0);
    struct ft_work w = { .in = in.map, .out = { .c = 240, .h = 1, .w = 1 } };
    compare(FT_OP_FLATTEN, w, 1, 1, NULL, 0, true);
    w.out.c = 16;
    compare(FT_OP_FLATTEN, w, 5, 3, NULL, 0, true);
    free(in.data);
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
        for (const struct ft_kernel_row *row = ft_kernel_table((enum ft_operation)operation);
             row->run; row++) {
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
            if (!(row->needs & ~ft_cpu_features()) && (!row->accepts || row->accepts(&w))) {
                run(row, w, k == 1 ? keras : taps, k == 1 ? 400 : 180, false);
                CHECK(isnan(out.map.data[0]));
            }
            free(out.data);
        }
    free(in.data);
}

static void pixels(void)
{
    uint8_t x[500];
    float scale[FT_PIXEL_PERIOD], offset[FT_PIXEL_PERIOD], out[501];
    for (int i = 0; i < 500; i++)
        x[i] = (uint8_t)(128 + 127 * noise());
    for (int i = 0; i < FT_PIXEL_PERIOD; i++) {
        scale[i] = (float)(i % 3 + 1) / 128;
        offset[i] = (float)(i % 3);
    }
    for (const struct ft_pixel_row *row = ft_pixel_table(); row->run; row++)
        for (int n = 1; n <= 500 && !(row->needs & ~ft_cpu_features()); n += 83) {
            out[n] = 77;
            row->run(x, scale, offset, n, out);
            for (int i = 0; i < n; i++)
                CHECK_NEAR(out[i], x[i] * (double)scale[i % 3] + offset[i % 3], 1e-5);
            CHECK(out[n] == 77);
        }
}

/* Both orders of A, sums that begin anew and that go on, gaps after every row that must stay as
 * they are. */
static void products(void)
{
    static const int sizes[][3] = { { 1, 1, 1 },    { 14, 32, 9 },   { 15, 33, 40 }, { 5, 7, 130 },
                                    { 29, 100, 3 }, { 113, 16, 17 }, { 6, 49, 1 } };
    enum { MOST = 113 * 140 + 200 };
    static float a[MOST], b[MOST], c[MOST];
    for (int i = 0; i < MOST; i++) {
        a[i] = noise();
        b[i] = noise();
    }
    for (const struct ft_product_row *row = ft_product_table(); row->run; row++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes && !(row->needs & ~ft_cpu_features());
             s++)
            for (int variant = 0; variant < 4; variant++) {
                const int m = sizes[s][0], n = sizes[s][1], k = sizes[s][2],
                          a_long = (variant & 1 ? m : k) + 3;
                const struct ft_product p = { a,
                                              b,
                                              c,
                                              m,
                                              n,
                                              k,
                                              variant & 1 ? 1 : a_long,
                                              variant & 1 ? a_long : 1,
                                              n + 2,
                                              n + 1,
                                              variant & 2 };
                for (int i = 0; i < MOST; i++)
                    c[i] = 77;
                row->run(&p);
                for (int i = 0; i < m; i++) {
                    for (int j = 0; j < n; j++) {
                        double want = variant & 2 ? 77 : 0;
                        for (int l = 0; l < k; l++)
                            want += (double)a[i * p.a_row + l * p.a_step] * b[l * p.b_row + j];
                        CHECK_NEAR(c[i * p.c_row + j], want, 2e-5);
                    }
                    CHECK(c[i * p.c_row + n] == 77);
                }
            }
}

/* The table ends in a row that needs nothing, and the processor at hand was really tested. */
static void tables(void)
{
    for (int i = 0; i < FT_OPERATIONS; i++) {
        const struct ft_kernel_row *row = ft_kernel_table((enum ft_operation)i);
        while (row[1].run)
            row++;
        CHECK(row->needs == 0 && !row->accepts);
        CHECK_STR(row->name, "c");
    }
    printf("# %d comparisons on '%s', %d left out\n", rows_seen, ft_cpu_name(), rows_left_out);
    CHECK(rows_seen > 500);
}

int main(void)
{
    RUN(convolutions);
    RUN(several_pictures);
    RUN(depthwise);
    RUN(pools);
    RUN(large_average);
    RUN(elementwise);
    RUN(flatten);
    RUN(special_values);
    RUN(pixels);
    RUN(products);
    RUN(tables);
    return test_end();
}
