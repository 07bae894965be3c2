/* libexif reads the tag. In an XMP packet the text is searched, as Pillow does: a packet may be
 * damaged, or longer than is worth parsing.
 *
 * The tag says where the stored row 0 and column 0 belong (EXIF 2.3, 4.6.4 A): 1 top left, 2 top
 * right, 3 bottom right, 4 bottom left, and with rows and columns exchanged 5 left top, 6 right
 * top, 7 right bottom, 8 left bottom. */
#define _GNU_SOURCE /* memmem */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "image/exif.h"
#include "image/orient.h"

enum { LONGEST = 65536 * 4 }; /* a JPEG's block is at most 64 KB; no larger one is searched */

/* EXIF says that the tag is a SHORT; some programs write a LONG. */
static int value_of(const ExifEntry *entry, ExifByteOrder order)
{
    long value = 0;
    if (entry->components != 1)
        return 1;
    if ((entry->format == EXIF_FORMAT_SHORT || entry->format == EXIF_FORMAT_SSHORT) &&
        entry->size >= 2)
        value = exif_get_short(entry->data, order);
    if ((entry->format == EXIF_FORMAT_LONG || entry->format == EXIF_FORMAT_SLONG) &&
        entry->size >= 4)
        value = (long)exif_get_long(entry->data, order);
    return value >= 1 && value <= 8 ? (int)value : 1;
}

int ft_exif_orientation(const uint8_t *tiff, size_t n)
{
    static const uint8_t head[6] = { 'E', 'x', 'i', 'f', 0, 0 };
    int orientation = 0;
    if (n < 8 || n > LONGEST)
        return 0;
    uint8_t *block = malloc(n + sizeof head);
    ExifData *data;
    if (!block)
        return FT_ENOMEM;
    memcpy(block, head, sizeof head);
    memcpy(block + sizeof head, tiff, n);
    const int rc = ft_exif_load(block, n + sizeof head, &data, NULL);
    free(block);
    if (rc)
        return rc;
    const ExifEntry *entry = exif_content_get_entry(data->ifd[EXIF_IFD_0], EXIF_TAG_ORIENTATION);
    if (entry)
        orientation = value_of(entry, exif_data_get_byte_order(data));
    exif_data_unref(data);
    return orientation;
}

int ft_xmp_orientation(const uint8_t *xmp, size_t n)
{
    static const char tag[] = "tiff:Orientation";
    const size_t length = sizeof tag - 1;
    if (!n) /* xmp may be NULL */
        return 0;
    for (const uint8_t *s = xmp, *end = xmp + (n < LONGEST ? n : LONGEST);
         (s = memmem(s, (size_t)(end - s), tag, length));) {
        s += length;
        const size_t skip = end - s > 3 && s[0] == '=' && (s[1] == '"' || s[1] == '\'') ? 2
                            : end - s > 2 && s[0] == '>'                                ? 1
                                                                                        : 0;
        if (skip && s[skip] >= '0' && s[skip] <= '9')
            return s[skip] >= '1' && s[skip] <= '8' ? s[skip] - '0' : 1;
    }
    return 0;
}

/* Where stored pixel (0, 0) lands in the upright picture, and the step of a stored column and row
 * there. */
struct walk {
    ptrdiff_t start, column, row;
};

static struct walk walk_of(int orientation, int width, int height)
{
    const ptrdiff_t w = width, h = height; /* as stored */
    switch (orientation) {
    case 2:
        return (struct walk){ w - 1, -1, w };
    case 3:
        return (struct walk){ h * w - 1, -1, -w };
    case 4:
        return (struct walk){ (h - 1) * w, 1, -w };
    case 5:
        return (struct walk){ 0, h, 1 };
    case 6:
        return (struct walk){ h - 1, h, -1 };
    case 7:
        return (struct walk){ w * h - 1, -h, -1 };
    case 8:
        return (struct walk){ (w - 1) * h, -h, 1 };
    default:
        return (struct walk){ 0, 1, w };
    }
}

/* Tiles keep the strided side of a transposition in the cache. */
static void copy_turned(const uint8_t *from, uint8_t *to, int width, int height,
                        const struct walk *walk)
{
    enum { TILE = 32 };
    for (int y0 = 0; y0 < height; y0 += TILE)
        for (int x0 = 0; x0 < width; x0 += TILE) {
            const int y1 = height - y0 < TILE ? height : y0 + TILE,
                      x1 = width - x0 < TILE ? width : x0 + TILE;
            for (int y = y0; y < y1; y++) {
                const uint8_t *s = from + ((ptrdiff_t)y * width + x0) * 3;
                uint8_t *d = to + (walk->start + y * walk->row + x0 * walk->column) * 3;
                for (int x = x0; x < x1; x++, s += 3, d += walk->column * 3) {
                    d[0] = s[0];
                    d[1] = s[1];
                    d[2] = s[2];
                }
            }
        }
}

static void swap_int(int *a, int *b)
{
    const int t = *a;
    *a = *b;
    *b = t;
}

int ft_image_turn(struct ft_image *image, int orientation, struct ft_error *err)
{
    if (orientation <= 1)
        return 0;
    struct ft_image turned = { 0 };
    const int rc = ft_image_reserve(&turned, image->width, image->height, 3, err);
    if (rc)
        return rc;
    const struct walk walk = walk_of(orientation, image->width, image->height);
    copy_turned(image->pixels, turned.pixels, image->width, image->height, &walk);
    free(image->pixels);
    image->pixels = turned.pixels;
    image->capacity = turned.capacity;
    if (orientation >= 5) {
        swap_int(&image->width, &image->height);
        swap_int(&image->full_width, &image->full_height);
        const double scale = image->scale_x;
        image->scale_x = image->scale_y;
        image->scale_y = scale;
    }
    /* A reduced picture's last column may stand for less than a whole one: when it comes first now,
     * the rest moves. */
    if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 6)
        image->left = image->width - image->full_width * image->scale_x;
    if (orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8)
        image->top = image->height - image->full_height * image->scale_y;
    return 0;
}
