/* TIFF through libtiff: the first picture of a file, in strips or tiles; grey, palette, RGB, CMYK
 * and YCbCr (as JPEG); 1 to 16 bits per sample, interleaved or in planes. Samples of 16 bits keep
 * their high byte, and CMYK becomes RGB as in the JPEG decoder, as in Pillow. Alpha is laid over
 * white. */
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>

#include "base/error.h"
#include "base/library.h"
#include "base/memory.h"
#include "image/formats.h"
#include "image/icc.h"
#include "image/orient.h"

ft_decoder ft_tiff_decode;

#define CALLS(X)                                                                                   \
    X(TIFFOpenOptionsAlloc)                                                                        \
    X(TIFFOpenOptionsFree)                                                                         \
    X(TIFFOpenOptionsSetMaxSingleMemAlloc)                                                         \
    X(TIFFOpenOptionsSetErrorHandlerExtR)                                                          \
    X(TIFFOpenOptionsSetWarningHandlerExtR)                                                        \
    X(TIFFClientOpenExt)                                                                           \
    X(TIFFClose)                                                                                   \
    X(TIFFGetField)                                                                                \
    X(TIFFGetFieldDefaulted)                                                                       \
    X(TIFFSetField)                                                                                \
    X(TIFFLastDirectory)                                                                           \
    X(TIFFIsTiled)                                                                                 \
    X(TIFFIsCODECConfigured)                                                                       \
    X(TIFFComputeTile)                                                                             \
    X(TIFFComputeStrip)                                                                            \
    X(TIFFTileSize64)                                                                              \
    X(TIFFStripSize64)                                                                             \
    X(TIFFTileRowSize64)                                                                           \
    X(TIFFScanlineSize64) X(TIFFReadEncodedTile) X(TIFFReadEncodedStrip)
FT_LIBRARY(tiff, FT_LIBTIFF, CALLS);

enum { SAMPLES = 5 }; /* CMYK and alpha */

struct tiff_reader {
    const uint8_t *bytes;
    size_t n, at;
    struct ft_error *err;
    char why[200]; /* libtiff's first message */
    bool past_end; /* it tried to read behind the end of the file */
    uint32_t width, height, block_width, block_height;
    uint16_t bits, samples, photometric, planar, compression;
    int colours; /* samples that are colours: 1, 3 or 4 */
    int alpha;   /* the sample that is alpha; -1: none */
    bool premultiplied;
    uint16_t *map[3]; /* palette, borrowed */
    uint64_t block_size, row_size;
    uint8_t *block;     /* [block_size] as decoded */
    uint8_t *pixels;    /* [block_height, block_width, SAMPLES] of 8 bits */
    struct ft_icc *icc; /* of RGB and CMYK samples */
};

static tmsize_t read_bytes(thandle_t handle, void *to, tmsize_t n)
{
    struct tiff_reader *r = (struct tiff_reader *)handle;
    const size_t left = r->at < r->n ? r->n - r->at : 0,
                 count = (size_t)n < left ? (size_t)n : left;
    r->past_end |= count < (size_t)n;
    memcpy(to, r->bytes + (count ? r->at : 0), count);
    r->at += count;
    return (tmsize_t)count;
}

static tmsize_t write_nothing(thandle_t handle, void *from, tmsize_t n)
{
    (void)handle;
    (void)from;
    (void)n;
    return 0;
}

static toff_t seek(thandle_t handle, toff_t offset, int whence)
{
    struct tiff_reader *r = (struct tiff_reader *)handle;
    r->at = (size_t)offset + (whence == SEEK_CUR ? r->at : whence == SEEK_END ? r->n : 0);
    return r->at;
}

static int close_nothing(thandle_t handle)
{
    (void)handle;
    return 0;
}

static toff_t size_of(thandle_t handle)
{
    return ((struct tiff_reader *)handle)->n;
}

static int keep_message(TIFF *file, void *user, const char *module, const char *format,
                        va_list args)
{
    struct tiff_reader *r = user;
    (void)file;
    (void)module;
    if (!r->why[0])
        vsnprintf(r->why, sizeof r->why, format, args);
    return 1;
}

static int ignore_message(TIFF *file, void *user, const char *module, const char *format,
                          va_list args)
{
    (void)file;
    (void)user;
    (void)module;
    (void)format;
    (void)args;
    return 1;
}

static int damaged(const struct tiff_reader *r)
{
    if (r->past_end)
        return ft_error_set(r->err, FT_EFORMAT,
                            "truncated TIFF: the file ends before the picture does");
    return ft_error_set(r->err, FT_EFORMAT, "damaged TIFF: %s",
                        r->why[0] ? r->why : "its data cannot be decoded");
}

