/* image/: recognising and decoding pictures, against Pillow's pixels; bad pictures and their
 * messages; damaged files of every kind; writing. */
#define _GNU_SOURCE
#include "pictures.h"

#include <unistd.h>

#include "image/formats.h"

static void one_decode(const struct golden *g, const struct ft_bytes *file,
                       const struct ft_image *image)
{
    (void)file;
    int tolerance = -1;
    CHECK(sscanf(g->rest, "%d", &tolerance) == 1);
    if (image->width == g->width && image->height == g->height)
        compare(g, image->pixels, tolerance);
    else {
        printf("# decode %s: %d x %d\n", g->file, image->width, image->height);
        test_failures++;
    }
}

static void decoding_equals_pillow(void)
{
    for_each_golden("decode", 120, one_decode);
}

static void recognising(void)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *name; /* NULL: not a picture */
    } rows[] = {
        { "\xff\xd8\xff\xe0", 4, "JPEG" },
        { "\x89PNG\r\n\x1a\n", 8, "PNG" },
        { "GIF89a", 6, "GIF" },
        { "RIFF\1\2\3\4WEBPVP8 ", 16, "WebP" },
        { "RIFF\1\2\3\4WAVEfmt ", 16, NULL },
        { "BM\1\2\3\4\0\0\0\0\1\2", 12, "BMP" },
        { "BMW and other cars", 16, NULL },
        { "II*\0", 4, "TIFF" },
        { "\0\0\0\x18"
          "ftypheic",
          12, "HEIC" },
        { "\0\0\0\x18"
          "ftypavif",
          12, "AVIF" },
        { "\0\0\0\x18"
          "ftypmp42",
          12, NULL },
        { "%PDF-1.7", 8, "PDF" },
        { "\x89PNG", 4, NULL },
        { "", 0, NULL },
        { "P6\n# Created by", 16, "PNM" },
        { "P3 640 480 255", 14, "PNM" },
        { "P1 is the first.", 16, NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct ft_format *f = ft_format_of((const uint8_t *)rows[i].bytes, rows[i].n);
        CHECK_STR(f ? f->name : "nothing", rows[i].name ? rows[i].name : "nothing");
    }
    CHECK(ft_format_names("a.b/IMG.JPeG") && ft_format_names("x.tif") && ft_format_names(".heic"));
    CHECK(!ft_format_names("jpg") && !ft_format_names("a.jp") && !ft_format_names("a.jpg.txt") &&
          !ft_format_names("a.") && !ft_format_names("a.jpg jpeg"));
}

static void bad_pictures(void)
{
    static const struct {
        const char *name;
        int code;
        const char *message;
    } rows[] = {
        { "zero-bytes.jpg", FT_EFORMAT, "an empty file" },
        { "psd.jpg", FT_EUNSUPPORTED,
          "a Photoshop picture, which is not supported: convert it to JPEG or PNG" },
        { "truncated.jpg", FT_EFORMAT, "truncated JPEG: the file ends before the picture does" },
        { "many-scans.jpg", FT_ELIMIT, "damaged JPEG: more than 100 scans" },
        { "truncated-progressive.jpg", FT_EFORMAT,
          "truncated JPEG: the file ends before the picture does" },
        { "header-only.jpg", FT_EFORMAT, "truncated JPEG: the file ends before the picture does" },
        { "hole.jpg", FT_EFORMAT,
          "damaged JPEG: corrupt JPEG data: premature end of data segment" },
        { "absurd-size.jpg", FT_ELIMIT,
          "a picture of 65500 x 65500 pixels is over the limit of 268435456 pixels" },
        { "claims-too-much.jpg", FT_EFORMAT,
          "truncated JPEG: 1266 bytes cannot hold the 10000 x 10000 pixels that it claims" },
        { "twelve-bits.jpg", FT_EUNSUPPORTED,
          "a rare kind of JPEG (unsupported JPEG data precision 12): convert it first" },
        { "cut.png", FT_EFORMAT, "truncated PNG: the file ends before the picture does" },
        { "bomb.png", FT_ELIMIT,
          "a picture of 65535 x 65535 pixels is over the limit of 268435456 pixels" },
        { "claims-too-much.png", FT_EFORMAT,
          "truncated PNG: 9146 bytes cannot hold the 16000 x 16000 pixels that it claims" },
        { "no-pixels.png", FT_EFORMAT, "a picture without pixels: 0 x 48" },
        { "bad-data.png", FT_EFORMAT, "damaged PNG: IDAT: incorrect data check" },
        { "bad-crc.png", FT_EFORMAT, "damaged PNG: IDAT: CRC error" },
        { "no-palette.png", FT_EFORMAT, "damaged PNG: IDAT: Missing PLTE before IDAT" },
    };
    struct ft_image image = { 0 };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ft_bytes bytes = load("bad", rows[i].name);
        struct ft_error e = { 0, "" };
        CHECK(ft_image_decode(bytes.data, bytes.size, NULL, &image, &e) == rows[i].code &&
              e.code == rows[i].code);
        CHECK_STR(e.msg, rows[i].message);
        ft_bytes_release(&bytes);
    }
    CHECK(image.capacity < 1 << 20); /* what a header claims is not what is asked for */
    ft_image_release(&image);
}

