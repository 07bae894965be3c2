/* Pictures: decoding, orientation, resizing. */
#include <stdbool.h>
#include <string.h>

#include "base/cpu.h"
#include "fuzz.h"
#include "image/image.h"
#include "image/orient.h"

enum { SIDE = 24, PIXELS = 1 << 20 };

static int prepare(const uint8_t *data, size_t size, uint8_t *out)
{
    static const struct ft_geometry geometry = { .width = SIDE,
                                                 .height = SIDE,
                                                 .rule = FT_RESIZE_CROP,
                                                 .crop = 0.875,
                                                 .filter = FT_FILTER_BICUBIC };
    struct ft_preparer preparer = { 0 };
    struct ft_error err = { 0 };
    memset(out, 0, SIDE * SIDE * 3);
    const int rc = ft_image_prepare(&preparer, data, size, &geometry, PIXELS, out, &err);
    REQUIRE((rc != 0) == (err.code != 0) && (!rc || *err.msg));
    ft_preparer_release(&preparer);
    return rc;
}

void fuzz_picture(const uint8_t *data, size_t size)
{
    static uint8_t plain[SIDE * SIDE * 3], vectors[SIDE * SIDE * 3];
    struct ft_preparer preparer = { 0 };
    struct ft_facts facts;
    ft_cpu_limit("c");
    const int a = prepare(data, size, plain);
    ft_cpu_limit(NULL);
    const int b = prepare(data, size, vectors);
    REQUIRE(a == b && !memcmp(plain, vectors, sizeof plain));
    REQUIRE((ft_image_facts(&preparer, data, size, PIXELS, &facts, NULL) != 0) == (a != 0));
    ft_preparer_release(&preparer);
}

void fuzz_exif(const uint8_t *data, size_t size)
{
    if (!size)
        return;
    const int orientation = *data % 2 ? ft_xmp_orientation(data + 1, size - 1)
                                      : ft_exif_orientation(data + 1, size - 1);
    REQUIRE(orientation >= 0 && orientation <= 8);
}