static int rare(const struct tiff_reader *r, const char *what, unsigned value)
{
    return ft_error_set(r->err, FT_EUNSUPPORTED, "a rare kind of TIFF (%s %u): convert it first",
                        what, value);
}

static int read_kind(TIFF *file, struct tiff_reader *r)
{
    uint16_t format = SAMPLEFORMAT_UINT, n_extra = 0, *extra = NULL;
    r->bits = r->samples = 1;
    r->planar = PLANARCONFIG_CONTIG;
    tiff.TIFFGetFieldDefaulted(file, TIFFTAG_BITSPERSAMPLE, &r->bits);
    tiff.TIFFGetFieldDefaulted(file, TIFFTAG_SAMPLESPERPIXEL, &r->samples);
    tiff.TIFFGetFieldDefaulted(file, TIFFTAG_PLANARCONFIG, &r->planar);
    tiff.TIFFGetFieldDefaulted(file, TIFFTAG_COMPRESSION, &r->compression);
    tiff.TIFFGetFieldDefaulted(file, TIFFTAG_SAMPLEFORMAT, &format);
    if (!tiff.TIFFGetField(file, TIFFTAG_PHOTOMETRIC, &r->photometric))
        r->photometric = r->samples >= 3 ? PHOTOMETRIC_RGB : PHOTOMETRIC_MINISBLACK;
    if (!tiff.TIFFIsCODECConfigured(r->compression))
        return rare(r, "compression", r->compression);
    if (format != SAMPLEFORMAT_UINT && format != SAMPLEFORMAT_VOID)
        return rare(r, "sample format", format);
    if (r->bits != 1 && r->bits != 2 && r->bits != 4 && r->bits != 8 && r->bits != 16)
        return rare(r, "bits per sample:", r->bits);
    if (r->photometric == PHOTOMETRIC_YCBCR && r->compression == COMPRESSION_JPEG) {
        tiff.TIFFSetField(file, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
        r->photometric = PHOTOMETRIC_RGB;
    }
    r->colours = r->photometric == PHOTOMETRIC_RGB         ? 3
                 : r->photometric == PHOTOMETRIC_SEPARATED ? 4
                                                           : 1;
    if (r->photometric > PHOTOMETRIC_PALETTE && r->photometric != PHOTOMETRIC_SEPARATED)
        return rare(r, "colour space", r->photometric);
    if (r->samples < r->colours)
        return rare(r, "samples per pixel:", r->samples);
    if (r->photometric == PHOTOMETRIC_PALETTE &&
        (r->bits > 8 ||
         !tiff.TIFFGetField(file, TIFFTAG_COLORMAP, &r->map[0], &r->map[1], &r->map[2])))
        return ft_error_set(r->err, FT_EFORMAT, "damaged TIFF: its palette is missing");
    r->alpha = -1;
    if (r->samples > r->colours &&
        tiff.TIFFGetField(file, TIFFTAG_EXTRASAMPLES, &n_extra, &extra) && n_extra &&
        (extra[0] == EXTRASAMPLE_ASSOCALPHA || extra[0] == EXTRASAMPLE_UNASSALPHA)) {
        r->alpha = r->colours;
        r->premultiplied = extra[0] == EXTRASAMPLE_ASSOCALPHA;
    }
    return 0;
}

/* A small file cannot hold a large picture: this is checked before memory is allocated. */
static int check_length(const struct tiff_reader *r)
{
    static const struct {
        uint16_t compression;
        unsigned most; /* bytes of samples that a byte of the file can hold */
    } rows[] = { { COMPRESSION_NONE, 1 },       { COMPRESSION_PACKBITS, 64 },
                 { COMPRESSION_LZW, 2731 },     { COMPRESSION_ADOBE_DEFLATE, 1032 },
                 { COMPRESSION_DEFLATE, 1032 }, { COMPRESSION_JPEG, 512 * 3 } };
    const uint64_t size = (uint64_t)r->width * r->height * r->samples * r->bits / 8;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].compression == r->compression)
            return ft_image_check_length("TIFF", r->n, size / rows[i].most, r->width, r->height,
                                         r->err);
    return 0;
}

