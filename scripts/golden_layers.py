#!/usr/bin/env python3
"""Small networks with every layer class, saved by Keras 3 and tf_keras (for Keras 2), for tests/unit/layers.c:
golden_layers.py [OUT_DIR [NAME...]], default tests/golden/layers and all.

NAME.h5    the network; a class may differ between the two (hard_sigmoid), so most networks exist twice
NAME.txt   seed, then one line for each layer: its name, the number of values, the largest, and values at a few places
"""
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import numpy as np
import keras
import tensorflow as tf
import tf_keras
from keras.src.applications.convnext import LayerScale, StochasticDepth
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer
from tf_keras.src.applications import convnext as convnext2, inception_resnet_v2 as inception2

from golden_graph import Noise

ROOT = Path(__file__).resolve().parent.parent


def net_activations(k, x):
    L, a = k.layers, "elu selu softplus softsign exponential mish hard_sigmoid sigmoid gelu swish tanh".split()
    x = L.Conv2D(5, 1)(L.Rescaling(1 / 90, -1.4)(x))
    for i, name in enumerate(a):
        x = L.Conv2D(5, 1, activation=name, name="in_" + name)(x) if i % 2 else L.Activation(name, name="alone_" + name)(x)
        x = L.Conv2D(5, 1, activation="hard_sigmoid", name="hard")(x) if name == "mish" else x
    if k is keras:
        for name in "relu6 leaky_relu hard_silu".split():
            x = L.Conv2D(5, 1, activation=name, name="in_" + name)(x)
        x = L.Activation("hard_silu", name="alone_hard_silu")(x)
    x = L.LeakyReLU(name="leaky")(x) if k is keras else L.LeakyReLU(alpha=0.1, name="leaky")(x)
    x = L.ELU(0.7, name="elu7")(L.Conv2D(6, 1)(x))
    x = L.ReLU(max_value=1.25, name="relu_most")(L.Conv2D(6, 1, use_bias=False)(x))
    x = L.ReLU(max_value=0.9, negative_slope=0.2, threshold=0.1, name="relu_shaped")(L.Conv2D(6, 1)(x))
    x = L.ReLU(negative_slope=0.3, name="relu_slope")(L.Conv2D(6, 1)(x))
    x = L.PReLU(shared_axes=[1, 2], name="prelu_shared")(L.Conv2D(6, 1)(x))
    return L.PReLU(name="prelu")(L.Conv2D(4, 3, strides=2)(x))


def net_norms(k, x):
    L = k.layers
    x = L.Normalization(name="norm_stored")(L.Rescaling([1 / 50, 1 / 60, 1 / 70], [-2.0, -1.5, -1.0], name="rescaling_list")(x))
    x = L.Normalization(mean=[0.5, 0.2, 0.1], variance=[1.5, 0.5, 2.0], name="norm_given")(x)
    x = L.Conv2D(24, 3)(x)
    x = L.LayerNormalization(epsilon=1e-6, name="layer_norm")(x)
    x = L.LayerNormalization(center=False, name="layer_norm_scale")(L.Conv2D(19, 1)(x))
    x = L.GroupNormalization(groups=4, name="group_norm")(L.Conv2D(20, 1)(x))
    x = L.GroupNormalization(groups=-1, scale=False, name="instance_norm")(x)
    x = L.UnitNormalization(name="unit_norm")(L.Conv2D(7, 1)(x))
    x = L.Dense(5, name="dense_map", activation="gelu")(x)
    x = L.BatchNormalization(scale=False, name="bn")(L.Dense(6)(x))
    return L.LayerNormalization(name="vector_norm")(L.Flatten()(x))


def net_convolutions(k, x):
    L = k.layers
    x = L.SeparableConv2D(8, 3, strides=2, padding="same", activation="relu", name="separable")(L.Rescaling(1 / 255)(x))
    x = L.BatchNormalization()(L.SeparableConv2D(9, 5, padding="same", depth_multiplier=2, use_bias=False, name="separable_bn")(x))
    x = L.Conv2D(18, 3, padding="same", groups=9, name="depthwise_groups")(L.Activation("relu")(x))
    x = L.Conv2D(12, 3, padding="same", groups=3, dilation_rate=2, name="grouped")(x)
    x = L.Conv2D(12, 7, padding="same", groups=12, name="wide_depthwise")(x)
    x = L.Conv2DTranspose(5, 3, strides=2, padding="same", activation="relu", name="transpose_same")(x)
    x = L.Conv2DTranspose(4, (3, 2), strides=(1, 3), padding="valid", use_bias=False, name="transpose_valid")(x)
    x = L.BatchNormalization()(x)
    return L.Conv2DTranspose(4, 2, strides=3, padding="same", name="transpose_gaps")(x)


