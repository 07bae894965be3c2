/* Allocation. Sizes that come from files are multiplied with overflow checks, and buffers of floats
 * are aligned for the widest vectors. */
#ifndef FT_BASE_MEMORY_H
#define FT_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#define FT_ALIGN 64

/* Set *out to a * b or a + b. On overflow they return false and leave *out unchanged. */
static inline bool ft_size_mul(size_t a, size_t b, size_t *out)
{
    size_t r;
    if (__builtin_mul_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}

static inline bool ft_size_add(size_t a, size_t b, size_t *out)
{
    size_t r;
    if (__builtin_add_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}

/* n rounded up to a multiple of `to`, a power of two. */
static inline size_t ft_round_up(size_t n, size_t to)
{
    return (n + to - 1) & ~(to - 1);
}

/* Allocate count * size bytes aligned to FT_ALIGN: uninitialised, or zero. Return NULL on overflow
 * and if memory runs out. The result must be freed with free(). */
void *ft_alloc(size_t count, size_t size);
void *ft_alloc_zero(size_t count, size_t size);
/* Like strdup(), but returns NULL for NULL. */
char *ft_strdup(const char *s);
/* Makes room for one more element in an array that holds n of at most *capacity elements of `size`
 * bytes. Returns false, with the array unchanged, if memory runs out. */
bool ft_grow(void **array, size_t *capacity, size_t n, size_t size);

#endif
