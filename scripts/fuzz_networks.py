#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares small random networks with Keras. fuzz_networks.py [--seed N] [--count N] [--large] [--keras2] [--binary PATH] [--keep DIR]

Each network has random layers, branches, shared and nested models, sizes, colours and a random container. `finetune features` on
PNG pictures of its input size must give the values of Keras, to 1e-3 of the root mean square of the features. --large makes maps
up to 240 pixels wide and multiples of 32 channels, so that bands and gaps between pixels are tested; its limit is 1e-2, because
Keras in float32 has an error of about 1e-3 there. A network that finetune refuses is listed with the reason and is not an error.
"""
import argparse
import os
import random
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""
sys.path.insert(0, str(Path(__file__).resolve().parent))
from conformance import ROOT, call, error, run_finetune

ACTIVATIONS = ["relu", "elu", "selu", "tanh", "sigmoid", "softplus", "softsign", "swish", "gelu", "hard_sigmoid", "linear", "relu6", "leaky_relu", "mish", "exponential"]


class Maker:
    """Random layers. `h` and `w` are the size of the current map, if it is known."""

    def __init__(self, keras, r, large):
        self.large = large
        self.keras, self.r, self.L, self.two = keras, r, keras.layers, keras.__name__ == "tf_keras"

    def activation(self):
        known = [a for a in ACTIVATIONS if not self.two or a not in ("relu6", "leaky_relu", "mish")]
        return self.r.choice(known[:-1] if self.r.random() < 0.9 else ["linear"])

    def padding(self, x, kernel):
        small = any(s is not None and s <= kernel for s in x.shape[1:3])
        return "same" if small or None in x.shape[1:3] else self.r.choice(["same", "valid"])

    def conv(self, x):
        r, L, k = self.r, self.L, self.r.choice([1, 2, 3, 5])
        stride = r.choice([1, 1, 2])
        kind = r.choice(["conv", "conv", "depthwise", "separable", "grouped", "dilated", "transpose"])
        common = dict(padding=self.padding(x, k), use_bias=r.random() < 0.7, activation=self.activation())
        if kind == "depthwise":
            return L.DepthwiseConv2D(k, stride, depth_multiplier=r.choice([1, 1, 2]), **common)(x)
        if kind == "separable":
            return L.SeparableConv2D(r.randint(3, 20), k, stride, depth_multiplier=r.choice([1, 2]), **common)(x)
        if kind == "grouped" and x.shape[-1] % 2 == 0 and not (self.two and x.shape[-1] == 2):
            return L.Conv2D(2 * r.randint(2, 8), k, stride, groups=2, **common)(x)
        if kind == "dilated":
            return L.Conv2D(r.randint(3, 20), k, dilation_rate=2, **dict(common, padding="same"))(x)
        if kind == "transpose":
            return L.Conv2DTranspose(r.randint(3, 10), k, r.choice([1, 2]), **common)(x)
        filters = r.randint(3, 36)
        return L.Conv2D((filters + 5) // 6 * 32 if self.large else filters, (k, r.choice([k, 3])) if common["padding"] == "same" else k, stride, **common)(x)

    def norm(self, x):
        r, L = self.r, self.L
        c = x.shape[-1]
        kinds = [lambda: L.BatchNormalization(scale=r.random() < 0.8, center=r.random() < 0.8, epsilon=r.choice([1e-3, 1e-5])), lambda: L.LayerNormalization(epsilon=1e-5),
                 lambda: L.BatchNormalization(), lambda: L.UnitNormalization()]
        if c % 2 == 0:
            kinds.append(lambda: L.GroupNormalization(groups=2))
        return r.choice(kinds)()(x)

    def simple(self, x):
        r, L = self.r, self.L
        big = all(s is None or s >= 6 for s in x.shape[1:3])
        kinds = [lambda: L.Dropout(0.3), lambda: L.SpatialDropout2D(0.2), lambda: L.GaussianNoise(0.1), lambda: L.Activation(self.activation()), lambda: L.ReLU(r.choice([None, 6.0])),
                 lambda: L.LeakyReLU(), lambda: L.ELU(), lambda: L.PReLU(shared_axes=[1, 2]), lambda: L.ZeroPadding2D(r.choice([1, (0, 2), ((1, 0), (0, 2))])), lambda: L.Softmax()]
        if big:
            kinds += [lambda: L.MaxPooling2D(r.choice([2, 3]), r.choice([None, 1, 2]), padding=r.choice(["same", "valid"])),
                      lambda: L.AveragePooling2D(r.choice([2, 3]), 2, padding=r.choice(["same", "valid"])), lambda: L.Cropping2D(r.choice([1, ((1, 0), (2, 1))]))]
        elif r.random() < 0.3:
            kinds = [lambda: L.UpSampling2D(2, interpolation=r.choice(["nearest", "bilinear"]))]
        if None not in x.shape[1:]:
            kinds.append(lambda: L.PReLU())
            if r.random() < 0.2:
                kinds += [lambda: L.Permute((2, 1, 3)), lambda: L.Reshape((x.shape[1] * x.shape[2], 1, x.shape[3]))]
        return r.choice(kinds)()(x)

    def merge(self, x):
        r, L, c = self.r, self.L, x.shape[-1]
        a = L.Conv2D(c, 3, padding="same", activation=self.activation())(x)
        kind = r.choice([L.Add, L.Multiply, L.Average, L.Maximum, L.Minimum, L.Subtract, L.Concatenate])
        if kind is L.Add and r.random() < 0.3:
            return L.Add()([x, a, L.BatchNormalization()(a)])
        return kind()([x, a])

    def squeeze(self, x):
        L, c = self.L, x.shape[-1]
        s = L.Reshape((1, 1, c))(L.GlobalAveragePooling2D()(x)) if self.r.random() < 0.5 else L.GlobalAveragePooling2D(keepdims=True)(x)
        return L.Multiply()([x, L.Conv2D(c, 1, activation="sigmoid")(s)])

    def shared(self, x):
        layer = self.L.Conv2D(x.shape[-1], 3, padding="same", activation=self.activation())
        return layer(layer(x))

    def nested(self, x):
        start = self.keras.Input(tuple(x.shape[1:]))
        y = start
        for _ in range(self.r.randint(1, 3)):
            y = self.r.choice([self.conv, self.norm, self.merge])(y)
        inner = self.keras.Model(start, y)
        y = inner(x)
        if y.shape[1:] == x.shape[1:] and self.r.random() < 0.5:
            y = inner(y)
        return y

    def network(self):
        r, L = self.r, self.L
        h, w, c = r.randint(12, 40), r.randint(12, 40), r.choice([3, 3, 3, 1])
        if self.large:
            h, w = 6 * h, 6 * w
        square = r.random() < 0.3
        w = h if square else w
        shape = (None, None, c) if square and r.random() < 0.4 else (h, w, c)
        x = start = self.keras.Input(shape)
        x = r.choice([L.Rescaling(1 / 127.5, -1.0), L.Rescaling(1 / 255.0), L.Rescaling(1 / 127.5, offset=-1.0)])(x)
        if r.random() < 0.3:
            x = r.choice([L.RandomFlip("horizontal"), L.RandomRotation(0.1), L.RandomZoom(0.1), L.Normalization(mean=[0.4] * c, variance=[0.2] * c)])(x)
        for _ in range(r.randint(2, 8)):
            x = r.choice([self.conv] * 4 + [self.norm] * 2 + [self.simple] * 3 + [self.merge, self.squeeze, self.shared, self.nested])(x)
        end = r.random()
        if end < 0.3 and None not in x.shape[1:]:
            x = L.Dense(11, activation="relu")(L.Flatten()(x))
        elif end < 0.5:
            x = L.GlobalMaxPooling2D()(x)
        elif end < 0.9:
            x = L.GlobalAveragePooling2D()(x)
        else:
            return self.keras.Model(start, x), self.keras.Model(start, L.GlobalAveragePooling2D()(x)), (h, w, c), shape
        tap = self.keras.Model(start, x)
        return (self.keras.Model(start, L.Dense(4, activation="softmax")(x)) if r.random() < 0.5 else tap), tap, (h, w, c), shape


def randomise(model, seed):
    import numpy as np
    rng = np.random.default_rng(seed)
    for w in model.weights:
        name, shape = w.name.split("/")[-1].split(":")[0], tuple(w.shape)
        if "seed" in name or "count" in name or "StateVar" in name or str(w.dtype).find("int") >= 0:
            continue
        value = rng.uniform(0.5, 1.5, shape) if name in ("gamma", "moving_variance", "variance") else rng.normal(0, 0.2 if len(shape) < 2 else (1.5 / max(1, np.prod(shape[:-1]))) ** 0.5, shape)
        w.assign(value.astype(np.float32))


def pictures(folder, shape, rng):
    import numpy as np
    from PIL import Image
    h, w, c = shape
    pixels = []
    for i in range(4):
        small = rng.integers(0, 256, (4, 4, c), dtype=np.uint8)
        image = Image.fromarray(small if c == 3 else small[:, :, 0]).resize((w, h), Image.BICUBIC)
        image.save(folder / ("%d.png" % i))
        pixels.append(np.asarray(image, np.float32).reshape(h, w, c))
    return np.stack(pixels)


def one(keras, seed, args):
    import numpy as np
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    r = random.Random(seed)
    model, tap, size, shape = Maker(keras, r, args.large).network()
    randomise(model, seed)
    with tempfile.TemporaryDirectory(dir=args.keep) as work:
        folder = Path(work) / "p"
        folder.mkdir()
        pixels = pictures(folder, size, np.random.default_rng(seed))
        file = Path(work) / ("m" + r.choice([".h5", ".keras"]))
        model.save(file)
        if args.save:
            model.save(Path(args.save) / ("%d%s" % (seed, file.suffix)))
        want = np.concatenate([np.asarray(tap(pixels[i:i + 1], training=False)).reshape(1, -1) for i in range(len(pixels))])
        got = run_finetune(args.binary, file, folder, Path(work) / "f.h5", size[0] if shape[0] is None else None, layer=tap.layers[-1].name if tap is model else None)
        if not np.isfinite(want).all():
            raise ValueError("features that are not finite")
        if isinstance(got, str) or got.shape != want.shape:
            return error(got, want), file.suffix, []
        return float(np.abs(got - want).max() / max(np.sqrt((want.astype(np.float64) ** 2).mean()), 1e-30)), file.suffix, [type(l).__name__ for l in model.layers]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--keras2", action="store_true")
    parser.add_argument("--binary", default=ROOT / "build" / "cli" / "finetune")
    parser.add_argument("--keep")
    parser.add_argument("--save", help="folder to keep the networks in")
    args = parser.parse_args()
    if args.keras2:
        import tf_keras as keras
    else:
        import keras
    wrong = refused = 0
    for seed in range(args.seed, args.seed + args.count):
        try:
            value, suffix, layers = one(keras, seed, args)
        except (ValueError, TypeError, RuntimeError) as e: # Keras itself does not build or save it
            print(seed, "not built:", str(e).splitlines()[0][:120], flush=True)
            continue
        if isinstance(value, str):
            refused += 1
            print(seed, suffix, value.split(": ", 2)[-1], flush=True)
        elif not value <= (1e-2 if args.large else 1e-3):
            wrong += 1
            print(seed, suffix, "%.1e" % value, " ".join(layers), flush=True)
    print("%d networks, %d wrong, %d refused" % (args.count, wrong, refused))
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
