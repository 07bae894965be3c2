#define _GNU_SOURCE
#include "onnx/constant.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/numbers.h"

#define LARGEST ((size_t)1 << 31) /* values of one tensor */

int ft_constant_new(struct ft_constant *c, bool integer, struct ft_storage *storage,
                    struct ft_error *err)
{
    c->count = 1;
    c->f = NULL;
    c->i = NULL;
    for (int d = 0; d < c->rank; d++)
        if (c->dims[d] < 0 || !ft_size_mul(c->count, (size_t)c->dims[d], &c->count) ||
            c->count > LARGEST)
            return ft_error_set(err, FT_ELIMIT, "a tensor is too large");
    if (!integer) {
        c->f = ft_storage_alloc(storage, c->count + 1);
        return c->f ? 0 : ft_error_nomem(err, "a tensor");
    }
    int64_t *values = ft_alloc(c->count + 1, sizeof *values);
    if (!values || ft_storage_add(storage, values))
        return ft_error_nomem(err, "a tensor");
    c->i = values;
    return 0;
}

void ft_constant_set(struct ft_constant *c, size_t k, double value)
{
    if (c->f)
        c->f[k] = (float)value;
    else
        c->i[k] = value >= 9.2e18    ? INT64_MAX
                  : value <= -9.2e18 ? INT64_MIN
                  : value == value   ? (int64_t)value
                                     : 0;
}

size_t ft_constant_index(const struct ft_constant *c, int rank, const int64_t *at)
{
    size_t index = 0;
    for (int d = 0; d < c->rank; d++) {
        const int there = rank - c->rank + d;
        const int64_t i = c->dims[d] == 1 || there < 0 ? 0 : at[there];
        index = index * (size_t)c->dims[d] + (size_t)i;
    }
    return index;
}

static size_t element_size(int type)
{
    switch (type) {
    case FT_ONNX_FLOAT:
    case FT_ONNX_INT32:
        return 4;
    case FT_ONNX_DOUBLE:
    case FT_ONNX_INT64:
        return 8;
    case FT_ONNX_FLOAT16:
    case FT_ONNX_BFLOAT16:
        return 2;
    case FT_ONNX_BOOL:
    case FT_ONNX_UINT8:
    case FT_ONNX_INT8:
        return 1;
    default:
        return 0;
    }
}

static bool is_integer(int type)
{
    return type == FT_ONNX_INT32 || type == FT_ONNX_INT64 || type == FT_ONNX_BOOL ||
           type == FT_ONNX_UINT8 || type == FT_ONNX_INT8;
}

/* A value of little-endian bytes. */
static double raw_value(const uint8_t *p, int type)
{
    float f;
    double d;
    int32_t i;
    int64_t l;
    uint16_t s;
    uint32_t bits;
    switch (type) {
    case FT_ONNX_FLOAT:
        memcpy(&f, p, sizeof f);
        return (double)f;
    case FT_ONNX_DOUBLE:
        memcpy(&d, p, sizeof d);
        return d;
    case FT_ONNX_INT32:
        memcpy(&i, p, sizeof i);
        return i;
    case FT_ONNX_INT64:
        memcpy(&l, p, sizeof l);
        return (double)l;
    case FT_ONNX_FLOAT16:
        memcpy(&s, p, sizeof s);
        return (double)ft_half(s);
    case FT_ONNX_BFLOAT16:
        memcpy(&s, p, sizeof s);
        bits = (uint32_t)s << 16;
        memcpy(&f, &bits, sizeof f);
        return (double)f;
    case FT_ONNX_INT8:
        return (int8_t)*p;
    default:
        return *p;
    }
}

static int decode_raw(const uint8_t *bytes, size_t size, int type, struct ft_constant *c,
                      struct ft_error *err)
{
    const size_t width = element_size(type);
    if (size != c->count * width)
        return ft_error_set(err, FT_EFORMAT, "its %zu values have %zu bytes", c->count, size);
    if (type == FT_ONNX_FLOAT)
        memcpy(c->f, bytes, size);
    else
        for (size_t k = 0; k < c->count; k++)
            ft_constant_set(c, k, raw_value(bytes + k * width, type));
    return 0;
}

/* Values in the fields for each type. */
static int decode_fields(const Ft__Onnx__Tensor *t, int type, struct ft_constant *c,
                         struct ft_error *err)
{
    const size_t n = t->n_float_data    ? t->n_float_data
                     : t->n_int32_data  ? t->n_int32_data
                     : t->n_int64_data  ? t->n_int64_data
                     : t->n_double_data ? t->n_double_data
                                        : 0;
    if (n != c->count)
        return ft_error_set(err, FT_EFORMAT, "%zu of its %zu values are in the file", n, c->count);
    for (size_t k = 0; k < n; k++) {
        const double value = t->n_float_data   ? (double)t->float_data[k]
                             : t->n_int64_data ? (double)t->int64_data[k]
                             : t->n_int32_data ? (double)t->int32_data[k]
                                               : t->double_data[k];
        const uint16_t bits = (uint16_t)(t->n_int32_data ? t->int32_data[k] : 0);
        const uint8_t bytes[8] = { (uint8_t)bits, (uint8_t)(bits >> 8) };
        if (type == FT_ONNX_FLOAT16 || type == FT_ONNX_BFLOAT16)
            ft_constant_set(c, k, raw_value(bytes, type));
        else
            ft_constant_set(c, k, value);
    }
    return 0;
}

