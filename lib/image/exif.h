/* The EXIF block of a picture, parsed by libexif. */
#ifndef FT_IMAGE_EXIF_H
#define FT_IMAGE_EXIF_H

#include <libexif/exif-data.h>
#include <stddef.h>
#include <stdint.h>

#include "finetune-tools.h"

/* Parses a block that begins with "Exif\0\0", or a JPEG file's first n bytes. A damaged block gives
 * the tags before the damage. The caller frees *out with exif_data_unref(). Fails with FT_ENOMEM
 * only. Any thread. */
int ft_exif_load(const uint8_t *bytes, size_t n, ExifData **out, struct ft_error *err);

#endif
