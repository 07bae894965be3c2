/* BMP, as Windows and OS/2 write it: 1, 4 and 8 bits with a palette (plain or run-length encoded),
 * 16, 24 and 32 bits with any bit masks. Reference: Microsoft's BITMAPFILEHEADER, BITMAPCOREHEADER,
 * BITMAPINFOHEADER, BITMAPV4HEADER and BITMAPV5HEADER; the rounding is Pillow's. */
#include <string.h>

#include "base/error.h"
#include "image/formats.h"

ft_decoder ft_bmp_decode;

enum { FILE_HEADER = 14, CORE_HEADER = 12, INFO_HEADER = 40 };
enum { PLAIN = 0, RLE8 = 1, RLE4 = 2, BIT_FIELDS = 3 };

struct bmp_reader {
    const uint8_t *bytes;
    size_t n, pixels; /* pixels: where they begin */
    struct ft_error *err;
    uint32_t width, height, bits, compression;
    bool top_down;
    uint32_t mask[4];         /* red, green, blue, alpha; of 16, 24 and 32 bits */
    uint8_t palette[256 * 3]; /* RGB; black where the file has none */
};

static uint32_t u16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const uint8_t *p)
{
    return u16(p) | u16(p + 2) << 16;
}

static int truncated(const struct bmp_reader *r)
{
    return ft_error_set(r->err, FT_EFORMAT, "truncated BMP: the file ends before the picture does");
}

static int rare(const struct bmp_reader *r, const char *what, uint32_t value)
{
    return ft_error_set(r->err, FT_EUNSUPPORTED, "a rare kind of BMP (%s %u): convert it first",
                        what, (unsigned)value);
}

static void read_palette(struct bmp_reader *r, size_t at, size_t entry, size_t colours)
{
    for (size_t i = 0; i < colours && i < 256 && at + entry * i + 3 <= r->n; i++)
        for (size_t c = 0; c < 3; c++)
            r->palette[3 * i + c] = r->bytes[at + entry * i + 2 - c];
}

/* Where masks may be: in headers of 52 bytes and more, or behind one of 40. */
static int read_masks(struct bmp_reader *r, uint32_t header, size_t *behind)
{
    static const uint32_t five[4] = { 0x7c00, 0x3e0, 0x1f, 0 },
                          eight[4] = { 0xff0000, 0xff00, 0xff, 0 },
                          bgra[4] = { 0xff0000, 0xff00, 0xff, 0xff000000 };
    memcpy(r->mask, r->bits == 16 ? five : eight, sizeof r->mask);
    if (r->compression != BIT_FIELDS)
        return 0;
    const size_t count = header >= 56 ? 4 : 3, at = FILE_HEADER + INFO_HEADER;
    if (at + 4 * count > r->n)
        return truncated(r);
    uint32_t any = 0;
    for (size_t i = 0; i < count; i++)
        any |= r->mask[i] = u32(r->bytes + at + 4 * i);
    if (!any)
        memcpy(r->mask, bgra, sizeof r->mask);
    if (header == INFO_HEADER)
        *behind += 12;
    return 0;
}

static int read_header(struct bmp_reader *r)
{
    const uint8_t *h = r->bytes + FILE_HEADER;
    if (r->n < FILE_HEADER + CORE_HEADER)
        return truncated(r);
    const uint32_t header = u32(h);
    if (header != CORE_HEADER && (header < INFO_HEADER || header > 1024))
        return rare(r, "a header of bytes:", header);
    if (r->n < FILE_HEADER + header)
        return truncated(r);
    const bool core = header == CORE_HEADER;
    const int64_t height = core ? (int64_t)u16(h + 6) : (int32_t)u32(h + 8);
    r->width = core ? u16(h + 4) : u32(h + 4);
    r->top_down = height < 0;
    r->height = (uint32_t)(height < 0 ? -height : height);
    r->bits = u16(h + (core ? 10 : 14));
    r->compression = core ? PLAIN : u32(h + 16);
    size_t colours = core ? 0 : u32(h + 32), behind = FILE_HEADER + header;
    if (r->bits != 1 && r->bits != 4 && r->bits != 8 && r->bits != 16 && r->bits != 24 &&
        r->bits != 32)
        return rare(r, "bits per pixel:", r->bits);
    if (r->compression > BIT_FIELDS || (r->compression == RLE8 && r->bits != 8) ||
        (r->compression == RLE4 && r->bits != 4) ||
        (r->compression == BIT_FIELDS && r->bits != 16 && r->bits != 24 && r->bits != 32))
        return rare(r, "compression", r->compression);
    const int rc = r->bits > 8 ? read_masks(r, header, &behind) : 0;
    if (rc)
        return rc;
    if (r->bits <= 8) {
        const size_t entry = core ? 3 : 4, most = (size_t)1 << r->bits;
        colours = colours && colours <= 65536 ? colours : most;
        read_palette(r, behind, entry, colours < most ? colours : most);
        behind += entry * colours;
    }
    /* Some programs write an offset that does not count the palette. */
    r->pixels = u32(r->bytes + 10);
    if (!r->pixels || (r->pixels == FILE_HEADER + header && r->bits <= 8))
        r->pixels = behind;
    return 0;
}

