/* .keras archives, with libzip. The weights are unpacked to memory. */
#define _GNU_SOURCE
#include "keras/archive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/memory.h"

bool ft_archive_is(const uint8_t *map, size_t size)
{
    return size >= 4 && !memcmp(map, "PK\003\004", 4);
}

#ifndef FT_HAVE_LIBZIP
int ft_archive_read(const uint8_t *map, size_t size, char **config, uint8_t **weights,
                    size_t *weights_size, struct ft_error *err)
{
    (void)map, (void)size, (void)config, (void)weights, (void)weights_size;
    return ft_error_set(err, FT_EUNSUPPORTED,
                        "a .keras archive, and this program was built without libzip: install "
                        "libzip and build again, or save "
                        "the network as .h5 with Keras (model.save('model.h5'))");
}

int ft_archive_write(const char *path, const struct ft_archive_entry *entries, int n,
                     struct ft_error *err)
{
    (void)entries, (void)n;
    return ft_error_set(
        err, FT_EUNSUPPORTED,
        "'%s': this program was built without libzip, which a .keras archive needs: "
        "install libzip and build again; a model file (.h5) opens in Keras as it is",
        path);
}
#else
#include <zip.h>

#define CONFIG_LIMIT  ((uint64_t)8 << 20)
#define WEIGHTS_LIMIT ((uint64_t)16 << 30)
/* An entry may unpack to this many times its stored size. */
#define BOMB_RATIO    1000

static int open_entry(zip_t *zip, const char *name, uint64_t limit, zip_file_t **out,
                      uint64_t *size, struct ft_error *err)
{
    zip_stat_t st;
    zip_stat_init(&st);
    if (zip_stat(zip, name, 0, &st) < 0 || !(st.valid & ZIP_STAT_SIZE) ||
        !(st.valid & ZIP_STAT_COMP_SIZE))
        return ft_error_set(err, FT_EFORMAT, "not a Keras archive: '%s' is not in it", name);
    if (st.size > limit || st.size / BOMB_RATIO > st.comp_size)
        return ft_error_set(err, FT_ELIMIT, "'%s' in the archive would unpack to %llu MB", name,
                            (unsigned long long)st.size >> 20);
    *out = zip_fopen_index(zip, st.index, 0);
    if (!*out)
        return ft_error_set(err, FT_EUNSUPPORTED, "'%s' in the archive cannot be read: %s", name,
                            zip_strerror(zip));
    *size = st.size;
    return 0;
}

static int read_config(zip_t *zip, char **out, struct ft_error *err)
{
    zip_file_t *file;
    uint64_t size;
    int rc = open_entry(zip, "config.json", CONFIG_LIMIT, &file, &size, err);
    if (rc)
        return rc;
    char *text = malloc(size + 1);
    if (!text)
        rc = ft_error_nomem(err, "the configuration");
    else if (zip_fread(file, text, size) != (zip_int64_t)size)
        rc = ft_error_set(err, FT_EFORMAT, "'config.json' in the archive is damaged");
    zip_fclose(file);
    if (rc) {
        free(text);
        return rc;
    }
    text[size] = 0;
    *out = text;
    return 0;
}

static int unpack(zip_file_t *file, uint8_t *to, uint64_t size, struct ft_error *err)
{
    uint64_t done = 0;
    zip_int64_t n = 1;
    while (done < size && (n = zip_fread(file, to + done, size - done)) > 0)
        done += (uint64_t)n;
    uint8_t more;
    return done == size && zip_fread(file, &more, 1) == 0
               ? 0
               : ft_error_set(err, FT_EFORMAT, "'model.weights.h5' in the archive is damaged");
}