def net_shapes(k, x):
    L = k.layers
    x = L.Conv2D(6, 3, strides=2, padding="same")(L.Rescaling(1 / 255)(x))
    c = L.Cropping2D(((1, 0), (2, 1)), name="crop")(L.ZeroPadding2D(((0, 2), (1, 1)))(x))
    x = L.Conv2D(6, 3, padding="same", name="after_crop")(c)
    x = L.UpSampling2D((2, 3), name="nearest")(x)
    x = L.UpSampling2D(2, interpolation="bilinear", name="bilinear")(L.MaxPooling2D(2)(x))
    x = L.Permute((3, 1, 2), name="permute")(L.MaxPooling2D(3)(x))
    x = L.Permute((2, 1, 3), name="permute_again")(x)
    x = L.Conv2D(5, 1)(x)
    return L.GlobalMaxPooling2D(name="global_max")(x)


def net_merges(k, x):
    L = k.layers
    a = L.Conv2D(6, 3, padding="same")(L.Rescaling(1 / 255, -0.5)(x))
    b, c = L.Conv2D(6, 1)(a), L.DepthwiseConv2D(3, padding="same")(a)
    x = L.Average(name="average")([a, b, c])
    x = L.Subtract(name="difference")([x, b])
    x = L.Activation("relu")(L.Maximum(name="largest")([x, c, a]))
    x = L.Minimum(name="smallest")([x, b])
    x = L.Average(name="average_relu")([L.Conv2D(6, 1)(x), c])
    # numbers among tensors: MobileNetV3's hard sigmoid and hard swish
    g = L.ReLU(6.0)(x + 3.0) * (1.0 / 6.0)
    x = L.Multiply(name="hard_swish")([x, g])
    x = 2.0 - (x - 0.5) / 4.0
    x = x + a
    x = L.Multiply(name="hard_gate")([x, L.ReLU(6.0)(L.GlobalAveragePooling2D(keepdims=True)(x) + 3.0) * (1.0 / 6.0)])
    scale, custom, drop = (LayerScale, CustomScaleLayer, StochasticDepth) if k is keras else (
        convnext2.LayerScale, inception2.CustomScaleLayer, convnext2.StochasticDepth)
    x = drop(0.1)(scale(1e-2, 6, name="layer_scale")(L.Dense(6)(x)))
    x = custom(0.17, name="custom_scale")([x, L.Conv2D(6, 1)(x)])
    return L.Dropout(0.5)(L.Add(name="end")([x, a]))


class Ops:
    """The same operations by keras.ops and by TensorFlow."""

    def __init__(self, k):
        self.three = k is keras
        o = keras.ops
        t = tf
        pairs = {"maximum": (o.maximum, t.maximum), "minimum": (o.minimum, t.minimum), "square": (o.square, t.square),
                 "stack": (o.stack, t.stack), "concat": (o.concatenate, t.concat), "reshape": (o.reshape, t.reshape),
                 "take": (o.take, t.gather), "repeat": (o.repeat, t.repeat), "expand": (o.expand_dims, t.expand_dims),
                 "split": (o.split, t.split), "unstack": (o.unstack, t.unstack),
                 "clip": (o.clip, t.clip_by_value), "softmax": (o.softmax, t.nn.softmax), "leaky": (o.leaky_relu, t.nn.leaky_relu),
                 "cast": (o.cast, t.cast), "squeeze": (o.squeeze, t.squeeze), "pad": (o.pad, t.pad), "transpose": (o.transpose, t.transpose),
                 "mean": (o.mean, t.reduce_mean), "max": (o.max, t.reduce_max), "absolute": (o.absolute, t.abs)}
        for name, (three, two) in pairs.items():
            setattr(self, name, three if self.three else two)

    def flip(self, x):
        return keras.ops.flip(x, axis=-1) if self.three else tf.reverse(x, axis=[-1])

    def gray_to_rgb(self, x):
        return keras.ops.tile(x, [1, 1, 1, 3]) if self.three else tf.image.grayscale_to_rgb(x)


