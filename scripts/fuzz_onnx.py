#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares small random ONNX graphs with ONNX Runtime. fuzz_onnx.py [--seed N] [--count N] [--each] [--binary PATH] [--keep DIR]

A graph has a random opset from 9 to 22, random operators of those that lib/onnx/README.md lists, branches, constants of random
shapes and the spellings of exporters. All values of its output must be those of ONNX Runtime, to 1e-4 of the largest. A graph that
finetune refuses is listed with the reason and is not an error. --each writes one graph for each operator instead: those of REFUSED
must be refused there, and no other. --keep keeps the graphs that are wrong. Needs onnx, onnxruntime, numpy; PATH is build/tests/test-onnx.
"""
import argparse
import collections
import os
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

import golden_onnx

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 1e-4
UNKNOWN = ("Reshape",)  # whose shape may be unknown at first: shuffle() sets it


class Maker(golden_onnx.Graph):
    """A graph whose values have known shapes."""

    def __init__(self, seed, opset=None):
        self.r = r = random.Random(seed)
        opset = opset or r.choice([9, 11, 13, 15, 17, 18, 20, 21, 22])
        self.shapes = {"image": None}
        size = r.choice([7, 8, 9, 11, 12, 16])
        super().__init__(seed + 1, size=size, opset=opset, last=r.random() < 0.2)
        self.x = self.op("Sub", self.start, self.constant(np.float32(1)))
        if self.last:
            self.x = self.op("Transpose", self.x, perm=[0, 3, 1, 2])

    def op(self, kind, *inputs, outputs=1, **attributes):
        before = len(self.nodes)
        names = super().op(kind, *inputs, outputs=outputs, **attributes)
        for name, shape in zip([names] if outputs == 1 else names, self.infer(before)):
            self.shapes[name] = shape
        return names

    def infer(self, before):
        """Shapes of the outputs of the last node."""
        node = self.nodes[before]
        known = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, self.size, self.size, 3] if self.last else [1, 3, self.size, self.size])
                 if n == "image" else helper.make_tensor_value_info(n, self.types.get(n, TensorProto.FLOAT), self.shapes[n])
                 for n in dict.fromkeys(node.input) if n in self.shapes]
        used = [t for t in self.tensors if t.name in node.input]
        graph = helper.make_graph([node], "one", known, [helper.make_empty_tensor_value_info(o) for o in node.output], used)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        done = onnx.shape_inference.infer_shapes(model, data_prop=True)
        found = {v.name: v.type.tensor_type for v in list(done.graph.output) + list(done.graph.value_info)}
        for o in node.output:
            self.types[o] = found[o].elem_type or TensorProto.FLOAT
        if node.op_type == "GroupNormalization":  # onnx does not know its shape
            return [self.shapes[node.input[0]]]
        shapes = [[d.dim_value for d in found[o].shape.dim] for o in node.output]
        if not all(found[o].HasField("shape") and all(s) for o, s in zip(node.output, shapes)) and node.op_type not in UNKNOWN:
            raise ValueError("no shape of %s in opset %d" % (node.op_type, self.opset))
        return shapes

    types = {}

    def number(self, value):
        return self.constant(np.float32(value))

    def floats(self, *shape, low=0.5, high=1.5):
        return self.constant(self.random.uniform(low, high, shape).astype(np.float32))

    def axes(self, kind, x, axes, since, **more):
        """An operator whose axes are an attribute before opset `since`, then an input."""
        return self.op(kind, x, axes=axes, **more) if self.opset < since else self.op(kind, x, self.ints(*axes), **more)

    def channels(self, x):
        return self.shapes[x][1]

    # ---- windows

    def convolution(self, x):
        r, c = self.r, self.channels(x)
        k, filters, group = r.choice([1, 2, 3, 5]), r.randint(2, 12), 1
        divisors = [g for g in range(2, c + 1) if c % g == 0]
        if divisors and r.random() < 0.5:
            group = r.choice([c, r.choice(divisors)])
            filters = group * r.randint(1, 3)
        return self.conv(x, c, filters, k=k, group=group, bias=r.random() < 0.7, **self.window(x, k, dilated=True))

    def window(self, x, k, dilated=False, pool=False):
        r, side = self.r, min(self.shapes[x][2:])
        d = r.choice([1, 1, 1, 2]) if dilated and k > 1 else 1
        out = {"strides": [r.choice([1, 1, 2, 3]), r.choice([1, 2])]} if r.random() < 0.6 else {}
        if d > 1:
            out["dilations"] = [d, d]
        span = (k - 1) * d + 1
        how = r.choice(["same", "pads", "half", "valid"])
        if how == "same" and d == 1:
            out["auto_pad"] = r.choice(["SAME_UPPER", "SAME_LOWER"])
        elif how == "half" or span > side:
            out["pads"] = [span // 2] * 4
        elif how == "pads":
            out["pads"] = [r.randint(0, min(2, k - 1)) for _ in range(4)] if pool else [r.randint(0, 2) for _ in range(4)]
        return out

    def pool(self, x):
        r, k = self.r, self.r.choice([2, 3, 3])
        kind, out = r.choice(["MaxPool", "AveragePool"]), self.window(x, k, pool=True)
        if kind == "AveragePool" and r.random() < 0.4:
            out["count_include_pad"] = 1
        if self.opset >= 10 and "auto_pad" not in out and r.random() < 0.3 and min(self.shapes[x][2:]) > 3:
            out["ceil_mode"] = 1
        if r.random() < 0.4:
            x = self.op("Relu", x)
        return self.op(kind, x, kernel_shape=[k, k], **out)

    def pad(self, x):
        pads = [0, 0, self.r.randint(0, 2), self.r.randint(0, 2), 0, 0, self.r.randint(0, 2), self.r.randint(0, 2)]
        return self.op("Pad", x, pads=pads) if self.opset < 11 else self.op("Pad", x, self.ints(*pads))

    def resize(self, x):
        scales = self.constant(np.array([1, 1, self.r.choice([1, 2, 3]), self.r.choice([1, 2])], np.float32))
        if max(self.shapes[x][2:]) > 16:
            return x
        if self.opset < 11:
            return self.op("Upsample", x, scales, mode="nearest") if self.opset < 10 else self.op("Resize", x, scales, mode="nearest")
        roi = self.constant(np.zeros(0, np.float32)) if self.opset < 13 else ""
        if self.r.random() < 0.5:
            return self.op("Resize", x, roi, scales, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
        return self.op("Resize", x, roi, scales, mode="linear", coordinate_transformation_mode="half_pixel")

    # ---- over the channels

    def norm(self, x):
        r, c = self.r, self.channels(x)
        kind = r.choice(["batch", "batch", "instance", "layer", "group", "spelled", "lrn"])
        if kind == "batch":
            return self.op("BatchNormalization", x, self.vector(c), self.vector(c, -1, 1), self.vector(c, -1, 1), self.vector(c), epsilon=1e-3)
        if kind == "instance":
            return self.op("InstanceNormalization", x, self.vector(c), self.vector(c, -1, 1))
        if kind == "lrn":
            return self.op("LRN", x, size=r.choice([3, 5]), alpha=r.choice([1e-4, 0.1]), beta=0.75, bias=r.choice([1.0, 2.0]))
        if kind == "group" and self.opset >= 21:
            return self.op("GroupNormalization", x, self.vector(c), self.vector(c, -1, 1), num_groups=r.choice([g for g in range(1, c + 1) if c % g == 0]))
        if kind == "group":  # as PyTorch writes it
            g = r.choice([g for g in range(1, c + 1) if c % g == 0])
            y = self.op("Reshape", x, self.ints(0, g, -1))
            y = self.op("InstanceNormalization", y, self.constant(np.ones(g, np.float32)), self.constant(np.zeros(g, np.float32)))
            y = self.op("Reshape", y, self.ints(*self.shapes[x]))
            return self.op("Add", self.op("Mul", y, self.floats(c, 1, 1)), self.floats(c, 1, 1))
        y = self.op("Transpose", x, perm=[0, 2, 3, 1])
        if kind == "layer" and self.opset >= 17:
            y = self.op("LayerNormalization", y, self.vector(c), self.vector(c, -1, 1), axis=r.choice([-1, 3]))
        else:
            y = self.layer_norm(y, c)
        return self.op("Transpose", y, perm=[0, 3, 1, 2])

    def layer_norm(self, y, c):
        centred = self.op("Sub", y, self.axes("ReduceMean", y, [-1], 18))
        square = self.op("Pow", centred, self.number(2)) if self.r.random() < 0.5 else self.op("Mul", centred, centred)
        root = self.op("Sqrt", self.op("Add", self.axes("ReduceMean", square, [-1], 18), self.number(1e-5)))
        return self.op("Add", self.op("Mul", self.op("Div", centred, root), self.vector(c)), self.vector(c))

    ACTIVATIONS = {"Relu": 1, "LeakyRelu": 1, "PRelu": 1, "Elu": 1, "Selu": 1, "Clip": 1, "Sigmoid": 1, "HardSigmoid": 1, "HardSwish": 14, "Tanh": 1, "Softplus": 1,
                   "Softsign": 1, "Gelu": 20, "Mish": 18, "Celu": 12, "Softmax": 1, "ThresholdedRelu": 10, "silu": 1, "gelu": 1, "gelu_tanh": 1, "hardswish": 1,
                   "hardsigmoid": 1, "mish": 1, "Sqrt": 1, "Abs": 1, "Exp": 1, "Log": 1, "Pow": 1, "Reciprocal": 1, "softsign": 1, "Neg": 1}

    def activation(self, x, kind=None):
        r, n = self.r, self.number
        kind = kind or r.choice([k for k, since in self.ACTIVATIONS.items() if since <= self.opset])
        if kind in ("LeakyRelu", "Elu", "Celu", "ThresholdedRelu"):
            return self.op(kind, x, **({"alpha": r.choice([0.1, 0.5, 1.0])} if r.random() < 0.7 else {}))
        if kind == "PRelu":
            return self.op(kind, x, self.floats(self.channels(x), 1, 1, low=0, high=1) if r.random() < 0.7 else self.floats(1, low=0))
        if kind == "HardSigmoid":
            return self.op(kind, x, **r.choice([{}, {"alpha": 1 / 6, "beta": 0.5}, {"alpha": 0.3, "beta": 0.4}]))
        if kind == "Clip":
            low, high = r.choice([(0, 6), (0, 1), (-1, 1), (-0.5, 2), (None, 1), (-1, None), (0.2, 0.9)])
            if self.opset < 11:
                return self.op(kind, x, **{k: float(v) for k, v in (("min", low), ("max", high)) if v is not None})
            return self.op(kind, x, "" if low is None else n(low), *([] if high is None else [n(high)]))
        if kind == "Softmax":
            y = self.op("Transpose", x, perm=[0, 2, 3, 1])
            return self.op("Transpose", self.op(kind, y, axis=3), perm=[0, 3, 1, 2])
        if kind == "Gelu":
            return self.op(kind, x, approximate=r.choice(["none", "tanh"]))
        if kind == "silu":
            return self.op("Mul", x, self.op("Sigmoid", x))
        if kind == "mish":
            return self.op("Mul", x, self.op("Tanh", self.op("Softplus", x)))
        if kind == "gelu":
            y = self.op("Erf", self.op("Div", x, n(2**0.5)) if r.random() < 0.5 else self.op("Mul", x, n(0.5**0.5)))
            y = self.op("Add", y, n(1))
            return self.op("Mul", self.op("Mul", x, y), n(0.5)) if r.random() < 0.5 else self.op("Mul", self.op("Mul", x, n(0.5)), y)
        if kind == "gelu_tanh":
            y = self.op("Mul", self.op("Pow", x, n(3)), n(0.044715))
            y = self.op("Tanh", self.op("Mul", self.op("Add", x, y), n(0.7978845608)))
            return self.op("Mul", self.op("Mul", x, n(0.5)), self.op("Add", y, n(1)))
        if kind in ("hardswish", "hardsigmoid"):
            y = self.op("Add", x, n(3))
            y = self.op("Clip", y, min=0.0, max=6.0) if self.opset < 11 else self.op("Clip", y, n(0), n(6))
            y = self.op("Mul", x, y) if kind == "hardswish" else y
            return self.op("Div", y, n(6))
        if kind == "softsign":
            return self.op("Div", x, self.op("Add", self.op("Abs", x), n(1)))
        if kind in ("Sqrt", "Log", "Reciprocal"):
            return self.op(kind, self.op("Add", self.op("Relu", x), n(0.5)))
        if kind == "Pow":
            return self.op(kind, self.op("Sigmoid", x), n(r.choice([2, 2, 3, 0.5])))
        if kind == "Exp":
            return self.op(kind, self.op("Tanh", x))
        return self.op(kind, x)

    # ---- sums and products

    def with_constant(self, x):
        r, s = self.r, self.shapes[x]
        c, h, w = s[1:]
        shape = r.choice([(), (1,), (c, 1, 1), (1, c, 1, 1), (c, h, w), (1, 1, h, w), (h, 1), (w,)])
        constant, kind = self.floats(*shape), r.choice(["Add", "Sub", "Mul", "Div", "Max", "Min"])
        if kind == "Div" and r.random() < 0.3:
            return self.op("Div", constant, self.op("Add", self.op("Sigmoid", x), self.number(0.5)))
        if r.random() < 0.2:
            constant = self.repeated(c)
        return self.op(kind, *((x, constant) if kind == "Div" or r.random() < 0.5 else (constant, x)))

    def repeated(self, c):
        """A constant that the graph repeats: [1, c, 1, 1]."""
        if self.r.random() < 0.5:
            return self.op("Expand", self.floats(1, 1, 1, 1), self.ints(1, c, 1, 1))
        return self.op("Tile", self.floats(1, 1, 1, 1), self.ints(1, c, 1, 1))

    def of_two(self, x):
        r = self.r
        y = self.conv(x, self.channels(x), self.channels(x), k=1)
        kind = r.choice(["Add", "Sub", "Mul", "Max", "Min", "Div"])
        if r.random() < 0.3:  # squeeze and excitation
            y = self.op("GlobalAveragePool", y) if r.random() < 0.5 else self.axes("ReduceMean", y, [2, 3], 18)
            y = self.op("Sigmoid", self.conv(y, self.channels(x), self.channels(x), k=1))
        elif r.random() < 0.2:  # one value for each pixel
            y = self.axes(r.choice(["ReduceMean"]), y, [1], 18)
        if kind == "Div":
            y = self.op("Add", self.op("Sigmoid", y), self.number(0.5))
        return self.op(kind, *((x, y) if kind == "Div" or r.random() < 0.5 else (y, x)))

    # ---- shapes

    def concat(self, x):
        axis = self.r.choice([1, 1, 1, 2, 3])
        y = self.activation(x, "Tanh") if axis > 1 else self.conv(x, self.channels(x), self.r.randint(1, 6), k=1)
        return self.op("Concat", *self.r.choice([(x, y), (y, x), (x, y, x)]), axis=axis)

    def split(self, x):
        r, c = self.r, self.channels(x)
        if c < 2:
            return x
        a = r.randint(1, c - 1)
        p, q = self.op("Split", x, axis=1, split=[a, c - a], outputs=2) if self.opset < 13 else self.op("Split", x, self.ints(a, c - a), axis=1, outputs=2)
        if a * 2 == c and r.random() < 0.5:
            return self.op("Mul", p, self.op("Sigmoid", q))
        return self.op("Concat", q, p, axis=1)

    def slice(self, x):
        r, axis = self.r, self.r.choice([1, 2, 3])
        n = self.shapes[x][axis]
        if n < 3:
            return x
        start, end, step = r.randint(0, n // 3), r.choice([n, -1, 2**31 - 1, n - n // 4]), r.choice([1, 1, 2])
        if self.opset < 10:
            return self.op("Slice", x, starts=[start], ends=[end], axes=[axis])
        return self.op("Slice", x, self.ints(start), self.ints(end), self.ints(axis), self.ints(step))

    def gather(self, x):
        r, axis = self.r, self.r.choice([1, 1, 2, 3])
        n = self.shapes[x][axis]
        index = [r.randrange(n) for _ in range(r.randint(1, n))] if r.random() < 0.5 else list(range(r.randint(0, n // 2), n))
        if r.random() < 0.2:
            index = sorted(set(index))
        if r.random() < 0.2:
            y = self.op("Gather", x, self.constant(np.int64(r.randrange(n))), axis=axis)
            return self.axes("Unsqueeze", y, [axis], 13)
        return self.op("Gather", x, self.ints(*index), axis=axis)

    def shuffle(self, x):
        s = self.shapes[x]
        groups = [g for g in range(2, s[1]) if s[1] % g == 0]
        if not groups:
            return self.op("Identity", x)
        g = self.r.choice(groups)
        if self.r.random() < 0.5:  # with shape arithmetic
            shape = self.op("Shape", x)
            h, w = (self.axes("Unsqueeze", self.op("Gather", shape, self.constant(np.int64(i)), axis=0), [0], 13) for i in (2, 3))
            y = super().op("Reshape", x, self.op("Concat", self.ints(1), self.ints(g), self.ints(s[1] // g), h, w, axis=0))
            self.shapes[y] = [1, g, s[1] // g, s[2], s[3]]
        else:
            y = self.op("Reshape", x, self.ints(1, g, s[1] // g, s[2], s[3]))
        y = self.op("Transpose", y, perm=[0, 2, 1, 3, 4])
        return self.op("Reshape", y, self.ints(1, -1, s[2], s[3]) if self.r.random() < 0.5 else self.ints(*s))

    def tokens(self, x):
        """Pixels as tokens: a matrix, a norm, and back."""
        r, (_, c, h, w) = self.r, self.shapes[x]
        y = self.op("Transpose", self.op("Reshape", x, self.ints(1, c, h * w)), perm=[0, 2, 1])
        if r.random() < 0.3:
            y = self.op("Add", y, self.floats(1, h * w, c))
        if r.random() < 0.5:
            y = self.layer_norm(y, c)
        units = r.randint(2, 9)
        y = self.op("Add", self.op("MatMul", y, self.weights(c, units)), self.vector(units))
        y = self.activation(y, r.choice(["gelu", "Relu", "silu", "Tanh"]))
        return self.op("Reshape", self.op("Transpose", y, perm=[0, 2, 1]), self.ints(1, units, h, w))

    def attention(self, x):
        r, (_, c, h, w) = self.r, self.shapes[x]
        heads = r.choice([n for n in (1, 2, 3, 4) if c % n == 0])
        each, t = c // heads, h * w
        y = self.op("Transpose", self.op("Reshape", x, self.ints(1, c, t)), perm=[0, 2, 1])
        q, k, v = (self.op("Add", self.op("MatMul", y, self.weights(c, c)), self.vector(c)) for _ in range(3))
        q, k, v = (self.op("Transpose", self.op("Reshape", z, self.ints(1, t, heads, each)), perm=p) for z, p in ((q, [0, 2, 1, 3]), (k, [0, 2, 3, 1]), (v, [0, 2, 1, 3])))
        s = self.op("MatMul", q, k)
        s = self.op("Div", s, self.number(each**0.5)) if r.random() < 0.5 else self.op("Mul", s, self.number(each**-0.5))
        s = self.op("MatMul", self.op("Softmax", s, axis=3 if self.opset < 13 else -1), v)
        s = self.op("Reshape", self.op("Transpose", s, perm=[0, 2, 1, 3]), self.ints(1, t, c))
        s = self.op("Add", y, self.op("Add", self.op("MatMul", s, self.weights(c, c)), self.vector(c)))
        return self.op("Reshape", self.op("Transpose", s, perm=[0, 2, 1]), self.ints(1, c, h, w))

    def nothing(self, x):
        kind = self.r.choice(["Identity", "Dropout", "Cast", "squeeze"])
        if kind == "squeeze":
            y = self.axes("Squeeze", x, [0], 13)
            return self.axes("Unsqueeze", y, [0], 13)
        return self.op(kind, x, **({"to": TensorProto.FLOAT} if kind == "Cast" else {}))

    STEPS = ["convolution"] * 3 + ["pool", "pool", "pad", "resize", "norm", "norm", "activation", "activation", "activation", "with_constant", "with_constant", "of_two",
             "of_two", "concat", "split", "slice", "gather", "shuffle", "tokens", "attention", "nothing"]

    def end(self, x):
        r, s = self.r, self.shapes[x]
        kind = r.choice(["map", "map", "map", "average", "mean", "max", "flatten", "softmax"])
        if kind == "average":
            return self.op("Flatten", self.op(r.choice(["GlobalAveragePool", "GlobalMaxPool"]), x))
        if kind == "mean":
            return self.axes("ReduceMean", x, [2, 3], 18, keepdims=0)
        if kind == "max":
            return self.axes("ReduceMax", x, [-2, -1], 18, keepdims=0)
        if kind == "map":
            return x
        d, units = int(np.prod(s[1:])), r.randint(2, 9)
        y = self.op("Flatten", x) if r.random() < 0.5 else self.op("Reshape", x, self.ints(1, -1))
        y = self.op("Gemm", y, self.weights(units, d), self.vector(units), transB=1, alpha=r.choice([1.0, 0.5])) if r.random() < 0.6 else self.op("MatMul", y, self.weights(d, units))
        return self.op("Softmax", y, axis=1) if kind == "softmax" else y

    def network(self):
        x = self.x if self.r.random() < 0.3 else self.convolution(self.x)
        done = []
        for _ in range(self.r.randint(1, 7)):
            step = self.r.choice(self.STEPS)
            x = getattr(self, step)(x)
            done.append(step)
        return self.end(x), done


# One graph for each operator and spelling of the list in the documentation.
EACH = {
    **{k: lambda g, x, k=k: g.activation(x, k) for k in Maker.ACTIVATIONS},
    **{k: lambda g, x, k=k: getattr(g, k)(x) for k in ("pad", "resize", "shuffle", "tokens", "attention", "convolution", "split", "slice")},
    "Flatten": lambda g, x: g.op("Flatten", x),
    "Expand": lambda g, x: g.op("Mul", x, g.op("Expand", g.floats(1, 1, 1, 1), g.ints(1, g.channels(x), 1, 1))),
    "Tile": lambda g, x: g.op("Mul", x, g.op("Tile", g.floats(1, 1, 1, 1), g.ints(1, g.channels(x), 1, 1))),
    "Identity": lambda g, x: g.op("Identity", x),
    "Dropout": lambda g, x: g.op("Dropout", x),
    "LRN": lambda g, x: g.op("LRN", x, size=5, alpha=0.1),
    "GlobalMaxPool": lambda g, x: g.op("GlobalMaxPool", x),
    "ReduceMean": lambda g, x: g.axes("ReduceMean", x, [2, 3], 18),
    "ReduceMean of channels": lambda g, x: g.axes("ReduceMean", x, [1], 18),
    "GroupNormalization": lambda g, x: g.op("GroupNormalization", x, g.vector(8), g.vector(8), num_groups=2),
    "InstanceNormalization": lambda g, x: g.op("InstanceNormalization", x, g.vector(8), g.vector(8)),
    "Gather of any channels": lambda g, x: g.op("Gather", x, g.ints(3, 1, 1, 7, 0), axis=1),
    "Max of a constant": lambda g, x: g.op("Max", x, g.number(0.3)),
    "Min of a constant": lambda g, x: g.op("Min", x, g.number(0.3)),
    "Max of two": lambda g, x: g.op("Max", x, g.op("Tanh", x)),
    "Min of two": lambda g, x: g.op("Min", x, g.op("Tanh", x)),
    "Add of three": lambda g, x: g.op("Sum", x, g.op("Tanh", x), x),
    "Div of two": lambda g, x: g.op("Div", x, g.op("Exp", x)),
    "Div of a constant": lambda g, x: g.op("Div", g.number(2), g.op("Exp", x)),
    "MaxPool, ceil_mode": lambda g, x: g.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    "MaxPool, any pads": lambda g, x: g.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[0, 1, 1, 0]),
    "MaxPool, SAME_LOWER": lambda g, x: g.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_LOWER"),
    "AveragePool, ceil_mode": lambda g, x: g.op("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    "AveragePool, any pads": lambda g, x: g.op("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[0, 1, 1, 0]),
    "AveragePool, count_include_pad, ceil_mode": lambda g, x: g.op("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1, count_include_pad=1),
}


# What no layer of Keras computes, and a pool that would need a padding of minus infinity.
REFUSED = {"Log", "MaxPool, SAME_LOWER"}


def one(number, binary, folder, each):
    """None, or what is wrong; and the steps."""
    if each:
        g = Maker(number, opset=22)
        output, done = EACH[each](g, g.conv(g.x, 3, 8)), [each]
    else:
        g = Maker(number)
        output, done = g.network()
    name = "graph%d" % number
    if g.last and len(g.shapes[output]) == 4:
        output = g.op("Transpose", output, perm=[0, 2, 3, 1])
    golden_onnx.FOLDER = folder
    try:
        g.write(name, output)
    except Exception as e:
        return "ONNX Runtime cannot run it: " + str(e)[:300], done
    lines = (folder / (name + ".txt")).read_text().splitlines()
    count, largest = lines[1].split()[1:3]
    if not float(largest) > 1e-6 or not np.isfinite(float(largest)) or float(largest) > 1e6:
        return "skip", done
    ran = subprocess.run([str(binary), str(folder / name)], capture_output=True, text=True)
    if not ran.returncode:
        return None, done
    refused = re.search(r"^# '.*\.onnx': (.*)", ran.stdout, re.M)
    wrong = re.search(r"error (\S+) of the largest", ran.stdout)
    if wrong and float(wrong[1]) <= LIMIT:
        return None, done
    return ("refused: " + refused[1]) if refused else "WRONG: " + (wrong[1] if wrong else ran.stdout.strip().splitlines()[0] + ran.stderr[-200:]), done


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--each", action="store_true")
    parser.add_argument("--binary", default=ROOT / "build" / "tests" / "test-onnx")
    parser.add_argument("--keep")
    args = parser.parse_args()
    onnxruntime.set_default_logger_severity(4)
    counts, reasons = collections.Counter(), collections.Counter()
    names = list(EACH) if args.each else range(args.count)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(args.keep or work)
        folder.mkdir(exist_ok=True)
        for i, name in enumerate(names):
            number = args.seed * 100000 + i
            wrong, done = one(number, args.binary, folder, name if args.each else None)
            kind = wrong.split(":")[0] if wrong else "equal"
            if args.each and kind in ("equal", "refused") and (kind == "refused") != (name in REFUSED):
                kind, wrong = "WRONG", "WRONG: " + (wrong or "read, though it is in the list of the refused")
            counts[kind] += 1
            if kind not in ("equal", "skip"):
                print("%d %s  [%s]" % (number, wrong, " ".join(done)), flush=True)
                reasons[re.sub(r"'[^']*'", "'...'", wrong)] += 1
            if kind not in ("WRONG", "refused") or not args.keep:
                for path in folder.glob("graph%d.*" % number):
                    path.unlink()
    if not args.each:
        for reason, n in reasons.most_common():
            print("%4d  %s" % (n, reason))
    print("%d graphs: %s" % (len(names), ", ".join("%d %s" % (n, k) for k, n in sorted(counts.items()))))
    return 1 if counts["WRONG"] or (args.each and counts["skip"]) else 0


if __name__ == "__main__":
    sys.exit(main())
