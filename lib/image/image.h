/* From the bytes of a file to pixels: the format is recognised by the content, the picture is
 * decoded to RGB (at a reduced scale if that is enough), turned upright and resized as Pillow
 * does. */
#ifndef FT_IMAGE_IMAGE_H
#define FT_IMAGE_IMAGE_H

#include "image/resize.h"

/* Messages say what is wrong with the picture ("truncated JPEG"), without the name of the file. */
int ft_image_decode(const uint8_t *bytes, size_t n, const struct ft_decode_request *request,
                    struct ft_image *out, struct ft_error *err);

/* Buffers for preparing pictures: zero the struct before its first use, and use one per thread. */
struct ft_preparer {
    struct ft_image image;
    struct ft_resizer resizer;
    struct ft_claim claim;
    uint64_t full_pixels; /* of the last picture, as it is in the file */
    bool more;            /* that file has further frames or pages */
};
/* Bytes that all threads of a job decode in together; a larger picture is decoded alone. */
#define FT_IMAGE_MEMORY ((uint64_t)512 << 20)
void ft_preparer_release(struct ft_preparer *preparer);
/* Returns what the last picture claimed, and frees a large buffer. ft_image_prepare and
 * ft_image_facts end with it. */
void ft_preparer_finish(struct ft_preparer *preparer);

/* Decodes a picture and converts it to the network's input: out [geometry.height, geometry.width,
 * 3] RGB. */
int ft_image_prepare(struct ft_preparer *preparer, const uint8_t *bytes, size_t n,
                     const struct ft_geometry *geometry, uint64_t max_pixels, uint8_t *out,
                     struct ft_error *err);

/* Resizes a decoded picture to the network's input: the second half of ft_image_prepare. */
int ft_image_fit(const struct ft_image *image, const struct ft_geometry *geometry,
                 struct ft_resizer *resizer, uint8_t *out, struct ft_error *err);

/* Converts pixels [n, 3] RGB to [n] grey in place, as Pillow's convert("L") does. */
void ft_image_to_grey(uint8_t *pixels, size_t n);

/* The box, in upright full-size pixels, that `geometry` takes from a picture. With the rule PAD it
 * is the whole picture. */
void ft_geometry_box(const struct ft_geometry *geometry, int width, int height, double box[4]);

/* Fills all of `out` except status. */
int ft_image_facts(struct ft_preparer *preparer, const uint8_t *bytes, size_t n,
                   uint64_t max_pixels, struct ft_facts *out, struct ft_error *err);

/* Encodes pixels [height, width, 3] as a JPEG of *n bytes. *out must be freed with free(). */
int ft_image_encode_jpeg(const uint8_t *pixels, int width, int height, int quality, uint8_t **out,
                         size_t *n, struct ft_error *err);

/* Writes pixels [height, width, 3] to a file, which is replaced atomically: a JPEG if its name ends
 * in .jpg or .jpeg, a PNG if it ends in .png or has no ending. Other endings are an error. */
int ft_image_write(const char *path, const uint8_t *pixels, int width, int height,
                   struct ft_error *err);

#endif
