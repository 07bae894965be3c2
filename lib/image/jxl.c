/* JPEG XL through libjxl: the picture, or the first frame of an animation, turned upright, at 8
 * bits per sample. Transparency is laid over white. */
#include <jxl/decode.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/library.h"
#include "image/formats.h"
#include "image/icc.h"

ft_decoder ft_jxl_decode;

#define CALLS(X)                                                                                   \
    X(JxlDecoderCreate)                                                                            \
    X(JxlDecoderDestroy)                                                                           \
    X(JxlDecoderSubscribeEvents)                                                                   \
    X(JxlDecoderSetInput)                                                                          \
    X(JxlDecoderProcessInput)                                                                      \
    X(JxlDecoderGetBasicInfo)                                                                      \
    X(JxlDecoderGetICCProfileSize)                                                                 \
    X(JxlDecoderGetColorAsICCProfile) X(JxlDecoderImageOutBufferSize) X(JxlDecoderSetImageOutBuffer)
FT_LIBRARY(jxl, FT_LIBJXL, CALLS);

/* Before 0.9 these functions had a parameter that was not used. */
#if JPEGXL_MAJOR_VERSION == 0 && JPEGXL_MINOR_VERSION < 9
#define BEFORE_0_9 NULL,
#else
#define BEFORE_0_9
#endif

/* Each extra channel, such as depth or a spot colour, takes as much memory as the picture. */
#define MOST_EXTRA_CHANNELS 4

static int prepare(JxlDecoder *decoder, const struct ft_decode_request *request, JxlBasicInfo *info,
                   struct ft_image *out, struct ft_error *err)
{
    if (jxl.JxlDecoderGetBasicInfo(decoder, info) != JXL_DEC_SUCCESS)
        return ft_error_set(err, FT_EFORMAT, "damaged JPEG XL: its header is invalid");
    int rc = ft_image_admit(info->xsize, info->ysize, request, err);
    if (!rc && info->num_extra_channels > MOST_EXTRA_CHANNELS)
        rc = ft_error_set(err, FT_EUNSUPPORTED,
                          "a rare kind of JPEG XL (%u extra channels): convert it first",
                          (unsigned)info->num_extra_channels);
    if (!rc)
        rc = ft_image_reserve(out, (int)info->xsize, (int)info->ysize, info->alpha_bits ? 4 : 3,
                              err);
    return rc;
}

static int set_buffer(JxlDecoder *decoder, const JxlBasicInfo *info, struct ft_image *out,
                      struct ft_error *err)
{
    const JxlPixelFormat format = { info->alpha_bits ? 4 : 3, JXL_TYPE_UINT8, JXL_NATIVE_ENDIAN,
                                    0 };
    size_t size;
    if (jxl.JxlDecoderImageOutBufferSize(decoder, &format, &size) != JXL_DEC_SUCCESS ||
        size > out->capacity ||
        jxl.JxlDecoderSetImageOutBuffer(decoder, &format, out->pixels, size) != JXL_DEC_SUCCESS)
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "a rare kind of JPEG XL (not RGB or grey): convert it first");
    return 0;
}

/* The conversion from the profile of the decoded pixels. *out is NULL if there is none. */
static int open_profile(JxlDecoder *decoder, const struct ft_decode_request *request,
                        const JxlBasicInfo *info, struct ft_icc **out, struct ft_error *err)
{
    enum { MOST = 32 << 20 };
    const int channels = info->alpha_bits ? 4 : 3;
    const struct ft_icc_layout layout = { info->num_color_channels == 1 ? 1 : 3, channels,
                                          channels };
    size_t n;
    if (jxl.JxlDecoderGetICCProfileSize(decoder, BEFORE_0_9 JXL_COLOR_PROFILE_TARGET_DATA, &n) !=
            JXL_DEC_SUCCESS ||
        !n || n > MOST)
        return 0;
    uint8_t *profile = malloc(n);
    int rc = profile ? 0 : ft_error_nomem(err, "a colour profile");
    if (profile &&
        jxl.JxlDecoderGetColorAsICCProfile(decoder, BEFORE_0_9 JXL_COLOR_PROFILE_TARGET_DATA,
                                           profile, n) == JXL_DEC_SUCCESS)
        rc = ft_icc_open(request, profile, n, &layout, out, err);
    free(profile);
    return rc;
}

/* Runs the decoder up to the end of the first frame. */
static int run(JxlDecoder *decoder, const struct ft_decode_request *request, JxlBasicInfo *info,
               struct ft_image *out, struct ft_icc **icc, struct ft_error *err)
{
    for (int rc = 0; !rc;) {
        switch (jxl.JxlDecoderProcessInput(decoder)) {
        case JXL_DEC_BASIC_INFO:
            rc = prepare(decoder, request, info, out, err);
            break;
        case JXL_DEC_COLOR_ENCODING:
            rc = open_profile(decoder, request, info, icc, err);
            break;
        case JXL_DEC_NEED_IMAGE_OUT_BUFFER:
            rc = set_buffer(decoder, info, out, err);
            break;
        case JXL_DEC_FULL_IMAGE:
            return 0;
        case JXL_DEC_NEED_MORE_INPUT:
            return ft_error_set(err, FT_EFORMAT,
                                "truncated JPEG XL: the file ends before the picture does");
        default:
            return ft_error_set(err, FT_EFORMAT, "damaged JPEG XL: its data cannot be decoded");
        }
        if (rc)
            return rc;
    }
    return 0;
}

int ft_jxl_decode(const uint8_t *bytes, size_t n, const struct ft_decode_request *request,
                  struct ft_image *out, int *orientation, struct ft_error *err)
{
    JxlBasicInfo info = { 0 };
    struct ft_icc *icc = NULL;
    int rc = ft_library_load(&jxl_library, err);
    (void)orientation; /* libjxl turns the picture */
    if (rc)
        return rc;
    JxlDecoder *decoder = jxl.JxlDecoderCreate(NULL);
    if (!decoder)
        return ft_error_nomem(err, "a picture");
    const int colours = request && request->icc ? JXL_DEC_COLOR_ENCODING : 0;
    if (jxl.JxlDecoderSubscribeEvents(decoder, JXL_DEC_BASIC_INFO | colours | JXL_DEC_FULL_IMAGE) !=
            JXL_DEC_SUCCESS ||
        jxl.JxlDecoderSetInput(decoder, bytes, n) != JXL_DEC_SUCCESS)
        rc = ft_error_nomem(err, "a picture");
    if (!rc)
        rc = run(decoder, request, &info, out, &icc, err);
    jxl.JxlDecoderDestroy(decoder);
    out->more = !rc && info.have_animation;
    if (!rc)
        ft_icc_convert(icc, out->pixels, out->pixels, (size_t)info.xsize * info.ysize);
    ft_icc_free(icc);
    if (!rc && info.alpha_bits && !info.alpha_premultiplied)
        ft_image_over_white(out->pixels, out->pixels, (size_t)info.xsize * info.ysize);
    if (!rc && info.alpha_bits && info.alpha_premultiplied)
        ft_image_premultiplied_over_white(out->pixels, out->pixels,
                                          (size_t)info.xsize * info.ysize);
    return rc;
}
