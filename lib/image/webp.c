/* WebP through libwebp: lossy and lossless pictures, with alpha, and the first frame of animations.
 *
 * The first frame of an animation is placed on its canvas, which is transparent elsewhere, as
 * Pillow does; so the background colour of the file is not used. Transparency is laid over white.
 */
#include <string.h>
#include <webp/decode.h>
#include <webp/demux.h>

#include "base/error.h"
#include "base/library.h"
#include "image/formats.h"
#include "image/icc.h"
#include "image/orient.h"

ft_decoder ft_webp_decode;

#define DECODE_CALLS(X) X(WebPInitDecoderConfigInternal) X(WebPDecode)
FT_LIBRARY(webp, FT_LIBWEBP, DECODE_CALLS);

#define DEMUX_CALLS(X)                                                                             \
    X(WebPDemuxInternal)                                                                           \
    X(WebPDemuxDelete)                                                                             \
    X(WebPDemuxGetI)                                                                               \
    X(WebPDemuxGetFrame)                                                                           \
    X(WebPDemuxReleaseIterator) X(WebPDemuxGetChunk) X(WebPDemuxReleaseChunkIterator)
FT_LIBRARY(demux, FT_LIBWEBPDEMUX, DEMUX_CALLS);

static int orientation_of(const WebPDemuxer *file)
{
    WebPChunkIterator chunk;
    int orientation = 0;
    if (demux.WebPDemuxGetChunk(file, "EXIF", 1, &chunk)) {
        /* Some programs keep the head that the block has in a JPEG. */
        const size_t head = chunk.chunk.size > 6 && !memcmp(chunk.chunk.bytes, "Exif\0", 6) ? 6 : 0;
        orientation = ft_exif_orientation(chunk.chunk.bytes + head, chunk.chunk.size - head);
        demux.WebPDemuxReleaseChunkIterator(&chunk);
    }
    if (!orientation && demux.WebPDemuxGetChunk(file, "XMP ", 1, &chunk)) {
        orientation = ft_xmp_orientation(chunk.chunk.bytes, chunk.chunk.size);
        demux.WebPDemuxReleaseChunkIterator(&chunk);
    }
    return orientation;
}

/* Decodes a frame to its place in out->pixels, with 3 or 4 channels. A frame that is larger than
 * the picture is scaled down to it. */
static int decode_frame(const WebPIterator *frame, struct ft_image *out, int channels,
                        struct ft_error *err)
{
    WebPDecoderConfig config;
    if (!webp.WebPInitDecoderConfigInternal(&config, WEBP_DECODER_ABI_VERSION))
        return ft_error_set(err, FT_EUNSUPPORTED, "library %s has another version", FT_LIBWEBP);
    const size_t stride = (size_t)out->width * (size_t)channels,
                 first =
                     (size_t)frame->y_offset * stride + (size_t)frame->x_offset * (size_t)channels;
    config.output.colorspace = channels == 4 ? MODE_RGBA : MODE_RGB;
    config.options.use_scaling = frame->width > out->width || frame->height > out->height;
    config.options.scaled_width = out->width;
    config.options.scaled_height = out->height;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = out->pixels + first;
    config.output.u.RGBA.stride = (int)stride;
    config.output.u.RGBA.size = stride * (size_t)out->height - first;
    switch (webp.WebPDecode(frame->fragment.bytes, frame->fragment.size, &config)) {
    case VP8_STATUS_OK:
        return 0;
    case VP8_STATUS_OUT_OF_MEMORY:
        return ft_error_nomem(err, "a picture");
    case VP8_STATUS_SUSPENDED:
    case VP8_STATUS_NOT_ENOUGH_DATA:
        return ft_error_set(err, FT_EFORMAT,
                            "truncated WebP: the file ends before the picture does");
    default:
        return ft_error_set(err, FT_EFORMAT, "damaged WebP: its data cannot be decoded");
    }
}

/* Converts n pixels to sRGB, if the file has a profile. */
static int convert(const WebPDemuxer *file, const struct ft_decode_request *request,
                   struct ft_image *out, int channels, size_t n, struct ft_error *err)
{
    const struct ft_icc_layout layout = { 3, channels, channels };
    WebPChunkIterator chunk;
    struct ft_icc *icc;
    if (!request || !request->icc || !demux.WebPDemuxGetChunk(file, "ICCP", 1, &chunk))
        return 0;
    const int rc = ft_icc_open(request, chunk.chunk.bytes, chunk.chunk.size, &layout, &icc, err);
    demux.WebPDemuxReleaseChunkIterator(&chunk);
    ft_icc_convert(icc, out->pixels, out->pixels, n);
    ft_icc_free(icc);
    return rc;
}

static int decode_first(const WebPDemuxer *file, const struct ft_decode_request *request,
                        int orientation, struct ft_image *out, struct ft_error *err)
{
    const uint32_t width = demux.WebPDemuxGetI(file, WEBP_FF_CANVAS_WIDTH),
                   height = demux.WebPDemuxGetI(file, WEBP_FF_CANVAS_HEIGHT);
    int rc = ft_image_admit(width, height, request, err);
    if (rc)
        return rc;
    WebPIterator frame;
    if (!demux.WebPDemuxGetFrame(file, 1, &frame))
        return ft_error_set(err, FT_EFORMAT, "damaged WebP: it has no frame");
    const bool whole = frame.width == (int)width && frame.height == (int)height;
    const int channels = frame.has_alpha || !whole ? 4 : 3;
    const int eighths = whole ? ft_image_eighths(request, (int)width, (int)height, orientation) : 8,
              scaled_width = (int)((width * (uint32_t)eighths + 7) / 8),
              scaled_height = (int)((height * (uint32_t)eighths + 7) / 8);
    rc = ft_image_reserve(out, scaled_width, scaled_height, channels, err);
    if (!rc && !whole)
        memset(out->pixels, 0, (size_t)width * height * 4);
    if (!rc)
        rc = decode_frame(&frame, out, channels, err);
    const size_t n = (size_t)scaled_width * (size_t)scaled_height;
    if (!rc)
        rc = convert(file, request, out, channels, n, err);
    if (!rc && channels == 4)
        ft_image_over_white(out->pixels, out->pixels, n);
    if (!rc) {
        out->full_width = (int)width;
        out->full_height = (int)height;
        out->scale_x = (double)scaled_width / width;
        out->scale_y = (double)scaled_height / height;
    }
    out->more = frame.num_frames > 1;
    demux.WebPDemuxReleaseIterator(&frame);
    return rc;
}

int ft_webp_decode(const uint8_t *bytes, size_t n, const struct ft_decode_request *request,
                   struct ft_image *out, int *orientation, struct ft_error *err)
{
    int rc = ft_library_load(&webp_library, err);
    if (!rc)
        rc = ft_library_load(&demux_library, err);
    if (rc)
        return rc;
    const WebPData data = { bytes, n };
    WebPDemuxState state;
    WebPDemuxer *file = demux.WebPDemuxInternal(&data, 1, &state, WEBP_DEMUX_ABI_VERSION);
    if (!file || state != WEBP_DEMUX_DONE)
        rc = ft_error_set(err, FT_EFORMAT,
                          state == WEBP_DEMUX_PARSE_ERROR
                              ? "damaged WebP: its structure is invalid"
                              : "truncated WebP: the file ends before the picture does");
    if (!rc) {
        *orientation = orientation_of(file);
        rc = decode_first(file, request, *orientation, out, err);
    }
    demux.WebPDemuxDelete(file);
    return rc;
}
