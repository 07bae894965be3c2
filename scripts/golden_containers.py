#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Files for tests/unit/containers.c (tests/golden/containers): small networks with nested models and shared layers, in every
container that Keras 3 and tf_keras write, and the output of the same Keras for one picture."""
import json
import os
import shutil
import zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import h5py
import keras
import numpy as np
import tf_keras

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "golden", "containers")


def picture(shape):
    """The same picture as in the test."""
    n = int(np.prod(shape))
    return (np.arange(n) * 37 + np.arange(n) // 7).astype("uint64").astype("uint8").reshape(shape)


def base(k, name, size=12, channels=3):
    L = k.layers
    start = k.Input((size, size, channels))
    x = L.Rescaling(1 / 127.5, -1.0, name="pixels")(start)
    x = L.Conv2D(6, 3, strides=2, padding="same", use_bias=False, name="Conv1")(x)
    x = a = L.BatchNormalization(name="bn_Conv1")(x)
    x = L.DepthwiseConv2D(3, padding="same", use_bias=False, name="block_depthwise")(x)
    x = L.BatchNormalization(name="block_depthwise_BN")(x)
    x = L.ReLU(6.0, name="block_relu")(x)
    x = L.Conv2D(6, 1, name="block_project")(x)
    x = L.Add(name="block_add")([x, a])
    return k.Model(start, x, name=name)


def teachable(k):
    """A model of Teachable Machine: a Sequential of Sequentials, of which the first contains a functional network."""
    L = k.layers
    head = [L.Dense(5, activation="relu", name="dense_Dense1"), L.Dense(2, activation="softmax", use_bias=False, name="dense_Dense2")]
    net, top = k.Sequential([base(k, "model1"), L.GlobalAveragePooling2D(name="pool")], name="sequential_1"), k.Sequential(head, name="sequential_3")
    model = k.Sequential([net, top], name="sequential_4")
    model.build((None, 12, 12, 3))
    return model


def shared(k):
    """A model called twice, a convolution called twice, two layers of one name at different depths, a sequence without an input layer."""
    L = k.layers
    start = k.Input((12, 12, 3), name="picture")
    inner = base(k, "inner")
    again = L.Conv2D(3, 3, padding="same", name="Conv1")
    x = again(start)
    y = again(L.MaxPooling2D(1, name="same")(x))
    x = L.Concatenate(name="join")([inner(x), inner(y, training=False)])
    tail = k.Sequential([L.Conv2D(4, 3, activation="relu", name="Conv1"), L.BatchNormalization(name="bn"), L.GlobalAveragePooling2D()], name="tail")
    x = L.Dropout(0.3)(tail(x))
    x = L.Dense(3, activation="softmax", name="out")(x)
    return k.Model(start, x, name="shares")


def randomise(model, seed):
    random = np.random.default_rng(seed)
    values = []
    for w in model.weights:
        name = getattr(w, "path", w.name)
        value = random.uniform(0.5, 1.5, w.shape) if "variance" in name or "gamma" in name else random.normal(0, 0.4, w.shape)
        values.append(value.astype("float32") if np.issubdtype(np.dtype(w.dtype if isinstance(w.dtype, str) else w.dtype.name), np.floating) else w.numpy())
    model.set_weights(values)


def write_line(out, name, model):
    shape = model.input_shape[1:]
    y = np.asarray(model(picture(shape)[None].astype("float32"), training=False)).ravel()
    out.write(name + " " + " ".join(f"{v:.8g}" for v in y) + "\n")


def compress(path):
    """An archive packed again by a user."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as old:
        entries = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in entries.items():
            new.writestr(name, data)


def as_keras_1(path):
    """As Keras 1 wrote it: a bare list of layers, weights without a path."""
    with h5py.File(path, "r+") as f:
        config = json.loads(f.attrs["model_config"])
        config["config"] = [l for l in config["config"]["layers"] if l["class_name"] != "InputLayer"]
        config["config"][0]["config"]["batch_input_shape"] = [None, 12, 12, 1]
        f.attrs["model_config"] = np.bytes_(json.dumps(config))
        for layer in f["model_weights"].values():
            names = [n.decode() if isinstance(n, bytes) else n for n in layer.attrs["weight_names"]]
            new = [n.split("/")[0] + "_" + n.split("/")[1][0].upper() + "_1:0" for n in names]
            for a, b in zip(names, new):
                layer.move(a, b)
            layer.attrs["weight_names"] = np.bytes_(new) if new else np.zeros(0, "S1")


