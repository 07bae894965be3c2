#include "keras/blob.h"

#include <hdf5.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "keras/h5.h"

static hid_t open_file(const char *path, unsigned how)
{
    ft_h5_begin();
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    const hid_t file = H5Fopen(path, how, access);
    H5Pclose(access);
    return file;
}

int ft_blob_write(const char *path, const char *name, const void *data, size_t size,
                  struct ft_error *err)
{
    const hid_t file = open_file(path, H5F_ACC_RDWR);
    if (file < 0)
        return ft_error_set(err, FT_EIO, "cannot write '%s'", path);
    const hsize_t count = size;
    const hid_t space = H5Screate_simple(1, &count, NULL), how = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(how, false);
    const hid_t set = H5Dcreate2(file, name, H5T_STD_U8LE, space, H5P_DEFAULT, how, H5P_DEFAULT);
    bool written =
        set >= 0 && H5Dwrite(set, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
    if (set >= 0)
        H5Dclose(set);
    H5Pclose(how);
    H5Sclose(space);
    written = H5Fflush(file, H5F_SCOPE_GLOBAL) >= 0 && written;
    written = H5Fclose(file) >= 0 && written;
    return written ? 0 : ft_error_set(err, FT_EIO, "cannot write '%s': is the disk full?", path);
}

/* The length of a contiguous 1-d dataset of bytes, or -1. */
static int64_t length_of(hid_t set)
{
    const hid_t space = H5Dget_space(set), type = H5Dget_type(set), how = H5Dget_create_plist(set);
    hsize_t count = 0;
    const bool plain = H5Tequal(type, H5T_STD_U8LE) > 0 && H5Pget_layout(how) == H5D_CONTIGUOUS &&
                       H5Pget_external_count(how) == 0 && H5Sget_simple_extent_ndims(space) == 1 &&
                       H5Sget_simple_extent_dims(space, &count, NULL) == 1;
    H5Pclose(how);
    H5Tclose(type);
    H5Sclose(space);
    return plain && count < INT64_MAX ? (int64_t)count : -1;
}

int ft_blob_read(const char *path, const char *name, size_t limit, uint8_t **data, size_t *size,
                 struct ft_error *err)
{
    H5L_info_t link;
    int rc = 0;
    const hid_t file = open_file(path, H5F_ACC_RDONLY);
    *data = NULL;
    *size = 0;
    if (file < 0)
        return ft_error_set(err, FT_EIO, "cannot open '%s'", path);
    const bool there = H5Lexists(file, name, H5P_DEFAULT) > 0 &&
                       H5Lget_info(file, name, &link, H5P_DEFAULT) >= 0 &&
                       link.type == H5L_TYPE_HARD;
    const hid_t set = there ? H5Dopen2(file, name, H5P_DEFAULT) : -1;
    if (there) {
        const int64_t count = set < 0 ? -1 : length_of(set);
        uint8_t *bytes = NULL;
        if (count < 0 || (uint64_t)count > limit)
            rc = ft_error_set(err, FT_EFORMAT, "'%s': '%s' is not a list of bytes, or is too long",
                              path, name);
        else if (!(bytes = ft_alloc((size_t)count + 1, 1)))
            rc = ft_error_nomem(err, path);
        else if (H5Dread(set, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes) < 0)
            rc = ft_error_set(err, FT_EFORMAT, "'%s': '%s' cannot be read", path, name);
        if (rc)
            free(bytes);
        else {
            *data = bytes;
            *size = (size_t)count;
        }
    }
    if (set >= 0)
        H5Dclose(set);
    H5Fclose(file);
    return rc;
}
