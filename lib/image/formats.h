/* The picture formats: one table says how each is recognised, decoded and named. To add a format,
 * write its decoder in a file of its own and add a row to the table in formats.c. */
#ifndef FT_IMAGE_FORMATS_H
#define FT_IMAGE_FORMATS_H

#include <stdbool.h>

#include "image/pixels.h"

/* Decodes a file of n bytes to the pixels of `out`, as stored and not yet upright; so are
 * out->full_width and full_height. *orientation is as in EXIF, 1 to 8. It is 1 before the call, and
 * 0 means the same. Messages say what is wrong with the picture ("truncated JPEG"), without the
 * name of the file. Thread-safe. */
typedef int ft_decoder(const uint8_t *bytes, size_t n, const struct ft_decode_request *request,
                       struct ft_image *out, int *orientation, struct ft_error *err);

struct ft_format {
    const char *name;    /* "JPEG" */
    const char *endings; /* of file names: "jpg jpeg" */
    /* NULL: the format is recognised, and then refused */
    ft_decoder *decode;
    /* what a build needs to decode it, or NULL */
    const char *library;
    /* The first bytes of a file in this format. '?' stands for any byte, '_' for white space, '@'
     * for a digit or '#'. */
    struct ft_magic {
        const char *bytes;
        size_t n;
    } magic[6];
};

/* Ends with a row that has no name. The more common formats come first. */
extern const struct ft_format ft_formats[];

/* The format of a file by its first bytes, of which 16 are enough; NULL: unknown. */
const struct ft_format *ft_format_of(const uint8_t *bytes, size_t n);

/* Whether a file name has the ending of a picture format. */
bool ft_format_names(const char *name);

/* Why a file that no decoder takes is refused: it is empty, unknown or in an unsupported format.
 * Returns the error code. */
int ft_format_refuse(const struct ft_format *format, size_t n, struct ft_error *err);

#endif