def main():
    shutil.rmtree(GOLDEN, ignore_errors=True)
    os.makedirs(GOLDEN)
    with open(os.path.join(GOLDEN, "expected.txt"), "w") as out:
        for k, label in ((keras, "keras3"), (tf_keras, "keras2")):
            for make in (teachable, shared):
                model = make(k)
                randomise(model, 3)
                for suffix in (".h5", ".keras"):
                    name = f"{label}-{make.__name__}{suffix}"
                    model.save(os.path.join(GOLDEN, name))
                    if name != "keras2-teachable.keras":
                        compress(os.path.join(GOLDEN, name))
                    write_line(out, name, model)
        model = teachable(tf_keras)  # frozen: weights in another order
        randomise(model, 4)
        model.layers[0].trainable = False
        model.save(os.path.join(GOLDEN, "keras2-frozen.h5"))
        write_line(out, "keras2-frozen.h5", model)
        L = tf_keras.layers
        model = tf_keras.Sequential([L.Conv2D(4, 3, input_shape=(12, 12, 1), name="first"), L.Conv2D(4, 3, name="a"), L.Flatten(name="flat"), L.Dense(3, name="last")])
        randomise(model, 5)
        model.save(os.path.join(GOLDEN, "keras1.h5"))
        as_keras_1(os.path.join(GOLDEN, "keras1.h5"))
        write_line(out, "keras1.h5", model)
        start = tf_keras.Input((None, None, 3))  # names with slashes, as tf_keras's DenseNet has
        x = L.Conv2D(4, 3, name="conv1/conv")(start)
        x = L.BatchNormalization(name="conv1/bn")(x)
        model = tf_keras.Model(start, L.GlobalMaxPooling2D()(x))
        randomise(model, 6)
        model.save(os.path.join(GOLDEN, "keras2-slash.h5"))
        out.write("keras2-slash.h5 " + " ".join(f"{v:.8g}" for v in np.asarray(model(picture((12, 12, 3))[None].astype("float32"))).ravel()) + "\n")


TINY = """!preprocess tf
!variant tiny-8 32 999
!variant tiny-4 20 {count}
!cut pool
= a InputLayer
= b Conv2D {{"kernel_size":[3,3],"strides":[2,2],"activation":"relu"}}
= c Conv2D {{"use_bias":false}}
= d BatchNormalization
= e GlobalAveragePooling2D
= f Dense
= g Add
in a
one b
two c
bn d
sum g 1 3
{{tail
inner c
}}
pool e
top f
"""


def rename_inside(path, to):
    """The same weights. Those of the inner model have other names, as if other layers had been made before in the same session."""
    with h5py.File(path) as old, h5py.File(to, "w", libver=("v108", "v108")) as new:
        for key, value in old.attrs.items():
            new.attrs[key] = value
        for layer in old:
            group = new.create_group(layer)
            names = [n if isinstance(n, str) else n.decode() for n in old[layer].attrs["weight_names"]]
            renamed = ["sequential_3/conv2d_9/" + n.split("/")[-1] if layer == "tail" else n for n in names]
            group.attrs["weight_names"] = [n.encode() for n in renamed] if names else old[layer].attrs["weight_names"]
            for before, after in zip(names, renamed):
                group[after] = old[layer][before][...]


def weights_only():
    """A network whose weights only are saved, in both layouts, and its description."""
    from keras.src.legacy.saving import legacy_h5_format

    L = keras.layers
    for top in (True, False):
        start = keras.Input((None, None, 3), name="in")
        x = a = L.Conv2D(4, 3, strides=2, activation="relu", name="one")(start)
        x = L.BatchNormalization(name="bn")(L.Conv2D(4, 1, use_bias=False, name="two")(x))
        x = L.Add(name="sum")([x, a])
        x = keras.Sequential([L.Conv2D(5, 1, use_bias=False, name="inner")], name="tail")(x)
        x = L.GlobalAveragePooling2D(name="pool")(x)
        x = L.Dense(7, name="top")(L.Dropout(0.1)(x)) if top else x
        model = keras.Model(start, x)
        random = np.random.default_rng(8)
        model.set_weights([random.uniform(0.5, 1.5, w.shape).astype("float32") for w in model.weights if "seed" not in w.path]
                          + [w.numpy() for w in model.weights if "seed" in w.path])
        name = os.path.join(GOLDEN, "tiny" if top else "tiny-notop")
        model.save_weights(name + ".weights.h5")
        with h5py.File(name + "-legacy.h5", "w") as f:
            legacy_h5_format.save_weights_to_hdf5_group(f, model)
        y = np.asarray(model(picture((12, 12, 3))[None].astype("float32"), training=False)).ravel()
        with open(os.path.join(GOLDEN, "expected.txt"), "a") as out:
            for ending in (".weights.h5", "-legacy.h5"):
                out.write(os.path.basename(name) + ending + " " + " ".join(f"{v:.8g}" for v in y) + "\n")
    rename_inside(os.path.join(GOLDEN, "tiny-legacy.h5"), os.path.join(GOLDEN, "tiny-renamed-legacy.h5"))
    os.makedirs(os.path.join(GOLDEN, "architectures"))
    with open(os.path.join(GOLDEN, "architectures", "tiny.txt"), "w") as f:
        f.write(TINY.format(count=model.count_params()))


