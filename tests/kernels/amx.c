/* The emulation of AMX stops at what the processor refuses; and how many instructions the rows for
 * AMX take. */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../test.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "emulated_amx.h"
#include "kernels/integers.h"

extern const struct ft_kernel_row ft_int8_convolution_emulated_amx_int8;

struct shape {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
};

/* Sums of 3 rows in tile 0, inputs of 3 rows with 5 units in tile 1, their weights in tile 2. */
static const struct shape good = { .palette = 1, .bytes = { 64, 20, 64 }, .rows = { 3, 3, 5 } };
static uint8_t memory[1024];

static void multiply(const struct shape *s)
{
    emulated_tile_configure(s);
    for (int i = 0; i < 3; i++)
        emulated_tile_load(i, memory, 64);
    emulated_tile_bytes(0, 1, 2);
    emulated_tile_bf16(0, 1, 2);
    emulated_tile_store(0, memory, 64);
    emulated_tile_release();
}

static void load_alone(const struct shape *s)
{
    (void)s;
    emulated_tile_load(0, memory, 64);
}

static void load_released(const struct shape *s)
{
    multiply(s);
    load_alone(s);
}

static void one_operand_twice(const struct shape *s)
{
    emulated_tile_configure(s);
    emulated_tile_bytes(0, 0, 2);
}

static void tile_without_shape(const struct shape *s)
{
    emulated_tile_configure(s);
    emulated_tile_load(3, memory, 64);
}

/* Whether `use` ends a process as a fault does. */
static bool faults(void (*use)(const struct shape *), const struct shape *s)
{
    const pid_t child = fork();
    if (!child) {
        close(STDERR_FILENO);
        use(s);
        _exit(0);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
           WTERMSIG(status) == SIGABRT;
}

static void wrong_uses_stop(void)
{
    CHECK(!faults(multiply, &good));
    CHECK(faults(load_alone, &good) && faults(load_released, &good));
    CHECK(faults(one_operand_twice, &good) && faults(tile_without_shape, &good));
    struct shape wrong[] = { good, good, good, good, good, good, good, good, good, good, good };
    wrong[0].palette = 0;
    wrong[1].start_row = 1;
    wrong[2].reserved[13] = 1;
    wrong[3].rows[0] = 17;
    wrong[4].bytes[0] = 65;
    wrong[5].rows[7] = 1;   /* without columns */
    wrong[6].bytes[8] = 64; /* there are 8 tiles */
    wrong[7].rows[1] = 4;   /* other rows than the sums */
    wrong[8].rows[2] = 6;   /* other units than the inputs */
    wrong[9].bytes[2] = 60; /* other columns than the sums */
    wrong[10].bytes[0] = wrong[10].bytes[2] = 62;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK(faults(multiply, &wrong[i]));
}

/* A convolution without padding whose maps, weights and scratch have exactly the memory that it may
 * use: 15 bytes after the map of inputs may be read. `share`: with the scratch of one of
 * FT_PARTS_MAX parts. Returns its instructions. */
static struct emulated_tiles run_exactly(int h, int wide, int c, int filters, int kernel,
                                         bool share)
{
    const struct ft_kernel_row *row = &ft_int8_convolution_emulated_amx_int8;
    const int out_h = h - kernel + 1, out_w = wide - kernel + 1;
    const size_t room = ft_round_up((size_t)filters, 64),
                 in_bytes = (size_t)h * (size_t)wide * (size_t)c,
                 out_bytes = (size_t)out_h * (size_t)out_w * (size_t)filters,
                 k = (size_t)kernel * (size_t)kernel * (size_t)c;
    int32_t *constants = ft_alloc_zero(FT_INT8_CONSTANTS * room, sizeof *constants);
    uint8_t *in = ft_alloc_zero(in_bytes + 15, 1), *out = ft_alloc_zero(out_bytes, 1);
    float *whole = ft_alloc_zero(k * (size_t)filters, sizeof *whole);
    struct ft_work w = { .in = { (float *)(void *)in, h, wide, c, wide * c, c },
                         .out = { (float *)(void *)out, out_h, out_w, filters, out_w * filters,
                                  filters },
                         .bias = (const float *)(const void *)constants,
                         .kernel = { kernel, kernel },
                         .stride = { 1, 1 },
                         .dilation = { 1, 1 },
                         .groups = 1,
                         .precision = FT_PRECISION_INT8,
                         .y1 = out_h,
                         .c1 = filters };
    float *packed = ft_alloc(row->packed(&w), sizeof *packed);
    row->pack(&w, whole, packed);
    w.weights = packed;
    w.scratch_floats = row->scratch(&w) / (share ? FT_PARTS_MAX : 1);
    w.scratch = ft_alloc(w.scratch_floats, sizeof *w.scratch);
    emulated_tiles_allow(
        (struct emulated_memory[]){ { in, in_bytes + 15 },
                                    { packed, row->packed(&w) * sizeof *packed },
                                    { constants, room * sizeof *constants },
                                    { w.scratch, w.scratch_floats * sizeof *w.scratch } },
        4);
    emulated_tiles_count();
    row->run(&w);
    emulated_tiles_allow(NULL, 0);
    free(constants);
    free(in);
    free(out);
    free(whole);
    free(packed);
    free(w.scratch);
    return emulated_tiles_count();
}

/* No tile is loaded from beyond a map or the scratch: few pixels, some more than a tile or a block,
 * more than a band; from the map and from the scratch. */
static void no_memory_outside(void)
{
    static const int shapes[][5] = {
        /* h, w, c, filters, kernel */
        { 1, 1, 64, 16, 1 },   { 1, 7, 128, 33, 1 },  { 1, 19, 72, 16, 1 },   { 3, 11, 152, 40, 1 },
        { 5, 13, 48, 17, 1 },  { 9, 30, 64, 32, 3 },  { 7, 9, 501, 5, 1 },    { 6, 6, 64, 512, 3 },
        { 5, 5, 2000, 20, 3 }, { 24, 24, 16, 16, 1 }, { 3, 200, 128, 16, 3 }, { 2, 33, 1000, 8, 2 },
        { 1, 517, 64, 16, 1 }, { 7, 40, 160, 24, 1 }, { 6, 50, 501, 9, 1 },   { 3, 60, 672, 17, 1 },
        { 4, 60, 1000, 5, 1 }
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int share = 0; share < 2; share++) {
            const int *s = shapes[i];
            const struct emulated_tiles done = run_exactly(s[0], s[1], s[2], s[3], s[4], share);
            CHECK(done.products > 0 && !done.configured);
        }
}

/* 64 pixels by 64 filters: four blocks, each of which takes 4 loads and 4 products for 64 of K,
 * and 4 loads and 4 stores of sums. */
static void instructions_of_a_block(void)
{
    enum { BLOCKS = 4, STEPS = 3 };
    const struct emulated_tiles done = run_exactly(4, 16, 64 * STEPS, 64, 1, false);
    CHECK(done.configurations == 1 && !done.configured);
    CHECK(done.products == BLOCKS * STEPS * 4);
    CHECK(done.loads == BLOCKS * (STEPS * 4 + 4) && done.stores == BLOCKS * 4);
}

int main(void)
{
    RUN(wrong_uses_stop);
    RUN(no_memory_outside);
    RUN(instructions_of_a_block);
    return test_end();
}
