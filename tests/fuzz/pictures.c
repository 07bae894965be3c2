/* Pictures: decoding, orientation, resizing. */
#include <stdbool.h>
#include <string.h>

#include "base/cpu.h"
#include "fuzz.h"
#include "image/formats.h"
#include "image/image.h"
#include "image/orient.h"

enum { SIDE = 24, PIXELS = 1 << 20 };

static int prepare(const uint8_t *data, size_t size, uint8_t *out)
{
    const struct ft_geometry geometry = { .width = SIDE,
                                          .height = SIDE,
                                          .rule = FT_RESIZE_CROP,
                                          .crop = 0.875,
                                          .filter = FT_FILTER_BICUBIC,
                                          .icc = ft_picture_profiles() };
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

static double eighth(const void *user, int width, int height)
{
    (void)user, (void)width, (void)height;
    return 8;
}

/* The decoder of one format, on files that begin as it does. The last byte chooses between the full
 * and a reduced size. */
static void decode_as(const char *name, const uint8_t *data, size_t size)
{
    const struct ft_format *format = ft_formats;
    while (format->name && strcmp(format->name, name))
        format++;
    REQUIRE(format->name);
    if (ft_format_of(data, size) != format || !format->decode)
        return;
    const struct ft_decode_request request = { .max_pixels = PIXELS,
                                               .shrink = data[size - 1] % 2 ? eighth : NULL };
    struct ft_image image = { 0 };
    struct ft_error err = { 0 };
    int orientation = 1;
    const int rc = format->decode(data, size, &request, &image, &orientation, &err);
    REQUIRE((rc != 0) == (err.code != 0) && (!rc || *err.msg));
    if (!rc) {
        const uint64_t pixels = (uint64_t)image.width * (uint64_t)image.height;
        REQUIRE(image.width > 0 && image.height > 0 && pixels <= PIXELS && image.pixels);
        REQUIRE(image.full_width >= image.width && image.full_height >= image.height);
        REQUIRE(orientation >= 0 && orientation <= 8 && image.capacity >= 3 * pixels);
    }
    ft_image_release(&image);
}

void fuzz_gif(const uint8_t *data, size_t size)
{
    decode_as("GIF", data, size);
}

void fuzz_webp(const uint8_t *data, size_t size)
{
    decode_as("WebP", data, size);
}

void fuzz_bmp(const uint8_t *data, size_t size)
{
    decode_as("BMP", data, size);
}

void fuzz_tiff(const uint8_t *data, size_t size)
{
    decode_as("TIFF", data, size);
}

void fuzz_avif(const uint8_t *data, size_t size)
{
    decode_as("AVIF", data, size);
}

void fuzz_heif(const uint8_t *data, size_t size)
{
    decode_as("HEIC", data, size);
}

void fuzz_jxl(const uint8_t *data, size_t size)
{
    decode_as("JPEG XL", data, size);
}

void fuzz_pnm(const uint8_t *data, size_t size)
{
    decode_as("PNM", data, size);
}

void fuzz_exif(const uint8_t *data, size_t size)
{
    if (!size)
        return;
    const int orientation = *data % 2 ? ft_xmp_orientation(data + 1, size - 1)
                                      : ft_exif_orientation(data + 1, size - 1);
    REQUIRE(orientation >= 0 && orientation <= 8);
}