def net_arithmetic(k, x):
    L, o, c = k.layers, Ops(k), 0

    def mark(x):
        nonlocal c
        c += 1
        return L.Activation("linear", name="check_%d" % c)(x)

    v, w = np.array([0.5, -1.5, 2.0], "f"), np.array([[[[-0.3, 0.2, 0.1]]]], "f")
    rows = np.linspace(-1, 1, 7, dtype="f").reshape(7, 1, 1)
    plane = np.linspace(-0.5, 0.5, 7 * 8, dtype="f").reshape(7, 8, 1)
    x = mark(o.cast(x, "float32") * (1 / 127.5) - 1.0)
    x = mark(x * v)
    x = mark(x + w)
    x = mark((x - v) / v)
    x = mark(o.maximum(x, v - 1.0))
    x = mark(o.minimum(x, np.array([1.0, 0.75, 0.5], "f")))
    x = mark(o.maximum(x, -0.4))
    x = mark(o.clip(x, -0.3, 0.6))
    x = mark(o.clip(x, 0.0, 0.5))
    x = mark(L.Conv2D(3, 3, padding="same")(x))
    x = mark(x * rows)
    x = mark(x + plane)
    x = mark(o.absolute(-x))
    x = mark(x**2 + o.square(x))
    x = mark(o.leaky(x - 0.1))
    x = mark(o.leaky(x - 0.05, 0.3))
    x = mark(o.softmax(x))
    x = mark(o.maximum(x, L.Conv2D(3, 1)(x)) * x)
    x = mark(o.mean(x, axis=[1, 2], keepdims=True) + x)
    f = mark(o.mean(x, axis=(1, 2)) * np.array([3.0, 0.5, -1.0], "f"))
    return mark(L.Dense(4)(f) + o.max(L.Conv2D(4, 1)(x), axis=(1, 2)))


def net_resizing(k, x):
    L, c = k.layers, 0

    def mark(x):
        nonlocal c
        c += 1
        return L.Activation("linear", name="check_%d" % c)(x)

    x = mark(L.Normalization(axis=None, mean=100.0, variance=4000.0, name="norm_all")(x))
    x = mark(L.Resizing(9, 17)(x))
    x = mark(L.Resizing(12, 7, interpolation="nearest")(x))
    x = mark(L.Resizing(10, 11, crop_to_aspect_ratio=True)(L.ZeroPadding2D(2)(x)))
    x = mark(L.CenterCrop(7, 8)(x))
    x = mark(L.CenterCrop(9, 5)(x))
    if k is not keras:
        x = mark(L.RandomCrop(8, 4)(x))
    return mark(L.Resizing(24, 20)(L.Activation("relu")(x)))


def net_selections(k, x):
    L, o, c = k.layers, Ops(k), 0

    def mark(x):
        nonlocal c
        c += 1
        return L.Activation("linear", name="check_%d" % c)(x)

    x = mark(x[..., ::-1] - np.array([103.939, 116.779, 123.68], "f"))
    x = mark(o.stack([x[..., 2] * 0.01, x[:, :, :, 1] + 5.0, x[..., -3]], axis=-1))
    x = mark(o.concat([x[..., 1:], o.expand(x[..., 0], axis=-1)], axis=-1))
    x = mark(o.take(x, np.array([2, 0, 0, 1]), axis=-1))
    x = mark(x[:, 1:-1, 2:, :])
    x = mark(o.flip(L.Conv2D(5, 3, padding="same")(x / 64.0)))
    x = mark(x[:, ::2, 1::3, 1:4])
    x = mark(o.repeat(x, 2, axis=-1))
    x = mark(o.gray_to_rgb(x[..., 3:4]))
    x = mark(o.pad(x, [[0, 0], [1, 2], [0, 3], [0, 0]]))
    x = mark(L.Conv2D(3, 1)(o.transpose(x, [0, 2, 1, 3])))
    p = mark(o.squeeze(L.GlobalAveragePooling2D(keepdims=True)(x), axis=[1, 2]))
    x = mark(o.reshape(x, [-1, x.shape[1] * x.shape[2] * x.shape[3]]))
    return mark(o.concat([L.Dense(4)(x)[:, 1:3], p, p[:, ::-1]], axis=1))


