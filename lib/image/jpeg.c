/* JPEG through libjpeg-turbo: every kind that it decodes, to RGB, at a reduced scale where the
 * caller allows it.
 *
 * What counts as a bad picture: everything libjpeg calls an error, and those of its warnings after
 * which pixels are made up (the file ends early, a code is invalid, a marker stands in the middle
 * of the data). Its harmless warnings, such as superfluous bytes before a marker, are common in
 * photographs that every program opens, and are ignored.
 *
 * CMYK and YCCK are read as Adobe writes them, inverted, and converted to RGB by (255 - ink) (255 -
 * black) / 255, as Pillow does. The inverse DCT and chroma upsampling are libjpeg's accurate ones,
 * which are Pillow's default. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "base/error.h"
#include "image/formats.h"
#include "image/icc.h"
#include "image/orient.h"

ft_decoder ft_jpeg_decode;

/* Enough for libjpeg's row buffers and the coefficients of a progressive picture, but not for a
 * forged sampling. */
#define MEMORY_BASE      (64L << 20)
#define MEMORY_PER_PIXEL 8
/* A progressive picture has about 10 scans; each one more costs a pass over all of it. */
#define SCANS_MAX 100

struct jpeg_reader {
    struct jpeg_decompress_struct codec;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    const uint8_t *bytes;
    size_t n;
    const struct ft_decode_request *request;
    struct ft_image *out;
    int orientation;
    struct ft_icc *icc;
    uint8_t *profile; /* allocated by libjpeg */
    struct ft_error *err;
    int rc;
};

static struct jpeg_reader *reader_of(j_common_ptr codec)
{
    return codec->client_data;
}

_Noreturn static void give_up(struct jpeg_reader *r, int rc)
{
    r->rc = rc;
    longjmp(r->escape, 1);
}

_Noreturn static void fail_jpeg(j_common_ptr codec)
{
    struct jpeg_reader *r = reader_of(codec);
    const int code = codec->err->msg_code;
    char message[JMSG_LENGTH_MAX];
    codec->err->format_message(codec, message);
    if (message[0] >= 'A' && message[0] <= 'Z')
        message[0] |= 0x20;
    if (code == JERR_OUT_OF_MEMORY)
        give_up(r, ft_error_nomem(r->err, "a picture"));
    if (code == JERR_NO_BACKING_STORE)
        give_up(r, ft_error_set(
                       r->err, FT_ELIMIT,
                       "decoding this JPEG takes more memory than a picture of its size should"));
    if (code == JERR_BAD_PRECISION || code == JERR_SOF_UNSUPPORTED ||
        code == JERR_CONVERSION_NOTIMPL)
        give_up(r, ft_error_set(r->err, FT_EUNSUPPORTED,
                                "a rare kind of JPEG (%s): convert it first", message));
    if (code == JWRN_JPEG_EOF || code == JERR_INPUT_EMPTY || code == JERR_INPUT_EOF)
        give_up(r, ft_error_set(r->err, FT_EFORMAT,
                                "truncated JPEG: the file ends before the picture does"));
    give_up(r, ft_error_set(r->err, FT_EFORMAT, "damaged JPEG: %s", message));
}

/* Level -1 is a warning, above it are traces. */
static void judge_warning(j_common_ptr codec, int level)
{
    static const int fatal[] = { JWRN_JPEG_EOF, JWRN_HIT_MARKER, JWRN_HUFF_BAD_CODE,
                                 JWRN_ARITH_BAD_CODE, JWRN_MUST_RESYNC };
    if (level >= 0)
        return;
    codec->err->num_warnings++;
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        if (codec->err->msg_code == fatal[i])
            fail_jpeg(codec);
}

static void print_nothing(j_common_ptr codec)
{
    (void)codec;
}

static void count_scans(j_common_ptr codec)
{
    struct jpeg_reader *r = reader_of(codec);
    if (r->codec.input_scan_number > SCANS_MAX)
        give_up(r, ft_error_set(r->err, FT_ELIMIT, "damaged JPEG: more than %d scans", SCANS_MAX));
}