/* The blocks are tiles, or strips as wide as the picture. */
static int read_layout(TIFF *file, struct tiff_reader *r)
{
    const bool tiled = tiff.TIFFIsTiled(file);
    r->block_width = r->width;
    if (tiled) {
        r->block_width = r->block_height = 0;
        tiff.TIFFGetField(file, TIFFTAG_TILEWIDTH, &r->block_width);
        tiff.TIFFGetField(file, TIFFTAG_TILELENGTH, &r->block_height);
    } else {
        tiff.TIFFGetFieldDefaulted(file, TIFFTAG_ROWSPERSTRIP, &r->block_height);
        r->block_height = r->block_height < r->height ? r->block_height : r->height;
    }
    r->block_size = tiled ? tiff.TIFFTileSize64(file) : tiff.TIFFStripSize64(file);
    r->row_size = tiled ? tiff.TIFFTileRowSize64(file) : tiff.TIFFScanlineSize64(file);
    const uint64_t per_row =
        ((uint64_t)r->block_width * r->bits * (r->planar == PLANARCONFIG_CONTIG ? r->samples : 1u) +
         7) /
        8;
    if (!r->block_width || !r->block_height || r->row_size < per_row ||
        r->block_size / r->block_height < r->row_size)
        return damaged(r);
    /* A tile may be larger than a small picture, but not by much. */
    const uint64_t pixels = (uint64_t)r->width * r->height;
    if ((uint64_t)r->block_width * r->block_height > (pixels > 1 << 20 ? 4 * pixels : 4 << 20))
        return ft_error_set(r->err, FT_ELIMIT, "damaged TIFF: tiles of %u x %u pixels",
                            r->block_width, r->block_height);
    r->block = ft_alloc(1, (size_t)r->block_size);
    r->pixels = ft_alloc_zero((size_t)r->block_width * r->block_height, SAMPLES);
    return r->block && r->pixels ? 0 : ft_error_nomem(r->err, "a picture");
}

/* Sample i of a row, as 8 bits; indices of a palette stay as they are. */
static uint8_t sample_at(const struct tiff_reader *r, const uint8_t *row, size_t i)
{
    if (r->bits == 8)
        return row[i];
    if (r->bits == 16) {
        uint16_t v; /* in the order of this machine */
        memcpy(&v, row + 2 * i, 2);
        return (uint8_t)(v >> 8);
    }
    const size_t bit = i * r->bits;
    const unsigned most = (1u << r->bits) - 1, v = row[bit / 8] >> (8 - r->bits - bit % 8) & most;
    return (uint8_t)(r->photometric == PHOTOMETRIC_PALETTE ? v : v * (255 / most));
}

/* Distributes the decoded block (of one plane, or of all samples) to the pixels. */
static void take_samples(struct tiff_reader *r, int plane)
{
    const bool together = r->planar == PLANARCONFIG_CONTIG;
    const int wanted = r->alpha >= 0 ? r->colours + 1 : r->colours;
    for (size_t y = 0; y < r->block_height; y++) {
        const uint8_t *row = r->block + y * (size_t)r->row_size;
        uint8_t *to = r->pixels + y * r->block_width * SAMPLES;
        for (size_t x = 0; x < r->block_width; x++, to += SAMPLES) {
            if (!together)
                to[plane] = sample_at(r, row, x);
            for (int s = 0; together && s < wanted; s++)
                to[s] = sample_at(r, row, x * r->samples + (size_t)s);
        }
    }
}

static void to_rgb(const struct tiff_reader *r, const uint8_t *s, uint8_t *to)
{
    uint8_t rgba[4] = { s[0], s[r->colours > 1 ? 1 : 0], s[r->colours > 1 ? 2 : 0], 255 };
    for (int c = 0; c < 3; c++) {
        if (r->photometric == PHOTOMETRIC_MINISWHITE)
            rgba[c] = (uint8_t)(255 - s[0]);
        else if (r->photometric == PHOTOMETRIC_PALETTE)
            rgba[c] = (uint8_t)(r->map[c][s[0]] >> 8);
        else if (r->photometric == PHOTOMETRIC_SEPARATED && !r->icc)
            rgba[c] = ft_image_ink_to_light(s[c], s[3]);
    }
    if (r->alpha < 0) {
        memcpy(to, rgba, 3);
        return;
    }
    rgba[3] = s[r->alpha];
    if (r->premultiplied)
        ft_image_premultiplied_over_white(rgba, to, 1);
    else
        ft_image_over_white(rgba, to, 1);
}

static int read_block(TIFF *file, struct tiff_reader *r, uint32_t x, uint32_t y)
{
    const bool tiled = tiff.TIFFIsTiled(file), together = r->planar == PLANARCONFIG_CONTIG;
    const int wanted = r->alpha >= 0 ? r->colours + 1 : r->colours;
    for (int plane = 0; plane < (together ? 1 : wanted); plane++) {
        const uint16_t sample = (uint16_t)plane;
        /* libtiff leaves out pixels of damaged CCITT and JPEG data and reports success */
        memset(r->block, 0, r->block_size);
        const tmsize_t n =
            tiled ? tiff.TIFFReadEncodedTile(file, tiff.TIFFComputeTile(file, x, y, 0, sample),
                                             r->block, (tmsize_t)r->block_size)
                  : tiff.TIFFReadEncodedStrip(file, tiff.TIFFComputeStrip(file, y, sample),
                                              r->block, (tmsize_t)r->block_size);
        /* The last strip may be shorter. */
        const uint64_t rows = r->height - y < r->block_height ? r->height - y : r->block_height;
        if (n < 0 || (uint64_t)n < rows * r->row_size)
            return damaged(r);
        take_samples(r, plane);
    }
    return 0;
}