/* Whether a location is the name of a file below the folder of the model. */
static bool is_inside(const char *location)
{
    if (!*location || *location == '/' || strlen(location) > 1000)
        return false;
    for (const char *part = location; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (!strncmp(part, "..", 2) && (!part[2] || part[2] == '/'))
            return false;
    }
    return true;
}

/* Opens a file below `folder` without following links: a folder inside may be a link to another
 * place. Returns -1 with errno ELOOP or ENOTDIR at a link. */
static int open_below(const char *folder, const char *location)
{
    int at = ft_open(folder, O_RDONLY | O_DIRECTORY, 0);
    while (at >= 0) {
        char part[1024];
        const size_t length = strcspn(location, "/");
        const bool last = !location[length];
        memcpy(part, location, length);
        part[length] = 0;
        const int next =
            ft_open_at(at, length ? part : ".",
                       O_RDONLY | O_NOFOLLOW | O_NONBLOCK | (last ? 0 : O_DIRECTORY), 0);
        const int why = errno;
        close(at);
        errno = why;
        if (last)
            return next;
        at = next;
        location += length + 1;
    }
    return -1;
}

static bool read_number(const char *text, uint64_t *out)
{
    char *end;
    *out = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && *out <= INT64_MAX;
}

static int read_part(int fd, uint64_t offset, uint8_t *to, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t n = pread(fd, to + done, size - done, (off_t)(offset + done));
        if (n <= 0)
            return FT_EIO;
        done += (size_t)n;
    }
    return 0;
}

/* Allocates the values only if the file has them. */
static int decode_external(const Ft__Onnx__Tensor *t, const char *folder, int type,
                           struct ft_storage *storage, struct ft_constant *c, struct ft_error *err)
{
    const char *location = "";
    struct stat st;
    const uint64_t wanted = c->count * element_size(type);
    uint64_t offset = 0, length = wanted;
    bool known = true;
    for (size_t k = 0; k < t->n_external_data; k++) {
        const char *key = t->external_data[k]->key, *value = t->external_data[k]->value;
        if (!key || !value)
            continue;
        if (!strcmp(key, "location"))
            location = value;
        else if (!strcmp(key, "offset"))
            known = known && read_number(value, &offset);
        else if (!strcmp(key, "length"))
            known = known && read_number(value, &length);
    }
    if (!is_inside(location))
        return ft_error_set(err, FT_EFORMAT,
                            "its values are in '%.200s', outside the folder of the model: only "
                            "files beside the model are read",
                            location);
    const int fd = open_below(folder, location);
    if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
        return ft_error_set(err, FT_EFORMAT,
                            "its values are in '%.200s', behind a symbolic link: only files in the "
                            "folder of the model are read",
                            location);
    if (fd < 0)
        return ft_error_errno(err, "cannot open its values in '%.300s'", location);
    int rc = 0;
    uint8_t *bytes = NULL;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || !known || length != wanted ||
        offset > (uint64_t)st.st_size || length > (uint64_t)st.st_size - offset)
        rc = ft_error_set(err, FT_EFORMAT, "its %zu values are not all in '%.300s'", c->count,
                          location);
    else if (!(bytes = malloc((size_t)length + 1)))
        rc = ft_error_nomem(err, "weights");
    else if (read_part(fd, offset, bytes, (size_t)length))
        rc = ft_error_errno(err, "cannot read '%.300s'", location);
    else
        rc = ft_constant_new(c, is_integer(type), storage, err);
    if (!rc)
        rc = decode_raw(bytes, (size_t)length, type, c, err);
    free(bytes);
    close(fd);
    return rc;
}

int ft_constant_decode(const Ft__Onnx__Tensor *t, const char *folder, struct ft_storage *storage,
                       struct ft_constant *out, struct ft_error *err)
{
    struct ft_constant c = { .rank = (int)t->n_dims };
    const int type = t->data_type;
    size_t count = 1, bytes;
    if (t->n_dims > FT_ONNX_RANK || !element_size(type))
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "a tensor of %zu axes and element type %d is not supported", t->n_dims,
                            type);
    for (int d = 0; d < c.rank; d++) {
        c.dims[d] = t->dims[d];
        if (c.dims[d] < 0 || !ft_size_mul(count, (size_t)c.dims[d], &count))
            return ft_error_set(err, FT_EFORMAT, "the shape of a tensor is not valid");
    }
    if (!ft_size_mul(count, element_size(type), &bytes))
        return ft_error_set(err, FT_EFORMAT, "the shape of a tensor is not valid");
    /* before memory is allocated for values that are not there */
    const size_t given = t->n_float_data + t->n_int32_data + t->n_int64_data + t->n_double_data;
    if (t->data_location != 1 && (t->has_raw_data ? t->raw_data.len != bytes : given != count))
        return ft_error_set(err, FT_EFORMAT, "its %zu values are not in the file", count);
    if (t->data_location != 1 && t->has_raw_data && type == FT_ONNX_FLOAT && count) {
        c.count = count;
        c.f = (float *)(void *)t->raw_data.data;
        *out = c;
        return 0;
    }
    c.count = count;
    int rc;
    if (t->data_location == 1) {
        rc = decode_external(t, folder, type, storage, &c, err);
    } else {
        rc = ft_constant_new(&c, is_integer(type), storage, err);
        if (!rc)
            rc = t->has_raw_data ? decode_raw(t->raw_data.data, t->raw_data.len, type, &c, err)
                                 : decode_fields(t, type, &c, err);
    }
    if (!rc)
        *out = c;
    return rc;
}
