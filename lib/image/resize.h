/* Antialiased resizing. */
#ifndef FT_IMAGE_RESIZE_H
#define FT_IMAGE_RESIZE_H

#include "image/pixels.h"

/* Scratch memory for resizing: zero the struct before its first use, and use one per thread. It is
 * reused from picture to picture. */
struct ft_resizer {
    void *memory;
    size_t capacity;
};
void ft_resizer_release(struct ft_resizer *resizer);

/* Resizes the box {x0, y0, x1, y1} of the image, in its pixels, to out [height, width, 3]. The
 * bytes equal those of Pillow's Image.resize((width, height), filter, box). */
int ft_image_resize(const struct ft_image *image, const double box[4], int width, int height,
                    enum ft_resize_filter filter, struct ft_resizer *resizer, uint8_t *out,
                    struct ft_error *err);

/* The same to rows that are `stride` bytes apart. */
int ft_image_resize_into(const struct ft_image *image, const double box[4], int width, int height,
                         enum ft_resize_filter filter, struct ft_resizer *resizer, uint8_t *out,
                         size_t stride, struct ft_error *err);

#endif