/* The sample under a mask, scaled to 8 bits. */
static uint8_t sample(uint32_t pixel, uint32_t mask)
{
    if (!mask)
        return 0;
    const int shift = __builtin_ctz(mask);
    const uint64_t most = mask >> shift, value = (pixel & mask) >> shift;
    return (uint8_t)(value * 255 / most);
}

static void put_index(const struct bmp_reader *r, unsigned index, uint8_t *to)
{
    memcpy(to, r->palette + 3 * index, 3);
}

static void convert_row(const struct bmp_reader *r, const uint8_t *from, uint8_t *to)
{
    const uint32_t bits = r->bits;
    for (size_t x = 0; x < r->width; x++, to += 3) {
        if (bits <= 8) {
            const size_t bit = x * bits;
            put_index(r, from[bit / 8] >> (8 - bits - bit % 8) & ((1u << bits) - 1), to);
            continue;
        }
        const uint8_t *p = from + x * (bits / 8);
        const uint32_t pixel = bits == 16   ? u16(p)
                               : bits == 24 ? u16(p) | (uint32_t)p[2] << 16
                                            : u32(p);
        uint8_t rgba[4];
        for (int c = 0; c < 4; c++)
            rgba[c] = sample(pixel, r->mask[c]);
        if (r->mask[3])
            ft_image_over_white(rgba, to, 1);
        else
            memcpy(to, rgba, 3);
    }
}

/* Row y of the file, of which the last one may lack the bytes that fill it up. */
static int read_plain(const struct bmp_reader *r, struct ft_image *out)
{
    const size_t row = ((size_t)r->width * r->bits + 7) / 8, stride = (row + 3) / 4 * 4;
    for (size_t y = 0; y < r->height; y++) {
        const size_t place = r->top_down ? y : r->height - 1 - y;
        if (r->pixels + y * stride + row > r->n)
            return truncated(r);
        convert_row(r, r->bytes + r->pixels + y * stride, out->pixels + place * r->width * 3);
    }
    return 0;
}

/* A run of pixels, or 0 and a command: end of line, end of picture, a jump, or pixels one by one.
 * What is jumped over has the colour 0. */
static int read_runs(const struct bmp_reader *r, struct ft_image *out)
{
    const uint8_t *s = r->bytes + r->pixels, *end = r->bytes + r->n;
    const bool four = r->compression == RLE4;
    size_t x = 0, y = 0;
    for (size_t i = 0; i < (size_t)r->width * r->height; i++)
        put_index(r, 0, out->pixels + 3 * i);
    while (y < r->height) {
        if (end - s < 2)
            return y + 1 == r->height && x >= r->width ? 0 : truncated(r);
        const size_t count = s[0], value = s[1];
        const bool single = !count && value > 2;
        const size_t n = single ? value : count, bytes = four ? (n + 1) / 2 : n;
        s += 2;
        if (single && (size_t)(end - s) < bytes)
            return truncated(r);
        for (size_t i = 0; i < n && x < r->width; i++, x++) {
            const uint8_t byte = single ? s[four ? i / 2 : i] : (uint8_t)value;
            const unsigned index = !four ? byte : i % 2 ? byte & 15 : byte >> 4;
            const size_t place = r->top_down ? y : r->height - 1 - y;
            put_index(r, index, out->pixels + (place * r->width + x) * 3);
        }
        if (single) {
            const size_t padded = (bytes + 1) / 2 * 2, left = (size_t)(end - s);
            s += padded < left ? padded : left;
        } else if (!count && value == 0) {
            x = 0;
            y++;
        } else if (!count && value == 1)
            return 0;
        else if (!count) {
            if (end - s < 2)
                return truncated(r);
            x += s[0];
            y += s[1];
            s += 2;
        }
    }
    return 0;
}

int ft_bmp_decode(const uint8_t *bytes, size_t n, const struct ft_decode_request *request,
                  struct ft_image *out, int *orientation, struct ft_error *err)
{
    struct bmp_reader r = { .bytes = bytes, .n = n, .err = err };
    (void)orientation;
    int rc = read_header(&r);
    if (!rc)
        rc = ft_image_admit(r.width, r.height, request, err);
    const bool runs = r.compression == RLE8 || r.compression == RLE4;
    if (!rc && !runs)
        rc = ft_image_check_length("BMP", n, ((uint64_t)r.width * r.bits + 7) / 8 * r.height,
                                   r.width, r.height, err);
    if (!rc && r.pixels > n)
        rc = truncated(&r);
    if (!rc)
        rc = ft_image_reserve(out, (int)r.width, (int)r.height, 3, err);
    if (!rc)
        rc = runs ? read_runs(&r, out) : read_plain(&r, out);
    return rc;
}
