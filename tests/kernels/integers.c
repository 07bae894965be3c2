/* The rows of int8 convolutions against the definition in kernels/integers.h, written here once
 * more with 64-bit integers, and the real numbers that the integers stand for. All rows must give
 * the same bits. */
#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "compare.h"
#include "kernels/integers.h"

struct shape {
    int h, w, c, filters, kernel, stride, dilation, pad;
    enum { PLAIN, DEPTHWISE = 1, WIDE = 2, FLOATS = 4, ADDEND = 8, SIGNS = 16, EXTREME = 32 } is;
};

enum { AROUND = 8, ROOM = 1 << 20 };

static struct ft_random numbers = { 11 };

static int below(int n)
{
    return (int)(ft_random_next(&numbers) % (uint64_t)n);
}

/* A map of bytes, 16-bit integers or floats, by their size, with a border and gaps between pixels.
 */
static struct ft_map map_of(int h, int w, int c, int size)
{
    struct ft_map m = { .h = h, .w = w, .c = c, .pixel = c + 3 };
    m.row = (ptrdiff_t)(w + 2 * AROUND) * m.pixel;
    const ptrdiff_t n = (h + 2 * AROUND) * m.row, first = AROUND * m.row + AROUND * m.pixel;
    void *data = ft_alloc_zero((size_t)n + 64, (size_t)size);
    for (ptrdiff_t i = 0; i < n; i++) {
        if (size == 4)
            ((float *)data)[i] = noise();
        else if (size == 2)
            ((int16_t *)data)[i] = (int16_t)(below(2 * FT_INT8_WIDE + 1) - FT_INT8_WIDE);
        else
            ((uint8_t *)data)[i] = (uint8_t)below(256);
    }
    m.data = (float *)(void *)((char *)data + first * size);
    return m;
}

static void free_map(const struct ft_map *m, int bytes)
{
    free((char *)m->data - (AROUND * m->row + AROUND * m->pixel) * bytes);
}

static int64_t input_at(const struct ft_work *w, int y, int x, int c)
{
    return w->int8.wide ? ft_wide_at(&w->in, y, x)[c] : ft_bytes_at(&w->in, y, x)[c];
}

/* The sum of a channel, without the bias: of (q - zero) times whole weights. */
static int64_t sum_of(const struct ft_work *w, const float *whole, bool depthwise, int y, int x,
                      int f)
{
    int64_t sum = 0;
    size_t at = 0;
    for (int ky = 0; ky < w->kernel[0]; ky++)
        for (int kx = 0; kx < w->kernel[1]; kx++)
            for (int c = 0; c < (depthwise ? 1 : w->in.c); c++, at++)
                sum += input_at(w, y * w->stride[0] - w->pad[0] + ky * w->dilation[0],
                                x * w->stride[1] - w->pad[1] + kx * w->dilation[1],
                                depthwise ? f : c) *
                       (int64_t)whole[at * (size_t)w->out.c + (size_t)f];
    return sum;
}

static int64_t half_up(int64_t x, int shift)
{
    return shift ? (x + ((int64_t)1 << (shift - 1))) >> shift : x;
}

static int64_t saturated(int64_t x)
{
    return x < -32768 ? -32768 : x > 32767 ? 32767 : x;
}

static int byte_of(const struct ft_work *w, int64_t sum, int f, int y, int x)
{
    const struct ft_int8_constants k = ft_int8_constants(w);
    const struct ft_int8 *i = &w->int8;
    int64_t value = saturated((sum + k.bias[f]) >> k.shift[f]);
    value = half_up(value * k.multiplier[f], 15);
    if (w->other.data)
        value =
            saturated(value + half_up((int64_t)(ft_bytes_at(&w->other, y, x)[f] - i->other.zero) *
                                          128 * i->scale_other,
                                      15));
    value = saturated(value + i->half) >> i->fraction;
    return (int)(value < i->lo ? i->lo : value > i->hi ? i->hi : value);
}

