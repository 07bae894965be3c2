/* Files of measured ranges: the hash of the text that follows, a line feed, and that text: the
 * ranges as in a model's attribute. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backbone/backbone.h"
#include "base/error.h"
#include "base/file.h"

enum { DIGITS = 32, LIMIT = 1 << 26 }; /* of a hash; bytes of a file */

static void hash_text(const char *text, size_t n, char out[DIGITS + 1])
{
    uint64_t hash[2];
    ft_hash(text, n, hash);
    snprintf(out, DIGITS + 1, "%016llx%016llx", (unsigned long long)hash[0],
             (unsigned long long)hash[1]);
}

static int path_of(const char *dir, const uint64_t key[2], char **out, struct ft_error *err)
{
    if (asprintf(out, "%s/" FT_RANGES_SUBFOLDER "/%016llx%016llx" FT_RANGES_ENDING, dir,
                 (unsigned long long)key[0], (unsigned long long)key[1]) >= 0)
        return 0;
    *out = NULL;
    return ft_error_nomem(err, dir);
}

int ft_ranges_load(const char *dir, const uint64_t key[2], struct ft_ranges *out,
                   struct ft_error *err)
{
    char *path = NULL, hash[DIGITS + 1];
    struct ft_bytes bytes = { 0 };
    cJSON *json = NULL;
    int rc = path_of(dir, key, &path, err);
    if (!rc)
        rc = ft_file_read(path, LIMIT, &bytes, err);
    const size_t head = DIGITS + 1; /* with the line feed */
    const char *text = (const char *)bytes.data;
    if (!rc && bytes.size > head)
        hash_text(text + head, bytes.size - head, hash);
    if (!rc && (bytes.size <= head || memcmp(hash, text, DIGITS) != 0))
        rc = ft_error_set(err, FT_EFORMAT, "'%s' is damaged", path);
    if (!rc && !(json = cJSON_ParseWithLength(text + head, bytes.size - head)))
        rc = ft_error_nomem(err, path);
    if (!rc)
        rc = ft_ranges_read(json, out, err);
    if (!rc)
        utimensat(AT_FDCWD, path, NULL, 0); /* `cache prune` removes ranges by this time */
    cJSON_Delete(json);
    ft_bytes_release(&bytes);
    free(path);
    return rc;
}

static char *text_of(const struct ft_ranges *ranges)
{
    char hash[DIGITS + 1], *json = NULL, *text = NULL;
    cJSON *object = cJSON_CreateObject();
    ft_ranges_write(ranges, cJSON_AddObjectToObject(object, "backbone"));
    json = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    if (json)
        hash_text(json, strlen(json), hash);
    if (json && asprintf(&text, "%s\n%s", hash, json) < 0)
        text = NULL;
    cJSON_free(json);
    return text;
}

int ft_ranges_keep(const char *dir, const uint64_t key[2], const struct ft_ranges *ranges,
                   struct ft_error *err)
{
    char *path = NULL, *folder = NULL, *text = text_of(ranges);
    int rc = text ? path_of(dir, key, &path, err) : ft_error_nomem(err, dir);
    if (!rc && asprintf(&folder, "%s/" FT_RANGES_SUBFOLDER, dir) < 0) {
        folder = NULL;
        rc = ft_error_nomem(err, dir);
    }
    if (!rc && mkdir(folder, 0700) && errno != EEXIST)
        rc = ft_error_errno(err, "cannot create folder '%s'", folder);
    if (!rc)
        rc = ft_file_replace(path, text, strlen(text), err);
    free(path);
    free(folder);
    free(text);
    return rc;
}
