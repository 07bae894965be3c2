/* PNG through libpng: every colour type and depth to RGB of 8 bits.
 *
 * 16-bit samples keep their high byte (as Pillow's RGB;16B does), alpha and transparent colours are
 * laid over white, gamma is ignored (as Pillow and Keras do). The pixels must
 * be complete and their checksums correct. Chunks after them may be damaged. */
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "image/formats.h"
#include "image/icc.h"
#include "image/orient.h"

ft_decoder ft_png_decode;

struct png_reader {
    const uint8_t *bytes;
    size_t n, at;
    const struct ft_decode_request *request;
    struct ft_image *out;
    int orientation;
    struct ft_error *err;
    png_structp png;
    png_infop info;
    png_bytep *rows; /* [height] */
    bool grey;       /* as stored */
    bool no_memory;  /* an allocation failed */
    bool complete;   /* all pixels are decoded: from now on only their checksum matters */
    int rc;
};

static void fail_png(png_structp png, png_const_charp message)
{
    struct png_reader *r = png_get_error_ptr(png);
    if (r->no_memory)
        r->rc = ft_error_nomem(r->err, "a picture");
    else if (!r->complete || !strncmp(message, "IDAT", 4))
        r->rc = r->at > r->n ? ft_error_set(r->err, FT_EFORMAT,
                                            "truncated PNG: the file ends before the picture does")
                             : ft_error_set(r->err, FT_EFORMAT, "damaged PNG: %s", message);
    longjmp(png_jmpbuf(png), 1);
}

/* libpng would call a failed allocation an error of the file. */
static png_voidp allocate(png_structp png, png_alloc_size_t size)
{
    struct png_reader *r = png_get_mem_ptr(png);
    void *p = malloc(size);
    r->no_memory |= !p;
    return p;
}

static void release(png_structp png, png_voidp p)
{
    (void)png;
    free(p);
}

static void ignore_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void read_bytes(png_structp png, png_bytep to, size_t n)
{
    struct png_reader *r = png_get_io_ptr(png);
    if (n > r->n - r->at) {
        r->at = r->n + 1; /* marks the file as too short */
        png_error(png, "end of file");
    }
    memcpy(to, r->bytes + r->at, n);
    r->at += n;
}

/* Only what changes the pixels is read. The rest is skipped: compressed texts and profiles may be
 * bombs. An iTXt chunk, which may hold XMP, is kept as it is. */
static void skip_chunks(png_structp png, bool icc)
{
    static const png_byte skipped[] = "tEXt\0zTXt\0sPLT\0hIST\0tIME\0pCAL\0iCCP\0";
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, skipped,
                                (int)(sizeof skipped / 5) - icc);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_ALWAYS, (const png_byte *)"iTXt", 1);
    png_set_chunk_malloc_max(png, 8 << 20);
    png_set_user_limits(png, 0x7fffffff, 0x7fffffff); /* our limit is on pixels */
}

/* Deflate packs at most 1032 bytes into one, so a small file cannot hold a large picture. This is
 * checked before memory is allocated. */
static int check_plausible(struct png_reader *r, uint64_t width, uint64_t height)
{
    const uint64_t depth = png_get_bit_depth(r->png, r->info),
                   channels = png_get_channels(r->png, r->info);
    return ft_image_check_length("PNG", r->n, width * height * depth * channels / 8 / 1032, width,
                                 height, r->err);
}

static int transform(struct png_reader *r)
{
    png_set_expand(r->png); /* palette to RGB, 1, 2 and 4 bits to 8, tRNS to alpha */
    png_set_strip_16(r->png);
    png_set_gray_to_rgb(r->png);
    png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    return png_get_channels(r->png, r->info); /* 3 or 4 */
}

/* Converts the colours of the decoded pixels, which have 3 or 4 channels. */
static int convert(struct png_reader *r, int channels, size_t n)
{
    png_charp name;
    int method;
    png_bytep profile;
    png_uint_32 size;
    struct ft_icc *icc;
    if (!png_get_iCCP(r->png, r->info, &name, &method, &profile, &size))
        return 0;
    const struct ft_icc_layout layout = { r->grey ? 1 : 3, channels, channels };
    const int rc = ft_icc_open(r->request, profile, size, &layout, &icc, r->err);
    if (!rc)
        ft_icc_convert(icc, r->out->pixels, r->out->pixels, n);
    ft_icc_free(icc);
    return rc;
}

