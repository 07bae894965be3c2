/* image/: the formats beside JPEG and PNG: damaged and oversized pictures. That good ones equal
 * Pillow's is part of the test of image.c. */
#define _GNU_SOURCE
#ifdef __linux__
#include <malloc.h>
#endif

#include "pictures.h"

static const struct row {
    const char *name;
    int code;
    const char *message; /* its beginning */
} rows[] = {
    { "cut.webp", FT_EFORMAT, "truncated WebP: the file ends before the picture does" },
    { "head.webp", FT_EFORMAT, "truncated WebP: the file ends before the picture does" },
    { "bomb.gif", FT_ELIMIT, "a picture of 65500 x 65500 pixels is over the limit" },
    { "claims-too-much.gif", FT_EFORMAT, "truncated GIF: " },
    { "cut.gif", FT_EFORMAT, "truncated GIF: the file ends before the picture does" },
    { "head.gif", FT_EFORMAT, "truncated GIF: the file ends before the picture does" },
    { "bits.bmp", FT_EUNSUPPORTED, "a rare kind of BMP (bits per pixel: 7): convert it first" },
    { "bomb.bmp", FT_ELIMIT, "a picture of 1048576 x 1048576 pixels is over the limit" },
    { "claims-too-much.bmp", FT_EFORMAT, "truncated BMP: " },
    { "cut.bmp", FT_EFORMAT, "truncated BMP: " },
    { "head.bmp", FT_EFORMAT, "truncated BMP: the file ends before the picture does" },
    { "no-pixels.bmp", FT_EFORMAT, "a picture without pixels: 0 x 48" },
    { "bomb.tif", FT_ELIMIT, "a picture of 200000 x 200000 pixels is over the limit" },
    { "claims-too-much.tif", FT_EFORMAT, "truncated TIFF: " },
    { "cut.tif", FT_EFORMAT, "truncated TIFF: the file ends before the picture does" },
    { "float.tif", FT_EUNSUPPORTED, "a rare kind of TIFF (sample format 3): convert it first" },
    { "head.tif", FT_EFORMAT, "truncated TIFF: the file ends before the picture does" },
    { "cut.heic", FT_EFORMAT, "truncated HEIC: the file ends before the picture does" },
    { "head.heic", FT_EFORMAT, "damaged HEIC: " },
    { "cut.avif", FT_EFORMAT, "truncated AVIF: the file ends before the picture does" },
    { "head.avif", FT_EFORMAT, "damaged AVIF: " },
    { "cut.jxl", FT_EFORMAT, "truncated JPEG XL: the file ends before the picture does" },
    { "head.jxl", FT_EFORMAT, "truncated JPEG XL: the file ends before the picture does" },
    { "bomb.jxl", FT_ELIMIT, "a picture of 536870913 x 536870913 pixels is over the limit" },
    { "bomb.ppm", FT_ELIMIT, "a picture of 1000000 x 1000000 pixels is over the limit" },
    { "claims-too-much.ppm", FT_EFORMAT, "truncated PNM: " },
    { "cut.ppm", FT_EFORMAT, "truncated PNM: " },
    { "head.ppm", FT_EFORMAT, "truncated PNM: " },
    { "not-a-number.ppm", FT_EFORMAT, "damaged PNM: a number from 0 to 255 is missing" },
};

static void bad_pictures(void)
{
    struct ft_image image = { 0 };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ft_bytes bytes = load("bad", rows[i].name);
        struct ft_error e = { 0, "" };
        if (ft_format_of(bytes.data, bytes.size)->decode) {
            const int rc = ft_image_decode(bytes.data, bytes.size, NULL, &image, &e);
            if (rc != rows[i].code || e.code != rc ||
                strncmp(e.msg, rows[i].message, strlen(rows[i].message))) {
                printf("# %s: %d, %s\n", rows[i].name, rc, e.msg);
                test_failures++;
            }
        }
        ft_bytes_release(&bytes);
    }
    CHECK(image.capacity < 1 << 20); /* the size that a header claims is not allocated */
    ft_image_release(&image);
}

