/* Classes that merge several inputs. */
#include <math.h>

#include "base/error.h"
#include "keras/fields.h"
#include "keras/layer_classes.h"

static int parse_concatenate(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    return ft_field_axis(config, &out->axis, err);
}

/* x0 + x1 * scale: CustomScaleLayer of InceptionResNetV2, which older files have as a Lambda with
 * the argument `scale`. This layer is the sum; compat.c adds a layer for the product. */
static int parse_custom_scale(const cJSON *config, struct ft_draft_layer *out, struct ft_error *err)
{
    const cJSON *arguments = ft_field(config, "arguments");
    double scale = NAN;
    const int rc = ft_field_number(arguments ? arguments : config, "scale", &scale, err);
    if (!rc && isnan(scale))
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "code inside a file is not run: replace the Lambda by layers and save "
                            "the network again");
    out->layer.params.alpha = (float)scale;
    return rc;
}

const struct ft_layer_class ft_merge_classes[] = {
    { "Add", FT_LAYER_ADD, .write = ft_write_nothing },
    { "Subtract", FT_LAYER_SUBTRACT, .write = ft_write_nothing },
    { "Average", FT_LAYER_AVERAGE, .write = ft_write_nothing },
    { "Maximum", FT_LAYER_MAXIMUM, .write = ft_write_nothing },
    { "Minimum", FT_LAYER_MINIMUM, .write = ft_write_nothing },
    { "Multiply", FT_LAYER_MULTIPLY, .write = ft_write_nothing },
    { "Concatenate", FT_LAYER_CONCATENATE, parse_concatenate, ft_write_nothing,
      .build = ft_build_axes },
    { "CustomScaleLayer", FT_LAYER_ADD, .parse = parse_custom_scale, .scaled_sum = true },
    { "Lambda", FT_LAYER_ADD, .parse = parse_custom_scale, .scaled_sum = true },
    { 0 },
};
