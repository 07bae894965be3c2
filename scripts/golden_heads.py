#!/usr/bin/env python3
"""Small classifiers of other people, for tests/cli/foreign.sh: golden_heads.py [OUT_DIR], default tests/golden/heads.

NAME.keras, NAME.h5   one dense head each: sigmoid, logits, an activation as a layer, an int8 kernel, several sigmoids;
                      inputs and outputs by name; subclasses of Model and Sequential inside one another
wide.png              a picture that is three times as wide as high
expected.txt          file, then the probabilities that Keras gives for wide.png, resized as load_img does (bilinear)
imagenet.txt          what Keras gives for imagenet.h5, whose last layer is that of a published network: index and
                      probability of the three most probable classes. weights/imagenet-classes.txt has the names
"""
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import numpy as np
import keras
import tf_keras
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
SIZE = 16


def base(k, units, activation, layer=None, name="head"):
    x = y = k.Input((SIZE, SIZE, 3))
    y = k.layers.Rescaling(1 / 127.5, -1)(y)
    y = k.layers.Conv2D(6, 3, strides=2, activation="relu")(y)
    y = k.layers.Dense(units, activation=activation, name=name)(k.layers.GlobalAveragePooling2D()(y))
    return k.Model(x, layer(y) if layer else y)


def answer(net, pixels):
    y = net({"picture": pixels}) if isinstance(net.input, dict) else net(pixels)
    return y["label"] if isinstance(y, dict) else y


def named(k):
    net = base(k, 3, "softmax")
    return k.Model({"picture": net.inputs[0]}, {"label": net.outputs[0]})


def subclass(k):
    class MySequential(k.Sequential):
        pass

    class MyModel(k.Model):
        pass

    start = k.Input((SIZE, SIZE, 3))
    inner = MySequential([k.layers.Conv2D(6, 3, strides=2, activation="relu"), k.layers.GlobalAveragePooling2D()])
    middle = MyModel(start, inner(k.layers.Rescaling(1 / 127.5, -1)(start)))
    end = k.Input((SIZE, SIZE, 3))
    return MyModel(end, k.layers.Dense(3, activation="softmax")(middle(end)))


def main():
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests" / "golden" / "heads"
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    columns = np.linspace(0, 255, 48)
    picture = np.stack([np.tile(columns, (16, 1)), np.tile(255 - columns, (16, 1)), rng.integers(0, 256, (16, 48))], -1)
    image = Image.fromarray(picture.astype("uint8"))
    image.save(out / "wide.png")
    pixels = np.asarray(image.resize((SIZE, SIZE), Image.BILINEAR), "float32")[None]
    lines = []
    for k, end in ((keras, ".keras"), (tf_keras, ".h5")):
        nets = {
            "sigmoid": (base(k, 1, "sigmoid"), lambda p: [1 - p[0], p[0]]),
            "logits": (base(k, 3, None), lambda z: np.exp(z - z.max()) / np.exp(z - z.max()).sum()),
            "layer": (base(k, 3, None, k.layers.Softmax()), lambda p: p),
            "labels": (base(k, 3, "sigmoid"), lambda p: p),
        }
        nets["named"], nets["subclass"] = (named(k), lambda p: p), (subclass(k), lambda p: p)
        if k is keras:
            nets["int8"] = (base(k, 3, "softmax"), lambda p: p)
        for name, (net, judge) in nets.items():
            draw = np.random.default_rng(9) if name in ("named", "subclass") else rng
            for w in net.weights:
                w.assign(draw.normal(0, 0.5, w.shape))
            if name == "int8":
                net.get_layer("head").quantize("int8")
            net.save(out / (name + end))
            if judge:
                p = judge(np.asarray(answer(net, pixels))[0].astype("float64"))
                lines.append(name + end + "".join(" %.6f" % v for v in p))
    net = base(keras, 1000, "softmax", name="predictions")
    for w in net.weights:
        w.assign(rng.normal(0, 0.5, w.shape))
    net.save(out / "imagenet.h5")
    p = np.asarray(net(pixels))[0]
    (out / "imagenet.txt").write_text("".join("%d %.6f\n" % (i, p[i]) for i in p.argsort()[:-4:-1]))
    (out / "expected.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