/* Runs a row whole, or in two parts of channels and of rows, and compares each value. */
static void check_row(const struct ft_kernel_row *row, struct ft_work w, const float *whole,
                      bool depthwise, bool parts)
{
    const int bytes = w.int8.floats ? 4 : 1, h = w.out.h, wide = w.out.w;
    struct ft_map out = { .h = h, .w = wide, .c = w.out.c, .pixel = w.out.c + 3 };
    out.row = (ptrdiff_t)(wide + 2 * AROUND) * out.pixel;
    const size_t n = (size_t)(h + 2 * AROUND) * (size_t)out.row;
    uint8_t *data = ft_alloc(n + 64, (size_t)bytes);
    memset(data, 77, n * (size_t)bytes);
    out.data = (float *)(void *)(data + (AROUND * out.row + AROUND * out.pixel) * bytes);
    w.out = out;
    float *packed = ft_alloc(row->packed(&w) + 16, sizeof *packed);
    row->pack(&w, whole, packed);
    w.weights = packed;
    const size_t scratch = row->scratch ? row->scratch(&w) : 0;
    w.scratch = ft_alloc(scratch + 16, sizeof *w.scratch);
    w.scratch_floats = parts ? scratch / FT_PARTS_MAX : scratch;
    const int c =
        parts ? ft_channels_cut(w.out.c, row->channels ? row->channels : 32, w.out.c / 2) : 0;
    for (int part = 0; part < 4; part++) {
        w.y0 = part & 1 ? h / 2 : 0;
        w.y1 = part & 1 ? h : h / 2;
        w.c0 = part & 2 ? c : 0;
        w.c1 = part & 2 ? w.out.c : c;
        if (w.y0 < w.y1 && w.c0 < w.c1)
            row->run(&w);
        CHECK(TILES_RELEASED);
    }
    int wrong = 0;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < wide; x++)
            for (int f = 0; f < w.out.c; f++) {
                const int64_t sum = sum_of(&w, whole, depthwise, y, x, f);
                if (w.int8.floats) {
                    const struct ft_int8_constants k = ft_int8_constants(&w);
                    const float value = (float)(sum + k.bias[f]) * k.step[f],
                                want = w.other.data ? value + ft_map_at(&w.other, y, x)[f] : value,
                                cut = want < w.lo   ? w.lo
                                      : want > w.hi ? w.hi
                                                    : want;
                    wrong += memcmp(&ft_map_at(&w.out, y, x)[f], &cut, sizeof cut) != 0;
                } else {
                    wrong += ft_bytes_at(&w.out, y, x)[f] != byte_of(&w, sum, f, y, x);
                }
            }
    for (size_t i = 0; i < n; i++) { /* nothing else is written */
        const ptrdiff_t y = (ptrdiff_t)i / out.row - AROUND,
                        x = (ptrdiff_t)i % out.row / out.pixel - AROUND;
        const bool within =
            y >= 0 && y < h && x >= 0 && x < wide && (ptrdiff_t)i % out.row % out.pixel < out.c;
        for (int b = 0; b < bytes; b++)
            wrong += !within && data[i * (size_t)bytes + (size_t)b] != 77;
    }
    if (wrong)
        printf("# row '%s': %d wrong values, %d x %d x %d, kernel %d\n", row->name, wrong, h, wide,
               w.out.c, w.kernel[0]);
    CHECK(!wrong);
    free(packed);
    free(w.scratch);
    free(data);
}

/* The difference between a byte and the convolution of the real numbers, in steps of the output. */
static double real_error(const struct ft_work *w, const float *kernel, const float *bias,
                         const float *whole, bool depthwise)
{
    double worst = 0;
    for (int f = 0; f < w->out.c; f++) {
        double sum = (double)bias[f];
        size_t at = 0;
        for (int ky = 0; ky < w->kernel[0]; ky++)
            for (int kx = 0; kx < w->kernel[1]; kx++)
                for (int c = 0; c < (depthwise ? 1 : w->in.c); c++, at++)
                    sum += (double)kernel[at * (size_t)w->out.c + (size_t)f] *
                           (double)w->int8.in.step *
                           (double)(input_at(w, ky * w->dilation[0] - w->pad[0],
                                             kx * w->dilation[1] - w->pad[1], depthwise ? f : c) -
                                    w->int8.in.zero);
        if (w->other.data)
            sum +=
                (double)w->int8.other.step * (ft_bytes_at(&w->other, 0, 0)[f] - w->int8.other.zero);
        const double q = sum / (double)w->int8.out.step + w->int8.out.zero,
                     cut = q < w->int8.lo   ? w->int8.lo
                           : q > w->int8.hi ? w->int8.hi
                                            : q,
                     got = byte_of(w, sum_of(w, whole, depthwise, 0, 0, f), f, 0, 0);
        worst = fmax(worst, fabs(got - cut));
    }
    return worst;
}

