/* Properties of a picture's file, and a perceptual hash: it says which of the lowest 63 frequencies
 * of the cosine transform of a 32 x 32 grey picture are above their median (Zauner 2010,
 * Implementation and Benchmarking of Perceptual Image Hash Functions). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "image/formats.h"
#include "image/exif.h"
#include "image/image.h"

enum { SIDE = 256, GRID = 32, LOW = 8 };

/* The quality for which the IJG's library scales the luminance table of the standard (ITU T.81,
 * K.1) to this sum. */
static int quality_of(unsigned sum)
{
    const double scale = 100.0 * sum / 3688;
    const double quality = scale < 100 ? (200 - scale) / 2 : 5000 / scale;
    return quality < 1 ? 1 : quality > 100 ? 100 : (int)lround(quality);
}

/* Walks the segments up to the first scan; table 0 is luminance. */
static int jpeg_quality(const uint8_t *p, size_t n)
{
    size_t at = 2;
    while (at + 4 <= n && p[at] == 0xff && p[at + 1] != 0xda) {
        const size_t length = (size_t)p[at + 2] << 8 | p[at + 3], end = at + 2 + length;
        if (length < 2 || end > n)
            return 0;
        for (size_t t = at + 4; p[at + 1] == 0xdb && t < end;) {
            const size_t wide = p[t] >> 4 ? 2 : 1;
            if (t + 1 + 64 * wide > end)
                return 0;
            unsigned sum = 0;
            for (size_t i = 0; i < 64; i++)
                sum +=
                    wide == 2 ? (unsigned)(p[t + 1 + 2 * i] << 8 | p[t + 2 + 2 * i]) : p[t + 1 + i];
            if ((p[t] & 15) == 0)
                return quality_of(sum);
            t += 1 + 64 * wide;
        }
        at = end;
    }
    return 0;
}

static int read_camera(const uint8_t *bytes, size_t n, uint64_t *out, struct ft_error *err)
{
    static const ExifTag tags[] = { EXIF_TAG_MAKE, EXIF_TAG_MODEL };
    char text[400] = "";
    ExifData *data;
    const int rc = ft_exif_load(bytes, n < 1 << 18 ? n : 1 << 18, &data, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        ExifEntry *entry = exif_content_get_entry(data->ifd[EXIF_IFD_0], tags[i]);
        const size_t used = strlen(text);
        if (entry)
            exif_entry_get_value(entry, text + used, (unsigned)(sizeof text - used - 1));
    }
    exif_data_unref(data);
    uint64_t hash[2] = { 0 };
    if (*text)
        ft_hash(text, strlen(text), hash);
    *out = hash[0];
    return 0;
}

static double luma(const uint8_t *p)
{
    return 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* grey [GRID, GRID] */
static uint64_t print_of(const double *grey)
{
    double rows[LOW][GRID], low[LOW * LOW], sorted[LOW * LOW - 1];
    for (int u = 0; u < LOW; u++)
        for (int x = 0; x < GRID; x++) {
            rows[u][x] = 0;
            for (int y = 0; y < GRID; y++)
                rows[u][x] += grey[y * GRID + x] * cos(M_PI * u * (2 * y + 1) / (2 * GRID));
        }
    for (int u = 0; u < LOW; u++)
        for (int v = 0; v < LOW; v++) {
            low[u * LOW + v] = 0;
            for (int x = 0; x < GRID; x++)
                low[u * LOW + v] += rows[u][x] * cos(M_PI * v * (2 * x + 1) / (2 * GRID));
        }
    memcpy(sorted, low + 1, sizeof sorted); /* without the mean */
    qsort(sorted, LOW * LOW - 1, sizeof *sorted, by_value);
    uint64_t bits = 0;
    for (int i = 1; i < LOW * LOW; i++)
        bits |= (uint64_t)(low[i] > sorted[(LOW * LOW - 1) / 2]) << i;
    return bits;
}

/* px [h, w, 3] */
static void measure(const uint8_t *px, int w, int h, struct ft_facts *out)
{
    double sum = 0, square = 0, edge = 0, edge_square = 0;
    const double n = (double)w * h, inner = (double)(w - 2) * (h - 2);
    for (int i = 0; i < w * h; i++) {
        const double v = luma(px + 3 * i);
        sum += v;
        square += v * v;
    }
    for (int y = 1; y < h - 1; y++)
        for (int x = 1; x < w - 1; x++) {
            const uint8_t *p = px + 3 * (y * w + x);
            const double v =
                luma(p - 3) + luma(p + 3) + luma(p - 3 * w) + luma(p + 3 * w) - 4 * luma(p);
            edge += v;
            edge_square += v * v;
        }
    out->brightness = sum / n;
    out->contrast = sqrt(fmax(0, square / n - sum / n * (sum / n)));
    out->sharpness = w > 2 && h > 2 ? edge_square / inner - edge / inner * (edge / inner) : 0;
}

static double shrink_of(const void *user, int width, int height)
{
    (void)user;
    return (double)(width > height ? width : height) / SIDE;
}

int ft_image_facts(struct ft_preparer *preparer, const uint8_t *bytes, size_t n,
                   uint64_t max_pixels, struct ft_facts *out, struct ft_error *err)
{
    const struct ft_decode_request request = { max_pixels, shrink_of, NULL, &preparer->claim,
                                               false };
    struct ft_image *image = &preparer->image;
    struct ft_facts facts = { .bytes = n };
    uint8_t small[GRID * GRID * 3];
    double grey[GRID * GRID];
    int rc = ft_image_decode(bytes, n, &request, image, err);
    if (rc) {
        ft_preparer_finish(preparer);
        return rc;
    }
    facts.width = image->full_width;
    facts.height = image->full_height;
    if (!strcmp(ft_format_of(bytes, n)->name, "JPEG")) {
        facts.jpeg_quality = jpeg_quality(bytes, n);
        rc = read_camera(bytes, n, &facts.camera, err);
    }
    const double box[4] = { 0, 0, image->width, image->height },
                 longer = fmax(image->width, image->height);
    const int w = longer > SIDE ? (int)fmax(1, round(image->width * SIDE / longer)) : image->width;
    const int h =
        longer > SIDE ? (int)fmax(1, round(image->height * SIDE / longer)) : image->height;
    uint8_t *scaled = malloc((size_t)w * (size_t)h * 3);
    if (!scaled)
        rc = ft_error_nomem(err, "a picture");
    if (!rc)
        rc = ft_image_resize(image, box, w, h, FT_FILTER_BILINEAR, &preparer->resizer, scaled, err);
    if (!rc)
        rc = ft_image_resize(image, box, GRID, GRID, FT_FILTER_BICUBIC, &preparer->resizer, small,
                             err);
    if (!rc) {
        measure(scaled, w, h, &facts);
        for (int i = 0; i < GRID * GRID; i++)
            grey[i] = luma(small + 3 * i);
        facts.print = print_of(grey);
        *out = facts;
    }
    free(scaled);
    ft_preparer_finish(preparer);
    return rc;
}
