/* image/: sniffing, decoding, resizing and preparing against Pillow's pixels
 * (scripts/golden_image.py), bad pictures and their messages, damaged files of every kind. */
#define _GNU_SOURCE
#include "../test.h"

#include <unistd.h>

#include "base/cpu.h"
#include "base/file.h"
#include "image/decoders.h"
#include "image/image.h"
#include "image/resize_rows.h"

static struct ft_bytes load(const char *folder, const char *name)
{
    char path[512];
    struct ft_bytes bytes = { 0 };
    struct ft_error e;
    snprintf(path, sizeof path, "%s/%s/%s", getenv("FT_TEST_DATA"), folder, name);
    if (ft_file_read(path, 1 << 24, &bytes, &e)) {
        printf("# %s\n", e.msg);
        test_failures++;
    }
    return bytes;
}

/* Largest difference of n bytes. */
static int difference(const uint8_t *a, const uint8_t *b, size_t n)
{
    int most = 0;
    for (size_t i = 0; i < n; i++)
        most = abs(a[i] - b[i]) > most ? abs(a[i] - b[i]) : most;
    return most;
}

/* One line of the index. */
struct golden {
    char kind[16], file[64], expected[64], rest[200];
    int width, height;
};

static void compare(const struct golden *g, const uint8_t *got, int tolerance)
{
    struct ft_bytes want = load("golden/image", g->expected);
    const size_t n = (size_t)g->width * (size_t)g->height * 3;
    const int d = want.size == n ? difference(got, want.data, n) : 256;
    if (d > tolerance) {
        printf("# %s %s %s: off by %d\n", g->kind, g->file, g->expected, d);
        test_failures++;
    }
    ft_bytes_release(&want);
}

static void one_decode(const struct golden *g, const struct ft_image *image)
{
    int tolerance = -1;
    CHECK(sscanf(g->rest, "%d", &tolerance) == 1);
    if (image->width == g->width && image->height == g->height)
        compare(g, image->pixels, tolerance);
    else {
        printf("# decode %s: %d x %d\n", g->file, image->width, image->height);
        test_failures++;
    }
}

static void one_resize(const struct golden *g, const struct ft_image *image)
{
    struct ft_resizer resizer = { 0 };
    struct ft_error e;
    char filter[16];
    double box[4];
    CHECK(sscanf(g->rest, "%15s %lf %lf %lf %lf", filter, box, box + 1, box + 2, box + 3) == 5);
    uint8_t *out = malloc((size_t)g->width * (size_t)g->height * 3);
    CHECK(!ft_image_resize(image, box, g->width, g->height,
                           !strcmp(filter, "bicubic") ? FT_FILTER_BICUBIC : FT_FILTER_BILINEAR,
                           &resizer, out, &e));
    compare(g, out, 0);
    free(out);
    ft_resizer_release(&resizer);
}

static void one_prepare(const struct golden *g, const struct ft_bytes *bytes)
{
    struct ft_preparer preparer = { 0 };
    struct ft_error e;
    char rule[16], filter[16];
    struct ft_geometry geometry = { .width = g->width, .height = g->height };
    CHECK(sscanf(g->rest, "%15s %15s %lf", rule, filter, &geometry.crop) == 3);
    geometry.rule = !strcmp(rule, "crop")  ? FT_RESIZE_CROP
                    : !strcmp(rule, "pad") ? FT_RESIZE_PAD
                                           : FT_RESIZE_SQUASH;
    geometry.filter = !strcmp(filter, "bicubic") ? FT_FILTER_BICUBIC : FT_FILTER_BILINEAR;
    uint8_t *out = malloc((size_t)g->width * (size_t)g->height * 3);
    CHECK(!ft_image_prepare(&preparer, bytes->data, bytes->size, &geometry, 0, out, &e));
    compare(g, out, 0);
    free(out);
    ft_preparer_release(&preparer);
}

/* The mean difference to a full decode stays below a grey level; half a pixel of displacement would
 * be more. */
