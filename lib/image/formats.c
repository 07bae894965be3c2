/* The signatures are those of the formats' own specifications. */
#include "image/formats.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"

/* FT_DECODE_WEBP and the like are set by the build: the decoder, or NULL if its library is missing.
 */
ft_decoder ft_jpeg_decode, ft_png_decode, ft_bmp_decode, ft_pnm_decode;
ft_decoder ft_webp_decode, ft_gif_decode, ft_tiff_decode, ft_heif_decode, ft_jxl_decode;

#define MAGIC(bytes)                                                                               \
    {                                                                                              \
        bytes, sizeof bytes - 1                                                                    \
    }

const struct ft_format ft_formats[] = {
    { "JPEG", "jpg jpeg jpe jfif", ft_jpeg_decode, NULL, { MAGIC("\xff\xd8\xff") } },
    { "PNG", "png apng", ft_png_decode, NULL, { MAGIC("\x89PNG\r\n\x1a\n") } },
    { "GIF", "gif", FT_DECODE_GIF, "giflib", { MAGIC("GIF8") } },
    { "WebP", "webp", FT_DECODE_WEBP, "libwebp", { MAGIC("RIFF????WEBP") } },
    /* The reserved words tell it from a text that begins with "BM". */
    { "BMP", "bmp dib", ft_bmp_decode, NULL, { MAGIC("BM????\0\0\0\0") } },
    { "TIFF",
      "tif tiff",
      FT_DECODE_TIFF,
      "libtiff",
      { MAGIC("II*\0"), MAGIC("MM\0*"), MAGIC("II+\0"), MAGIC("MM\0+") } },
    { "AVIF", "avif", FT_DECODE_HEIF, "libheif", { MAGIC("????ftypavif"), MAGIC("????ftypavis") } },
    /* heic, heix, heim, heis, hevc, hevx, ... */
    { "HEIC",
      "heic heif hif",
      FT_DECODE_HEIF,
      "libheif",
      { MAGIC("????ftyphe"), MAGIC("????ftypmif1"), MAGIC("????ftypmsf1") } },
    { "JPEG XL", "jxl", FT_DECODE_JXL, "libjxl", { MAGIC("\xff\x0a"), MAGIC("\0\0\0\x0cJXL ") } },
    { "PNM",
      "pnm pbm pgm ppm",
      ft_pnm_decode,
      NULL,
      { MAGIC("P1_@"), MAGIC("P2_@"), MAGIC("P3_@"), MAGIC("P4_@"), MAGIC("P5_@"),
        MAGIC("P6_@") } },
    { "raw camera",
      "cr2 cr3 nef arw dng raf orf rw2",
      NULL,
      NULL,
      { MAGIC("????ftypcrx "), MAGIC("FUJIFILM") } },
    { "JPEG 2000",
      "jp2 j2k jpx",
      NULL,
      NULL,
      { MAGIC("\0\0\0\x0cjP  "), MAGIC("\xff\x4f\xff\x51") } },
    { "PDF", "", NULL, NULL, { MAGIC("%PDF-") } },
    { "Photoshop", "psd", NULL, NULL, { MAGIC("8BPS") } },
    { "icon", "ico", NULL, NULL, { MAGIC("\0\0\1\0?\0") } },
    { "SVG", "svg", NULL, NULL, { MAGIC("<svg") } },
    { "GIMP", "xcf", NULL, NULL, { MAGIC("gimp xcf") } },
    { "OpenEXR", "exr", NULL, NULL, { MAGIC("\x76\x2f\x31\x01") } },
    { "DDS", "dds", NULL, NULL, { MAGIC("DDS ") } },
    { "QOI", "qoi", NULL, NULL, { MAGIC("qoif") } },
    { 0 },
};

static bool matches(const struct ft_magic *magic, const uint8_t *bytes, size_t n)
{
    if (!magic->n || n < magic->n)
        return false;
    for (size_t i = 0; i < magic->n; i++) {
        const char want = magic->bytes[i];
        const bool right = want == '?'   ? true
                           : want == '_' ? isspace(bytes[i])
                           : want == '@' ? isdigit(bytes[i]) || bytes[i] == '#'
                                         : bytes[i] == (uint8_t)want;
        if (!right)
            return false;
    }
    return true;
}

const struct ft_format *ft_format_of(const uint8_t *bytes, size_t n)
{
    for (const struct ft_format *f = ft_formats; f->name; f++)
        for (size_t i = 0; i < sizeof f->magic / sizeof *f->magic; i++)
            if (matches(&f->magic[i], bytes, n))
                return f;
    return NULL;
}

bool ft_format_names(const char *name)
{
    const char *dot = strrchr(name, '.');
    if (!dot || !dot[1])
        return false;
    const size_t n = strlen(dot + 1);
    for (const struct ft_format *f = ft_formats; f->name; f++)
        for (const char *s = f->endings; *s; s += strspn(s, " ")) {
            const size_t length = strcspn(s, " ");
            if (length == n && !strncasecmp(s, dot + 1, n))
                return true;
            s += length;
        }
    return false;
}

size_t ft_picture_formats(char *text, size_t size)
{
    size_t used = 0;
    for (const struct ft_format *f = ft_formats; f->name; f++)
        if (f->decode) {
            const int n = snprintf(used < size ? text + used : NULL, used < size ? size - used : 0,
                                   "%s%s", used ? ", " : "", f->name);
            used += (size_t)n;
        }
    return used;
}

int ft_format_refuse(const struct ft_format *format, size_t n, struct ft_error *err)
{
    char known[200];
    ft_picture_formats(known, sizeof known);
    if (!n)
        return ft_error_set(err, FT_EFORMAT, "an empty file");
    if (!format)
        return ft_error_set(err, FT_EFORMAT, "not a picture: its content is none of %s", known);
    const char *article = strchr("AOSi", format->name[0]) ? "an" : "a";
    if (format->library)
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "%s %s picture, but this finetune was built without %s: convert the "
                            "picture to JPEG or PNG",
                            article, format->name, format->library);
    return ft_error_set(err, FT_EUNSUPPORTED,
                        "%s %s picture, which is not supported: convert it to JPEG or PNG", article,
                        format->name);
}
