/* Resize by factors that are integers: nearest neighbour and bilinear. */
#include <math.h>

#include "onnx/import.h"

/* The factors of rows and columns; 0: they are not known, or not integers. */
static void resize_factors(struct ft_import *x, const int64_t *shape, int factors[2])
{
    const bool early = x->opset < 11; /* Upsample, and Resize of opset 10: X, scales */
    const struct ft_constant *scales = ft_onnx_constant(x, early ? 1 : 2, 0);
    int64_t sizes[FT_ONNX_RANK];
    const int n = early ? -1 : ft_onnx_ints(x, "sizes", 3, sizes, FT_ONNX_RANK);
    for (int a = 0; a < 2; a++) {
        double factor = 0;
        if (n == 4 && shape[a] > 0)
            factor = (double)sizes[2 + a] / (double)shape[a];
        else if (scales && scales->count == 4)
            factor = ft_constant_at(scales, 2 + (size_t)a);
        factors[a] = factor >= 1 && factor <= 64 && factor == floor(factor) ? (int)factor : 0;
    }
}

/* Repeats rows and columns, or interpolates between them as Keras's UpSampling2D does. */
static int resize(struct ft_import *x, const struct ft_onnx_operator *row)
{
    (void)row;
    static const char centres[] = "coordinate_transformation_mode";
    const bool linear = ft_onnx_text_is(x->node, "mode", "linear"),
               whole = ft_onnx_text_is(x->node, centres, "asymmetric") &&
                       ft_onnx_text_is(x->node, "nearest_mode", "floor"),
               half = !ft_onnx_attribute(x->node, centres) ||
                      ft_onnx_text_is(x->node, centres, "half_pixel") ||
                      ft_onnx_text_is(x->node, centres, "pytorch_half_pixel"),
               nearest = !ft_onnx_attribute(x->node, "mode") ||
                         ft_onnx_text_is(x->node, "mode", "nearest"),
               rounds = !ft_onnx_attribute(x->node, "nearest_mode") ||
                        ft_onnx_text_is(x->node, "nearest_mode", "round_prefer_floor") ||
                        ft_onnx_text_is(x->node, "nearest_mode", "round_prefer_ceil");
    int layer, factors[2];
    int rc = ft_onnx_map(x, &ft_onnx_input(x, 0)->view, &layer);
    if (rc)
        return rc;
    const int64_t *from = x->shapes[layer];
    resize_factors(x, from, factors);
    if (!factors[0] || !factors[1])
        return ft_onnx_refuse(x, "only factors that are integers are supported");
    if (x->opset < 11 ? !nearest : linear ? !half : !nearest || !(whole || (half && rounds)))
        return ft_onnx_refuse(x, "this way of interpolation is not supported");
    const int64_t shape[FT_AXES] = { from[0] * factors[0], from[1] * factors[1], from[2] };
    rc = ft_onnx_layer(x, FT_LAYER_UPSAMPLING, &layer, 1, shape, &layer);
    if (rc)
        return rc;
    struct ft_layer_params *p = &ft_onnx_at(x, layer)->params;
    p->kernel[0] = factors[0];
    p->kernel[1] = factors[1];
    p->bilinear = linear;
    const struct ft_view view = ft_view_first(layer, x->shapes[layer]);
    return ft_onnx_set_view(x, 0, &view);
}

const struct ft_onnx_operator ft_onnx_resizes[] = {
    { "Resize", resize, 0 },
    { "Upsample", resize, 0 },
    { 0 },
};
