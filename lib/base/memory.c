#define _GNU_SOURCE
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "finetune-tools.h"

#define HUGE_PAGE ((size_t)2 << 20)
#define HUGE_FROM (2 * HUGE_PAGE)

void *ft_alloc(size_t count, size_t size)
{
    size_t bytes;
    if (!ft_size_mul(count, size, &bytes) || bytes > (size_t)-1 / 2)
        return NULL;
    if (bytes < HUGE_FROM)
        return aligned_alloc(FT_ALIGN, ft_round_up(bytes ? bytes : 1, FT_ALIGN));
    void *p;
    /* aligned_alloc needs a size that is a multiple of the alignment */
    if (posix_memalign(&p, HUGE_PAGE, ft_round_up(bytes, FT_ALIGN)))
        return NULL;
#ifdef MADV_HUGEPAGE
    /* a hint to the system: without it, weights and activations cost 5000 page faults */
    madvise(p, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#endif
    return p;
}

void *ft_alloc_zero(size_t count, size_t size)
{
    void *p = ft_alloc(count, size);
    if (p)
        memset(p, 0, count * size);
    return p;
}

char *ft_strdup(const char *s)
{
    return s ? strdup(s) : NULL;
}

bool ft_grow(void **array, size_t *capacity, size_t n, size_t size)
{
    if (n < *capacity)
        return true;
    size_t more = *capacity ? *capacity * 2 : 16, bytes;
    if (!ft_size_mul(more, size, &bytes))
        return false;
    void *p = realloc(*array, bytes);
    if (!p)
        return false;
    *array = p;
    *capacity = more;
    return true;
}

uint64_t ft_memory_bytes(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t bytes = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : (uint64_t)1 << 32;
    unsigned long long limit;
    FILE *f = fopen("/sys/fs/cgroup/memory.max", "re"); /* a number, or "max" */
    if (f && fscanf(f, "%llu", &limit) == 1 && limit < bytes)
        bytes = limit;
    if (f)
        fclose(f);
    return bytes;
}
