/* The rows of all operations but convolutions against the plain ones (compare.h). */
#include "compare.h"

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
    for (const struct ft_kernel_row *const *at = ft_kernel_table(FT_OP_GLOBAL_AVERAGE); *at; at++) {
        const struct ft_kernel_row *row = *at;
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
            for (int a = 0; a < (operation == FT_OP_ACTIVATE ? FT_ACTIVATIONS + 1 : 1); a++) {
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
    for (const struct ft_pixel_row *const *at = ft_pixel_table(); *at; at++)
        for (int n = 1; n <= 500 && !((*at)->needs & ~ft_cpu_features()); n += 83) {
            out[n] = 77;
            (*at)->run(x, scale, offset, n, out);
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
    for (const struct ft_product_row *const *at = ft_product_table(); *at; at++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes && !((*at)->needs & ~ft_cpu_features());
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
                (*at)->run(&p);
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

static void tables(void)
{
    check_tables(100);
}

int main(void)
{
    RUN(pools);
    RUN(large_average);
    RUN(elementwise);
    RUN(flatten);
    RUN(pixels);
    RUN(products);
    RUN(tables);
    return test_end();
}