def net_parts(k, x):
    """Operations with several outputs, and constants that give a tensor of one channel more."""
    L, o, c = k.layers, Ops(k), 0

    def mark(x):
        nonlocal c
        c += 1
        return L.Activation("linear", name="check_%d" % c)(x)

    r, g, b = o.unstack(x, axis=-1)
    x = mark(o.stack([b * 0.02, r * 0.01, g * 0.03], axis=-1))
    x = L.Conv2D(8, 3, padding="same")(x)
    p, q, s, t = o.split(x, 4, axis=-1)
    x = mark(o.concat([t, q, L.Conv2D(2, 1)(p)], axis=-1))  # s is not used
    one, two, three = o.split(x, [1, 3] if o.three else [1, 2, 3], axis=-1)
    x = mark(L.Add()([three, o.concat([two, one], axis=-1)]))
    one, _ = o.split(x, [1] if o.three else [1, 2], axis=-1)
    x = mark(one * np.array([1.0, -0.5, 0.25], "f"))
    x = mark(o.maximum(L.Conv2D(1, 2)(x), np.array([[[[0.1, -0.2, 0.3, 0.0]]]], "f")))
    return mark(L.GlobalAveragePooling2D()(x))


def net_attention(k, x):
    L, c = k.layers, 0

    def mark(x):
        nonlocal c
        c += 1
        return L.Activation("linear", name="check_%d" % c)(x)

    x = L.Conv2D(12, 2, strides=2)(L.Rescaling(1 / 127.5, offset=-1)(x))
    x = mark(L.MultiHeadAttention(3, 4, name="over_map")(x, x))
    q = L.AveragePooling2D(2)(x)
    x = mark(L.MultiHeadAttention(2, 5, value_dim=3, use_bias=False, output_shape=20, name="cross")(q, x))
    x = L.Reshape((-1, 20))(L.UpSampling2D(5)(x))
    x = mark(L.LayerNormalization(epsilon=1e-6)(x))
    x = mark(L.Add()([x, L.MultiHeadAttention(1, 20, value_dim=7)(x, x, x)]))
    x = mark(L.Cropping1D((3, 1))(L.ZeroPadding1D((1, 2))(x)))
    x = mark(L.Add()([x, L.Dense(20)(L.Dense(31, activation="gelu")(L.LayerNormalization()(x)))]))
    x = mark(L.Permute((2, 1))(x))
    x = mark(L.MultiHeadAttention(2, 3)(L.Dense(8)(x), x))
    return mark(L.Concatenate()([L.GlobalAveragePooling1D()(x), L.GlobalMaxPooling1D()(x)]))


def net_tokens(k, x):
    """Operations on tokens, and layers that only Keras 3 has."""
    L, o, c = k.layers, k.ops, 0

    def mark(x):
        nonlocal c
        c += 1
        return L.Activation("linear", name="check_%d" % c)(x)

    x = L.Conv2D(12, 2, strides=2)(L.Rescaling(1 / 127.5, offset=-1)(x))
    x = mark(o.reshape(x, (-1, 20, 12)))
    x = mark(L.RMSNormalization(epsilon=1e-3)(x))
    x = mark(L.EinsumDense("abc,cd->abd", output_shape=(20, 10), bias_axes="d", activation="gelu")(x))
    x = mark(L.EinsumDense("...x,xy->...y", output_shape=8)(x))
    x = mark(L.MultiHeadAttention(2, 4, output_shape=14)(x, x))
    x = mark(o.gelu(x, approximate=True))
    x = mark(o.transpose(x, (0, 2, 1)))
    x = mark(o.transpose(L.Dense(9)(x), (0, 2, 1))[:, 1:-1])
    x = mark(L.AveragePooling1D(2)(L.MaxPooling1D(2, strides=1, padding="same")(x)))
    y = [x[:, 0], x[:, -1, 2:], o.mean(x, axis=1), o.max(x, axis=-2), L.Flatten()(o.mean(x, axis=1, keepdims=True))]
    return mark(L.Concatenate()(y))


