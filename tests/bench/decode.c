/* Decodes a picture and writes it as PPM to standard output: what scripts/formats.py compares. */
#include <stdio.h>

#include "base/file.h"
#include "image/image.h"

int main(int argc, char **argv)
{
    struct ft_bytes bytes = { 0 };
    struct ft_image image = { 0 };
    struct ft_error err = { 0 };
    int rc = argc == 2 ? ft_file_read(argv[1], (size_t)1 << 30, &bytes, &err) : FT_EARG;
    if (!rc)
        rc = ft_image_decode(bytes.data, bytes.size, NULL, &image, &err);
    if (rc)
        fprintf(stderr, "decode: %s\n", argc == 2 ? err.msg : "usage: decode PICTURE");
    else {
        const size_t n = (size_t)image.width * (size_t)image.height;
        printf("P6 %d %d 255\n", image.width, image.height);
        rc = fwrite(image.pixels, 3, n, stdout) != n || fflush(stdout);
    }
    ft_image_release(&image);
    ft_bytes_release(&bytes);
    return rc ? 1 : 0;
}
