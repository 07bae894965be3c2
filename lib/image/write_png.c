/* Pixels to a PNG file: written to a temporary file that then takes the target's name. */
#include <png.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "image/image.h"

int ft_image_write_png(const char *path, const uint8_t *pixels, int width, int height,
                       struct ft_error *err)
{
    png_image image = { .version = PNG_IMAGE_VERSION,
                        .width = (png_uint_32)width,
                        .height = (png_uint_32)height,
                        .format = PNG_FORMAT_RGB };
    struct ft_replacement file = { 0 };
    if (width < 1 || height < 1)
        return ft_error_set(err, FT_EARG, "cannot write '%s': a picture of %d x %d pixels", path,
                            width, height);
    int rc = ft_replace_begin(path, &file, err);
    if (rc)
        return rc;
    if (png_image_write_to_file(&image, file.path, 0, pixels, 0, NULL))
        rc = ft_replace_commit(&file, err);
    else
        rc = ft_error_set(err, FT_EIO, "cannot write '%s': %s", path, image.message);
    ft_replace_abort(&file);
    return rc;
}
