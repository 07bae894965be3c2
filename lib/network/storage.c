#include "network/storage.h"

#include <stdlib.h>

#include "base/memory.h"
#include "finetune-tools.h"

int ft_storage_add(struct ft_storage *storage, void *block)
{
    if (!block)
        return 0;
    if (!ft_grow((void **)&storage->blocks, &storage->capacity, storage->n,
                 sizeof *storage->blocks)) {
        free(block);
        return FT_ENOMEM;
    }
    storage->blocks[storage->n++] = block;
    return 0;
}

float *ft_storage_alloc(struct ft_storage *storage, size_t n)
{
    float *data = ft_alloc(n, sizeof *data);
    return data && !ft_storage_add(storage, data) ? data : NULL;
}

void ft_storage_release(struct ft_storage *storage)
{
    for (size_t i = 0; i < storage->n; i++)
        free(storage->blocks[i]);
    free(storage->blocks);
    if (storage->release)
        storage->release(storage->source);
    *storage = (struct ft_storage){ 0 };
}