def net_keys(k, x):
    """Attention whose queries, values and keys are three maps, given by place and by name."""
    L, c = k.layers, 0

    def mark(x):
        nonlocal c
        c += 1
        return L.Activation("linear", name="check_%d" % c)(x)

    x = L.Conv2D(8, 2, strides=2)(L.Rescaling(1 / 127.5, offset=-1)(x))
    y, q = L.Dense(6)(x), L.AveragePooling2D(2)(x)
    x = mark(L.MultiHeadAttention(2, 4)(q, x, y))
    x = L.Reshape((-1, 8))(L.UpSampling2D(2)(x))
    y, z = L.Dense(9)(x), L.Dense(5, activation="tanh")(x)
    x = mark(L.MultiHeadAttention(3, 2, value_dim=4)(key=z, query=x, value=y))
    return mark(L.GlobalAveragePooling1D()(L.MultiHeadAttention(1, 5, use_bias=False)(x, key=z, value=x)))


def net_firsts(k, x):
    """Constants as the first operand."""
    L, o, c = k.layers, Ops(k), 0

    def mark(x):
        nonlocal c
        c += 1
        return L.Activation("linear", name="check_%d" % c)(x)

    constant = (lambda *v: np.array(v, "f")) if o.three else (lambda *v: tf.constant(v, tf.float32))
    minus = keras.ops.subtract if o.three else tf.subtract
    x = mark(minus(constant(120.0, 130.0, 125.0), x))
    x = mark(L.Conv2D(4, 2, strides=2)(L.Rescaling(1 / 64)(x)))
    x = mark(o.maximum(constant(0.1, -0.2, 0.3, 0.0), x))
    x = mark(minus(constant(1.0), x))
    return mark(L.GlobalAveragePooling2D()(x))


def net_windows(k, x):
    """Attention over the columns of a map: each row by itself."""
    L, c = k.layers, 0

    def mark(x):
        nonlocal c
        c += 1
        return L.Activation("linear", name="check_%d" % c)(x)

    x = L.Conv2D(12, 3)(L.Rescaling(1 / 127.5, offset=-1)(x))
    x = mark(L.MultiHeadAttention(3, 4, attention_axes=2)(x, x))
    y = L.AveragePooling2D((1, 2))(x)
    x = mark(L.Add()([x, L.MultiHeadAttention(2, 5, value_dim=3, attention_axes=(-2,))(x, y)]))
    x = mark(L.MultiHeadAttention(2, 3, output_shape=9, attention_axes=[2])(x, L.Dense(8)(y), L.Dense(7)(y)))
    return mark(L.GlobalAveragePooling2D()(L.Add()([x, L.MultiHeadAttention(3, 3, attention_axes=(1, 2))(x, x)])))


def marker(k):
    n = 0

    def mark(x):
        nonlocal n
        n += 1
        return k.layers.Activation("linear", name="check_%d" % n)(x)

    return mark


def net_columns(k, x):
    """Layers along tokens."""
    L, mark = k.layers, marker(k)
    x = mark(L.Reshape((40, 6))(L.Rescaling(1 / 127.5, offset=-1)(x)))
    x = mark(L.Conv1D(8, 3, strides=2, activation="relu")(x))
    x = mark(L.Conv1D(12, 2, padding="same", groups=2, dilation_rate=2, use_bias=False)(x))
    x = mark(L.Conv1D(7, 3, padding="causal", dilation_rate=2)(L.SpatialDropout1D(0.2)(x)))
    x = mark(L.UpSampling1D(2)(L.Cropping1D((2, 4))(x)))
    token = L.GlobalMaxPooling1D(keepdims=True)(x)
    x = mark(L.Concatenate(axis=1)([token, x, L.ZeroPadding1D((0, 1))(token)]))
    x = mark(L.Add()([x, L.RepeatVector(29)(L.GlobalAveragePooling1D()(x))]))
    return mark(L.Flatten()(L.GlobalAveragePooling1D(keepdims=True)(x)))


