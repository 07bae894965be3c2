#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Transformers for `scripts/bench forward --preset`: token_networks.py NAME STEM [PICTURES_DIR BINARY]

Makes the KerasHub preset STEM/ with seeded random weights for pictures of 224 x 224, and STEM.onnx, the same network for the other
engines: pixels that are scaled already -> features. Prints the largest difference between the features of finetune (BINARY) and of ONNX
Runtime on the same pictures, relative to the distance between features of different pictures; above 1e-4 it fails.

tf2onnx exports Keras's exact GELU as an operation that does not exist, and Keras's normalisation and attention as long sequences
that the engines do not recognise. So these three are written in the form that ONNX Runtime and OpenVINO replace with their own
fast versions, and the batch is fixed to one picture, which leaves no computation of shapes in the graph.
"""
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import keras
import keras.src.backend.tensorflow.nn as nn
import numpy as np
import tensorflow as tf

from conformance import error, features_of, pictures
import conformance_presets as presets
import golden_presets as golden
from golden_graph import Noise

VIT_SMALL = dict(patch_size=16, num_layers=12, num_heads=6, hidden_dim=384, mlp_dim=1536, image_shape=(224, 224, 3))
# positions of 224 x 224: tf2onnx exports the reduction of those of 518 x 518 without its filter
BACKBONES = {name: make for name, (make, _) in presets.FULL.items()} | {
    "vit_small": lambda: presets.M.ViTBackbone(**VIT_SMALL),
    "dinov2_small": lambda: presets.M.DINOV2Backbone(patch_size=14, position_embedding_shape=(224, 224, 3), **presets.SMALL),
}


def layer_norm(self, x):
    centred = x - tf.reduce_mean(x, -1, keepdims=True)
    variance = tf.reduce_mean(tf.pow(centred, 2.0), -1, keepdims=True)
    return centred / tf.sqrt(variance + self.epsilon) * self.gamma + self.beta


def gelu(x, approximate=True):
    if approximate:
        return 0.5 * x * (1 + tf.tanh(0.7978845608 * (x + 0.044715 * tf.pow(x, 3.0))))
    return 0.5 * x * (1 + tf.math.erf(x / 1.4142135623730951))


def attention(query, key, value, bias=None, mask=None, scale=None, **_):
    if bias is not None or mask is not None:
        sys.exit("token_networks: attention with a bias or a mask")
    q, k, v = (tf.transpose(t, [0, 2, 1, 3]) for t in (query, key, value))
    scores = tf.matmul(q, tf.transpose(k, [0, 1, 3, 2])) * (scale or float(q.shape[-1]) ** -0.5)
    return tf.transpose(tf.matmul(tf.nn.softmax(scores), v), [0, 2, 1, 3])


def features(name, y):
    """As finetune takes them from the family."""
    if name.startswith("dinov"):
        registers = 4 if name.startswith("dinov3") else 0
        return tf.concat([y[:, 0], tf.reduce_mean(y[:, 1 + registers :], 1)], 1)
    if name.startswith("siglip"):
        return y
    return tf.reduce_mean(tf.reshape(y, [1, -1, y.shape[-1]]), 1) if name.startswith("swin") else y[:, 0]


def export(name, backbone, path):
    import onnx
    import tf2onnx

    keras.layers.LayerNormalization.call = layer_norm
    nn.gelu, nn.dot_product_attention = gelu, attention
    call = tf.function(lambda x: features(name, backbone({k: x for k in backbone.input} if isinstance(backbone.input, dict) else x, training=False)))
    model, _ = tf2onnx.convert.from_function(call, input_signature=[tf.TensorSpec([1, 224, 224, 3], tf.float32, name="x")], opset=18, inputs_as_nchw=["x"])
    used = {i for node in model.graph.node for i in node.input}
    for unused in [i for i in model.graph.input if i.name not in used]:
        model.graph.input.remove(unused)
    onnx.save(model, path)


def difference(stem, folder, binary):
    from onnxruntime import InferenceSession

    with tempfile.TemporaryDirectory() as work:
        pixels, _ = pictures(folder, 224, Path(work) / "pictures")
        got = features_of(binary, stem, Path(work) / "pictures", Path(work) / "features.h5", [])
    session = InferenceSession(stem + ".onnx", providers=["CPUExecutionProvider"])
    entry = (pixels * presets.SCALE + presets.OFFSET).transpose(0, 3, 1, 2).astype(np.float32)
    return error(got, np.concatenate([session.run(None, {"x": one[None]})[0] for one in entry]))


def main(name, stem, folder=presets.ROOT / "tests" / "data", binary=presets.ROOT / "build" / "cli" / "finetune"):
    if name not in BACKBONES:
        sys.exit(f"token_networks: '{name}': choose one of {', '.join(BACKBONES)}")
    backbone = BACKBONES[name]()
    golden.draw(backbone, Noise(sum(name.encode())))
    os.makedirs(stem, exist_ok=True)
    backbone.save_to_preset(stem)
    Path(stem, "image_converter.json").write_text('{"config": {"scale": %r, "offset": %r}}' % (presets.SCALE, presets.OFFSET))
    export(name, backbone, stem + ".onnx")
    apart = difference(stem, folder, binary)
    print(f"{name}: {apart} of the distance between features")
    return isinstance(apart, str) or apart > presets.LIMIT


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
