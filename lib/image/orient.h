/* EXIF orientation: reading the tag, and turning a stored picture upright. */
#ifndef FT_IMAGE_ORIENT_H
#define FT_IMAGE_ORIENT_H

#include "image/pixels.h"

/* The orientation tag, 1 to 8, of a TIFF structure (the EXIF block after "Exif\0\0"); 0 if it is
 * absent or invalid, FT_ENOMEM if memory runs out. */
int ft_exif_orientation(const uint8_t *tiff, size_t n);

/* The same of an XMP packet (tiff:Orientation as an attribute or an element). */
int ft_xmp_orientation(const uint8_t *xmp, size_t n);

/* Turns a picture that is stored in this orientation upright. 0 and 1 change nothing. */
int ft_image_turn(struct ft_image *image, int orientation, struct ft_error *err);

#endif