static void one_reduced(const struct golden *g, const struct ft_bytes *bytes)
{
    struct ft_preparer preparer = { 0 };
    struct ft_error e;
    const struct ft_geometry geometry = { g->width, g->height, FT_RESIZE_CROP, FT_FILTER_BICUBIC,
                                          1 };
    struct ft_bytes want = load("golden/image", g->expected);
    const size_t n = (size_t)g->width * (size_t)g->height * 3;
    uint8_t *out = malloc(n);
    CHECK(want.size == n &&
          !ft_image_prepare(&preparer, bytes->data, bytes->size, &geometry, 0, out, &e));
    CHECK(preparer.image.scale * 8 == atoi(g->rest));
    double sum = 0;
    for (size_t i = 0; i < n && want.size == n; i++)
        sum += abs(out[i] - want.data[i]);
    printf("# %s to %d: mean difference %.2f\n", g->file, g->width, sum / (double)n);
    CHECK(sum / (double)n < 1);
    free(out);
    ft_bytes_release(&want);
    ft_preparer_release(&preparer);
}

/* Walks the lines of one kind; every case is decoded into a buffer of exactly its size, so that
 * reading past it is caught. */
static void walk(const char *kind, int at_least)
{
    struct ft_bytes index = load("golden/image", "index");
    FILE *f = fmemopen(index.data, index.size, "r");
    struct golden g;
    char line[512];
    int n = 0;
    while (f && fgets(line, sizeof line, f)) {
        CHECK(sscanf(line, "%15s %63s %63s %d %d %199[^\n]", g.kind, g.file, g.expected, &g.width,
                     &g.height, g.rest) == 6);
        if (strcmp(g.kind, kind))
            continue;
        struct ft_bytes bytes = load("golden/image", g.file);
        struct ft_image image = { 0 };
        struct ft_error e = { 0, "" };
        if (ft_image_decode(bytes.data, bytes.size, NULL, &image, &e)) {
            printf("# %s: %s\n", g.file, e.msg);
            test_failures++;
        } else {
            image.pixels = realloc(image.pixels, (size_t)image.width * (size_t)image.height * 3);
            if (!strcmp(kind, "decode"))
                one_decode(&g, &image);
            else if (!strcmp(kind, "resize"))
                one_resize(&g, &image);
            else if (!strcmp(kind, "reduced"))
                one_reduced(&g, &bytes);
            else
                one_prepare(&g, &bytes);
        }
        ft_image_release(&image);
        ft_bytes_release(&bytes);
        n++;
    }
    CHECK(n >= at_least);
    if (f)
        fclose(f);
    ft_bytes_release(&index);
}

static void decoding_equals_pillow(void)
{
    walk("decode", 50);
}

static void resizing_equals_pillow(void)
{
    walk("resize", 30);
}

static void preparing_equals_pillow(void)
{
    walk("prepare", 13);
}

static void reduced_scale_is_close(void)
{
    walk("reduced", 6);
}