/* The rows of the library, or those that tests/kernels/emulated.h emulates. */
#if defined(FT_EMULATED_ROWS)
#define ROWS(name)                                                                                 \
    extern const struct ft_kernel_row ft_##name##_emulated_avx2, ft_##name##_emulated_avx512,      \
        ft_##name##_emulated_avx_vnni, ft_##name##_emulated_avx512_vnni;                           \
    static const struct ft_kernel_row *const name##_rows[] = {                                     \
        &ft_##name##_emulated_avx2, &ft_##name##_emulated_avx512, &ft_##name##_emulated_avx_vnni,  \
        &ft_##name##_emulated_avx512_vnni, NULL                                                    \
    }
ROWS(int8_convolution);
ROWS(int8_winograd);
ROWS(int8_depthwise);
extern const struct ft_kernel_row ft_int8_convolution_emulated_amx_int8;
enum { EMULATED = 4 };
static const struct ft_kernel_row *const *rows_of(bool depthwise)
{
    static const struct ft_kernel_row *all[2 * EMULATED + 2];
    memcpy(all, int8_winograd_rows, EMULATED * sizeof *all);
    memcpy(all + EMULATED, int8_convolution_rows, EMULATED * sizeof *all);
    all[2 * EMULATED] = &ft_int8_convolution_emulated_amx_int8;
    return depthwise ? int8_depthwise_rows : all;
}
#else
static const struct ft_kernel_row *const *rows_of(bool depthwise)
{
    return ft_operation_info(depthwise ? FT_OP_DEPTHWISE : FT_OP_CONVOLUTION)->integer_rows;
}
#endif

