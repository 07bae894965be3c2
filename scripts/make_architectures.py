#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes weights/architectures from the keras.applications of an installed Keras 3 and from lite.py. These files contain what a file of
weights only leaves out. Their format is described in lib/keras/architecture_text.h. They leave out widths, so that networks that differ
only in width share a file.

    scripts/make_architectures.py [NAME ...]
"""
import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import lite
import numpy as np
from keras import applications as A

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "weights", "architectures")
# file: (preprocessing, [(name, constructor, settings, size)]); the first of several is described
FAMILIES = {
    "vgg16": ("caffe", [("vgg16", A.VGG16, {}, 224)]),
    "vgg19": ("caffe", [("vgg19", A.VGG19, {}, 224)]),
    "resnet50": ("caffe", [("resnet50", A.ResNet50, {}, 224)]),
    "resnet101": ("caffe", [("resnet101", A.ResNet101, {}, 224)]),
    "resnet152": ("caffe", [("resnet152", A.ResNet152, {}, 224)]),
    "resnet50v2": ("tf", [("resnet50v2", A.ResNet50V2, {}, 224)]),
    "resnet101v2": ("tf", [("resnet101v2", A.ResNet101V2, {}, 224)]),
    "resnet152v2": ("tf", [("resnet152v2", A.ResNet152V2, {}, 224)]),
    "inceptionv3": ("tf", [("inceptionv3", A.InceptionV3, {}, 299)]),
    "inceptionresnetv2": ("tf", [("inceptionresnetv2", A.InceptionResNetV2, {}, 299)]),
    "xception": ("tf", [("xception", A.Xception, {}, 299)]),
    "mobilenet": ("tf", [(f"mobilenet-{a}" if a != 1 else "mobilenet", A.MobileNet, {"alpha": a}, 224) for a in (1.0, 0.75, 0.5, 0.25)]),
    "mobilenetv2": ("tf", [(f"mobilenetv2-{a}" if a != 1 else "mobilenetv2", A.MobileNetV2, {"alpha": a}, 224) for a in (1.0, 1.4, 1.3, 0.75, 0.5, 0.35)]),
    "mobilenetv3small": ("none", [("mobilenetv3small", A.MobileNetV3Small, {}, 224), ("mobilenetv3small-0.75", A.MobileNetV3Small, {"alpha": 0.75}, 224)]),
    "mobilenetv3large": ("none", [("mobilenetv3large", A.MobileNetV3Large, {}, 224), ("mobilenetv3large-0.75", A.MobileNetV3Large, {"alpha": 0.75}, 224)]),
    "densenet121": ("torch", [("densenet121", A.DenseNet121, {}, 224)]),
    "densenet169": ("torch", [("densenet169", A.DenseNet169, {}, 224)]),
    "densenet201": ("torch", [("densenet201", A.DenseNet201, {}, 224)]),
    "nasnetmobile": ("tf", [("nasnetmobile", A.NASNetMobile, {}, 224)]),
    "nasnetlarge": ("tf", [("nasnetlarge", A.NASNetLarge, {}, 331)]),
    "efficientnetb0": ("none", [("efficientnetb0", A.EfficientNetB0, {}, 224)]),
    "efficientnetb1": ("none", [("efficientnetb1", A.EfficientNetB1, {}, 240), ("efficientnetb2", A.EfficientNetB2, {}, 260)]),
    "efficientnetb3": ("none", [("efficientnetb3", A.EfficientNetB3, {}, 300)]),
    "efficientnetb4": ("none", [("efficientnetb4", A.EfficientNetB4, {}, 380)]),
    "efficientnetb5": ("none", [("efficientnetb5", A.EfficientNetB5, {}, 456)]),
    "efficientnetb6": ("none", [("efficientnetb6", A.EfficientNetB6, {}, 528)]),
    "efficientnetb7": ("none", [("efficientnetb7", A.EfficientNetB7, {}, 600)]),
    **{f"efficientnet-lite{v[0]}": ("lite", [(f"efficientnet-lite{i}", lite.EfficientNetLite, {"keras": keras, "variant": i}, lite.SCALES[i][2]) for i in v])
       for v in ((0,), (1, 2), (3,), (4,))},
    "efficientnetv2b0": ("none", [("efficientnetv2b0", A.EfficientNetV2B0, {}, 224)]),
    "efficientnetv2b1": ("none", [("efficientnetv2b1", A.EfficientNetV2B1, {}, 240)]),
    "efficientnetv2b2": ("none", [("efficientnetv2b2", A.EfficientNetV2B2, {}, 260)]),
    "efficientnetv2b3": ("none", [("efficientnetv2b3", A.EfficientNetV2B3, {}, 300)]),
    "efficientnetv2s": ("none", [("efficientnetv2s", A.EfficientNetV2S, {}, 384)]),
    "efficientnetv2m": ("none", [("efficientnetv2m", A.EfficientNetV2M, {}, 480)]),
    "efficientnetv2l": ("none", [("efficientnetv2l", A.EfficientNetV2L, {}, 480)]),
    "convnexttiny": ("none", [("convnexttiny", A.ConvNeXtTiny, {}, 224)]),
    "convnextsmall": ("none", [(n, c, {}, 224) for n, c in (("convnextsmall", A.ConvNeXtSmall), ("convnextbase", A.ConvNeXtBase),
                                                           ("convnextlarge", A.ConvNeXtLarge), ("convnextxlarge", A.ConvNeXtXLarge))]),
}
DROPPED = {"Dropout", "SpatialDropout2D", "StochasticDepth"}
# What a layer keeps beside what follows from the weights; everything else is how it was trained, or its default.
KEPT = {
    "Conv2D": {"kernel_size": [1, 1], "strides": [1, 1], "padding": "valid", "dilation_rate": [1, 1], "groups": 1, "activation": "linear", "use_bias": True},
    "DepthwiseConv2D": {"kernel_size": [1, 1], "strides": [1, 1], "padding": "valid", "dilation_rate": [1, 1], "depth_multiplier": 1, "activation": "linear", "use_bias": True},
    "SeparableConv2D": {"kernel_size": [1, 1], "strides": [1, 1], "padding": "valid", "dilation_rate": [1, 1], "depth_multiplier": 1, "activation": "linear", "use_bias": True},
    "Dense": {"activation": "linear", "use_bias": True},
    "BatchNormalization": {"epsilon": 1e-3, "scale": True, "center": True},
    "LayerNormalization": {"epsilon": 1e-3, "scale": True, "center": True},
    "Normalization": {"mean": None, "variance": None},
    "Rescaling": {"scale": None, "offset": 0},
    "Activation": {"activation": None},
    "ReLU": {"max_value": None, "negative_slope": 0, "threshold": 0},
    "ZeroPadding2D": {"padding": None},
    "Cropping2D": {"cropping": None},
    "MaxPooling2D": {"pool_size": None, "strides": None, "padding": "valid"},
    "AveragePooling2D": {"pool_size": None, "strides": None, "padding": "valid"},
    "GlobalAveragePooling2D": {"keepdims": False},
    "GlobalMaxPooling2D": {"keepdims": False},
    "Reshape": {"target_shape": None},
    "CustomScaleLayer": {"scale": None},
    "LayerScale": {},
    "Softmax": {},
}


def build(constructor, settings, size, top):
    """With the layers that weights="imagenet" adds (EfficientNet's second Rescaling), but without weights."""
    keras.backend.clear_session()
    if "EfficientNetB" not in constructor.__name__:
        return constructor(weights=None, include_top=top, **settings, **({"input_shape": (size, size, 3)} if top or "NASNet" in constructor.__name__ else {}))
    import keras.src.applications.efficientnet as module

    get, load = module.file_utils.get_file, keras.Model.load_weights
    module.file_utils.get_file, keras.Model.load_weights = lambda *a, **k: "none", lambda *a, **k: None
    try:
        return constructor(weights="imagenet", include_top=top, **settings)
    finally:
        module.file_utils.get_file, keras.Model.load_weights = get, load


def plain(value):
    if isinstance(value, dict) and value.get("class_name") == "__tuple__":
        return plain(value["config"] if "items" not in value else value["items"])
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def settings_of(entry):
    kind, config = entry["class_name"], entry["config"]
    kept = {}
    for key, default in KEPT.get(kind, {}).items():
        value = plain(config.get(key))
        if value is not None and value != default:
            kept[key] = value
    if kind == "Reshape":
        kept["target_shape"] = kept["target_shape"][:-1] + [-1]
    if kind == "BatchNormalization" and "epsilon" in kept:
        kept["epsilon"] = float(f"{kept['epsilon']:.7g}")
    return kept


def arguments(node):
    """Names of layers and numbers that a call has."""
    out = []

    def walk(value):
        if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
            out.append(value["config"]["keras_history"][0])
        elif isinstance(value, (list, tuple)):
            for v in value:
                walk(v)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            out.append(float(value))

    walk(node["args"])
    return out


class Writer:
    def __init__(self):
        self.lines, self.classes, self.place = [], {}, {}

    def letter(self, kind, settings):
        text = kind + (" " + json.dumps(settings, separators=(",", ":")) if settings else "")
        if text not in self.classes:
            n, letters = len(self.classes), "abcdefghijklmnopqrstuvwxyz"
            name = letters[n] if n < 26 else letters[n // 26 - 1] + letters[n % 26]
            self.classes[text] = name
            self.lines.append(f"= {name} {text}")
        return self.classes[text]

    def layer(self, entry, alias):
        kind, name, nodes = entry["class_name"], entry["name"], entry["inbound_nodes"]
        inputs = arguments(nodes[0]) if nodes else []
        inputs = [alias.get(i, i) if isinstance(i, str) else i for i in inputs]
        if kind in DROPPED:
            alias[name] = inputs[0]
            return
        n = len(self.place)
        back = [f"={i:.9g}" if isinstance(i, float) else str(n - self.place[i]) for i in inputs]
        if kind == "Sequential":
            assert back == ["1"], name
            self.lines.append("{" + name)
            for inner in entry["config"]["layers"]:
                if inner["class_name"] != "InputLayer":
                    self.lines.append(f"{inner['config']['name']} {self.letter(inner['class_name'], settings_of(inner))}")
            self.lines.append("}")
            self.lines += []
        else:
            self.lines.append(" ".join([name, self.letter(kind, settings_of(entry))] + ([] if back == ["1"] else back)))
        self.place[name] = n


def pad_by_size(lines):
    """Keras's correct_pad depends on whether the input is even: before a convolution it does what padding="same" does, which holds for every size."""
    settings, layers, inside = {}, [], False
    for line in lines:
        if line.startswith("= "):
            letter, text = line[2:].split(" ", 1)
            settings[letter] = text
        elif inside or line.startswith("{"):
            layers += [["{", [line], [len(layers) - 1]]] if line.startswith("{") else []
            if not line.startswith("{"):
                layers[-1][1].append(line)
            inside = line != "}"
        else:
            name, letter, *back = line.split(" ")
            here = len(layers)
            layers.append([name, letter, [b if b.startswith("=") else here - int(b) for b in back] if back else [here - 1] if here else []])
    users = [[k for k, l in enumerate(layers) if i in l[2]] for i in range(len(layers))]
    dropped = {}
    for i, (name, letter, inputs) in enumerate(layers):
        if name == "{" or not settings[letter].startswith("ZeroPadding2D") or len(users[i]) != 1:
            continue
        user = layers[users[i][0]]
        kind, _, text = settings[user[1]].partition(" ") if user[0] != "{" else ("", "", "")
        if kind not in ("Conv2D", "DepthwiseConv2D", "SeparableConv2D") or '"strides":[2,2]' not in text or "padding" in text:
            continue
        same = {"kernel_size": None, "strides": None, "padding": "same", **json.loads(text)}
        same = kind + " " + json.dumps({k: v for k, v in same.items() if v is not None}, separators=(",", ":"))
        match = next((k for k, v in settings.items() if v == same), None)
        if not match:
            match = "s" + user[1]
            settings[match] = same
        user[1] = match
        dropped[i] = inputs[0]
    out, place = [], {}
    for i, (name, letter, inputs) in enumerate(layers):
        if i in dropped:
            continue
        n = place[i] = len(place)
        back = [b if isinstance(b, str) else str(n - place[dropped.get(b, b)]) for b in inputs]
        if name == "{":
            out += letter
        else:
            out.append(" ".join([name, letter] + ([] if back == ["1"] or not back else back)))
    used = {l.split(" ")[1] for l in out if l[0] not in "{}"}
    return [f"= {k} {v}" for k, v in settings.items() if k in used] + out


def hoist(lines):
    """Settings first: inside { } there are layers only."""
    return [l for l in lines if l.startswith("= ")] + [l for l in lines if not l.startswith("= ")]


def describe(name, preprocess, variants):
    constructor, settings, size = variants[0][1:]
    model, bare = build(constructor, settings, size, True), build(constructor, settings, size, False)
    writer, alias, head = Writer(), {}, [f"!preprocess {preprocess}"]
    for variant, c, s, n in variants:
        count = sum(int(np.prod(w.shape)) for layer in build(c, s, n, False).layers for w in weights_of(layer))
        head.append(f"!variant {variant} {n} {count}")
    config = model.get_config()
    for entry in config["layers"]:
        writer.layer(entry, alias)
    # Both networks list their weighted layers in one order, the top last.
    weighted = [l for l in model.layers if l.weights]
    assert [len(l.weights) for l in weighted[: len([l for l in bare.layers if l.weights])]] == [len(l.weights) for l in bare.layers if l.weights], name
    last = bare.layers[-1].name
    if last not in writer.place:  # names that Keras numbers
        last = model.layers[len(bare.layers) - 1].name
    pools = [l.name for l in model.layers if isinstance(l, (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D))]
    order = [l.name for l in model.layers]
    cut = next((p for p in pools if order.index(p) > order.index(last)), last)
    below = len([l for l in bare.layers if l.weights])
    final = weighted[below - 1].name
    if order.index(final) > order.index(cut):  # ConvNeXt normalises what was pooled, without top too
        cut = final
    head.append(f"!cut {alias.get(cut, cut)}")
    head.append(f"!layers {below} {len(weighted)}")
    with open(os.path.join(OUT, name + ".txt"), "w") as f:
        lines = hoist(writer.lines)
        f.write("\n".join(head + (pad_by_size(lines) if name.startswith(("efficientnetb", "mobilenetv2", "mobilenetv3", "nasnet")) else lines)) + "\n")
    print(name, len(writer.place), os.path.getsize(os.path.join(OUT, name + ".txt")), flush=True)


def weights_of(layer):
    """Without Normalization's count."""
    return [w for w in layer.weights if w.path.split("/")[-1] != "count" and "seed_generator" not in w.path]


def main():
    os.makedirs(OUT, exist_ok=True)
    for name, (preprocess, variants) in FAMILIES.items():
        if not sys.argv[1:] or name in sys.argv[1:]:
            describe(name, preprocess, variants)


if __name__ == "__main__":
    main()