/* The message lists the formats that are built; a format that is not built names what it needs. */
static void unknown_pictures(void)
{
    char known[200], want[400];
    struct ft_image image = { 0 };
    struct ft_error e;
    struct ft_bytes bytes = load("bad", "text.jpg");
    const size_t n = ft_picture_formats(known, sizeof known);
    CHECK(n == strlen(known) && !strncmp(known, "JPEG, PNG, ", 11));
    snprintf(want, sizeof want, "not a picture: its content is none of %s", known);
    CHECK(ft_image_decode(bytes.data, bytes.size, NULL, &image, &e) == FT_EFORMAT);
    CHECK_STR(e.msg, want);
    CHECK(ft_picture_formats(known, 8) == n);
    CHECK_STR(known, "JPEG, P");
    CHECK(ft_picture_formats(NULL, 0) == n);
    const struct ft_format lacking = { .name = "WebP", .library = "libwebp" };
    CHECK(ft_format_refuse(&lacking, 9, &e) == FT_EUNSUPPORTED);
    CHECK_STR(e.msg, "a WebP picture, but this finetune was built without libwebp: convert the "
                     "picture to JPEG or PNG");
    ft_bytes_release(&bytes);
}

static void check_limit(const struct golden *g, const struct ft_bytes *file,
                        const struct ft_image *image)
{
    struct ft_image again = { 0 };
    struct ft_error e;
    const uint64_t pixels = (uint64_t)image->width * (uint64_t)image->height;
    struct ft_decode_request request = { .max_pixels = pixels };
    CHECK(!ft_image_decode(file->data, file->size, &request, &again, &e));
    ft_image_release(&again);
    request.max_pixels--;
    if (ft_image_decode(file->data, file->size, &request, &again, &e) != FT_ELIMIT ||
        again.capacity) {
        printf("# %s: %zu bytes allocated\n", g->file, again.capacity);
        test_failures++;
    }
    ft_image_release(&again);
}

static void limits(void)
{
    for_each_golden("decode", 120, check_limit);
}

static void damaged_pictures(void)
{
    static const char *const names[] = {
        "lossy-alpha.webp", "animated-part.webp", "interlaced.gif", "part-transparent.gif",
        "rle4.bmp",         "rle8.bmp",           "os2.bmp",        "rgba32.bmp",
        "rgb-tiff_lzw.tif", "tiles-planes.tif",   "palette.tif",    "grey1-group4.tif",
        "rgb-jpeg.tif",     "text-rgb.ppm",       "bits.pbm",       "rgb16.ppm",
        "alpha.heic",       "alpha.avif",         "lossy.jxl",      "lossless-alpha.jxl",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct ft_bytes bytes = load("golden/image", names[i]);
        if (ft_format_of(bytes.data, bytes.size)->decode)
            (void)damage(names[i], 150);
        ft_bytes_release(&bytes);
    }
}

#ifdef __GLIBC__
/* Pixels that damaged data leaves out do not depend on what unused memory holds. */
static void pixels_of_damaged_tiffs_are_the_same_every_time(void)
{
    static const char *const names[] = { "grey1-group4.tif", "rgb-jpeg.tif" };
    const struct ft_decode_request request = { .max_pixels = 1 << 20 };
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        struct ft_bytes bytes = load("golden/image", names[k]);
        int whole = 0;
        for (size_t i = 0; i < bytes.size * 8; i += 5) {
            struct ft_image a = { 0 }, b = { 0 };
            struct ft_error e;
            bytes.data[i / 8] ^= (uint8_t)(1 << i % 8);
            mallopt(M_PERTURB, 0x11);
            const int rc = ft_image_decode(bytes.data, bytes.size, &request, &a, &e);
            mallopt(M_PERTURB, 0x76);
            CHECK(ft_image_decode(bytes.data, bytes.size, &request, &b, &e) == rc);
            if (!rc && a.width == b.width && a.height == b.height) {
                CHECK(!memcmp(a.pixels, b.pixels, (size_t)a.width * (size_t)a.height * 3));
                whole++;
            }
            ft_image_release(&a);
            ft_image_release(&b);
            bytes.data[i / 8] ^= (uint8_t)(1 << i % 8);
        }
        CHECK(whole > 0);
        ft_bytes_release(&bytes);
    }
    mallopt(M_PERTURB, 0);
}
#endif

int main(void)
{
    RUN(bad_pictures);
    RUN(unknown_pictures);
    RUN(limits);
    RUN(damaged_pictures);
#ifdef __GLIBC__
    RUN(pixels_of_damaged_tiffs_are_the_same_every_time);
#endif
    return test_end();
}