static void limits(void)
{
    struct ft_bytes bytes = load("golden/image", "upright.rgb"),
                    png = load("golden/image", "orientation6.png");
    struct ft_image image = { 0 };
    struct ft_error e;
    struct ft_decode_request request = { .max_pixels = 32 * 16 };
    CHECK(!ft_image_decode(png.data, png.size, &request, &image, &e));
    request.max_pixels--;
    CHECK(ft_image_decode(png.data, png.size, &request, &image, &e) == FT_ELIMIT);
    ft_image_release(&image);
    ft_bytes_release(&bytes);
    ft_bytes_release(&png);
}

static void damaged_jpegs(void)
{
    CHECK(damage("420.jpg", 0) == 0);
    CHECK(damage("progressive.jpg", 0) == 0);
    CHECK(damage("restart.jpg", 0) == 0);
    CHECK(damage("cmyk.jpg", 0) == 0);
    CHECK(damage("orientation6.jpg", 0) == 0);
}

static void damaged_pngs(void)
{
    /* a PNG without its end (the last chunk and a checksum) still has all of its pixels */
    CHECK(damage("palette-trns.png", 0) <= 16);
    CHECK(damage("rgb16.png", 0) <= 16);
    CHECK(damage("rgba-interlaced.png", 0) <= 16);
    damage("orientation6.png", 0); /* its EXIF block comes last */
}

static void writing(void)
{
    char dir[] = "/tmp/ft-image-XXXXXX", path[64];
    struct ft_bytes pixels = load("golden/image", "upright.rgb"), file = { 0 };
    struct ft_image image = { 0 };
    struct ft_error e;
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/a.png", dir);
    CHECK(!ft_image_write(path, pixels.data, 32, 16, &e));
    CHECK(!ft_file_read(path, 1 << 20, &file, &e));
    CHECK(!ft_image_decode(file.data, file.size, NULL, &image, &e));
    CHECK(image.width == 32 && image.height == 16 &&
          !memcmp(image.pixels, pixels.data, 32 * 16 * 3));
    CHECK(ft_image_write("/nonexistent/a.png", pixels.data, 32, 16, &e) == FT_EIO);
    unlink(path);
    CHECK(rmdir(dir) == 0); /* no temporary file is left */
    ft_image_release(&image);
    ft_bytes_release(&file);
    ft_bytes_release(&pixels);
}

/* Expected values from Pillow's convert("L"). */
static void grey_equals_pillow(void)
{
    uint8_t pixels[12] = { 255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30 };
    ft_image_to_grey(pixels, 4);
    CHECK(pixels[0] == 76 && pixels[1] == 150 && pixels[2] == 29 && pixels[3] == 18);
}

int main(void)
{
    RUN(recognising);
    RUN(grey_equals_pillow);
    RUN(decoding_equals_pillow);
    RUN(bad_pictures);
    RUN(limits);
    RUN(damaged_jpegs);
    RUN(damaged_pngs);
    RUN(writing);
    return test_end();
}
