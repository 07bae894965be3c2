/* Classes that do nothing at inference: dropout, augmentation. */
#include "keras/layer_classes.h"

const struct ft_layer_class ft_inactive_classes[] = {
    /* An identity is written as a linear activation. This row is never found by name: that of the
     * activations comes first. */
    { "Activation", FT_LAYER_IDENTITY, .write = ft_write_nothing },
    { .name = "Dropout", .kind = FT_LAYER_IDENTITY },
    { .name = "StochasticDepth", .kind = FT_LAYER_IDENTITY },
    { .name = "DropPath", .kind = FT_LAYER_IDENTITY },
    /* of the first EfficientNet files */
    { .name = "FixedDropout", .kind = FT_LAYER_IDENTITY },
    { .name = "SpatialDropout2D", .kind = FT_LAYER_IDENTITY },
    { .name = "AlphaDropout", .kind = FT_LAYER_IDENTITY },
    { .name = "GaussianDropout", .kind = FT_LAYER_IDENTITY },
    { .name = "GaussianNoise", .kind = FT_LAYER_IDENTITY },
    /* augmentation happens in training only */
    { .name = "RandomFlip", .kind = FT_LAYER_IDENTITY },
    { .name = "RandomRotation", .kind = FT_LAYER_IDENTITY },
    { .name = "RandomZoom", .kind = FT_LAYER_IDENTITY },
    { .name = "RandomTranslation", .kind = FT_LAYER_IDENTITY },
    { .name = "RandomContrast", .kind = FT_LAYER_IDENTITY },
    { .name = "RandomBrightness", .kind = FT_LAYER_IDENTITY },
    { .name = "RandomShear", .kind = FT_LAYER_IDENTITY },
    { .name = "ActivityRegularization", .kind = FT_LAYER_IDENTITY },
    { .name = "Identity", .kind = FT_LAYER_IDENTITY },
    { .name = "RandomErasing", .kind = FT_LAYER_IDENTITY },
    { .name = "RandomGrayscale", .kind = FT_LAYER_IDENTITY },
    { .name = "RandomHue", .kind = FT_LAYER_IDENTITY },
    { .name = "RandomSaturation", .kind = FT_LAYER_IDENTITY },
    { .name = "RandomSharpness", .kind = FT_LAYER_IDENTITY },
    { .name = "RandomColorJitter", .kind = FT_LAYER_IDENTITY },
    { .name = "RandomColorDegeneration", .kind = FT_LAYER_IDENTITY },
    { .name = "RandomGaussianBlur", .kind = FT_LAYER_IDENTITY },
    { .name = "RandomPerspective", .kind = FT_LAYER_IDENTITY },
    { .name = "RandomElasticTransform", .kind = FT_LAYER_IDENTITY },
    { .name = "RandomInvert", .kind = FT_LAYER_IDENTITY },
    { .name = "RandomPosterization", .kind = FT_LAYER_IDENTITY },
    { .name = "RandAugment", .kind = FT_LAYER_IDENTITY },
    { .name = "AugMix", .kind = FT_LAYER_IDENTITY },
    { .name = "CutMix", .kind = FT_LAYER_IDENTITY },
    { .name = "MixUp", .kind = FT_LAYER_IDENTITY },
    { .name = "Equalization", .kind = FT_LAYER_IDENTITY },
    { .name = "Solarization", .kind = FT_LAYER_IDENTITY },
    { .name = "MaxNumBoundingBoxes", .kind = FT_LAYER_IDENTITY },
    { .name = "RandomHeight", .kind = FT_LAYER_IDENTITY },
    { .name = "RandomWidth", .kind = FT_LAYER_IDENTITY },
    { 0 },
};