static void check_shape(struct shape s)
{
    const int span = (s.kernel - 1) * s.dilation + 1, h = (s.h + 2 * s.pad - span) / s.stride + 1,
              wide = (s.w + 2 * s.pad - span) / s.stride + 1,
              filters = (s.is & DEPTHWISE) ? s.c : s.filters;
    const size_t n = (size_t)(s.kernel * s.kernel * ((s.is & DEPTHWISE) ? 1 : s.c)) *
                     (size_t)filters,
                 room = ((size_t)filters + 63) / 64 * 64;
    const int in_size = (s.is & WIDE) ? 2 : 1, other_size = (s.is & FLOATS) ? 4 : 1;
    struct ft_map in = map_of(s.h, s.w, s.c, in_size), other = map_of(h, wide, filters, other_size);
    if (s.is & EXTREME) /* zeros: the largest sums of inputs less 128 */
        for (int y = -s.pad; y < s.h + s.pad; y++)
            memset(ft_bytes_to(&in, y, -s.pad), 0, (size_t)((s.w + 2 * s.pad) * in.pixel));
    float *kernel = ft_alloc(n, sizeof *kernel), *whole = ft_alloc(n, sizeof *whole),
          *bias = ft_alloc((size_t)filters, sizeof *bias);
    int32_t *constants = ft_alloc_zero(room * FT_INT8_CONSTANTS, sizeof *constants);
    for (size_t i = 0; i < n; i++)
        whole[i] = kernel[i] = (s.is & EXTREME) ? 1 : noise() / sqrtf((float)(n / (size_t)filters));
    for (int i = 0; i < filters; i++)
        bias[i] = noise();
    if (filters > 2)
        for (size_t i = 1; i < n; i += (size_t)filters)
            whole[i] = kernel[i] = 0; /* a channel that is its bias only */
    struct ft_work w = { .in = in,
                         .out = { .c = filters, .h = h, .w = wide },
                         .bias = (const float *)(const void *)constants,
                         .lo = (s.is & SIGNS) ? -INFINITY : 0,
                         .hi = (s.is & SIGNS) ? INFINITY : 6,
                         .kernel = { s.kernel, s.kernel },
                         .stride = { s.stride, s.stride },
                         .dilation = { s.dilation, s.dilation },
                         .pad = { s.pad, s.pad },
                         .groups = 1,
                         .multiplier = 1,
                         .pictures = 1,
                         .precision = FT_PRECISION_INT8,
                         .int8 = {
                             .in = (s.is & WIDE) ? (struct ft_quantum){ 1.0f / FT_INT8_WIDE, 0 }
                                                 : ft_int8_scale((s.is & SIGNS) ? -2 : 0, 6),
                             .other = ft_int8_scale(-3, 5),
                             .out = ft_int8_scale((s.is & SIGNS) ? -8 : 0, (s.is & SIGNS) ? 7 : 6),
                             .wide = s.is & WIDE,
                             .floats = s.is & FLOATS } };
    if (s.is & ADDEND)
        w.other = other;
    CHECK(ft_int8_weights(&w, (s.is & DEPTHWISE), whole, bias, constants));
    if (!(s.is & FLOATS)) {
        const double error = real_error(&w, kernel, bias, whole, (s.is & DEPTHWISE));
        /* half a step, and the weights' rounding: sqrt(K) terms of 1/254 times up to 255 steps */
        if (error > 1.5)
            printf("# %.2f steps away from the real number\n", error);
        CHECK(error <= 1.5);
    }
    for (const struct ft_kernel_row *const *at = rows_of(s.is & DEPTHWISE); *at; at++) {
        if ((*at)->needs & ~ft_cpu_features()) {
            rows_left_out++;
            continue;
        }
        if ((*at)->accepts && !(*at)->accepts(&w))
            continue;
        rows_seen++;
        for (int parts = 0; parts < 2; parts++)
            check_row(*at, w, whole, (s.is & DEPTHWISE), parts);
    }
    free_map(&in, in_size);
    free_map(&other, other_size);
    free(kernel);
    free(whole);
    free(bias);
    free(constants);
}

