#define _GNU_SOURCE
#include "keras/h5.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"

enum {
    /* bytes of one attribute: the largest configuration of keras.applications has less than 2 MB */
    TEXT_LIMIT = 8 << 20,
    NAMES_LIMIT = 1 << 17,  /* strings of one list */
    CHUNKS_LIMIT = 1 << 12, /* attributes that one list is cut into */
};

/* A dataset may unpack to this many times its stored size once it is larger than BOMB_BYTES. */
#define BOMB_RATIO   1000
#define BOMB_BYTES   ((uint64_t)64 << 20)
#define TENSOR_BYTES ((uint64_t)4 << 30)

/* ---- the file -------------------------------------------------------------------------------- */

void ft_h5_begin(void)
{
    H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

int ft_h5_map(const char *path, uint8_t **out, size_t *size, struct ft_error *err)
{
    struct stat st;
    /* nonblocking: a FIFO must not hang us */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return ft_error_errno(err, "cannot be opened");
    int rc = 0;
    void *map = MAP_FAILED;
    if (fstat(fd, &st) < 0)
        rc = ft_error_errno(err, "cannot be read");
    else if (!S_ISREG(st.st_mode))
        rc = ft_error_set(err, FT_EFORMAT, "not a regular file");
    else if (st.st_size < 1)
        rc = ft_error_set(err, FT_EFORMAT, "an empty file");
    else if ((map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED)
        rc = ft_error_errno(err, "cannot be mapped");
    close(fd);
    if (rc)
        return rc;
    *out = map;
    *size = (size_t)st.st_size;
    return 0;
}

/* HDF5 works on the mapping itself: its image of the file is "allocated", "copied" and "freed"
 * without touching a byte, which saves over a thousand small reads. Nothing writes to it, as the
 * file is opened for reading. */
static void *image_lend(size_t size, H5FD_file_image_op_t operation, void *map)
{
    (void)size, (void)operation;
    return map;
}

static void *image_copy(void *to, const void *from, size_t size, H5FD_file_image_op_t operation,
                        void *map)
{
    (void)from, (void)size, (void)operation, (void)map;
    return to;
}

static herr_t image_free(void *image, H5FD_file_image_op_t operation, void *map)
{
    (void)image, (void)operation, (void)map;
    return 0;
}

static void *map_keep(void *map)
{
    return map;
}

static herr_t map_leave(void *map)
{
    (void)map;
    return 0;
}

bool ft_h5_is(const uint8_t *start, size_t n)
{
    return n >= 8 && !memcmp(start, "\211HDF\r\n\032\n", 8);
}

int ft_h5_open(const char *path, uint8_t *map, size_t size, struct ft_h5 *out, struct ft_error *err)
{
    struct ft_h5 h5 = { .file = -1, .map = map, .size = size };
    char *name; /* HDF5 wants the name of no file; below a regular file there is none */
    if (!ft_h5_is(map, size))
        return ft_error_set(err, FT_EFORMAT, "not a Keras file: it does not begin as HDF5 does");
    if (asprintf(&name, "%s/mapping", path) < 0)
        return ft_error_nomem(err, "the file's name");
    H5FD_file_image_callbacks_t callbacks = { image_lend, image_copy, NULL,  image_free,
                                              map_keep,   map_leave,  h5.map };
    ft_h5_begin();
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    H5Pset_fapl_core(access, 1 << 16, false);
    if (H5Pset_file_image_callbacks(access, &callbacks) >= 0 &&
        H5Pset_file_image(access, h5.map, h5.size) >= 0)
        h5.file = H5Fopen(name, H5F_ACC_RDONLY, access);
    H5Pclose(access);
    free(name);
    if (h5.file < 0)
        return ft_error_set(err, FT_EFORMAT,
                            "a damaged HDF5 file: was it copied or downloaded whole?");
    *out = h5;
    return 0;
}

void ft_h5_close(struct ft_h5 *h5)
{
    if (h5->file >= 0)
        H5Fclose(h5->file);
    h5->file = -1;
}

/* ---- groups and attributes ------------------------------------------------------------------- */

/* 1: a plain link, 0: none. Never follows soft or external links, which may lead out of the file.
 */
static int plain_link(int64_t group, const char *name, struct ft_error *err)
{
    H5L_info_t info;
    if (H5Lget_info(group, name, &info, H5P_DEFAULT) < 0)
        return 0;
    if (info.type != H5L_TYPE_HARD)
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "'%s' is a soft or external link, which is not followed", name);
    return 1;
}

int ft_h5_group_open(int64_t parent, const char *name, int64_t *out, struct ft_error *err)
{
    *out = 0;
    if (!*name || strchr(name, '/') || !strcmp(name, "."))
        return ft_error_set(err, FT_EUNSUPPORTED, "the name '%s' is not supported", name);
    const int there = plain_link(parent, name, err);
    if (there <= 0)
        return there;
    const hid_t group = H5Gopen2(parent, name, H5P_DEFAULT);
    if (group < 0)
        return ft_error_set(err, FT_EFORMAT, "'%s' is not a group: the file is damaged", name);
    *out = group;
    return 0;
}

int ft_h5_links(int64_t group, struct ft_names *out, struct ft_error *err)
{
    H5G_info_t info;
    struct ft_names list = { 0 };
    size_t used = 0, capacity = 0;
    if (H5Gget_info(group, &info) < 0 || info.nlinks > NAMES_LIMIT)
        return ft_error_set(err, FT_ELIMIT, "a group holds too much");
    list.names = calloc(info.nlinks + 1, sizeof *list.names);
    bool done = list.names;
    for (hsize_t i = 0; done && i < info.nlinks; i++) {
        const ssize_t length =
            H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_NATIVE, i, NULL, 0, H5P_DEFAULT);
        const size_t wanted = length < 0 ? 0 : used + (size_t)length + 1;
        if (wanted > capacity) {
            char *grown = realloc(list.text, 2 * wanted);
            done = grown;
            list.text = grown ? grown : list.text;
            capacity = 2 * wanted;
        }
        if (!done || length < 0 ||
            H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_NATIVE, i, list.text + used,
                               (size_t)length + 1, H5P_DEFAULT) < 0)
            done = false;
        else
            used = wanted;
        list.n += done;
    }
    for (int i = 0, at = 0; done && i < list.n; at += (int)strlen(list.text + at) + 1)
        list.names[i++] = list.text + at;
    if (!done) {
        ft_names_release(&list);
        return ft_error_nomem(err, "the names of groups");
    }
    *out = list;
    return 0;
}

