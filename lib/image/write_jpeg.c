/* Pixels to JPEG bytes in memory: thumbnails for reports. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

#include "base/error.h"
#include "image/image.h"

struct writer {
    struct jpeg_compress_struct codec;
    struct jpeg_error_mgr errors;
    jmp_buf escape;
    unsigned char *bytes;
    unsigned long n;
    bool has_buffer;
};

_Noreturn static void give_up(j_common_ptr codec)
{
    longjmp(((struct writer *)codec->client_data)->escape, 1);
}

int ft_image_encode_jpeg(const uint8_t *pixels, int width, int height, int quality, uint8_t **out,
                         size_t *n, struct ft_error *err)
{
    struct writer *w = calloc(1, sizeof *w);
    if (!w)
        return ft_error_nomem(err, "a thumbnail");
    w->codec.err = jpeg_std_error(&w->errors);
    w->errors.error_exit = give_up;
    w->codec.client_data = w;
    int rc = 0;
    if (setjmp(w->escape)) {
        rc = ft_error_set(err, FT_ENOMEM, "cannot make a JPEG of %d x %d pixels", width, height);
        if (w->has_buffer) /* may have moved the buffer, and reports its address only at the end */
            w->codec.dest->term_destination(&w->codec);
        free(w->bytes);
    } else {
        jpeg_create_compress(&w->codec);
        jpeg_mem_dest(&w->codec, &w->bytes, &w->n);
        w->has_buffer = true;
        w->codec.image_width = (JDIMENSION)width;
        w->codec.image_height = (JDIMENSION)height;
        w->codec.input_components = 3;
        w->codec.in_color_space = JCS_RGB;
        jpeg_set_defaults(&w->codec);
        jpeg_set_quality(&w->codec, quality, TRUE);
        w->codec.optimize_coding = TRUE;
        jpeg_start_compress(&w->codec, TRUE);
        while (w->codec.next_scanline < w->codec.image_height) {
            JSAMPROW row =
                (JSAMPROW)(uintptr_t)(pixels + 3 * (size_t)w->codec.next_scanline * (size_t)width);
            jpeg_write_scanlines(&w->codec, &row, 1);
        }
        jpeg_finish_compress(&w->codec);
        *out = w->bytes;
        *n = w->n;
    }
    jpeg_destroy_compress(&w->codec);
    free(w);
    return rc;
}