WIDE = """!preprocess none
= a InputLayer
= b Conv2D {"kernel_size":[3,3]}
= c Conv2D {"kernel_size":[3,3],"padding":"same","groups":4}
= d GlobalAveragePooling2D
in a
one b
depthwise c
pool d
"""


def wider_than_described():
    """A depthwise convolution written as a grouped one (ConvNeXt), of another width than the network that was described."""
    from keras.src.legacy.saving import legacy_h5_format

    L = keras.layers
    start = keras.Input((None, None, 3), name="in")
    x = L.Conv2D(6, 3, padding="same", groups=6, name="depthwise")(L.Conv2D(6, 3, name="one")(start))
    model = keras.Model(start, L.GlobalAveragePooling2D(name="pool")(x))
    random = np.random.default_rng(9)
    model.set_weights([random.normal(0, 0.3, w.shape).astype("float32") for w in model.weights])
    model.save_weights(os.path.join(GOLDEN, "wide.weights.h5"))
    with h5py.File(os.path.join(GOLDEN, "wide-legacy.h5"), "w") as f:
        legacy_h5_format.save_weights_to_hdf5_group(f, model)
    y = np.asarray(model(picture((12, 12, 3))[None].astype("float32"), training=False)).ravel()
    with open(os.path.join(GOLDEN, "expected.txt"), "a") as out:
        for name in ("wide.weights.h5", "wide-legacy.h5"):
            out.write(name + " " + " ".join(f"{v:.8g}" for v in y) + "\n")
    with open(os.path.join(GOLDEN, "architectures", "wide.txt"), "w") as f:
        f.write(WIDE)


def call(name, *calls):
    return {"class_name": "Functional", "config": {"name": name, "layers": [
        {"class_name": "InputLayer", "name": "in", "config": {"name": "in", "batch_input_shape": [None, 4, 4, 3]}, "inbound_nodes": []},
        *calls], "input_layers": [["in", 0, 0]], "output_layers": [[calls[-1]["name"], len(calls[-1]["inbound_nodes"]), 0]]}}


def write_bad():
    """Models inside models that must be refused: too deep, doubling at each level, fed by themselves, without layers, wrongly called."""
    dense = {"class_name": "Dense", "config": {"name": "d", "units": 2}}
    deep = doubling = {"class_name": "Sequential", "config": {"name": "s", "layers": [dense]}}
    for i in range(30):
        deep = {"class_name": "Sequential", "config": {"name": "s", "layers": [deep]}}
    inner = doubling
    for i in range(14):
        doubling = call("f", {**doubling, "name": "m", "inbound_nodes": [[["in", 0, 0, {}]], [["m", 1, 0, {}]]]})
    itself = call("f", {**inner, "name": "m", "inbound_nodes": [[["m", 2, 0, {}]], [["m", 1, 0, {}]]]})
    empty = {"class_name": "Sequential", "config": {"name": "s", "layers": [{"class_name": "Sequential", "config": {"name": "b", "layers": []}}]}}
    two = call("f", {**inner, "name": "m", "inbound_nodes": [[["in", 0, 0, {}], ["in", 0, 0, {}]]]})
    for name, config in {"deep": deep, "doubling": doubling, "itself": itself, "empty": empty, "two-inputs": two}.items():
        with h5py.File(os.path.join(GOLDEN, "..", "..", "bad", f"nested-{name}.h5"), "w", libver=("v108", "v108")) as f:
            f.attrs["model_config"] = np.bytes_(json.dumps(config))
            f.create_group("model_weights")


if __name__ == "__main__":
    main()
    weights_only()
    wider_than_described()
    write_bad()