static int read_weights(zip_t *zip, uint8_t **out, size_t *out_size, struct ft_error *err)
{
    zip_file_t *file;
    uint64_t size;
    int rc = open_entry(zip, "model.weights.h5", WEIGHTS_LIMIT, &file, &size, err);
    if (rc)
        return rc;
    uint8_t *map = MAP_FAILED;
    if (!size)
        rc = ft_error_set(err, FT_EFORMAT, "'model.weights.h5' in the archive is empty");
    else if ((map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) ==
             MAP_FAILED)
        rc = ft_error_nomem(err, "what the archive holds");
    else
        rc = unpack(file, map, size, err);
    zip_fclose(file);
    if (rc) {
        if (map != MAP_FAILED)
            munmap(map, size);
        return rc;
    }
    *out = map;
    *out_size = size;
    return 0;
}

int ft_archive_read(const uint8_t *map, size_t size, char **config, uint8_t **weights,
                    size_t *weights_size, struct ft_error *err)
{
    zip_error_t why;
    zip_error_init(&why);
    zip_source_t *source = zip_source_buffer_create(map, size, 0, &why);
    zip_t *zip = source ? zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &why) : NULL;
    char *text = NULL;
    int rc = 0;
    if (!zip) {
        rc = ft_error_set(err, FT_EFORMAT,
                          "a damaged archive (%s): was it copied or downloaded whole?",
                          zip_error_strerror(&why));
        zip_source_free(source);
    }
    if (!rc)
        rc = read_config(zip, &text, err);
    if (!rc)
        rc = read_weights(zip, weights, weights_size, err);
    if (zip)
        zip_discard(zip);
    zip_error_fini(&why);
    if (rc)
        free(text);
    else
        *config = text;
    return rc;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* 1980-01-01 in the format of DOS, the first day that an archive can express */
enum { NO_TIME = 0, NO_DATE = 1 << 5 | 1 };

/* Entries are borrowed until the archive is closed. */
static int add_entry(zip_t *zip, const struct ft_archive_entry *entry)
{
    zip_source_t *source = zip_source_buffer(zip, entry->data, entry->size, 0);
    const zip_int64_t at = source ? zip_file_add(zip, entry->name, source, 0) : -1;
    if (source && at < 0)
        zip_source_free(source);
    return at >= 0 && !zip_set_file_compression(zip, (zip_uint64_t)at, ZIP_CM_STORE, 0) &&
                   !zip_file_set_dostime(zip, (zip_uint64_t)at, NO_TIME, NO_DATE, 0)
               ? 0
               : -1;
}

/* Copies the finished archive to the file. */
static int copy_source(zip_source_t *source, FILE *f)
{
    enum { BLOCK = 1 << 18 };
    uint8_t *block = malloc(BLOCK);
    zip_int64_t n = -1;
    if (block && !zip_source_open(source)) {
        while ((n = zip_source_read(source, block, BLOCK)) > 0)
            if (fwrite(block, 1, (size_t)n, f) != (size_t)n) {
                n = -1;
                break;
            }
        zip_source_close(source);
    }
    free(block);
    return n < 0 ? -1 : 0;
}

int ft_archive_write(const char *path, const struct ft_archive_entry *entries, int n,
                     struct ft_error *err)
{
    zip_error_t why;
    zip_error_init(&why);
    zip_source_t *source = zip_source_buffer_create(NULL, 0, 0, &why);
    zip_t *zip = source ? zip_open_from_source(source, ZIP_TRUNCATE, &why) : NULL;
    zip_error_fini(&why);
    if (!zip) {
        zip_source_free(source);
        return ft_error_nomem(err, "the archive");
    }
    zip_source_keep(source);
    int rc = 0;
    for (int i = 0; !rc && i < n; i++)
        rc = add_entry(zip, &entries[i]);
    if (rc || zip_close(zip)) {
        zip_discard(zip);
        zip_source_free(source);
        return ft_error_nomem(err, "the archive");
    }
    FILE *f = fopen(path, "wbe");
    const bool copied = f && !copy_source(source, f);
    zip_source_free(source);
    if ((f && fclose(f)) || !copied)
        return ft_error_set(err, FT_EIO, "cannot write '%s': is the disk full?", path);
    return 0;
}
#endif
