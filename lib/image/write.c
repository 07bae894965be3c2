/* Pixels to a file: written to a temporary file that then takes the target's name. */
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/file.h"
#include "image/image.h"

enum { JPEG_QUALITY = 92 };

static int write_png(const struct ft_replacement *file, const char *path, const uint8_t *pixels,
                     int width, int height, struct ft_error *err)
{
    png_image image = { .version = PNG_IMAGE_VERSION,
                        .width = (png_uint_32)width,
                        .height = (png_uint_32)height,
                        .format = PNG_FORMAT_RGB };
    if (png_image_write_to_file(&image, file->path, 0, pixels, 0, NULL))
        return 0;
    return ft_error_set(err, FT_EIO, "cannot write '%s': %s", path, image.message);
}

static int write_jpeg(const struct ft_replacement *file, const char *path, const uint8_t *pixels,
                      int width, int height, struct ft_error *err)
{
    uint8_t *bytes;
    size_t n;
    int rc = ft_image_encode_jpeg(pixels, width, height, JPEG_QUALITY, &bytes, &n, err);
    if (rc)
        return rc;
    FILE *out = fopen(file->path, "wb");
    bool ok = out && fwrite(bytes, 1, n, out) == n;
    if (out)
        ok = !fclose(out) && ok;
    if (!ok)
        rc = ft_error_errno(err, "cannot write '%s'", path);
    free(bytes);
    return rc;
}

int ft_image_write(const char *path, const uint8_t *pixels, int width, int height,
                   struct ft_error *err)
{
    struct ft_replacement file = { 0 };
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    const bool jpeg = dot && (!strcasecmp(dot, ".jpg") || !strcasecmp(dot, ".jpeg"));
    if (dot && !jpeg && strcasecmp(dot, ".png"))
        return ft_error_set(err, FT_EARG, "cannot write '%s': the name must end in .png or .jpg",
                            path);
    if (width < 1 || height < 1)
        return ft_error_set(err, FT_EARG, "cannot write '%s': a picture of %d x %d pixels", path,
                            width, height);
    int rc = ft_replace_begin(path, &file, err);
    if (rc)
        return rc;
    rc = jpeg ? write_jpeg(&file, path, pixels, width, height, err)
              : write_png(&file, path, pixels, width, height, err);
    if (!rc)
        rc = ft_replace_commit(&file, err);
    ft_replace_abort(&file);
    return rc;
}