int ft_h5_root_open(const struct ft_h5 *h5, int64_t *out, struct ft_error *err)
{
    const hid_t root = H5Gopen2(h5->file, "/", H5P_DEFAULT);
    if (root < 0)
        return ft_error_set(err, FT_EFORMAT,
                            "a damaged HDF5 file: was it copied or downloaded whole?");
    *out = root;
    return 0;
}

int ft_h5_path_open(int64_t parent, const char *path, int64_t *out, struct ft_error *err)
{
    char part[512];
    int64_t at = 0;
    for (bool more = true; more;) {
        const size_t n = strcspn(path, "/");
        int64_t below = 0;
        if (n >= sizeof part)
            return ft_h5_group_close(at),
                   ft_error_set(err, FT_ELIMIT, "the name of a group is too long");
        memcpy(part, path, n);
        part[n] = 0;
        const int rc = ft_h5_group_open(at ? at : parent, part, &below, err);
        ft_h5_group_close(at);
        if (rc || !below)
            return *out = 0, rc;
        at = below;
        more = path[n];
        path += n + more;
    }
    *out = at;
    return 0;
}

void ft_h5_group_close(int64_t group)
{
    if (group > 0)
        H5Gclose(group);
}

struct strings {
    hid_t attribute, type, space;
    size_t size; /* bytes of one element */
    size_t n;
    bool variable;
};

static void strings_close(struct strings *s)
{
    if (s->space >= 0)
        H5Sclose(s->space);
    if (s->type >= 0)
        H5Tclose(s->type);
    if (s->attribute >= 0)
        H5Aclose(s->attribute);
}

static int strings_open(const struct ft_h5 *h5, int64_t group, const char *name, struct strings *s,
                        struct ft_error *err)
{
    *s = (struct strings){ -1, -1, -1, 0, 0, false };
    s->attribute = H5Aopen(group, name, H5P_DEFAULT);
    s->type = s->attribute < 0 ? -1 : H5Aget_type(s->attribute);
    s->space = s->attribute < 0 ? -1 : H5Aget_space(s->attribute);
    const hssize_t n = s->space < 0 ? -1 : H5Sget_simple_extent_npoints(s->space);
    size_t bytes;
    int rc = 0;
    if (s->type < 0 || n < 0)
        rc = ft_error_set(err, FT_EFORMAT, "attribute '%s' is damaged", name);
    else if (n && H5Tget_class(s->type) != H5T_STRING)
        rc = ft_error_set(err, FT_EFORMAT, "attribute '%s' is not a string", name);
    else {
        s->n = (size_t)n;
        s->size = n ? H5Tget_size(s->type) : 1;
        s->variable = n && H5Tis_variable_str(s->type) > 0;
        if (s->n > NAMES_LIMIT || !ft_size_mul(s->n, s->size, &bytes) || bytes > TEXT_LIMIT ||
            bytes > h5->size)
            rc = ft_error_set(err, FT_ELIMIT, "attribute '%s' is too large", name);
    }
    if (rc)
        strings_close(s);
    return rc;
}

