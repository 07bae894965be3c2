/* GIF through giflib: the first frame, placed on the canvas as Pillow does.
 *
 * The canvas is as large as the screen, or larger if the frame does not fit in it. It is
 * transparent where the frame does not cover it, if the frame has a transparent colour; otherwise
 * it has the colour 0. Transparent pixels are composed over white. */
#include <gif_lib.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/library.h"
#include "base/memory.h"
#include "image/formats.h"

ft_decoder ft_gif_decode;

#define CALLS(X)                                                                                   \
    X(DGifOpen)                                                                                    \
    X(DGifCloseFile)                                                                               \
    X(DGifGetRecordType)                                                                           \
    X(DGifGetImageDesc) X(DGifGetExtension) X(DGifGetExtensionNext) X(DGifGetLine)
FT_LIBRARY(gif, FT_GIFLIB, CALLS);

struct gif_reader {
    const uint8_t *bytes;
    size_t n, at;
    const struct ft_decode_request *request;
    struct ft_image *out;
    struct ft_error *err;
    int transparent; /* colour; -1: none */
};

static int read_bytes(GifFileType *file, GifByteType *to, int n)
{
    struct gif_reader *r = file->UserData;
    const size_t there = r->n - r->at < (size_t)n ? r->n - r->at : (size_t)n;
    memcpy(to, r->bytes + r->at, there);
    r->at += there;
    return (int)there;
}

static int damaged(const struct gif_reader *r)
{
    return ft_error_set(r->err, FT_EFORMAT,
                        r->at >= r->n ? "truncated GIF: the file ends before the picture does"
                                      : "damaged GIF: its data cannot be decoded");
}

/* The graphic control extension has the transparent colour of the frame that follows. */
static int read_extension(GifFileType *file, struct gif_reader *r)
{
    int code;
    GifByteType *block; /* its first byte is its length */
    if (gif.DGifGetExtension(file, &code, &block) == GIF_ERROR)
        return damaged(r);
    if (code == GRAPHICS_EXT_FUNC_CODE && block && block[0] >= 4 && block[1] & 1)
        r->transparent = block[4];
    while (block)
        if (gif.DGifGetExtensionNext(file, &block) == GIF_ERROR)
            return damaged(r);
    return 0;
}

/* table [256, 3]: colours that the map lacks are black, and without any map they are grey. */
static void fill_colours(const GifFileType *file, int transparent, uint8_t *table)
{
    const ColorMapObject *map = file->Image.ColorMap ? file->Image.ColorMap : file->SColorMap;
    for (int i = 0; i < 256; i++) {
        const GifColorType *c = map && i < map->ColorCount ? &map->Colors[i] : NULL;
        const uint8_t other = map ? 0 : (uint8_t)i;
        table[3 * i] = c ? c->Red : other;
        table[3 * i + 1] = c ? c->Green : other;
        table[3 * i + 2] = c ? c->Blue : other;
    }
    if (transparent >= 0)
        memset(table + 3 * transparent, 255, 3);
}

static int read_rows(GifFileType *file, struct gif_reader *r, const uint8_t *table)
{
    static const struct {
        int first, step;
    } whole[] = { { 0, 1 } }, interlaced[] = { { 0, 8 }, { 4, 8 }, { 2, 4 }, { 1, 2 } };
    const GifImageDesc *d = &file->Image;
    const size_t passes = d->Interlace ? 4 : 1;
    GifPixelType *line = malloc((size_t)d->Width);
    if (!line)
        return ft_error_nomem(r->err, "a picture");
    int rc = 0;
    for (size_t pass = 0; !rc && pass < passes; pass++) {
        const int first = d->Interlace ? interlaced[pass].first : whole[pass].first,
                  step = d->Interlace ? interlaced[pass].step : whole[pass].step;
        for (int y = first; !rc && y < d->Height; y += step) {
            uint8_t *to = r->out->pixels +
                          ((size_t)(d->Top + y) * (size_t)r->out->width + (size_t)d->Left) * 3;
            if (gif.DGifGetLine(file, line, d->Width) == GIF_ERROR)
                rc = damaged(r);
            for (int x = 0; !rc && x < d->Width; x++, to += 3)
                memcpy(to, table + (ptrdiff_t)3 * line[x], 3);
        }
    }
    free(line);
    return rc;
}

