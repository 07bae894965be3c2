#!/usr/bin/env python3
"""Expected values for tests/unit/graph.c, from Keras: golden_graph.py [OUT_DIR], default tests/golden/graph.

nets.txt   small networks, one line for each layer, with Keras's output of each layer at a few places. Weights and pixels are not
           in the file: C and Python draw them from the same SplitMix64 (Steele, Lea and Flood, 2014).
lite0.txt  the features of the bundled network for two pictures of noise
"""
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import keras
import numpy as np
from keras import layers as L

ROOT = Path(__file__).resolve().parent.parent
PLACES = 24


class Noise:
    """SplitMix64: the i-th value is a function of seed + i * gamma alone."""

    def __init__(self, seed):
        self.state = np.uint64(seed)

    def next(self, n):
        with np.errstate(over="ignore"):
            gamma = np.uint64(0x9E3779B97F4A7C15)
            z = self.state + gamma * np.arange(1, n + 1, dtype=np.uint64)
            self.state = self.state + gamma * np.uint64(n)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            return z ^ (z >> np.uint64(31))

    def uniform(self, n, lo, hi):
        return (lo + (hi - lo) * ((self.next(n) >> np.uint64(40)).astype(np.float64) / 2**24)).astype(np.float32)

    def pixels(self, shape):
        return (self.next(int(np.prod(shape))) >> np.uint64(56)).astype(np.float32).reshape(shape)


def conv(x, c, k=3, s=1, p="same", act=None):
    x = L.BatchNormalization(epsilon=1e-3)(L.Conv2D(c, k, strides=s, padding=p, use_bias=False)(x))
    return L.Activation(act)(x) if act else x


def net_stem(x):
    x = conv(L.Rescaling(1 / 128, -127 / 128)(x), 37, 3, 2, act="relu6")
    x = L.Conv2D(35, 5, strides=2, padding="same", use_bias=False)(x)
    x = L.BatchNormalization(scale=False)(x)
    x = L.Conv2D(9, (1, 4), strides=2, padding="same", use_bias=False)(x)
    x = L.BatchNormalization(center=False, epsilon=1.001e-5)(x)
    return L.Conv2D(70, 2, padding="valid", activation="relu")(x)


def net_depthwise(x):
    x = conv(L.Rescaling(1 / 255)(x), 37, 1)
    for k, s in ((3, 1), (5, 1), (3, 2), (5, 2), (7, 1), ((3, 2), 1)):
        x = L.DepthwiseConv2D(k, strides=s, padding="same", use_bias=False)(x)
        x = L.BatchNormalization(epsilon=1e-3)(x)
        x = L.ReLU(6)(x) if k != 7 else L.Activation("swish")(x)
    x = L.DepthwiseConv2D(3, padding="same", depth_multiplier=2, activation="relu")(x)
    return L.DepthwiseConv2D(3, padding="same", dilation_rate=2)(x)


def net_residual(x):
    x = a = conv(L.Rescaling(1 / 255)(x), 24, 3, 2, act="relu6")
    x = conv(conv(x, 40, 1, act="relu6"), 24, 1)
    x = b = L.Add()([x, a])
    x = L.Activation("relu")(L.Add()([conv(x, 24, 3), conv(b, 24, 1)]))
    x = L.Add()([x, a, b])
    x = L.BatchNormalization()(x)
    x = L.Add()([x, x])
    y = L.Conv2D(24, 1)(x)
    x = L.Add()([y, L.Activation("relu")(y)])
    x = L.Add()([a, L.DepthwiseConv2D(3, padding="same")(x)])
    return L.GlobalAveragePooling2D()(x)


def net_excite(x):
    x = conv(L.Rescaling(1 / 255, 0.1)(x), 33, 3, act="swish")
    s = L.GlobalAveragePooling2D(keepdims=True)(x)
    s = L.Conv2D(33, 1, activation="sigmoid")(L.Conv2D(8, 1, activation="swish")(s))
    x = L.Multiply()([x, s])
    s = L.Dense(33, activation="hard_sigmoid")(L.GlobalMaxPooling2D()(x))
    x = L.Multiply()([L.Reshape((1, 1, 33))(s), x])
    s = L.Reshape((1, 1, -1))(L.GlobalAveragePooling2D()(x))
    x = L.Add()([x, s])
    return L.Dense(5)(x)


