#include "features/cache_index.h"

#include <stdlib.h>
#include <string.h>

/* The entry of a content, or the free place where it belongs. */
static struct ft_cache_entry *place(const struct ft_cache_index *x, const uint64_t content[2])
{
    size_t i = (size_t)content[1] & (x->capacity - 1);
    while (x->table[i].segment && memcmp(x->table[i].content, content, sizeof x->table[i].content))
        i = (i + 1) & (x->capacity - 1);
    return &x->table[i];
}

/* Keeps a quarter of the places free. */
static bool make_room(struct ft_cache_index *x)
{
    if (x->n + 1 < x->capacity - x->capacity / 4)
        return true;
    struct ft_cache_entry *old = x->table;
    const size_t n = x->capacity, more = n ? 2 * n : 4096;
    struct ft_cache_entry *table = calloc(more, sizeof *table);
    if (!table)
        return false;
    x->table = table;
    x->capacity = more;
    for (size_t i = 0; i < n; i++)
        if (old[i].segment)
            *place(x, old[i].content) = old[i];
    free(old);
    return true;
}

const struct ft_cache_entry *ft_cache_index_find(const struct ft_cache_index *x,
                                                 const uint64_t content[2])
{
    const struct ft_cache_entry *e = x->table ? place(x, content) : NULL;
    return e && e->segment ? e : NULL;
}

bool ft_cache_index_put(struct ft_cache_index *x, const struct ft_cache_entry *entry)
{
    if (!make_room(x))
        return false;
    struct ft_cache_entry *e = place(x, entry->content);
    x->n += !e->segment;
    *e = *entry;
    return true;
}

void ft_cache_index_release(struct ft_cache_index *x)
{
    free(x->table);
    *x = (struct ft_cache_index){ 0 };
}
