#include "presets/preset_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "keras/fields.h"

static const char list_name[] = "model.weights.json";

enum { MOST_SHARDS = 100 /* each keeps a descriptor open */, SHARD_NAME = 32 };

char *ft_preset_beside(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');
    const size_t folder = slash ? (size_t)(slash - path) + 1 : 0, n = strlen(name) + 1;
    char *to = malloc(folder + n);
    if (to) {
        memcpy(to, path, folder);
        memcpy(to + folder, name, n);
    }
    return to;
}

int ft_preset_json(const char *path, const char *name, cJSON **out, struct ft_error *err)
{
    struct ft_bytes bytes = { 0 };
    struct stat s;
    char *file = ft_preset_beside(path, name);
    int rc = file ? 0 : ft_error_nomem(err, "the settings of a preset");
    *out = NULL;
    if (!rc && stat(file, &s)) {
        free(file);
        return 0;
    }
    rc = rc ? rc : ft_file_read(file, FT_PRESET_JSON, &bytes, err);
    rc = rc ? rc : ft_json_parse((const char *)bytes.data, bytes.size, out, err);
    ft_bytes_release(&bytes);
    free(file);
    return rc ? ft_error_prefix(err, rc, "'%s'", name) : 0;
}

/* ---- weights --------------------------------------------------------------------------------- */

static void shard_name(int i, char name[SHARD_NAME])
{
    snprintf(name, SHARD_NAME, "model_%05d.weights.h5", i);
}

/* 1 + the number of the last shard that `value` names; -1: it names another file. */
static int last_shard(const cJSON *value, int n)
{
    char name[SHARD_NAME];
    if (cJSON_IsArray(value) || cJSON_IsObject(value)) {
        for (const cJSON *item = value->child; item && n >= 0; item = item->next)
            n = last_shard(item, n);
        return n;
    }
    const char *text = cJSON_GetStringValue(value);
    const int i = text && !strncmp(text, "model_", 6) ? (int)strtol(text + 6, NULL, 10) : -1;
    if (i < 0 || i >= MOST_SHARDS)
        return -1;
    shard_name(i, name);
    return strcmp(name, text) != 0 ? -1 : i >= n ? i + 1 : n;
}

static bool is_shard(const char *path)
{
    const char *slash = strrchr(path, '/');
    return !strcmp(slash ? slash + 1 : path, FT_PRESET_SHARD);
}

int ft_preset_count(const char *path, int *n, struct ft_error *err)
{
    cJSON *list = NULL;
    *n = 1;
    if (!is_shard(path))
        return 0;
    const int rc = ft_preset_json(path, list_name, &list, err);
    const cJSON *map = ft_field(list, "weight_map");
    *n = cJSON_IsObject(map) ? last_shard(map, 0) : -1;
    cJSON_Delete(list);
    return rc || *n >= 1
               ? rc
               : ft_error_set(err, FT_EFORMAT,
                              "'%s' beside it does not name the files of the weights", list_name);
}

char *ft_preset_file(const char *path, int i)
{
    char name[SHARD_NAME];
    shard_name(i, name);
    return i ? ft_preset_beside(path, name) : ft_strdup(path);
}

int ft_preset_open(const char *path, struct ft_preset_store *out, struct ft_error *err)
{
    int n = 0, rc = ft_preset_count(path, &n, err);
    if (rc)
        return rc;
    out->maps = ft_alloc_zero((size_t)n, sizeof *out->maps);
    out->h5 = ft_alloc_zero((size_t)n, sizeof *out->h5);
    if (!out->maps || !out->h5)
        return ft_error_nomem(err, "weights");
    for (int i = 0; i < n && !rc; i++) {
        char *file = ft_preset_file(path, i);
        rc = file ? ft_h5_map(file, &out->maps[i].map, &out->maps[i].size, err)
                  : ft_error_nomem(err, "weights");
        out->h5[i].file = -1;
        out->n = i + 1;
        rc = rc ? rc : ft_h5_open(file, out->maps[i].map, out->maps[i].size, &out->h5[i], err);
        free(file);
        if (rc && i) {
            char name[SHARD_NAME];
            shard_name(i, name);
            ft_error_prefix(err, rc, "'%s' beside it", name);
        }
    }
    return rc;
}

void ft_preset_close(struct ft_preset_store *weights)
{
    for (int i = 0; i < weights->n && weights->h5; i++)
        ft_h5_close(&weights->h5[i]);
    free(weights->h5);
    weights->h5 = NULL;
}

void ft_preset_store_free(void *source)
{
    struct ft_preset_store *weights = source;
    for (int i = 0; i < weights->n; i++)
        if (weights->maps[i].map)
            munmap(weights->maps[i].map, weights->maps[i].size);
    free(weights->maps);
    free(weights->h5);
    free(weights);
}

uint64_t ft_preset_list_bytes(const char *path)
{
    struct stat s;
    char *file = is_shard(path) ? ft_preset_beside(path, list_name) : NULL;
    const uint64_t bytes = file && !stat(file, &s) ? (uint64_t)s.st_size : 0;
    free(file);
    return bytes;
}