def net_axes(k, x):
    """Layers over other axes than the last."""
    L, mark = k.layers, marker(k)
    x = mark(L.LayerNormalization(axis=1)(L.Conv2D(6, 2)(L.Rescaling(1 / 127.5, offset=-1)(x))))
    x = mark(L.LayerNormalization(axis=[2, 3], center=False)(x))
    x = mark(L.LayerNormalization(axis=(1, 2, 3))(x))
    x = mark(L.BatchNormalization(axis=2)(x))
    x = mark(L.Softmax(axis=2)(L.Concatenate(axis=1)([x, L.Cropping2D(((1, 2), (0, 0)))(x)])))
    x = mark(L.LayerNormalization(axis=[-2, -1])(L.Reshape((-1, 6))(x)))
    x = mark(L.Softmax(axis=1)(L.LayerNormalization(axis=1, epsilon=1e-5)(x)))
    x = mark(L.UnitNormalization(axis=1)(x))
    if k is keras:
        x = mark(L.RMSNormalization(axis=[1, 2])(x))
        x = mark(k.ops.softmax(k.ops.concatenate([x, x[:, 2:5]], axis=1), axis=-2))
        x = mark(k.ops.concatenate([k.ops.take(x, [0, -1, 3], axis=1), k.ops.expand_dims(k.ops.take(x[:, 2:5], 4, axis=2), -1)], axis=-1))
    return mark(L.GlobalAveragePooling1D()(x))


def net_einsums(k, x):
    """EinsumDense that sums over one axis or two, with a bias along any axes."""
    L, mark = k.layers, marker(k)
    x = L.Reshape((12, 10))(L.Rescaling(1 / 127.5, offset=-1)(x))
    x = mark(L.EinsumDense("abc,cd->abd", output_shape=(12, 9), bias_axes="bd", activation="gelu", name="positions")(x))
    x = mark(L.EinsumDense("abc,cde->abde", output_shape=(12, 3, 5), bias_axes="de", activation="tanh")(x))
    x = mark(L.EinsumDense("abde,dec->abc", output_shape=(12, 8), bias_axes="c")(x))
    x = mark(L.EinsumDense("...c,cde->...de", output_shape=(2, 6), bias_axes="e", activation="elu")(x))
    x = mark(L.EinsumDense("...de,def->...f", output_shape=7)(x))
    x = mark(L.EinsumDense("abc,cd->abd", output_shape=(12, 5), bias_axes="d")(x))
    x = mark(L.EinsumDense("abc,bcd->ad", output_shape=11, bias_axes="d")(x))
    return mark(L.Flatten()(L.EinsumDense("ab,bcd->acd", output_shape=(2, 3), bias_axes="c")(x)))


def net_products(k, x):
    """Attention in the code, and of other layers than MultiHeadAttention."""
    L, o, mark = k.layers, k.ops, marker(k)
    x = L.Conv2D(12, 2, strides=2)(L.Rescaling(1 / 127.5, offset=-1)(x))
    x = mark(L.Attention()([L.Dense(8)(x), L.Dense(5)(x), L.Dense(8)(x)]))
    x = L.Reshape((-1, 20))(L.Dense(20)(x))
    x = mark(L.GroupQueryAttention(5, 6, 2)(x, L.MaxPooling1D(2)(x)))
    x = mark(L.GroupQueryAttention(4, 3, 1, use_bias=False)(x, x))
    q, v = L.Dense(8)(x), L.Dense(10)(x)
    x = mark(o.matmul(o.softmax(o.matmul(q, o.transpose(q, (0, 2, 1))) / 3.0, axis=-1), v))
    x = mark(L.Attention()([x, L.Dense(10)(x)]))
    scores = L.Dot(axes=(2, 2))([L.Dense(6)(x), L.Dense(6)(x)])
    x = mark(L.Dot(axes=(2, 1))([L.Dropout(0.1)(L.Softmax()(L.Rescaling(0.4)(scores))), L.Dense(12)(x)]))
    q, key, v = [L.Reshape((-1, 3, 4))(L.Dense(12)(x)) for _ in range(3)]
    y = mark(o.transpose(o.matmul(o.softmax(o.matmul(o.transpose(q, (0, 2, 1, 3)), o.transpose(key, (0, 2, 3, 1))) * 0.5), o.transpose(v, (0, 2, 1, 3))), (0, 2, 1, 3)))
    x = mark(x + L.Reshape((-1, 12))(y + o.dot_product_attention(q, v, key)))
    y = L.GlobalMaxPooling1D()(mark(o.slice(x, [0, 3, 2], [-1, 7, 9])))
    return mark(L.Concatenate()([y, o.mean(o.matmul(x, np.array([[1.0, -0.5], [0.25, 0.5]] * 6, "f")), axis=1)]))