/* Appends the strings, each ended by a NUL, to *text; on success *text has grown to *used bytes. */
static int strings_append(const struct strings *s, const char *name, char **text, size_t *used,
                          struct ft_error *err)
{
    char *raw = calloc(s->n + 1, s->size), **pointers = (char **)raw;
    if (!raw)
        return ft_error_nomem(err, name);
    int rc = 0;
    if (s->n && H5Aread(s->attribute, s->type, raw) < 0) {
        free(raw);
        return ft_error_set(err, FT_EFORMAT, "attribute '%s' cannot be read: the file is damaged",
                            name);
    }
    size_t bytes = *used;
    for (size_t i = 0; i < s->n; i++)
        bytes += 1 + (s->variable ? pointers[i] ? strlen(pointers[i]) : 0
                                  : strnlen(raw + i * s->size, s->size));
    char *grown = bytes > TEXT_LIMIT ? NULL : realloc(*text, bytes + 1);
    if (!grown)
        rc = ft_error_set(err, FT_ELIMIT, "attribute '%s' is too large", name);
    for (size_t i = 0; !rc && i < s->n; i++) {
        const char *from = s->variable ? pointers[i] ? pointers[i] : "" : raw + i * s->size;
        const size_t length = s->variable ? strlen(from) : strnlen(from, s->size);
        memcpy(grown + *used, from, length);
        grown[*used + length] = 0;
        *used += length + 1;
    }
    if (grown)
        *text = grown;
    if (s->n && s->variable)
        H5Dvlen_reclaim(s->type, s->space, H5P_DEFAULT, raw);
    free(raw);
    return rc;
}

int ft_h5_text(const struct ft_h5 *h5, int64_t group, const char *name, char **out,
               struct ft_error *err)
{
    *out = NULL;
    if (H5Aexists(group, name) <= 0)
        return 0;
    struct strings s;
    char *text = NULL;
    size_t used = 0;
    int rc = strings_open(h5, group, name, &s, err);
    if (rc)
        return rc;
    if (s.n != 1)
        rc = ft_error_set(err, FT_EFORMAT, "attribute '%s' holds %zu strings instead of one", name,
                          s.n);
    else
        rc = strings_append(&s, name, &text, &used, err);
    strings_close(&s);
    if (rc)
        free(text);
    else
        *out = text;
    return rc;
}

int ft_h5_names(const struct ft_h5 *h5, int64_t group, const char *name, struct ft_names *out,
                struct ft_error *err)
{
    struct ft_names list = { 0 };
    size_t n = 0, used = 0;
    int rc = 0;
    const bool whole = H5Aexists(group, name) > 0;
    for (int chunk = 0; !rc && chunk < CHUNKS_LIMIT && n <= NAMES_LIMIT; chunk++) {
        char cut[64];
        struct strings s;
        snprintf(cut, sizeof cut, whole ? "%s" : "%s%d", name, chunk);
        if (whole ? chunk > 0 : H5Aexists(group, cut) <= 0)
            break;
        rc = strings_open(h5, group, cut, &s, err);
        if (rc)
            break;
        rc = strings_append(&s, cut, &list.text, &used, err);
        n += s.n;
        strings_close(&s);
    }
    if (!rc) {
        list.n = (int)n;
        list.names = calloc(n + 1, sizeof *list.names);
        if (!list.names)
            rc = ft_error_nomem(err, name);
    }
    for (size_t i = 0, at = 0; !rc && i < n; at += strlen(list.text + at) + 1)
        list.names[i++] = list.text + at;
    if (rc)
        ft_names_release(&list);
    else
        *out = list;
    return rc;
}

void ft_names_release(struct ft_names *names)
{
    free(names->names);
    free(names->text);
    *names = (struct ft_names){ 0 };
}

