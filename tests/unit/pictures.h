/* Pictures whose pixels Pillow has computed: tests/golden/image/index has one line per case
 * (scripts/golden_image.py says what it holds). */
#ifndef FT_TESTS_PICTURES_H
#define FT_TESTS_PICTURES_H

#include "../test.h"

#include "base/file.h"
#include "image/formats.h"
#include "image/image.h"

static inline struct ft_bytes load(const char *folder, const char *name)
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
static inline int difference(const uint8_t *a, const uint8_t *b, size_t n)
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

static inline void compare(const struct golden *g, const uint8_t *got, int tolerance)
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

/* Decodes the picture of every line of one kind and calls `each`. The pixels are moved to a buffer
 * of exactly their size, so that a sanitizer sees reading past the end. */
static inline void for_each_golden(const char *kind, int at_least,
                                   void (*each)(const struct golden *g, const struct ft_bytes *file,
                                                const struct ft_image *image))
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
        if (!ft_format_of(bytes.data, bytes.size)->decode)
            printf("# %s: not built\n", g.file);
        else if (ft_image_decode(bytes.data, bytes.size, NULL, &image, &e)) {
            printf("# %s: %s\n", g.file, e.msg);
            test_failures++;
        } else {
            image.pixels = realloc(image.pixels, (size_t)image.width * (size_t)image.height * 3);
            each(&g, &bytes, &image);
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

/* Every prefix, and every byte with a bit turned: no crash, no leak, and a reason for every
 * refusal. `tries` (0: no limit) limits the number of prefixes. Returns how many of them were taken
 * for whole pictures. */
static inline int damage(const char *name, size_t tries)
{
    struct ft_bytes bytes = load("golden/image", name);
    struct ft_preparer preparer = { 0 };
    const struct ft_geometry geometry = { 8, 8, FT_RESIZE_CROP, FT_FILTER_BICUBIC, 1, false };
    uint8_t out[8 * 8 * 3];
    int whole = 0;
    const size_t step = tries && bytes.size > tries ? bytes.size / tries : 1;
    for (size_t n = 0; n < bytes.size; n += step) {
        struct ft_error e = { 0, "" };
        uint8_t *copy = malloc(n + 1); /* exactly as long as it is, for the sanitizer */
        memcpy(copy, bytes.data, n);
        if (!ft_image_prepare(&preparer, copy, n, &geometry, 1 << 20, out, &e))
            whole++;
        else
            CHECK(e.code < 0 && e.msg[0]);
        free(copy);
    }
    for (size_t i = 0; i < bytes.size * 8; i += tries ? 8 * step + 1 : bytes.size > 600 ? 3 : 1) {
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

#endif
