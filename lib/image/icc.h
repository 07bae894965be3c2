/* Colour profiles: from the colours that a file's ICC profile describes to sRGB, through lcms2,
 * with the perceptual intent (ICC.1:2022, 6.1.6), which is the default of Pillow's ImageCms. */
#ifndef FT_IMAGE_ICC_H
#define FT_IMAGE_ICC_H

#include "image/pixels.h"

/* A conversion from one profile. One thread may use it at a time. */
struct ft_icc;

/* How pixels of 8-bit samples lie in memory. */
struct ft_icc_layout {
    int colours; /* 1 grey, 3 RGB, 4 CMYK (0: no ink) */
    int from,
        to; /* bytes of one pixel before and after; others than colours are left as they are */
};

/* Returns 0 if profiles can be used, or FT_EUNSUPPORTED with the library that is missing. */
int ft_icc_check(struct ft_error *err);

/* Makes the conversion from the profile of `size` bytes. *out is NULL if the pixels must stay as
 * they are: the request does not want it, there is no profile (size 0), the profile is damaged or
 * of another colour space (so do browsers), or it changes no colour by more than one step, as that
 * of most cameras, which is sRGB. */
int ft_icc_open(const struct ft_decode_request *request, const void *profile, size_t size,
                const struct ft_icc_layout *layout, struct ft_icc **out, struct ft_error *err);
/* Converts n pixels to sRGB. `to` may equal `from` if the pixels have the same number of bytes.
 * Does nothing if `icc` is NULL. */
void ft_icc_convert(const struct ft_icc *icc, const uint8_t *from, uint8_t *to, size_t n);
void ft_icc_free(struct ft_icc *icc); /* nullable */

#endif
