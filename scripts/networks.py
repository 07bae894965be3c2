# SPDX-License-Identifier: Apache-2.0
"""The networks of keras.applications and EfficientNet-Lite with seeded random weights, for conformance.py. Works with keras and tf_keras.

The weights are random but realistic: batch-norm statistics are those of real pictures, layer by layer, then perturbed; biases, gammas
and betas are noise. Features of different pictures therefore differ, and a program that ignored the picture would fail. Branches end
with small values, as in trained residual networks. Otherwise rounding would grow from block to block (EfficientNetB5: Keras's float32
would be 20 % off its float64).
"""
import importlib

import lite

# name (with alpha, or which Lite), size, and 0: the smallest of its family, 1: another
NETWORKS = [
    ("VGG16", 96, 0), ("VGG19", 96, 1),
    ("ResNet50", 128, 0), ("ResNet101", 128, 1), ("ResNet152", 128, 1),
    ("ResNet50V2", 128, 0), ("ResNet101V2", 128, 1), ("ResNet152V2", 128, 1),
    ("InceptionV3", 139, 0), ("InceptionResNetV2", 139, 0), ("Xception", 128, 0),
    ("MobileNet", 128, 0), ("MobileNet-0.75", 160, 1), ("MobileNet-0.5", 192, 1), ("MobileNet-0.25", 224, 1),
    ("MobileNetV2", 128, 0), ("MobileNetV2-0.35", 96, 1), ("MobileNetV2-0.5", 128, 1), ("MobileNetV2-0.75", 160, 1),
    ("MobileNetV2-1.3", 224, 1), ("MobileNetV2-1.4", 224, 1),
    ("MobileNetV3Small", 128, 0), ("MobileNetV3Small-0.75", 128, 1), ("MobileNetV3Large", 128, 0), ("MobileNetV3Large-0.75", 128, 1),
    ("DenseNet121", 128, 0), ("DenseNet169", 128, 1), ("DenseNet201", 128, 1),
    ("NASNetMobile", 128, 0), ("NASNetLarge", 139, 1),
    ("EfficientNetB0", 128, 0), ("EfficientNetB1", 128, 1), ("EfficientNetB2", 128, 1), ("EfficientNetB3", 128, 1),
    ("EfficientNetB4", 128, 1), ("EfficientNetB5", 128, 1), ("EfficientNetB6", 128, 1), ("EfficientNetB7", 160, 1),
    ("EfficientNet-Lite0", 128, 0), ("EfficientNet-Lite1", 128, 1), ("EfficientNet-Lite2", 128, 1), ("EfficientNet-Lite3", 128, 1),
    ("EfficientNet-Lite4", 128, 1),
    ("EfficientNetV2B0", 128, 0), ("EfficientNetV2B1", 128, 1), ("EfficientNetV2B2", 128, 1), ("EfficientNetV2B3", 128, 1),
    ("EfficientNetV2S", 128, 1), ("EfficientNetV2M", 128, 1), ("EfficientNetV2L", 128, 1),
    ("ConvNeXtTiny", 96, 0), ("ConvNeXtSmall", 96, 1), ("ConvNeXtBase", 96, 1), ("ConvNeXtLarge", 96, 1), ("ConvNeXtXLarge", 96, 1),
]
# How pixels enter, by the beginning of the name; the first that fits. Families of "none" do it themselves.
MODES = [("VGG", "caffe"), ("ResNet50V2", "tf"), ("ResNet101V2", "tf"), ("ResNet152V2", "tf"), ("ResNet", "caffe"), ("Inception", "tf"), ("Xception", "tf"),
         ("MobileNetV3", "none"), ("MobileNet", "tf"), ("DenseNet", "torch"), ("NASNet", "tf"), ("EfficientNet-Lite", "lite"),
         ("EfficientNet", "none"), ("ConvNeXt", "none")]
# The last layer with weights of a residual branch; ResNet V2 ends with the convolution _3_conv.
BRANCH_ENDS = ("project_bn/", "project_BN/", "_3_bn/")
# The first block of an EfficientNet's stage adds nothing to its input: small, the branches that are added to it would be large beside it.
STAGE_START = "a_project_bn/"


def mode(name):
    return next(m for beginning, m in MODES if name.startswith(beginning))


