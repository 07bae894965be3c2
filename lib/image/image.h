/* Bytes to pixels: the content is sniffed, decoded (JPEG at a reduced scale where that is enough),
 * turned upright by its EXIF orientation, made RGB and resized as Pillow does. */
#ifndef FT_IMAGE_IMAGE_H
#define FT_IMAGE_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "finetune.h"

#define FT_IMAGE_MAX_PIXELS_DEFAULT (UINT64_C(256) << 20)

enum ft_image_format {
    FT_IMAGE_UNKNOWN,
    FT_IMAGE_JPEG,
    FT_IMAGE_PNG,
    FT_IMAGE_OTHER /* a picture, but not for us: GIF, WebP, ... */
};

/* From the first bytes; 16 are enough. *name (may be NULL) becomes "JPEG", "PNG", "GIF", ... or
 * NULL when unknown. */
enum ft_image_format ft_image_sniff(const uint8_t *bytes, size_t n, const char **name);

struct ft_image {
    int width, height;
    /* [height, width, 3] RGB, malloc'd; the buffer is reused by the next decode into the same
     * struct */
    uint8_t *pixels;
    size_t capacity;
    int full_width, full_height; /* of the upright picture before any reduction */
    /* full-size point (x, y) is at (left + scale x, top + scale y) of the pixels */
    double scale, left, top;
};
void ft_image_release(struct ft_image *image);

struct ft_decode_request {
    /* 0: FT_IMAGE_MAX_PIXELS_DEFAULT; a larger picture is FT_ELIMIT, before its memory is asked for
     */
    uint64_t max_pixels;
    /* The caller shrinks the upright picture by this factor (source side over target side): a
     * decoder may deliver it reduced by less than that. 0 or 1: full size. May be NULL: full size.
     * Given the full upright size, returns the factor. */
    double (*shrink)(const void *user, int full_width, int full_height);
    const void *user;
};

/* Messages say what is wrong with the picture ("truncated JPEG", "a GIF picture: ..."), without the
 * file's name. */
int ft_image_decode(const uint8_t *bytes, size_t n, const struct ft_decode_request *request,
                    struct ft_image *out, struct ft_error *err);

/* Scratch memory for resizing, zeroed at first, reused across pictures, one a thread. */
struct ft_resizer {
    void *memory;
    size_t capacity;
};
void ft_resizer_release(struct ft_resizer *resizer);

/* out [height, width, 3]: box {x0, y0, x1, y1} of the image, in its pixels, antialiased; equals
 * Pillow's Image.resize((width, height), filter, box) to one grey level. */
int ft_image_resize(const struct ft_image *image, const double box[4], int width, int height,
                    enum ft_resize_filter filter, struct ft_resizer *resizer, uint8_t *out,
                    struct ft_error *err);

/* All of it: bytes to the network's input, out [geometry.height, geometry.width, 3] RGB. */
struct ft_preparer { /* zeroed at first, one a thread */
    struct ft_image image;
    struct ft_resizer resizer;
};
void ft_preparer_release(struct ft_preparer *preparer);
int ft_image_prepare(struct ft_preparer *preparer, const uint8_t *bytes, size_t n,
                     const struct ft_geometry *geometry, uint64_t max_pixels, uint8_t *out,
                     struct ft_error *err);

/* In place: pixels [n, 3] RGB become [n] grey, as Pillow's convert("L") does. */
void ft_image_to_grey(uint8_t *pixels, size_t n);

/* The box (in upright full-size pixels) that `geometry` takes from a picture; rule PAD: the whole
 * picture. */
void ft_geometry_box(const struct ft_geometry *geometry, int width, int height, double box[4]);

/* Everything of `out` but status. */
int ft_image_facts(struct ft_preparer *preparer, const uint8_t *bytes, size_t n,
                   uint64_t max_pixels, struct ft_facts *out, struct ft_error *err);

/* Pixels [height, width, 3] to a JPEG in memory; free() *out. */
int ft_image_encode_jpeg(const uint8_t *pixels, int width, int height, int quality, uint8_t **out,
                         size_t *n, struct ft_error *err);

/* Pixels [height, width, 3] to a PNG file, replaced atomically. */
int ft_image_write_png(const char *path, const uint8_t *pixels, int width, int height,
                       struct ft_error *err);

#endif