NETS = [("activations", net_activations, (6, 7, 3)), ("norms", net_norms, (7, 6, 3)), ("convolutions", net_convolutions, (11, 12, 3)),
        ("shapes", net_shapes, (13, 12, 3)), ("merges", net_merges, (7, 8, 3)),
        ("arithmetic", net_arithmetic, (7, 8, 3)), ("selections", net_selections, (12, 13, 3)), ("resizing", net_resizing, (13, 11, 3)),
        ("attention", net_attention, (9, 11, 3)), ("parts", net_parts, (6, 7, 3)), ("tokens", net_tokens, (8, 10, 3)),
        ("keys", net_keys, (9, 8, 3)), ("firsts", net_firsts, (6, 8, 3)), ("windows", net_windows, (8, 9, 3)),
        ("columns", net_columns, (8, 10, 3)), ("axes", net_axes, (7, 6, 3)), ("einsums", net_einsums, (5, 8, 3)), ("products", net_products, (8, 10, 3))]


def draw(model, noise):
    for w in model.weights:
        name, shape = w.name.split("/")[-1].split(":")[0], tuple(w.shape)
        if name == "count" or "seed" in name:
            continue
        n, wide = int(np.prod(shape)), len(shape) > 1 and name != "alpha"
        depthwise = len(shape) == 4 and ("depthwise" in name or 1 in shape[2:])
        bound = (3 / np.prod(shape[:2] if depthwise else shape[:-1])) ** 0.5 if wide else 0.5
        lo, hi = (0.5, 1.5) if "variance" in name or name == "gamma" else (-bound, bound)
        w.assign(noise.uniform(n, lo, hi).reshape(shape))
    for layer in model.layers:
        if type(layer).__name__ == "Normalization" and layer.input_mean is None:
            layer.finalize_state()


def golden(out, k, suffix, name, build, shape, seed):
    k.backend.clear_session()
    x = k.Input(shape, name="input")
    model = k.Model(x, build(k, x), name=name)
    noise = Noise(seed)
    draw(model, noise)
    path = out / (name + suffix)
    model.save(path.with_suffix(".h5"), include_optimizer=False)
    pixels = Noise(seed + 1000).pixels((1, *shape))
    named = [l for l in model.layers if l.name in CHECKED or l.name.startswith("check_") or l is model.layers[-1]]
    every = k.Model(x, [l.output for l in named])([pixels] if k is keras else pixels, training=False)
    lines = ["%d %d %d %d" % (seed + 1000, *shape)]
    for layer, y in zip(named, every if isinstance(every, (list, tuple)) else [every]):
        y = np.asarray(y).ravel()
        places = np.unique(np.linspace(0, y.size - 1, 12).astype(int))
        lines.append("%s %d %.7g %d" % (layer.name, y.size, np.abs(y).max(), len(places)) + "".join(" %d %.7g" % (p, y[p]) for p in places))
    path.with_suffix(".txt").write_text("\n".join(lines) + "\n")


# Layers looked at. Those whose activation becomes a layer of its own keep their name for what comes before it: they are left out.
CHECKED = set("""alone_elu in_selu alone_softplus in_softsign alone_exponential in_mish alone_gelu in_swish alone_tanh leaky elu7 relu_most relu_shaped
relu_slope prelu_shared prelu norm_stored norm_given rescaling_list layer_norm layer_norm_scale group_norm instance_norm unit_norm dense_map bn vector_norm
separable separable_bn depthwise_groups grouped wide_depthwise transpose_same transpose_valid transpose_gaps crop after_crop nearest bilinear permute
permute_again global_max average difference largest smallest average_relu hard_swish hard_gate layer_scale custom_scale end""".split())


def main():
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests" / "golden" / "layers"
    out.mkdir(parents=True, exist_ok=True)
    for i, (name, build, shape) in enumerate(NETS):
        if sys.argv[2:] and name not in sys.argv[2:]:
            continue
        if name != "convolutions":
            golden(out, keras, "-3", name, build, shape, 300 + i)
        if name not in ("norms", "shapes", "tokens", "windows", "products"):
            golden(out, tf_keras, "-2", name, build, shape, 400 + i)


if __name__ == "__main__":
    main()