def preprocess(name, pixels):
    """The result of preprocess_input for RGB 0-255, in double precision."""
    import numpy as np
    x = pixels.astype(np.float64)
    if mode(name) == "tf":
        return x / 127.5 - 1
    if mode(name) == "lite":
        return (x - 127) / 128
    if mode(name) == "torch":
        return (x / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    return x[..., ::-1] - [103.939, 116.779, 123.68] if mode(name) == "caffe" else x


def construct(keras, name, top, **settings):
    """Without weights, but with the layers that weights="imagenet" adds (the second Rescaling of EfficientNet)."""
    base, _, alpha = name.partition("-")
    if alpha.startswith("Lite"):
        return lite.EfficientNetLite(keras, int(alpha[4:]), top, **settings)
    function = getattr(keras.applications, base)
    if alpha:
        settings["alpha"] = float(alpha)
    if base.startswith(("EfficientNetV2", "MobileNetV3", "ConvNeXt")):
        settings["include_preprocessing"] = True
    if not base.startswith("EfficientNetB") or "input_tensor" in settings:
        return function(weights=None, include_top=top, **settings)
    module = importlib.import_module(function.__module__)
    files = module.file_utils if hasattr(module, "file_utils") else module.data_utils
    get, load, shape = files.get_file, keras.Model.load_weights, module.imagenet_utils.obtain_input_shape
    files.get_file, keras.Model.load_weights = lambda *a, **k: "none", lambda *a, **k: None
    module.imagenet_utils.obtain_input_shape = lambda *a, **k: shape(*a, **dict(k, weights=None))
    try:
        return function(weights="imagenet", include_top=top, **settings)
    finally:
        files.get_file, keras.Model.load_weights, module.imagenet_utils.obtain_input_shape = get, load, shape


def rgb(keras, name, size):
    """The network without its top, with average pooling, for RGB 0-255. Layers for normalisation are added to families that have it outside the network."""
    x = y = keras.Input((size, size, 3))
    if mode(name) != "none":
        y = keras.layers.Rescaling(1 / 127.5, -1.0)(x) if mode(name) == "tf" and not name.startswith("MobileNet") else keras.layers.Rescaling(1 / 58.0, -2.1)(x)
    model = construct(keras, name, False, pooling="avg", input_tensor=y)
    return model, model


def bare(keras, name, size):
    """As its weights are published: a map comes out, what preprocess_input gives goes in. It is averaged; ConvNeXt's last normalisation comes after
    that, as with pooling="avg"."""
    model = construct(keras, name, False, input_shape=(size, size, 3))
    average, last = keras.layers.GlobalAveragePooling2D(keepdims=True), model.layers[-1]
    return model, keras.Model(model.inputs, last(average(last.input)) if name.startswith("ConvNeXt") else average(model.outputs[0]))


def topped(keras, name, size):
    """The network with its 1000 classes. The features are the input of the last layer that has weights."""
    model = construct(keras, name, True, input_shape=(size, size, 3))
    last = [l for l in model.layers if l.weights][-1]
    return model, keras.Model(model.inputs, last.input)


def randomise(keras, model, seed, calibrating):
    """Seeded weights everywhere; then, layer by layer, batch-norm statistics from `calibrating` pictures, perturbed."""
    import numpy as np
    rng = np.random.default_rng(seed)
    for w in model.weights:
        name, shape = w.name.split("/")[-1].split(":")[0], tuple(w.shape)
        layer = w.path if hasattr(w, "path") else w.name
        if name == "count" or "seed" in name:
            continue
        if name in ("mean", "variance"):
            value = rng.uniform(0.4, 0.5, shape) if name == "mean" else rng.uniform(0.05, 0.06, shape)
        elif name == "gamma" and any(e in layer for e in BRANCH_ENDS) and STAGE_START not in layer:
            value = rng.uniform(0.05, 0.15, shape)
        elif len(shape) >= 2:
            depthwise = len(shape) == 4 and ("depthwise" in name or 1 in shape[2:])
            fan = np.prod(shape[:2]) if depthwise else np.prod(shape[:-1])
            # MobileNet 1 and 2 have few branches or none: filters that sum to about nothing would let rounding through and not the picture
            value = rng.normal(0.7 if depthwise and model.name.startswith("mobilenet") else 0, 0.1 if "_3_conv/" in layer else 1, shape) * (1.6 / fan) ** 0.5
        elif name in ("gamma", "moving_variance"):
            value = rng.uniform(0.7, 1.3, shape)
        elif "layer_scale" in layer or name.startswith("variable"):
            value = rng.uniform(0.2, 0.5, shape)
        else:
            value = rng.normal(0, 0.1, shape)
        w.assign(value.astype(np.float32))
    finalise(model)
    calibrate(model, calibrating, rng)


def finalise(model):
    """Computes the values that a Normalization uses from its variables."""
    for layer in model.layers:
        if type(layer).__name__ == "Normalization" and layer.input_mean is None:
            layer.finalize_state()


def calibrate(model, calibrating, rng):
    """Momentum 0 makes one pass in training mode store the batch's own statistics, which later layers already see normalised."""
    import numpy as np
    norms = [l for l in model.layers if type(l).__name__ == "BatchNormalization"]
    if not norms:
        return
    before = [l.momentum for l in norms]
    for l in norms:
        l.momentum = 0.0
    model([calibrating], training=True)
    for l, momentum in zip(norms, before):
        l.momentum = momentum
        mean, variance = np.asarray(l.moving_mean), np.asarray(l.moving_variance)
        deviation = np.sqrt(variance + 1e-3)
        l.moving_mean.assign(mean + deviation * rng.normal(0, 0.1, mean.shape).astype(np.float32))
        l.moving_variance.assign((variance + 1e-3) * rng.uniform(0.8, 1.25, mean.shape).astype(np.float32))


def quick_groups(model):
    """ConvNeXt's depthwise convolutions are written as grouped ones, which TensorFlow computes in double precision a hundred times slower."""
    import tensorflow as tf
    for layer in model.layers:
        if getattr(layer, "groups", 1) > 1 and layer.groups == layer.filters and (*layer.strides, layer.padding) == (1, 1, "same"):
            layer.convolution_op = lambda x, kernel: tf.nn.depthwise_conv2d(x, tf.transpose(kernel, (0, 1, 3, 2)), (1, 1, 1, 1), "SAME")
            layer._jit_compiled_convolution_op = layer.convolution_op  # what tf_keras calls


def precision(keras, floatx):
    keras.backend.set_floatx(floatx)
    keras.mixed_precision.set_global_policy(floatx)


def run(model, pixels):
    """Features [n, d], one picture at a time."""
    import numpy as np
    return np.stack([np.asarray(model([pixels[i:i + 1]], training=False)).reshape(-1) for i in range(len(pixels))])


class Built:
    """One network: `model` is saved; features(pixels) are those of Keras in float32, features64(pixels) in float64."""

    def __init__(self, keras, make, name, size, calibrating, seed=7):
        import numpy as np
        self.keras, self.make, self.name, self.size, self.known = keras, make, name, size, {}
        keras.utils.set_random_seed(seed)
        self.model, self.tap = make(keras, name, size)
        randomise(keras, self.model, seed, self.enter(calibrating).astype(np.float32))

    def enter(self, pixels):
        return pixels if self.make is rgb else preprocess(self.name, pixels)

    def features(self, pixels):
        import numpy as np
        return self.once("float32", lambda: run(self.tap, self.enter(pixels).astype(np.float32)))

    def features64(self, pixels):
        """The same network built anew in double precision, with the same weights. None: tf_keras cannot (EfficientNet with a float32 constant)."""
        if self.keras.__name__ == "tf_keras" and self.name.startswith("EfficientNetB") and self.make is not rgb:
            return None
        return self.once("float64", lambda: self.double(pixels))

    def once(self, key, compute):
        if key not in self.known:
            self.known[key] = compute()
        return self.known[key]

    def double(self, pixels):
        import numpy as np
        keras = self.keras
        precision(keras, "float64")
        try:
            model, tap = self.make(keras, self.name, self.size)
            model.set_weights([np.asarray(w) for w in self.model.get_weights()])
            finalise(model)
            quick_groups(model)
            out = run(tap, self.enter(pixels).astype(np.float64))
            assert out.dtype == np.float64
            return out
        finally:
            precision(keras, "float32")
