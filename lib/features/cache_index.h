/* The index of a cache's features: a hash table from the content of a picture to the segment and
 * row of its feature. It is not locked. Private to features/. */
#ifndef FT_FEATURES_CACHE_INDEX_H
#define FT_FEATURES_CACHE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ft_cache_entry {
    uint64_t content[2], pixels, check;
    uint32_t segment; /* index + 1; 0: a free place of the table */
    uint32_t row;
};

/* A zeroed struct is empty. */
struct ft_cache_index {
    size_t n, capacity;
    struct ft_cache_entry *table; /* [capacity], a power of two, or NULL */
};

/* Returns the entry of a content, or NULL. It is valid until the next ft_cache_index_put. */
const struct ft_cache_entry *ft_cache_index_find(const struct ft_cache_index *index,
                                                 const uint64_t content[2]);
/* Adds an entry, or replaces the one with the same content. Returns false if memory runs out. */
bool ft_cache_index_put(struct ft_cache_index *index, const struct ft_cache_entry *entry);
void ft_cache_index_release(struct ft_cache_index *index);

#endif