static int read_pixels(struct png_reader *r)
{
    png_set_read_fn(r->png, r, read_bytes);
    skip_chunks(r->png, r->request && r->request->icc);
    png_read_info(r->png, r->info);
    const png_uint_32 width = png_get_image_width(r->png, r->info),
                      height = png_get_image_height(r->png, r->info);
    int rc = ft_image_check_limit(width, height, r->request, r->err);
    if (!rc)
        rc = check_plausible(r, width, height);
    if (rc)
        return rc;
    r->grey = !(png_get_color_type(r->png, r->info) & PNG_COLOR_MASK_COLOR);
    const int channels = transform(r);
    /* its orientation is known only at the end */
    ft_image_claim(r->request, (uint64_t)width * height * ((uint64_t)channels + 3));
    rc = ft_image_reserve(r->out, (int)width, (int)height, channels, r->err);
    if (rc)
        return rc;
    r->rows = ft_alloc(height, sizeof *r->rows);
    if (!r->rows)
        return ft_error_nomem(r->err, "a picture");
    for (size_t y = 0; y < height; y++)
        r->rows[y] = r->out->pixels + y * width * (size_t)channels;
    png_read_image(r->png, r->rows);
    r->complete = true;
    rc = convert(r, channels, (size_t)width * height);
    if (rc)
        return rc;
    if (channels == 4)
        ft_image_over_white(r->out->pixels, r->out->pixels, (size_t)width * height);
    return 0;
}

/* The XMP packet in an uncompressed iTXt chunk: keyword, two zero flags, language, translated
 * keyword, text. */
static int xmp_orientation(const struct png_reader *r)
{
    static const char head[] = "XML:com.adobe.xmp\0"; /* and the compression flag */
    png_unknown_chunkp chunks;
    const int n = png_get_unknown_chunks(r->png, r->info, &chunks);
    for (int i = 0; i < n; i++)
        if (chunks[i].size > sizeof head && !memcmp(chunks[i].data, head, sizeof head))
            return ft_xmp_orientation(chunks[i].data + sizeof head, chunks[i].size - sizeof head);
    return 0;
}

static void note_orientation(struct png_reader *r)
{
    png_bytep exif = NULL;
    png_uint_32 n = 0;
    r->orientation = 0;
    if (png_get_eXIf_1(r->png, r->info, &n, &exif) & PNG_INFO_eXIf)
        r->orientation = ft_exif_orientation(exif, n);
    if (!r->orientation)
        r->orientation = xmp_orientation(r);
    if (r->orientation < 0)
        r->rc = ft_error_nomem(r->err, "a picture");
}

/* All state is in the caller's struct, so no local variable changes after setjmp. */
static void run(struct png_reader *r)
{
    if (setjmp(png_jmpbuf(r->png)))
        return;
    r->rc = read_pixels(r);
    if (!r->rc)
        png_read_end(r->png, r->info); /* checks the last checksum; eXIf may come last */
}

/* The size is at a fixed place, so a forged one is refused before libpng reads it. */
static int check_header(const struct png_reader *r)
{
    const uint8_t *b = r->bytes;
    if (r->n < 24 || memcmp(b + 12, "IHDR", 4))
        return 0; /* libpng reports what is wrong */
    return ft_image_check_limit(png_get_uint_32(b + 16), png_get_uint_32(b + 20), r->request,
                                r->err);
}

/* Returns whether the file is an APNG with more than its first picture. The number of frames is in
 * the acTL chunk; the first picture is one of them if an fcTL chunk comes before its IDAT. */
static bool has_more(const uint8_t *bytes, size_t n)
{
    uint32_t others = 0;
    for (size_t at = 8; at + 12 <= n;) {
        const size_t length = png_get_uint_32(bytes + at);
        if (!memcmp(bytes + at + 4, "IDAT", 4) || length > n - at - 12)
            return others > 0;
        if (!memcmp(bytes + at + 4, "acTL", 4) && length >= 4)
            others = png_get_uint_32(bytes + at + 8);
        else if (!memcmp(bytes + at + 4, "fcTL", 4) && others)
            others--;
        at += length + 12;
    }
    return false;
}

int ft_png_decode(const uint8_t *bytes, size_t n, const struct ft_decode_request *request,
                  struct ft_image *out, int *orientation, struct ft_error *err)
{
    struct png_reader r = {
        .bytes = bytes, .n = n, .request = request, .out = out, .orientation = 1, .err = err
    };
    r.rc = check_header(&r);
    if (r.rc)
        return r.rc;
    r.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &r, fail_png, ignore_warning, &r,
                                     allocate, release);
    r.info = r.png ? png_create_info_struct(r.png) : NULL;
    if (r.info) {
        run(&r);
        if (!r.rc)
            note_orientation(&r);
    }
    if (!r.rc && (!r.info || r.no_memory))
        r.rc = ft_error_nomem(err, "a picture");
    png_destroy_read_struct(&r.png, &r.info, NULL);
    free(r.rows);
    *orientation = r.orientation;
    out->more = !r.rc && has_more(bytes, n);
    return r.rc;
}
