/* The buffer that every decoder fills, and the checks that come before it is allocated. */
#ifndef FT_IMAGE_PIXELS_H
#define FT_IMAGE_PIXELS_H

#include <stddef.h>
#include <stdint.h>

#include "base/budget.h"
#include "finetune-tools.h"

#define FT_IMAGE_MAX_PIXELS_DEFAULT (UINT64_C(256) << 20)

/* Vector code may read and write rows up to this many bytes past their end. */
#define FT_IMAGE_SLACK 64

struct ft_image {
    int width, height;
    /* [height, width, 3] RGB, owned. The next decode into the same struct reuses the buffer. */
    uint8_t *pixels;
    size_t capacity;
    int full_width, full_height; /* of the upright picture before any reduction */
    /* The point (x, y) of the full picture is at (left + scale_x x, top + scale_y y) of the pixels.
     */
    double scale_x, scale_y, left, top;
    bool more; /* the file has further frames or pages, which are not decoded */
};
void ft_image_release(struct ft_image *image);

struct ft_decode_request {
    /* A larger picture fails with FT_ELIMIT before its memory is allocated. 0:
     * FT_IMAGE_MAX_PIXELS_DEFAULT. */
    uint64_t max_pixels;
    /* Returns the factor by which the caller will shrink the upright picture of this full size
     * (source side over target side). A decoder may deliver a picture that is reduced by less than
     * that. 0 or 1 means full size. Nullable: full size. */
    double (*shrink)(const void *user, int full_width, int full_height);
    const void *user;
    struct ft_claim *claim; /* nullable */
    bool icc;               /* convert the colours of the file's ICC profile to sRGB */
};

/* The part of a shared budget that the picture under way takes. */
struct ft_claim {
    struct ft_budget *budget; /* borrowed; nullable: memory is not limited */
    uint64_t bytes;
};
/* A decoder calls this once for each picture, before it allocates: waits until the budget of all
 * threads has that much. The caller that requested the picture returns it
 * with ft_claim_return. */
void ft_image_claim(const struct ft_decode_request *request, uint64_t bytes);
void ft_claim_return(struct ft_claim *claim);

/* Fails with FT_ELIMIT if width * height exceeds the request's limit, and with FT_EFORMAT if there
 * are no pixels. `request` is nullable. */
int ft_image_check_limit(uint64_t width, uint64_t height, const struct ft_decode_request *request,
                         struct ft_error *err);

/* Checks the limit, and claims 8 bytes for each pixel: the whole decoded picture, and the buffers
 * of a library that has a copy of it. */
int ft_image_admit(uint64_t width, uint64_t height, const struct ft_decode_request *request,
                   struct ft_error *err);
/* Fails with FT_EFORMAT if a file of n bytes is too short for a picture of this size. `least` is
 * the smallest number of bytes that it can take. */
int ft_image_check_length(const char *format, size_t n, uint64_t least, uint64_t width,
                          uint64_t height, struct ft_error *err);

/* How far a decoder may reduce a picture of this stored size: the smallest of 8, 4, 2 and 1 eighths
 * that leaves the picture FT_REDUCTION_MARGIN times larger than what the request shrinks it to. The
 * rest is for the resizing filter, which aliases less than a decoder does. */
#define FT_REDUCTION_MARGIN 2.0
int ft_image_eighths(const struct ft_decode_request *request, int width, int height,
                     int orientation);

/* Allocates [height, width, channels] bytes in out->pixels, and sets the sizes and an identity
 * scale. The old pixels are lost. */
int ft_image_reserve(struct ft_image *out, int width, int height, int channels,
                     struct ft_error *err);

/* The red, green or blue of an ink (cyan, magenta or yellow) and black, in Pillow's order of
 * rounding: 255 - black - round(ink (255 - black) / 255). */
static inline uint8_t ft_image_ink_to_light(uint8_t ink, uint8_t black)
{
    const unsigned light = 255u - black;
    return (uint8_t)(light - (ink * light + 127) / 255);
}

/* Converts [n, 4] RGBA to [n, 3] RGB over white, rounded to nearest. `to` may equal `from`. */
void ft_image_over_white(const uint8_t *from, uint8_t *to, size_t n);
/* The same for colours that are multiplied by alpha. */
void ft_image_premultiplied_over_white(const uint8_t *from, uint8_t *to, size_t n);

#endif