static int read_pixels(TIFF *file, struct tiff_reader *r, struct ft_image *out)
{
    for (uint32_t y = 0; y < r->height; y += r->block_height)
        for (uint32_t x = 0; x < r->width; x += r->block_width) {
            const int rc = read_block(file, r, x, y);
            if (rc)
                return rc;
            if (r->colours > 1)
                ft_icc_convert(r->icc, r->pixels, r->pixels,
                               (size_t)r->block_width * r->block_height);
            for (uint32_t j = 0; j < r->block_height && y + j < r->height; j++)
                for (uint32_t i = 0; i < r->block_width && x + i < r->width; i++)
                    to_rgb(r, r->pixels + ((size_t)j * r->block_width + i) * SAMPLES,
                           out->pixels + ((size_t)(y + j) * r->width + x + i) * 3);
        }
    return 0;
}

/* Opens the conversion from the file's profile. A palette and grey become RGB first. */
static int open_profile(TIFF *file, struct tiff_reader *r, const struct ft_decode_request *request)
{
    uint32_t n = 0;
    void *profile = NULL;
    const int bytes = r->colours > 1 ? SAMPLES : 3;
    const struct ft_icc_layout layout = { r->photometric == PHOTOMETRIC_PALETTE ? 3 : r->colours,
                                          bytes, bytes };
    if (!request || !request->icc || !tiff.TIFFGetField(file, TIFFTAG_ICCPROFILE, &n, &profile))
        return 0;
    return ft_icc_open(request, profile, n, &layout, &r->icc, r->err);
}

static int orientation_of(TIFF *file)
{
    uint16_t orientation = 0;
    uint32_t n = 0;
    void *xmp = NULL;
    if (tiff.TIFFGetField(file, TIFFTAG_ORIENTATION, &orientation))
        return orientation <= 8 ? orientation : 1;
    return tiff.TIFFGetField(file, TIFFTAG_XMLPACKET, &n, &xmp) ? ft_xmp_orientation(xmp, n) : 0;
}

static int read_picture(TIFF *file, struct tiff_reader *r, const struct ft_decode_request *request,
                        struct ft_image *out, int *orientation)
{
    tiff.TIFFGetField(file, TIFFTAG_IMAGEWIDTH, &r->width);
    tiff.TIFFGetField(file, TIFFTAG_IMAGELENGTH, &r->height);
    int rc = ft_image_admit(r->width, r->height, request, r->err);
    if (!rc)
        rc = read_kind(file, r);
    if (!rc)
        rc = check_length(r);
    if (!rc)
        rc = read_layout(file, r);
    if (!rc)
        rc = ft_image_reserve(out, (int)r->width, (int)r->height, 3, r->err);
    if (!rc)
        rc = open_profile(file, r, request);
    if (!rc)
        rc = read_pixels(file, r, out);
    if (!rc && r->colours == 1)
        ft_icc_convert(r->icc, out->pixels, out->pixels, (size_t)r->width * r->height);
    ft_icc_free(r->icc);
    if (!rc)
        *orientation = orientation_of(file);
    out->more = !rc && !tiff.TIFFLastDirectory(file);
    free(r->block);
    free(r->pixels);
    return rc;
}

int ft_tiff_decode(const uint8_t *bytes, size_t n, const struct ft_decode_request *request,
                   struct ft_image *out, int *orientation, struct ft_error *err)
{
    struct tiff_reader r = { .bytes = bytes, .n = n, .err = err };
    int rc = ft_library_load(&tiff_library, err);
    if (rc)
        return rc;
    TIFFOpenOptions *options = tiff.TIFFOpenOptionsAlloc();
    if (!options)
        return ft_error_nomem(err, "a picture");
    const uint64_t most =
        request && request->max_pixels ? request->max_pixels : FT_IMAGE_MAX_PIXELS_DEFAULT;
    tiff.TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)(most * 8 + (64 << 20)));
    tiff.TIFFOpenOptionsSetErrorHandlerExtR(options, keep_message, &r);
    tiff.TIFFOpenOptionsSetWarningHandlerExtR(options, ignore_message, &r);
    TIFF *file = tiff.TIFFClientOpenExt("picture", "rm", (thandle_t)&r, read_bytes, write_nothing,
                                        seek, close_nothing, size_of, NULL, NULL, options);
    rc = file ? read_picture(file, &r, request, out, orientation) : damaged(&r);
    if (file)
        tiff.TIFFClose(file);
    tiff.TIFFOpenOptionsFree(options);
    return rc;
}