/* ---- datasets -------------------------------------------------------------------------------- */

static int dataset_open(int64_t group, const char *name, hid_t *out, struct ft_error *err)
{
    const int there = *name ? plain_link(group, name, err) : 0;
    if (there < 0)
        return there;
    *out = there ? H5Dopen2(group, name, H5P_DEFAULT) : -1;
    return *out < 0
               ? ft_error_set(err, FT_EFORMAT, "weight '%s' is missing: the file is damaged", name)
               : 0;
}

static int dataset_shape(hid_t dataset, const char *name, struct ft_tensor *t, struct ft_error *err)
{
    hsize_t shape[H5S_MAX_RANK] = { 0 };
    const hid_t space = H5Dget_space(dataset);
    const int rank = space < 0 ? -1 : H5Sget_simple_extent_dims(space, shape, NULL);
    H5Sclose(space);
    if (rank < 0)
        return ft_error_set(err, FT_EFORMAT, "weight '%s' is damaged", name);
    if (rank > (int)(sizeof t->shape / sizeof *t->shape))
        return ft_error_set(err, FT_EUNSUPPORTED, "weight '%s' has %d axes", name, rank);
    size_t count = 1;
    for (int i = 0; i < rank; i++) {
        if (shape[i] < 1 || shape[i] > INT32_MAX || !ft_size_mul(count, (size_t)shape[i], &count) ||
            count > TENSOR_BYTES / sizeof(float))
            return ft_error_set(err, FT_ELIMIT, "weight '%s' has an absurd shape", name);
        t->shape[i] = (int64_t)shape[i];
    }
    t->rank = rank;
    t->count = count;
    return 0;
}

/* Filters, other types and other layouts: HDF5 decodes. External and virtual storage would read
 * other files. */
static int dataset_read(hid_t dataset, const char *name, const struct ft_tensor *t, void **heap,
                        struct ft_error *err)
{
    const hid_t properties = H5Dget_create_plist(dataset);
    const H5D_layout_t layout = H5Pget_layout(properties);
    const int external = H5Pget_external_count(properties);
    H5Pclose(properties);
    if (external != 0 || layout == H5D_VIRTUAL || layout < 0)
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "weight '%s' is stored in another file, which is not read", name);
    const uint64_t bytes = (uint64_t)t->count * sizeof(float);
    if (bytes > BOMB_BYTES && bytes / BOMB_RATIO > H5Dget_storage_size(dataset))
        return ft_error_set(err, FT_ELIMIT,
                            "weight '%s' would unpack to %llu MB from almost nothing", name,
                            (unsigned long long)(bytes >> 20));
    float *data = ft_alloc(t->count, sizeof(float));
    if (!data)
        return ft_error_nomem(err, name);
    if (H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0) {
        free(data);
        return ft_error_set(err, FT_EFORMAT, "weight '%s' cannot be read: the file is damaged",
                            name);
    }
    *heap = data;
    return 0;
}

int ft_h5_tensor(const struct ft_h5 *h5, int64_t group, const char *name, struct ft_tensor *out,
                 void **heap, struct ft_error *err)
{
    struct ft_tensor t = { 0 };
    hid_t dataset = -1;
    *heap = NULL;
    int rc = dataset_open(group, name, &dataset, err);
    if (rc)
        return rc;
    rc = dataset_shape(dataset, name, &t, err);
    const hid_t type = H5Dget_type(dataset);
    const H5T_class_t class = H5Tget_class(type);
    if (!rc && class != H5T_FLOAT && class != H5T_INTEGER)
        rc = ft_error_set(err, FT_EUNSUPPORTED, "weight '%s' is not numeric", name);
    /* HDF5 gives an offset for contiguous storage inside this file only, and contiguous storage has
     * no filters. */
    const haddr_t offset = rc ? HADDR_UNDEF : H5Dget_offset(dataset);
    const bool lent = offset != HADDR_UNDEF && offset % _Alignof(float) == 0 &&
                      offset <= h5->size && t.count <= (h5->size - offset) / sizeof(float) &&
                      H5Tequal(type, H5T_NATIVE_FLOAT) > 0;
    if (!rc && lent)
        t.data = (const float *)(const void *)(h5->map + offset);
    else if (!rc) {
        rc = dataset_read(dataset, name, &t, heap, err);
        t.data = *heap;
    }
    H5Tclose(type);
    H5Dclose(dataset);
    if (!rc)
        *out = t;
    return rc;
}
