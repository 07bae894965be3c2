/* The rows that make bytes of floats, against their definition: each channel times its factor, plus
 * the zero, rounded half up and cut to 0..255. */
#include <math.h>
#include <stdlib.h>

#include "compare.h"
#include "kernels/integers.h"

enum { MOST = 100, H = 3, W = 5 };

static int byte_of(float x, float factor, int zero)
{
    volatile float product = x * factor; /* no fused operation */
    const float q = product + (float)zero;
    return isnan(q) || q <= 0 ? 0 : q >= 255 ? 255 : (int)floorf(q + 0.5f);
}

static void check_row(const struct ft_kernel_row *row, int c, int zero)
{
    static const float special[] = { NAN, INFINITY, -INFINITY, 0, 1e30f, -1e30f };
    float in[H * W * MOST], factors[MOST];
    uint8_t out[H * W * MOST + 64];
    memset(out, 77, sizeof out);
    for (int i = 0; i < H * W * c; i++)
        in[i] = i % 31 < 6 ? special[i % 31] : 3 * noise();
    for (int i = 0; i < c; i++)
        factors[i] = ldexpf(20, i % 7);
    struct ft_work w = { .in = { in, H, W, c, (ptrdiff_t)W * c, c },
                         .out = { (float *)(void *)out, H, W, c, (ptrdiff_t)W * c, c },
                         .weights = factors,
                         .precision = FT_PRECISION_INT8,
                         .int8.out = { .step = 1, .zero = zero } };
    for (int part = 0; part < 4; part++) {
        w.y0 = part & 1 ? 1 : 0;
        w.y1 = part & 1 ? H : 1;
        w.c0 = part & 2 ? c / 2 : 0;
        w.c1 = part & 2 ? c : c / 2;
        row->run(&w);
    }
    int wrong = 0;
    for (int i = 0; i < H * W * c; i++)
        wrong += out[i] != byte_of(in[i], factors[i % c], zero);
    for (size_t i = (size_t)(H * W * c); i < sizeof out; i++)
        wrong += out[i] != 77;
    if (wrong)
        printf("# row '%s': %d wrong bytes of %d channels\n", row->name, wrong, c);
    CHECK(!wrong);
}

static void rows_round_half_up(void)
{
    static const int channels[] = { 1, 2, 7, 16, 33, 64, MOST }, zeros[] = { 0, 128, 255 };
    int seen = 0;
    for (const struct ft_kernel_row *const *row = ft_operation_info(FT_OP_QUANTIZE)->integer_rows;
         *row; row++) {
        if ((*row)->needs & ~ft_cpu_features())
            continue;
        seen++;
        for (size_t i = 0; i < sizeof channels / sizeof *channels; i++)
            for (size_t z = 0; z < sizeof zeros / sizeof *zeros; z++)
                check_row(*row, channels[i], zeros[z]);
    }
    CHECK(seen > 0);
}

int main(void)
{
    RUN(rows_round_half_up);
    return test_end();
}