/* The block of an APP1 marker that begins with `head` (of `skip` bytes), or NULL. */
static const uint8_t *block_of(const struct jpeg_decompress_struct *codec, const char *head,
                               size_t skip, size_t *n)
{
    for (jpeg_saved_marker_ptr m = codec->marker_list; m; m = m->next)
        if (m->marker == JPEG_APP0 + 1 && m->data_length > skip && !memcmp(m->data, head, skip)) {
            *n = m->data_length - skip;
            return m->data + skip;
        }
    return NULL;
}

/* EXIF goes before XMP, as in Pillow. */
static int orientation_of(const struct jpeg_decompress_struct *codec)
{
    static const char exif_head[] = "Exif\0", xmp_head[] = "http://ns.adobe.com/xap/1.0/";
    size_t n;
    const uint8_t *exif = block_of(codec, exif_head, sizeof exif_head, &n);
    const int orientation = exif ? ft_exif_orientation(exif, n) : 0;
    if (orientation)
        return orientation;
    const uint8_t *xmp = block_of(codec, xmp_head, sizeof xmp_head, &n);
    return xmp ? ft_xmp_orientation(xmp, n) : 0;
}

/* A Huffman-coded block of 8 x 8 pixels takes at least one bit, so a small file cannot hold a large
 * picture. This is checked before memory is allocated. */
static int check_size(struct jpeg_reader *r)
{
    const uint64_t width = r->codec.image_width, height = r->codec.image_height;
    const int rc = ft_image_check_limit(width, height, r->request, r->err);
    if (rc)
        return rc;
    return ft_image_check_length("JPEG", r->n, r->codec.arith_code ? 0 : width * height / 512,
                                 width, height, r->err);
}

static void cmyk_to_rgb(const uint8_t *s, uint8_t *d, size_t width)
{
    for (; width--; s += 4, d += 3)
        for (int c = 0; c < 3; c++) /* stored values are 255 - ink */
            d[c] = ft_image_ink_to_light((uint8_t)(255 - s[c]), (uint8_t)(255 - s[3]));
}

static void invert(uint8_t *s, size_t n)
{
    for (; n--; s++)
        *s = (uint8_t)(255 - *s);
}

static void read_rows(struct jpeg_reader *r)
{
    enum { BATCH = 16 };
    struct jpeg_decompress_struct *codec = &r->codec;
    const size_t stride = (size_t)codec->output_width * 3;
    const bool cmyk = codec->out_color_space == JCS_CMYK;
    JSAMPARRAY inks = cmyk ? codec->mem->alloc_sarray((j_common_ptr)codec, JPOOL_IMAGE,
                                                      codec->output_width * 4, 1)
                           : NULL;
    while (codec->output_scanline < codec->output_height) {
        uint8_t *to = r->out->pixels + codec->output_scanline * stride;
        JSAMPROW rows[BATCH];
        for (size_t i = 0; i < BATCH; i++)
            rows[i] = to + (codec->output_scanline + i < codec->output_height ? i * stride : 0);
        jpeg_read_scanlines(codec, cmyk ? inks : rows, cmyk ? 1 : BATCH);
        if (cmyk && r->icc)
            invert(inks[0], (size_t)codec->output_width * 4);
        if (cmyk && r->icc)
            ft_icc_convert(r->icc, inks[0], to, codec->output_width);
        else if (cmyk)
            cmyk_to_rgb(inks[0], to, codec->output_width);
    }
    if (!cmyk)
        ft_icc_convert(r->icc, r->out->pixels, r->out->pixels,
                       (size_t)codec->output_width * codec->output_height);
}

static int open_profile(struct jpeg_reader *r)
{
    unsigned n;
    const int colours = r->codec.num_components;
    const struct ft_icc_layout layout = { colours, colours == 4 ? 4 : 3, 3 };
    if (!r->request || !r->request->icc || !jpeg_read_icc_profile(&r->codec, &r->profile, &n))
        return 0;
    return ft_icc_open(r->request, r->profile, n, &layout, &r->icc, r->err);
}

