/* Comparing every row of an operation with its plain C row: on odd shapes, in maps with borders and
 * gaps between pixels, cut into parts, and without writing outside the output. */
#ifndef FT_TESTS_COMPARE_H
#define FT_TESTS_COMPARE_H

#include <stdint.h>

#include "../test.h"
#include "base/cpu.h"
#include "base/memory.h"
#include "kernels/kernels.h"

/* FT_EMULATED_ROWS: compares a row that is emulated, not those of the library. */
#if defined(FT_EMULATED_ROWS)
#include "emulated_amx.h"
enum { EMULATED_ROWS = 1 };
#define TILES_RELEASED !emulated_tiles_count().configured
#else
enum { EMULATED_ROWS = 0 };
#define TILES_RELEASED true
#endif

static uint64_t state = 7;

static inline float noise(void)
{
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (float)((double)((z ^ (z >> 31)) >> 40) / (1 << 23) - 1);
}

enum { GAP = 3, BORDER = 7 };

struct padded {
    float *data;
    size_t count;
    struct ft_map map;
};

/* [h, w, c] inside a border and with GAP floats between pixels, all filled with noise (or `fill`).
 */
static inline struct padded make(int h, int w, int c, bool random, float fill)
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

static inline bool inside(const struct padded *p, size_t i)
{
    const ptrdiff_t row = p->map.row, pixel = p->map.pixel;
    const ptrdiff_t y = (ptrdiff_t)i / row - BORDER, x = (ptrdiff_t)i % row / pixel - BORDER,
                    c = (ptrdiff_t)i % pixel;
    return y >= 0 && y < p->map.h && x >= 0 && x < p->map.w && c < p->map.c;
}

/* Runs a row, whole or in four parts. */
static inline void run(const struct ft_kernel_row *row, struct ft_work w, const float *keras,
                       size_t keras_count, bool parts)
{
    const size_t scratch = row->scratch ? row->scratch(&w) : 0;
    float *packed = ft_alloc(row->packed ? row->packed(&w) : keras_count, sizeof *packed);
    const int middle_c =
        parts ? ft_channels_cut(w.out.c, row->channels ? row->channels : FT_CHANNELS_STEP,
                                w.out.c > 64 ? w.out.c / 2 : 32)
              : w.out.c;
    for (int part = 0; row->pack && part < (parts && row->pack_parts ? 2 : 1); part++) {
        w.c0 = part ? middle_c : 0;
        w.c1 = parts && row->pack_parts && !part ? middle_c : w.out.c;
        row->pack(&w, keras, packed);
    }
    if (!row->pack && keras_count)
        memcpy(packed, keras, keras_count * sizeof *packed);
    w.weights = packed;
    w.scratch = ft_alloc(scratch, sizeof(float));
    memset(w.scratch, 0xff, scratch * sizeof(float)); /* NaN, as float and as bfloat16 */
    w.scratch_floats = parts ? scratch / FT_PARTS_MAX : scratch;
    const int middle_y = parts ? w.out.h / 2 : w.out.h;
    for (int part = 0; part < (parts ? 4 : 1); part++) {
        w.y0 = part & 1 ? middle_y : 0;
        w.y1 = part & 1 ? w.out.h : middle_y;
        w.c0 = part & 2 ? middle_c : 0;
        w.c1 = part & 2 ? w.out.c : middle_c;
        if (w.y0 < w.y1 && w.c0 < w.c1)
            row->run(&w);
        CHECK(TILES_RELEASED);
    }
    free(packed);
    free(w.scratch);
}

static inline bool close_enough(const struct padded *got, const struct padded *want,
                                double tolerance)
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
static inline double tolerance(const struct ft_kernel_row *row, const struct ft_work *w)
{
    struct ft_work exact = *w;
    exact.exact = true;
    /* what is no convolution has none */
    const double size = w->groups ? sqrt((double)ft_conv_k(w)) : 0;
    const bool winograd = row->accepts && !row->accepts(&exact);
    if (winograd && w->precision == FT_PRECISION_BF16) /* keeps float32 */
        return 0.01 * size;
    return winograd ? 2.5e-6 * size : fmax(2e-5, 1e-6 * size);
}

/* The rows of an operation: those of the library, or those that are emulated and the plain one. */
static inline const struct ft_kernel_row *const *table_of(enum ft_operation operation)
{
#if defined(FT_EMULATED_ROWS)
    extern const struct ft_kernel_row ft_convolution_emulated_amx_bf16, ft_convolution_c;
    static const struct ft_kernel_row *const emulated[] = { &ft_convolution_emulated_amx_bf16,
                                                            &ft_convolution_c, NULL };
    if (operation == FT_OP_CONVOLUTION)
        return emulated;
#endif
    return ft_kernel_table(operation);
}

/* The last row of an operation. */
static inline const struct ft_kernel_row *plain_row(enum ft_operation operation)
{
    const struct ft_kernel_row *const *at = table_of(operation);
    while (at[1])
        at++;
    return *at;
}

static inline void compare(enum ft_operation operation, struct ft_work w, int h, int wide,
                           const float *keras, size_t n, bool whole_only)
{
    const struct ft_kernel_row *plain = plain_row(operation);
    struct padded want = make(h, wide, w.out.c, false, 77);
    w.out = want.map;
    run(plain, w, keras, n, false);
    for (const struct ft_kernel_row *const *at = table_of(operation); *at; at++) {
        const struct ft_kernel_row *row = *at;
        if (row->needs & ~ft_cpu_features()) {
            rows_left_out++;
            continue;
        }
        if ((row->accepts && !row->accepts(&w)) || (EMULATED_ROWS && row == plain))
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
                       ft_operation_info(operation)->name, row->name, h, wide, w.out.c, w.in.h,
                       w.in.w, w.in.c, w.kernel[0], w.kernel[1], w.stride[0],
                       parts ? "parts" : "whole");
            CHECK(good);
            free(got.data);
        }
    }
    free(want.data);
}

/* Were rows compared? And does every table end in a row that needs nothing? */
static inline void check_tables(int least)
{
    for (int i = 0; i < FT_OPERATIONS; i++) {
        const bool integers = i == FT_OP_QUANTIZE || i == FT_OP_DEQUANTIZE; /* int8 only */
        CHECK(integers == !ft_operation_info((enum ft_operation)i)->rows);
        if (integers)
            continue;
        const struct ft_kernel_row *row = plain_row((enum ft_operation)i);
        CHECK(row->needs == 0 && !row->accepts);
        CHECK_STR(row->name, "c");
    }
    printf("# %d comparisons on '%s', %d left out\n", rows_seen, ft_cpu_name(), rows_left_out);
    CHECK(rows_seen > least);
}

#endif
