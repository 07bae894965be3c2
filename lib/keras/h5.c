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

enum { LINKS_LIMIT = 1 << 17 };

/* ---- the file -------------------------------------------------------------------------------- */

void ft_h5_begin(void)
{
    H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

int ft_h5_map(const char *path, uint8_t **out, size_t *size, struct ft_error *err)
{
    struct stat st;
    /* O_NONBLOCK: opening a FIFO must not block */
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

/* HDF5 uses the mapping as its image of the file: the callbacks "allocate", "copy" and "free" it
 * without copying, which saves over a thousand small reads. The file is opened for reading, so
 * nothing writes to the mapping. */
static void *image_map(size_t size, H5FD_file_image_op_t operation, void *map)
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
    char *name; /* must not be the name of an existing file, so it is a path below a regular file */
    if (!ft_h5_is(map, size))
        return ft_error_set(err, FT_EFORMAT, "not a Keras file: it does not begin as HDF5 does");
    if (asprintf(&name, "%s/mapping", path) < 0)
        return ft_error_nomem(err, "the file's name");
    H5FD_file_image_callbacks_t callbacks = { image_map, image_copy, NULL,  image_free,
                                              map_keep,  map_leave,  h5.map };
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

/* ---- groups ---------------------------------------------------------------------------------- */

/* The address of the object comes with the description of the link: the name is looked up once. */
int ft_h5_object_open(int64_t group, const char *name, int64_t *out, struct ft_error *err)
{
    H5L_info_t info;
    *out = 0;
    if (H5Lget_info(group, name, &info, H5P_DEFAULT) < 0)
        return 0;
    if (info.type != H5L_TYPE_HARD)
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "'%s' is a soft or external link, which is not followed", name);
#if H5_VERSION_GE(1, 12, 0) && !defined(H5_USE_110_API)
    const hid_t object = H5Oopen_by_token(group, info.u.token);
#else
    const hid_t object = H5Oopen_by_addr(group, info.u.address);
#endif
    if (object < 0)
        return ft_error_set(err, FT_EFORMAT, "'%s' cannot be opened: the file is damaged", name);
    *out = object;
    return 0;
}

int ft_h5_group_open(int64_t parent, const char *name, int64_t *out, struct ft_error *err)
{
    int64_t group;
    *out = 0;
    if (!*name || strchr(name, '/') || !strcmp(name, "."))
        return ft_error_set(err, FT_EUNSUPPORTED, "the name '%s' is not supported", name);
    const int rc = ft_h5_object_open(parent, name, &group, err);
    if (rc || !group)
        return rc;
    if (H5Iget_type(group) != H5I_GROUP) {
        H5Oclose(group);
        return ft_error_set(err, FT_EFORMAT, "'%s' is not a group: the file is damaged", name);
    }
    *out = group;
    return 0;
}

/* Appends the name of link i, ended by a NUL, to *text, which holds *used of *capacity bytes. */
static int append_link(int64_t group, hsize_t i, char **text, size_t *used, size_t *capacity,
                       struct ft_error *err)
{
    const ssize_t length =
        H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_NATIVE, i, NULL, 0, H5P_DEFAULT);
    if (length < 0)
        return ft_error_set(err, FT_EFORMAT, "a group cannot be read: the file is damaged");
    const size_t wanted = *used + (size_t)length + 1;
    if (wanted > *capacity) {
        char *grown = realloc(*text, 2 * wanted);
        if (!grown)
            return ft_error_nomem(err, "the names of groups");
        *text = grown;
        *capacity = 2 * wanted;
    }
    if (H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_NATIVE, i, *text + *used,
                           (size_t)length + 1, H5P_DEFAULT) < 0)
        return ft_error_set(err, FT_EFORMAT, "a group cannot be read: the file is damaged");
    *used = wanted;
    return 0;
}

int ft_h5_links(int64_t group, struct ft_names *out, struct ft_error *err)
{
    H5G_info_t info;
    struct ft_names list = { 0 };
    size_t used = 0, capacity = 0;
    if (H5Gget_info(group, &info) < 0)
        return ft_error_set(err, FT_EFORMAT, "a group cannot be read: the file is damaged");
    if (info.nlinks > LINKS_LIMIT)
        return ft_error_set(err, FT_ELIMIT, "a group has more than %d members", LINKS_LIMIT);
    list.names = calloc(info.nlinks + 1, sizeof *list.names);
    int rc = list.names ? 0 : ft_error_nomem(err, "the names of groups");
    for (; !rc && (hsize_t)list.n < info.nlinks; list.n += !rc)
        rc = append_link(group, (hsize_t)list.n, &list.text, &used, &capacity, err);
    if (rc) {
        ft_names_release(&list);
        return rc;
    }
    for (int i = 0, at = 0; i < list.n; at += (int)strlen(list.text + at) + 1)
        list.names[i++] = list.text + at;
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

void ft_h5_mapping_free(void *source)
{
    struct ft_h5_mapping *m = source;
    if (m->map)
        munmap(m->map, m->size);
    free(m);
}
