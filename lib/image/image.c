/* Recognises, decodes, turns upright, crops and resizes a picture. */
#include "image/image.h"

#include <math.h>
#include <string.h>

#include "image/formats.h"
#include "image/orient.h"
#include "image/resize.h"

int ft_image_decode(const uint8_t *bytes, size_t n, const struct ft_decode_request *request,
                    struct ft_image *out, struct ft_error *err)
{
    const struct ft_format *format = ft_format_of(bytes, n);
    if (!format || !format->decode)
        return ft_format_refuse(format, n, err);
    int orientation = 1;
    out->more = false;
    const int rc = format->decode(bytes, n, request, out, &orientation, err);
    return rc ? rc : ft_image_turn(out, orientation, err);
}

void ft_geometry_box(const struct ft_geometry *geometry, int width, int height, double box[4])
{
    double w = width, h = height;
    if (geometry->rule == FT_RESIZE_CROP) {
        /* the largest box of the target's aspect, then `crop` of it */
        const double unit = fmin(w / geometry->width, h / geometry->height) * geometry->crop;
        w = unit * geometry->width;
        h = unit * geometry->height;
    }
    box[0] = (width - w) / 2;
    box[1] = (height - h) / 2;
    box[2] = box[0] + w;
    box[3] = box[1] + h;
}

/* The rectangle of the output to which the box is resized: all of the output, unless the rule is
 * PAD. Halves are rounded to even, as Pillow's ImageOps.pad does. */
static void target_of(const struct ft_geometry *geometry, int width, int height, int target[4])
{
    const int W = geometry->width, H = geometry->height;
    int w = W, h = H;
    if (geometry->rule == FT_RESIZE_PAD) {
        const double have = (double)width / height, want = (double)W / H;
        if (have > want)
            h = (int)fmax(1, nearbyint((double)height / width * W));
        else if (have < want)
            w = (int)fmax(1, nearbyint((double)width / height * H));
    }
    target[0] = (int)nearbyint((W - w) * 0.5);
    target[1] = (int)nearbyint((H - h) * 0.5);
    target[2] = w;
    target[3] = h;
}

/* The factor by which the box shrinks, along the side where it is smaller. */
static double shrink_of(const void *user, int full_width, int full_height)
{
    const struct ft_geometry *geometry = user;
    double box[4];
    int target[4];
    ft_geometry_box(geometry, full_width, full_height, box);
    target_of(geometry, full_width, full_height, target);
    return fmin((box[2] - box[0]) / target[2], (box[3] - box[1]) / target[3]);
}

void ft_preparer_finish(struct ft_preparer *preparer)
{
    enum { KEPT = 16 << 20 };
    if (preparer->image.capacity > KEPT)
        ft_image_release(&preparer->image);
    ft_claim_return(&preparer->claim);
}

void ft_preparer_release(struct ft_preparer *preparer)
{
    ft_image_release(&preparer->image);
    ft_resizer_release(&preparer->resizer);
}

int ft_image_prepare(struct ft_preparer *preparer, const uint8_t *bytes, size_t n,
                     const struct ft_geometry *geometry, uint64_t max_pixels, uint8_t *out,
                     struct ft_error *err)
{
    const struct ft_decode_request request = { max_pixels, shrink_of, geometry, &preparer->claim,
                                               geometry->icc };
    const struct ft_image *image = &preparer->image;
    int rc = ft_image_decode(bytes, n, &request, &preparer->image, err);
    if (!rc)
        rc = ft_image_fit(image, geometry, &preparer->resizer, out, err);
    if (!rc)
        preparer->more = image->more;
    if (!rc)
        preparer->full_pixels = (uint64_t)image->full_width * (uint64_t)image->full_height;
    ft_preparer_finish(preparer);
    return rc;
}

int ft_image_fit(const struct ft_image *image, const struct ft_geometry *geometry,
                 struct ft_resizer *resizer, uint8_t *out, struct ft_error *err)
{
    double box[4];
    int target[4];
    ft_geometry_box(geometry, image->full_width, image->full_height, box);
    target_of(geometry, image->full_width, image->full_height, target);
    for (int i = 0; i < 4; i++) { /* from the full picture to the decoded one */
        const double origin = i % 2 ? image->top : image->left,
                     end = i % 2 ? image->height : image->width;
        box[i] = fmin(fmax(origin + box[i] * (i % 2 ? image->scale_y : image->scale_x), 0), end);
    }
    const size_t stride = (size_t)geometry->width * 3;
    if (geometry->rule == FT_RESIZE_PAD)
        memset(out, 0, stride * (size_t)geometry->height);
    return ft_image_resize_into(image, box, target[2], target[3], geometry->filter, resizer,
                                out + (size_t)target[1] * stride + (size_t)target[0] * 3, stride,
                                err);
}

/* ITU-R 601-2, in 16 bits of fraction. */
void ft_image_to_grey(uint8_t *pixels, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pixels[i] = (uint8_t)((19595u * pixels[3 * i] + 38470u * pixels[3 * i + 1] +
                               7471u * pixels[3 * i + 2] + 0x8000u) >>
                              16);
}
