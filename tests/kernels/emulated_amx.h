/* The instructions of AMX as functions in C (emulated_amx.c). The build includes this file before a
 * source after emulated.h. A use that the processor answers with a fault ends the program with a
 * message. */
#ifndef FT_TESTS_EMULATED_AMX_H
#define FT_TESTS_EMULATED_AMX_H

#include <stdbool.h>
#include <stddef.h>

void emulated_tile_configure(const void *shape);
void emulated_tile_release(void);
void emulated_tile_load(int tile, const void *from, ptrdiff_t stride);
void emulated_tile_store(int tile, void *to, ptrdiff_t stride);
void emulated_tile_bytes(int sums, int a, int b); /* TDPBUSD */
void emulated_tile_bf16(int sums, int a, int b);  /* TDPBF16PS */

/* What this thread has done since the last call. */
struct emulated_tiles {
    bool configured;
    long configurations, loads, stores, products;
};
struct emulated_tiles emulated_tiles_count(void);

/* From now on this thread may load tiles from these blocks of memory only (up to 4); n = 0: from
 * anywhere. */
struct emulated_memory {
    const void *from;
    size_t bytes;
};
void emulated_tiles_allow(const struct emulated_memory *blocks, int n);

#define _tile_loadconfig(shape)         emulated_tile_configure(shape)
#define _tile_release()                 emulated_tile_release()
#define _tile_loadd(tile, from, stride) emulated_tile_load(tile, from, (ptrdiff_t)(stride))
#define _tile_stored(tile, to, stride)  emulated_tile_store(tile, to, (ptrdiff_t)(stride))
#define _tile_dpbusd(sums, a, b)        emulated_tile_bytes(sums, a, b)
#define _tile_dpbf16ps(sums, a, b)      emulated_tile_bf16(sums, a, b)

enum { FT_NEEDS_emulated_amx_int8 = 0, FT_NEEDS_emulated_amx_bf16 = 0 };

#endif