def net_pools(x):
    x = conv(L.Rescaling(1 / 255, -0.5)(x), 20, 3)
    x = L.MaxPooling2D(3, strides=2, padding="same")(L.ZeroPadding2D(1)(x))
    x = L.AveragePooling2D(3, strides=1, padding="same")(x)
    x = L.MaxPooling2D(2, padding="valid")(L.ZeroPadding2D(((1, 0), (0, 2)))(x))
    x = L.AveragePooling2D((2, 3), strides=(1, 2), padding="same")(x)
    x = L.MaxPooling2D(3, strides=1, padding="same")(x)
    return L.GlobalMaxPooling2D(keepdims=True)(x)


def net_branches(x):
    x = conv(L.Rescaling(1 / 255)(x), 10, 3, act="relu")
    a = conv(x, 7, 1, act="relu")
    b = L.DepthwiseConv2D(3, padding="same")(L.AveragePooling2D(3, strides=1, padding="same")(x))
    x = L.Concatenate()([a, x, b, a])
    x = L.Activation("relu")(L.BatchNormalization()(x))
    x = L.Concatenate()([x, L.Dropout(0.5)(conv(x, 12, 5))])
    return conv(x, 6, 3, 2, act="tanh")


def net_head(x):
    x = L.Flatten()(conv(L.Rescaling(1 / 255)(x), 6, 3, 2, act="gelu"))
    x = L.Dropout(0.2)(L.Dense(50, activation="relu")(x))
    x = L.Conv2D(8, 2, padding="same")(L.Reshape((5, 2, 5))(x))
    return L.Dense(7, activation="softmax")(L.Reshape((-1,))(x))


def net_activations(x):
    x = L.Conv2D(19, 1)(L.Rescaling(1 / 40, -3)(x))
    for a in ("relu", "relu6", "sigmoid", "hard_sigmoid", "tanh", "swish", "hard_swish", "gelu", "softmax", "linear"):
        x = L.Add()([L.Activation(a)(x), L.Conv2D(19, 1, activation=a)(x)])
    return x


def net_groups(x):
    x = L.Conv2D(12, 3, padding="same")(L.Rescaling(1 / 255)(x))
    x = L.Conv2D(18, 3, padding="same", groups=3)(x)
    x = L.Activation("relu")(L.BatchNormalization()(x))
    x = L.Conv2D(40, 3, padding="same", dilation_rate=2)(x)
    return L.Conv2D(33, 3, strides=(2, 1), padding="valid")(x)


def net_unfolded(x):
    x = L.BatchNormalization()(x)
    x = conv(L.ZeroPadding2D(((0, 1), (0, 1)))(x), 16, 3, 2, "valid", act="relu6")
    x = L.BatchNormalization()(x)
    p = L.ZeroPadding2D(2)(x)
    y = L.Conv2D(16, 5, padding="valid", use_bias=False)(p)
    x = L.Add()([L.BatchNormalization()(y), y])
    x = L.Activation("relu")(L.Rescaling(0.5, 0.25)(L.Activation("relu")(x)))
    x = L.Rescaling(2.0, -0.1)(L.ZeroPadding2D(1)(x))
    p = L.DepthwiseConv2D(3, padding="valid")(p)
    return L.GlobalAveragePooling2D()(L.Multiply()([p, L.Activation("sigmoid")(x)]))


def net_grey(x):
    return L.GlobalAveragePooling2D()(conv(conv(x, 8, 7, 2, act="relu"), 65, 3, 2))


def net_winograd(x):
    x = a = conv(L.Rescaling(1 / 128, -127 / 128)(x), 48, 3, act="relu")
    x = conv(x, 40, 3, act="relu6")
    x = L.Activation("relu")(L.Add()([conv(x, 48, 3), a]))
    return L.GlobalAveragePooling2D()(L.Conv2D(65, 3, padding="valid", activation="swish")(x))


NETS = [("stem", net_stem, (19, 23, 3)), ("depthwise", net_depthwise, (29, 31, 3)), ("residual", net_residual, (21, 18, 3)),
        ("excite", net_excite, (9, 13, 3)), ("pools", net_pools, (15, 22, 3)), ("branches", net_branches, (11, 17, 3)),
        ("head", net_head, (9, 7, 3)), ("activations", net_activations, (5, 6, 3)), ("groups", net_groups, (14, 15, 3)),
        ("unfolded", net_unfolded, (16, 15, 3)), ("grey", net_grey, (33, 34, 1)),
        ("winograd", net_winograd, (14, 19, 3))]


def pair(v):
    return tuple(v) if isinstance(v, (tuple, list)) else (v, v)


