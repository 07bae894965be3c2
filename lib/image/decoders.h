/* Private to image/: what the decoders of one format each, and the steps after them, offer to
 * image.c. */
#ifndef FT_IMAGE_DECODERS_H
#define FT_IMAGE_DECODERS_H

#include <stddef.h>
#include <stdint.h>

#include "image/image.h"

/* Rows that are read by vectors may be read this many bytes past their end. */
#define FT_IMAGE_SLACK 64

/* Both decode into `out` as stored, not yet upright, with out->full_width and full_height as stored
 * too; *orientation is the EXIF one, 1..8. */
int ft_jpeg_decode(const uint8_t *bytes, size_t n, const struct ft_decode_request *request,
                   struct ft_image *out, int *orientation, struct ft_error *err);
int ft_png_decode(const uint8_t *bytes, size_t n, const struct ft_decode_request *request,
                  struct ft_image *out, int *orientation, struct ft_error *err);

/* FT_ELIMIT when width * height is more than the request allows, FT_EFORMAT when there is no pixel.
 */
int ft_image_check_limit(uint64_t width, uint64_t height, const struct ft_decode_request *request,
                         struct ft_error *err);

/* Makes room for [height, width, channels] bytes in out->pixels and sets width and height; what was
 * there is lost. */
int ft_image_reserve(struct ft_image *out, int width, int height, int channels,
                     struct ft_error *err);

/* The orientation tag of a TIFF structure (the EXIF block after "Exif\0\0"), 1 when there is none
 * or it is nonsense. */
int ft_exif_orientation(const uint8_t *tiff, size_t n);

/* Turns a picture stored in this orientation upright. */
int ft_image_turn(struct ft_image *image, int orientation, struct ft_error *err);

/* ft_image_resize to rows that are `stride` bytes apart. */
int ft_image_resize_into(const struct ft_image *image, const double box[4], int width, int height,
                         enum ft_resize_filter filter, struct ft_resizer *resizer, uint8_t *out,
                         size_t stride, struct ft_error *err);

#endif
