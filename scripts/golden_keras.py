#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Files for tests/unit/keras.c: small networks written by Keras 3 and tf_keras, with their weights as the same Keras reports them
(tests/golden/keras), and files that must be refused (tests/bad/keras-*.h5)."""
import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import h5py
import keras
import numpy as np
import tf_keras

import make_weights

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests")
GOLDEN = os.path.join(ROOT, "golden", "keras")
BAD = os.path.join(ROOT, "bad")


def functional(k):
    """Every layer class in the table, and a branch."""
    L = k.layers
    x = start = k.Input((12, 10, 3), name="picture")
    x = L.Rescaling([0.1, 0.2, 0.3], [-1.0, -2.0, -3.0], name="rescale")(x)
    x = L.ZeroPadding2D(((0, 1), (2, 3)), name="pad")(x)
    x = L.Conv2D(8, (3, 2), strides=2, padding="same", activation="relu", name="conv")(x)
    x = L.BatchNormalization(epsilon=1.001e-5, name="bn")(x)
    x = a = L.ReLU(6.0, name="relu6")(x)
    x = L.DepthwiseConv2D(3, depth_multiplier=2, padding="same", use_bias=False, name="depthwise")(x)
    x = L.BatchNormalization(scale=False, name="bn_without_scale")(x)
    x = L.Activation("swish", name="swish")(x)
    x = L.Conv2D(8, 1, groups=2, use_bias=False, name="project")(x)
    x = L.BatchNormalization(center=False, name="bn_without_beta")(x)
    b = L.Conv2D(8, 3, dilation_rate=2, padding="same", name="side")(a)
    x = L.Add(name="add")([x, a, b])
    x = L.Multiply(name="multiply")([x, b])
    x = L.Concatenate(name="concatenate")([x, L.MaxPooling2D(3, 1, "same", name="max")(a)])
    x = L.AveragePooling2D((2, 1), name="average")(x)
    p = L.GlobalAveragePooling2D(keepdims=True, name="mean")(x)
    p = L.Reshape((16,), name="reshape")(p)
    q = L.GlobalMaxPooling2D(name="top")(x)
    x = L.Concatenate(name="both")([p, q, L.Flatten(name="flatten")(x)])
    x = L.Dropout(0.5, name="dropout")(x)
    x = L.Dense(5, activation="softmax", name="dense")(x)
    return k.Model(start, x, name="everything")


def sequential(k):
    L = k.layers
    layers = [L.Conv2D(4, 3, name="first", **({"input_shape": (8, 8, 1)} if k is tf_keras else {})), L.BatchNormalization(name="bn")]
    layers += [L.GlobalAveragePooling2D(name="pool"), L.Dense(3, use_bias=False, name="last")]
    return k.Sequential(([] if k is tf_keras else [k.Input((8, 8, 1), name="in")]) + layers, name="small")


def randomise(model, seed):
    random = np.random.default_rng(seed)
    model.set_weights([random.uniform(0.5, 1.5, w.shape).astype("float32") for w in model.get_weights()])


def expected(out, name, model):
    """One line for each weight: file, layer, weight, shape, sum, sum of i * w_i, as computed by the Keras that made it."""
    for layer in model.layers:
        for variable, value in zip(layer.weights, layer.get_weights()):
            w = variable.name.split("/")[-1].split(":")[0].replace("depthwise_kernel", "kernel")
            flat = value.ravel().astype("float64")
            shape = "x".join(map(str, value.shape))
            out.write(f"{name} {layer.name} {w} {shape} {flat.sum():.9g} {(flat * np.arange(flat.size)).sum():.9g}\n")


def copy_with(source, target, change):
    """A changed copy, in the newer and smaller format of HDF5's own structures."""
    with h5py.File(source) as old, h5py.File(target, "w", libver=("v108", "v108")) as f:
        for name, value in old.attrs.items():
            f.attrs[name] = np.bytes_(value.encode()) if isinstance(value, str) else value
        copy_groups(old["model_weights"], f.create_group("model_weights"))
        change(f)


