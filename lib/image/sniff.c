/* Recognising a file by its first bytes: a table of signatures (the formats' own specifications).
 */
#include <string.h>

#include "image/image.h"

struct signature {
    const char *name;
    int offset, n;
    const char *bytes;
    int offset2, n2; /* a second place that has to agree; n2 0: none */
    const char *bytes2;
    enum ft_image_format format;
};

static const struct signature signatures[] = {
    { "JPEG", 0, 3, "\xff\xd8\xff", 0, 0, "", FT_IMAGE_JPEG },
    { "PNG", 0, 8, "\x89PNG\r\n\x1a\n", 0, 0, "", FT_IMAGE_PNG },
    { "GIF", 0, 4, "GIF8", 0, 0, "", FT_IMAGE_OTHER },
    { "WebP", 0, 4, "RIFF", 8, 4, "WEBP", FT_IMAGE_OTHER },
    /* its reserved words tell it from a text that begins with BM */
    { "BMP", 0, 2, "BM", 6, 4, "\0\0\0\0", FT_IMAGE_OTHER },
    { "TIFF", 0, 4, "II*\0", 0, 0, "", FT_IMAGE_OTHER },
    { "TIFF", 0, 4, "MM\0*", 0, 0, "", FT_IMAGE_OTHER },
    { "TIFF", 0, 4, "II+\0", 0, 0, "", FT_IMAGE_OTHER },
    { "TIFF", 0, 4, "MM\0+", 0, 0, "", FT_IMAGE_OTHER },
    { "AVIF", 4, 4, "ftyp", 8, 4, "avif", FT_IMAGE_OTHER },
    { "AVIF", 4, 4, "ftyp", 8, 4, "avis", FT_IMAGE_OTHER },
    /* heic, heix, heim, heis, hevc, hevx, ... */
    { "HEIC", 4, 4, "ftyp", 8, 2, "he", FT_IMAGE_OTHER },
    { "HEIF", 4, 4, "ftyp", 8, 4, "mif1", FT_IMAGE_OTHER },
    { "HEIF", 4, 4, "ftyp", 8, 4, "msf1", FT_IMAGE_OTHER },
    { "raw camera", 4, 4, "ftyp", 8, 4, "crx ", FT_IMAGE_OTHER },
    { "raw camera", 0, 8, "FUJIFILM", 0, 0, "", FT_IMAGE_OTHER },
    { "JPEG XL", 0, 2, "\xff\x0a", 0, 0, "", FT_IMAGE_OTHER },
    { "JPEG XL", 0, 8, "\0\0\0\x0cJXL ", 0, 0, "", FT_IMAGE_OTHER },
    { "JPEG 2000", 0, 8, "\0\0\0\x0cjP  ", 0, 0, "", FT_IMAGE_OTHER },
    { "JPEG 2000", 0, 4, "\xff\x4f\xff\x51", 0, 0, "", FT_IMAGE_OTHER },
    { "PDF", 0, 5, "%PDF-", 0, 0, "", FT_IMAGE_OTHER },
    { "Photoshop", 0, 4, "8BPS", 0, 0, "", FT_IMAGE_OTHER },
    { "icon", 0, 4, "\0\0\1\0", 5, 1, "\0", FT_IMAGE_OTHER },
    { "SVG", 0, 4, "<svg", 0, 0, "", FT_IMAGE_OTHER },
    { "GIMP", 0, 8, "gimp xcf", 0, 0, "", FT_IMAGE_OTHER },
    { "OpenEXR", 0, 4, "\x76\x2f\x31\x01", 0, 0, "", FT_IMAGE_OTHER },
    { "DDS", 0, 4, "DDS ", 0, 0, "", FT_IMAGE_OTHER },
    { "QOI", 0, 4, "qoif", 0, 0, "", FT_IMAGE_OTHER },
    { "PNM", 0, 3, "P4\n", 0, 0, "", FT_IMAGE_OTHER },
    { "PNM", 0, 3, "P5\n", 0, 0, "", FT_IMAGE_OTHER },
    { "PNM", 0, 3, "P6\n", 0, 0, "", FT_IMAGE_OTHER },
};

static int has(const uint8_t *bytes, size_t n, int offset, int length, const char *want)
{
    return (size_t)offset + (size_t)length <= n && !memcmp(bytes + offset, want, (size_t)length);
}

enum ft_image_format ft_image_sniff(const uint8_t *bytes, size_t n, const char **name)
{
    if (name)
        *name = NULL;
    for (size_t i = 0; n && i < sizeof signatures / sizeof *signatures; i++) {
        const struct signature *s = signatures + i;
        if (has(bytes, n, s->offset, s->n, s->bytes) &&
            has(bytes, n, s->offset2, s->n2, s->bytes2)) {
            if (name)
                *name = s->name;
            return s->format;
        }
    }
    return FT_IMAGE_UNKNOWN;
}