def words(layer):
    """The properties of a layer that network.h has: its class, then keys and values."""
    c, name, out = layer.get_config(), type(layer).__name__, []
    if name == "ReLU":
        return "Activation", ["activation", "relu6" if c["max_value"] == 6 else "relu"]
    if name == "Dropout":
        return "Identity", []
    for key in ("kernel_size", "pool_size"):
        if key in c:
            out += ["kernel", *pair(c[key]), "stride", *pair(c["strides"]), "padding", int(c["padding"] == "same")]
    if "dilation_rate" in c:
        out += ["dilation", *pair(c["dilation_rate"])]
    for key, word in (("filters", "filters"), ("units", "units"), ("groups", "groups"), ("depth_multiplier", "multiplier")):
        if c.get(key) is not None and not (key in ("groups", "filters") and name == "DepthwiseConv2D"):
            out += [word, c[key]]
    if c.get("activation") not in (None, "linear"):
        out += ["activation", {"silu": "swish", "hard_silu": "hard_swish"}.get(c["activation"], c["activation"])]
    if name == "ZeroPadding2D":
        out += ["pad", *c["padding"][0], *c["padding"][1]]
    if "epsilon" in c:
        out += ["epsilon", "%.9g" % c["epsilon"]]
    if c.get("keepdims"):
        out += ["keepdims", 1]
    if name == "Reshape":
        out += ["shape", len(c["target_shape"]), *c["target_shape"]]
    return name, out


def limits(layer, w):
    if w.name in ("gamma", "moving_variance"):
        return 0.5, 1.5
    if "kernel" not in w.name:
        return -0.5, 0.5
    sum_over = w.shape[:2] if isinstance(layer, L.DepthwiseConv2D) else w.shape[:-1]
    return -((3 / np.prod(sum_over)) ** 0.5), (3 / np.prod(sum_over)) ** 0.5


def draw_weights(layer, noise, out):
    """Sets every weight of a layer from the noise, and records how."""
    if isinstance(layer, L.Rescaling):
        out += ["constant 0 %.9g" % layer.scale, "constant 1 %.9g" % layer.offset]
        return
    places = {"kernel": 0, "depthwise_kernel": 0, "bias": 1, "gamma": 0, "beta": 1, "moving_mean": 2, "moving_variance": 3}
    values = []
    for w in layer.weights:
        n = int(np.prod(w.shape))
        lo, hi = (float("%.9g" % v) for v in limits(layer, w))
        out.append("weight %d %d %.9g %.9g" % (places[w.name], n, lo, hi))
        values.append(noise.uniform(n, lo, hi).reshape(w.shape))
    layer.set_weights(values)


def write_net(name, build, shape, seed):
    x = keras.Input(shape, name="input")
    model = keras.Model(x, build(x))
    noise, out = Noise(seed), ["net %s %d %d %d %d" % (name, seed, *shape)]
    index = {layer.name: i for i, layer in enumerate(model.layers)}
    for layer in model.layers[1:]:
        tensors = layer.input if isinstance(layer.input, list) else [layer.input]
        kind, rest = words(layer)
        inputs = [index[t._keras_history.operation.name] for t in tensors]
        out.append(" ".join(map(str, ["layer", kind, len(inputs), *inputs, *rest])))
        draw_weights(layer, noise, out)
    pixels = noise.pixels((1, *shape))
    every = keras.Model(x, [layer.output for layer in model.layers])(pixels, training=False)
    for i, y in enumerate(every):
        y = np.asarray(y).ravel()
        places = np.unique(np.linspace(0, y.size - 1, PLACES).astype(int))
        out.append("expect %d %d %.7g %d" % (i, y.size, np.abs(y).max(), len(places)) + "".join(" %d %.7g" % (p, y[p]) for p in places))
    return out + ["end"]


def write_bundled(path):
    model = keras.saving.load_model(ROOT / "weights" / "efficientnet-lite0.h5", compile=False)
    with open(path, "w") as f:
        for seed in (1, 2):
            y = np.asarray(model(Noise(seed).pixels((1, 224, 224, 3)), training=False)).ravel()
            f.write("features %d %d\n" % (seed, y.size) + "".join("%.7g\n" % v for v in y))


def main():
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests" / "golden" / "graph"
    out.mkdir(parents=True, exist_ok=True)
    lines = [line for i, (name, build, shape) in enumerate(NETS) for line in write_net(name, build, shape, 100 + i)]
    (out / "nets.txt").write_text("\n".join(lines) + "\n")
    write_bundled(out / "lite0.txt")


if __name__ == "__main__":
    main()
