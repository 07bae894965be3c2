/* The families of KerasHub that a function describes: convolutional networks, and transformers of
 * several stages. One row each. */
#include <stdlib.h>
#include <string.h>

#include "presets/convnet.h"

ft_convnet_family *ft_convnet_find(const char *class)
{
    static const struct {
        const char *class;
        ft_convnet_family *family;
    } families[] = {
        { "VGGBackbone", ft_convnet_vgg },
        { "ResNetBackbone", ft_convnet_resnet },
        { "DenseNetBackbone", ft_convnet_densenet },
        { "XceptionBackbone", ft_convnet_xception },
        { "EfficientNetBackbone", ft_convnet_efficientnet },
        { "MobileNetBackbone", ft_convnet_mobilenet },
        { "MobileNetV5Backbone", ft_convnet_mobilenet_v5 },
        { "HGNetV2Backbone", ft_convnet_hgnet },
        { "CSPNetBackbone", ft_convnet_cspnet },
        { "MiTBackbone", ft_convnet_mit },
        { "SwinTransformerBackbone", ft_convnet_swin },
    };
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (!strcmp(families[i].class, class))
            return families[i].family;
    return NULL;
}

int ft_convnet_build(struct ft_builder *b, const cJSON *json, int input)
{
    struct ft_convnet x = { .b = b, .config = ft_field(json, "config"), .epsilon = 1e-3 };
    const char *class = cJSON_GetStringValue(ft_field(json, "class_name"));
    ft_convnet_family *family = class ? ft_convnet_find(class) : NULL;
    const int output = family ? family(&x, input) : 0;
    ft_convnet_weights(&x, output);
    free(x.places);
    return b->rc ? 0 : output;
}
