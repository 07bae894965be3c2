/* Datasets that hold numbers. */
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "keras/h5.h"

/* A dataset may unpack to this many times its stored size once it is larger than BOMB_BYTES. */
#define BOMB_RATIO   1000
#define BOMB_BYTES   ((uint64_t)64 << 20)
#define TENSOR_BYTES ((uint64_t)4 << 30)

static int dataset_open(int64_t group, const char *name, hid_t *out, struct ft_error *err)
{
    int64_t object = 0;
    const int rc = *name ? ft_h5_object_open(group, name, &object, err) : 0;
    if (rc)
        return rc;
    if (!object || H5Iget_type(object) != H5I_DATASET) {
        if (object)
            H5Oclose(object);
        return ft_error_set(err, FT_EFORMAT, "weight '%s' is missing: the file is damaged", name);
    }
    *out = object;
    return 0;
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
            return ft_error_set(err, FT_ELIMIT, "weight '%s' has a shape that is not possible",
                                name);
        t->shape[i] = (int64_t)shape[i];
    }
    t->rank = rank;
    t->count = count;
    return 0;
}

/* Keras 3 stores bfloat16 as two opaque bytes, and says so in the attribute `dtype`. */
static int is_bfloat16(const struct ft_h5 *h5, hid_t dataset, hid_t type, bool *out,
                       struct ft_error *err)
{
    char *text = NULL;
    *out = false;
    if (H5Tget_class(type) != H5T_OPAQUE || H5Tget_size(type) != sizeof(uint16_t))
        return 0;
    const int rc = ft_h5_text(h5, dataset, "dtype", &text, err);
    *out = !rc && text && !strcmp(text, "bfloat16");
    free(text);
    return rc;
}

static bool is_half(hid_t type)
{
    size_t sign, exponent, exponent_bits, fraction, fraction_bits;
    return H5Tget_class(type) == H5T_FLOAT && H5Tget_size(type) == sizeof(uint16_t) &&
           H5Tget_order(type) == H5T_ORDER_LE && H5Tget_ebias(type) == 15 &&
           H5Tget_fields(type, &sign, &exponent, &exponent_bits, &fraction, &fraction_bits) >= 0 &&
           sign == 15 && exponent == 10 && exponent_bits == 5 && fraction == 0 &&
           fraction_bits == 10;
}

/* Reads numbers of two bytes to the second half of data [n], and widens them from its start: HDF5
 * takes 60 ns to widen one. */
static bool read_narrow(hid_t dataset, bool bfloat16, float *data, size_t n)
{
    const hid_t type = H5Dget_type(dataset);
    void *const half = (char *)data + n * sizeof(uint16_t);
    const uint16_t *from = half;
    const bool ok = H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, half) >= 0;
    for (size_t i = 0; ok && i < n; i++)
        data[i] = bfloat16 ? ft_bfloat16(from[i]) : ft_half(from[i]);
    H5Tclose(type);
    return ok;
}

/* The process that uses the network reads numbers of two bytes from the file again, so that they
 * need not be sent to it. Their pages of the mapping are not needed any more. */
static int note_narrow(const struct ft_h5 *h5, haddr_t offset, bool bfloat16,
                       const struct ft_tensor *t, struct ft_storage *storage)
{
    const size_t size = t->count * sizeof(uint16_t), page = 4096;
    const int file = ft_storage_file_of(storage, h5->map);
    if (file < 0 || offset % sizeof(uint16_t) || offset > h5->size || size > h5->size - offset)
        return 0;
    const size_t from = ft_round_up((size_t)offset, page),
                 to = ((size_t)offset + size) / page * page;
    if (to > from)
        madvise(h5->map + from, to - from, MADV_DONTNEED);
    return ft_storage_add_narrow(storage,
                                 &(struct ft_narrow){ t->data, t->count, file, offset, bfloat16 });
}

/* HDF5 decodes filters, other types and other layouts. External and virtual storage is refused: it
 * would read other files. */
static int dataset_read(hid_t dataset, const char *name, const struct ft_tensor *t, bool bfloat16,
                        bool half, void **heap, struct ft_error *err)
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
                            "weight '%s' would unpack to %llu MB, far more than its stored size",
                            name, (unsigned long long)(bytes >> 20));
    float *data = ft_alloc(t->count, sizeof(float));
    if (!data)
        return ft_error_nomem(err, name);
    if (bfloat16 || half
            ? !read_narrow(dataset, bfloat16, data, t->count)
            : H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0) {
        free(data);
        return ft_error_set(err, FT_EFORMAT, "weight '%s' cannot be read: the file is damaged",
                            name);
    }
    *heap = data;
    return 0;
}

int ft_h5_tensor(const struct ft_h5 *h5, int64_t group, const char *name, bool integers,
                 struct ft_storage *storage, struct ft_tensor *out, struct ft_error *err)
{
    struct ft_tensor t = { 0 };
    hid_t dataset = -1;
    void *heap = NULL;
    int rc = dataset_open(group, name, &dataset, err);
    if (rc)
        return rc;
    rc = dataset_shape(dataset, name, &t, err);
    const hid_t type = H5Dget_type(dataset);
    const H5T_class_t class = H5Tget_class(type);
    bool bfloat16 = false;
    rc = rc ? rc : is_bfloat16(h5, dataset, type, &bfloat16, err);
    if (!rc && class != H5T_FLOAT && class != H5T_INTEGER && !bfloat16)
        rc = ft_error_set(err, FT_EUNSUPPORTED, "weight '%s' is not numeric", name);
    if (!rc && class == H5T_INTEGER && !integers)
        rc = ft_error_set(err, FT_EUNSUPPORTED,
                          "weight '%s' is stored as integers, but the layer has no scale for them: "
                          "expected floating point, or a layer of model.quantize(\"int8\")",
                          name);
    /* HDF5 gives an offset for contiguous storage inside this file only, and contiguous storage has
     * no filters. */
    const haddr_t offset = rc ? HADDR_UNDEF : H5Dget_offset(dataset);
    const bool mapped = offset != HADDR_UNDEF && offset % _Alignof(float) == 0 &&
                        offset <= h5->size && t.count <= (h5->size - offset) / sizeof(float) &&
                        H5Tequal(type, H5T_NATIVE_FLOAT) > 0;
    if (!rc && mapped)
        t.data = (const float *)(const void *)(h5->map + offset);
    else if (!rc) {
        const bool half = is_half(type);
        rc = dataset_read(dataset, name, &t, bfloat16, half, &heap, err);
        t.data = heap;
        if (ft_storage_add(storage, heap) || (!rc && (half || bfloat16) && offset != HADDR_UNDEF &&
                                              note_narrow(h5, offset, bfloat16, &t, storage)))
            rc = ft_error_nomem(err, "weights");
    }
    H5Tclose(type);
    H5Dclose(dataset);
    if (!rc)
        *out = t;
    return rc;
}