static int read_frame(GifFileType *file, struct gif_reader *r)
{
    uint8_t table[256 * 3];
    if (gif.DGifGetImageDesc(file) == GIF_ERROR)
        return damaged(r);
    const GifImageDesc *d = &file->Image;
    if (d->Left < 0 || d->Top < 0 || d->Width < 1 || d->Height < 1)
        return ft_error_set(r->err, FT_EFORMAT, "a picture without pixels: %d x %d", d->Width,
                            d->Height);
    const int width = d->Left + d->Width > file->SWidth ? d->Left + d->Width : file->SWidth,
              height = d->Top + d->Height > file->SHeight ? d->Top + d->Height : file->SHeight;
    int rc = ft_image_admit((uint64_t)width, (uint64_t)height, r->request, r->err);
    /* A code of 12 bits stands for less than 4096 pixels. */
    const uint64_t pixels = (uint64_t)d->Width * (uint64_t)d->Height;
    if (!rc)
        rc = ft_image_check_length("GIF", r->n, pixels / 4096 * 3 / 2, (uint64_t)d->Width,
                                   (uint64_t)d->Height, r->err);
    if (!rc)
        rc = ft_image_reserve(r->out, width, height, 3, r->err);
    if (rc)
        return rc;
    fill_colours(file, r->transparent, table);
    const uint8_t *ground = table + 3 * (r->transparent >= 0 ? r->transparent : 0);
    if (d->Width < width || d->Height < height)
        for (size_t i = 0; i < (size_t)width * (size_t)height; i++)
            memcpy(r->out->pixels + 3 * i, ground, 3);
    return read_rows(file, r, table);
}

static int read_picture(GifFileType *file, struct gif_reader *r)
{
    for (;;) {
        GifRecordType type;
        if (gif.DGifGetRecordType(file, &type) == GIF_ERROR)
            return damaged(r);
        if (type == IMAGE_DESC_RECORD_TYPE)
            return read_frame(file, r);
        if (type == TERMINATE_RECORD_TYPE)
            return ft_error_set(r->err, FT_EFORMAT, "damaged GIF: it has no frame");
        const int rc = type == EXTENSION_RECORD_TYPE ? read_extension(file, r) : 0;
        if (rc)
            return rc;
    }
}

/* Returns whether another frame follows. What is wrong after the first frame does not matter. */
static bool has_more(GifFileType *file, struct gif_reader *r)
{
    GifRecordType type = UNDEFINED_RECORD_TYPE;
    r->err = NULL;
    while (gif.DGifGetRecordType(file, &type) != GIF_ERROR && type == EXTENSION_RECORD_TYPE &&
           !read_extension(file, r))
        ;
    return type == IMAGE_DESC_RECORD_TYPE;
}

int ft_gif_decode(const uint8_t *bytes, size_t n, const struct ft_decode_request *request,
                  struct ft_image *out, int *orientation, struct ft_error *err)
{
    struct gif_reader r = {
        .bytes = bytes, .n = n, .request = request, .out = out, .err = err, .transparent = -1
    };
    int rc = ft_library_load(&gif_library, err), why;
    (void)orientation;
    if (rc)
        return rc;
    GifFileType *file = gif.DGifOpen(&r, read_bytes, &why);
    if (!file)
        return damaged(&r);
    rc = read_picture(file, &r);
    out->more = !rc && has_more(file, &r);
    gif.DGifCloseFile(file, &why);
    return rc;
}
