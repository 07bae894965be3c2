/* HEIC, HEIF and AVIF through libheif: the primary picture, turned and cropped as the file says, at
 * 8 bits per sample. Transparency is laid over white. */
#include <libheif/heif.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/library.h"
#include "image/formats.h"
#include "image/icc.h"

ft_decoder ft_heif_decode;

#define CALLS(X)                                                                                   \
    X(heif_context_alloc)                                                                          \
    X(heif_context_free)                                                                           \
    X(heif_context_set_max_decoding_threads)                                                       \
    X(heif_context_read_from_memory_without_copy)                                                  \
    X(heif_context_get_number_of_top_level_images)                                                 \
    X(heif_context_get_primary_image_handle)                                                       \
    X(heif_image_handle_release)                                                                   \
    X(heif_image_handle_get_width)                                                                 \
    X(heif_image_handle_get_height)                                                                \
    X(heif_image_handle_get_ispe_width)                                                            \
    X(heif_image_handle_get_ispe_height)                                                           \
    X(heif_image_handle_has_alpha_channel)                                                         \
    X(heif_image_handle_is_premultiplied_alpha)                                                    \
    X(heif_decoding_options_alloc)                                                                 \
    X(heif_decoding_options_free)                                                                  \
    X(heif_decode_image)                                                                           \
    X(heif_image_release)                                                                          \
    X(heif_image_get_width)                                                                        \
    X(heif_image_get_height)                                                                       \
    X(heif_image_get_plane)                                                                        \
    X(heif_image_handle_get_raw_color_profile_size) X(heif_image_handle_get_raw_color_profile)
FT_LIBRARY(heif, FT_LIBHEIF, CALLS);

static const char *format_of(const uint8_t *bytes, size_t n)
{
    return n > 11 && !memcmp(bytes + 8, "avi", 3) ? "AVIF" : "HEIC";
}

static int refuse(struct heif_error why, const char *format, struct ft_error *err)
{
    if (why.code == heif_error_Memory_allocation_error)
        return why.subcode == heif_suberror_Security_limit_exceeded
                   ? ft_error_set(err, FT_ELIMIT,
                                  "decoding this %s takes more memory than a picture of its size "
                                  "should",
                                  format)
                   : ft_error_nomem(err, "a picture");
    if (why.code == heif_error_Unsupported_feature || why.code == heif_error_Unsupported_filetype)
        return ft_error_set(err, FT_EUNSUPPORTED, "a rare kind of %s (%s): convert it first",
                            format, why.message);
    if (why.subcode == heif_suberror_End_of_data)
        return ft_error_set(err, FT_EFORMAT, "truncated %s: the file ends before the picture does",
                            format);
    return ft_error_set(err, FT_EFORMAT, "damaged %s: %s", format, why.message);
}

/* The stored picture is a little larger than the upright one where sides are filled up to whole
 * blocks, and may be much larger where the file crops it. Then it must be in the limit as well. */
static int check_size(const struct heif_image_handle *handle,
                      const struct ft_decode_request *request, struct ft_error *err)
{
    enum { BLOCK = 64 };
    const int width = heif.heif_image_handle_get_width(handle),
              height = heif.heif_image_handle_get_height(handle),
              stored_width = heif.heif_image_handle_get_ispe_width(handle),
              stored_height = heif.heif_image_handle_get_ispe_height(handle);
    const int rc = ft_image_admit((uint64_t)(width > 0 ? width : 0),
                                  (uint64_t)(height > 0 ? height : 0), request, err);
    if (rc || stored_width < 1 || stored_height < 1 ||
        (uint64_t)stored_width * (uint64_t)stored_height <=
            ((uint64_t)width + BLOCK) * ((uint64_t)height + BLOCK))
        return rc;
    return ft_image_admit((uint64_t)stored_width, (uint64_t)stored_height, request, err);
}

/* The conversion from the picture's profile. *out is NULL if there is none. Colours that are given
 * by numbers (nclx) have no profile. */
