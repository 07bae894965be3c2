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


class Transformer:
    """Random transformers made of layers and operations of Keras 3, on tokens [t, c].

    Keras on TensorFlow adds a bias [n, 1] along the second axis or the last if its length is n too, whatever axis was meant
    (keras/src/backend/tensorflow/numpy.py, add). Such equations are avoided.
    """

    def __init__(self, keras, r):
        self.keras, self.r, self.L, self.o = keras, r, keras.layers, keras.ops

    def constant(self, *shape):
        import numpy as np
        return np.random.default_rng(self.r.randint(0, 1 << 30)).normal(0, 0.5, shape).astype("float32")

    def norm(self, x):
        r, L, t = self.r, self.L, x.shape[1]
        kinds = [lambda: L.LayerNormalization(epsilon=1e-6)] * 4 + [
            lambda: L.RMSNormalization(epsilon=1e-5), lambda: L.LayerNormalization(axis=(1, 2)), lambda: L.LayerNormalization(axis=1, center=False),
            lambda: L.BatchNormalization(), lambda: L.UnitNormalization(), lambda: L.RMSNormalization(axis=[1, 2]), lambda: L.LayerNormalization(axis=[-2, -1], scale=False),
            lambda: L.GroupNormalization(groups=2, epsilon=1e-4), lambda: L.BatchNormalization(axis=1)]
        return r.choice(kinds if t > 1 else kinds[:5])()(x)

    def heads(self, x, heads, units):
        """[t, c] to [t, heads, units]"""
        L = self.L
        if self.r.random() < 0.5:
            return L.EinsumDense("abc,cde->abde", output_shape=(x.shape[1], heads, units), bias_axes=self.r.choice(["de", "e", "bde", "de" if heads in (x.shape[1], units) else "d", None]))(x)
        return self.o.reshape(L.Dense(heads * units)(x), (-1, x.shape[1], heads, units))

    def attention(self, x):
        r, L, o, c = self.r, self.L, self.o, x.shape[2]
        heads, units = r.choice([(1, 8), (2, 4), (3, 5), (4, 3)])
        kind = r.choice(["mha", "mha", "mha", "cross", "grouped", "grouped", "written", "written", "heads", "heads", "layer", "dot", "product"])
        if kind == "mha":
            return L.MultiHeadAttention(heads, units, value_dim=r.choice([None, 6]), use_bias=r.random() < 0.7, dropout=0.1)(x, x)
        if kind == "cross":
            y = L.Dense(r.randint(4, 9))(r.choice([L.AveragePooling1D(2), L.MaxPooling1D(2)])(x)) if x.shape[1] > 1 else x
            return L.MultiHeadAttention(heads, units, output_shape=c)(x, y)
        if kind == "grouped":
            many, few = r.choice([(4, 2), (4, 1), (6, 3), (2, 2)])
            return L.GroupQueryAttention(r.choice([3, 8]), many, few, use_bias=r.random() < 0.5)(x, x)
        if kind == "layer":
            q, v = L.Dense(7)(x), L.Dense(c)(x)
            return L.Attention()([q, v, L.Dense(7)(x)] if r.random() < 0.5 else [L.Dense(c)(x), v])
        if kind == "dot":
            scores = L.Softmax()(L.Dot(axes=(2, 2))([L.Dense(9)(x), L.Dense(9)(x)]))
            return L.Dot(axes=(2, 1))([scores, L.Dense(c)(x)])
        if kind == "written":
            q, k, v = L.Dense(units)(x), L.Dense(units)(x), L.Dense(c)(x)
            k = L.Permute((2, 1))(k) if r.random() < 0.5 else o.transpose(k, (0, 2, 1))
            scores = o.matmul(q, k)
            scores = r.choice([lambda s: s / units**0.5, lambda s: s * 0.3, lambda s: s, lambda s: L.Rescaling(0.5)(s)])(scores)
            return o.matmul(r.choice([lambda s: o.softmax(s), lambda s: o.softmax(s, axis=-1), lambda s: L.Dropout(0.2)(L.Softmax()(s)), lambda s: L.Activation("softmax")(s)])(scores), v)
        q, k, v = self.heads(x, heads, units), self.heads(x, heads, units), self.heads(x, heads, 6)
        if kind == "product":
            if r.random() < 0.5:
                v = self.heads(x, heads, units)
            y = o.dot_product_attention(q, k, self.heads(x, heads, units), scale=r.choice([None, 0.4]))
        else:
            q, v = o.transpose(q, (0, 2, 1, 3)), L.Permute((2, 1, 3))(v)
            k = o.transpose(k, (0, 2, 3, 1)) if r.random() < 0.5 else o.transpose(o.transpose(k, (0, 2, 1, 3)), (0, 1, 3, 2))
            y = o.transpose(o.matmul(o.softmax(o.matmul(q, k) * units**-0.5), v), (0, 2, 1, 3))
        if r.random() < 0.5:
            return L.EinsumDense("abde,dec->abc", output_shape=(y.shape[1], c), bias_axes=r.choice(["c", "bc", None]))(y)
        return L.Dense(c)(o.reshape(y, (-1, y.shape[1], y.shape[2] * y.shape[3])))

    def mlp(self, x):
        r, L, o, c = self.r, self.L, self.o, x.shape[2]
        n = r.randint(6, 30)
        kind = r.choice(["dense", "dense", "gated", "quick", "einsum", "heads", "matrix"])
        if kind == "dense":
            y = L.Dense(n)(x)
            y = r.choice([lambda y: o.gelu(y, approximate=r.random() < 0.5), lambda y: o.silu(y), lambda y: L.Activation(r.choice(["gelu", "relu", "silu", "hard_silu", "mish"]))(y)])(y)
            return L.Dense(c)(y)
        if kind == "gated":
            a, b = o.split(L.Dense(2 * n)(x), 2, axis=-1) if r.random() < 0.5 else (L.Dense(n)(x), L.Dense(n)(x))
            return L.Dense(c)(L.Multiply()([o.silu(a), b]))
        if kind == "quick":
            y = L.Dense(n)(x)
            return L.Dense(c)(y * o.sigmoid(1.702 * y))
        if kind == "einsum":
            return L.EinsumDense("abc,cd->abd", output_shape=(x.shape[1], c), bias_axes=r.choice(["d", "bd", "d" if x.shape[1] == c else "b", None]), activation=r.choice([None, "gelu", "tanh"]))(x)
        if kind == "heads":
            return L.EinsumDense("...de,def->...f", output_shape=c, bias_axes="f")(L.Activation("gelu")(self.heads(x, 2, n)))
        return o.matmul(x, self.constant(c, c) * 0.3)

    def reshape(self, x):
        """Layers that change the tokens."""
        r, L, o, t, c = self.r, self.L, self.o, x.shape[1], x.shape[2]
        kinds = [lambda: L.ZeroPadding1D(r.choice([1, (0, 2), (1, 0)]))(x), lambda: L.Conv1D(r.randint(3, 14), r.choice([1, 2, 3]), padding="same", activation="relu")(x),
                 lambda: L.Conv1D(c, 2, padding="causal", dilation_rate=2)(x), lambda: L.Concatenate(axis=1)([L.Reshape((1, c))(L.GlobalAveragePooling1D()(x)), x]),
                 lambda: o.concatenate([x, L.GlobalMaxPooling1D(keepdims=True)(x), x], axis=1), lambda: L.UpSampling1D(2)(x),
                 lambda: L.Add()([x, L.RepeatVector(t)(L.GlobalMaxPooling1D()(x))]), lambda: L.Softmax(axis=1)(x), lambda: o.softmax(x, axis=1),
                 lambda: L.Permute((2, 1))(L.Dense(r.randint(3, 9))(L.Permute((2, 1))(x))), lambda: L.Concatenate()([x, L.Dense(3)(x)]),
                 lambda: L.SpatialDropout1D(0.1)(x), lambda: L.BatchNormalization()(x)]
        if t > 4:
            kinds += [lambda: L.Cropping1D(r.choice([1, (1, 0), (0, 2)]))(x), lambda: x[:, 1:], lambda: x[:, :-2], lambda: o.slice(x, [0, 1, 0], [-1, t - 2, c]), lambda: x[:, ::2], lambda: L.MaxPooling1D(2)(x),
                      lambda: L.AveragePooling1D(3, strides=r.choice([1, 2]), padding=r.choice(["same", "valid"]))(x), lambda: o.take(x, [0, 2, 3], axis=1),
                      lambda: L.Conv1D(7, 3, strides=2, groups=1)(x), lambda: o.concatenate([x[:, 2:], x[:, :2]], axis=1)]
        return r.choice(kinds)()

    def ending(self, x):
        r, L, o = self.r, self.L, self.o
        return r.choice([lambda: x[:, 0], lambda: L.GlobalAveragePooling1D()(x), lambda: L.GlobalMaxPooling1D()(x), lambda: L.Dense(7)(L.Flatten()(x)), lambda: o.mean(x, axis=1),
                         lambda: o.take(x, 0, axis=1), lambda: L.Concatenate()([x[:, -1], L.GlobalAveragePooling1D()(x)]), lambda: o.max(x, axis=1),
                         lambda: L.Flatten()(L.GlobalAveragePooling1D(keepdims=True)(x)), lambda: o.squeeze(L.GlobalMaxPooling1D(keepdims=True)(x), axis=1)])()

    def network(self):
        r, L, o = self.r, self.L, self.o
        patch, rows, columns, c = r.choice([4, 5, 8]), r.randint(2, 5), r.randint(2, 5), r.choice([6, 8, 12, 16])
        h, w = rows * patch, columns * patch
        start = self.keras.Input((h, w, 3))
        x = L.Conv2D(c, patch, strides=patch)(L.Rescaling(1 / 127.5, offset=-1.0)(start))
        t = rows * columns
        x = L.Reshape((t, c))(x) if r.random() < 0.5 else o.reshape(x, (-1, t, c))
        if r.random() < 0.7:
            x = r.choice([lambda: x + self.constant(t, c), lambda: o.add(x, self.constant(1, t, c)), lambda: L.EinsumDense("abc,cd->abd", output_shape=(t, c), bias_axes="bd")(x),
                          lambda: L.Add()([x, L.Dense(c)(x)]), lambda: o.add(x, L.Embedding(t, c)(o.arange(t)))])()
        for _ in range(r.randint(1, 4)):
            x = L.Add()([x, self.attention(self.norm(x))]) if r.random() < 0.8 else self.attention(x)
            x = x + self.mlp(self.norm(x)) if r.random() < 0.8 else self.norm(self.mlp(x))
            if r.random() < 0.4:
                x = self.reshape(x)
        tap = self.keras.Model(start, self.ending(self.norm(x)))
        return self.keras.Model(start, L.Dense(4, activation="softmax")(tap.output)), tap, (h, w, 3), (h, w, 3)


def exactly(keras, tap, model):
    """The same network in float64."""
    import json
    text = json.dumps(tap.get_config()).replace('"float32"', '"float64"')
    double = type(tap).from_config(json.loads(text))
    double.set_weights(tap.get_weights())
    return double


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
    model, tap, size, shape = (Transformer(keras, r) if args.transformers else Maker(keras, r, args.large)).network()
    randomise(model, seed)
    with tempfile.TemporaryDirectory(dir=args.keep) as work:
        folder = Path(work) / "p"
        folder.mkdir()
        pixels = pictures(folder, size, np.random.default_rng(seed))
        file = Path(work) / ("m" + r.choice([".h5", ".keras"]))
        model.save(file)
        if args.save:
            model.save(Path(args.save) / ("%d%s" % (seed, file.suffix)))
        exact = exactly(keras, tap, model) if args.transformers else tap
        want = np.concatenate([np.asarray(exact(pixels[i:i + 1], training=False)).reshape(1, -1) for i in range(len(pixels))])
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
    parser.add_argument("--transformers", action="store_true", help="transformers made of core layers of Keras 3, against Keras in float64")
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
