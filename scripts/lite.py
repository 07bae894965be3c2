# SPDX-License-Identifier: Apache-2.0
"""EfficientNet-Lite (Tan and Le 2019), which is not in keras.applications: no squeeze-excite, ReLU6, stem and head of fixed width, first
and last stage of fixed depth. Layers have the names of the published Keras weights (sebastian-sz/efficientnet-lite-keras). The input
is (x - 127) / 128."""
import math

SCALES = [(1.0, 1.0, 224), (1.0, 1.1, 240), (1.1, 1.2, 260), (1.2, 1.4, 280), (1.4, 1.8, 300)]  # width, depth, size of Lite0 to Lite4
STAGES = [(1, 3, 1, 16), (2, 3, 2, 24), (2, 5, 2, 40), (3, 3, 2, 80), (3, 5, 1, 112), (4, 5, 2, 192), (1, 3, 1, 320)]  # repeats, kernel, stride, width


def rounded(width):
    """Rounds to a multiple of 8, but reduces by at most 10 %."""
    near = max(8, int(width + 4) // 8 * 8)
    return near + 8 if near < 0.9 * width else near


def EfficientNetLite(keras, variant=0, include_top=True, weights=None, input_tensor=None, input_shape=None, pooling=None):
    """As a function of keras.applications, for keras and tf_keras."""
    layers, (width, depth, size) = keras.layers, SCALES[variant]
    start = x = input_tensor if input_tensor is not None else keras.Input(input_shape or (size, size, 3))

    def normalised(x, layer, name, end, activation=None):
        x = layers.BatchNormalization(name=name + end)(layer(x))
        return layers.ReLU(6, name=name + activation)(x) if activation else x

    def convolution(filters, name, kernel=1, strides=1):
        return layers.Conv2D(filters, kernel, strides, "same", use_bias=False, name=name)

    x = normalised(x, convolution(32, "stem_conv", 3, 2), "stem_", "bn", "activation")
    for stage, (repeats, kernel, stride, filters) in enumerate(STAGES):
        filters = rounded(filters * width)
        for i in range(repeats if stage in (0, 6) else math.ceil(repeats * depth)):
            name, before = "block%d%c_" % (stage + 1, ord("a") + i), x
            if stage:
                x = normalised(x, convolution(6 * x.shape[-1], name + "expand_conv"), name + "expand_", "bn", "activation")
            depthwise = layers.DepthwiseConv2D(kernel, stride if i == 0 else 1, "same", use_bias=False, name=name + "dwconv")
            x = normalised(x, depthwise, name, "bn", "activation")
            x = normalised(x, convolution(filters, name + "project_conv"), name, "project_bn")
            if i > 0:
                x = layers.Add(name=name + "add")([x, before])
    x = normalised(x, convolution(1280, "top_conv"), "top_", "bn", "activation")
    if include_top or pooling:
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    if include_top:
        x = layers.Dense(1000, activation="softmax", name="predictions")(x)
    return keras.Model(keras.utils.get_source_inputs(start) if input_tensor is not None else start, x, name="efficientnetlite%d" % variant)