static void sniffing(void)
{
    static const struct {
        const char *bytes;
        size_t n;
        enum ft_image_format format;
        const char *name;
    } rows[] = {
        { "\xff\xd8\xff\xe0", 4, FT_IMAGE_JPEG, "JPEG" },
        { "\x89PNG\r\n\x1a\n", 8, FT_IMAGE_PNG, "PNG" },
        { "GIF89a", 6, FT_IMAGE_OTHER, "GIF" },
        { "RIFF\1\2\3\4WEBPVP8 ", 16, FT_IMAGE_OTHER, "WebP" },
        { "RIFF\1\2\3\4WAVEfmt ", 16, FT_IMAGE_UNKNOWN, NULL },
        { "BM\1\2\3\4\0\0\0\0\1\2", 12, FT_IMAGE_OTHER, "BMP" },
        { "BMW and other cars", 16, FT_IMAGE_UNKNOWN, NULL },
        { "II*\0", 4, FT_IMAGE_OTHER, "TIFF" },
        { "\0\0\0\x18"
          "ftypheic",
          12, FT_IMAGE_OTHER, "HEIC" },
        { "\0\0\0\x18"
          "ftypavif",
          12, FT_IMAGE_OTHER, "AVIF" },
        { "\0\0\0\x18"
          "ftypmp42",
          12, FT_IMAGE_UNKNOWN, NULL },
        { "%PDF-1.7", 8, FT_IMAGE_OTHER, "PDF" },
        { "\x89PNG", 4, FT_IMAGE_UNKNOWN, NULL },
        { "", 0, FT_IMAGE_UNKNOWN, NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *name = "nothing";
        CHECK(ft_image_sniff((const uint8_t *)rows[i].bytes, rows[i].n, &name) == rows[i].format);
        CHECK(name == rows[i].name || (name && rows[i].name && !strcmp(name, rows[i].name)));
    }
}

static void bad_pictures(void)
{
    static const struct {
        const char *name;
        int code;
        const char *message;
    } rows[] = {
        { "zero-bytes.jpg", FT_EFORMAT, "an empty file" },
        { "text.jpg", FT_EFORMAT, "not a picture: neither JPEG nor PNG, whatever its name" },
        { "gif.jpg", FT_EUNSUPPORTED, "a GIF picture, not JPEG or PNG: convert it first" },
        { "truncated.jpg", FT_EFORMAT, "truncated JPEG: the file ends before the picture does" },
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

/* Every prefix, and every byte with a bit turned: no crash, no leak, and a reason for every
 * refusal. Returns how many of the prefixes were taken for whole pictures. */
static int damage(const char *name)
{
    struct ft_bytes bytes = load("golden/image", name);
    struct ft_preparer preparer = { 0 };
    const struct ft_geometry geometry = { 8, 8, FT_RESIZE_CROP, FT_FILTER_BICUBIC, 1 };
    uint8_t out[8 * 8 * 3];
    int whole = 0;
    for (size_t n = 0; n < bytes.size; n++) {
        struct ft_error e = { 0, "" };
        uint8_t *copy = malloc(n + 1); /* exactly as long as it is, for the sanitizer */
        memcpy(copy, bytes.data, n);
        if (!ft_image_prepare(&preparer, copy, n, &geometry, 1 << 20, out, &e))
            whole++;
        else
            CHECK(e.code < 0 && e.msg[0]);
        free(copy);
    }
    for (size_t i = 0; i<bytes.size * 8; i += bytes.size> 600 ? 3 : 1) {
        struct ft_error e = { 0, "" };
        bytes.data[i / 8] ^= (uint8_t)(1 << i % 8);
        if (ft_image_prepare(&preparer, bytes.data, bytes.size, &geometry, 1 << 20, out, &e))
            CHECK(e.code < 0 && e.msg[0]);
        bytes.data[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    CHECK(!ft_image_prepare(&preparer, bytes.data, bytes.size, &geometry, 0, out, NULL));
    ft_preparer_release(&preparer);
    ft_bytes_release(&bytes);
    return whole;
}

static void damaged_jpegs(void)
{
    CHECK(damage("420.jpg") == 0);
    CHECK(damage("progressive.jpg") == 0);
    CHECK(damage("restart.jpg") == 0);
    CHECK(damage("cmyk.jpg") == 0);
    CHECK(damage("orientation6.jpg") == 0);
}

static void damaged_pngs(void)
{
    /* a PNG without its end (the last chunk and a checksum) still has all of its pixels */
    CHECK(damage("palette-trns.png") <= 16);
    CHECK(damage("rgb16.png") <= 16);
    CHECK(damage("rgba-interlaced.png") <= 16);
    damage("orientation6.png"); /* its EXIF block comes last */
}

/* Rows of a resize, by every version this processor has, against plain C. */
static void versions_agree(void)
{
    enum { WIDTH = 401, N = 97 };
    static uint8_t rows[40][WIDTH * 3 + FT_IMAGE_SLACK];
    static int32_t weight[N * 40];
    static int16_t high[N * 40], low[N * 40];
    int first[N], count[N];
    srand(3);
    for (size_t i = 0; i < sizeof rows; i++)
        ((uint8_t *)rows)[i] = rand() % 3 ? (uint8_t)rand() : rand() % 2 ? 255 : 0;
    for (int taps = 4; taps <= 40; taps += 4) {
        const struct ft_resize_axis axis = { N, taps, first, count, weight, high, low };
        for (int i = 0; i < N; i++) {
            count[i] = 1 + rand() % taps;
            first[i] = rand() % (40 - count[i] + 1);
            for (int j = 0; j < taps; j++) {
                const int w = j < count[i] ? rand() % (3 << 22) / taps - (1 << 22) / taps : 0;
                weight[i * taps + j] = w;
                high[i * taps + j] = (int16_t)(w >> FT_RESIZE_LOW_BITS);
                low[i * taps + j] = (int16_t)(w & ((1 << FT_RESIZE_LOW_BITS) - 1));
            }
        }
        for (int v = 0; v < ft_resize_n_rows; v++) {
            const struct ft_resize_row *row = ft_resize_rows + v;
            uint8_t want[2][N * 3 + FT_IMAGE_SLACK], got[2][N * 3 + FT_IMAGE_SLACK],
                want_down[WIDTH * 3], got_down[WIDTH * 3];
            const uint8_t *const from[2] = { rows[taps % 7], rows[taps % 5 + 8] };
            if (row->needs & ~ft_cpu_features())
                continue;
            ft_resize_across_c(&axis, from, (uint8_t *[2]){ want[0], want[1] });
            row->across(&axis, from, (uint8_t *[2]){ got[0], got[1] });
            CHECK(!memcmp(want[0], got[0], N * 3) && !memcmp(want[1], got[1], N * 3));
            ft_resize_down_c(&axis, taps, rows[0], sizeof rows[0], 0, want_down, sizeof want_down);
            row->down(&axis, taps, rows[0], sizeof rows[0], 0, got_down, sizeof got_down);
            CHECK(!memcmp(want_down, got_down, sizeof want_down));
        }
    }
}

static void boxes(void)
{
    struct ft_geometry g = { 224, 224, FT_RESIZE_CROP, FT_FILTER_BICUBIC, 0.875 };
    double b[4];
    ft_geometry_box(&g, 500, 400, b);
    CHECK(b[0] == 75 && b[1] == 25 && b[2] == 425 && b[3] == 375);
    g.width = 448;
    g.crop = 1;
    ft_geometry_box(&g, 500, 400, b);
    CHECK(b[0] == 0 && b[1] == 75 && b[2] == 500 && b[3] == 325);
    g.rule = FT_RESIZE_PAD;
    ft_geometry_box(&g, 500, 400, b);
    CHECK(b[0] == 0 && b[1] == 0 && b[2] == 500 && b[3] == 400);
    struct ft_image image = { .width = 2, .height = 2, .pixels = (uint8_t[12]){ 0 } };
    struct ft_resizer resizer = { 0 };
    uint8_t out[3];
    struct ft_error e;
    CHECK(ft_image_resize(&image, (double[4]){ 0, 0, 2.5, 2 }, 1, 1, FT_FILTER_BICUBIC, &resizer,
                          out, &e) == FT_EARG);
    CHECK(ft_image_resize(&image, (double[4]){ 1, 0, 1, 2 }, 1, 1, FT_FILTER_BICUBIC, &resizer, out,
                          &e) == FT_EARG);
    CHECK(ft_image_resize(&image, (double[4]){ 0, NAN, 2, 2 }, 1, 1, FT_FILTER_BICUBIC, &resizer,
                          out, &e) == FT_EARG);
    CHECK(!ft_image_resize(&image, (double[4]){ 0, 0, 2, 2 }, 1, 1, FT_FILTER_BICUBIC, &resizer,
                           out, &e));
    /* 24 KB of PNG hold this one; its weights alone would take 6 GB */
    struct ft_image wide = { .width = 200 * 1000 * 1000, .height = 1, .pixels = image.pixels };
    CHECK(ft_image_resize(&wide, (double[4]){ 0, 0, wide.width, 1 }, 1, 1, FT_FILTER_BICUBIC,
                          &resizer, out, &e) == FT_ELIMIT);
    CHECK(strstr(e.msg, "200000000 x 1"));
    ft_resizer_release(&resizer);
}

static void writing(void)
{
    char dir[] = "/tmp/ft-image-XXXXXX", path[64];
    struct ft_bytes pixels = load("golden/image", "upright.rgb"), file = { 0 };
    struct ft_image image = { 0 };
    struct ft_error e;
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/a.png", dir);
    CHECK(!ft_image_write_png(path, pixels.data, 32, 16, &e));
    CHECK(!ft_file_read(path, 1 << 20, &file, &e));
    CHECK(!ft_image_decode(file.data, file.size, NULL, &image, &e));
    CHECK(image.width == 32 && image.height == 16 &&
          !memcmp(image.pixels, pixels.data, 32 * 16 * 3));
    CHECK(ft_image_write_png("/nonexistent/a.png", pixels.data, 32, 16, &e) == FT_EIO);
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
    RUN(sniffing);
    RUN(grey_equals_pillow);
    RUN(decoding_equals_pillow);
    RUN(resizing_equals_pillow);
    RUN(preparing_equals_pillow);
    RUN(reduced_scale_is_close);
    RUN(versions_agree);
    RUN(boxes);
    RUN(bad_pictures);
    RUN(limits);
    RUN(damaged_jpegs);
    RUN(damaged_pngs);
    RUN(writing);
    return test_end();
}
