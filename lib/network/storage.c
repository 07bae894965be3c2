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

int ft_storage_add_file(struct ft_storage *storage, const uint8_t *bytes, size_t size)
{
    if (!ft_grow((void **)&storage->files, &storage->files_capacity, storage->n_files,
                 sizeof *storage->files))
        return FT_ENOMEM;
    storage->files[storage->n_files++] = (struct ft_storage_file){ bytes, size };
    return 0;
}

/* Addresses are compared as numbers, because they may belong to different objects. */
int ft_storage_file_of(const struct ft_storage *storage, const void *memory)
{
    const uintptr_t at = (uintptr_t)memory;
    for (size_t i = 0; i < storage->n_files; i++) {
        const uintptr_t from = (uintptr_t)storage->files[i].bytes;
        if (at >= from && at - from < storage->files[i].size)
            return (int)i;
    }
    return -1;
}

int ft_storage_add_narrow(struct ft_storage *storage, const struct ft_narrow *narrow)
{
    if (!ft_grow((void **)&storage->narrow, &storage->narrow_capacity, storage->n_narrow,
                 sizeof *storage->narrow))
        return FT_ENOMEM;
    storage->narrow[storage->n_narrow++] = *narrow;
    return 0;
}

float *ft_storage_alloc(struct ft_storage *storage, size_t n)
{
    float *data = ft_alloc(n, sizeof *data);
    return data && !ft_storage_add(storage, data) ? data : NULL;
}

/* Two storages, as the source of a third. */
struct joined {
    struct ft_storage part[2];
};

static void joined_release(void *source)
{
    struct joined *j = source;
    for (int i = 0; i < 2; i++)
        ft_storage_release(&j->part[i]);
    free(j);
}

static void joined_want(void *source, const void *memory, size_t size)
{
    const struct joined *j = source;
    for (int i = 0; i < 2; i++)
        if (j->part[i].reading)
            j->part[i].reading->want(j->part[i].source, memory, size);
}

static void joined_done(void *source, const void *memory, size_t size)
{
    const struct joined *j = source;
    for (int i = 0; i < 2; i++)
        if (j->part[i].reading)
            j->part[i].reading->done(j->part[i].source, memory, size);
}

static int joined_load(void *source, struct ft_error *err)
{
    const struct joined *j = source;
    int rc = 0;
    for (int i = 0; !rc && i < 2; i++)
        if (j->part[i].reading)
            rc = j->part[i].reading->load(j->part[i].source, err);
    return rc;
}

static void joined_trim(void *source)
{
    const struct joined *j = source;
    for (int i = 0; i < 2; i++)
        if (j->part[i].reading)
            j->part[i].reading->trim(j->part[i].source);
}

int ft_storage_join(struct ft_storage *to, struct ft_storage *from)
{
    static const struct ft_storage_source reading = {
        .want = joined_want, .done = joined_done, .load = joined_load, .trim = joined_trim
    };
    struct joined *j = malloc(sizeof *j);
    if (!j)
        return FT_ENOMEM;
    *j = (struct joined){ { *to, *from } };
    *to = (struct ft_storage){ .source = j, .release = joined_release, .reading = &reading };
    *from = (struct ft_storage){ 0 };
    return 0;
}

void ft_storage_release(struct ft_storage *storage)
{
    for (size_t i = 0; i < storage->n; i++)
        free(storage->blocks[i]);
    free(storage->blocks);
    free(storage->files);
    free(storage->narrow);
    if (storage->release)
        storage->release(storage->source);
    *storage = (struct ft_storage){ 0 };
}
