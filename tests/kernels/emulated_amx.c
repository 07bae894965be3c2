/* AMX in plain C, from the definition of its instructions in Intel's Architecture Instruction Set
 * Extensions Programming Reference (chapter 3), with the faults that it lists. */
#include "emulated_amx.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TILES = 8, ROWS = 16, BYTES = 64 };

static _Thread_local struct {
    bool configured;
    int rows[TILES], bytes[TILES];
    uint8_t data[TILES][ROWS][BYTES];
} amx;
static _Thread_local struct emulated_tiles count;
static _Thread_local struct emulated_memory allowed[4];
static _Thread_local int n_allowed;

static void fault_if(bool wrong, const char *what)
{
    if (!wrong)
        return;
    fprintf(stderr, "AMX would fault: %s\n", what);
    fflush(NULL);
    abort();
}

struct emulated_tiles emulated_tiles_count(void)
{
    const struct emulated_tiles done = count;
    count = (struct emulated_tiles){ .configured = amx.configured };
    return done;
}

void emulated_tile_configure(const void *shape)
{
    uint8_t s[BYTES];
    memcpy(s, shape, sizeof s);
    memset(&amx, 0, sizeof amx);
    fault_if(s[0] != 1, "the palette is not 1");
    fault_if(s[1] != 0, "the first row is not 0");
    for (int i = 2; i < 16; i++)
        fault_if(s[i] != 0, "a reserved byte is not 0");
    for (int i = 0; i < 16; i++) {
        const int bytes = s[16 + 2 * i] | s[17 + 2 * i] << 8, rows = s[48 + i];
        fault_if(i >= TILES && (bytes || rows), "a tile after the last one has a shape");
        fault_if(bytes > BYTES || rows > ROWS, "a tile is too large");
        fault_if(!bytes != !rows, "a tile has rows or columns only");
        if (i < TILES) {
            amx.bytes[i] = bytes;
            amx.rows[i] = rows;
        }
    }
    amx.configured = count.configured = true;
    count.configurations++;
}

void emulated_tile_release(void)
{
    memset(&amx, 0, sizeof amx);
    count.configured = false;
}

static void check(int tile)
{
    fault_if(!amx.configured, "no tile is configured in this thread");
    fault_if(tile < 0 || tile >= TILES, "there is no such tile");
    fault_if(!amx.rows[tile], "the tile has no shape");
}

void emulated_tiles_allow(const struct emulated_memory *blocks, int n)
{
    fault_if(n > 4, "too many blocks of memory");
    n_allowed = n;
    for (int i = 0; i < n; i++)
        allowed[i] = blocks[i];
}

static void check_memory(const uint8_t *from, int bytes)
{
    bool within = !n_allowed;
    for (int i = 0; i < n_allowed; i++) {
        const uint8_t *block = allowed[i].from;
        within = within || (from >= block && from + bytes <= block + allowed[i].bytes);
    }
    fault_if(!within, "a row of a tile is outside of the memory of the test");
}

void emulated_tile_load(int tile, const void *from, ptrdiff_t stride)
{
    check(tile);
    memset(amx.data[tile], 0, sizeof amx.data[tile]);
    for (int r = 0; r < amx.rows[tile]; r++) {
        const uint8_t *row = (const uint8_t *)from + r * stride;
        check_memory(row, amx.bytes[tile]);
        memcpy(amx.data[tile][r], row, (size_t)amx.bytes[tile]);
    }
    count.loads++;
}

void emulated_tile_store(int tile, void *to, ptrdiff_t stride)
{
    check(tile);
    for (int r = 0; r < amx.rows[tile]; r++)
        memcpy((uint8_t *)to + r * stride, amx.data[tile][r], (size_t)amx.bytes[tile]);
    count.stores++;
}

static void check_product(int sums, int a, int b)
{
    check(sums);
    check(a);
    check(b);
    fault_if(sums == a || sums == b || a == b, "an operand is used twice");
    fault_if(amx.bytes[sums] % 4 || amx.bytes[a] % 4 || amx.bytes[b] % 4,
             "a row is not whole units");
    fault_if(amx.rows[sums] != amx.rows[a], "sums and inputs differ in rows");
    fault_if(amx.bytes[sums] != amx.bytes[b], "sums and weights differ in columns");
    fault_if(amx.bytes[a] / 4 != amx.rows[b], "inputs and weights differ in units");
    count.products++;
}

void emulated_tile_bytes(int sums, int a, int b)
{
    check_product(sums, a, b);
    for (int m = 0; m < amx.rows[sums]; m++)
        for (int n = 0; n < amx.bytes[sums] / 4; n++) {
            uint32_t sum;
            memcpy(&sum, &amx.data[sums][m][4 * n], sizeof sum);
            for (int k = 0; k < amx.bytes[a] / 4; k++)
                for (int i = 0; i < 4; i++)
                    sum += (uint32_t)(amx.data[a][m][4 * k + i] *
                                      (int)(int8_t)amx.data[b][k][4 * n + i]);
            memcpy(&amx.data[sums][m][4 * n], &sum, sizeof sum);
        }
}

/* Denormal numbers are 0, as operands and as results. */
static float flushed(float x)
{
    return fabsf(x) < FLT_MIN ? copysignf(0, x) : x;
}

static float bf16_at(const uint8_t *p)
{
    uint16_t upper;
    memcpy(&upper, p, sizeof upper);
    const uint32_t bits = (uint32_t)upper << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return flushed(x);
}

/* x * y + sum, rounded once: the product of two bfloat16 values is a float, if it is not tiny. */
static float multiply_add(float x, float y, float sum)
{
    const float product = x * y;
    const bool tiny = product != 0 && fabsf(product) < FLT_MIN; /* fmaf() takes long */
    return flushed(tiny ? fmaf(x, y, sum) : product + sum);
}

void emulated_tile_bf16(int sums, int a, int b)
{
    check_product(sums, a, b);
    for (int m = 0; m < amx.rows[sums]; m++)
        for (int n = 0; n < amx.bytes[sums] / 4; n++) {
            float sum, even = 0, odd = 0;
            memcpy(&sum, &amx.data[sums][m][4 * n], sizeof sum);
            for (int k = 0; k < amx.bytes[a] / 4; k++) {
                const uint8_t *x = &amx.data[a][m][4 * k], *y = &amx.data[b][k][4 * n];
                even = multiply_add(bf16_at(x), bf16_at(y), even);
                odd = multiply_add(bf16_at(x + 2), bf16_at(y + 2), odd);
            }
            sum = flushed(flushed(sum) + flushed(even + odd));
            memcpy(&amx.data[sums][m][4 * n], &sum, sizeof sum);
        }
}
