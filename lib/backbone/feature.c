/* The feature of one picture, computed by the calling thread. Any number of threads may call at the
 * same time. */
#include <stdlib.h>
#include <string.h>

#include "backbone/backbone.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "image/image.h"

#define FILE_LIMIT ((size_t)1 << 30) /* bytes of a picture's file */

static struct ft_workspace *take(const struct ft_backbone *b, struct ft_error *err)
{
    struct ft_workspace *w = ft_workspace_take(b->workspaces, &b->geometry, b->plan);
    if (!w)
        ft_error_nomem(err, "the network's activations");
    return w;
}

/* Runs the network on the input in the workspace. `feature` is written only if all its values are
 * finite. */
static int run(const struct ft_backbone *b, struct ft_workspace *w, float *feature,
               struct ft_error *err)
{
    const struct ft_shape in = ft_plan_input(b->plan);
    const int d = ft_backbone_features(b);
    float *output = ft_alloc((size_t)d, sizeof *output);
    int rc = output ? 0 : ft_error_nomem(err, "the feature");
    if (rc)
        return rc;
    if (in.c == 1)
        ft_image_to_grey(w->input, (size_t)in.h * (size_t)in.w);
    ft_plan_run(b->plan, w->input, w->arena, output);
    for (int i = 0; i < d && !rc; i++)
        if (!(output[i] - output[i] == 0))
            rc = ft_error_set(err, FT_EFORMAT,
                              "the network's output is not finite for this picture");
    if (!rc)
        memcpy(feature, output, (size_t)d * sizeof *output);
    free(output);
    return rc;
}

int ft_feature_bytes(const struct ft_backbone *b, const void *data, size_t size, float *feature,
                     struct ft_error *err)
{
    struct ft_workspace *w = take(b, err);
    if (!w)
        return FT_ENOMEM;
    int rc = ft_image_prepare(&w->preparer, data, size, &b->geometry, 0, w->input, err);
    if (!rc)
        rc = run(b, w, feature, err);
    ft_workspace_put(b->workspaces, w);
    return rc;
}

int ft_feature_file(const struct ft_backbone *b, const char *path, float *feature,
                    struct ft_error *err)
{
    struct ft_workspace *w = take(b, err);
    if (!w)
        return FT_ENOMEM;
    int rc = ft_file_read(path, FILE_LIMIT, &w->bytes, err);
    if (!rc)
        rc = ft_image_prepare(&w->preparer, w->bytes.data, w->bytes.size, &b->geometry, 0, w->input,
                              err);
    if (!rc)
        rc = run(b, w, feature, err);
    ft_workspace_put(b->workspaces, w);
    return rc ? ft_error_prefix(err, rc, "'%s'", path) : 0;
}

/* The resizer reads packed rows; pixels with a larger stride are copied. */
static int pack(const struct ft_pixels *pixels, uint8_t **packed, struct ft_error *err)
{
    const size_t row = (size_t)pixels->width * 3;
    *packed = ft_alloc((size_t)pixels->height, row);
    if (!*packed)
        return ft_error_nomem(err, "the picture");
    for (int y = 0; y < pixels->height; y++)
        memcpy(*packed + (size_t)y * row, pixels->rgb + (size_t)y * pixels->stride, row);
    return 0;
}

int ft_feature_pixels(const struct ft_backbone *b, const struct ft_pixels *pixels, float *feature,
                      struct ft_error *err)
{
    const int width = pixels->width, height = pixels->height;
    enum { LARGEST = 1 << 16 }; /* pixels of a side */
    if (!pixels->rgb || width < 1 || height < 1 || width > LARGEST || height > LARGEST ||
        (pixels->stride && pixels->stride < (size_t)width * 3))
        return ft_error_set(
            err, FT_EARG,
            "pixels of %d x %d with a stride of %zu bytes: sides are 1 to %d, and a "
            "row has at least 3 bytes a pixel",
            width, height, pixels->stride, LARGEST);
    const bool packed = !pixels->stride || pixels->stride == (size_t)width * 3;
    uint8_t *copy = NULL;
    int rc = packed ? 0 : pack(pixels, &copy, err);
    if (rc)
        return rc;
    struct ft_workspace *w = take(b, err);
    if (!w)
        rc = FT_ENOMEM;
    else {
        const struct ft_image image = { .width = width,
                                        .height = height,
                                        .pixels = packed ? (uint8_t *)(uintptr_t)pixels->rgb : copy,
                                        .full_width = width,
                                        .full_height = height,
                                        .scale_x = 1,
                                        .scale_y = 1 };
        rc = ft_image_fit(&image, &b->geometry, &w->preparer.resizer, w->input, err);
        if (!rc)
            rc = run(b, w, feature, err);
        ft_workspace_put(b->workspaces, w);
    }
    free(copy);
    return rc;
}