static void convolutions(void)
{
    static const struct shape shapes[] = {
        { 1, 1, 1, 1, 1, 1, 1, 0, SIGNS },
        { 5, 7, 3, 17, 3, 2, 1, 1, WIDE | SIGNS },
        { 9, 4, 3, 32, 3, 1, 1, 1, WIDE },
        { 6, 5, 16, 24, 1, 1, 1, 0, PLAIN },
        { 6, 5, 33, 40, 1, 1, 1, 0, ADDEND | SIGNS },
        { 7, 7, 64, 48, 1, 2, 1, 0, ADDEND },
        { 4, 9, 10, 20, 3, 1, 2, 2, SIGNS },
        { 3, 3, 96, 16, 3, 1, 1, 1, FLOATS | SIGNS },
        { 1, 1, 501, 70, 1, 1, 1, 0, FLOATS },
        { 1, 29, 96, 77, 1, 1, 1, 0, FLOATS | ADDEND | SIGNS },
        { 40, 30, 4, 19, 5, 3, 1, 2, PLAIN },
        { 9, 11, 37, 33, 1, 1, 1, 0, SIGNS },
        { 5, 5, 6, 16, 3, 1, 1, 1, PLAIN },
        { 23, 20, 40, 32, 1, 1, 1, 0, ADDEND },
        { 9, 14, 128, 144, 3, 1, 1, 1, SIGNS }, /* Winograd's tiles from here on */
        { 8, 8, 48, 40, 3, 1, 1, 1, ADDEND | SIGNS },
        { 7, 7, 230, 132, 3, 1, 1, 1, ADDEND },
        { 11, 6, 35, 33, 3, 1, 1, 0, FLOATS | SIGNS },
        { 13, 27, 33, 48, 3, 1, 1, 1, PLAIN },
        { 9, 10, 130, 133, 3, 1, 1, 1, FLOATS | ADDEND | SIGNS },
        { 8, 8, 447, 129, 3, 1, 1, 1, EXTREME | SIGNS },
        /* wide maps, whose pixels are rows of AMX's tiles; more than a band */
        { 7, 30, 64, 40, 3, 1, 1, 1, ADDEND | SIGNS },
        { 5, 33, 48, 21, 3, 1, 2, 2, FLOATS },
        { 20, 40, 192, 16, 1, 1, 1, 0, SIGNS },
        { 1, 37, 152, 50, 1, 1, 1, 0, ADDEND },
        { 3, 50, 501, 20, 1, 1, 1, 0, SIGNS },
        { 2, 60, 672, 33, 1, 1, 1, 0, PLAIN },
        { 1, 16, 64, 32, 1, 1, 1, 0, PLAIN },
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        check_shape(shapes[i]);
}

static void depthwise(void)
{
    static const struct shape shapes[] = {
        { 5, 6, 1, 0, 3, 1, 1, 1, DEPTHWISE },
        { 8, 9, 40, 0, 3, 2, 1, 1, DEPTHWISE },
        { 8, 9, 33, 0, 5, 1, 1, 2, DEPTHWISE | SIGNS },
        { 12, 5, 16, 0, 7, 1, 1, 3, DEPTHWISE | FLOATS },
        { 9, 9, 20, 0, 3, 1, 2, 2, DEPTHWISE | ADDEND | SIGNS },
        { 4, 4, 48, 0, 2, 1, 1, 0, DEPTHWISE },
        { 3, 5, 15, 0, 1, 1, 1, 0, DEPTHWISE },
        { 3, 250, 19, 0, 3, 1, 1, 1, DEPTHWISE },
        { 1, 1, 17, 0, 3, 1, 1, 1, DEPTHWISE },
        { 3, 4, 33, 0, 3, 2, 1, 1, DEPTHWISE | FLOATS },
        { 6, 9, 21, 0, 5, 1, 1, 2, DEPTHWISE | FLOATS | ADDEND },
        { 6, 9, 21, 0, 3, 1, 1, 1, DEPTHWISE | FLOATS | ADDEND },
        { 7, 6, 24, 0, 3, 1, 1, 1, DEPTHWISE | ADDEND | SIGNS },
        { 13, 130, 70, 0, 5, 2, 1, 2, DEPTHWISE | SIGNS },
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        check_shape(shapes[i]);
}

/* The planner's numbers at their limits. */
static void scales(void)
{
    const struct ft_quantum both = ft_int8_scale(-1, 3), positive = ft_int8_scale(0.5f, 2),
                            nothing = ft_int8_scale(0, 0);
    CHECK(both.zero == 64 && fabsf(both.step - 4.0f / 255) < 1e-9f);
    CHECK(positive.zero == 0 && fabsf(positive.step - 2.0f / 255) < 1e-9f);
    CHECK(nothing.zero == 0 && nothing.step > 0);
    struct ft_work w = { .lo = 0, .hi = 4.8f, .int8 = { .in = both, .out = ft_int8_scale(0, 12) } };
    CHECK(ft_int8_settle(&w, 0.01) && w.int8.fraction == FT_INT8_FRACTION);
    CHECK(w.int8.lo == 0 && w.int8.hi == 102);
    CHECK(ft_int8_settle(&w, 0.2) && w.int8.fraction == 2);
    CHECK(!ft_int8_settle(&w, 2));
    w.int8.other.step = 40 * w.int8.out.step;
    CHECK(ft_int8_settle(&w, 0.01) && w.int8.fraction == 1);
    w.int8.other.step = 200 * w.int8.out.step;
    CHECK(!ft_int8_settle(&w, 0.01));
}

int main(void)
{
    RUN(scales);
    RUN(convolutions);
    RUN(depthwise);
    printf("# %d rows, %d left out on this processor\n", rows_seen, rows_left_out);
    CHECK(rows_seen > 0);
    return test_end();
}