def copy_groups(old, new):
    for name, value in old.attrs.items():
        new.attrs[name] = value
    for name, item in old.items():
        if isinstance(item, h5py.Dataset):
            new.create_dataset(name, data=item[()])
        else:
            copy_groups(item, new.create_group(name))


def stored_otherwise(f):
    """The same weights in other types and layouts, the same texts as variable strings."""
    kinds = [("<f2", {}), ("<f8", {}), (">f4", {}), ("<f4", {"chunks": True, "compression": "gzip"}), ("<f4", {"chunks": True, "shuffle": True})]
    found = []
    f["model_weights"].visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    for i, name in enumerate(found):
        dtype, options = kinds[i % len(kinds)]
        value = f["model_weights"][name][()].astype("<f2").astype("<f4")  # exact in every type
        del f["model_weights"][name]
        f["model_weights"].create_dataset(name, data=value.astype(dtype), **options)
    for layer in f["model_weights"].values():
        names = [n.decode() if isinstance(n, bytes) else n for n in layer.attrs["weight_names"]]
        del layer.attrs["weight_names"]
        layer.attrs.create("weight_names", names, dtype=h5py.string_dtype())
    text = f.attrs["model_config"]
    f.attrs.create("model_config", np.array([text if isinstance(text, bytes) else text.encode()]))


def golden():
    import keras.src.legacy.saving.legacy_h5_format as format3
    import tf_keras.src.saving.legacy.hdf5_format as format2

    os.makedirs(GOLDEN, exist_ok=True)
    with open(os.path.join(GOLDEN, "expected.txt"), "w") as out:
        for k, label in ((keras, "keras3"), (tf_keras, "keras2")):
            name = f"{label}-functional.h5"
            model = functional(k)
            randomise(model, 1)
            model.save(os.path.join(GOLDEN, name))
            expected(out, name, model)
        # Keras cuts lists of names at this many bytes; a smaller limit keeps the file small.
        for module, k, label in ((format3, keras, "keras3"), (format2, tf_keras, "keras2")):
            limit, module.HDF5_OBJECT_HEADER_LIMIT = module.HDF5_OBJECT_HEADER_LIMIT, 64
            name = f"{label}-sequential.h5"
            model = sequential(k)
            randomise(model, 7)
            model.save(os.path.join(GOLDEN, name))
            expected(out, name, model)
            module.HDF5_OBJECT_HEADER_LIMIT = limit
        source, name = os.path.join(GOLDEN, "keras2-functional.h5"), "stored-otherwise.h5"
        copy_with(source, os.path.join(GOLDEN, name), stored_otherwise)
        model = functional(tf_keras)
        model.load_weights(os.path.join(GOLDEN, name))
        expected(out, name, model)


# ---- files to be refused ---------------------------------------------------------------------------------------------------

KERNEL = "model_weights/last/last/kernel:0"


def config(edit):
    def change(f):
        text = json.loads(f.attrs["model_config"])
        edit(text["config"])
        f.attrs["model_config"] = np.bytes_(json.dumps(text))

    return change


def weight(**options):
    def change(f):
        del f[KERNEL]
        f.create_dataset(KERNEL, **options)

    return change


def soft_link(f):
    f[KERNEL + "x"] = f[KERNEL]
    del f[KERNEL]
    f[KERNEL] = h5py.SoftLink("/" + KERNEL + "x")


def external_link(f):
    del f["model_weights/last/last"]
    f["model_weights/last/last"] = h5py.ExternalLink("keras-truncated.h5", "/model_weights")


def text_as_config(f):
    f.attrs["model_config"] = np.bytes_("{")


def number_as_config(f):
    f.attrs["model_config"] = 42


def weights_only(f):
    del f.attrs["model_config"]


def missing(f):
    del f[KERNEL]