static int open_profile(const struct heif_image_handle *handle, int channels,
                        const struct ft_decode_request *request, struct ft_icc **out,
                        struct ft_error *err)
{
    enum { MOST = 32 << 20 };
    const struct ft_icc_layout layout = { 3, channels, channels };
    *out = NULL;
    const size_t n =
        request && request->icc ? heif.heif_image_handle_get_raw_color_profile_size(handle) : 0;
    if (!n || n > MOST)
        return 0;
    void *profile = malloc(n);
    int rc = profile ? 0 : ft_error_nomem(err, "a colour profile");
    if (profile && !heif.heif_image_handle_get_raw_color_profile(handle, profile).code)
        rc = ft_icc_open(request, profile, n, &layout, out, err);
    free(profile);
    return rc;
}

static int copy_pixels(struct heif_image *picture, int channels, bool premultiplied,
                       const struct ft_icc *icc, const struct ft_decode_request *request,
                       struct ft_image *out, struct ft_error *err)
{
    const int width = heif.heif_image_get_width(picture, heif_channel_interleaved),
              height = heif.heif_image_get_height(picture, heif_channel_interleaved);
    int stride = 0;
    uint8_t *from = heif.heif_image_get_plane(picture, heif_channel_interleaved, &stride);
    int rc = ft_image_admit((uint64_t)(width > 0 ? width : 0), (uint64_t)(height > 0 ? height : 0),
                            request, err);
    if (!rc)
        rc = from ? ft_image_reserve(out, width, height, 3, err) : ft_error_nomem(err, "a picture");
    for (int y = 0; !rc && y < height; y++) {
        uint8_t *s = from + (size_t)y * (size_t)stride;
        uint8_t *d = out->pixels + (size_t)y * (size_t)width * 3;
        ft_icc_convert(icc, s, s, (size_t)width);
        if (channels == 3)
            memcpy(d, s, (size_t)width * 3);
        else if (!premultiplied)
            ft_image_over_white(s, d, (size_t)width);
        else
            ft_image_premultiplied_over_white(s, d, (size_t)width);
    }
    return rc;
}

static int decode_primary(struct heif_context *file, const char *format,
                          const struct ft_decode_request *request, struct ft_image *out,
                          struct ft_error *err)
{
    struct heif_image_handle *handle = NULL;
    struct heif_image *picture = NULL;
    struct ft_icc *icc = NULL;
    struct heif_decoding_options *options = heif.heif_decoding_options_alloc();
    bool alpha = false;
    int rc = options ? 0 : ft_error_nomem(err, "a picture");
    if (!rc) {
        const struct heif_error why = heif.heif_context_get_primary_image_handle(file, &handle);
        rc = why.code ? refuse(why, format, err) : check_size(handle, request, err);
    }
    if (!rc) {
        alpha = heif.heif_image_handle_has_alpha_channel(handle);
        rc = open_profile(handle, alpha ? 4 : 3, request, &icc, err);
    }
    if (!rc) {
        options->convert_hdr_to_8bit = 1;
        const struct heif_error why = heif.heif_decode_image(
            handle, &picture, heif_colorspace_RGB,
            alpha ? heif_chroma_interleaved_RGBA : heif_chroma_interleaved_RGB, options);
        rc = why.code ? refuse(why, format, err)
                      : copy_pixels(picture, alpha ? 4 : 3,
                                    heif.heif_image_handle_is_premultiplied_alpha(handle), icc,
                                    request, out, err);
    }
    ft_icc_free(icc);
    heif.heif_image_release(picture);
    heif.heif_image_handle_release(handle);
    if (options)
        heif.heif_decoding_options_free(options);
    return rc;
}

int ft_heif_decode(const uint8_t *bytes, size_t n, const struct ft_decode_request *request,
                   struct ft_image *out, int *orientation, struct ft_error *err)
{
    const char *format = format_of(bytes, n);
    int rc = ft_library_load(&heif_library, err);
    (void)orientation; /* libheif turns the picture */
    if (rc)
        return rc;
    struct heif_context *file = heif.heif_context_alloc();
    if (!file)
        return ft_error_nomem(err, "a picture");
    heif.heif_context_set_max_decoding_threads(file, 0); /* a picture is decoded by one thread */
    const struct heif_error why =
        heif.heif_context_read_from_memory_without_copy(file, bytes, n, NULL);
    rc = why.code ? refuse(why, format, err) : decode_primary(file, format, request, out, err);
    out->more = !rc && heif.heif_context_get_number_of_top_level_images(file) > 1;
    heif.heif_context_free(file);
    return rc;
}
