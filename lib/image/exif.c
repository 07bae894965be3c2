/* libexif does not report that memory ran out; it only leaves tags out. Therefore it uses our
 * allocator, which records a failure. */
#include "image/exif.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/error.h"

static _Thread_local bool out_of_memory;

static void *allocate(ExifLong size)
{
    void *p = calloc(1, size);
    out_of_memory |= !p;
    return p;
}

static void *reallocate(void *p, ExifLong size)
{
    void *q = realloc(p, size);
    out_of_memory |= !q && size;
    return q;
}

int ft_exif_load(const uint8_t *bytes, size_t n, ExifData **out, struct ft_error *err)
{
    out_of_memory = false;
    ExifMem *memory = exif_mem_new(allocate, reallocate, free);
    ExifData *data = memory ? exif_data_new_mem(memory) : NULL;
    exif_mem_unref(memory);
    if (data) {
        /* libexif would otherwise add and repair tags */
        exif_data_unset_option(data, EXIF_DATA_OPTION_FOLLOW_SPECIFICATION);
        exif_data_load_data(data, bytes, (unsigned)n);
    }
    if (!data || out_of_memory) {
        exif_data_unref(data);
        return ft_error_nomem(err, "the EXIF block of a picture");
    }
    *out = data;
    return 0;
}