def stranger(f):
    f["model_weights/last"].attrs["weight_names"] = np.bytes_(["last/kernel:0", "last/kernel:0"])


def cycle(c):
    c["layers"][2]["inbound_nodes"] = [[["pool", 0, 0, {}]]]


def setting(index, key, value):
    return config(lambda c: c["layers"][index]["config"].__setitem__(key, value))


def operation(name):
    """A layer that is an operation of Keras 2 with this name."""
    return config(lambda c: c["layers"][2].update(class_name="TFOpLambda", config={"name": "relu", "function": name}))


def later_call(c):
    c["layers"][3]["inbound_nodes"] = [[["relu", 5, 0, {}]]]


def write_bad():
    os.makedirs(BAD, exist_ok=True)
    net = make_weights.Layers({"first": np.ones((4, 1, 3, 3), "f4")})
    x = net.add("InputLayer", "in", [], batch_input_shape=[None, 8, 8, 1])
    x = net.convolution(x, "first", "first", 3)
    x = net.add("ReLU", "relu", [x])
    x = net.add("GlobalAveragePooling2D", "pool", [x])
    net.add("Dense", "last", [x], {"kernel": np.ones((4, 3), "f4")}, units=3, use_bias=False)
    base = os.path.join(BAD, "base.h5")
    make_weights.write(base, net, "small", {})
    changes = {
        "soft-link": soft_link,
        "external-link": external_link,
        "external-storage": weight(shape=(4, 3), dtype="<f4", external=[("/etc/passwd", 0, 48)]),
        "bomb": weight(shape=(1 << 14, 1 << 14), dtype="<f4", chunks=(64, 64)),
        "absurd-shape": weight(shape=(1 << 40, 3), dtype="<f4", chunks=(64, 3)),
        "wrong-shape": weight(data=np.zeros((4, 4), "<f4")),
        "integers": weight(data=np.ones((4, 3), "i1")),
        "policy": setting(4, "dtype", {"class_name": "DTypePolicy", "config": {}}),
        "subclass": lambda f: f.attrs.__setitem__("model_config", np.bytes_(json.dumps({"class_name": "Mine", "config": {"name": "mine"}}))),
        "wrong-type": weight(data=np.array([b"a", b"b"])),
        "empty-shape": weight(shape=(0, 3), dtype="<f4"),
        "missing": missing,
        "twice": stranger,
        "weights-only": weights_only,
        "text-as-config": text_as_config,
        "number-as-config": number_as_config,
        "deep-config": lambda f: f.attrs.__setitem__("model_config", np.bytes_("[" * 3000)),
        "cycle": config(cycle),
        "later-call": config(later_call),
        "same-name": config(lambda c: c["layers"].append(c["layers"][1])),
        "no-such-input": config(lambda c: c["layers"].pop(2)),
        "two-outputs": config(lambda c: c["output_layers"].append(["pool", 0, 0])),
        "unknown-class": config(lambda c: c["layers"][2].__setitem__("class_name", "Lambda")),
        "causal": setting(1, "padding", "causal"),
        "channels-first": setting(1, "data_format", "channels_first"),
        "strides": setting(1, "strides", [-1, 1e300]),
        "filters": setting(1, "filters", 5),
        "activation": setting(1, "activation", "celu"),
        "bar": operation("|Add"),
        "bars": operation("Add|__operators__.add"),
        "slash": config(lambda c: c["layers"][1].update(name="a/b")),
    }
    for name, change in changes.items():
        copy_with(base, os.path.join(BAD, f"keras-{name}.h5"), change)
    with open(base, "rb") as f:
        data = f.read()
    os.remove(base)
    for name, content in (("truncated", data[: len(data) // 2]), ("zip", b"PK\003\004" + bytes(60)), ("empty", b""), ("text", b"layers: 3\n" * 9)):
        with open(os.path.join(BAD, f"keras-{name}.h5"), "wb") as f:
            f.write(content)


if __name__ == "__main__":
    golden()
    write_bad()