/* Pixels, twice if they are turned, and the coefficients of all scans. */
static void claim_memory(const struct jpeg_reader *r)
{
    const struct jpeg_decompress_struct *codec = &r->codec;
    const uint64_t pixels = (uint64_t)codec->output_width * codec->output_height,
                   stored = (uint64_t)codec->image_width * codec->image_height;
    ft_image_claim(r->request, pixels * 3 * (r->orientation > 1 ? 2 : 1) +
                                   (jpeg_has_multiple_scans((j_decompress_ptr)codec)
                                        ? stored * (uint64_t)codec->num_components * sizeof(JCOEF)
                                        : 0));
}

static int read_picture(struct jpeg_reader *r)
{
    struct jpeg_decompress_struct *codec = &r->codec;
    jpeg_mem_src(codec, r->bytes, (unsigned long)r->n);
    jpeg_save_markers(codec, JPEG_APP0 + 1, 0xffff);
    if (r->request && r->request->icc)
        jpeg_save_markers(codec, JPEG_APP0 + 2, 0xffff);
    jpeg_read_header(codec, TRUE);
    int rc = check_size(r);
    if (!rc)
        rc = open_profile(r);
    if (rc)
        return rc;
    r->orientation = orientation_of(codec);
    if (r->orientation < 0)
        return ft_error_nomem(r->err, "a picture");
    codec->mem->max_memory_to_use =
        MEMORY_BASE + (long)codec->image_width * (long)codec->image_height * MEMORY_PER_PIXEL;
    codec->progress = &r->progress;
    codec->out_color_space = codec->num_components == 4 ? JCS_CMYK : JCS_RGB;
    /* Beyond a factor of 2 the time is mostly entropy decoding, which no scale avoids: 4000 x 3000
     * pixels in a file of 2 MB (quality 88, 4:2:0) become a network's 224 x 224 in 21.8 ms of one
     * core, and jpeg_read_coefficients alone takes 20.2; progressive, 87.9 and 84.9. At 2 eighths,
     * where such a picture is decoded, the inverse DCTs read coefficients of all frequencies, so no
     * scan can be left out without changing pixels. */
    codec->scale_num = (unsigned)ft_image_eighths(r->request, (int)codec->image_width,
                                                  (int)codec->image_height, r->orientation);
    codec->scale_denom = 8;
    jpeg_calc_output_dimensions(codec);
    claim_memory(r);
    jpeg_start_decompress(codec);
    rc = ft_image_reserve(r->out, (int)codec->output_width, (int)codec->output_height, 3, r->err);
    if (rc)
        return rc;
    r->out->full_width = (int)codec->image_width;
    r->out->full_height = (int)codec->image_height;
    r->out->scale_x = r->out->scale_y = codec->scale_num / 8.0;
    read_rows(r);
    jpeg_finish_decompress(codec); /* fails if the end marker is missing */
    return 0;
}

/* All state is in the caller's struct, so no local variable changes after setjmp. */
static void run(struct jpeg_reader *r)
{
    if (setjmp(r->escape))
        return;
    jpeg_create_decompress(&r->codec);
    r->rc = read_picture(r);
}

int ft_jpeg_decode(const uint8_t *bytes, size_t n, const struct ft_decode_request *request,
                   struct ft_image *out, int *orientation, struct ft_error *err)
{
    struct jpeg_reader r = {
        .bytes = bytes, .n = n, .request = request, .out = out, .orientation = 1, .err = err
    };
    r.codec.err = jpeg_std_error(&r.errors);
    r.errors.error_exit = fail_jpeg;
    r.errors.emit_message = judge_warning;
    r.errors.output_message = print_nothing;
    r.progress.progress_monitor = count_scans;
    r.codec.client_data = &r;
    run(&r);
    jpeg_destroy_decompress(&r.codec);
    ft_icc_free(r.icc);
    free(r.profile);
    *orientation = r.orientation;
    return r.rc;
}
